//! Erasures: clicks whose visitor's data somebody wants gone. A request is carried out by the process
//! that has the data folder open, whoever made it.

use domain::ids::ClickId;
use jiff::Timestamp;

use crate::LedgerError;

/// The requests, and the ledger's own part in them.
pub trait ErasureBook {
    /// Asks for the erasure of these clicks' visitors. One asked for again is carried out again.
    fn request_erasures(&self, clicks: &[ClickId], now: Timestamp) -> Result<(), LedgerError>;

    /// The clicks whose erasure is asked for and not done, by id.
    fn list_erasures(&self) -> Result<Vec<ClickId>, LedgerError>;

    /// Blanks what conversions, attempts and deliveries of these clicks hold of their visitors: sub ids, the
    /// referrer's host, the advertiser's own values, the call as it came, the calls that told of it and their answers. On return a ledger in a file holds it in none of
    /// its files, and a database server has been told to give up what it was. Money, ids and times stay.
    fn erase_visitors(&self, clicks: &[ClickId]) -> Result<(), LedgerError>;

    /// Notes that these erasures are done.
    fn finish_erasures(&self, clicks: &[ClickId], now: Timestamp) -> Result<(), LedgerError>;
}
