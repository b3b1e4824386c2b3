//! Balances: what each party is owed, or owes, at a moment.

use std::sync::Arc;

use domain::access::Caller;
use domain::entry::Account;
use domain::statement::{Balance, Party};
use jiff::{Timestamp, ToSpan};

use crate::failure::blocking;
use crate::{App, Failure, parties};

/// A balance with the name that is printed beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BalanceRow {
    /// The balance.
    pub balance: Balance,
    /// The party's name.
    pub party_name: String,
}

/// Whose balances, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListBalances {
    /// Of this party.
    pub party: Option<Party>,
    /// Of all parties with this account.
    pub account: Option<Account>,
    /// Of what counts for before this; by default of everything up to now.
    pub until: Option<Timestamp>,
}

impl App {
    /// The balances asked for, by currency: for an affiliate its own.
    pub async fn list_balances(
        &self,
        caller: &Caller,
        question: ListBalances,
    ) -> Result<Vec<BalanceRow>, Failure> {
        let view = caller.may_read()?;
        if view.affiliate_id.is_some() && question.account == Some(Account::AdvertiserReceivable) {
            return Err(Failure::NotPermitted);
        }
        let party = parties::visible(view, question.party)?;
        let account = question.account.filter(|_| party.is_none());
        // What counts for this very moment counts by now.
        let now = self.clock.now();
        let until = question.until.unwrap_or(now.saturating_add(1.microsecond()).unwrap_or(now));
        let _turn = self.turn().await?;
        let ledger = Arc::clone(&self.ledger);
        let balances = blocking(move || Ok(ledger.balances(party, account, until)?)).await?;
        let network = self.network.load();
        let row = |balance: Balance| BalanceRow {
            party_name: parties::name(&network, balance.party).unwrap_or_default(),
            balance,
        };
        Ok(balances.into_iter().map(row).collect())
    }
}
