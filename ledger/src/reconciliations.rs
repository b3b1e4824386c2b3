//! Reconciliations: an advertiser's file beside our conversions, kept row by row, so that what is accepted is
//! what was looked at.

use domain::adjustment::Change;
use domain::ids::{AdvertiserId, BatchId, ConversionId, ReconciliationId};
use domain::money::{Amount, Currency};
use domain::reconciliation::RowClass;
use domain::reconciliation::bridge::BridgeLine;
use domain::status::ConversionStatus;
use jiff::Timestamp;

use crate::adjustments::{Adjusted, Author, NotAdjusted, Order};
use crate::{LedgerError, Page};

/// A reconciliation that is about to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BeginReconciliation {
    /// The advertiser whose file it is.
    pub advertiser_id: AdvertiserId,
    /// Of conversions at or after this.
    pub from: Timestamp,
    /// And before this.
    pub until: Timestamp,
    /// Who makes it.
    pub author: Author,
    /// What it says of itself: a file's name.
    pub note: String,
}

/// What came of a reconciliation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reconciled {
    /// How many rows it has.
    pub rows: u64,
    /// How many of each class.
    pub counts: Vec<(RowClass, u64)>,
    /// The bridges from their totals to ours.
    pub bridge: Vec<BridgeLine>,
    /// What was decided about the file, and what should be looked at, a sentence each.
    pub remarks: Vec<String>,
}

/// A reconciliation on record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reconciliation {
    /// Its number.
    pub id: ReconciliationId,
    /// What it is about, and who made it.
    pub begun: BeginReconciliation,
    /// When it was made.
    pub made_at: Timestamp,
    /// What came of it.
    pub reconciled: Reconciled,
    /// The batch that accepted it.
    pub batch_id: Option<BatchId>,
}

/// A row of a reconciliation: of their file, or of ours that their file does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReconciliationRow {
    /// Where it stands, from 1.
    pub position: u64,
    /// The line of their file.
    pub line: Option<u64>,
    /// What it is.
    pub class: RowClass,
    /// The stable code of the reason; empty where there is nothing to say.
    pub code: String,
    /// Why, in words.
    pub reason: String,
    /// Our conversion.
    pub conversion_id: Option<ConversionId>,
    /// How many adjustments it had had.
    pub adjustments: Option<u32>,
    /// The advertiser's transaction id, or empty.
    pub unique_id: String,
    /// The advertiser's order reference, or empty.
    pub order_id: String,
    /// The click, as it was named, or empty.
    pub click_id: String,
    /// What they owe by it.
    pub their_amount: Option<Amount>,
    /// What they say the affiliate gets.
    pub their_payout: Option<Amount>,
    /// How they say it stands.
    pub their_status: Option<ConversionStatus>,
    /// Their currency.
    pub their_currency: Option<Currency>,
    /// Their date.
    pub their_date: Option<Timestamp>,
    /// What it is worth here.
    pub our_amount: Option<Amount>,
    /// How it stands here.
    pub our_status: Option<ConversionStatus>,
    /// Our currency.
    pub our_currency: Option<Currency>,
    /// Our date.
    pub our_date: Option<Timestamp>,
}

/// What became of beginning to accept a reconciliation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accepting {
    /// This batch takes what is accepted.
    Begun(BatchId),
    /// There is no such reconciliation.
    NotFound,
    /// It was accepted before, as this batch.
    Already(BatchId),
}

/// A conversion that is to stand as their file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taking {
    /// The conversion.
    pub conversion_id: ConversionId,
    /// How many adjustments it has had, if nobody has changed it since.
    pub adjustments: u32,
    /// What is to change, one after the other.
    pub changes: Vec<Change>,
}

/// What became of a conversion that was to stand as their file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It stands so, by these adjustments; by none where it stood so already.
    Adjusted(Vec<Adjusted>),
    /// It has changed since, and was left as it is.
    ChangedSince,
    /// It cannot be brought there, and was left as it is.
    NotAdjusted(NotAdjusted),
}

/// Which reconciliations nobody needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Old {
    /// Those made before this.
    pub made_before: Timestamp,
    /// Those begun before this and never finished.
    pub begun_before: Timestamp,
    /// The oldest, where the latest have as many rows as this together.
    pub rows_max: u64,
}

/// Reconciliations.
pub trait ReconciliationBook {
    /// Begins a reconciliation. It can be found once it is finished.
    fn begin_reconciliation(
        &self,
        begin: &BeginReconciliation,
        now: Timestamp,
    ) -> Result<ReconciliationId, LedgerError>;

    /// Adds rows to one that is not finished. Each has a position of its own.
    fn add_reconciliation_rows(
        &self,
        id: ReconciliationId,
        rows: &[ReconciliationRow],
    ) -> Result<(), LedgerError>;

    /// Finishes a reconciliation: it never changes any more, but for the batch that accepts it.
    fn finish_reconciliation(&self, id: ReconciliationId, reconciled: &Reconciled)
    -> Result<(), LedgerError>;

    /// The finished reconciliation of that number.
    fn find_reconciliation(&self, id: ReconciliationId) -> Result<Option<Reconciliation>, LedgerError>;

    /// Its rows of these classes, or of all where none is named, in their order.
    fn list_reconciliation_rows(
        &self,
        id: ReconciliationId,
        classes: &[RowClass],
        offset: u64,
        limit: u32,
    ) -> Result<Page<ReconciliationRow>, LedgerError>;

    /// The same, from after a position on.
    fn next_reconciliation_rows(
        &self,
        id: ReconciliationId,
        classes: &[RowClass],
        after: u64,
        limit: u32,
    ) -> Result<Vec<ReconciliationRow>, LedgerError>;

    /// Begins a batch that accepts a reconciliation, once and for ever.
    fn accept_reconciliation(
        &self,
        id: ReconciliationId,
        author: &Author,
        note: &str,
        now: Timestamp,
    ) -> Result<Accepting, LedgerError>;

    /// Has conversions stand as their file says, each as the order says otherwise and with its own outcome,
    /// in one transaction. One that has changed since it was looked at is left alone. Postbacks tell of each
    /// once, as it stands in the end.
    fn take_theirs(
        &self,
        takings: &[Taking],
        order: &Order,
        now: Timestamp,
    ) -> Result<Vec<Taken>, LedgerError>;

    /// What [`ReconciliationBook::take_theirs`] would do, and nothing done.
    fn preview_taking(
        &self,
        takings: &[Taking],
        order: &Order,
        now: Timestamp,
    ) -> Result<Vec<Taken>, LedgerError>;

    /// Removes a part of what nobody needs: `limit` rows at most. Returns whether there was something.
    fn drop_reconciliations(&self, old: Old, limit: u32) -> Result<bool, LedgerError>;
}
