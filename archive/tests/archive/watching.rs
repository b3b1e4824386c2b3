//! Readers while clicks arrive and segments replace them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::builders::{ALL, Shelf, click, clicks, push, seal};

const FILES: u64 = 12;
const FILE_CLICKS: u64 = 700;

#[test]
fn a_reader_never_sees_a_click_twice_nor_loses_one_it_has_seen() {
    let shelf = Shelf::empty();
    let archive = &shelf.archive;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for file in 0..FILES {
                let start = file * FILE_CLICKS;
                for seq in (start..start + FILE_CLICKS).step_by(70) {
                    push(archive, file, seq, &clicks(seq..seq + 70));
                }
                // One file stays behind, as it does while the journal is writing it.
                if file > 0 {
                    seal(archive, file - 1);
                }
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Acquire) {
                let page = archive.list(&ALL, 0, usize::MAX).expect("readable");
                assert!(page.total >= seen, "lost a click");
                assert_eq!(page.clicks.len() as u64, page.total);
                assert!(page.clicks.is_sorted_by(|one, next| one.id < next.id), "a click twice");
                seen = page.total;
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let Some(last) = archive.last_click() else { continue };
                assert_eq!(archive.find(last).expect("readable").map(|click| click.id), Some(last));
                // Long in a segment, or about to be in one.
                assert!(archive.find(click(0).id).expect("readable").is_some());
            }
        });
    });
    assert_eq!(archive.list(&ALL, 0, usize::MAX).expect("readable").clicks, clicks(0..FILES * FILE_CLICKS));
}
