//! Postbacks and webhooks, as the ledger keeps them. They are loaded with the network.

use domain::ids::PostbackId;
use domain::network_change::{CreatePostback, PostbackChange};
use domain::postback::Postback;
use jiff::Timestamp;

use crate::LedgerError;
use crate::network::Changed;

/// Who is told of conversions. Every change that is made raises the network's version in the same
/// transaction.
pub trait PostbackBook {
    /// Creates a postback: at most [`POSTBACKS_MAX`](domain::postback::POSTBACKS_MAX) an owner. Offer,
    /// campaign and event must exist and belong together, and to the owner, and its terms go together.
    fn create_postback(&self, create: CreatePostback, now: Timestamp) -> Changed<Postback>;

    /// The postback of that number as it is now, whatever a server's network still says.
    fn find_postback(&self, id: PostbackId) -> Result<Option<Postback>, LedgerError>;

    /// Changes what is present in `change`. Its terms must go together then.
    fn update_postback(&self, id: PostbackId, change: PostbackChange) -> Changed<Postback>;
}
