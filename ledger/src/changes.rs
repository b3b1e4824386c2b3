//! The order in which conversions changed, for those who follow it; and what reports are made of.

use domain::adjustment::{Cause, Standing};
use domain::conversion::Conversion;
use domain::ids::{AdvertiserId, AffiliateId, BatchId, ChangeId, OfferId};
use domain::report::{Clock, Fact};
use jiff::Timestamp;

use crate::LedgerError;

/// What happened to a conversion: its recording, or an adjustment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its number: the place in the order of commits.
    pub id: ChangeId,
    /// When it was made.
    pub changed_at: Timestamp,
    /// The number of the booking on its conversion: 0 is the recording.
    pub booking: u32,
    /// What made the adjustment; none is the recording.
    pub cause: Option<Cause>,
    /// Where the conversion stood; none before its recording.
    pub before: Option<Standing>,
    /// Where it stood since.
    pub after: Standing,
    /// Who made the adjustment; empty for the recording, whose key its attempt tells.
    pub actor: String,
    /// Why, in words; empty for the recording.
    pub note: String,
    /// The batch it belongs to.
    pub batch_id: Option<BatchId>,
    /// The conversion as it stands now.
    pub conversion: Conversion,
}

/// Whose changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChangeFilter {
    /// On this offer.
    pub offer_id: Option<OfferId>,
    /// Of this affiliate's conversions.
    pub affiliate_id: Option<AffiliateId>,
    /// Of this advertiser's conversions.
    pub advertiser_id: Option<AdvertiserId>,
}

/// Changes that follow each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangePage {
    /// Those that match, in their order.
    pub changes: Vec<Change>,
    /// Everything up to here was looked at: where the next page goes on, also where nothing matched.
    pub last: ChangeId,
    /// Whether any follow, of whomever.
    pub more: bool,
}

/// When a conversion's click was, when it happened, and when it was first approved.
pub type FactTimes = (Timestamp, Timestamp, Option<Timestamp>);

/// What has changed since.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed {
    /// The change made last.
    pub last: ChangeId,
    /// The times of the conversion of each change, in their order; none where too much has changed to tell.
    pub times: Option<Vec<FactTimes>>,
    /// Grows with every erasure of visitors' data, which conversions may hold and which is no change.
    pub erasures: u64,
}

/// Every change of every conversion, in one order that never changes: whoever has seen a number never sees
/// a smaller one appear, whichever server commits when.
pub trait ChangeBook {
    /// The number of the change made last; 0 where there is none.
    fn last_change(&self) -> Result<ChangeId, LedgerError>;

    /// Changes after that number, `limit` at most. It looks at 10,000 at most, so that a filter that
    /// matches little costs no more than one that matches all. None: no such number was given yet.
    fn list_changes(
        &self,
        after: ChangeId,
        filter: &ChangeFilter,
        limit: u32,
    ) -> Result<Option<ChangePage>, LedgerError>;

    /// The times of what has changed after that number, unless more than `max` changes were made since, or
    /// no such number was given yet.
    fn changed_since(&self, after: ChangeId, max: u32) -> Result<Changed, LedgerError>;

    /// Hands over every conversion whose time by `clock` lies in `from..until`, in the order of that time.
    /// Nothing is held in memory.
    fn each_fact(
        &self,
        clock: Clock,
        from: Timestamp,
        until: Timestamp,
        row: &mut dyn FnMut(Fact),
    ) -> Result<(), LedgerError>;
}
