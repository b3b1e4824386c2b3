//! Deliveries of postbacks, with every try; and making them due again.

use app::{DeliveryFilter, DeliveryRow, DeliveryStart, Replay};
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::conversion_request::BadParameter;
use domain::delivery::{DeliveryId, DeliveryStatus, Try, TryOutcome, mask};
use domain::ids::{AffiliateId, ConversionId, OfferId, PostbackId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::clicks::range;
use super::view::Answer;
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page: each comes with its tries, and a try with a kilobyte.
const ROWS_MAX: u32 = 500;

/// What picks deliveries.
const FILTER_FIELDS: &[&str] = &[
    "delivery_id",
    "conversion_id",
    "postback_id",
    "affiliate_id",
    "offer_id",
    "delivery_status",
    "start_date",
    "end_date",
];

#[derive(Serialize)]
struct Page {
    total_rows: u64,
    deliveries: Vec<DeliveryView>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
pub(super) struct DeliveryView {
    delivery_id: String,
    conversion_id: u64,
    postback_id: u32,
    affiliate_id: u32,
    offer_id: u32,
    fire_on: Option<&'static str>,
    url: String,
    delivery_status: &'static str,
    next_try_date: Option<String>,
    cause: &'static str,
    caused_date: String,
    conversion_status: &'static str,
    tries: Vec<TryView>,
}

#[derive(Serialize)]
struct TryView {
    try_date: String,
    url: String,
    http_status: Option<u16>,
    error: Option<String>,
    duration_ms: u32,
    response: Option<String>,
}

pub(super) fn view(web: &Web, row: DeliveryRow) -> DeliveryView {
    let DeliveryRow { delivery, tries, postback } = row;
    let saved = || postback.as_ref().map(|it| mask(it.url.as_str())).unwrap_or_default();
    let is_due = delivery.status == DeliveryStatus::Due;
    DeliveryView {
        delivery_id: delivery.id.to_string(),
        conversion_id: delivery.id.conversion_id.0,
        postback_id: delivery.id.postback_id.0,
        affiliate_id: delivery.affiliate_id.0,
        offer_id: delivery.offer_id.0,
        fire_on: postback.as_ref().map(|it| it.fire_on.name()),
        url: tries.last().map_or_else(saved, |it| it.url.clone()),
        delivery_status: delivery.status.name(),
        next_try_date: is_due.then(|| web.date(delivery.next_try_at)),
        cause: delivery.cause.name(),
        caused_date: web.date(delivery.caused_at),
        conversion_status: delivery.standing.status.name(),
        tries: tries.into_iter().map(|it| try_view(web, it)).collect(),
    }
}

fn try_view(web: &Web, it: Try) -> TryView {
    let (http_status, error, response) = match it.outcome {
        TryOutcome::Answered { status, answer } => (Some(status), None, Some(answer)),
        TryOutcome::Failed { code, reason } => (None, Some(format!("{code}: {reason}")), None),
        TryOutcome::HandedOut => (None, None, None),
    };
    let (try_date, url, duration_ms) = (web.date(it.tried_at), it.url, it.duration_ms);
    TryView { try_date, url, http_status, error, duration_ms, response }
}

/// A question and the place in its answer.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    id: Option<String>,
    conversion_id: Option<u64>,
    postback_id: Option<u32>,
    affiliate_id: Option<u32>,
    offer_id: Option<u32>,
    status: Option<String>,
    from: Option<i64>,
    until: Option<i64>,
    after: String,
}

fn cursor(filter: &DeliveryFilter, after: DeliveryId) -> String {
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
    let cursor = Cursor {
        id: filter.id.map(|it| it.to_string()),
        conversion_id: filter.conversion_id.map(|it| it.0),
        postback_id: filter.postback_id.map(|it| it.0),
        affiliate_id: filter.affiliate_id.map(|it| it.0),
        offer_id: filter.offer_id.map(|it| it.0),
        status: filter.status.map(|it| it.name().to_owned()),
        from: micros(filter.from),
        until: micros(filter.until),
        after: after.to_string(),
    };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).expect("texts and numbers"))
}

/// None when it is no cursor of ours.
fn read_cursor(text: &str) -> Option<(DeliveryFilter, DeliveryId)> {
    let cursor: Cursor = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let time = |micros: Option<i64>| micros.map(Timestamp::from_microsecond).transpose().ok();
    let filter = DeliveryFilter {
        id: cursor.id.map(|it| it.parse()).transpose().ok()?,
        conversion_id: cursor.conversion_id.map(ConversionId),
        postback_id: cursor.postback_id.map(PostbackId),
        affiliate_id: cursor.affiliate_id.map(AffiliateId),
        own_of: None,
        offer_id: cursor.offer_id.map(OfferId),
        status: cursor.status.map(|it| it.parse()).transpose().ok()?,
        from: time(cursor.from)?,
        until: time(cursor.until)?,
    };
    Some((filter, cursor.after.parse().ok()?))
}

/// Lists deliveries by their ids, from a row or a cursor on.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (filter, start) = match params.get("cursor") {
        Some(text) => {
            let read = read_cursor(text).ok_or_else(|| BadParameter::invalid("cursor", "not a cursor"))?;
            (read.0, DeliveryStart::After(read.1))
        }
        None => (filter(&web, &params)?, DeliveryStart::Row(page.offset)),
    };
    let found = web.app.list_deliveries(&caller, filter.clone(), start, page.limit).await?;
    let is_full = found.rows.len() >= page.limit as usize;
    let next_cursor = found.rows.last().filter(|_| is_full).map(|row| cursor(&filter, row.delivery.id));
    let deliveries = found.rows.into_iter().map(|row| view(&web, row)).collect();
    Ok(web.listed(page, Page { total_rows: found.total, deliveries, next_cursor }))
}

fn filter(web: &Web, params: &Params) -> Result<DeliveryFilter, BadParameter> {
    let (from, until) = range(params, &web.app.settings().zone)?;
    Ok(DeliveryFilter {
        id: params.parse("delivery_id")?,
        conversion_id: params.id("conversion_id")?,
        postback_id: params.id("postback_id")?,
        affiliate_id: params.id("affiliate_id")?,
        own_of: None,
        // As in postbacks: 0 is all.
        offer_id: params.id("offer_id")?.filter(|it: &OfferId| it.0 != 0),
        status: params.parse("delivery_status")?,
        from,
        until,
    })
}

#[derive(Serialize)]
struct Replayed {
    replay: ReplayView,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ReplayView {
    Foreseen { matched: u64 },
    Done { replayed: u64, cursor: Option<String> },
}

/// Makes deliveries due again, one step at a time: with the `cursor` of its answer it goes on.
pub(super) async fn replay(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[FILTER_FIELDS, &["all", "dry_run", "cursor"]].concat())?;
    let mut filter = filter(&web, &params)?;
    let is_for_all = params.boolean("all")?.unwrap_or(false);
    if filter == DeliveryFilter::default() && !is_for_all {
        let problem = "say which: this, conversion_id, postback_id, affiliate_id, offer_id, delivery_status, \
            start_date or end_date; or all=true for all that are held";
        return Err(BadParameter::invalid("delivery_id", problem).into());
    }
    if filter.status == Some(DeliveryStatus::Due) {
        let problem = "what is due is tried anyway; use held, delivered or cancelled";
        return Err(BadParameter::invalid("delivery_status", problem).into());
    }
    // Only what waits for it, unless somebody names another state or this very delivery.
    if filter.id.is_none() {
        filter.status = filter.status.or(Some(DeliveryStatus::Held));
    }
    let after = params.parse("cursor")?;
    let is_dry_run = params.boolean("dry_run")?.unwrap_or(false);
    let replay = match web.app.replay_deliveries(&caller, filter, after, is_dry_run).await? {
        Replay::Foreseen(matched) => ReplayView::Foreseen { matched },
        Replay::Done(done) => {
            ReplayView::Done { replayed: done.replayed, cursor: done.next.map(|it| it.to_string()) }
        }
    };
    Ok(web.success(Replayed { replay }))
}
