//! From recents to segments, and the order in which things must come.

use std::fs;

use archive::ArchiveError;
use domain::click::Click;
use domain::segment::Segment;

use crate::builders::{ALL, Shelf, click, clicks, encoded, node, push, seal, try_push};

fn refused_as_out_of_order(result: &Result<(), ArchiveError>) -> bool {
    matches!(result, Err(ArchiveError::OutOfOrder { .. }))
}

#[test]
fn a_segment_says_what_is_in_it() {
    let all = clicks(0..1000);
    let shelf = Shelf::empty();
    push(&shelf.archive, 5, 100, &all);
    let segment = shelf.archive.write_segment(node(), 5).expect("written").expect("has recents");
    assert_eq!((segment.node, segment.journal_file, segment.format), (node(), 5, 2));
    assert_eq!((segment.first_seq, segment.last_seq, segment.rows), (100, 1099, 1000));
    assert_eq!((segment.first_click, segment.last_click), (all[0].id, all[999].id));
    for click in &all {
        let of_offer = all.iter().filter(|it| it.offer_id == click.offer_id).count() as u64;
        let of_affiliate = all.iter().filter(|it| it.affiliate_id == click.affiliate_id).count() as u64;
        assert_eq!(segment.rows_of_offer(click.offer_id), of_offer);
        assert_eq!(segment.rows_of_affiliate(click.affiliate_id), of_affiliate);
    }
    assert_eq!(fs::metadata(shelf.path(&segment, "parquet")).expect("there").len(), segment.file_bytes);
    shelf.archive.verify_segment(&segment).expect("sound");
}

#[test]
fn a_segment_is_not_seen_before_it_is_published_and_only_once_after() {
    let shelf = Shelf::empty();
    push(&shelf.archive, 1, 0, &clicks(0..600));
    let segment = shelf.archive.write_segment(node(), 1).expect("written").expect("has recents");
    assert_eq!((shelf.archive.recent_rows(), shelf.archive.segments().len()), (600, 0));
    for _ in 0..2 {
        shelf.archive.publish(segment.clone());
        assert_eq!((shelf.archive.recent_rows(), shelf.archive.segments().len()), (0, 1));
        assert_eq!(shelf.archive.count(&ALL).expect("readable"), 600);
    }
    assert_eq!((shelf.archive.recent_bytes(), shelf.archive.recent_files()), (0, vec![]));
    assert!(shelf.archive.write_segment(node(), 1).expect("nothing to do").is_none());
}

#[test]
fn sealing_twice_writes_the_same_bytes() {
    let shelf = Shelf::empty();
    push(&shelf.archive, 1, 0, &clicks(0..1500));
    let read = |segment: &Segment| {
        ["parquet", "crc"].map(|ending| fs::read(shelf.path(segment, ending)).expect("there"))
    };
    let first = shelf.archive.write_segment(node(), 1).expect("written").expect("has recents");
    let first_bytes = read(&first);
    let second = shelf.archive.write_segment(node(), 1).expect("written").expect("has recents");
    assert_eq!(first, second);
    assert!(first_bytes == read(&second));
    assert_eq!(fs::read_dir(shelf.dir.path()).expect("there").count(), 2);
}

#[test]
fn a_reopened_archive_holds_its_segments_and_continues_after_them() {
    let shelf = Shelf::empty();
    push(&shelf.archive, 1, 0, &clicks(0..600));
    push(&shelf.archive, 2, 600, &clicks(600..700));
    // Catalogued in any order.
    let mut catalogue = vec![seal(&shelf.archive, 1), seal(&shelf.archive, 2)];
    catalogue.reverse();
    let reopened = shelf.reopened(catalogue).expect("all there");
    assert_eq!(reopened.last_click(), Some(click(699).id));
    assert!(refused_as_out_of_order(&try_push(&reopened, 3, 700, &[click(699)])));
    push(&reopened, 3, 700, &[click(700)]);
    assert_eq!(reopened.list(&ALL, 0, 1000).expect("readable").clicks, clicks(0..701));
}

#[test]
fn what_comes_out_of_order_is_refused_and_what_came_before_it_stays() {
    let shelf = Shelf::empty();
    let archive = &shelf.archive;
    push(archive, 2, 10, &clicks(0..3));
    assert!(
        refused_as_out_of_order(&try_push(archive, 2, 13, &[click(3), click(3), click(4)])),
        "an id twice"
    );
    assert!(refused_as_out_of_order(&try_push(archive, 2, 13, &[click(5)])), "a record number twice");
    assert!(refused_as_out_of_order(&try_push(archive, 1, 14, &[click(5)])), "an older file");
    archive.write_segment(node(), 2).expect("written");
    assert!(refused_as_out_of_order(&try_push(archive, 2, 14, &[click(5)])), "a file being sealed");
    push(archive, 3, 14, &[click(5)]);
    assert_eq!(archive.recent_files(), [2, 3]);
    let mut expected = clicks(0..4);
    expected.push(click(5));
    assert_eq!(archive.list(&ALL, 0, 10).expect("readable").clicks, expected);
}

#[test]
fn a_record_without_a_click_is_refused() {
    let shelf = Shelf::empty();
    let record = encoded(&click(0));
    let pushed = shelf.archive.push_recents(1, [(7, &record[..record.len() - 1])].into_iter());
    assert!(matches!(pushed, Err(ArchiveError::Record { file: 1, seq: 7, .. })));
    assert_eq!((shelf.archive.recent_rows(), shelf.archive.recent_files()), (0, vec![]));
}

#[test]
fn orphans_are_removed_and_segments_and_strangers_are_not() {
    let (shelf, segment) = Shelf::sealed(&clicks(0..10));
    push(&shelf.archive, 2, 20, &clicks(10..20));
    let orphan = shelf.archive.write_segment(node(), 2).expect("written").expect("has recents");
    let half_written = shelf.dir.path().join("clicks-0007-x.parquet.tmp");
    let stranger = shelf.dir.path().join("notes.txt");
    for path in [&half_written, &stranger] {
        fs::write(path, "x").expect("writable");
    }
    let reopened = shelf.reopened(vec![segment.clone()]).expect("all there");
    assert_eq!(reopened.remove_orphans().expect("removable").len(), 3);
    assert!(!half_written.exists() && !shelf.path(&orphan, "parquet").exists());
    assert!(stranger.exists());
    reopened.verify_segment(&segment).expect("untouched");
    assert_eq!(reopened.remove_orphans().expect("nothing left"), Vec::<String>::new());
}

#[test]
fn strange_and_long_values_come_back_as_they_were() {
    let long = |letter: &str| letter.repeat(16 * 1024);
    let mut all = clicks(0..600);
    for (at, click) in all.iter_mut().enumerate().step_by(50) {
        *click = Click {
            ip_address: ["::", "::1", "::ffff:1.2.3.4", "255.255.255.255"][at / 50 % 4].parse().ok(),
            sub_ids: [long("a"), long("é"), long("\0"), "🦀".into(), String::new()],
            user_agent: long("u"),
            referrer: long("r"),
            udid: "\u{feff}\u{202e}".into(),
            extra_query: long("&"),
            redirect_url: long("/"),
            ..click.clone()
        };
    }
    let (shelf, segment) = Shelf::sealed(&all);
    shelf.archive.verify_segment(&segment).expect("sound");
    assert!(shelf.archive.list(&ALL, 0, 1000).expect("readable").clicks == all);
    for click in &all {
        assert!(shelf.archive.find(click.id).expect("readable").as_ref() == Some(click));
    }
}

#[test]
fn a_segment_of_one_click_is_a_segment() {
    let (shelf, segment) = Shelf::sealed(&[click(0)]);
    shelf.archive.verify_segment(&segment).expect("sound");
    assert_eq!(shelf.archive.list(&ALL, 0, 10).expect("readable").clicks, [click(0)]);
}
