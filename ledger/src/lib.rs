//! The transactional book: the network, conversions with their attempts, keys, and the catalogue of
//! segments. One method is one promise, one transaction and one typed outcome. Plain blocking code;
//! `app` is where waiting becomes async. What a promise means: `tests/conformance`. A promise is a trait
//! here and carried out once, in `book`, whichever database keeps it.
#![deny(clippy::float_arithmetic)]

mod book;
mod conversions;
mod database;
mod erasures;
mod error;
mod impressions;
mod keys;
mod location;
mod network;
mod nodes;
mod pricing;
mod segments;
mod sqlite;
mod suppressions;
mod traffic;

pub use conversions::{Attempt, ConversionBook, Recorded, Submission};
pub use erasures::ErasureBook;
pub use error::LedgerError;
pub use impressions::ImpressionBook;
pub use keys::{CreateKey, Key, KeyBook, KeyHash};
pub use location::Location;
pub use network::NetworkBook;
pub use nodes::NodeBook;
pub use pricing::PricingBook;
pub use segments::SegmentCatalogue;
pub use suppressions::SuppressionBook;
pub use traffic::TrafficBook;

/// The whole book, as the rest of the program holds it.
pub trait Ledger:
    NetworkBook
    + TrafficBook
    + PricingBook
    + SuppressionBook
    + ConversionBook
    + KeyBook
    + SegmentCatalogue
    + ErasureBook
    + ImpressionBook
    + NodeBook
    + Send
    + Sync
{
}

impl<T> Ledger for T where
    T: NetworkBook
        + TrafficBook
        + PricingBook
        + SuppressionBook
        + ConversionBook
        + KeyBook
        + SegmentCatalogue
        + ErasureBook
        + ImpressionBook
        + NodeBook
        + Send
        + Sync
{
}
