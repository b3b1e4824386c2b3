//! Fields that several entities share: dates and redirects.

use domain::conversion_request::BadParameter;
use domain::network::Redirect;
use jiff::Timestamp;
use serde::Serialize;

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
