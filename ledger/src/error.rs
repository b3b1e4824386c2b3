//! What can go wrong with the book itself. "Not there" is `None` and "already there" an outcome;
//! neither is an error.

use domain::ids::BatchId;
use thiserror::Error;

/// Why the ledger could not do what it was asked.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The database cannot be reached, read or written, or is busy for too long. Trying again may help.
    #[error("the ledger is not available: {0}")]
    Unavailable(String),
    /// The disk is full. Nothing was written.
    #[error("the ledger's disk is full")]
    Full,
    /// A stored value is none that this program writes.
    #[error("the ledger is damaged: {table}.{column} of row {row}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
    },
    /// What was asked for belongs to a batch that was taken back meanwhile. Nothing was written.
    #[error("batch {0} was taken back")]
    BatchUndone(BatchId),
    /// The database was written by a later release.
    #[error(
        "the ledger has schema version {found}, and this release knows only up to {known}; use a newer release"
    )]
    TooNew {
        /// The version found.
        found: i64,
        /// The latest version this program knows.
        known: i64,
    },
    /// The ledger was written by an earlier release, and what was asked for changes nothing of it.
    #[error(
        "the ledger has schema version {found}, and this release writes {known}; start the server with it first"
    )]
    TooOld {
        /// The version found.
        found: i64,
        /// The version this program writes.
        known: i64,
    },
    /// The ledger is no file that could be copied.
    #[error("the ledger is in a database, which is copied with the database's own tools")]
    InDatabase,
    /// Another server holds the node number.
    #[error("another server with node number {0} runs on this ledger; give each server its own node.number")]
    NodeInUse(u16),
    /// The file, or the database's schema, is no ledger of Crumb's.
    #[error("{0} is not a Crumb ledger")]
    Foreign(String),
    /// The database server is one that no ledger can be kept on.
    #[error("the database cannot hold a ledger: {0}")]
    Unfit(String),
    /// Anything else the database said.
    #[error("the ledger failed")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}
