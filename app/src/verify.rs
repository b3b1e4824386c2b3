//! Whether everything is right, from first principles: the books by themselves, the segments against
//! their catalogue, and that the click of every conversion is there. A server may go on meanwhile.

use std::path::Path;

use archive::{Archive, ArchiveError};
use domain::conversion_query::{ConversionFilter, ConversionQuery, ConversionSort, SortKey, Start};
use domain::ids::{ClickId, ConversionId, NodeNumber};
use domain::segment::Segment;
use jiff::{Timestamp, ToSpan};
use ledger::{Finding, Ledger, LedgerError};
use thiserror::Error;

use crate::own_segments;

/// Conversions asked for at a time.
const PAGE: u32 = 10_000;
/// Conversions whose clicks are looked up in one reading of the segments: some hundred megabytes.
const PASS_MAX: usize = 4_000_000;
/// How often a reading begins anew because a server has replaced what was to be read.
const TURNS_MAX: usize = 100;

/// What is to be verified.
#[derive(Clone, Copy)]
pub struct Verify<'a> {
    /// The books.
    pub ledger: &'a dyn Ledger,
    /// The folder of segments.
    pub segments: &'a Path,
    /// Whose segments these are.
    pub node: NodeNumber,
    /// Days after which clicks are dropped; 0 for never.
    pub clicks_days: u32,
    /// The time.
    pub now: Timestamp,
}

/// Conversions whose click could not be looked up, and why not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unchecked {
    /// It is in no segment yet, but still in the journal.
    pub not_sealed: u64,
    /// It is older than clicks are kept.
    pub dropped: u64,
    /// It is on another node.
    pub elsewhere: u64,
    /// It should be in a segment that cannot be read, which is a finding itself.
    pub unreadable: u64,
}

/// What was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    /// Rows of the books.
    pub rows: u64,
    /// Segments, every byte of them.
    pub segments: u64,
    /// Conversions whose click was looked up.
    pub clicks: u64,
    /// Those whose click was not.
    pub unchecked: Unchecked,
}

/// Why nothing could be said.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The books cannot be read.
    #[error("the ledger cannot be read")]
    Ledger(#[from] LedgerError),
    /// The segments cannot be read.
    #[error("the archive cannot be read")]
    Archive(#[from] ArchiveError),
    /// What was to be read was always gone when it was read.
    #[error("segments are replaced faster than they can be read; try again later")]
    Restless,
}

/// Who hears how far it is, and what is wrong.
pub trait Listener {
    /// So many steps of this begin; 0 where nobody can tell.
    fn begin(&mut self, what: &'static str, steps: u64);
    /// One of them is done.
    fn step(&mut self);
    /// Something is wrong.
    fn found(&mut self, finding: Finding);
}

/// A conversion by its click, so that they sort as segments do.
type Converted = (ClickId, ConversionId);

impl Verify<'_> {
    /// Checks everything and tells what is wrong.
    pub fn run(&self, listener: &mut dyn Listener) -> Result<Verified, VerifyError> {
        listener.begin("books", 0);
        let rows = self.ledger.verify(&mut |finding| listener.found(finding))?;
        let options =
            archive::Options { dir: self.segments.to_owned(), metadata_cache_max: 1, cube_cache_bytes: 0 };
        let archive = Archive::open(options, Vec::new())?;
        let segments = self.check_segments(&archive, listener)?;
        let mut verified = Verified { rows, segments, ..Verified::default() };
        self.check_clicks(&archive, &mut verified, listener)?;
        Ok(verified)
    }

    /// The segments that are this server's own, by their first click.
    fn catalogue(&self) -> Result<Vec<Segment>, VerifyError> {
        let mut catalogue = own_segments(self.ledger, self.node, self.segments)?;
        catalogue.sort_unstable_by_key(|it| it.first_click);
        Ok(catalogue)
    }

    fn check_segments(&self, archive: &Archive, listener: &mut dyn Listener) -> Result<u64, VerifyError> {
        let catalogue = self.catalogue()?;
        listener.begin("segments", catalogue.len() as u64);
        for segment in &catalogue {
            let segment_damage = damage(archive.verify_segment(segment))?;
            // A cube is no better than what it is made of.
            let cube_damage =
                if segment_damage.is_none() { damage(archive.verify_cube(segment))? } else { None };
            for (check, problem) in [
                ("segments_match_the_catalogue", segment_damage),
                ("cubes_match_their_segments", cube_damage),
            ] {
                if let Some(problem) = problem
                    // A running server may have put another in its place meanwhile.
                    && self.catalogue()?.contains(segment)
                {
                    let row = format!("segment {}", segment.name());
                    listener.found(Finding { check, row, problem });
                }
            }
            listener.step();
        }
        Ok(catalogue.len() as u64)
    }

    fn check_clicks(
        &self,
        archive: &Archive,
        verified: &mut Verified,
        listener: &mut dyn Listener,
    ) -> Result<(), VerifyError> {
        listener.begin("clicks of conversions", 0);
        let (mut converted, mut after) = (Vec::new(), ConversionId(0));
        loop {
            let more = self.read_page(&mut converted, &mut after)?;
            if !more || converted.len() >= PASS_MAX {
                converted.sort_unstable();
                self.look_up(archive, &converted, verified, listener)?;
                converted.clear();
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Adds the conversions after `after`. Whether more follow.
    fn read_page(
        &self,
        converted: &mut Vec<Converted>,
        after: &mut ConversionId,
    ) -> Result<bool, VerifyError> {
        let key = SortKey::Integer(i64::try_from(after.0).unwrap_or(i64::MAX));
        let page = self.ledger.list_conversions(&ConversionQuery {
            filter: ConversionFilter::default(),
            sort: ConversionSort::ConversionId,
            descending: false,
            start: Start::After(key, *after),
            limit: PAGE,
        })?;
        converted.extend(page.conversions.iter().map(|it| (it.click_id, it.id)));
        *after = page.conversions.last().map_or(*after, |it| it.id);
        Ok(page.more)
    }

    fn look_up(
        &self,
        archive: &Archive,
        converted: &[Converted],
        verified: &mut Verified,
        listener: &mut dyn Listener,
    ) -> Result<(), VerifyError> {
        let others = self.ledger.list_other_nodes(self.node)?;
        for _ in 0..TURNS_MAX {
            let Some(sorted) = self.sort_out(archive, converted, &others)? else { continue };
            verified.clicks += sorted.found;
            let unchecked = &mut verified.unchecked;
            unchecked.not_sealed += sorted.unchecked.not_sealed;
            unchecked.dropped += sorted.unchecked.dropped;
            unchecked.elsewhere += sorted.unchecked.elsewhere;
            unchecked.unreadable += sorted.unchecked.unreadable;
            verified.clicks += sorted.missing.len() as u64;
            for (click_id, conversion_id) in sorted.missing {
                let row = format!("conversion {conversion_id}");
                let problem = format!("its click {click_id} is in no segment");
                listener.found(Finding { check: "clicks_are_there", row, problem });
            }
            return Ok(());
        }
        Err(VerifyError::Restless)
    }

    /// None where a server has replaced a segment before it was read.
    fn sort_out(
        &self,
        archive: &Archive,
        converted: &[Converted],
        others: &[NodeNumber],
    ) -> Result<Option<Sorted>, VerifyError> {
        let catalogue = self.catalogue()?;
        let mut sorted = Sorted::default();
        let mut outside = Vec::new();
        let mut rest = converted;
        for segment in &catalogue {
            let (before, others) = split(rest, |id| id < segment.first_click);
            let (within, others) = split(others, |id| id <= segment.last_click);
            rest = others;
            outside.extend_from_slice(before);
            if within.is_empty() {
                continue;
            }
            let ids: Vec<_> = within.iter().map(|(id, _)| *id).collect();
            match archive.missing_from(segment, &ids) {
                Ok(missing) => {
                    let absent = within.iter().filter(|(id, _)| missing.binary_search(id).is_ok());
                    let outside_before = outside.len();
                    outside.extend(absent);
                    sorted.found += (within.len() - (outside.len() - outside_before)) as u64;
                }
                Err(ArchiveError::Corrupt { .. }) if self.catalogue()?.contains(segment) => {
                    sorted.unchecked.unreadable += within.len() as u64;
                }
                Err(ArchiveError::Corrupt { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        outside.extend_from_slice(rest);
        let last_sealed = catalogue.iter().map(|it| it.last_click).max();
        for converted in outside {
            if others.contains(&converted.0.node()) {
                sorted.unchecked.elsewhere += 1;
            } else {
                self.excuse(converted, last_sealed, &mut sorted);
            }
        }
        Ok(Some(sorted))
    }

    /// Sorts out a conversion whose click should be here and is in no segment.
    fn excuse(&self, converted: Converted, last_sealed: Option<ClickId>, sorted: &mut Sorted) {
        let (id, _) = converted;
        let unchecked = &mut sorted.unchecked;
        if last_sealed.is_none_or(|last| id > last) {
            unchecked.not_sealed += 1;
        } else if self.clicks_days > 0 && id.time() < self.kept_since() {
            unchecked.dropped += 1;
        } else {
            sorted.missing.push(converted);
        }
    }

    fn kept_since(&self) -> Timestamp {
        let hours = i64::from(self.clicks_days) * 24;
        self.now.saturating_sub(hours.hours()).unwrap_or(Timestamp::MIN)
    }
}

/// Conversions sorted by what is known of their clicks.
#[derive(Default)]
struct Sorted {
    found: u64,
    unchecked: Unchecked,
    missing: Vec<Converted>,
}

fn split(converted: &[Converted], before: impl Fn(ClickId) -> bool) -> (&[Converted], &[Converted]) {
    converted.split_at(converted.partition_point(|(id, _)| before(*id)))
}

/// What is wrong with the file; an error where it could not be looked at.
fn damage(verified: Result<(), ArchiveError>) -> Result<Option<String>, VerifyError> {
    match verified {
        Ok(()) => Ok(None),
        Err(error @ ArchiveError::Corrupt { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// A click's id, changed in its random end, so that it is nobody's.
    fn nobodys(number: u64) -> ClickId {
        let mut bytes = sample::click(number).id.to_bytes();
        bytes[15] ^= 1;
        ClickId::from_bytes(bytes)
    }

    fn of_node(number: u64, node: u16) -> ClickId {
        let mut bytes = sample::click(number).id.to_bytes();
        [bytes[6], bytes[7]] = (0x7000 | node).to_be_bytes();
        ClickId::from_bytes(bytes)
    }

    #[test]
    fn every_conversion_is_found_missing_or_unchecked_for_a_reason() {
        let (opened, folder) = sample::sealed(2, 10);
        let segments = folder.path().join("segments");
        let options = archive::Options { dir: segments.clone(), metadata_cache_max: 1, cube_cache_bytes: 0 };
        let archive = Archive::open(options, Vec::new()).expect("opens");
        let now = sample::click(0).id.time().saturating_add(48.hours()).expect("in range");
        let node = NodeNumber::new(1).expect("in range");
        let verify = Verify { ledger: &*opened.app.ledger, segments: &segments, node, clicks_days: 0, now };
        let others = [NodeNumber::new(2).expect("in range")];
        let check = |id: ClickId, clicks_days, found: u64, missing: usize, expected: Unchecked| {
            let verify = Verify { clicks_days, ..verify };
            let sorted = verify.sort_out(&archive, &[(id, ConversionId(1))], &others);
            let sorted = sorted.expect("readable").expect("nobody replaces anything");
            assert_eq!(
                (sorted.found, sorted.missing.len(), sorted.unchecked),
                (found, missing, expected),
                "{id}"
            );
        };
        let none = Unchecked::default();
        for number in [0, 9, 10, 19] {
            check(sample::click(number).id, 0, 1, 0, none);
        }
        check(nobodys(5), 0, 0, 1, none);
        check(nobodys(5), 2, 0, 1, none);
        check(nobodys(5), 1, 0, 0, Unchecked { dropped: 1, ..none });
        check(of_node(5, 2), 0, 0, 0, Unchecked { elsewhere: 1, ..none });
        check(of_node(5, 3), 0, 0, 1, none);
        check(nobodys(20), 0, 0, 0, Unchecked { not_sealed: 1, ..none });
        // Two conversions of one click, and one of the next.
        let shared = [(5, 1), (5, 2), (6, 3)].map(|(click, id)| (sample::click(click).id, ConversionId(id)));
        let sorted =
            verify.sort_out(&archive, &shared, &others).expect("readable").expect("nobody replaces anything");
        assert_eq!((sorted.found, sorted.missing.len()), (3, 0));
    }

    /// Keeps what is wrong.
    #[derive(Default)]
    struct Heard(Vec<Finding>);

    impl Listener for Heard {
        fn begin(&mut self, _: &'static str, _: u64) {}
        fn step(&mut self) {}
        fn found(&mut self, finding: Finding) {
            self.0.push(finding);
        }
    }

    #[test]
    fn a_cube_that_is_not_what_its_segment_adds_up_to_is_a_finding() {
        let (mut opened, folder) = sample::sealed(2, 10);
        while opened.upkeep.make_cubes(&|| false).expect("sound") {}
        let segments = folder.path().join("segments");
        let found = || {
            let (ledger, node) = (&*opened.app.ledger, NodeNumber::new(1).expect("in range"));
            let now = Timestamp::UNIX_EPOCH;
            let mut heard = Heard::default();
            let verify = Verify { ledger, segments: &segments, node, clicks_days: 0, now };
            verify.run(&mut heard).expect("readable");
            heard.0.iter().map(|it| (it.check, it.row.clone())).collect::<Vec<_>>()
        };
        assert_eq!(found(), []);
        let name = opened.app.archive.segments()[1].name();
        std::fs::write(segments.join(format!("{name}.cube")), "no cube").expect("writable");
        assert_eq!(found(), [("cubes_match_their_segments", format!("segment {name}"))]);
    }

    #[test]
    fn the_clicks_of_a_segment_that_cannot_be_read_are_unchecked() {
        let (opened, folder) = sample::sealed(1, 10);
        let segments = folder.path().join("segments");
        let ledger = &*opened.app.ledger;
        let node = NodeNumber::new(1).expect("in range");
        let verify = Verify { ledger, segments: &segments, node, clicks_days: 0, now: Timestamp::UNIX_EPOCH };
        let options = archive::Options { dir: segments.clone(), metadata_cache_max: 1, cube_cache_bytes: 0 };
        let archive = Archive::open(options, Vec::new()).expect("opens");
        let converted = [(sample::click(5).id, ConversionId(1))];
        for entry in std::fs::read_dir(&segments).expect("there") {
            std::fs::remove_file(entry.expect("an entry").path()).expect("removed");
        }
        let sorted = verify.sort_out(&archive, &converted, &[]).expect("told").expect("it is catalogued");
        assert_eq!(sorted.unchecked, Unchecked { unreadable: 1, ..Unchecked::default() });
    }
}
