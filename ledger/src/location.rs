//! Where a ledger lies, and opening it: the one place that knows which databases there are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::book::Book;
use crate::copy::LedgerCopy;
use crate::postgres::{Postgres, PostgresUrl};
use crate::sqlite::Sqlite;
use crate::{Ledger, LedgerError};

/// Where a ledger lies.
#[derive(Clone, Debug)]
pub enum Location {
    /// In a SQLite file.
    File(PathBuf),
    /// In a database of a PostgreSQL server, in the first schema of the search path.
    Server(PostgresUrl),
}

impl Location {
    /// A ledger in that file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// Opens the ledger, making it where there is none, and brings its schema up to date.
    pub fn open(&self) -> Result<Arc<dyn Ledger>, LedgerError> {
        match self {
            Self::File(path) => Ok(Arc::new(Book::new(Sqlite::open(path)?))),
            Self::Server(url) => Ok(Arc::new(Book::new(Postgres::open(url)?))),
        }
    }

    /// Copies the ledger into a new file as it is at one moment after this call, changing nothing and keeping
    /// nobody from writing; only the log of a busy ledger grows meanwhile. Tells how many pages of how many it has
    /// copied. A ledger in a database, or with a schema of an earlier release, is an error.
    pub fn copy_to(&self, to: &Path, copied: &mut dyn FnMut(u64, u64)) -> Result<LedgerCopy, LedgerError> {
        match self {
            Self::File(path) => {
                Sqlite::copy(path, to, copied)?;
                LedgerCopy::open(to)
            }
            Self::Server(_) => Err(LedgerError::InDatabase),
        }
    }

    /// Reads the ledger that is there and checks that this program knows its schema. False: there is
    /// none yet.
    pub fn check(&self) -> Result<bool, LedgerError> {
        match self {
            Self::File(path) => Sqlite::check(path).map(|()| true),
            Self::Server(url) => Postgres::check(url),
        }
    }
}
