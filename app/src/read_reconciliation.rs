//! Reading a reconciliation that is kept: what came of it, a page of its rows, or all of them as they come.

use std::sync::Arc;

use domain::access::Caller;
use domain::ids::ReconciliationId;
use domain::reconciliation::RowClass;
use domain::statement::Party;
use ledger::{Ledger, Page, Reconciliation, ReconciliationRow};

use crate::failure::blocking;
use crate::{App, Failure, parties};

/// Rows handed over at a time: some hundred kilobytes.
const ROWS_AT_ONCE: u32 = 512;

/// A reconciliation, and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReconciliationView {
    /// The reconciliation.
    pub reconciliation: Reconciliation,
    /// The advertiser's name.
    pub advertiser_name: String,
}

/// The rows of a reconciliation, as they come.
pub struct ReconciliationRows {
    ledger: Arc<dyn Ledger>,
    id: ReconciliationId,
    classes: Vec<RowClass>,
    after: u64,
    is_over: bool,
}

impl ReconciliationRows {
    /// The next rows; none after the last.
    pub async fn next(&mut self) -> Option<Result<Vec<ReconciliationRow>, Failure>> {
        if self.is_over {
            return None;
        }
        let (ledger, id, after) = (Arc::clone(&self.ledger), self.id, self.after);
        let classes = self.classes.clone();
        let rows =
            blocking(move || Ok(ledger.next_reconciliation_rows(id, &classes, after, ROWS_AT_ONCE)?));
        let rows = rows.await;
        self.is_over = rows.as_ref().map_or(true, |rows| rows.len() < ROWS_AT_ONCE as usize);
        if let Some(last) = rows.as_ref().ok().and_then(|rows| rows.last()) {
            self.after = last.position;
        }
        Some(rows)
    }
}

impl App {
    /// A reconciliation with a page of its rows of these classes, or of all where none is named. None where
    /// there is none any more.
    pub async fn find_reconciliation(
        &self,
        caller: &Caller,
        id: ReconciliationId,
        classes: Vec<RowClass>,
        offset: u64,
        limit: u32,
    ) -> Result<Option<(ReconciliationView, Page<ReconciliationRow>)>, Failure> {
        caller.may_read_all()?;
        let _turn = self.turn().await?;
        let ledger = Arc::clone(&self.ledger);
        let found = blocking(move || {
            let Some(found) = ledger.find_reconciliation(id)? else { return Ok(None) };
            Ok(Some((found, ledger.list_reconciliation_rows(id, &classes, offset, limit)?)))
        });
        Ok(found.await?.map(|(found, rows)| (self.with_advertiser(found), rows)))
    }

    /// A reconciliation and all its rows of these classes, as fast as they are taken.
    pub async fn read_reconciliation(
        &self,
        caller: &Caller,
        id: ReconciliationId,
        classes: Vec<RowClass>,
    ) -> Result<Option<(ReconciliationView, ReconciliationRows)>, Failure> {
        caller.may_read_all()?;
        let ledger = Arc::clone(&self.ledger);
        let Some(found) = blocking(move || Ok(ledger.find_reconciliation(id)?)).await? else {
            return Ok(None);
        };
        let ledger = Arc::clone(&self.ledger);
        let rows = ReconciliationRows { ledger, id, classes, after: 0, is_over: false };
        Ok(Some((self.with_advertiser(found), rows)))
    }

    fn with_advertiser(&self, reconciliation: Reconciliation) -> ReconciliationView {
        let party = Party::Advertiser(reconciliation.begun.advertiser_id);
        let advertiser_name = parties::name(&self.network.load(), party).unwrap_or_default();
        ReconciliationView { reconciliation, advertiser_name }
    }
}
