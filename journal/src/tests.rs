//! The journal on a simulated disk: what it promises, file by file of `tests/`. The real file
//! system is met in `real_files`.

mod append;
mod crash;
mod damage;
mod failure;
mod files;
mod real_files;

use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::disk::Disk;
use crate::file::log_name;
use crate::sim::SimDisk;
use crate::{Batch, FileNumber, Journal, JournalError, Opened, Options, Replayed, Seq, Sink, replay};

/// The smallest there is: a few records fill it.
const FILE_BYTES: u64 = 4096;

/// A record as the owner meets it.
type Record = (FileNumber, Seq, Vec<u8>);

/// A sink that writes down what it is told.
#[derive(Clone, Default)]
struct Notes(Arc<(Mutex<Noted>, Condvar)>);

#[derive(Default)]
struct Noted {
    records: Vec<Record>,
    rolled: Vec<FileNumber>,
    progressed: usize,
}

impl Notes {
    fn note(&self, write: impl FnOnce(&mut Noted)) {
        write(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn read<T>(&self, read: impl FnOnce(&Noted) -> T) -> T {
        read(&self.0.0.lock().unwrap())
    }

    fn wait_until(&self, holds: impl Fn(&Noted) -> bool) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |noted| !holds(noted)).unwrap());
    }
}

impl Sink for Notes {
    fn committed(&mut self, batch: &Batch<'_>) {
        assert_eq!(batch.last_seq(), batch.records().last().unwrap().0);
        self.note(|noted| {
            noted.records.extend(batch.records().map(|(seq, record)| (batch.file, seq, record.to_vec())));
        });
    }

    fn rolled(&mut self, file: FileNumber) {
        self.note(|noted| noted.rolled.push(file));
    }

    fn progressed(&mut self) {
        self.note(|noted| noted.progressed += 1);
    }
}

fn options() -> Options {
    Options { dir: "unused".into(), file_bytes: FILE_BYTES, pending_bytes_max: 2048, spare_files_max: 2 }
}

fn open(disk: &SimDisk) -> Result<Opened, JournalError> {
    Opened::open_on(Arc::new(disk.clone()), None, replay::limits(&options()))
}

fn start(disk: &SimDisk, sink: impl Sink + 'static) -> Journal {
    open(disk).unwrap().start(Box::new(sink)).unwrap()
}

fn names(disk: &SimDisk, ending: &str) -> Vec<String> {
    disk.names().unwrap().into_iter().filter(|name| name.ends_with(ending)).collect()
}

fn replay_where(
    disk: &SimDisk,
    wanted: impl FnMut(FileNumber) -> bool,
) -> Result<(Replayed, Vec<Record>), JournalError> {
    let mut records = Vec::new();
    let replayed =
        open(disk)?.replay(wanted, |file, seq, record| records.push((file, seq, record.to_vec())))?;
    let counted: u64 = replayed.files.iter().map(|file| file.records).sum();
    assert_eq!(counted, records.len() as u64);
    Ok((replayed, records))
}

fn replay_all(disk: &SimDisk) -> Result<(Replayed, Vec<Record>), JournalError> {
    replay_where(disk, |_| true)
}

/// A record that says which it is, of a length that varies.
fn record(number: u64) -> Vec<u8> {
    let filling = (number * 37 % 300) as usize;
    [number.to_le_bytes().as_slice(), &vec![number.to_le_bytes()[0] | 1; filling]].concat()
}

/// Appends a record and waits until it is durable.
fn write(journal: &Journal, record: &[u8]) -> Seq {
    let seq = journal.append(|bytes| bytes.extend_from_slice(record)).unwrap();
    journal.wait(seq).unwrap();
    assert_eq!(journal.outcome(seq), Some(Ok(())));
    seq
}

/// A disk with this many records, each a frame of its own, in as many files as they need.
fn written(records: u64) -> SimDisk {
    let disk = SimDisk::default();
    let journal = start(&disk, Notes::default());
    (1..=records).for_each(|number| assert_eq!(write(&journal, &record(number)), number));
    journal.close();
    disk
}

/// That the numbers grow and every record is the one its number says, where numbers start at 1 without a gap.
fn assert_numbered(records: &[Record]) {
    assert!(records.is_sorted_by(|one, next| one.1 < next.1));
    assert!(records.iter().all(|(_, seq, bytes)| *bytes == record(*seq)));
}

/// For what nobody is told about.
fn until(holds: impl Fn() -> bool) {
    while !holds() {
        thread::yield_now();
    }
}
