//! What becomes of conversions after they are recorded: dated adjustments, and the lines of money.

use std::sync::Arc;

use domain::adjustment::{Adjustment, Cause, Change, EffectiveDate, Unadjustable};
use domain::conversion::Conversion;
use domain::conversion_query::ConversionFilter;
use domain::entry::{Entry, EntryId};
use domain::ids::{AffiliateId, BatchId, ConversionId, EventId, KeyId, OfferId, StatementId};
use domain::network::Network;
use domain::statement::Party;
use jiff::Timestamp;

use crate::{LedgerError, Page};

/// Who does something to the books.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Author {
    /// The key; none where the server itself acts.
    pub key_id: Option<KeyId>,
    /// The key's name, or the server.
    pub name: String,
}

/// What somebody asks to be done to conversions.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is to change.
    pub change: Change,
    /// The date it counts for.
    pub effective: EffectiveDate,
    /// A conversion with a line on a closed statement is left alone.
    pub refuse_if_stated: bool,
    /// Who asks.
    pub author: Author,
    /// Why.
    pub note: String,
    /// What makes the adjustment.
    pub cause: Cause,
    /// The batch it belongs to.
    pub batch_id: Option<BatchId>,
    /// The network whose postbacks tell of it; none: nobody is told.
    pub tells: Option<Arc<Network>>,
}

/// Why a conversion was left as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotAdjusted {
    /// There is no such conversion.
    NotFound,
    /// The rules do not allow it.
    Unadjustable(Unadjustable),
    /// A line of it is on this statement, and the order says to leave such alone.
    Stated(StatementId),
}

/// What became of a conversion that was to be adjusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adjusted {
    /// The conversion as it is now.
    pub conversion: Conversion,
    /// The adjustment; none where it stood as asked already.
    pub adjustment: Option<Adjustment>,
}

/// Which adjustments.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AdjustmentFilter {
    /// Of this conversion.
    pub conversion_id: Option<ConversionId>,
    /// On this offer.
    pub offer_id: Option<OfferId>,
    /// Of this affiliate's conversions.
    pub affiliate_id: Option<AffiliateId>,
    /// Of this batch.
    pub batch_id: Option<BatchId>,
    /// Made at or after this.
    pub from: Option<Timestamp>,
    /// Made before this.
    pub until: Option<Timestamp>,
}

/// Which lines of money.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EntryFilter {
    /// Of this conversion.
    pub conversion_id: Option<ConversionId>,
    /// On this offer.
    pub offer_id: Option<OfferId>,
    /// Of this party.
    pub party: Option<Party>,
    /// On this statement.
    pub statement_id: Option<StatementId>,
    /// Counting for this moment or later.
    pub from: Option<Timestamp>,
    /// Counting for before this.
    pub until: Option<Timestamp>,
}

/// Adjustments and lines.
pub trait AdjustmentBook {
    /// Adjusts these conversions in one transaction, each with its own outcome, in their order: the
    /// adjustment with its lines, its place among the changes, and the deliveries of all postbacks that it fires.
    /// What a conversion was before is never overwritten.
    fn adjust_conversions(
        &self,
        ids: &[ConversionId],
        order: &Order,
        now: Timestamp,
    ) -> Result<Vec<Result<Adjusted, NotAdjusted>>, LedgerError>;

    /// What [`AdjustmentBook::adjust_conversions`] would do, and nothing done.
    fn preview_adjustments(
        &self,
        ids: &[ConversionId],
        order: &Order,
        now: Timestamp,
    ) -> Result<Vec<Result<Adjusted, NotAdjusted>>, LedgerError>;

    /// Approves pending conversions whose time has come, `limit` at most, the longest due first; the
    /// postbacks of `network` tell of it. Returns how many.
    fn approve_due(&self, network: &Arc<Network>, now: Timestamp, limit: u32) -> Result<u64, LedgerError>;

    /// The numbers of the conversions that match, by number, from after `after` on, `limit` at most.
    fn list_conversion_ids(
        &self,
        filter: &ConversionFilter,
        after: ConversionId,
        limit: u32,
    ) -> Result<Vec<ConversionId>, LedgerError>;

    /// The conversions of an offer with that `unique_id`, of one event or of any.
    fn find_by_unique_id(
        &self,
        offer_id: OfferId,
        unique_id: &str,
        event_id: Option<EventId>,
    ) -> Result<Vec<ConversionId>, LedgerError>;

    /// Adjustments in the order they were made.
    fn list_adjustments(
        &self,
        filter: &AdjustmentFilter,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Adjustment>, LedgerError>;

    /// The lines that match by conversion, booking and account, from after that one on, `limit` at most: for
    /// walks that miss none that was there when they began, and meet none twice.
    fn list_entries_after(
        &self,
        filter: &EntryFilter,
        after: Option<EntryId>,
        limit: u32,
    ) -> Result<Vec<Entry>, LedgerError>;

    /// Lines by conversion and booking.
    fn list_entries(&self, filter: &EntryFilter, offset: u64, limit: u32)
    -> Result<Page<Entry>, LedgerError>;
}
