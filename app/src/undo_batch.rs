//! Taking back a batch: what came in one go goes in one go.

use std::sync::Arc;

use domain::access::Caller;
use domain::adjustment::Unadjustable;
use domain::ids::{BatchId, ConversionId};
use ledger::Undone;

use crate::adjust_conversion::author;
use crate::failure::blocking;
use crate::{App, Failure};

/// Why a batch was not taken back.
#[derive(Debug)]
pub enum UndoBatchError {
    /// There is no such batch.
    NotFound,
    /// It was taken back before.
    Already,
    /// What came after it stands in the way.
    Blocked(ConversionId, Unadjustable),
    /// It could not be done.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for UndoBatchError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl App {
    /// Takes back a batch, all or nothing and once. Returns how many adjustments that took.
    pub async fn undo_batch(&self, caller: &Caller, id: BatchId) -> Result<u64, UndoBatchError> {
        caller.may_administer()?;
        let (now, author) = (self.clock.now(), author(caller));
        let (ledger, network) = (Arc::clone(&self.ledger), self.network.load_full());
        match blocking(move || Ok(ledger.undo_batch(id, &author, &network, now)?)).await? {
            Undone::Done(adjustments) => {
                self.metrics.adjustments.inc_by(adjustments);
                Ok(adjustments)
            }
            Undone::NotFound => Err(UndoBatchError::NotFound),
            Undone::Already => Err(UndoBatchError::Already),
            Undone::Blocked(id, why) => Err(UndoBatchError::Blocked(id, why)),
        }
    }
}
