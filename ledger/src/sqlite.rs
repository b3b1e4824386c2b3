//! The ledger in one SQLite file: WAL, `synchronous = FULL`, one writer, many readers.

mod conversions;
mod erasures;
mod impressions;
mod keys;
mod migrations;
mod network;
mod row;
mod segments;
mod traffic;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::LedgerError;

/// Readers kept open between questions; more are opened when more are asked at once.
const IDLE_READERS_MAX: usize = 8;
/// Compiled statements kept per connection: more than the ledger has.
const STATEMENTS_MAX: usize = 128;
/// How long a writer waits for another process (`crumb key create`) to finish, in milliseconds.
const BUSY_MS: u32 = 10_000;

/// The ledger in a SQLite file.
#[derive(Debug)]
pub struct SqliteLedger {
    path: PathBuf,
    writer: Mutex<Connection>,
    idle_readers: Mutex<Vec<Connection>>,
}

impl SqliteLedger {
    /// Opens the file, creating it where there is none, and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        writer.pragma_update(None, "journal_mode", "wal").map_err(backend)?;
        writer.pragma_update(None, "synchronous", "full").map_err(backend)?;
        // What is erased must not stay in the file.
        writer.pragma_update(None, "secure_delete", true).map_err(backend)?;
        // 64 MiB: the index pages that recording touches stay in memory.
        writer.pragma_update(None, "cache_size", -65_536).map_err(backend)?;
        migrations::migrate(&mut writer, path)?;
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), idle_readers: Mutex::default() })
    }

    /// Opens an existing ledger for reading only and checks that this program knows its schema.
    pub fn check(path: &Path) -> Result<(), LedgerError> {
        let reader = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        migrations::version(&reader, path)?;
        let answer: String =
            reader.query_row("PRAGMA quick_check(1)", (), |row| row.get(0)).map_err(backend)?;
        if answer == "ok" { Ok(()) } else { Err(LedgerError::Backend(answer.into())) }
    }

    /// Runs `work` in one write transaction and commits it.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(backend)?;
        let done = work(&transaction)?;
        transaction.commit().map_err(backend)?;
        Ok(done)
    }

    /// A connection that only reads, of one moment while a transaction is open on it.
    fn reader(&self) -> Result<Reader<'_>, LedgerError> {
        let idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        Ok(Reader { ledger: self, connection: Some(connection) })
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, LedgerError> {
    let connection =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(backend)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS.into())).map_err(backend)?;
    // Without it every cached statement is compiled anew on each use: SQLite then looks at bound values
    // while planning, and rusqlite clears them when a statement goes back into its cache.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(backend)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// A borrowed reader, given back when dropped.
struct Reader<'l> {
    ledger: &'l SqliteLedger,
    connection: Option<Connection>,
}

impl Deref for Reader<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("there until dropped")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut idle = self.ledger.idle_readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS_MAX {
            idle.extend(self.connection.take());
        }
    }
}

/// Sorts the database's errors into the ledger's.
fn backend(error: rusqlite::Error) -> LedgerError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            // The disk, not the book: nothing was committed, and a disk may come back.
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly,
        ) => LedgerError::Unavailable(error.to_string()),
        Some(ErrorCode::DiskFull) => LedgerError::Full,
        _ => LedgerError::Backend(Box::new(error)),
    }
}
