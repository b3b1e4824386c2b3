//! Events: the kinds of conversion an advertiser knows beside the default one.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::event::{Event, EventType, NAME_CHARS_MAX};
use domain::ids::{AdvertiserId, EventId};
use domain::network::PartyStatus;
use domain::network_change::{CreateEvent, EventChange};
use domain::pricing::Side;
use serde::Serialize;

use super::advertisers::name;
use super::fields::{price_type, rate};
use super::view::{Answer, Money, cut};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

/// Everything about an event that can be set.
const FIELDS: &[&str] = &[
    "event_name",
    "event_type",
    "event_status",
    "payout",
    "payout_type",
    "revenue",
    "revenue_type",
    "one_per_click",
    "allow_duplicates",
];

#[derive(Serialize)]
struct One {
    event: EventView,
}

#[derive(Serialize)]
struct Page {
    events: Vec<EventView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct EventView {
    event_id: u32,
    advertiser_id: u32,
    event_name: String,
    event_type: &'static str,
    event_status: &'static str,
    payout: Money,
    payout_type: &'static str,
    revenue: Money,
    revenue_type: &'static str,
    one_per_click: bool,
    allow_duplicates: bool,
    date_created: String,
}

fn view(web: &Web, event: &Event) -> EventView {
    EventView {
        event_id: event.id.0,
        advertiser_id: event.advertiser_id.0,
        event_name: event.name.clone(),
        event_type: event.event_type.name(),
        event_status: event.status.name(),
        payout: Money(event.payout.number),
        payout_type: event.payout.price_type.name(),
        revenue: Money(event.revenue.number),
        revenue_type: event.revenue.price_type.name(),
        one_per_click: event.one_per_click,
        allow_duplicates: event.allow_duplicates,
        date_created: web.date(event.created),
    }
}

/// Creates an event.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[FIELDS, &["advertiser_id"]].concat())?;
    let create = CreateEvent {
        advertiser_id: params.required_id("advertiser_id")?,
        name: event_name(&params)?.ok_or_else(|| BadParameter::missing("event_name"))?,
        event_type: params.parse("event_type")?.unwrap_or(EventType::Macro),
        status: params.parse("event_status")?.unwrap_or(PartyStatus::Active),
        payout: rate(&params, Side::Payout)?,
        revenue: rate(&params, Side::Revenue)?,
        one_per_click: params.boolean("one_per_click")?.unwrap_or(false),
        allow_duplicates: params.boolean("allow_duplicates")?.unwrap_or(false),
    };
    let event = web.app.create_event(&caller, create).await?;
    Ok(web.success(One { event: view(&web, &event) }))
}

/// Changes the fields that are present.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[FIELDS, &["event_id"]].concat())?;
    let change = EventChange {
        name: event_name(&params)?,
        event_type: params.parse("event_type")?,
        status: params.parse("event_status")?,
        payout_type: price_type(&params, Side::Payout)?,
        payout: params.parse("payout")?,
        revenue_type: price_type(&params, Side::Revenue)?,
        revenue: params.parse("revenue")?,
        one_per_click: params.boolean("one_per_click")?,
        allow_duplicates: params.boolean("allow_duplicates")?,
    };
    let event = web.app.update_event(&caller, params.required_id("event_id")?, change).await?;
    Ok(web.success(One { event: view(&web, &event) }))
}

/// Lists events by number; the default one of every offer is none of them.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, status) = (params.id::<EventId>("event_id")?, params.parse("event_status")?);
    let advertiser_id = params.id::<AdvertiserId>("advertiser_id")?;
    let event_type = params.parse("event_type")?;
    let part = params.get("event_name").map(str::to_lowercase);
    let found = web.app.list_events(&caller, |it| {
        id.is_none_or(|id| id == it.id)
            && status.is_none_or(|status: PartyStatus| status == it.status)
            && advertiser_id.is_none_or(|id| id == it.advertiser_id)
            && event_type.is_none_or(|event_type: EventType| event_type == it.event_type)
            && part.as_ref().is_none_or(|part| it.name.to_lowercase().contains(part))
    })?;
    let (total_rows, rows) = cut(found, page);
    Ok(web.listed(page, Page { events: rows.iter().map(|it| view(&web, it)).collect(), total_rows }))
}

fn event_name(params: &Params) -> Result<Option<String>, BadParameter> {
    let name = name(params, "event_name")?;
    if name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS_MAX) {
        let problem = format!("an event's name has 1 to {NAME_CHARS_MAX} characters");
        return Err(BadParameter::invalid("event_name", problem));
    }
    Ok(name)
}
