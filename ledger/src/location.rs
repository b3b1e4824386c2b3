//! Where a ledger lies, and opening it: the one place that knows which databases there are.

use std::path::PathBuf;
use std::sync::Arc;

use crate::book::Book;
use crate::sqlite::Sqlite;
use crate::{Ledger, LedgerError};

/// Where a ledger lies.
#[derive(Clone, Debug)]
pub enum Location {
    /// In a SQLite file.
    File(PathBuf),
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
        }
    }

    /// Reads a ledger that is there and checks that this program knows its schema.
    pub fn check(&self) -> Result<(), LedgerError> {
        match self {
            Self::File(path) => Sqlite::check(path),
        }
    }
}
