//! Lists of what became of conversions after their recording.

use std::sync::Arc;

use domain::access::Caller;
use domain::adjustment::Adjustment;
use ledger::{AdjustmentFilter, Page};

use crate::failure::blocking;
use crate::{App, Failure};

/// A page of adjustments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdjustmentList {
    /// The page, and how many match in all.
    pub page: Page<Adjustment>,
    /// Whether the caller sees revenue, and who made them.
    pub revenue: bool,
}

impl App {
    /// Adjustments in the order they were made: for an affiliate those of its own conversions.
    pub async fn list_adjustments(
        &self,
        caller: &Caller,
        mut filter: AdjustmentFilter,
        offset: u64,
        limit: u32,
    ) -> Result<AdjustmentList, Failure> {
        let view = caller.may_read()?;
        filter.affiliate_id = view.affiliate(filter.affiliate_id)?;
        let _turn = self.turn().await?;
        let ledger = Arc::clone(&self.ledger);
        let page = blocking(move || Ok(ledger.list_adjustments(&filter, offset, limit)?)).await?;
        Ok(AdjustmentList { page, revenue: view.revenue })
    }
}
