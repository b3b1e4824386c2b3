//! Files that are not what was written: told, never believed.

use std::fs;
use std::path::Path;

use archive::{Archive, ArchiveError};
use domain::archive_query::{ClickFilter, ClickPage};
use domain::click::Click;
use domain::ids::{AffiliateId, OfferId};
use domain::segment::Segment;
use proptest::prelude::*;

use crate::builders::{ALL, Shelf, click, clicks, naive, push, seal};

/// Flips one bit of the file.
fn flip(path: &Path, at: usize, bit: u32) {
    let mut bytes = fs::read(path).expect("there");
    bytes[at] ^= 1 << bit;
    fs::write(path, bytes).expect("writable");
}

fn is_damage<T>(result: &Result<T, ArchiveError>, path: &Path) -> bool {
    matches!(result, Err(ArchiveError::Corrupt { file, .. }) if file == path)
}

/// Asks all kinds of questions: each answer is right, or says that `path` is damaged.
fn check_answers(archive: &Archive, all: &[Click], path: &Path) {
    for click in all.iter().step_by(61) {
        let found = archive.find(click.id);
        assert!(is_damage(&found, path) || found.expect("no other error").as_ref() == Some(click));
    }
    let part = ClickFilter { from: all[100].id, before: all[900].id, ..ALL };
    let of_offer = ClickFilter { offer_id: Some(OfferId(1)), ..part };
    let of_both = ClickFilter { affiliate_id: Some(AffiliateId(2)), ..of_offer };
    for filter in [ALL, part, of_offer, of_both] {
        for (offset, limit) in [(0, 1000), (700, 3), (0, 0)] {
            let page: Result<ClickPage, _> = archive.list(&filter, offset, limit);
            let right = |page| page == naive(all, &filter, offset, limit);
            assert!(is_damage(&page, path) || right(page.expect("no other error")));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_flipped_bit_anywhere_in_a_segment_is_told_and_never_served(
        at: prop::sample::Index,
        bit in 0u32..8,
        opened_before: bool,
    ) {
        let all = clicks(0..1100);
        let (shelf, segment) = Shelf::sealed(&all);
        let path = shelf.path(&segment, "parquet");
        let at = at.index(usize::try_from(segment.file_bytes).expect("small"));
        if opened_before {
            shelf.archive.find(all[0].id).expect("readable");
        }
        flip(&path, at, bit);
        match shelf.archive.verify_segment(&segment) {
            Err(ArchiveError::Corrupt { file, offset, .. }) => {
                prop_assert_eq!(file, path.clone());
                prop_assert!((offset..offset + 4096).contains(&(at as u64)), "{} is not in the block at {}", at, offset);
            }
            other => prop_assert!(false, "{other:?}"),
        }
        check_answers(&shelf.archive, &all, &path);
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_checksum_file_is_told(at: prop::sample::Index, bit in 0u32..8) {
        let all = clicks(0..1100);
        let (shelf, segment) = Shelf::sealed(&all);
        let path = shelf.path(&segment, "crc");
        let len = fs::metadata(&path).expect("there").len();
        flip(&path, at.index(usize::try_from(len).expect("small")), bit);
        prop_assert!(is_damage(&shelf.archive.verify_segment(&segment), &path));
        check_answers(&shelf.archive, &all, &path);
    }

    #[test]
    fn a_file_cut_anywhere_or_made_longer_is_told_and_never_served(
        is_sums: bool,
        kept: prop::sample::Index,
        more in prop::option::of(prop::collection::vec(any::<u8>(), 1..9000)),
    ) {
        let all = clicks(0..1100);
        let (shelf, segment) = Shelf::sealed(&all);
        let path = shelf.path(&segment, if is_sums { "crc" } else { "parquet" });
        let mut bytes = fs::read(&path).expect("there");
        match more {
            Some(more) => bytes.extend(more),
            None => bytes.truncate(kept.index(bytes.len())),
        }
        fs::write(&path, bytes).expect("writable");
        prop_assert!(is_damage(&shelf.archive.verify_segment(&segment), &path));
        if !is_sums {
            prop_assert!(is_damage(&shelf.reopened(vec![segment.clone()]).map(|_| ()), &path));
        }
        check_answers(&shelf.archive, &all, &path);
    }
}

/// Two archives of as many clicks each under the same names, whose clicks differ.
fn twins() -> [(Shelf, Segment); 2] {
    let theirs = clicks(0..1100).into_iter().map(|click| Click { user_agent: "theirs".to_owned(), ..click });
    [Shelf::sealed(&clicks(0..1100)), Shelf::sealed(&theirs.collect::<Vec<_>>())]
}

#[test]
fn another_archives_file_under_the_same_name_is_told() {
    for endings in [&["parquet"][..], &["crc"], &["parquet", "crc"]] {
        let [(ours, segment), (theirs, twin)] = twins();
        assert_eq!(segment.name(), twin.name());
        for ending in endings {
            fs::copy(theirs.path(&twin, ending), ours.path(&segment, ending)).expect("writable");
        }
        let path = ours.path(&segment, "parquet");
        assert!(is_damage(&ours.archive.verify_segment(&segment), &path), "{endings:?}");
        assert!(is_damage(&ours.archive.find(click(7).id), &path), "{endings:?}");
        if endings.contains(&"parquet") {
            assert!(is_damage(&ours.reopened(vec![segment]).map(|_| ()), &path), "{endings:?}");
        }
    }
}

#[test]
fn the_checksums_in_the_place_of_the_clicks_and_the_other_way_round_are_told() {
    let (shelf, segment) = Shelf::sealed(&clicks(0..600));
    let [path, sums] = ["parquet", "crc"].map(|ending| shelf.path(&segment, ending));
    let elsewhere = shelf.dir.path().join("elsewhere");
    for (from, to) in [(&path, &elsewhere), (&sums, &path), (&elsewhere, &sums)] {
        fs::rename(from, to).expect("renamable");
    }
    assert!(is_damage(&shelf.archive.find(click(1).id), &sums));
    assert!(is_damage(&shelf.reopened(vec![segment.clone()]).map(|_| ()), &path));
}

#[test]
fn a_damaged_segment_fails_only_the_questions_that_need_it() {
    let shelf = Shelf::empty();
    let all = clicks(0..1800);
    push(&shelf.archive, 1, 0, &all[..600]);
    push(&shelf.archive, 2, 600, &all[600..1200]);
    push(&shelf.archive, 3, 1200, &all[1200..]);
    seal(&shelf.archive, 1);
    let damaged = shelf.path(&seal(&shelf.archive, 2), "parquet");
    let zeros = vec![0; usize::try_from(fs::metadata(&damaged).expect("there").len()).expect("small")];
    fs::write(&damaged, zeros).expect("writable");

    assert!(is_damage(&shelf.archive.find(all[700].id), &damaged));
    assert!(is_damage(&shelf.archive.list(&ALL, 500, 200), &damaged));
    assert_eq!(shelf.archive.find(all[5].id).expect("another segment"), Some(click(5)));
    assert_eq!(shelf.archive.find(all[1500].id).expect("a recent"), Some(click(1500)));
    assert_eq!(shelf.archive.count(&ALL).expect("from the catalogue"), 1800);
    for offset in [0, 1200] {
        let page = shelf.archive.list(&ALL, offset, 600).expect("on either side of the damage");
        assert_eq!(page, naive(&all, &ALL, offset, 600));
    }
}

#[test]
fn a_missing_or_cut_file_is_told_at_opening_and_when_asked() {
    for ending in ["parquet", "crc"] {
        let (shelf, segment) = Shelf::sealed(&clicks(0..600));
        let path = shelf.path(&segment, ending);
        let whole = fs::read(&path).expect("there");

        fs::write(&path, &whole[..whole.len() - 1]).expect("writable");
        assert!(is_damage(&shelf.archive.find(click(1).id), &path), "a cut {ending} file, asked");
        if ending == "parquet" {
            assert!(
                is_damage(&shelf.reopened(vec![segment.clone()]).map(|_| ()), &path),
                "a cut file, opened"
            );
        }
        fs::remove_file(&path).expect("removable");
        assert!(is_damage(&shelf.archive.find(click(1).id), &path), "no {ending} file, asked");
        assert!(
            is_damage(&shelf.reopened(vec![segment.clone()]).map(|_| ()), &path),
            "no {ending} file, opened"
        );
        assert!(is_damage(&shelf.archive.verify_segment(&segment), &path));
    }
}

#[test]
fn a_file_cut_while_it_is_open_is_told() {
    let (shelf, segment) = Shelf::sealed(&clicks(0..600));
    let path = shelf.path(&segment, "parquet");
    shelf.archive.find(click(1).id).expect("readable").expect("there");
    fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(100)).expect("writable");
    assert!(is_damage(&shelf.archive.find(click(1).id), &path));
}

#[test]
fn a_segment_in_the_place_of_another_is_told() {
    let shelf = Shelf::empty();
    push(&shelf.archive, 1, 0, &clicks(0..600));
    push(&shelf.archive, 2, 600, &clicks(600..1200));
    let [one, other] = [seal(&shelf.archive, 1), seal(&shelf.archive, 2)];
    for ending in ["parquet", "crc"] {
        fs::copy(shelf.path(&one, ending), shelf.path(&other, ending)).expect("writable");
    }
    assert!(is_damage(&shelf.archive.find(click(700).id), &shelf.path(&other, "parquet")));
}

#[test]
fn a_catalogue_that_counts_otherwise_is_told() {
    let (shelf, mut segment) = Shelf::sealed(&clicks(0..600));
    segment.rows_by_offer[0].1 += 1;
    let path = shelf.path(&segment, "parquet");
    assert!(is_damage(&shelf.archive.verify_segment(&segment), &path));
}

#[test]
fn a_folder_that_cannot_be_written_is_told_and_nothing_is_lost() {
    let shelf = Shelf::empty();
    push(&shelf.archive, 1, 0, &clicks(0..600));
    fs::remove_dir_all(shelf.dir.path()).expect("removable");
    let written = shelf.archive.write_segment(crate::builders::node(), 1);
    assert!(matches!(written, Err(ArchiveError::Unavailable(_))));
    fs::create_dir(shelf.dir.path()).expect("creatable");
    seal(&shelf.archive, 1);
    assert_eq!(shelf.archive.list(&ALL, 0, 1000).expect("readable").clicks, clicks(0..600));
}
