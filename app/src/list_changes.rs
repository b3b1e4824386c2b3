//! The feed of changes: what became of every conversion, in one order.

use std::sync::Arc;

use domain::access::Caller;
use domain::ids::ChangeId;
use ledger::{Change, ChangeFilter};

use crate::failure::blocking;
use crate::list_conversions::names;
use crate::{App, Failure};

/// From where on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Since {
    /// After this change; after 0 from the beginning.
    Change(ChangeId),
    /// From now on: none that was made already.
    Now,
}

/// A change with the names that are printed beside its conversion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeRow {
    /// The change.
    pub change: Change,
    /// The offer's name.
    pub offer_name: String,
    /// The affiliate's name.
    pub affiliate_name: String,
}

/// Changes that follow each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeList {
    /// Those that match.
    pub rows: Vec<ChangeRow>,
    /// Where to go on, also where nothing matched.
    pub last: ChangeId,
    /// Whether any may follow already.
    pub more: bool,
    /// Whether the caller sees revenue, and who made them.
    pub revenue: bool,
}

impl App {
    /// Changes in their order: for an affiliate those of its own conversions. None: no such change was made
    /// yet.
    pub async fn list_changes(
        &self,
        caller: &Caller,
        since: Since,
        mut filter: ChangeFilter,
        limit: u32,
    ) -> Result<Option<ChangeList>, Failure> {
        let view = caller.may_read()?;
        filter.affiliate_id = view.affiliate(filter.affiliate_id)?;
        let _turn = self.turn().await?;
        let ledger = Arc::clone(&self.ledger);
        let revenue = view.revenue;
        let after = match since {
            Since::Change(after) => after,
            Since::Now => {
                let last = blocking(move || Ok(ledger.last_change()?)).await?;
                return Ok(Some(ChangeList { rows: Vec::new(), last, more: false, revenue }));
            }
        };
        let Some(page) = blocking(move || Ok(ledger.list_changes(after, &filter, limit)?)).await? else {
            return Ok(None);
        };
        let network = self.network.load();
        let row = |change: Change| {
            let (offer_name, affiliate_name) = names(&change.conversion, &network);
            ChangeRow { change, offer_name, affiliate_name }
        };
        let rows = page.changes.into_iter().map(row).collect();
        Ok(Some(ChangeList { rows, last: page.last, more: page.more, revenue }))
    }
}
