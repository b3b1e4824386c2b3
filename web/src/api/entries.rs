//! The lines of money.

use app::EntryFilter;
use axum::extract::State;
use domain::entry::Entry;
use domain::statement::Party;
use serde::Serialize;

use super::clicks::range;
use super::parties::party;
use super::view::{Answer, Money};
use crate::Web;
use crate::extract::Keyed;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

#[derive(Serialize)]
struct Page {
    total_rows: u64,
    entries: Vec<EntryView>,
}

/// A line, with its amount as the books have it.
#[derive(Serialize)]
pub(super) struct EntryView {
    conversion_id: u64,
    adjustment: u32,
    offer_id: u32,
    account: &'static str,
    affiliate_id: Option<u32>,
    advertiser_id: Option<u32>,
    amount: Money,
    currency: String,
    effective_date: String,
    entry_date: String,
    invoice_id: Option<u64>,
}

pub(super) fn view(web: &Web, entry: &Entry) -> EntryView {
    let (affiliate_id, advertiser_id) = match Party::of(entry.line.account, entry.party_id) {
        Some(Party::Affiliate(id)) => (Some(id.0), None),
        Some(Party::Advertiser(id)) => (None, Some(id.0)),
        None => (None, None),
    };
    EntryView {
        conversion_id: entry.conversion_id.0,
        adjustment: entry.booking,
        offer_id: entry.offer_id.0,
        account: entry.line.account.name(),
        affiliate_id,
        advertiser_id,
        amount: Money(entry.line.amount),
        currency: entry.currency.to_string(),
        effective_date: web.date(entry.effective),
        entry_date: web.date(entry.recorded_at),
        invoice_id: entry.statement_id.map(|it| it.0),
    }
}

/// Lists lines by conversion.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (from, until) = range(&params, &web.app.settings().zone)?;
    let filter = EntryFilter {
        conversion_id: params.id("conversion_id")?,
        offer_id: params.id("offer_id")?,
        party: party(&params)?,
        statement_id: params.id("invoice_id")?,
        from,
        until,
    };
    let found = web.app.list_entries(&caller, filter, page.offset, page.limit).await?;
    let entries = found.rows.iter().map(|it| view(&web, it)).collect();
    Ok(web.listed(page, Page { total_rows: found.total, entries }))
}
