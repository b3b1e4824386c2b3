//! Lists of batches.

use std::sync::Arc;

use domain::access::Caller;
use ledger::{Batch, Page};

use crate::failure::blocking;
use crate::{App, Failure};

impl App {
    /// Batches, the newest first: not for affiliates, whose conversions are only some of them.
    pub async fn list_batches(
        &self,
        caller: &Caller,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Batch>, Failure> {
        caller.may_read_all()?;
        let _turn = self.turn().await?;
        let ledger = Arc::clone(&self.ledger);
        blocking(move || Ok(ledger.list_batches(offset, limit)?)).await
    }
}
