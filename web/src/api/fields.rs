//! Fields that several entities share: dates, redirects, prices.

use domain::conversion_request::BadParameter;
use domain::money::Amount;
use domain::network::Redirect;
use domain::network_change::RateChange;
use domain::pricing::{PriceType, Rate, Side};
use jiff::Timestamp;
use serde::Serialize;

use super::view::Money;
use crate::Web;
use crate::params::Params;

/// A redirect as its two fields: at most one says something.
#[derive(Serialize)]
pub(super) struct RedirectView {
    redirect_url: Option<String>,
    redirect_offer_id: Option<u32>,
}

pub(super) fn redirect_view(redirect: Option<&Redirect>) -> RedirectView {
    let (redirect_url, redirect_offer_id) = match redirect {
        None => (None, None),
        Some(Redirect::Url(url)) => (Some(url.as_str().to_owned()), None),
        Some(Redirect::Offer(id)) => (None, Some(id.0)),
    };
    RedirectView { redirect_url, redirect_offer_id }
}

/// `redirect_url` or `redirect_offer_id`. Outer none: neither is mentioned; inner none: taken away.
pub(super) fn redirect(params: &Params) -> Result<Option<Option<Redirect>>, BadParameter> {
    let url = params.change("redirect_url")?;
    let offer_id = params.id("redirect_offer_id")?;
    match (url, offer_id) {
        (Some(Some(_)), Some(_)) => {
            Err(BadParameter::invalid("redirect_offer_id", "redirect_url says something else"))
        }
        (Some(Some(url)), None) => Ok(Some(Some(Redirect::Url(url)))),
        (_, Some(id)) => Ok(Some(Some(Redirect::Offer(id)))),
        (None, None) if !params.clears("redirect_offer_id") => Ok(None),
        (_, None) => Ok(Some(None)),
    }
}

/// `start_date`: a day without a time begins with it.
pub(super) fn starts(web: &Web, params: &Params) -> Result<Option<Option<Timestamp>>, BadParameter> {
    if params.clears("start_date") {
        return Ok(Some(None));
    }
    let zone = &web.app.settings().zone;
    Ok(params.date("start_date", zone)?.map(|date| Some(date.start(zone))))
}

/// `expiration_date`: a day without a time ends with it.
pub(super) fn expires(web: &Web, params: &Params) -> Result<Option<Option<Timestamp>>, BadParameter> {
    if params.clears("expiration_date") {
        return Ok(Some(None));
    }
    let zone = &web.app.settings().zone;
    Ok(params.date("expiration_date", zone)?.map(|date| Some(date.end(zone))))
}

/// Both sides of a price that need not say anything.
#[derive(Serialize)]
pub(super) struct PriceView {
    payout: Option<Money>,
    payout_type: Option<&'static str>,
    revenue: Option<Money>,
    revenue_type: Option<&'static str>,
}

pub(super) fn price_view(payout: Option<Rate>, revenue: Option<Rate>) -> PriceView {
    PriceView {
        payout: payout.map(|it| Money(it.number)),
        payout_type: payout.map(|it| it.price_type.name()),
        revenue: revenue.map(|it| Money(it.number)),
        revenue_type: revenue.map(|it| it.price_type.name()),
    }
}

/// The fields of a side: its number and its type.
fn names(side: Side) -> (&'static str, &'static str) {
    match side {
        Side::Payout => ("payout", "payout_type"),
        Side::Revenue => ("revenue", "revenue_type"),
    }
}

/// `payout_type` or `revenue_type`.
pub(super) fn price_type(params: &Params, side: Side) -> Result<Option<PriceType>, BadParameter> {
    let (_, name) = names(side);
    let read = |text| {
        PriceType::from_name(text).ok_or_else(|| BadParameter::invalid(name, "cpa or revshare is expected"))
    };
    params.get(name).map(read).transpose()
}

/// A side that always says something: nothing is paid where it is not sent.
pub(super) fn rate(params: &Params, side: Side) -> Result<Rate, BadParameter> {
    Ok(Rate {
        price_type: price_type(params, side)?.unwrap_or(PriceType::Cpa),
        number: params.parse(names(side).0)?.unwrap_or(Amount::ZERO),
    })
}

/// A side that need not say anything. A type without a number would say nothing.
pub(super) fn optional_rate(params: &Params, side: Side) -> Result<Option<Rate>, BadParameter> {
    let price_type = price_type(params, side)?;
    let (name, _) = names(side);
    match params.parse(name)? {
        Some(number) => Ok(Some(Rate { price_type: price_type.unwrap_or(PriceType::Cpa), number })),
        None if price_type.is_some() => Err(BadParameter::missing(name)),
        None => Ok(None),
    }
}

/// A change to a side; its number sent empty or `null` takes it away.
pub(super) fn rate_change(params: &Params, side: Side) -> Result<RateChange, BadParameter> {
    Ok(RateChange { price_type: price_type(params, side)?, number: params.change(names(side).0)? })
}
