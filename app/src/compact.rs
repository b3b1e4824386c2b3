//! Joining small segments. A quiet tracker seals a small segment every quarter of an hour, and each
//! is a file to open; a run of neighbours of about one size becomes one segment, so a click is
//! rewritten a few times at most.

use std::ops::Range;
use std::sync::Arc;

use archive::Blank;
use domain::segment::Segment;

use crate::Upkeep;
use crate::upkeep::UpkeepError;

/// As few as make it worth while.
const RUN_MIN: usize = 8;
/// Bounds the files that are open at once.
const RUN_MAX: usize = 64;
/// A run is joined when its largest segment has at most this part of its clicks: what was joined
/// before waits for more of its size.
const LARGEST_PART: u64 = 4;
/// A joined segment spans at most a day, so that retention in days stays exact to a day.
const SPAN_MS_MAX: i64 = 24 * 60 * 60 * 1000;

impl Upkeep {
    /// Joins a run of small segments, if there is one.
    pub(crate) fn compact(&mut self, stop: &dyn Fn() -> bool) -> Result<bool, UpkeepError> {
        let segments = self.archive.segments();
        let fit = |segment: &Segment| !self.is_spoiled(segment);
        let Some(run) = choose(&segments, self.settings.segment_rows_max, fit) else { return Ok(false) };
        let run = segments[run].to_vec();
        drop(segments);
        self.rewrite(&run, Blank::Nobody, stop)?;
        self.counters.joined.inc_by(run.len() as u64);
        Ok(true)
    }
}

/// The first run of segments to be joined, into one of at most `rows_max` clicks.
fn choose(segments: &[Arc<Segment>], rows_max: u64, fit: impl Fn(&Segment) -> bool) -> Option<Range<usize>> {
    (0..segments.len()).map(|start| run_from(segments, start, rows_max, &fit)).find(|run| {
        let rows = || segments[run.clone()].iter().map(|it| it.rows);
        run.len() >= RUN_MIN && rows().max().unwrap_or_default() * LARGEST_PART <= rows().sum()
    })
}

/// The longest run from `start` on that could be one segment.
fn run_from(
    segments: &[Arc<Segment>],
    start: usize,
    rows_max: u64,
    fit: impl Fn(&Segment) -> bool,
) -> Range<usize> {
    let first = &segments[start];
    let mut rows = 0;
    let belongs = |segment: &&Arc<Segment>| {
        rows += segment.rows;
        rows <= rows_max
            && segment.node == first.node
            && segment.visitors_blanked == first.visitors_blanked
            && segment.last_click.unix_ms() - first.first_click.unix_ms() <= SPAN_MS_MAX
            && fit(segment)
    };
    start..start + segments[start..].iter().take(RUN_MAX).take_while(belongs).count()
}

#[cfg(test)]
mod tests {
    use domain::ids::{ClickId, NodeNumber};
    use jiff::Timestamp;

    use super::*;
    use crate::sample;

    #[test]
    fn small_segments_become_one_and_every_click_stays_found() {
        let (mut product, folder) = sample::sealed(9, 30);
        product.upkeep.settings.segment_rows_max = 1000;
        while product.upkeep.compact(&|| false).expect("sound") {}
        let archive = &product.app.archive;
        assert_eq!(archive.segments().iter().map(|it| it.rows).collect::<Vec<_>>(), [270]);
        assert_eq!(
            product.app.ledger.list_segments().expect("listed"),
            [archive.segments()[0].as_ref().clone()]
        );
        assert_eq!(product.upkeep.counters.joined.get(), 9);
        archive.remove_replaced().expect("removable");
        assert_eq!(sample::files(&folder, "segments"), 2);

        drop(product);
        let product = sample::open_in(folder.path());
        for number in 0..270 {
            let click = sample::click(number);
            assert_eq!(product.app.archive.find(click.id).expect("readable"), Some(click));
        }
    }

    #[test]
    fn a_damaged_segment_is_left_alone_and_the_others_are_joined() {
        let (mut product, folder) = sample::sealed(10, 30);
        product.upkeep.settings.segment_rows_max = 1000;
        let first = product.app.archive.segments()[0].name();
        let path = folder.path().join("segments").join(format!("{first}.parquet"));
        let bytes = std::fs::read(&path).expect("there");
        std::fs::write(&path, vec![0; bytes.len()]).expect("writable");
        product.upkeep.compact(&|| false).expect_err("damaged");
        assert_eq!(product.app.archive.segments().len(), 10);
        // All ten of that run are left alone: which of them is damaged is in the log.
        assert!(!product.upkeep.compact(&|| false).expect("nothing left"));
    }

    /// Segments of so many clicks, a quarter of an hour each.
    fn segments(rows: &[u64]) -> Vec<Arc<Segment>> {
        let at = |minute: i64| ClickId::first_at(Timestamp::from_second(minute * 60).expect("in range"));
        let segment = |(number, &rows): (u64, &u64)| Segment {
            node: NodeNumber::new(1).expect("in range"),
            journal_file: number,
            first_seq: number * 1_000_000,
            last_seq: number * 1_000_000 + rows,
            generation: 0,
            visitors_blanked: false,
            format: 2,
            rows,
            file_bytes: 0,
            first_click: at(15 * i64::try_from(number).expect("small")),
            last_click: at(15 * i64::try_from(number).expect("small") + 14),
            rows_by_offer: Vec::new(),
            rows_by_affiliate: Vec::new(),
            reached: None,
        };
        (1..).zip(rows).map(|pair| Arc::new(segment(pair))).collect()
    }

    #[test]
    fn a_run_of_about_one_size_is_joined() {
        let check = |rows: &[u64], expected: Option<Range<usize>>| {
            assert_eq!(choose(&segments(rows), 1000, |_| true), expected, "{rows:?}");
        };
        check(&[], None);
        check(&[10; 7], None);
        check(&[10; 8], Some(0..8));
        check(&[10; 20], Some(0..20));
        check(&[400; 20], None);
        check(&[125; 9], Some(0..8));
        check(&[[900; 2].as_slice(), &[10; 9]].concat(), Some(2..11));
        // What was joined before waits for more of its size.
        check(&[[80].as_slice(), &[10; 7]].concat(), None);
        check(&[[80].as_slice(), &[10; 8]].concat(), Some(1..9));
        check(&[[80; 7].as_slice(), &[10; 7]].concat(), Some(0..14));
        check(&[[10; 4].as_slice(), &[2000], &[10; 4]].concat(), None);
    }

    #[test]
    fn a_joined_segment_spans_a_day_at_most() {
        assert_eq!(choose(&segments(&[1; 200]), 1000, |_| true), Some(0..RUN_MAX));
        let mut sparse = segments(&[1; 300]);
        sparse = sparse.into_iter().step_by(14).collect();
        assert_eq!(choose(&sparse, 1000, |_| true), None);
    }

    #[test]
    fn what_is_blanked_spoiled_or_of_another_node_is_not_joined_with_the_rest() {
        let mut mixed = segments(&[10; 12]);
        Arc::make_mut(&mut mixed[5]).visitors_blanked = true;
        assert_eq!(choose(&mixed, 1000, |_| true), None);
        let mut mixed = segments(&[10; 12]);
        Arc::make_mut(&mut mixed[5]).node = NodeNumber::new(2).expect("in range");
        assert_eq!(choose(&mixed, 1000, |_| true), None);
        assert_eq!(choose(&segments(&[10; 12]), 1000, |it| it.journal_file != 6), None);
        assert_eq!(choose(&segments(&[10; 14]), 1000, |it| it.journal_file != 6), Some(6..14));
    }
}
