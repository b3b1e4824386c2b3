//! Copying a journal while its owner is writing: whole frames only, so that a copy is what a crash could have
//! left. Looking without copying is `inspect`'s.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::disk::{Disk, DiskFile, RealDisk};
use crate::file::log_name;
use crate::header::{HEADER_BYTES, Header};
use crate::inspect::{LOOKS_MAX, is_locked};
use crate::replay::{read_frames, read_headers, witnessed_ends};
use crate::{JournalError, Seq};

/// Bytes copied at once.
const PIECE_BYTES: u64 = 1 << 20;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The names of its files, newest first.
    pub files: Vec<String>,
    /// The number its first record has, or would have.
    pub first_seq: Seq,
    /// The number its next record would have.
    pub next_seq: Seq,
}

/// Copies a journal into a folder that is there and empty, changing nothing, also while its owner writes, drops
/// and recycles files. The copy has every record that was durable when this was called, but for files dropped
/// before they could be copied; those are the oldest. Each file ends behind its last whole frame. The copy's
/// content is durable on return, its names are not.
///
/// Damage is an error, as for a replay; what the owner is writing at this moment is not judged.
pub fn copy(from: &Path, to: &Path) -> Result<Copied, JournalError> {
    if !from.exists() {
        return Ok(Copied { files: Vec::new(), first_seq: 1, next_seq: 1 });
    }
    let failed = || JournalError::io(format!("read {}", from.display()));
    let disk = RealDisk::open(from).map_err(failed())?;
    let is_owned = is_locked(from).map_err(failed())?;
    for _ in 0..LOOKS_MAX {
        if let Some(copied) = copy_files(&disk, is_owned, to)? {
            return Ok(copied);
        }
    }
    Err(failed()(io::Error::other("its files are dropped sooner than they can be copied")))
}

/// Copies all files; `None` where the newest was dropped meanwhile, so that nothing tells what came after it.
fn copy_files(disk: &RealDisk, is_owned: bool, to: &Path) -> Result<Option<Copied>, JournalError> {
    let mut copied = Copied { files: Vec::new(), first_seq: 1, next_seq: 1 };
    let headers = headers(disk, is_owned)?;
    let ends = witnessed_ends(&headers);
    // The newest first: files are dropped oldest first, so what is gone meanwhile leaves no gap.
    for (age, header) in headers.iter().rev().enumerate() {
        let is_newest = age == 0;
        let end = if is_owned && is_newest { Some(0) } else { ends.get(&header.file).copied() };
        let Some(next_seq) = copy_file(disk, header, end, to)? else {
            if is_newest {
                return Ok(None);
            }
            continue;
        };
        copied.files.push(log_name(header.file));
        copied.first_seq = header.first_seq;
        copied.next_seq = copied.next_seq.max(next_seq);
    }
    Ok(Some(copied))
}

/// The headers of all files, oldest first.
fn headers(disk: &RealDisk, is_owned: bool) -> Result<Vec<Header>, JournalError> {
    let look = || {
        let names = disk.names().map_err(JournalError::io("read the journal folder"))?;
        read_headers(disk, &names)
    };
    let mut found = look();
    for _ in 1..LOOKS_MAX {
        if !is_owned || found.is_ok() {
            break;
        }
        found = look();
    }
    found
}

/// Copies one file; `None` where it was dropped before it was copied. Otherwise the number behind its last record.
fn copy_file(
    disk: &RealDisk,
    header: &Header,
    witnessed_end: Option<u64>,
    to: &Path,
) -> Result<Option<Seq>, JournalError> {
    let name = log_name(header.file);
    let unreadable = || JournalError::io(format!("read {name}"));
    let log = match disk.open(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        log => log.map_err(unreadable())?,
    };
    let path = to.join(&name);
    let found = read_frames(&*log, header, witnessed_end, |_, _| {});
    let found = found.and_then(|found| {
        let copied = copy_bytes(&*log, found.end, &path);
        copied.map_err(JournalError::io(format!("copy {name} to {}", path.display())))?;
        Ok(found)
    });
    // A file is used again by writing another header first, so this one's frames were there all the time.
    let bytes = log.read_at(0, HEADER_BYTES as u64).map_err(unreadable())?;
    if Header::decode(&bytes, header.file).ok().as_ref() == Some(header) {
        return found.map(|found| Some(found.next_seq));
    }
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(JournalError::io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(None),
    }
}

fn copy_bytes(log: &dyn DiskFile, end: u64, to: &Path) -> io::Result<()> {
    let mut copy: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let mut offset = 0;
    while offset < end {
        let piece = log.read_at(offset, PIECE_BYTES.min(end - offset))?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        copy.write_all(&piece)?;
        offset += piece.len() as u64;
    }
    copy.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, FileNumber, Opened, Options, Sink};

    /// Has completed files dropped, as a sealer does.
    struct Dropping(std::sync::mpsc::Sender<FileNumber>);

    impl Sink for Dropping {
        fn committed(&mut self, _: &Batch<'_>) {}
        fn rolled(&mut self, file: FileNumber) {
            _ = self.0.send(file);
        }
        fn progressed(&mut self) {}
    }

    fn options(dir: &Path) -> Options {
        Options { dir: dir.to_owned(), file_bytes: 8192, pending_bytes_max: 4096, spare_files_max: 1 }
    }

    fn replayed(dir: &Path) -> Vec<(Seq, Vec<u8>)> {
        let mut records = Vec::new();
        let mut opened = Opened::open(options(dir)).unwrap();
        let replayed =
            opened.replay(|_| true, |_, seq, record| records.push((seq, record.to_vec()))).unwrap();
        assert_eq!((replayed.missing, replayed.torn), (Vec::new(), None));
        records
    }

    #[test]
    fn a_copy_has_all_that_was_durable_but_what_was_dropped_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let (completed, files) = std::sync::mpsc::channel();
        let journal =
            Opened::open(options(dir.path())).unwrap().start(Box::new(Dropping(completed))).unwrap();
        let durable = std::sync::atomic::AtomicU64::new(0);
        let dropped_until = std::sync::atomic::AtomicU64::new(0);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            let (journal, durable, dropped_until) = (&journal, &durable, &dropped_until);
            let owner = scope.spawn(move || {
                // As many wait as a sealer that lags behind has.
                let mut waiting = std::collections::VecDeque::new();
                let mut dropped = 0;
                while dropped < 200 {
                    let seq = journal.append(|bytes| bytes.extend_from_slice(&[7; 1000])).unwrap();
                    journal.wait(seq).unwrap();
                    durable.store(seq, order);
                    waiting.extend(files.try_iter());
                    while waiting.len() > 3 {
                        dropped_until.store(seq, order);
                        journal.drop_file(waiting.pop_front().unwrap()).unwrap();
                        dropped += 1;
                    }
                }
            });
            while !owner.is_finished() {
                let to = tempfile::tempdir().unwrap();
                let before = durable.load(order);
                let copied = copy(dir.path(), to.path()).unwrap();
                let records = replayed(to.path());
                assert!(copied.next_seq > before, "{copied:?} without {before}");
                assert!(copied.first_seq <= dropped_until.load(order) + 1, "{copied:?}");
                let seqs: Vec<_> = records.iter().map(|(seq, _)| *seq).collect();
                assert_eq!(seqs, (copied.first_seq..copied.next_seq).collect::<Vec<_>>());
                assert!(records.iter().all(|(_, record)| *record == [7; 1000]));
            }
        });
    }

    #[test]
    fn a_copy_of_a_journal_at_rest_goes_on_where_it_ended_and_damage_is_told() {
        let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (completed, _files) = std::sync::mpsc::channel();
        let journal =
            Opened::open(options(dir.path())).unwrap().start(Box::new(Dropping(completed))).unwrap();
        for number in 0..20_u8 {
            let seq = journal.append(|bytes| bytes.extend_from_slice(&[number; 1000])).unwrap();
            journal.wait(seq).unwrap();
        }
        journal.close();
        let copied = copy(dir.path(), to.path()).unwrap();
        assert_eq!((copied.first_seq, copied.next_seq), (1, 21));
        assert!(copied.files.len() > 1 && !to.path().join("lock").exists(), "{copied:?}");
        let size = std::fs::metadata(to.path().join(&copied.files[0])).unwrap().len();
        assert!(size < 8192, "what is filling is not copied: {size} bytes");
        assert_eq!(replayed(to.path()), replayed(dir.path()));

        let path = dir.path().join(log_name(1));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[300] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let damaged = copy(dir.path(), elsewhere.path());
        assert!(matches!(damaged, Err(JournalError::Corrupt { file: 1, .. })), "{damaged:?}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_empty_journal() {
        let dir = tempfile::tempdir().unwrap();
        let copied = copy(&dir.path().join("none"), dir.path()).unwrap();
        assert_eq!((copied.files.len(), copied.next_seq), (0, 1));
    }
}
