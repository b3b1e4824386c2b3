//! Cubes as a whole: that they answer, that they are proven, and that nothing else is believed.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use domain::click::Click;
use domain::grouping::Value;
use domain::ids::OfferId;
use domain::report::{Attribute, ClickGrouping, Filter, TimeUnit, periods};
use domain::segment::Segment;
use jiff::ToSpan;
use jiff::tz::TimeZone;

use super::*;
use crate::group::tests::{Kind, Shelf, by, click, naive, sorted, zone};
use crate::{Archive, ArchiveError, Blank, Options};

const UTC: Kind = Kind::Cube(false, "UTC");

fn segment(shelf: &Shelf) -> Segment {
    Segment::clone(&shelf.archive.segments()[0])
}

fn cube_path(shelf: &Shelf) -> PathBuf {
    shelf.archive.folder.cubes.path(&segment(shelf))
}

/// The shelf's folder, opened by another archive.
fn reopened(shelf: &Shelf, cube_cache_bytes: u64) -> Archive {
    let options = Options { dir: shelf.dir.path().to_owned(), metadata_cache_max: 2, cube_cache_bytes };
    Archive::open(options, vec![segment(shelf)]).expect("opens")
}

fn files(shelf: &Shelf) -> Vec<String> {
    let entries = fs::read_dir(shelf.dir.path()).expect("there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// Groupings by everything a cube has, over all of the clicks.
fn groupings(unit: Option<TimeUnit>, name: &str, clicks: &[Click]) -> Vec<ClickGrouping> {
    let [first, last] = [&clicks[0], &clicks[clicks.len() - 1]].map(Click::date);
    let all = periods(first, last + 1.second(), unit, &zone(name));
    let of_offer = Filter { attribute: Offer, values: vec![Value::Id(3), Value::Id(4)] };
    let grouping = |attributes: &[Attribute], filters: &[Filter]| ClickGrouping {
        periods: all.clone(),
        filters: filters.to_vec(),
        ..by(attributes)
    };
    vec![
        grouping(&[], &[]),
        grouping(&[Offer], &[]),
        grouping(&[Affiliate, Campaign], std::slice::from_ref(&of_offer)),
        grouping(&[Advertiser, Disposition], &[of_offer]),
    ]
}

/// Makes the segment unreadable, so that only its cube can answer.
fn spoil_segment(shelf: &Shelf) {
    let path = shelf.dir.path().join(format!("{}.parquet", segment(shelf).name()));
    let len = fs::metadata(&path).expect("there").len();
    fs::write(&path, vec![0; usize::try_from(len).expect("small")]).expect("writable");
}

#[test]
fn days_and_hours_of_the_zone_are_answered_by_the_cube_alone() {
    for name in ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"] {
        for units in [[None, Some(TimeUnit::Day)], [Some(TimeUnit::Week), Some(TimeUnit::Hour)]] {
            // Four days; in New York clocks are put back in the midst of them.
            let shelf = Shelf::new(&[(1500, Kind::Cube(false, name))]);
            spoil_segment(&shelf);
            for bytes in [0, 1 << 20] {
                let archive = reopened(&shelf, bytes);
                let all = units.iter().flat_map(|unit| groupings(*unit, name, &shelf.clicks));
                // Twice: the second time from memory.
                for grouping in all.flat_map(|it| [it.clone(), it]) {
                    let found = sorted(archive.group(&grouping).expect("the segment is not read"));
                    assert_eq!(found, naive(&shelf.clicks, &grouping), "{name}");
                }
                assert!(archive.folder.cubes.bytes() <= bytes);
                assert!(bytes == 0 || archive.folder.cubes.bytes() > 0);
            }
        }
    }
}

#[test]
fn each_views_attributes_are_answered_by_the_cube_alone() {
    let clicks: Vec<Click> = (0..900).map(click).collect();
    let shelf = Shelf::new(&[(900, UTC)]);
    spoil_segment(&shelf);
    let archive = reopened(&shelf, 1 << 20);
    // Of four days, so that a day's clicks are few: the second sub id is each click's own.
    let left_out = [SubId(1)];
    for view in VIEWS.iter().filter(|it| it.quarters == 2) {
        let grouping = by(&view.attributes[..1]);
        let found = archive.group(&grouping);
        if left_out.contains(&view.attributes[0]) {
            assert!(matches!(found, Err(ArchiveError::Corrupt { .. })), "it would save nothing");
        } else {
            assert_eq!(sorted(found.expect("by the cube")), naive(&clicks, &grouping));
        }
    }
}

#[test]
fn a_period_that_cuts_an_hour_is_answered_exactly() {
    let shelf = Shelf::new(&[(900, Kind::Cube(false, "Asia/Kolkata"))]);
    for index in [1, 100, 101, 500] {
        let (from, until) = (shelf.clicks[index].date(), shelf.clicks[index + 300].date());
        for unit in [None, Some(TimeUnit::Hour), Some(TimeUnit::Day)] {
            let grouping =
                ClickGrouping { periods: periods(from, until, unit, &TimeZone::UTC), ..by(&[Offer]) };
            let found = sorted(shelf.archive.group(&grouping).expect("readable"));
            assert_eq!(found, naive(&shelf.clicks, &grouping));
        }
    }
}

/// Everything in a cube, or why not.
fn content(path: &std::path::Path, segment: &Segment) -> Result<Vec<domain::grouping::Column>, ArchiveError> {
    let cube = Cube::open(path, segment)?.expect("there");
    let tables = cube.directory.blocks.iter().flat_map(|it| &it.tables);
    tables.flat_map(|it| it.columns.iter().map(|column| cube.column(*column, it.rows))).collect()
}

#[test]
fn a_flipped_bit_anywhere_in_a_cube_is_told_and_never_believed() {
    let shelf = Shelf::new(&[(4, Kind::Segment)]);
    let (segment, path) = (segment(&shelf), cube_path(&shelf));
    shelf.archive.make_cube(&segment, &TimeZone::UTC, &|| false).expect("made");
    let bytes = fs::read(&path).expect("there");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("writable");
    assert!(content(&path, &segment).is_ok_and(|it| it.len() > 10));
    for (at, byte) in (0..).zip(&bytes) {
        for bit in 0..8 {
            file.write_all_at(&[byte ^ (1 << bit)], at).expect("written");
            assert!(matches!(content(&path, &segment), Err(ArchiveError::Corrupt { .. })), "{bit} of {at}");
        }
        file.write_all_at(&[*byte], at).expect("written");
    }
    for len in 0..bytes.len() {
        fs::write(&path, &bytes[..len]).expect("written");
        assert!(matches!(content(&path, &segment), Err(ArchiveError::Corrupt { .. })), "{len} bytes");
    }
}

#[test]
fn what_a_damaged_cube_cannot_tell_is_read_and_the_cube_can_be_made_anew() {
    let shelf = Shelf::new(&[(900, UTC)]);
    let (segment, path) = (segment(&shelf), cube_path(&shelf));
    let sound = fs::read(&path).expect("there");
    for at in (0..sound.len()).step_by(sound.len() / 40) {
        let mut bytes = sound.clone();
        bytes[at] ^= 4;
        fs::write(&path, &bytes).expect("writable");
        let archive = reopened(&shelf, 1 << 20);
        for view in &VIEWS {
            let grouping = by(view.attributes);
            assert_eq!(sorted(archive.group(&grouping).expect("readable")), naive(&shelf.clicks, &grouping));
        }
        let state = archive.cube_state(&segment, &TimeZone::UTC);
        assert!(
            matches!(archive.verify_cube(&segment), Err(ArchiveError::Corrupt { file, .. }) if file == path)
        );
        // A column that no question has needed is found out by whoever needs it.
        assert!(matches!(state, CubeState::Damaged(_) | CubeState::Current), "{state:?}");
        archive.make_cube(&segment, &TimeZone::UTC, &|| false).expect("made");
        assert_eq!(archive.cube_state(&segment, &TimeZone::UTC), CubeState::Current);
        assert_eq!(fs::read(&path).expect("there"), sound, "made again, it is the same");
    }
}

#[test]
fn a_file_that_is_another_segments_cube_is_not_used() {
    let shelf = Shelf::new(&[(300, UTC)]);
    let other = Shelf::new(&[(301, UTC)]);
    fs::copy(cube_path(&other), cube_path(&shelf)).expect("copied");
    let archive = reopened(&shelf, 1 << 20);
    let state = || archive.cube_state(&segment(&shelf), &TimeZone::UTC);
    assert!(matches!(state(), CubeState::Damaged(reason) if reason.contains("another segment")));
    let found = sorted(archive.group(&by(&[Offer])).expect("readable"));
    assert_eq!(found, naive(&shelf.clicks, &by(&[Offer])));
}

#[test]
fn a_cube_is_missing_then_current_and_of_another_zone_once_that_has_changed() {
    let shelf = Shelf::new(&[(300, Kind::Segment)]);
    let (segment, lord_howe) = (segment(&shelf), zone("Australia/Lord_Howe"));
    let state = |zone: &TimeZone| shelf.archive.cube_state(&segment, zone);
    assert_eq!(state(&TimeZone::UTC), CubeState::Missing);
    let stopped = shelf.archive.make_cube(&segment, &TimeZone::UTC, &|| true);
    assert!(matches!(stopped, Err(ArchiveError::Stopped)));
    assert_eq!((state(&TimeZone::UTC), files(&shelf).len()), (CubeState::Missing, 2));
    shelf.archive.make_cube(&segment, &TimeZone::UTC, &|| false).expect("made");
    assert_eq!((state(&TimeZone::UTC), state(&lord_howe)), (CubeState::Current, CubeState::OfAnotherZone));
    shelf.archive.make_cube(&segment, &lord_howe, &|| false).expect("made");
    assert_eq!((state(&TimeZone::UTC), state(&lord_howe)), (CubeState::OfAnotherZone, CubeState::Current));
}

#[test]
fn a_cube_goes_with_its_segment_and_what_a_crash_has_left_goes_at_the_start() {
    let shelf = Shelf::new(&[(300, UTC)]);
    let old = shelf.archive.segments();
    let new = shelf.archive.rewrite(&old, Blank::Everybody, &|| false).expect("written");
    shelf.archive.replace(&old, Some(new.clone()));
    drop(old);
    assert_eq!(shelf.archive.remove_replaced().expect("removable"), 0);
    assert_eq!(files(&shelf), ["crc", "parquet"].map(|it| format!("{}.{it}", new.name())));
    shelf.archive.make_cube(&new, &TimeZone::UTC, &|| false).expect("made");
    let without = by(&[SubId(0)]);
    assert_eq!(shelf.archive.group(&without).expect("readable").len(), 1, "blanked");
    // Written and not renamed; and of a segment that is not catalogued any more.
    let half = format!("{}.cube.tmp", new.name());
    for name in [half.as_str(), "clicks-0007-1-2.cube"] {
        fs::write(shelf.dir.path().join(name), "left").expect("writable");
    }
    let mut removed = reopened(&shelf, 0).remove_orphans().expect("removable");
    removed.sort();
    assert_eq!(removed, [half.as_str(), "clicks-0007-1-2.cube"]);
    assert_eq!(files(&shelf), ["crc", "cube", "parquet"].map(|it| format!("{}.{it}", new.name())));
}

#[test]
fn a_cube_is_proven_and_one_of_other_clicks_is_told_with_the_group_that_differs() {
    let shelf = Shelf::new(&[(900, Kind::Segment)]);
    shelf.archive.verify_cube(&segment(&shelf)).expect("none is right too");
    for name in ["UTC", "Australia/Lord_Howe"] {
        shelf.archive.make_cube(&segment(&shelf), &zone(name), &|| false).expect("made");
        shelf.archive.verify_cube(&segment(&shelf)).expect("right");
    }
    // The same ids, but another offer's click.
    let mut clicks = shelf.clicks.clone();
    clicks[700].offer_id = OfferId(77);
    let other = Shelf::of(clicks, UTC);
    assert_eq!(segment(&other).name(), segment(&shelf).name());
    fs::copy(cube_path(&other), cube_path(&shelf)).expect("copied");
    let error = shelf.archive.verify_cube(&segment(&shelf)).expect_err("another's").to_string();
    assert!(error.contains(".cube is damaged") && error.contains("by offer, advertiser"), "{error}");
    assert!(
        error.contains("1 clicks more of offer 77,") || error.contains("1 clicks fewer of offer"),
        "{error}"
    );
}
