//! Get Click.

use app::{ClickRow, ListClicks};
use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::conversion_request::CLICK_ID_CHARS_MAX;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::view::{Answer, ClickIdText};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
const ROWS_MAX: u32 = 10_000;

#[derive(Serialize)]
struct Clicks {
    response: Response,
}

#[derive(Serialize)]
struct Response {
    clicks: Vec<ClickView>,
    total_rows: u64,
}

/// A click as documented, field by field in order; ours follow.
#[derive(Serialize)]
struct ClickView {
    click_id: ClickIdText,
    click_date: String,
    offer_id: u32,
    affiliate_id: u32,
    sub_id_1: String,
    ip_address: String,
    country: String,
    converted: bool,
    conversion_id: Option<u64>,
    sub_id_2: String,
    sub_id_3: String,
    sub_id_4: String,
    sub_id_5: String,
    disposition: &'static str,
    advertiser_id: u32,
    campaign_id: Option<u32>,
    creative_id: u32,
    user_agent: String,
    referrer: String,
    udid: String,
    redirect_url: String,
}

/// Retrieves one click, or a page of those that match.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (from, until) = range(&params, &web.app.settings().zone)?;
    let click_id = params.get("click_id").map(str::to_owned);
    if click_id.as_ref().is_some_and(|id| id.chars().count() > CLICK_ID_CHARS_MAX) {
        let problem = format!("a click id has at most {CLICK_ID_CHARS_MAX} characters");
        return Err(BadParameter::invalid("click_id", problem).into());
    }
    let question = ListClicks {
        click_id,
        from,
        until,
        offer_id: params.id("offer_id")?,
        affiliate_id: params.id("affiliate_id")?,
        offset: page.offset,
        limit: page.limit as usize,
    };
    let found = web.app.list_clicks(&caller, question).await?;
    let clicks = found.rows.into_iter().map(|row| view(&web, row)).collect();
    Ok(web.listed(page, Clicks { response: Response { clicks, total_rows: found.total } }))
}

/// `start_date` and `end_date`: half-open, the end not before the start.
pub(super) fn range(
    params: &Params,
    zone: &TimeZone,
) -> Result<(Option<Timestamp>, Option<Timestamp>), BadParameter> {
    let start = params.date("start_date", zone)?;
    let end = params.date("end_date", zone)?;
    if let (Some(start), Some(end)) = (start, end)
        && end.start(zone) < start.start(zone)
        && end.end(zone) <= start.start(zone)
    {
        return Err(BadParameter::invalid("end_date", "before start_date"));
    }
    Ok((start.map(|it| it.start(zone)), end.map(|it| it.end(zone))))
}

fn view(web: &Web, row: ClickRow) -> ClickView {
    let ClickRow { click, conversion_id } = row;
    let [sub_id_1, sub_id_2, sub_id_3, sub_id_4, sub_id_5] = click.sub_ids;
    ClickView {
        click_id: ClickIdText(click.id),
        click_date: web.date(click.id.time()),
        offer_id: click.offer_id.0,
        affiliate_id: click.affiliate_id.0,
        sub_id_1,
        ip_address: click.ip_address.map(|it| it.to_string()).unwrap_or_default(),
        country: click.country.as_str().to_owned(),
        converted: conversion_id.is_some(),
        conversion_id: conversion_id.map(|id| id.0),
        sub_id_2,
        sub_id_3,
        sub_id_4,
        sub_id_5,
        disposition: click.disposition.name(),
        advertiser_id: click.advertiser_id.0,
        campaign_id: click.campaign_id.map(|id| id.0),
        creative_id: click.creative_id.0,
        user_agent: click.user_agent,
        referrer: click.referrer,
        udid: click.udid,
        redirect_url: click.redirect_url,
    }
}
