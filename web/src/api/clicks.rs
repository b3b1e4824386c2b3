//! Get Click, and recording a click from a server.

use std::net::IpAddr;
use std::sync::Arc;

use app::{ClickRow, Lane, ListClicks, ServerClick, Visit};
use axum::Extension;
use axum::extract::State;
use domain::click::Country;
use domain::conversion_request::BadParameter;
use domain::conversion_request::CLICK_ID_CHARS_MAX;
use domain::routing::Link;
use domain::targeting::{Tried, read_trail};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::view::{Answer, ClickIdText};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
const ROWS_MAX: u32 = 10_000;
/// The longest range of dates, in days: 200 years, so that "everything" can be asked for.
const RANGE_DAYS_MAX: i64 = 73_050;

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
pub(super) struct ClickView {
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
    landing_page_id: Option<u32>,
    redirect_offer_id: Option<u32>,
    region: String,
    asn: Option<u32>,
    device: &'static str,
    os: String,
    browser: String,
    language: String,
    visitor_id: ClickIdText,
    rules_tried: Vec<TriedView>,
}

/// What a targeting rule said.
#[derive(Serialize)]
struct TriedView {
    rule_id: u32,
    rule_version: u32,
    outcome: &'static str,
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
    let (from, until) = (start.map(|it| it.start(zone)), end.map(|it| it.end(zone)));
    if let (Some(from), Some(until)) = (from, until)
        && until.as_second() - from.as_second() > RANGE_DAYS_MAX * 86_400
    {
        return Err(BadParameter::invalid("end_date", format!("a range has at most {RANGE_DAYS_MAX} days")));
    }
    Ok((from, until))
}

#[derive(Serialize)]
struct Recorded {
    click: RecordedView,
}

/// A click row, with where it leads after its id.
#[derive(Serialize)]
struct RecordedView {
    click_id: ClickIdText,
    landing_url: Option<String>,
    #[serde(flatten)]
    row: serde_json::Map<String, serde_json::Value>,
}

/// Records a click without a redirect.
pub(super) async fn record(
    State(web): State<Web>,
    Extension(lane): Extension<Arc<Lane>>,
    keyed: Keyed,
) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_record()?;
    let visit = visit(&params)?;
    let ServerClick { row, landing_url } = web.app.record_server_click(&caller, &lane, visit).await?;
    let click_id = ClickIdText(row.click.id);
    let serde_json::Value::Object(mut row) = serde_json::to_value(view(&web, row)).expect("views serialize")
    else {
        unreachable!("a view is an object");
    };
    row.remove("click_id");
    Ok(web.success(Recorded { click: RecordedView { click_id, landing_url, row } }))
}

fn visit(params: &Params) -> Result<Visit, BadParameter> {
    let mut known = vec!["campaign_id", "affiliate_id", "creative_id", "offer_id"];
    known.extend(["s1", "s2", "s3", "s4", "s5", "udid", "ip_address", "user_agent", "referrer", "country"]);
    params.only(&known)?;
    let text = |name| params.get(name).unwrap_or_default().to_owned();
    let address = |value: &str| {
        let read = value.parse::<IpAddr>();
        read.map(|it| it.to_canonical()).map_err(|_| BadParameter::invalid("ip_address", "not an address"))
    };
    let country = |value| {
        Country::new(value).ok_or_else(|| BadParameter::invalid("country", "two letters are expected"))
    };
    Ok(Visit {
        link: Some(link(params)?),
        known_domain: true,
        sub_ids: ["s1", "s2", "s3", "s4", "s5"].map(text),
        deep_link: String::new(),
        udid: text("udid"),
        extra_query: String::new(),
        country: params.get("country").map(country).transpose()?,
        ip_address: params.get("ip_address").map(address).transpose()?,
        user_agent: text("user_agent"),
        referrer: text("referrer"),
        language: String::new(),
        cookies: String::new(),
    })
}

fn link(params: &Params) -> Result<Link, BadParameter> {
    if let Some(campaign_id) = params.id("campaign_id")? {
        return Ok(Link::Campaign(campaign_id, params.id("affiliate_id")?));
    }
    let affiliate_id = params.id("affiliate_id")?.ok_or_else(|| BadParameter::missing("campaign_id"))?;
    match (params.id("creative_id")?, params.id("offer_id")?) {
        (Some(creative_id), _) => Ok(Link::Creative(affiliate_id, creative_id)),
        (None, Some(offer_id)) => Ok(Link::Offer(affiliate_id, offer_id)),
        (None, None) => Err(BadParameter::missing("creative_id")),
    }
}

pub(super) fn view(web: &Web, row: ClickRow) -> ClickView {
    let ClickRow { click, conversion_id } = row;
    let rules_tried = read_trail(&click.rules).map(tried).collect();
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
        landing_page_id: click.landing_page_id.map(|id| id.0),
        redirect_offer_id: click.redirect_offer_id.map(|id| id.0),
        region: click.region,
        asn: click.asn,
        device: click.device.name(),
        os: click.os,
        browser: click.browser,
        language: click.language,
        visitor_id: ClickIdText(click.visitor_id.unwrap_or(click.id)),
        rules_tried,
    }
}

fn tried(tried: Tried) -> TriedView {
    let Tried { rule_id, rule_version, passed } = tried;
    TriedView { rule_id: rule_id.0, rule_version, outcome: if passed { "passed" } else { "blocked" } }
}
