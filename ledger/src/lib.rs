//! The transactional book: the network, conversions with their attempts, keys, and the catalogue of
//! segments. One method is one promise, one transaction and one typed outcome. Plain blocking code;
//! `app` is where waiting becomes async. What a promise means: `tests/conformance`. A promise is a trait
//! here and carried out once, in `book`, whichever database keeps it.
#![deny(clippy::float_arithmetic)]

mod adjustments;
mod batches;
mod book;
mod changes;
mod conversions;
mod copy;
mod database;
mod deliveries;
mod erasures;
mod error;
mod evidence;
mod impressions;
mod keys;
mod location;
mod network;
mod nodes;
mod postbacks;
mod postgres;
mod pricing;
mod reconciliations;
#[cfg(test)]
#[path = "../tests/shared/schema.rs"]
mod schema;
mod segments;
mod sqlite;
mod statements;
mod suppressions;
mod traffic;
mod verify;

pub use adjustments::{Adjusted, AdjustmentBook, AdjustmentFilter, Author, EntryFilter, NotAdjusted, Order};
pub use batches::{Batch, BatchBook, BatchType, Undone};
pub use changes::{Change, ChangeBook, ChangeFilter, ChangePage, Changed, FactTimes};
pub use conversions::{
    Attempt, AttemptKey, ConversionBook, ConversionKey, KeptAttempt, Recorded, Stated, Submission,
};
pub use copy::LedgerCopy;
pub use deliveries::{
    Claim, Claimed, DeliveryBook, DeliveryCounts, DeliveryFilter, DueReceiver, Finished, Replayed,
};
pub use erasures::ErasureBook;
pub use error::LedgerError;
pub use evidence::{EvidenceBook, KnownConversion, Likeness, Lookup};
pub use impressions::ImpressionBook;
pub use keys::{CreateKey, Key, KeyBook, KeyHash};
pub use location::Location;
pub use network::NetworkBook;
pub use nodes::NodeBook;
pub use postbacks::PostbackBook;
pub use postgres::{BadPostgresUrl, PostgresUrl};
pub use pricing::PricingBook;
pub use reconciliations::{
    Accepting, BeginReconciliation, Old, Reconciled, Reconciliation, ReconciliationBook, ReconciliationRow,
    Taken, Taking,
};
pub use segments::SegmentCatalogue;
pub use statements::{NotClosed, StatementBook, StatementFilter, StatementLine};
pub use suppressions::SuppressionBook;
pub use traffic::TrafficBook;
pub use verify::{Finding, VerifyBook};

/// A page of rows, and how many there are in all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// All matches, before paging.
    pub total: u64,
    /// The page.
    pub rows: Vec<T>,
}

/// The whole book, as the rest of the program holds it.
pub trait Ledger:
    NetworkBook
    + TrafficBook
    + PricingBook
    + PostbackBook
    + SuppressionBook
    + ConversionBook
    + DeliveryBook
    + KeyBook
    + SegmentCatalogue
    + ErasureBook
    + ImpressionBook
    + NodeBook
    + AdjustmentBook
    + BatchBook
    + ChangeBook
    + StatementBook
    + ReconciliationBook
    + EvidenceBook
    + VerifyBook
    + Send
    + Sync
{
}

impl<T> Ledger for T where
    T: NetworkBook
        + TrafficBook
        + PricingBook
        + PostbackBook
        + SuppressionBook
        + ConversionBook
        + DeliveryBook
        + KeyBook
        + SegmentCatalogue
        + ErasureBook
        + ImpressionBook
        + NodeBook
        + AdjustmentBook
        + BatchBook
        + ChangeBook
        + StatementBook
        + ReconciliationBook
        + EvidenceBook
        + ReconciliationBook
        + EvidenceBook
        + VerifyBook
        + Send
        + Sync
{
}
