//! The feed of changes: what became of every conversion, in one order.

use app::{ChangeFilter, ChangeRow, ConversionRow, Since};
use axum::extract::State;
use domain::adjustment::{Cause, Standing};
use domain::conversion_request::BadParameter;
use domain::ids::ChangeId;
use serde::Serialize;

use super::conversions::{ConversionView, listed_view};
use super::cursor;
use super::view::{Answer, Money};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
const ROWS_MAX: u32 = 10_000;
/// The cause of a conversion's first change.
const RECORDED: &str = "recorded";

#[derive(Serialize)]
struct Changes {
    changes: Vec<ChangeView>,
    next_cursor: String,
    more: bool,
}

/// A change, and the conversion as it stands now. Amounts are what it was worth as it stood.
#[derive(Serialize)]
struct ChangeView {
    change_id: u64,
    change_date: String,
    adjustment: u32,
    cause: &'static str,
    previous_status: Option<&'static str>,
    previous_payout: Option<Money>,
    conversion_status: &'static str,
    payout: Money,
    #[serde(flatten)]
    network: Option<NetworkView>,
    note: String,
    batch_id: Option<u64>,
    conversion: ConversionView,
}

/// What only those see who see revenue.
#[derive(Serialize)]
struct NetworkView {
    previous_revenue: Option<Money>,
    revenue: Money,
    key_name: String,
}

fn view(web: &Web, row: ChangeRow, revenue: bool) -> ChangeView {
    let ChangeRow { change, offer_name, affiliate_name } = row;
    let (before, after) = (change.before.map(Standing::worth), change.after.worth());
    let network = revenue.then_some(NetworkView {
        previous_revenue: before.map(|it| Money(it.revenue)),
        revenue: Money(after.revenue),
        key_name: change.actor,
    });
    let row = ConversionRow { conversion: change.conversion, offer_name, affiliate_name };
    ChangeView {
        change_id: change.id.0,
        change_date: web.date(change.changed_at),
        adjustment: change.booking,
        cause: change.cause.map_or(RECORDED, Cause::name),
        previous_status: change.before.map(|it| it.status.name()),
        previous_payout: before.map(|it| Money(it.payout)),
        conversion_status: change.after.status.name(),
        payout: Money(after.payout),
        network,
        note: change.note,
        batch_id: change.batch_id.map(|it| it.0),
        conversion: listed_view(web, row, revenue),
    }
}

/// Lists changes since a cursor, in the order in which they were made.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let filter = ChangeFilter {
        offer_id: params.id("offer_id")?,
        affiliate_id: params.id("affiliate_id")?,
        advertiser_id: params.id("advertiser_id")?,
    };
    let found = web.app.list_changes(&caller, since(&params)?, filter, page.limit).await?;
    let found =
        found.ok_or_else(|| BadParameter::invalid("since", "a cursor of changes that were not made here"))?;
    let changes = found.rows.into_iter().map(|row| view(&web, row, found.revenue)).collect();
    let next_cursor = cursor::write_change(found.last);
    Ok(web.listed(page, Changes { changes, next_cursor, more: found.more }))
}

fn since(params: &Params) -> Result<Since, BadParameter> {
    match params.get("since") {
        None => Ok(Since::Change(ChangeId(0))),
        Some("now") => Ok(Since::Now),
        Some(text) => cursor::read_change(text)
            .map(Since::Change)
            .ok_or_else(|| BadParameter::invalid("since", "use now, or a next_cursor of changes.json")),
    }
}
