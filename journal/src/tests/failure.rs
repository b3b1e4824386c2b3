//! Disks that fail or fill up, owners that panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::file::number_in;
use crate::sim::Op;
use crate::{AppendError, Failed};

/// Fails this operation on a log file, once.
fn fail_once(disk: &SimDisk, failing: Op) {
    let is_over = AtomicBool::new(false);
    disk.fail_when(move |op, name| {
        op == failing && number_in(name, ".log").is_some() && !is_over.swap(true, Ordering::Relaxed)
    });
}

/// Appends and waits until a record is not taken, or fails; how many were durable before.
fn write_until_refused(journal: &Journal) -> u64 {
    for number in 1.. {
        let Ok(seq) = journal.append(|bytes| bytes.extend(record(number))) else { return number - 1 };
        if journal.wait(seq).is_err() {
            return number - 1;
        }
    }
    unreachable!("a disk is finite")
}

#[test]
fn a_failed_write_or_fsync_fails_its_batch_and_the_journal_goes_on_in_a_new_file() {
    for failing in [Op::Write, Op::Sync] {
        let (disk, notes) = (SimDisk::default(), Notes::default());
        let journal = start(&disk, notes.clone());
        write(&journal, &record(1));
        fail_once(&disk, failing);
        let lost = journal.append(|bytes| bytes.extend(record(2))).unwrap();
        assert_eq!(journal.wait(lost), Err(Failed), "{failing:?}");
        notes.wait_until(|noted| noted.rolled == [1]);
        assert!(journal.is_available());
        assert_eq!(write(&journal, &record(3)), 3);
        assert_eq!(journal.outcome(lost), Some(Err(Failed)));
        assert!(journal.stats().last_error.is_some());

        let (_, records) = replay_all(&disk).unwrap();
        assert_numbered(&records);
        assert!(records.iter().any(|(file, seq, _)| (*file, *seq) == (1, 1)));
        assert!(records.iter().any(|(file, seq, _)| (*file, *seq) == (2, 3)));

        // Its blocks are not trusted again.
        journal.drop_file(1).unwrap();
        assert_eq!(names(&disk, ".log"), [log_name(2)]);
        let is_blank = |spare: &String| disk.bytes_of(spare).iter().all(|byte| *byte == 0);
        assert!(names(&disk, ".spare").iter().all(is_blank));
    }
}

#[test]
fn a_file_whose_first_batch_fails_is_gone() {
    let (disk, notes) = (SimDisk::default(), Notes::default());
    let journal = start(&disk, notes.clone());
    fail_once(&disk, Op::Write);
    let lost = journal.append(|bytes| bytes.extend(record(1))).unwrap();
    assert_eq!(journal.wait(lost), Err(Failed));
    until(|| names(&disk, ".log") == [log_name(2)]);
    assert_eq!(write(&journal, &record(2)), 2);
    assert!(notes.read(|noted| noted.rolled.is_empty()));
}

#[test]
fn without_a_file_nothing_is_taken_until_one_can_be_begun() {
    for failing in [Op::Write, Op::Sync, Op::Rename, Op::SyncNames] {
        let (disk, notes) = (SimDisk::default(), Notes::default());
        let journal = start(&disk, notes.clone());
        write(&journal, &record(1));
        disk.fail_when(move |op, name| {
            op == failing || (op == Op::Write && number_in(name, ".log").is_some())
        });
        let lost = journal.append(|bytes| bytes.extend(record(2))).unwrap();
        assert_eq!(journal.wait(lost), Err(Failed));
        assert_eq!(journal.append(|bytes| bytes.extend(record(3))), Err(AppendError::Unavailable));
        assert!(!journal.is_available());
        let told = notes.read(|noted| noted.progressed);
        notes.wait_until(|noted| noted.progressed > told + 1);
        assert!(!journal.is_available(), "the next attempts failed as well");

        disk.fail_never();
        notes.wait_until(|noted| noted.rolled == [1]);
        write(&journal, &record(3));
        journal.close();
        let (replayed, records) = replay_all(&disk).unwrap();
        assert_eq!(records.iter().map(|(_, seq, _)| *seq).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(replayed.torn, None);
    }
}

#[test]
fn a_full_disk_costs_nothing_before_a_roll_is_needed_and_heals_by_itself() {
    let (disk, notes) = (SimDisk::default(), Notes::default());
    disk.set_space(Some(FILE_BYTES + 100));
    let journal = start(&disk, notes.clone());
    let durable = write_until_refused(&journal);
    assert!(durable > 10, "the file that was there has room for more than {durable}");
    assert_eq!(journal.append(|bytes| bytes.extend(record(1))), Err(AppendError::Unavailable));

    disk.set_space(None);
    notes.wait_until(|noted| noted.rolled == [1]);
    let seq = write(&journal, b"there is space again");
    journal.close();
    let (_, records) = replay_all(&disk).unwrap();
    let seqs: Vec<_> = records.iter().map(|(_, seq, _)| *seq).collect();
    assert_eq!(seqs, (1..=durable).chain([seq]).collect::<Vec<_>>());
}

#[test]
fn on_a_full_disk_a_dropped_file_is_used_again() {
    let (disk, notes) = (SimDisk::default(), Notes::default());
    disk.set_space(Some(2 * FILE_BYTES));
    let journal = start(&disk, notes.clone());
    write_until_refused(&journal);
    assert_eq!(notes.read(|noted| noted.rolled.clone()), [1]);
    journal.drop_file(1).unwrap();
    notes.wait_until(|noted| noted.rolled == [1, 2]);
    write(&journal, b"in what was the first file");
}

#[test]
fn a_journal_may_start_on_a_full_disk() {
    let disk = SimDisk::default();
    disk.set_space(Some(0));
    let journal = start(&disk, Notes::default());
    assert!(!journal.is_available());
    assert_eq!(journal.append(|bytes| bytes.extend(record(1))), Err(AppendError::Unavailable));
    disk.set_space(None);
    until(|| journal.is_available());
    write(&journal, &record(1));
}

#[test]
fn a_requested_roll_waits_for_a_file_while_the_current_one_goes_on() {
    let (disk, notes) = (SimDisk::default(), Notes::default());
    disk.set_space(Some(FILE_BYTES));
    let journal = start(&disk, notes.clone());
    write(&journal, &record(1));
    journal.roll();
    write(&journal, &record(2));
    assert!(notes.read(|noted| noted.rolled.is_empty()));
    disk.set_space(None);
    notes.wait_until(|noted| noted.rolled == [1]);
    write(&journal, &record(3));
    journal.close();
    assert_numbered(&replay_all(&disk).unwrap().1);
}

#[test]
fn a_failed_drop_can_be_repeated() {
    let (disk, notes) = (SimDisk::default(), Notes::default());
    let journal = start(&disk, notes.clone());
    write(&journal, &record(1));
    journal.roll();
    notes.wait_until(|noted| noted.rolled == [1]);
    disk.fail_when(|op, _| op == Op::SyncNames);
    assert!(matches!(journal.drop_file(1), Err(JournalError::Io { .. })));
    disk.fail_never();
    journal.drop_file(1).unwrap();
    write(&journal, &record(2));
    journal.close();
    assert_eq!(replay_all(&disk).unwrap().1, [(2, 2, record(2))]);
}

/// An owner that panics on its first batch.
struct Panics(Notes);

impl Sink for Panics {
    fn committed(&mut self, _: &Batch<'_>) {
        panic!("on purpose");
    }

    fn rolled(&mut self, _: FileNumber) {}

    fn progressed(&mut self) {
        self.0.progressed();
    }
}

#[test]
fn when_the_owner_panics_nobody_waits_for_ever() {
    let notes = Notes::default();
    let journal = Arc::new(start(&SimDisk::default(), Panics(notes.clone())));
    let seq = journal.append(|bytes| bytes.extend(record(1))).unwrap();
    assert_eq!(journal.wait(seq), Err(Failed));
    notes.wait_until(|noted| noted.progressed == 1);
    assert_eq!(journal.append(|bytes| bytes.extend(record(2))), Err(AppendError::Unavailable));
    assert!(!journal.is_available());
}
