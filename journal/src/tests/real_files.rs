//! The journal on the real file system: what a simulated disk cannot show.

use std::fs;
use std::path::Path;

use super::{Notes, write};
use crate::{Journal, JournalError, Opened, Options, Seq};

fn options(dir: &Path) -> Options {
    Options { dir: dir.to_owned(), file_bytes: 64 << 10, pending_bytes_max: 16 << 10, spare_files_max: 1 }
}

fn start(dir: &Path) -> Journal {
    Opened::open(options(dir)).unwrap().start(Box::<Notes>::default()).unwrap()
}

fn replay(dir: &Path) -> Vec<(Seq, Vec<u8>)> {
    let mut records = Vec::new();
    let mut opened = Opened::open(options(dir)).unwrap();
    opened.replay(|_| true, |_, seq, record| records.push((seq, record.to_vec()))).unwrap();
    records
}

#[test]
fn records_survive_in_a_folder_that_was_not_there() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("some/journal");
    let journal = start(&dir);
    let expected: Vec<_> = (0..=255_u8).map(|n| (u64::from(n) + 1, vec![n; usize::from(n) * 3])).collect();
    for (seq, record) in &expected {
        assert_eq!(write(&journal, record), *seq);
    }
    let stats = journal.stats();
    assert_eq!((stats.batches, stats.records), (256, 256));
    assert!(stats.files > 1);
    drop(journal);
    assert_eq!(replay(&dir), expected);
    assert_eq!(replay(&dir), expected);
}

#[test]
fn a_file_has_its_full_size_before_it_is_used() {
    let home = tempfile::tempdir().unwrap();
    let journal = start(home.path());
    write(&journal, b"one");
    let file = home.path().join("00000000000000000001.log");
    assert_eq!(fs::metadata(file).unwrap().len(), options(home.path()).file_bytes);
}

#[test]
fn only_one_process_may_have_the_folder_open() {
    let home = tempfile::tempdir().unwrap();
    let opened = Opened::open(options(home.path())).unwrap();
    let refused = || matches!(Opened::open(options(home.path())), Err(JournalError::Locked { dir }) if dir == home.path());
    assert!(refused());
    let journal = opened.start(Box::<Notes>::default()).unwrap();
    assert!(refused());
    journal.close();
    assert!(Opened::open(options(home.path())).is_ok());
}

#[test]
fn strange_files_are_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("README.log"), "not ours").unwrap();
    write(&start(home.path()), b"one");
    assert_eq!(replay(home.path()), [(1, b"one".to_vec())]);
    assert!(home.path().join("README.log").exists());
}

#[test]
fn a_torn_tail_is_cut_off_in_the_file() {
    let home = tempfile::tempdir().unwrap();
    let journal = start(home.path());
    write(&journal, b"one");
    write(&journal, &[2; 1000]);
    drop(journal);
    let path = home.path().join("00000000000000000001.log");
    let mut bytes = fs::read(&path).unwrap();
    // Header, the first frame of 32 + 16 bytes, the second's head, and half of its record.
    bytes[64 + 48 + 32 + 500..].fill(0);
    fs::write(&path, bytes).unwrap();

    let mut opened = Opened::open(options(home.path())).unwrap();
    let torn = opened.replay(|_| true, |_, _, _| {}).unwrap().torn.unwrap();
    assert_eq!((torn.file, torn.offset), (1, 64 + 48));
    assert_eq!(fs::metadata(&path).unwrap().len(), 64 + 48);
    assert_eq!(opened.replay(|_| true, |_, _, _| {}).unwrap().torn, None);
}
