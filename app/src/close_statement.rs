//! Closing a statement.

use std::sync::Arc;

use domain::access::Caller;
use domain::money::Currency;
use domain::network_change::EntityKind;
use domain::statement::Party;
use jiff::Timestamp;
use ledger::NotClosed;

use crate::adjust_conversion::author;
use crate::failure::blocking;
use crate::list_statements::StatementRow;
use crate::{App, Failure, parties};

/// Why no statement was closed.
#[derive(Debug)]
pub enum CloseStatementError {
    /// There is no such party.
    NoParty(EntityKind),
    /// The books say no.
    NotClosed(NotClosed),
    /// It could not be done.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for CloseStatementError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl App {
    /// Closes a statement: every open line of the party in that currency that counts for before `until`.
    pub async fn close_statement(
        &self,
        caller: &Caller,
        party: Party,
        currency: Option<Currency>,
        until: Timestamp,
    ) -> Result<StatementRow, CloseStatementError> {
        caller.may_administer()?;
        let kind = match party {
            Party::Affiliate(_) => EntityKind::Affiliate,
            Party::Advertiser(_) => EntityKind::Advertiser,
        };
        let name = parties::name(&self.network.load(), party);
        let party_name = name.ok_or(CloseStatementError::NoParty(kind))?;
        let currency = currency.unwrap_or(self.settings.currency);
        let (now, author) = (self.clock.now(), author(caller));
        let ledger = Arc::clone(&self.ledger);
        let closed = blocking(move || Ok(ledger.close_statement(party, currency, until, &author, now)?));
        let statement = closed.await?.map_err(CloseStatementError::NotClosed)?;
        Ok(StatementRow { statement, party_name })
    }
}
