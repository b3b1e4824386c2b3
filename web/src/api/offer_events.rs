//! Which offers, and which campaigns on them, take which events, and at what price.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::event::OfferEvent;
use domain::ids::{CampaignId, EventId, OfferId};
use domain::network::DEFAULT_EVENT;
use domain::pricing::Side;
use serde::Serialize;

use super::fields::{PriceView, optional_rate, price_view};
use super::view::{Answer, cut};
use crate::Web;
use crate::extract::Keyed;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

/// Everything that can be said.
const FIELDS: &[&str] =
    &["offer_id", "event_id", "campaign_id", "enabled", "payout", "payout_type", "revenue", "revenue_type"];

#[derive(Serialize)]
struct One {
    offer_event: OfferEventView,
}

#[derive(Serialize)]
struct Page {
    offer_events: Vec<OfferEventView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct OfferEventView {
    offer_id: u32,
    event_id: u32,
    campaign_id: Option<u32>,
    enabled: bool,
    #[serde(flatten)]
    price: PriceView,
}

fn view(it: &OfferEvent) -> OfferEventView {
    OfferEventView {
        offer_id: it.offer_id.0,
        event_id: it.event_id.0,
        campaign_id: it.campaign_id.map(|id| id.0),
        enabled: it.is_enabled,
        price: price_view(it.payout, it.revenue),
    }
}

/// Says whether and at what price an offer, or a campaign on it, takes an event, instead of what was said
/// before.
pub(super) async fn set(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(FIELDS)?;
    let offer_event = OfferEvent {
        offer_id: params.required_id("offer_id")?,
        event_id: params.required_id("event_id")?,
        campaign_id: params.id("campaign_id")?,
        is_enabled: params.boolean("enabled")?.unwrap_or(true),
        payout: optional_rate(&params, Side::Payout)?,
        revenue: optional_rate(&params, Side::Revenue)?,
    };
    if offer_event.event_id == DEFAULT_EVENT {
        let problem = "the default event is every offer's: its terms are the offer's own";
        return Err(BadParameter::invalid("event_id", problem).into());
    }
    let offer_event = web.app.set_offer_event(&caller, offer_event).await?;
    Ok(web.success(One { offer_event: view(&offer_event) }))
}

/// Lists what is said, by offer, event and campaign.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (offer_id, event_id) = (params.id::<OfferId>("offer_id")?, params.id::<EventId>("event_id")?);
    let campaign_id = params.id::<CampaignId>("campaign_id")?;
    let enabled = params.boolean("enabled")?;
    let found = web.app.list_offer_events(&caller, |it| {
        offer_id.is_none_or(|id| id == it.offer_id)
            && event_id.is_none_or(|id| id == it.event_id)
            && campaign_id.is_none_or(|id| Some(id) == it.campaign_id)
            && enabled.is_none_or(|enabled| enabled == it.is_enabled)
    })?;
    let (total_rows, rows) = cut(found, page);
    Ok(web.listed(page, Page { offer_events: rows.iter().map(|it| view(it)).collect(), total_rows }))
}
