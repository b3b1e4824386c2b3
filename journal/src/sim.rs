//! A disk in memory for tests. It counts its operations, fails those it is told to, runs out of space, and after
//! a crash keeps what was synced and an arbitrary part of what was not, or of what a sync failed for. A clone is
//! the same disk.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};

/// Unsynced bytes survive a crash in pieces of this size: smaller than a head, so that heads tear too.
const PIECE_BYTES: usize = 16;

/// An operation that changes the disk, as a test sees it when deciding whether it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Create,
    Write,
    Truncate,
    Sync,
    Rename,
    Remove,
    SyncNames,
}

type Fails = Box<dyn FnMut(Op, &str) -> bool + Send>;

#[derive(Clone, Default)]
pub(crate) struct SimDisk(Arc<Mutex<Sim>>);

#[derive(Default)]
struct Sim {
    files: Vec<SimFile>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    operations: usize,
    crash_at: Option<usize>,
    crashed_on: Option<(Op, String)>,
    fails: Option<Fails>,
    space: Option<u64>,
}

#[derive(Default, Clone)]
struct SimFile {
    visible: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Clone)]
enum NameChange {
    Put(String, usize),
    Move(String, String),
    Remove(String),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(offset, part) => {
                bytes.resize(bytes.len().max(offset + part.len()), 0);
                bytes[*offset..offset + part.len()].copy_from_slice(part);
            }
            Change::Truncate(size) => bytes.resize(*size, 0),
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Put(name, file) => _ = names.insert(name.clone(), *file),
            NameChange::Remove(name) => _ = names.remove(name),
            NameChange::Move(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }
}

/// Numbers that look arbitrary and are the same in every run.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap() % bound
    }
}

impl SimDisk {
    /// From the operation with this number on, counted from 0, nothing works any more.
    pub(crate) fn crash_at(&self, operation: usize) {
        let mut sim = self.sim();
        sim.operations = 0;
        sim.crash_at = Some(operation);
    }

    pub(crate) fn has_crashed(&self) -> bool {
        let sim = self.sim();
        sim.crash_at.is_some_and(|at| sim.operations > at)
    }

    /// The operation that was the first not to work any more, and the name it was done to.
    pub(crate) fn crashed_on(&self) -> Option<(Op, String)> {
        self.sim().crashed_on.clone()
    }

    pub(crate) fn fail_when(&self, fails: impl FnMut(Op, &str) -> bool + Send + 'static) {
        self.sim().fails = Some(Box::new(fails));
    }

    pub(crate) fn fail_never(&self) {
        self.sim().fails = None;
    }

    /// How many bytes all files together may have.
    pub(crate) fn set_space(&self, bytes: Option<u64>) {
        self.sim().space = bytes;
    }

    /// The disk as the next process may find it after a power cut.
    pub(crate) fn after_crash(&self, chance: &mut Chance) -> SimDisk {
        let sim = self.sim();
        let mut names = sim.durable_names.clone();
        let kept = chance.below(sim.unsynced_names.len() + 1);
        sim.unsynced_names[..kept].iter().for_each(|change| change.apply(&mut names));
        let files = sim.files.iter().map(|file| SimFile::whole(file.after_crash(chance))).collect();
        let after = Sim { files, durable_names: names.clone(), names, ..Sim::default() };
        SimDisk(Arc::new(Mutex::new(after)))
    }

    /// The disk as the next process finds it after `kill -9`: all is seen, and what was not durable still is not.
    pub(crate) fn after_kill(&self) -> SimDisk {
        let sim = self.sim();
        let after = Sim {
            files: sim.files.clone(),
            names: sim.names.clone(),
            durable_names: sim.durable_names.clone(),
            unsynced_names: sim.unsynced_names.clone(),
            ..Sim::default()
        };
        SimDisk(Arc::new(Mutex::new(after)))
    }

    pub(crate) fn bytes_of(&self, name: &str) -> Vec<u8> {
        let sim = self.sim();
        sim.files[sim.names[name]].visible.clone()
    }

    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut sim = self.sim();
        let file = sim.files.len();
        sim.files.push(SimFile::whole(bytes));
        sim.names.insert(name.to_owned(), file);
        sim.durable_names.insert(name.to_owned(), file);
    }

    fn sim(&self) -> MutexGuard<'_, Sim> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, op: Op, name: &str) -> io::Result<MutexGuard<'_, Sim>> {
        let mut sim = self.sim();
        sim.operations += 1;
        let has_crashed = sim.crash_at.is_some_and(|at| sim.operations > at);
        if has_crashed {
            sim.crashed_on.get_or_insert_with(|| (op, name.to_owned()));
        }
        if has_crashed || sim.fails.as_mut().is_some_and(|fails| fails(op, name)) {
            return Err(io::Error::other(format!("no {op:?} of {name}")));
        }
        Ok(sim)
    }
}

impl SimFile {
    fn whole(bytes: Vec<u8>) -> SimFile {
        SimFile { visible: bytes.clone(), durable: bytes, unsynced: Vec::new() }
    }

    fn after_crash(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.unsynced {
            match change {
                // The first bytes, nothing and everything included.
                Change::Write(offset, part) if chance.below(2) == 0 => {
                    let kept = chance.below(part.len() + 1);
                    Change::Write(*offset, part[..kept].to_vec()).apply(&mut bytes);
                }
                // Any pieces.
                Change::Write(offset, part) => {
                    for (index, piece) in part.chunks(PIECE_BYTES).enumerate() {
                        if chance.below(2) == 0 {
                            Change::Write(offset + index * PIECE_BYTES, piece.to_vec()).apply(&mut bytes);
                        }
                    }
                }
                Change::Truncate(_) if chance.below(2) == 0 => change.apply(&mut bytes),
                Change::Truncate(_) => {}
            }
        }
        bytes
    }
}

impl Sim {
    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// What the file is called by now.
    fn name_of(&self, file: usize) -> String {
        let named = self.names.iter().find(|(_, named)| **named == file);
        named.map(|(name, _)| name.clone()).unwrap_or_default()
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    /// What a failed sync does: the system calls everything written, though only a part was. It is seen until a
    /// power cut, and no later sync makes it durable.
    fn forget_unsynced(&mut self, file: usize) {
        let chance = &mut Chance(self.operations as u64);
        if self.crash_at.is_none_or(|at| self.operations <= at) {
            let file = &mut self.files[file];
            file.durable = file.after_crash(chance);
            file.unsynced.clear();
        }
    }

    fn used(&self) -> usize {
        self.names.values().map(|file| self.files[*file].visible.len()).sum()
    }
}

impl Disk for SimDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.sim().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut sim = self.begin(Op::Create, name)?;
        let file = sim.files.len();
        sim.files.push(SimFile::default());
        sim.change_names(NameChange::Put(name.to_owned(), file));
        Ok(Box::new(Handle { disk: self.clone(), file }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = self.sim().find(name)?;
        Ok(Box::new(Handle { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut sim = self.begin(Op::Rename, from)?;
        sim.find(from)?;
        sim.change_names(NameChange::Move(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut sim = self.begin(Op::Remove, name)?;
        sim.find(name)?;
        sim.change_names(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut sim = self.begin(Op::SyncNames, "")?;
        sim.durable_names = sim.names.clone();
        sim.unsynced_names.clear();
        Ok(())
    }
}

struct Handle {
    disk: SimDisk,
    file: usize,
}

impl Handle {
    fn begin(&self, op: Op) -> io::Result<MutexGuard<'_, Sim>> {
        let name = self.disk.sim().name_of(self.file);
        self.disk.begin(op, &name)
    }

    fn change(&self, op: Op, change: Change) -> io::Result<()> {
        let mut sim = self.begin(op)?;
        let used = sim.used();
        let space = sim.space;
        let file = &mut sim.files[self.file];
        let mut visible = file.visible.clone();
        change.apply(&mut visible);
        if space.is_some_and(|space| (used + visible.len()).saturating_sub(file.visible.len()) as u64 > space)
        {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        file.visible = visible;
        file.unsynced.push(change);
        Ok(())
    }
}

impl DiskFile for Handle {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.sim().files[self.file].visible.len() as u64)
    }

    fn read_at(&self, offset: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
        let bytes = &self.disk.sim().files[self.file].visible;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        Ok(bytes[offset..].iter().take(bytes_max).copied().collect())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(Op::Write, Change::Write(usize::try_from(offset).unwrap(), bytes.to_vec()))
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.change(Op::Truncate, Change::Truncate(usize::try_from(size).unwrap()))
    }

    fn sync(&self) -> io::Result<()> {
        let begun = self.begin(Op::Sync);
        if let Err(error) = begun {
            self.disk.sim().forget_unsynced(self.file);
            return Err(error);
        }
        let sim = &mut *begun?;
        let file = &mut sim.files[self.file];
        file.unsynced.drain(..).for_each(|change| change.apply(&mut file.durable));
        Ok(())
    }
}
