//! Lists of statements.

use std::sync::Arc;

use domain::access::Caller;
use domain::entry::Account;
use domain::statement::Statement;
use ledger::StatementFilter;

use crate::failure::blocking;
use crate::{App, Failure, parties};

/// A statement with the name that is printed beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatementRow {
    /// The statement.
    pub statement: Statement,
    /// The party's name.
    pub party_name: String,
}

/// A page of statements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatementList {
    /// All matches, before paging.
    pub total: u64,
    /// The page.
    pub rows: Vec<StatementRow>,
}

impl App {
    /// Statements, the latest first: for an affiliate its own.
    pub async fn list_statements(
        &self,
        caller: &Caller,
        mut filter: StatementFilter,
        offset: u64,
        limit: u32,
    ) -> Result<StatementList, Failure> {
        let view = caller.may_read()?;
        if view.affiliate_id.is_some() && filter.account == Some(Account::AdvertiserReceivable) {
            return Err(Failure::NotPermitted);
        }
        filter.party = parties::visible(view, filter.party)?;
        let _turn = self.turn().await?;
        let ledger = Arc::clone(&self.ledger);
        let page = blocking(move || Ok(ledger.list_statements(&filter, offset, limit)?)).await?;
        let rows = page.rows.into_iter().map(|it| self.named(it)).collect();
        Ok(StatementList { total: page.total, rows })
    }

    pub(crate) fn named(&self, statement: Statement) -> StatementRow {
        let party_name = parties::name(&self.network.load(), statement.party).unwrap_or_default();
        StatementRow { statement, party_name }
    }
}
