//! Copying a SQLite file beside those who write to it.

use std::fs::File;
use std::path::Path;
use std::sync::PoisonError;

use rusqlite::OpenFlags;
use rusqlite::backup::{Backup, StepResult};

use super::{Sqlite, backend, connect, migrations};
use crate::LedgerError;

/// Pages copied between two looks at how far it is: 16 MiB.
const PAGES_PER_STEP: i32 = 4096;

impl Sqlite {
    /// Copies the file page by page as it is at one moment. The copy is whole and durable on return.
    pub(crate) fn copy(from: &Path, to: &Path, copied: &mut dyn FnMut(u64, u64)) -> Result<(), LedgerError> {
        let reader = connect(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        // SQLite would begin anew whenever somebody writes, but for this: within a transaction that has read it
        // goes on seeing the moment of that read, as every reader of a log does.
        let moment = reader.unchecked_transaction().map_err(backend)?;
        let (found, known) = (migrations::version(&moment, from)?, migrations::known());
        if found < known {
            return Err(LedgerError::TooOld { found, known });
        }
        let mut copy = connect(to, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        let backup = Backup::new(&moment, &mut copy).map_err(backend)?;
        loop {
            let step = backup.step(PAGES_PER_STEP).map_err(backend)?;
            let progress = backup.progress();
            let pages = |count: i32| u64::try_from(count).unwrap_or_default();
            copied(pages(progress.pagecount - progress.remaining), pages(progress.pagecount));
            match step {
                StepResult::More => {}
                StepResult::Done => return Ok(()),
                _ => return Err(LedgerError::Unavailable("it is locked by another process".to_owned())),
            }
        }
    }

    /// Leaves one durable file.
    pub(crate) fn finish(self) -> Result<(), LedgerError> {
        let Self { path, writer, idle_readers } = self;
        drop(idle_readers);
        let writer = writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The log is moved into the file and removed.
        writer.pragma_update(None, "journal_mode", "delete").map_err(backend)?;
        writer.close().map_err(|(_, error)| backend(error))?;
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|error| LedgerError::Unavailable(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::ClickId;
    use jiff::Timestamp;

    use crate::{LedgerError, Location};

    #[test]
    fn a_copy_is_the_ledger_of_one_moment_and_one_file_whoever_writes_meanwhile() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, copy_path) = (folder.path().join("ledger.sqlite"), folder.path().join("copy.sqlite"));
        let ledger = Location::file(&path).open().expect("opens");
        let ask = |number: u32| {
            // More than a step's pages, so that somebody writes between two.
            let ids: Vec<_> = (0..200_000_u32)
                .map(|it| {
                    let mut bytes = [7; 16];
                    bytes[..8].copy_from_slice(&[number.to_be_bytes(), it.to_be_bytes()].concat());
                    ClickId::from_bytes(bytes)
                })
                .collect();
            ledger.request_erasures(&ids, Timestamp::UNIX_EPOCH).expect("asked");
        };
        let rows = |path| {
            let reader = rusqlite::Connection::open(path).expect("opens");
            reader
                .query_row("SELECT count(*) FROM erasures", (), |row| row.get::<_, i64>(0))
                .expect("counted")
        };
        (1..=4).for_each(ask);
        let mut looks = Vec::new();
        let mut between = |copied: u64, pages: u64| {
            looks.push((copied, pages));
            if looks.len() == 1 {
                ask(5);
            }
        };
        let copy = Location::file(&path).copy_to(&copy_path, &mut between).expect("copied");
        copy.finish().expect("finished");
        assert!(looks.len() > 1 && looks.iter().all(|look| look.1 == looks[0].1), "{looks:?}");
        assert_eq!(rows(&path), 1_000_000);
        assert_eq!(rows(&copy_path), 800_000);
        Location::file(&copy_path).check().expect("sound");
        for left in ["copy.sqlite-wal", "copy.sqlite-shm", "copy.sqlite-journal"] {
            assert!(!folder.path().join(left).exists(), "{left}");
        }
    }

    #[test]
    fn a_ledger_of_an_earlier_release_is_not_copied_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        drop(Location::file(&path).open().expect("opens"));
        let earlier = rusqlite::Connection::open(&path).expect("opens");
        earlier.pragma_update(None, "user_version", 1).expect("set");
        let copied = Location::file(&path).copy_to(&folder.path().join("copy"), &mut |_, _| {});
        assert!(matches!(copied, Err(LedgerError::TooOld { found: 1, .. })), "{copied:?}");
        let version: i64 = earlier.query_row("PRAGMA user_version", (), |row| row.get(0)).expect("asked");
        assert_eq!(version, 1);
    }

    #[test]
    fn a_ledger_in_a_database_is_left_to_the_databases_tools() {
        let location = Location::Server("postgres://u@127.0.0.1:1/d".parse().expect("an address"));
        let copied = location.copy_to(std::path::Path::new("/nonexistent/copy"), &mut |_, _| {});
        assert!(matches!(copied, Err(LedgerError::InDatabase)), "{copied:?}");
    }
}
