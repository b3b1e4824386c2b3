//! A crash between any two steps of sealing, as often as it likes: every click is there exactly once, as it was.
//! A crash ends what is in memory; the folder stays as the steps before it have left it.

use std::fs;
use std::path::{Path, PathBuf};

use domain::archive_query::ClickFilter;
use domain::click::{Click, Country, Disposition};
use domain::ids::{AffiliateId, CampaignId, ClickId, OfferId};
use domain::segment::Segment;
use tempfile::TempDir;

use super::*;
use crate::{App, Opened, sample};

const ALL: ClickFilter =
    ClickFilter { from: ClickId::MIN, before: ClickId::MAX, offer_id: None, affiliate_id: None };
/// Write, catalogue, publish, drop.
const STEPS: usize = 4;
/// Clicks of one life.
const CLICKS: usize = 5;

/// A data folder and the clicks that are durable in it.
struct Place {
    folder: TempDir,
    clicks: Vec<Click>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), clicks: Vec::new() }
    }

    fn segments(&self) -> PathBuf {
        self.folder.path().join("segments")
    }

    /// Opens it after a crash and sees that nothing is lost and nothing is there twice.
    fn open(&self) -> Opened {
        let opened = sample::open_in(self.folder.path());
        self.assert_whole(&opened.app);
        opened
    }

    fn assert_whole(&self, app: &App) {
        let page = app.archive.list(&ALL, 0, usize::MAX).expect("readable");
        assert_eq!(page.clicks, self.clicks);
        assert_eq!(page.total, app.archive.count(&ALL).expect("readable"));
        for click in &self.clicks {
            assert_eq!(app.archive.find(click.id).expect("readable").as_ref(), Some(click));
        }
        for segment in &*app.archive.segments() {
            app.archive.verify_segment(segment).expect("sound");
        }
    }

    /// Makes some clicks durable and completes their journal file. Gives all files that are to be sealed.
    fn fill(&mut self, opened: &Opened) -> Vec<FileNumber> {
        let mut files: Vec<_> = opened.sealer.completed.try_iter().collect();
        for _ in 0..CLICKS {
            let click = append(&opened.app, self.clicks.len());
            self.clicks.push(click);
        }
        opened.app.journal.roll();
        files.push(opened.sealer.completed.recv().expect("the journal runs"));
        files
    }

    /// Opens, fills, seals all files but the last, does so many steps with that one, and crashes.
    fn live(&mut self, steps: usize) {
        let opened = self.open();
        let files = self.fill(&opened);
        let (last, others) = files.split_last().expect("one was just completed");
        for file in others {
            opened.sealer.seal(*file).expect("nothing is in the way");
        }
        seal_up_to(&opened.sealer, *last, steps);
        self.assert_whole(&opened.app);
    }

    /// Seals all there is; then every click is in a segment, and of files there are only those needed.
    fn seal_all(&mut self) {
        let opened = self.open();
        for file in opened.sealer.completed.try_iter() {
            opened.sealer.seal(file).expect("nothing is in the way");
        }
        self.assert_whole(&opened.app);
        let segments = opened.app.archive.segments();
        let rows: u64 = segments.iter().map(|segment| segment.rows).sum();
        assert_eq!((rows, opened.app.archive.recent_rows()), (self.clicks.len() as u64, 0));
        assert_eq!(opened.app.journal.stats().files, 1, "every sealed file is dropped");
        let mut expected: Vec<_> = segments.iter().flat_map(|it| names(it)).collect();
        expected.sort();
        assert_eq!(names_in(&self.segments()), expected);
    }
}

/// Makes a click durable.
fn append(app: &App, number: usize) -> Click {
    let small = u32::try_from(number).expect("few");
    let mut click = Click {
        offer_id: OfferId(small % 3),
        affiliate_id: AffiliateId(small % 2),
        campaign_id: (small % 4 > 0).then_some(CampaignId(small)),
        disposition: Disposition::ALL[number % 5],
        country: Country::new("DE").expect("letters"),
        ip_address: (small % 3 > 0).then(|| [10, 0, 0, small.to_le_bytes()[0]].into()),
        sub_ids: [number.to_string(), "ü".repeat(number), String::new(), "\0".to_owned(), "&=".to_owned()],
        user_agent: "u".repeat(number),
        ..Click::blank(ClickId::MIN)
    };
    let encode = |bytes: &mut Vec<u8>| {
        click.id = app.sequence().mint.mint(app.now(), number as u64);
        archive::record::encode(&click, bytes);
    };
    let seq = app.journal.append(encode).expect("there is room");
    app.journal.wait(seq).expect("durable");
    click
}

/// The first `steps` of what [`Sealer::seal`] does, as a crash may leave them.
fn seal_up_to(sealer: &Sealer, file: FileNumber, steps: usize) {
    if steps == 0 {
        return;
    }
    let segment = sealer.archive.write_segment(sealer.node, file).expect("written").expect("has clicks");
    if steps > 1 {
        sealer.ledger.record_segment(&segment).expect("entered");
    }
    if steps > 2 {
        sealer.archive.publish(segment);
    }
    if steps > 3 {
        sealer.journal.drop_file(file).expect("dropped");
    }
}

fn names(segment: &Segment) -> [String; 2] {
    ["crc", "parquet"].map(|ending| format!("{}.{ending}", segment.name()))
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().expect("a text")).collect();
    names.sort();
    names
}

#[test]
fn a_crash_after_any_step_and_then_after_any_other_loses_and_doubles_nothing() {
    for first in 0..=STEPS {
        for second in 0..=STEPS {
            let mut place = Place::new();
            place.live(first);
            place.live(second);
            place.seal_all();
        }
    }
}

#[test]
fn crashing_at_the_same_step_again_and_again_changes_nothing() {
    for steps in 0..=STEPS {
        let mut place = Place::new();
        for _ in 0..5 {
            place.live(steps);
        }
        place.seal_all();
        place.seal_all();
    }
}

#[test]
fn crashing_while_an_old_file_is_sealed_anew_changes_nothing() {
    for first in 0..STEPS {
        for again in 0..=STEPS {
            let mut place = Place::new();
            place.live(first);
            // No new clicks: the same file is taken up once more, and left once more.
            let opened = place.open();
            let files: Vec<_> = opened.sealer.completed.try_iter().collect();
            if first < 2 {
                seal_up_to(&opened.sealer, files[0], again);
            }
            drop(opened);
            place.seal_all();
        }
    }
}

/// What a crash, or a disk that lost what was never synced, may make of a file.
fn harm(path: &Path, way: usize) {
    let mut bytes = fs::read(path).expect("there");
    let half = bytes.len() / 2;
    match way {
        0 => {}
        1 => return fs::remove_file(path).expect("removable"),
        2 => bytes.clear(),
        3 => bytes.truncate(half),
        4 => bytes[half..].fill(0),
        5 => bytes.extend([7; 5000]),
        _ => return fs::rename(path, path.with_added_extension("tmp")).expect("renamable"),
    }
    fs::write(path, bytes).expect("writable");
}

#[test]
fn whatever_is_left_of_a_segment_outside_the_catalogue_is_cleared_away_and_made_anew() {
    for harm_to_sums in 0..7 {
        for harm_to_clicks in 0..7 {
            let mut place = Place::new();
            place.live(1);
            let left = names_in(&place.segments());
            let [sums, clicks] = &left[..] else { panic!("two files: {left:?}") };
            harm(&place.segments().join(sums), harm_to_sums);
            harm(&place.segments().join(clicks), harm_to_clicks);
            drop(place.open());
            assert!(names_in(&place.segments()).is_empty(), "{harm_to_sums} {harm_to_clicks}");
            place.seal_all();
        }
    }
}

#[test]
fn left_overs_under_the_names_being_written_are_written_over() {
    let mut place = Place::new();
    let opened = place.open();
    let files = place.fill(&opened);
    let file = *files.last().expect("one was just completed");
    let segment = opened.sealer.archive.write_segment(opened.sealer.node, file).expect("written");
    for name in names(&segment.expect("has clicks")) {
        let path = place.segments().join(name);
        fs::write(path.with_added_extension("tmp"), vec![7; 100_000]).expect("writable");
        fs::write(path, vec![7; 100_000]).expect("writable");
    }
    opened.sealer.seal(file).expect("nothing is in the way");
    place.assert_whole(&opened.app);
    drop(opened);
    place.seal_all();
}

#[test]
fn a_step_that_fails_is_done_again_with_all_before_it() {
    let mut place = Place::new();
    let opened = place.open();
    let file = *place.fill(&opened).last().expect("one was just completed");
    // No folder, no segment.
    let elsewhere = place.folder.path().join("elsewhere");
    fs::rename(place.segments(), &elsewhere).expect("renamable");
    assert!(matches!(opened.sealer.seal(file), Err(SealError::Archive(_))));
    place.assert_whole(&opened.app);
    fs::rename(&elsewhere, place.segments()).expect("renamable");
    // As far as the catalogue, and then the next step failed.
    seal_up_to(&opened.sealer, file, 2);
    opened.sealer.seal(file).expect("nothing is in the way");
    place.assert_whole(&opened.app);
    drop(opened);
    place.seal_all();
}

#[test]
fn from_clicks_that_could_not_be_made_readable_on_nothing_is_sealed_or_dropped() {
    let mut place = Place::new();
    let Opened { app, sealer, .. } = place.open();
    place.clicks.push(append(&app, 0));
    let strange = app.journal.append(|bytes| bytes.extend(b"no click")).expect("there is room");
    app.journal.wait(strange).expect("durable");
    app.journal.roll();
    while app.journal.stats().files < 2 {
        std::thread::yield_now();
    }
    // What comes later would be taken for the newest, and what is missing would come out of order.
    place.clicks.push(append(&app, 1));
    app.journal.roll();
    place.assert_whole(&app);
    let Sealer { journal, completed, .. } = sealer;
    drop((app, journal));
    assert!(completed.recv().is_err(), "nothing was given to the sealer by the end");
    let files = names_in(&place.folder.path().join("journal"));
    assert!(["1.log", "2.log"].iter().all(|end| files.iter().any(|name| name.ends_with(end))), "{files:?}");
}
