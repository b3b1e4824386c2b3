//! What parties are owed, or owe.

use app::{BalanceRow, ListBalances};
use axum::extract::State;
use domain::conversion_request::BadParameter;
use serde::Serialize;

use super::parties::{PartyView, account, party, party_view};
use super::view::{Answer, Money, cut};
use crate::Web;
use crate::extract::Keyed;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

#[derive(Serialize)]
struct Page {
    total_rows: u64,
    balances: Vec<BalanceView>,
}

#[derive(Serialize)]
struct BalanceView {
    #[serde(flatten)]
    party: PartyView,
    currency: String,
    balance: Money,
    pending: Money,
    invoiced: Money,
}

fn view(row: BalanceRow) -> BalanceView {
    let BalanceRow { balance, party_name } = row;
    BalanceView {
        party: party_view(balance.party, party_name),
        currency: balance.currency.to_string(),
        balance: Money(balance.balance),
        pending: Money(balance.pending),
        invoiced: Money(balance.stated),
    }
}

/// Lists balances by party and currency.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let zone = &web.app.settings().zone;
    let question = ListBalances {
        party: party(&params)?,
        account: account(&params)?,
        until: params.date("date", zone)?.map(|it| it.end(zone)),
    };
    if question.party.is_some() && question.account.is_some() {
        return Err(BadParameter::invalid("account", "affiliate_id or advertiser_id says whose").into());
    }
    let (total_rows, rows) = cut(web.app.list_balances(&caller, question).await?, page);
    Ok(web.listed(page, Page { total_rows, balances: rows.into_iter().map(view).collect() }))
}
