//! Segments made into one other, with visitors' data or without.

use std::fs;
use std::sync::Arc;

use archive::{Archive, ArchiveError, Blank};
use domain::click::Click;
use domain::ids::ClickId;
use domain::segment::Segment;
use proptest::prelude::*;

use crate::builders::{ALL, Shelf, clicks, push, seal};

/// A shelf with a segment of so many clicks each, and all of their clicks.
fn shelf_of(rows: &[u64]) -> (Shelf, Vec<Click>) {
    let shelf = Shelf::empty();
    let mut start = 0;
    for (&rows, file) in rows.iter().zip(1..) {
        push(&shelf.archive, file, start, &clicks(start..start + rows));
        seal(&shelf.archive, file);
        start += rows;
    }
    (shelf, clicks(0..start))
}

fn rewrite(archive: &Archive, old: &[Arc<Segment>], blank: Blank<'_>) -> Result<Segment, ArchiveError> {
    archive.rewrite(old, blank, &|| false)
}

fn all(archive: &Archive) -> Vec<Click> {
    archive.list(&ALL, 0, usize::MAX).expect("readable").clicks
}

/// The click without what is its visitor's.
fn aged(click: &Click) -> Click {
    Click {
        visitor_id: None,
        region: String::new(),
        ip_address: None,
        sub_ids: <[String; 5]>::default(),
        user_agent: String::new(),
        referrer: String::new(),
        udid: String::new(),
        extra_query: String::new(),
        ..click.clone()
    }
}

fn erased(click: &Click) -> Click {
    Click { redirect_url: String::new(), ..aged(click) }
}

fn files(shelf: &Shelf) -> Vec<String> {
    let entries = fs::read_dir(shelf.dir.path()).expect("there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

fn files_of(segments: &[&Segment]) -> Vec<String> {
    let mut names: Vec<_> = segments
        .iter()
        .flat_map(|segment| ["crc", "parquet"].map(|ending| format!("{}.{ending}", segment.name())))
        .collect();
    names.sort();
    names
}

fn owned(segments: &[Arc<Segment>]) -> Vec<Segment> {
    segments.iter().map(|segment| Segment::clone(segment)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_rewritten_run_of_segments_holds_the_clicks_it_had(
        rows in prop::collection::vec(1u64..1300, 1..6),
        run: (prop::sample::Index, prop::sample::Index),
        erase in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        everybody in prop::bool::weighted(0.2),
    ) {
        let (shelf, before) = shelf_of(&rows);
        let mut ends = [run.0.index(rows.len()), run.1.index(rows.len())];
        ends.sort_unstable();
        let segments = shelf.archive.segments();
        let old = &segments[ends[0]..=ends[1]];
        let inside = |id: ClickId| old[0].first_click <= id && id <= old[old.len() - 1].last_click;
        let ids: Vec<ClickId> = erase.iter().map(|index| before[index.index(before.len())].id).collect();
        let expected: Vec<Click> = before
            .iter()
            .map(|click| match inside(click.id) {
                true if everybody => aged(click),
                true if ids.contains(&click.id) => erased(click),
                _ => click.clone(),
            })
            .collect();

        let blank = if everybody { Blank::Everybody } else { Blank::These(&ids) };
        let new = rewrite(&shelf.archive, old, blank).expect("written");
        prop_assert_eq!(new.visitors_blanked, everybody);
        prop_assert_eq!(&all(&shelf.archive), &before, "nobody sees it yet");
        let reached = shelf.archive.reached(ClickId::MIN, ClickId::MAX).expect("readable");
        shelf.archive.replace(old, Some(new.clone()));
        prop_assert_eq!(&all(&shelf.archive), &expected);
        prop_assert_eq!(shelf.archive.reached(ClickId::MIN, ClickId::MAX).expect("readable"), reached);
        for click in expected.iter().step_by(97) {
            let found = shelf.archive.find(click.id).expect("readable");
            prop_assert_eq!(found.as_ref(), Some(click));
        }
        drop(segments);
        prop_assert_eq!(shelf.archive.remove_replaced().expect("removable"), 0);
        let left = owned(&shelf.archive.segments());
        prop_assert_eq!(files(&shelf), files_of(&left.iter().collect::<Vec<_>>()));
        prop_assert_eq!(all(&shelf.reopened(left).expect("all there")), expected);
    }
}

#[test]
fn after_a_crash_between_any_two_steps_every_click_is_there_once() {
    for catalogued in [false, true] {
        for removed in 0..=2 {
            let (shelf, before) = shelf_of(&[700, 600, 500]);
            let old = shelf.archive.segments();
            let new = rewrite(&shelf.archive, &old[..2], Blank::Nobody).expect("written");
            let catalogue = if catalogued { vec![old[2].as_ref().clone(), new.clone()] } else { owned(&old) };
            if catalogued {
                // Of the first old segment, the file and then its checksums may be gone already.
                for ending in ["parquet", "crc"].iter().take(removed) {
                    fs::remove_file(shelf.path(&old[0], ending)).expect("removable");
                }
            }
            let reopened = shelf.reopened(catalogue.clone()).expect("all there");
            reopened.remove_orphans().expect("removable");
            assert_eq!(files(&shelf), files_of(&catalogue.iter().collect::<Vec<_>>()));
            assert_eq!(all(&reopened), before);
            if !catalogued {
                // Done again, it is the same segment.
                assert_eq!(rewrite(&reopened, &old[..2], Blank::Nobody).expect("written"), new);
            }
        }
    }
}

#[test]
fn damage_in_a_segment_stops_its_rewriting_and_leaves_all_as_it_was() {
    let (shelf, _) = shelf_of(&[700, 600, 500]);
    let old = shelf.archive.segments();
    let path = shelf.path(&old[1], "parquet");
    let mut bytes = fs::read(&path).expect("there");
    let before = files(&shelf);
    for at in (0..bytes.len()).step_by(bytes.len() / 20) {
        bytes[at] ^= 1;
        fs::write(&path, &bytes).expect("writable");
        let error = rewrite(&shelf.archive, &old, Blank::Nobody).expect_err("damaged");
        assert!(matches!(error, ArchiveError::Corrupt { file, .. } if file == path));
        assert_eq!(files(&shelf), before);
        bytes[at] ^= 1;
    }
}

#[test]
fn a_replaced_segment_stays_while_somebody_may_read_it() {
    let (shelf, before) = shelf_of(&[700, 600]);
    let held = shelf.archive.segments();
    let new = rewrite(&shelf.archive, &held, Blank::Nobody).expect("written");
    for _ in 0..2 {
        shelf.archive.replace(&held, Some(new.clone()));
        assert_eq!(shelf.archive.remove_replaced().expect("not yet"), 2);
    }
    assert_eq!(files(&shelf), files_of(&[&held[0], &held[1], &new]));
    drop(held);
    assert_eq!(shelf.archive.remove_replaced().expect("removable"), 0);
    assert_eq!(files(&shelf), files_of(&[&new]));
    assert_eq!(all(&shelf.archive), before);
}

#[test]
fn a_dropped_segment_is_gone() {
    let (shelf, before) = shelf_of(&[700, 600]);
    let segments = shelf.archive.segments();
    shelf.archive.replace(&segments[..1], None);
    drop(segments);
    assert_eq!(all(&shelf.archive), before[700..]);
    assert_eq!(shelf.archive.remove_replaced().expect("removable"), 0);
    assert_eq!(files(&shelf).len(), 2);
    assert_eq!(shelf.archive.last_click(), Some(before[1299].id));
}

#[test]
fn a_rewriting_that_is_stopped_leaves_nothing() {
    let (shelf, _) = shelf_of(&[700, 600]);
    let before = files(&shelf);
    let left = std::cell::Cell::new(50);
    let stop = || left.replace(left.get().max(1) - 1) == 0;
    let stopped = shelf.archive.rewrite(&shelf.archive.segments(), Blank::Nobody, &stop);
    assert!(matches!(stopped, Err(ArchiveError::Stopped)));
    assert_eq!(files(&shelf), before);
}

#[test]
fn a_clicks_segment_is_told_only_where_the_click_is() {
    let (shelf, before) = shelf_of(&[700, 600]);
    let segments = shelf.archive.segments();
    let of = |id| shelf.archive.segment_of(id).expect("readable").map(|it| it.name());
    assert_eq!(of(before[699].id), Some(segments[0].name()));
    assert_eq!(of(before[700].id), Some(segments[1].name()));
    let next = u128::from_be_bytes(before[3].id.to_bytes()) + 1;
    assert_eq!(of(ClickId::from_bytes(next.to_be_bytes())), None);
    assert_eq!(of(ClickId::MAX), None);
}
