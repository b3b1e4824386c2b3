//! The driver of SQLite: one file, WAL, `synchronous = FULL`, one writer, many readers.

mod copy;
mod migrations;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use domain::ids::{NodeNumber, OfferId};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{
    CachedStatement, Connection, ErrorCode, OpenFlags, Statement, ToSql, TransactionBehavior,
    params_from_iter,
};

use crate::LedgerError;
use crate::database::{Columns, Database, Record, Session, Value};

/// Readers kept open between questions; more are opened when more are asked at once.
const IDLE_READERS_MAX: usize = 8;
/// Compiled statements kept per connection: more than the ledger has.
const STATEMENTS_MAX: usize = 128;
/// How long a writer waits for another process (`crumb key create`) to finish, in milliseconds.
const BUSY_MS: u32 = 10_000;

/// A SQLite file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    path: PathBuf,
    writer: Mutex<Connection>,
    idle_readers: Mutex<Vec<Connection>>,
}

impl Sqlite {
    /// Opens the file, creating it where there is none, and brings its schema up to date.
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        writer.pragma_update(None, "journal_mode", "wal").map_err(backend)?;
        writer.pragma_update(None, "synchronous", "full").map_err(backend)?;
        // What is erased must not stay in the file.
        writer.pragma_update(None, "secure_delete", true).map_err(backend)?;
        // 64 MiB: the index pages that recording touches stay in memory.
        writer.pragma_update(None, "cache_size", -65_536).map_err(backend)?;
        // 64 MiB of log before it is moved into the file: pages that change often are moved once for many
        // changes. Opening after a crash reads that much.
        writer.pragma_update(None, "wal_autocheckpoint", 16_384).map_err(backend)?;
        migrations::migrate(&mut writer, path)?;
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), idle_readers: Mutex::default() })
    }

    /// Opens an existing ledger for reading only and checks that this program knows its schema.
    pub(crate) fn check(path: &Path) -> Result<(), LedgerError> {
        let reader = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        migrations::version(&reader, path)?;
        let answer: String =
            reader.query_row("PRAGMA quick_check(1)", (), |row| row.get(0)).map_err(backend)?;
        if answer == "ok" { Ok(()) } else { Err(LedgerError::Backend(answer.into())) }
    }

    /// A connection that only reads.
    fn reader(&self) -> Result<Reader<'_>, LedgerError> {
        let idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        Ok(Reader { database: self, connection: Some(connection) })
    }
}

impl Database for Sqlite {
    fn decide<T, R>(
        &self,
        mut work: impl FnMut(&mut dyn Session) -> Result<Result<T, R>, LedgerError>,
    ) -> Result<Result<T, R>, LedgerError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(backend)?;
        let decided = work(&mut Open(&transaction))?;
        if decided.is_ok() {
            transaction.commit().map_err(backend)?;
        }
        Ok(decided)
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut reader = self.reader()?;
        let connection = reader.connection.as_mut().expect("there until dropped");
        let moment = connection.transaction().map_err(backend)?;
        work(&mut Open(&moment))
    }

    /// Deleted content was overwritten with zeros (`secure_delete`), and what the write-ahead log holds
    /// goes with a checkpoint, which moves all of it into the database and empties its file.
    fn scrub(&self, _tables: &[&str]) -> Result<(), LedgerError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let busy: i64 =
            writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0)).map_err(backend)?;
        let still_read = || LedgerError::Unavailable("its write-ahead log is still being read".to_owned());
        (busy == 0).then_some(()).ok_or_else(still_read)
    }

    /// Whoever has the data folder has the file in it: the folder's own lock is enough.
    fn hold_node(&self, _node: NodeNumber) -> Result<(), LedgerError> {
        Ok(())
    }

    /// A file is one server's alone: another number was its own before.
    fn list_other_nodes(&self, _own: NodeNumber) -> Result<Vec<NodeNumber>, LedgerError> {
        Ok(Vec::new())
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
struct Reader<'d> {
    database: &'d Sqlite,
    connection: Option<Connection>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut idle = self.database.idle_readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS_MAX {
            idle.extend(self.connection.take());
        }
    }
}

/// A connection with a transaction open on it.
struct Open<'c>(&'c Connection);

impl Open<'_> {
    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, LedgerError> {
        self.0.prepare_cached(sql).map_err(backend)
    }
}

impl Session for Open<'_> {
    fn each(
        &mut self,
        sql: &str,
        values: Vec<Value<'_>>,
        row: &mut dyn FnMut(&Record) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut statement = self.prepare(sql)?;
        let columns = columns(&statement);
        each(&mut statement, &columns, &values, |record| row(&record))
    }

    fn query_all(&mut self, sql: &str, values: &[Vec<Value<'_>>]) -> Result<Vec<Vec<Record>>, LedgerError> {
        let mut statement = self.prepare(sql)?;
        let columns = columns(&statement);
        let query = |values: &Vec<Value<'_>>| {
            let mut records = Vec::new();
            each(&mut statement, &columns, values, |record| {
                records.push(record);
                Ok(())
            })?;
            Ok(records)
        };
        values.iter().map(query).collect()
    }

    fn execute_all(&mut self, sql: &str, values: &[Vec<Value<'_>>]) -> Result<u64, LedgerError> {
        let mut statement = self.prepare(sql)?;
        let mut changed = 0;
        for values in values {
            changed += statement.execute(params_from_iter(values)).map_err(backend)? as u64;
        }
        Ok(changed)
    }

    /// There is one writer, so it is always its turn.
    fn take_turns(&mut self, _offers: &[OfferId]) -> Result<(), LedgerError> {
        Ok(())
    }
}

fn columns(statement: &Statement<'_>) -> Columns {
    statement.column_names().map(str::to_owned).collect()
}

fn each(
    statement: &mut Statement<'_>,
    columns: &Columns,
    values: &[Value<'_>],
    mut row: impl FnMut(Record) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let mut rows = statement.query(params_from_iter(values)).map_err(backend)?;
    while let Some(found) = rows.next().map_err(backend)? {
        let value = |column| found.get_ref(column).map(owned);
        let values = (0..columns.len()).map(value).collect::<Result<_, _>>().map_err(backend)?;
        row(Record::new(columns, values))?;
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A text that is none and a fraction become bytes: nothing that is read as a text or number, so the
/// column is told as damaged.
fn owned(value: ValueRef<'_>) -> Value<'static> {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::from(number.to_be_bytes().to_vec()),
        ValueRef::Text(bytes) => match str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned().into()),
            Err(_) => Value::from(bytes.to_vec()),
        },
        ValueRef::Blob(bytes) => Value::from(bytes.to_vec()),
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

#[cfg(test)]
mod tests {
    use domain::details::Door;
    use domain::ids::{ClickId, KeyId, NodeNumber};
    use domain::postback::Receiver;
    use jiff::Timestamp;

    use crate::{Attempt, Claim, Location};

    #[test]
    fn a_claim_that_finds_nothing_writes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        let ledger = Location::file(&path).open().expect("opens");
        let onlooker = rusqlite::Connection::open(&path).expect("opens");
        let commits =
            || -> i64 { onlooker.query_row("PRAGMA data_version", (), |row| row.get(0)).expect("asked") };
        let node = NodeNumber::new(1).expect("in range");
        let now = Timestamp::UNIX_EPOCH;
        let claim = Claim { node, lease: 1, until: now, wanted: vec![(Receiver(7), 10)] };
        let before = commits();
        assert_eq!(ledger.claim_due(&claim, now).expect("claimed"), []);
        assert_eq!(commits(), before);
        ledger.request_erasures(&[ClickId::from_bytes([7; 16])], now).expect("asked");
        assert_ne!(commits(), before, "an onlooker sees a commit");
    }

    #[test]
    fn what_was_erased_is_in_no_file_of_the_ledger() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Location::file(folder.path().join("ledger.sqlite")).open().expect("opens");
        let id = ClickId::from_bytes([7; 16]);
        // A short one, and one that fills pages of its own.
        for raw in ["somebody's own words".to_owned(), "somebody's own words, ".repeat(1000)] {
            let attempt = Attempt {
                door: Door::Pixel,
                offer_id: None,
                event_id: None,
                received_at: Timestamp::UNIX_EPOCH,
                key_id: KeyId(1),
                address: String::new(),
                batch_id: None,
                click_id: id.to_string(),
                unique_id: String::new(),
                outcome: "refused".to_owned(),
                reason: String::new(),
                conversion_id: None,
                raw,
            };
            ledger.record_attempt(&attempt).expect("written");
        }
        let traces = || {
            let files = std::fs::read_dir(folder.path()).expect("there");
            files
                .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("readable"))
                .filter(|bytes| bytes.windows(20).any(|window| window == b"somebody's own words"))
                .count()
        };
        assert!(traces() > 0);
        ledger.erase_visitors(&[id]).expect("erased");
        assert_eq!(traces(), 0);
    }
}
