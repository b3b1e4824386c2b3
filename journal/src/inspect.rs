//! Looking at a journal without touching it, also while its owner is writing.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::JournalError;
use crate::disk::{Disk, RealDisk};
use crate::file::log_name;
use crate::replay::{read_frames, read_headers, witnessed_ends};

/// What a journal holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Its files.
    pub files: u64,
    /// The intact records in them.
    pub records: u64,
}

/// How often an owned journal is read again before what was found is believed: its owner drops and
/// recycles files meanwhile, but not one at every look.
pub(crate) const LOOKS_MAX: usize = 10;

/// Reads everything and checks it as a replay would, changing nothing. What the owner is writing at
/// this moment is not judged.
///
/// A folder that is not there holds nothing.
pub fn inspect(dir: &Path) -> Result<Report, JournalError> {
    if !dir.exists() {
        return Ok(Report::default());
    }
    let failed = || JournalError::io(format!("read {}", dir.display()));
    let disk = RealDisk::open(dir).map_err(failed())?;
    let is_owned = is_locked(dir).map_err(failed())?;
    let mut found = look(&disk, is_owned);
    for _ in 1..LOOKS_MAX {
        if !is_owned || found.is_ok() {
            break;
        }
        found = look(&disk, is_owned);
    }
    found
}

fn look(disk: &RealDisk, is_owned: bool) -> Result<Report, JournalError> {
    let unreadable = || JournalError::io("read the journal folder");
    let headers = read_headers(disk, &disk.names().map_err(unreadable())?)?;
    let ends = witnessed_ends(&headers);
    let mut report = Report::default();
    for (index, header) in headers.iter().enumerate() {
        let is_written = is_owned && index + 1 == headers.len();
        // Nothing beyond the header is witnessed of a file that is being written.
        let end = if is_written { Some(0) } else { ends.get(&header.file).copied() };
        let log = disk.open(&log_name(header.file)).map_err(unreadable())?;
        let found = read_frames(&*log, header, end, |_, _| {})?;
        report.files += 1;
        report.records += found.next_seq - header.first_seq;
    }
    Ok(report)
}

pub(crate) fn is_locked(dir: &Path) -> io::Result<bool> {
    let lock = match File::open(dir.join("lock")) {
        // Nobody has ever had it open, such as a copy of the log files alone.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        lock => lock?,
    };
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, FileNumber, Opened, Options, Sink};

    struct Nothing;

    impl Sink for Nothing {
        fn committed(&mut self, _: &Batch<'_>) {}
        fn rolled(&mut self, _: FileNumber) {}
        fn progressed(&mut self) {}
    }

    fn options(dir: &Path) -> Options {
        Options { dir: dir.to_owned(), file_bytes: 8192, pending_bytes_max: 4096, spare_files_max: 1 }
    }

    #[test]
    fn a_journal_is_inspected_beside_its_owner_and_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Opened::open(options(dir.path())).unwrap().start(Box::new(Nothing)).unwrap();
        for number in 1..=300_u64 {
            let seq = journal.append(|bytes| bytes.extend_from_slice(&[7; 100])).unwrap();
            journal.wait(seq).unwrap();
            if number.is_multiple_of(100) {
                assert_eq!(inspect(dir.path()).unwrap().records, number);
            }
        }
        journal.close();
        assert_eq!(inspect(dir.path()).unwrap().records, 300);
    }

    /// A sink that drops every completed file, as a sealer does.
    struct Dropping(std::sync::mpsc::Sender<FileNumber>);

    impl Sink for Dropping {
        fn committed(&mut self, _: &Batch<'_>) {}
        fn rolled(&mut self, file: FileNumber) {
            _ = self.0.send(file);
        }
        fn progressed(&mut self) {}
    }

    #[test]
    fn files_that_the_owner_drops_meanwhile_are_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let (completed, files) = std::sync::mpsc::channel();
        let journal =
            Opened::open(options(dir.path())).unwrap().start(Box::new(Dropping(completed))).unwrap();
        std::thread::scope(|scope| {
            let journal = &journal;
            let owner = scope.spawn(move || {
                let mut dropped = 0;
                while dropped < 100 {
                    let seq = journal.append(|bytes| bytes.extend_from_slice(&[7; 1000])).unwrap();
                    journal.wait(seq).unwrap();
                    for file in files.try_iter() {
                        journal.drop_file(file).unwrap();
                        dropped += 1;
                    }
                }
            });
            while !owner.is_finished() {
                inspect(dir.path()).unwrap();
            }
        });
    }

    #[test]
    fn damage_is_named_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Opened::open(options(dir.path())).unwrap().start(Box::new(Nothing)).unwrap();
        for _ in 0..10 {
            let seq = journal.append(|bytes| bytes.extend_from_slice(&[7; 100])).unwrap();
            journal.wait(seq).unwrap();
        }
        journal.close();
        let path = dir.path().join(log_name(1));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[300] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(inspect(dir.path()), Err(JournalError::Corrupt { file: 1, .. })));
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn a_copy_without_the_lock_is_inspected_too() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Opened::open(options(dir.path())).unwrap().start(Box::new(Nothing)).unwrap();
        let seq = journal.append(|bytes| bytes.extend_from_slice(b"one")).unwrap();
        journal.wait(seq).unwrap();
        journal.close();
        std::fs::remove_file(dir.path().join("lock")).unwrap();
        assert_eq!(inspect(dir.path()).unwrap().records, 1);
        assert!(!dir.path().join("lock").exists());
    }

    #[test]
    fn a_folder_that_is_not_there_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(inspect(&dir.path().join("none")).unwrap(), Report::default());
        assert!(!dir.path().join("none").exists());
    }
}
