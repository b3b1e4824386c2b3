//! The transactional book: the network, conversions with their attempts, keys, and the catalogue of
//! segments. One method is one promise, one transaction and one typed outcome. Plain blocking code;
//! `app` is where waiting becomes async. What a promise means: `tests/conformance`.
#![deny(clippy::float_arithmetic)]

mod conversions;
mod erasures;
mod error;
mod impressions;
mod keys;
mod network;
mod segments;
pub mod sqlite;
mod traffic;

pub use conversions::{Attempt, ConversionBook, Recorded, Submission};
pub use erasures::ErasureBook;
pub use error::LedgerError;
pub use impressions::ImpressionBook;
pub use keys::{CreateKey, Key, KeyBook, KeyHash};
pub use network::NetworkBook;
pub use segments::SegmentCatalogue;
pub use traffic::TrafficBook;

/// The whole book, as the rest of the program holds it.
pub trait Ledger:
    NetworkBook
    + TrafficBook
    + ConversionBook
    + KeyBook
    + SegmentCatalogue
    + ErasureBook
    + ImpressionBook
    + Send
    + Sync
{
}

impl<T> Ledger for T where
    T: NetworkBook
        + TrafficBook
        + ConversionBook
        + KeyBook
        + SegmentCatalogue
        + ErasureBook
        + ImpressionBook
        + Send
        + Sync
{
}
