//! Where a ledger lies, and opening it: the one place that knows which databases there are.

use std::path::PathBuf;
use std::sync::Arc;

use crate::book::Book;
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

    /// Reads the ledger that is there and checks that this program knows its schema. False: there is
    /// none yet.
    pub fn check(&self) -> Result<bool, LedgerError> {
        match self {
            Self::File(path) => Sqlite::check(path).map(|()| true),
            Self::Server(url) => Postgres::check(url),
        }
    }
}
