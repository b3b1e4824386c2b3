//! Lists of the lines of money.

use std::sync::Arc;

use domain::access::Caller;
use domain::entry::Entry;
use ledger::{EntryFilter, Page};

use crate::failure::blocking;
use crate::{App, Failure, parties};

impl App {
    /// Lines by conversion and booking: for an affiliate those that are its own.
    pub async fn list_entries(
        &self,
        caller: &Caller,
        mut filter: EntryFilter,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Entry>, Failure> {
        filter.party = parties::visible(caller.may_read()?, filter.party)?;
        let _turn = self.turn().await?;
        let ledger = Arc::clone(&self.ledger);
        blocking(move || Ok(ledger.list_entries(&filter, offset, limit)?)).await
    }
}
