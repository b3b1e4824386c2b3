//! What can be asked of the archive: which clicks, in which order, which of them.

use jiff::Timestamp;

use crate::click::Click;
use crate::ids::{AffiliateId, ClickId, OfferId};
use crate::report::Filter;

/// Which clicks. They come oldest first, ties by click id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClickFilter {
    /// The lowest id wanted: the start of the time range.
    pub from: ClickId,
    /// The first id no longer wanted: the end of the time range.
    pub before: ClickId,
    /// Only clicks on this offer.
    pub offer_id: Option<OfferId>,
    /// Only clicks of this affiliate.
    pub affiliate_id: Option<AffiliateId>,
}

impl ClickFilter {
    /// Every click from `from` on and before `until` (exclusive).
    pub fn between(from: Timestamp, until: Timestamp) -> Self {
        Self {
            from: ClickId::first_at(from),
            before: ClickId::first_at(until),
            offer_id: None,
            affiliate_id: None,
        }
    }
}

/// Which clicks, by whatever they have. They come oldest first, ties by click id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClickSearch {
    /// At or after this.
    pub from: Timestamp,
    /// Before this.
    pub until: Timestamp,
    /// All must admit a click; all are of attributes that clicks have.
    pub filters: Vec<Filter>,
}

/// A page of clicks, and how many match in all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClickPage {
    /// All matches, before paging.
    pub total: u64,
    /// The page's clicks.
    pub clicks: Vec<Click>,
}
