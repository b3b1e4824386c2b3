//! The books, written once for every database: a file per noun, beside its trait of the same name.

mod adjustments;
mod batches;
mod changes;
mod conversions;
mod deliveries;
mod erasures;
mod evidence;
mod filter;
mod impressions;
mod keys;
mod money;
mod network;
mod nodes;
mod postbacks;
mod pricing;
mod reconciliations;
pub(crate) mod segments;
mod statements;
mod suppressions;
mod traffic;
mod verify;

use crate::LedgerError;
use crate::database::{Database, Session, single, values};

/// All books in one database.
#[derive(Debug)]
pub(crate) struct Book<D> {
    database: D,
}

impl<D: Database> Book<D> {
    pub(crate) fn new(database: D) -> Self {
        Self { database }
    }

    fn version(&self, name: &str) -> Result<u64, LedgerError> {
        self.database.read(|session| version(session, name))
    }
}

fn version(session: &mut dyn Session, name: &str) -> Result<u64, LedgerError> {
    single(session, "-- version\nSELECT version FROM versions WHERE name = ?1", values![name])
}

/// Raises a version. As the first statement of every change it also makes changes wait for each other:
/// each sees what those before it have left.
fn raise_version(session: &mut dyn Session, name: &str) -> Result<(), LedgerError> {
    let sql = "-- raise_version\nUPDATE versions SET version = version + 1 WHERE name = ?1";
    session.execute(sql, values![name]).map(drop)
}
