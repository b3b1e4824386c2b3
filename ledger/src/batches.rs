//! Batches: what came in one go, so that it can be taken back in one go.

use std::sync::Arc;

use domain::conversion::Conversion;
use domain::ids::BatchId;
use domain::network::Network;
use jiff::Timestamp;

use crate::adjustments::Author;
use crate::{LedgerError, Page, Submission};

/// What a batch did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchType {
    /// Recorded or changed conversions from a file.
    Import,
    /// Changed all conversions of a kind.
    MassAdjustment,
    /// Accepted the differences of a reconciliation.
    Reconciliation,
}

impl BatchType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Import, Self::MassAdjustment, Self::Reconciliation];

    /// Its name in the API and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::MassAdjustment => "mass_adjustment",
            Self::Reconciliation => "reconciliation",
        }
    }
}

/// A batch on record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Its number.
    pub id: BatchId,
    /// What it did.
    pub batch_type: BatchType,
    /// When it was begun.
    pub made_at: Timestamp,
    /// Who made it.
    pub author: Author,
    /// What it says of itself: a file's name, a reason.
    pub note: String,
    /// How many conversions it recorded.
    pub conversions: u64,
    /// How many adjustments it made.
    pub adjustments: u64,
    /// When it was taken back, and by whom.
    pub undone: Option<(Timestamp, String)>,
}

/// What became of taking back a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Undone {
    /// It is taken back, by so many adjustments.
    Done(u64),
    /// There is no such batch.
    NotFound,
    /// It was taken back before.
    Already,
    /// Something that came after it stands in the way: this conversion, and why.
    Blocked(domain::ids::ConversionId, domain::adjustment::Unadjustable),
}

/// Batches.
pub trait BatchBook {
    /// Begins a batch.
    fn create_batch(
        &self,
        batch_type: BatchType,
        author: &Author,
        note: &str,
        now: Timestamp,
    ) -> Result<BatchId, LedgerError>;

    /// The batch of that number.
    fn find_batch(&self, id: BatchId) -> Result<Option<Batch>, LedgerError>;

    /// Batches, the newest first.
    fn list_batches(&self, offset: u64, limit: u32) -> Result<Page<Batch>, LedgerError>;

    /// Takes back everything a batch did, all or nothing, by adjustments; from then on nothing can be done
    /// for it ([`LedgerError::BatchUndone`]). What it changed stands as if it had not; what it recorded is
    /// reversed where it was approved, and rejected where it is pending. The postbacks of `network` tell of
    /// each conversion that then stands otherwise, once.
    fn undo_batch(
        &self,
        id: BatchId,
        author: &Author,
        network: &Arc<Network>,
        now: Timestamp,
    ) -> Result<Undone, LedgerError>;

    /// What [`record_conversions`](crate::ConversionBook::record_conversions) would decide, each as if
    /// after those before it, and nothing recorded. A conversion that would be new has number 0.
    fn preview_conversions(
        &self,
        submissions: &[Submission],
    ) -> Result<Vec<Result<crate::Recorded, LedgerError>>, LedgerError>;

    /// The conversions a batch recorded, by number.
    fn list_batch_conversions(
        &self,
        id: BatchId,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Conversion>, LedgerError>;
}
