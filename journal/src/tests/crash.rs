//! A crash between any two operations on the disk, in life after life of the same journal.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::sim::{Chance, Op};

/// What the owner of the journal knows, and what it must not lose.
#[derive(Default, Clone)]
struct Owner {
    /// Every record that was ever appended, by all lives. Its bytes are its own.
    appended: BTreeSet<(Seq, Vec<u8>)>,
    /// What was acknowledged or replayed, and so must be found again.
    durable: BTreeMap<Seq, (FileNumber, Vec<u8>)>,
    /// Files whose records are safe elsewhere.
    sealed: BTreeSet<FileNumber>,
}

impl Owner {
    /// Opens and replays, and checks what is found. `None` when the disk crashes on the way.
    fn open(&mut self, disk: &SimDisk) -> Option<(Opened, Vec<FileNumber>)> {
        let mut records = Vec::new();
        let mut opened = uncrashed(disk, open(disk))?;
        let replay = opened.replay(
            |file| !self.sealed.contains(&file),
            |file, seq, record| records.push((file, seq, record.to_vec())),
        );
        let replayed = uncrashed(disk, replay)?;
        assert_eq!(replayed.missing, [0; 0]);
        self.check(&records);
        self.durable.extend(records.into_iter().map(|(file, seq, record)| (seq, (file, record))));
        Some((opened, replayed.files.iter().map(|file| file.file).collect()))
    }

    fn check(&self, records: &[Record]) {
        assert!(records.is_sorted_by(|one, next| one.1 < next.1), "in order, each once");
        let found: BTreeMap<_, _> =
            records.iter().map(|(file, seq, record)| (*seq, (*file, record))).collect();
        for (seq, (file, record)) in &self.durable {
            let is_sealed = self.sealed.contains(file);
            assert_eq!(found.get(seq).copied(), (!is_sealed).then_some((*file, record)), "{seq}");
        }
        for (_, seq, record) in records {
            assert!(self.appended.contains(&(*seq, record.clone())), "{seq} was never written");
        }
    }

    /// Replays, then writes, rolls, seals and drops, until it is done or the disk crashes.
    fn live(&mut self, disk: &SimDisk, records: usize) {
        let Some((opened, replayed)) = self.open(disk) else { return };
        let notes = Notes::default();
        let Ok(journal) = opened.start(Box::new(notes.clone())) else { return };
        self.seal(&journal, &replayed);
        let mut last = None;
        for number in 1..=records {
            until(|| journal.is_available() || disk.has_crashed());
            let unique = record(self.appended.len() as u64);
            let Ok(seq) = journal.append(|bytes| bytes.extend(&unique)) else { continue };
            assert!(last.replace(seq).is_none_or(|last| last < seq));
            assert!(self.durable.last_key_value().is_none_or(|(last, _)| *last < seq));
            self.appended.insert((seq, unique));
            // Some share a batch, some have their own.
            if number % 3 != 0 {
                _ = journal.wait(seq);
            }
            if number % 7 == 0 {
                journal.roll();
            }
            if number % 10 == 0 {
                let rolled = notes.read(|noted| noted.rolled.clone());
                self.note_durable(&journal, &notes);
                self.seal(&journal, &rolled);
            }
        }
        if let Some(last) = last {
            _ = journal.wait(last);
        }
        self.note_durable(&journal, &notes);
        journal.close();
    }

    /// What was committed and acknowledged must be found from now on.
    fn note_durable(&mut self, journal: &Journal, notes: &Notes) {
        let committed = notes.read(|noted| noted.records.clone());
        for (file, seq, record) in committed {
            if journal.outcome(seq) == Some(Ok(())) {
                self.durable.insert(seq, (file, record));
            }
        }
    }

    fn seal(&mut self, journal: &Journal, files: &[FileNumber]) {
        for file in files {
            self.sealed.insert(*file);
            // It may fail, or come too early; then the file is not wanted at the next replay.
            _ = journal.drop_file(*file);
        }
    }
}

/// The result, unless the disk crashed. Errors without a crash are the failure this test looks for.
fn uncrashed<T>(disk: &SimDisk, result: Result<T, JournalError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(disk.has_crashed(), "{error}");
            None
        }
    }
}

/// A life that ends at the given operation, by a power cut or only a `kill -9`, and what the next one finds.
fn crash(owner: &mut Owner, disk: &SimDisk, at: usize, chance: &mut Chance) -> SimDisk {
    disk.crash_at(at);
    owner.live(disk, 25);
    if chance.below(3) == 0 { disk.after_kill() } else { disk.after_crash(chance) }
}

/// How many operations a life takes at most; crashing later than that is crashing after its end.
const OPERATIONS: usize = 160;
/// How many it takes to open, replay and begin the first file.
const STARTING: usize = 20;
/// How many fates each crash has.
const SEEDS: usize = 20;

#[test]
fn a_crash_between_any_two_operations_loses_nothing_and_doubles_nothing() {
    let mut met = BTreeSet::new();
    for at in 0..OPERATIONS {
        for seed in 0..SEEDS {
            let chance = &mut Chance((at * SEEDS + seed) as u64);
            let (mut owner, mut disk) = (Owner::default(), SimDisk::default());
            disk = crash(&mut owner, &disk, at, chance);
            // Soon after the start, where the traces of the first crash are, and anywhere.
            for bound in [STARTING, OPERATIONS, STARTING] {
                let next = crash(&mut owner, &disk, chance.below(bound), chance);
                met.extend(disk.crashed_on().map(|(op, name)| (op, ending(&name))));
                disk = next;
            }
            owner.open(&disk).unwrap();
            let again = owner.durable.clone();
            owner.open(&disk.after_crash(chance)).unwrap();
            assert_eq!(owner.durable, again, "replaying twice equals replaying once");
        }
    }
    assert_every_step_was_met(&met);
}

/// Every step there is, by what it does to which kind of file.
const STEPS: [(Op, &str, &str); 11] = [
    (Op::Create, "spare", "preparing a file"),
    (Op::Write, "spare", "filling it, and giving it a header"),
    (Op::Sync, "spare", "making either durable"),
    (Op::Rename, "spare", "beginning it"),
    (Op::SyncNames, "", "making a name durable"),
    (Op::Write, "log", "writing a batch"),
    (Op::Sync, "log", "making it durable"),
    (Op::Rename, "log", "dropping a file for use as a new one"),
    (Op::Remove, "log", "dropping it for good"),
    (Op::Remove, "spare", "clearing away a file that was not finished"),
    (Op::Truncate, "log", "cutting off a torn tail"),
];

fn assert_every_step_was_met(met: &BTreeSet<(Op, String)>) {
    for (op, ending, what) in STEPS {
        assert!(met.contains(&(op, ending.to_owned())), "no crash while {what}: {met:?}");
    }
}

fn ending(name: &str) -> String {
    name.rsplit('.').next().unwrap_or_default().to_owned()
}

#[test]
fn a_life_has_no_more_operations_than_are_tried() {
    let disk = SimDisk::default();
    crash(&mut Owner::default(), &disk, OPERATIONS, &mut Chance(1));
    assert!(!disk.has_crashed());
}

#[test]
fn a_crash_during_any_step_of_the_recovery_is_recovered_from() {
    let chance = &mut Chance(7);
    let (mut owner, disk) = (Owner::default(), SimDisk::default());
    let disk = crash(&mut owner, &disk, 47, chance);
    for at in 0..30 {
        for _ in 0..10 {
            let (mut owner, disk) = (owner.clone(), disk.after_crash(chance));
            let disk = crash(&mut owner, &disk, at, chance);
            owner.open(&disk).unwrap();
        }
    }
}

#[test]
fn failures_on_the_way_to_a_crash_lose_nothing_either() {
    for seed in 0..40 {
        let chance = &mut Chance(seed);
        let (mut owner, mut disk) = (Owner::default(), SimDisk::default());
        for _ in 0..3 {
            let failing = chance.below(OPERATIONS / 2);
            let mut operation = 0;
            disk.fail_when(move |_, _| {
                operation += 1;
                // Not the first ones: opening has nothing to fall back on.
                operation > 20 && operation == failing + 20
            });
            disk = crash(&mut owner, &disk, 20 + chance.below(OPERATIONS), chance);
        }
        owner.open(&disk).unwrap();
    }
}

#[test]
fn what_is_read_back_of_a_batch_whose_sync_failed_is_made_durable_before_it_counts() {
    for seed in 0..50 {
        let chance = &mut Chance(seed);
        let disk = SimDisk::default();
        let journal = start(&disk, Notes::default());
        write(&journal, &record(1));
        disk.fail_when(|op, _| op == Op::Sync);
        let failed = journal.append(|bytes| bytes.extend(record(2))).unwrap();
        assert!(journal.wait(failed).is_err());
        // Killed before it could begin another file, the next life still sees what was written.
        let disk = disk.after_kill();
        let (_, seen) = replay_all(&disk).unwrap();
        assert_numbered(&seen);
        let journal = start(&disk, Notes::default());
        let next = write(&journal, b"the next life's");
        journal.close();
        let (_, kept) = replay_all(&disk.after_crash(chance)).unwrap();
        assert_eq!(kept[..seen.len()], seen);
        assert_eq!(kept[seen.len()].1, next);
    }
}
