//! Rolling from file to file, dropping and using them again.

use super::*;

#[test]
fn a_full_file_is_followed_by_the_next_and_reported_once() {
    let (disk, notes) = (SimDisk::default(), Notes::default());
    let journal = start(&disk, notes.clone());
    (1..=60).for_each(|number| _ = write(&journal, &record(number)));
    journal.close();
    let files: Vec<_> = replay_all(&disk).unwrap().0.files.iter().map(|file| file.file).collect();
    let (last, earlier) = files.split_last().unwrap();
    assert!(earlier.len() >= 3);
    assert_eq!(notes.read(|noted| noted.rolled.clone()), earlier);
    assert_eq!(*last, earlier.len() as u64 + 1);
}

#[test]
fn a_file_is_rolled_on_request_but_only_with_records() {
    let (disk, notes) = (SimDisk::default(), Notes::default());
    let journal = start(&disk, notes.clone());
    journal.roll();
    write(&journal, &record(1));
    notes.wait_until(|noted| noted.rolled == [1]);
    write(&journal, &record(2));
    journal.roll();
    notes.wait_until(|noted| noted.rolled == [1, 2]);
    journal.close();
    let (replayed, records) = replay_all(&disk).unwrap();
    assert_numbered(&records);
    assert_eq!(replayed.files.len(), 2);
}

#[test]
fn the_newest_file_cannot_be_dropped_and_a_dropped_one_is_no_error() {
    let notes = Notes::default();
    let journal = start(&SimDisk::default(), notes.clone());
    write(&journal, &record(1));
    assert!(matches!(journal.drop_file(1), Err(JournalError::InUse { file: 1 })));
    journal.roll();
    notes.wait_until(|noted| noted.rolled == [1]);
    journal.drop_file(1).unwrap();
    journal.drop_file(1).unwrap();
    assert_eq!(journal.stats().files, 1);
}

#[test]
fn unwanted_files_are_not_read() {
    let disk = written(40);
    let mut damaged = disk.bytes_of(&log_name(1));
    damaged[100] ^= 1;
    disk.put(&log_name(1), damaged);
    assert!(replay_all(&disk).is_err());

    let (replayed, records) = replay_where(&disk, |file| file > 1).unwrap();
    assert!(replayed.files.iter().all(|file| file.file > 1));
    assert!(records[0].1 > 1);
    assert_eq!(records.last().unwrap().1, 40);

    // The newest goes unheard too, but its numbers count.
    let (replayed, records) = replay_where(&disk, |_| false).unwrap();
    assert!(records.is_empty() && replayed.files.is_empty());
    assert_eq!(replayed.next_seq, 41);
}

#[test]
fn recycled_files_never_show_what_they_held() {
    let (disk, notes) = (SimDisk::default(), Notes::default());
    let journal = start(&disk, notes.clone());
    // Records of one length, so that stale frames lie exactly where new ones would.
    for round in 1..=30_u64 {
        let seqs: Vec<_> = (0..3).map(|_| write(&journal, &round.to_le_bytes())).collect();
        journal.roll();
        notes.wait_until(|noted| noted.rolled.last() == Some(&round));
        journal.drop_file(round).unwrap();
        assert_eq!(seqs[2], round * 3);
    }
    // One record, and behind it whatever the file held in its earlier uses.
    write(&journal, &31_u64.to_le_bytes());
    let bytes = disk.bytes_of(&log_name(31));
    assert!(bytes[64 + 48..].iter().any(|byte| *byte != 0), "the file was used before");
    journal.close();

    let (replayed, records) = replay_all(&disk).unwrap();
    assert_eq!(records, [(31, 91, 31_u64.to_le_bytes().to_vec())]);
    assert_eq!(replayed.torn, None);
}

#[test]
fn no_more_spares_are_kept_than_allowed() {
    let (disk, notes) = (SimDisk::default(), Notes::default());
    let journal = start(&disk, notes.clone());
    (1..=150).for_each(|number| _ = write(&journal, &record(number)));
    let rolled = notes.read(|noted| noted.rolled.clone());
    assert!(rolled.len() > 4);
    for file in rolled {
        journal.drop_file(file).unwrap();
    }
    // One more than allowed when the preparer was at work on one.
    let spares = names(&disk, ".spare").len();
    assert!(spares <= options().spare_files_max + 1, "{spares}");
}

#[test]
fn a_spare_that_was_not_finished_is_cleared_away() {
    let disk = written(1);
    let unfinished = "00000000000000000099.spare";
    disk.put(unfinished, vec![0; 100]);
    open(&disk).unwrap();
    assert!(!names(&disk, ".spare").contains(&unfinished.to_owned()));
}

#[test]
fn files_without_records_are_cleared_away() {
    let disk = SimDisk::default();
    for _ in 0..5 {
        let journal = start(&disk, Notes::default());
        write(&journal, b"one");
        drop(journal);
        start(&disk, Notes::default()).close();
    }
    assert_eq!(names(&disk, ".log").len(), 6, "five with a record and the newest");
}

/// All names whose files hold these bytes anywhere.
fn holding(disk: &SimDisk, bytes: &[u8]) -> Vec<String> {
    let holds = |name: &String| disk.bytes_of(name).windows(bytes.len()).any(|window| window == bytes);
    disk.names().unwrap().into_iter().filter(holds).collect()
}

#[test]
fn after_a_purge_nothing_is_left_of_dropped_files() {
    let secret = b"a visitor's own words";
    // The secret lies in a spare, or behind the records of the file in use, with or without records.
    for (later_files, records) in [(0, 0), (1, 0), (1, 1), (2, 1), (3, 0)] {
        let (disk, notes) = (SimDisk::default(), Notes::default());
        let journal = start(&disk, notes.clone());
        // Long enough that what comes later does not write over it.
        (1..=5).for_each(|number| _ = write(&journal, &record(number)));
        write(&journal, secret);
        let mut last = 1;
        journal.roll();
        notes.wait_until(|noted| noted.rolled.last() == Some(&last));
        journal.drop_file(last).unwrap();
        for _ in 0..later_files {
            last += 1;
            write(&journal, b"short");
            journal.roll();
            notes.wait_until(|noted| noted.rolled.last() == Some(&last));
            journal.drop_file(last).unwrap();
        }
        (0..records).for_each(|_| _ = write(&journal, b"short"));
        assert!(!holding(&disk, secret).is_empty(), "a recycled file keeps what it held");

        let fence = journal.purge().unwrap();
        if records > 0 {
            notes.wait_until(|noted| noted.rolled.last() == Some(&(last + 1)));
            journal.drop_file(last + 1).unwrap();
        }
        until(|| journal.oldest_file() >= Some(fence));
        assert_eq!(holding(&disk, secret), Vec::<String>::new());
        // It goes on, and uses files again.
        let seq = write(&journal, b"short");
        journal.roll();
        notes.wait_until(|noted| noted.rolled.last() >= Some(&fence));
        journal.close();
        assert_eq!(replay_all(&disk).unwrap().1.last().map(|record| record.1), Some(seq));
    }
}
