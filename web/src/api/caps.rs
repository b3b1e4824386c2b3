//! Caps.

use std::sync::Arc;

use axum::extract::State;
use domain::caps::{AtCap, Cap, CapStatus, CapType, Interval};
use domain::conversion_request::BadParameter;
use domain::ids::{CampaignId, CapId, OfferId};
use domain::money::Amount;
use domain::network_change::{CapChange, CreateCap};
use serde::Serialize;
use serde_json::Number;

use super::view::{Answer, cut};
use crate::Web;
use crate::error::ApiError;
use crate::extract::Keyed;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

#[derive(Serialize)]
struct One {
    cap: CapView,
}

#[derive(Serialize)]
struct Page {
    caps: Vec<CapView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct CapView {
    cap_id: u32,
    offer_id: u32,
    campaign_id: Option<u32>,
    event_id: Option<u32>,
    cap_type: &'static str,
    interval: &'static str,
    limit: Number,
    at_cap: &'static str,
    cap_status: &'static str,
    used: Number,
    date_created: String,
}

fn view(web: &Web, cap: &Cap, used: Amount) -> CapView {
    CapView {
        cap_id: cap.id.0,
        offer_id: cap.offer_id.0,
        campaign_id: cap.campaign_id.map(|it| it.0),
        event_id: cap.event_id.map(|it| it.0),
        cap_type: cap.cap_type.name(),
        interval: cap.interval.name(),
        limit: counted(cap, cap.limit),
        at_cap: cap.at_cap.name(),
        cap_status: cap.status.name(),
        used: counted(cap, used),
        date_created: web.date(cap.created),
    }
}

/// What a cap counts: one by one as a whole number, money with its decimals.
fn counted(cap: &Cap, amount: Amount) -> Number {
    if cap.cap_type.is_whole() {
        (amount.micros() / 1_000_000).into()
    } else {
        amount.to_string().parse().expect("an amount prints as a number")
    }
}

async fn views(web: &Web, caps: &[Arc<Cap>]) -> Result<Vec<CapView>, ApiError> {
    let used = web.app.caps_used(caps).await?;
    Ok(caps.iter().zip(used).map(|(cap, used)| view(web, cap, used)).collect())
}

async fn one(web: &Web, cap: Cap) -> Answer {
    let cap = views(web, &[Arc::new(cap)]).await?.remove(0);
    Ok(web.success(One { cap }))
}

/// Creates a cap.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["offer_id", "campaign_id", "event_id", "cap_type", "interval", "limit", "at_cap"])?;
    let (offer_id, campaign_id) = (params.id("offer_id")?, params.id("campaign_id")?);
    if offer_id.is_none() && campaign_id.is_none() {
        return Err(BadParameter::missing("offer_id").into());
    }
    let cap_type = params.required("cap_type")?;
    let event_id = params.id("event_id")?;
    if event_id.is_some() && cap_type == CapType::Click {
        return Err(BadParameter::invalid("event_id", "clicks have no event").into());
    }
    let create = CreateCap {
        offer_id,
        campaign_id,
        event_id,
        cap_type,
        interval: params.required("interval")?,
        limit: params.required("limit")?,
        at_cap: params.parse("at_cap")?.unwrap_or(AtCap::default_of(cap_type)),
    };
    let cap = web.app.create_cap(&caller, create).await?;
    one(&web, cap).await
}

/// Changes the fields that are present.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["cap_id", "interval", "limit", "at_cap", "cap_status"])?;
    let change = CapChange {
        interval: params.parse("interval")?,
        limit: params.parse("limit")?,
        at_cap: params.parse("at_cap")?,
        status: params.parse("cap_status")?,
    };
    let cap = web.app.update_cap(&caller, params.required_id("cap_id")?, change).await?;
    one(&web, cap).await
}

/// Lists caps by number.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, offer_id) = (params.id::<CapId>("cap_id")?, params.id::<OfferId>("offer_id")?);
    let campaign_id = params.id::<CampaignId>("campaign_id")?;
    let (cap_type, interval) = (params.parse("cap_type")?, params.parse("interval")?);
    let status = params.parse("cap_status")?;
    let found = web.app.list_caps(&caller, |it| {
        id.is_none_or(|id| id == it.id)
            && offer_id.is_none_or(|id| id == it.offer_id)
            && campaign_id.is_none_or(|id| Some(id) == it.campaign_id)
            && cap_type.is_none_or(|cap_type: CapType| cap_type == it.cap_type)
            && interval.is_none_or(|interval: Interval| interval == it.interval)
            && status.is_none_or(|status: CapStatus| status == it.status)
    })?;
    let (total_rows, rows) = cut(found, page);
    Ok(web.listed(page, Page { caps: views(&web, &rows).await?, total_rows }))
}
