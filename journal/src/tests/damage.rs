//! Torn tails are cut off, other damage is told, nothing is made up.

use proptest::prelude::*;

use super::*;
use crate::header::{HEADER_BYTES, Header, Previous};

/// Where the frames of a file start, and where the last one ends.
fn frame_starts(bytes: &[u8]) -> Vec<usize> {
    frame_starts_of(bytes, 1)
}

fn frame_starts_of(bytes: &[u8], file: FileNumber) -> Vec<usize> {
    let header = Header::decode(bytes, file).unwrap();
    let mut starts = vec![HEADER_BYTES];
    let at = |offset: usize| crate::frame::read(&bytes[offset..], header.salt(), offset);
    while let Ok(frame) = at(*starts.last().unwrap()) {
        starts.push(frame.end);
    }
    starts
}

/// The first file of a disk, its frames' starts, and a disk on which it is replaced.
fn first_file(disk: &SimDisk) -> (Vec<u8>, Vec<usize>) {
    let bytes = disk.bytes_of(&log_name(1));
    let starts = frame_starts(&bytes);
    (bytes, starts)
}

/// A folder with everything that one may hold: files with several frames each, the first ones dropped and used
/// again, and spares full of stale frames. With the records that are durable in it.
fn lived_in() -> (SimDisk, Vec<Record>) {
    let (disk, notes) = (SimDisk::default(), Notes::default());
    let journal = start(&disk, notes.clone());
    for number in 1..=70 {
        write(&journal, &record(number));
    }
    until(|| journal.stats().spare_files > 0);
    let rolled = notes.read(|noted| noted.rolled.clone());
    for file in &rolled[..rolled.len() - 2] {
        journal.drop_file(*file).unwrap();
    }
    for number in 71..=90 {
        write(&journal, &record(number));
    }
    journal.close();
    let (_, records) = replay_all(&disk).unwrap();
    assert_numbered(&records);
    assert_eq!(records.last().unwrap().1, 90);
    assert!(names(&disk, ".log").len() > 3 && !names(&disk, ".spare").is_empty());
    (disk, records)
}

/// What a replay must say of a folder in which one file was changed.
#[derive(Debug)]
enum Verdict {
    /// The damage, named.
    Damage {
        file: FileNumber,
        offset: u64,
    },
    /// All records but those of this file from this place on: nothing tells its damage from a torn tail.
    AllBefore {
        file: FileNumber,
        offset: u64,
    },
    All,
}

/// The verdict on a log file that is as it was up to `at`.
fn verdict(disk: &SimDisk, name: &str, at: usize) -> Verdict {
    let Some(file) = crate::file::number_in(name, ".log") else { return Verdict::All };
    let starts = frame_starts_of(&disk.bytes_of(name), file);
    let is_newest = names(disk, ".log").last().is_some_and(|newest| newest == name);
    if at < HEADER_BYTES {
        return Verdict::Damage { file, offset: 0 };
    }
    match starts.iter().rposition(|start| *start <= at) {
        Some(frame) if frame + 1 == starts.len() => Verdict::All,
        Some(frame) if is_newest => Verdict::AllBefore { file, offset: starts[frame] as u64 },
        Some(frame) => Verdict::Damage { file, offset: starts[frame] as u64 },
        None => unreachable!("the first frame starts behind the header"),
    }
}

fn assert_verdict(verdict: &Verdict, disk: &SimDisk, sound: &SimDisk, records: &[Record]) {
    let found = replay_all(disk);
    match (verdict, found) {
        (Verdict::Damage { file, offset }, Err(JournalError::Corrupt { file: named, offset: at })) => {
            assert_eq!((named, at), (*file, *offset));
        }
        (Verdict::All, Ok((_, found))) => assert_eq!(found, records),
        (Verdict::AllBefore { file, offset }, Ok((_, found))) => {
            let starts = frame_starts_of(&sound.bytes_of(&log_name(*file)), *file);
            let kept = starts.iter().filter(|start| **start < usize::try_from(*offset).unwrap()).count();
            let earlier = records.iter().filter(|(other, ..)| other < file).count();
            assert_eq!(found, records[..earlier + kept]);
        }
        (verdict, found) => panic!("{verdict:?}: {found:?}"),
    }
}

/// Any of the files, but the lock.
fn any_name(disk: &SimDisk, index: prop::sample::Index) -> String {
    let names = disk.names().unwrap();
    names[index.index(names.len())].clone()
}

fn only(bytes: Vec<u8>) -> SimDisk {
    let disk = SimDisk::default();
    disk.put(&log_name(1), bytes);
    disk
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_nothing_else_is_lost() {
    let (bytes, starts) = first_file(&written(6));
    let [.., last, end] = starts[..] else { unreachable!("six frames") };
    for kept in last..end {
        let truncated = bytes[..kept].to_vec();
        let mut zeroed = bytes.clone();
        zeroed[kept..].fill(0);
        for torn in [truncated, zeroed] {
            // Padding is zero anyway.
            let is_whole = torn.get(..end).is_some_and(|frames| frames == &bytes[..end]);
            let disk = only(torn);
            let (replayed, records) = replay_all(&disk).unwrap();
            assert_numbered(&records);
            assert_eq!(records.len(), if is_whole { 6 } else { 5 }, "{kept}");
            if kept >= last + 32 && !is_whole {
                assert_eq!(replayed.torn.unwrap().offset, last as u64);
                assert_eq!(disk.bytes_of(&log_name(1)).len(), last);
            }
            let again = replay_all(&disk).unwrap();
            assert_eq!(again.0, Replayed { torn: None, ..replayed });
            assert_eq!(again.1, records);
        }
    }
}

#[test]
fn a_repaired_journal_goes_on_and_the_cut_record_stays_away() {
    let (bytes, starts) = first_file(&written(6));
    let disk = only(bytes[..starts[6] - 1].to_vec());
    let journal = start(&disk, Notes::default());
    assert_eq!(write(&journal, b"another sixth"), 6);
    journal.close();
    let (replayed, records) = replay_all(&disk).unwrap();
    assert_eq!(replayed.torn, None);
    assert_eq!(records[5], (2, 6, b"another sixth".to_vec()));
}

#[test]
fn a_lost_tail_of_an_earlier_file_is_damage() {
    let disk = written(40);
    let (bytes, starts) = first_file(&disk);
    for (lost, start) in starts.iter().enumerate().take(starts.len() - 1) {
        let mut zeroed = bytes.clone();
        zeroed[*start..].fill(0);
        for damaged in [bytes[..*start].to_vec(), zeroed] {
            disk.put(&log_name(1), damaged);
            let error = replay_all(&disk).unwrap_err();
            let at = *start as u64;
            assert!(
                matches!(error, JournalError::Corrupt { file: 1, offset } if offset == at),
                "{lost}: {error}"
            );
        }
    }
}

#[test]
fn a_lost_tail_is_found_across_files_without_records() {
    let (bytes, starts) = first_file(&written(6));
    let disk = only(bytes.clone());
    start(&disk, Notes::default()).close();
    start(&disk, Notes::default()).close();
    assert_eq!(replay_all(&disk).unwrap().1.len(), 6);
    disk.put(&log_name(1), bytes[..starts[5]].to_vec());
    assert!(matches!(replay_all(&disk), Err(JournalError::Corrupt { file: 1, .. })));
}

#[test]
fn a_damaged_header_is_damage_at_the_start() {
    let disk = written(40);
    for file in [1, 2] {
        let good = disk.bytes_of(&log_name(file));
        for damaged in [good[..63].to_vec(), [&[0; 64], &good[64..]].concat(), Vec::new()] {
            disk.put(&log_name(file), damaged);
            let error = replay_all(&disk).unwrap_err();
            assert!(matches!(error, JournalError::Corrupt { file: found, offset: 0 } if found == file));
        }
        disk.put(&log_name(file), good);
    }
    assert!(replay_all(&disk).is_ok());
}

#[test]
fn a_later_version_is_named() {
    let mut bytes = written(1).bytes_of(&log_name(1));
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    let error = open(&only(bytes)).err().unwrap();
    assert!(matches!(error, JournalError::UnknownVersion { file: 1, version: 2 }));
    assert_eq!(error.to_string(), "journal file 1 has format version 2; this release reads version 1");
}

#[test]
fn files_out_of_order_are_damage() {
    let disk = SimDisk::default();
    for (file, first_seq) in [(1, 10), (2, 5)] {
        disk.put(&log_name(file), Header::new(file, first_seq, Previous::default()).encode().to_vec());
    }
    assert!(matches!(replay_all(&disk), Err(JournalError::Corrupt { file: 2, offset: 0 })));
}

#[test]
fn a_frame_inside_a_record_is_a_record() {
    // A stranger knows the format and where the record will lie, but not the file's salt.
    let disk = SimDisk::default();
    let journal = start(&disk, Notes::default());
    write(&journal, b"first");
    let guessed = Header { salt: 1, ..Header::new(1, 1, Previous::default()) };
    let mut forged = crate::frame::FrameBuilder::new();
    forged.push(1024, |bytes| bytes.extend(b"never written")).unwrap();
    let second = frame_starts(&disk.bytes_of(&log_name(1)))[1];
    let inside = second + 32 + 4 + 12;
    let frame = forged.seal(guessed.salt(), inside as u64, 3).to_vec();
    write(&journal, &[&[0; 12], &frame[..], &[0; 50]].concat());
    journal.close();

    let mut bytes = disk.bytes_of(&log_name(1));
    bytes[second + 32 + 4 + 12 + frame.len()] ^= 1;
    let (replayed, records) = replay_all(&only(bytes)).unwrap();
    assert_eq!(records, [(1, 1, b"first".to_vec())]);
    assert!(replayed.torn.is_some());
}

proptest! {
    #[test]
    fn a_changed_byte_before_the_last_frame_is_found(at: prop::sample::Index, change in 1_u8..) {
        let (mut bytes, starts) = first_file(&written(8));
        let at = at.index(starts[starts.len() - 2]);
        bytes[at] ^= change;
        let damaged_frame = starts.iter().rev().find(|start| **start <= at).map_or(0, |start| *start as u64);
        let error = replay_all(&only(bytes)).unwrap_err();
        prop_assert!(matches!(error, JournalError::Corrupt { file: 1, offset } if offset == damaged_frame), "{error}");
    }

    #[test]
    fn arbitrary_bytes_are_read_without_panic_and_yield_nothing(bytes: Vec<u8>, has_header: bool, is_first: bool) {
        let header = Header::new(1, 1, Previous::default()).encode();
        let disk = if has_header { only([&header, &bytes[..]].concat()) } else { only(bytes) };
        if is_first {
            disk.put(&log_name(2), Header::new(2, 9, Previous { file: 1, end: 500, salt: 0 }).encode().to_vec());
        }
        if let Ok((_, records)) = replay_all(&disk) {
            prop_assert!(records.is_empty());
        }
    }

    #[test]
    fn a_file_written_over_at_random_yields_only_what_was_written(
        patches in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..80)), 1..6),
        moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 16..400_usize), 0..4),
        kept: prop::sample::Index,
    ) {
        let (mut bytes, _) = first_file(&written(8));
        for (to, from, len) in moves {
            // Whole frames at other places, too.
            let (from, to) = (from.index(bytes.len() / 16) * 16, to.index(bytes.len() / 16) * 16);
            let len = len.min(bytes.len() - from).min(bytes.len() - to);
            bytes.copy_within(from..from + len, to);
        }
        for (at, patch) in patches {
            let at = at.index(bytes.len());
            let len = patch.len().min(bytes.len() - at);
            bytes[at..at + len].copy_from_slice(&patch[..len]);
        }
        bytes.truncate(bytes.len() / 2 + kept.index(bytes.len() / 2));
        if let Ok((_, records)) = replay_all(&only(bytes)) {
            assert_numbered(&records);
        }
    }

    #[test]
    fn a_flipped_bit_in_any_file_is_named_or_harms_nothing_that_was_acknowledged(
        name: prop::sample::Index,
        at: prop::sample::Index,
        bit in 0..8_u32,
    ) {
        let (disk, records) = lived_in();
        let name = any_name(&disk, name);
        let mut bytes = disk.bytes_of(&name);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let damaged = disk.after_kill();
        damaged.put(&name, bytes);
        let mut verdict = verdict(&disk, &name, at);
        // Behind the damage of the newest file's frames stands a frame, unless it was the last.
        if let Verdict::AllBefore { file, offset } = verdict {
            let starts = frame_starts_of(&disk.bytes_of(&name), file);
            if starts[starts.len() - 2] as u64 != offset {
                verdict = Verdict::Damage { file, offset };
            }
        }
        assert_verdict(&verdict, &damaged, &disk, &records);
    }

    #[test]
    fn any_file_cut_anywhere_is_named_or_ends_like_a_torn_tail(name: prop::sample::Index, kept: prop::sample::Index) {
        let (disk, records) = lived_in();
        let name = any_name(&disk, name);
        let mut bytes = disk.bytes_of(&name);
        bytes.truncate(kept.index(bytes.len()));
        let damaged = disk.after_kill();
        let verdict = verdict(&disk, &name, bytes.len());
        damaged.put(&name, bytes);
        assert_verdict(&verdict, &damaged, &disk, &records);
    }

    #[test]
    fn any_file_made_longer_by_anything_is_as_good_as_before(
        name: prop::sample::Index,
        more in prop::collection::vec(any::<u8>(), 1..200),
        repeats: bool,
    ) {
        let (disk, records) = lived_in();
        let name = any_name(&disk, name);
        let mut bytes = disk.bytes_of(&name);
        if repeats {
            // Its own frames, in another place.
            bytes.extend_from_within(HEADER_BYTES..);
        }
        bytes.extend(more);
        let damaged = disk.after_kill();
        damaged.put(&name, bytes);
        assert_verdict(&Verdict::All, &damaged, &disk, &records);
    }

    #[test]
    fn a_file_in_the_place_of_another_is_named(one: prop::sample::Index, other: prop::sample::Index, swap: bool) {
        let (disk, records) = lived_in();
        let (one, other) = (any_name(&disk, one), any_name(&disk, other));
        let (from, to) = (disk.bytes_of(&one), disk.bytes_of(&other));
        let damaged = disk.after_kill();
        damaged.put(&other, from);
        if swap {
            damaged.put(&one, to);
        }
        let is_log = |name: &String| crate::file::number_in(name, ".log");
        let harmed = [Some(&other), swap.then_some(&one)].into_iter().flatten().filter_map(is_log).min();
        let verdict = match harmed {
            Some(file) if one != other => Verdict::Damage { file, offset: 0 },
            _ => Verdict::All,
        };
        assert_verdict(&verdict, &damaged, &disk, &records);
    }
}

#[test]
fn a_copy_under_a_new_name_is_named_and_one_that_waits_to_be_used_is_harmless() {
    let (disk, records) = lived_in();
    let logs = names(&disk, ".log");
    for name in &logs {
        let damaged = disk.after_kill();
        damaged.put(&log_name(99), disk.bytes_of(name));
        assert_verdict(&Verdict::Damage { file: 99, offset: 0 }, &damaged, &disk, &records);
        let waiting = disk.after_kill();
        waiting.put(&crate::file::spare_name(99), disk.bytes_of(name));
        assert_verdict(&Verdict::All, &waiting, &disk, &records);
        let journal = start(&waiting, Notes::default());
        assert_eq!(write(&journal, &record(91)), 91);
        journal.close();
        assert_numbered(&replay_all(&waiting).unwrap().1);
    }
}

#[test]
fn a_file_of_another_journal_is_told_from_ours() {
    let (disk, _) = lived_in();
    let (other, _) = lived_in();
    let logs = names(&disk, ".log");
    assert_eq!(logs, names(&other, ".log"), "only the salts tell them apart");
    for (index, name) in logs.iter().enumerate() {
        let mixed = disk.after_kill();
        mixed.put(name, other.bytes_of(name));
        let file = crate::file::number_in(name, ".log").unwrap();
        // The oldest is told by the one behind it.
        let (earlier, file) = if index == 0 { (file, file + 1) } else { (file - 1, file) };
        let error = replay_all(&mixed).unwrap_err();
        assert!(
            matches!(error, JournalError::Foreign { earlier: one, file: next } if (one, next) == (earlier, file)),
            "{error}"
        );
    }
}

#[test]
fn a_missing_file_is_told_where_older_ones_are_not_dropped_yet() {
    let (disk, records) = lived_in();
    let logs = names(&disk, ".log");
    for name in &logs[1..logs.len() - 1] {
        let mixed = disk.after_kill();
        mixed.remove(name).unwrap();
        let file = crate::file::number_in(name, ".log").unwrap();
        let (replayed, found) = replay_all(&mixed).unwrap();
        assert_eq!(replayed.missing, [file]);
        let expected: Vec<_> = records.iter().filter(|(other, ..)| *other != file).cloned().collect();
        assert_eq!(found, expected);
        // Nobody wants the older ones: it was dropped after them.
        let (replayed, _) = replay_where(&mixed, |other| other > file).unwrap();
        assert_eq!(replayed.missing, [0; 0]);
    }
}
