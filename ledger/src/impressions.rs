//! Impressions, as counts.

use domain::impression::Impressions;
use jiff::Timestamp;

use crate::LedgerError;

/// The counts.
pub trait ImpressionBook {
    /// Adds to the counts, all or none. Not idempotent: added again they count again.
    fn add_impressions(&self, counted: &[Impressions]) -> Result<(), LedgerError>;

    /// Hands over every count whose quarter of an hour begins in `from..until`, by quarter; kinds of one
    /// quarter in no promised order. Nothing is held in memory.
    fn list_impressions(
        &self,
        from: Timestamp,
        until: Timestamp,
        row: &mut dyn FnMut(Impressions),
    ) -> Result<(), LedgerError>;
}
