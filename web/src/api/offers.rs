//! Offers.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::deep_link::{HOSTS_MAX, HostPattern};
use domain::ids::{AdvertiserId, OfferId};
use domain::money::Amount;
use domain::network::{Approval, Attribution, Offer, OfferStatus};
use domain::network_change::{CreateOffer, OfferChange};
use domain::pricing::Side;
use domain::tokens::UrlTemplate;
use serde::Serialize;

use super::advertisers::name;
use super::fields::{RedirectView, expires, price_type, rate, redirect, redirect_view, starts};
use super::view::{Answer, Money, cut};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;
/// How long after its click a conversion is taken, where nothing is said.
const SESSION_HOURS_DEFAULT: u32 = 720;
/// A year.
const SESSION_HOURS_MAX: i64 = 8760;
/// A year.
const SECONDS_MAX: u32 = 31_536_000;

/// Everything about an offer that can be set.
const FIELDS: &[&str] = &[
    "offer_name",
    "offer_url",
    "offer_status",
    "payout",
    "payout_type",
    "revenue",
    "revenue_type",
    "session_hours",
    "click_cookie_days",
    "conversion_approval",
    "one_per_click",
    "allow_duplicates",
    "allow_deep_link",
    "deep_link_hosts",
    "expiration_date",
    "start_date",
    "schedule",
    "time_zone",
    "redirect_url",
    "redirect_offer_id",
    "thank_you_url",
    "attribution",
    "throw_out_seconds",
    "approval_delay_hours",
    "min_conversion_seconds",
    "max_conversion_seconds",
    "allow_pixel_payout",
    "vertical_id",
];

#[derive(Serialize)]
struct One {
    offer: OfferView,
}

#[derive(Serialize)]
struct Page {
    offers: Vec<Row>,
    total_rows: u64,
}

#[derive(Serialize)]
struct Row {
    offer: OfferView,
}

#[derive(Serialize)]
struct OfferView {
    offer_id: u32,
    offer_name: String,
    offer_status: &'static str,
    advertiser_id: u32,
    offer_url: String,
    creative_id: u32,
    payout: Money,
    payout_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revenue: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revenue_type: Option<&'static str>,
    currency: String,
    session_hours: serde_json::Number,
    conversion_approval: &'static str,
    one_per_click: bool,
    allow_duplicates: bool,
    allow_deep_link: bool,
    deep_link_hosts: String,
    expiration_date: Option<String>,
    date_created: String,
    start_date: Option<String>,
    schedule: Option<String>,
    time_zone: Option<String>,
    #[serde(flatten)]
    redirect: RedirectView,
    thank_you_url: Option<String>,
    attribution: &'static str,
    throw_out_seconds: Option<u32>,
    approval_delay_hours: Option<serde_json::Number>,
    min_conversion_seconds: Option<u32>,
    max_conversion_seconds: Option<u32>,
    allow_pixel_payout: bool,
}

fn view(web: &Web, offer: &Offer, revenue: bool) -> OfferView {
    OfferView {
        offer_id: offer.id.0,
        offer_name: offer.name.clone(),
        offer_status: offer.status.name(),
        advertiser_id: offer.advertiser_id.0,
        offer_url: offer.url.as_str().to_owned(),
        creative_id: offer.creative_id.0,
        payout: Money(offer.payout.number),
        payout_type: offer.payout.price_type.name(),
        revenue: revenue.then_some(Money(offer.revenue.number)),
        revenue_type: revenue.then_some(offer.revenue.price_type.name()),
        currency: offer.currency.to_string(),
        session_hours: hours(offer.session_seconds),
        conversion_approval: offer.approval.name(),
        one_per_click: offer.one_per_click,
        allow_duplicates: offer.allow_duplicates,
        allow_deep_link: offer.allow_deep_link,
        deep_link_hosts: offer.deep_link_hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        expiration_date: offer.expires.map(|it| web.date(it)),
        date_created: web.date(offer.created),
        start_date: offer.starts.map(|it| web.date(it)),
        schedule: offer.schedule.as_ref().map(ToString::to_string),
        time_zone: offer.zone.as_ref().map(|it| it.name().to_owned()),
        redirect: redirect_view(offer.redirect.as_ref()),
        thank_you_url: offer.thank_you_url.as_ref().map(|it| it.as_str().to_owned()),
        attribution: offer.attribution.name(),
        throw_out_seconds: offer.throw_out_seconds,
        approval_delay_hours: offer.approval_delay_seconds.map(hours),
        min_conversion_seconds: offer.min_conversion_seconds,
        max_conversion_seconds: offer.max_conversion_seconds,
        allow_pixel_payout: offer.allow_pixel_payout,
    }
}

/// Creates an offer.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[FIELDS, &["advertiser_id", "currency"]].concat())?;
    let create = CreateOffer {
        name: name(&params, "offer_name")?.ok_or_else(|| BadParameter::missing("offer_name"))?,
        advertiser_id: params.required_id("advertiser_id")?,
        url: url(&params)?.ok_or_else(|| BadParameter::missing("offer_url"))?,
        status: params.parse("offer_status")?.unwrap_or(OfferStatus::Active),
        payout: rate(&params, Side::Payout)?,
        revenue: rate(&params, Side::Revenue)?,
        currency: params.parse("currency")?.unwrap_or(web.app.settings().currency),
        session_seconds: session_seconds(&params)?.unwrap_or(SESSION_HOURS_DEFAULT * 3600),
        approval: params.parse("conversion_approval")?.unwrap_or(Approval::Auto),
        one_per_click: params.boolean("one_per_click")?.unwrap_or(false),
        allow_duplicates: params.boolean("allow_duplicates")?.unwrap_or(false),
        allow_deep_link: params.boolean("allow_deep_link")?.unwrap_or(false),
        deep_link_hosts: hosts(&params)?.unwrap_or_default(),
        starts: starts(&web, &params)?.flatten(),
        expires: expires(&web, &params)?.flatten(),
        schedule: params.parse("schedule")?,
        zone: params.parse("time_zone")?,
        redirect: redirect(&params)?.flatten(),
        thank_you_url: params.parse("thank_you_url")?,
        attribution: params.parse("attribution")?.unwrap_or(Attribution::FirstTouch),
        throw_out_seconds: within(&params, "throw_out_seconds")?.flatten(),
        approval_delay_seconds: approval_delay(&params)?.flatten(),
        min_conversion_seconds: within(&params, "min_conversion_seconds")?.flatten(),
        max_conversion_seconds: within(&params, "max_conversion_seconds")?.flatten(),
        allow_pixel_payout: params.boolean("allow_pixel_payout")?.unwrap_or(false),
    };
    let offer = web.app.create_offer(&caller, create).await?;
    Ok(web.success(One { offer: view(&web, &offer, true) }))
}

/// Changes the fields that are present.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[FIELDS, &["offer_id"]].concat())?;
    let change = OfferChange {
        name: name(&params, "offer_name")?,
        url: url(&params)?,
        status: params.parse("offer_status")?,
        payout_type: price_type(&params, Side::Payout)?,
        payout: params.parse("payout")?,
        revenue_type: price_type(&params, Side::Revenue)?,
        revenue: params.parse("revenue")?,
        session_seconds: session_seconds(&params)?,
        approval: params.parse("conversion_approval")?,
        one_per_click: params.boolean("one_per_click")?,
        allow_duplicates: params.boolean("allow_duplicates")?,
        allow_deep_link: params.boolean("allow_deep_link")?,
        deep_link_hosts: hosts(&params)?,
        starts: starts(&web, &params)?,
        expires: expires(&web, &params)?,
        schedule: params.change("schedule")?,
        zone: params.change("time_zone")?,
        redirect: redirect(&params)?,
        thank_you_url: params.change("thank_you_url")?,
        attribution: params.parse("attribution")?,
        throw_out_seconds: within(&params, "throw_out_seconds")?,
        approval_delay_seconds: approval_delay(&params)?,
        min_conversion_seconds: within(&params, "min_conversion_seconds")?,
        max_conversion_seconds: within(&params, "max_conversion_seconds")?,
        allow_pixel_payout: params.boolean("allow_pixel_payout")?,
    };
    let offer = web.app.update_offer(&caller, params.required_id("offer_id")?, change).await?;
    Ok(web.success(One { offer: view(&web, &offer, true) }))
}

/// Lists offers by number; an affiliate's key sees those it runs, without revenue.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, status) = (params.id::<OfferId>("offer_id")?, params.parse("offer_status")?);
    let advertiser_id = params.id::<AdvertiserId>("advertiser_id")?;
    let part = params.get("offer_name").map(str::to_lowercase);
    let (found, revenue) = web.app.list_offers(&caller, |it| {
        id.is_none_or(|id| id == it.id)
            && status.is_none_or(|status: OfferStatus| status == it.status)
            && advertiser_id.is_none_or(|id| id == it.advertiser_id)
            && part.as_ref().is_none_or(|part| it.name.to_lowercase().contains(part))
    })?;
    let (total_rows, rows) = cut(found, page);
    let offers = rows.iter().map(|it| Row { offer: view(&web, it, revenue) }).collect();
    Ok(web.listed(page, Page { offers, total_rows }))
}

fn url(params: &Params) -> Result<Option<UrlTemplate>, BadParameter> {
    if params.clears("offer_url") {
        return Err(BadParameter::invalid("offer_url", "a URL may not be empty"));
    }
    params.parse("offer_url")
}

/// `deep_link_hosts`, separated by commas or spaces; sent empty it is emptied.
fn hosts(params: &Params) -> Result<Option<Vec<HostPattern>>, BadParameter> {
    let name = "deep_link_hosts";
    if params.clears(name) {
        return Ok(Some(Vec::new()));
    }
    let Some(list) = params.get(name) else { return Ok(None) };
    let hosts = list.split([',', ' ']).filter(|host| !host.is_empty()).map(str::parse);
    let hosts: Vec<HostPattern> =
        hosts.collect::<Result<_, _>>().map_err(|error| BadParameter::invalid(name, error))?;
    if hosts.len() > HOSTS_MAX {
        return Err(BadParameter::invalid(name, format!("at most {HOSTS_MAX} hosts")));
    }
    Ok(Some(hosts))
}

/// `session_hours`, or CAKE's `click_cookie_days`; both together must agree.
fn session_seconds(params: &Params) -> Result<Option<u32>, BadParameter> {
    let hours = seconds(params, "session_hours", 3600)?;
    let days = seconds(params, "click_cookie_days", 86_400)?;
    match (hours, days) {
        (Some(hours), Some(days)) if hours != days => {
            Err(BadParameter::invalid("click_cookie_days", "differs from session_hours"))
        }
        (hours, days) => Ok(hours.or(days)),
    }
}

fn seconds(params: &Params, name: &str, unit_seconds: i64) -> Result<Option<u32>, BadParameter> {
    let Some(number) = params.parse::<Amount>(name)? else { return Ok(None) };
    let seconds = number.micros().saturating_mul(unit_seconds) / 1_000_000;
    if seconds > SESSION_HOURS_MAX * 3600 {
        return Err(BadParameter::invalid(name, format!("at most {SESSION_HOURS_MAX} hours")));
    }
    Ok(u32::try_from(seconds).ok())
}

/// `approval_delay_hours`; sent empty or `null` it is taken away.
fn approval_delay(params: &Params) -> Result<Option<Option<u32>>, BadParameter> {
    let name = "approval_delay_hours";
    if params.clears(name) { Ok(Some(None)) } else { Ok(seconds(params, name, 3600)?.map(Some)) }
}

/// A number of seconds; sent empty or `null` it is taken away.
fn within(params: &Params, name: &str) -> Result<Option<Option<u32>>, BadParameter> {
    if params.clears(name) { Ok(Some(None)) } else { Ok(params.whole(name, SECONDS_MAX)?.map(Some)) }
}

/// Hours as a decimal number, as short as it can be written.
fn hours(seconds: u32) -> serde_json::Number {
    let micros = i64::from(seconds) * 1_000_000 / 3600;
    let text = Amount::from_micros(micros - micros % 100).expect("whole steps").to_string();
    text.trim_end_matches('0').trim_end_matches('.').parse().expect("a decimal number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_print_as_short_as_they_can() {
        for (seconds, text) in
            [(720 * 3600, "720"), (0, "0"), (1800, "0.5"), (10 * 3600, "10"), (1, "0.0002")]
        {
            assert_eq!(hours(seconds).to_string(), text);
        }
    }
}
