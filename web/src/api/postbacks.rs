//! Postbacks of affiliates.

use std::ops::RangeInclusive;

use axum::extract::State;
use domain::body_template::BodyTemplate;
use domain::conversion_request::BadParameter;
use domain::ids::{CampaignId, EventId, OfferId, PostbackId};
use domain::money::Amount;
use domain::network_change::{CreatePostback, EntityKind, PostbackChange, Rejected};
use domain::postback::{
    CALLS_PER_SECOND_MAX, DELAY_SECONDS_MAX, FireOn, Owner, Postback, PostbackConditions, PostbackMethod,
    PostbackStatus, PostbackType, SUCCESS_TEXT_BYTES_MAX, SuccessRule, Unsuitable,
};
use domain::status::ConversionStatus;
use domain::tokens::UrlTemplate;
use serde::Serialize;

use super::conversions;
use super::view::{Answer, Money, cut};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
pub(super) const ROWS_MAX: u32 = 5000;

#[derive(Serialize)]
struct One {
    postback: PostbackView,
}

#[derive(Serialize)]
struct Page {
    postbacks: Vec<PostbackView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct PostbackView {
    postback_id: u32,
    affiliate_id: Option<u32>,
    offer_id: u32,
    campaign_id: Option<u32>,
    event_id: Option<u32>,
    postback_url: String,
    postback_type: &'static str,
    postback_type_id: u8,
    postback_method: &'static str,
    postback_body: String,
    postback_status: &'static str,
    fire_on: &'static str,
    conversion_status: String,
    min_payout: Option<Money>,
    share_percent: Option<u8>,
    postback_delay_seconds: u32,
    success_codes: String,
    success_text: String,
    calls_per_second: Option<u32>,
    date_created: String,
    is_signed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
}

fn view(web: &Web, postback: &Postback) -> PostbackView {
    let affiliate_id = match postback.owner {
        Owner::Affiliate(id) => Some(id.0),
        Owner::Advertiser(_) | Owner::Network => None,
    };
    let statuses: Vec<_> = postback.conditions.statuses.iter().map(|it| it.name()).collect();
    PostbackView {
        postback_id: postback.id.0,
        affiliate_id,
        offer_id: postback.offer_id.map_or(0, |it| it.0),
        campaign_id: postback.campaign_id.map(|it| it.0),
        event_id: postback.event_id.map(|it| it.0),
        postback_url: postback.url.as_str().to_owned(),
        postback_type: postback.postback_type.name(),
        postback_type_id: postback.postback_type.number(),
        postback_method: postback.method.name(),
        postback_body: postback.body.as_ref().map(|it| it.as_str().to_owned()).unwrap_or_default(),
        postback_status: postback.status.name(),
        fire_on: postback.fire_on.name(),
        conversion_status: statuses.join(","),
        min_payout: postback.conditions.min_payout.map(Money),
        share_percent: postback.conditions.share_percent,
        postback_delay_seconds: postback.delay_seconds,
        success_codes: postback.success.codes_text(),
        success_text: postback.success.text.clone().unwrap_or_default(),
        calls_per_second: postback.calls_per_second,
        date_created: web.date(postback.created),
        is_signed: postback.signing.secret.is_some(),
        signing_secret: None,
    }
}

/// The one answer that shows a secret: that to the call which made it.
fn made_view(web: &Web, postback: &Postback, is_new: bool) -> PostbackView {
    PostbackView { signing_secret: new_secret(postback, is_new), ..view(web, postback) }
}

/// The secret, where this call has made it.
pub(super) fn new_secret(postback: &Postback, is_new: bool) -> Option<String> {
    postback.signing.secret.as_ref().filter(|_| is_new).map(|secret| secret.0.clone())
}

/// What every postback may be given, beside whose it is and which conversions it tells of.
const FIELDS: [&str; 12] = [
    "postback_url",
    "postback_type_id",
    "postback_method",
    "postback_body",
    "postback_status",
    "fire_on",
    "conversion_status",
    "min_payout",
    "share_percent",
    "postback_delay_seconds",
    "success_codes",
    "success_text",
];

/// Creates a postback.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    let scope = ["affiliate_id", "offer_id", "campaign_id", "event_id", "calls_per_second", "sign"];
    params.only(&[&FIELDS[..], &scope].concat())?;
    let affiliate_id = params.required_id("affiliate_id")?;
    let campaign_id = params.id("campaign_id")?;
    let is_signed = params.boolean("sign")?.unwrap_or(false);
    let method = method(&params)?.unwrap_or(PostbackMethod::Get);
    let create = CreatePostback {
        owner: Owner::Affiliate(affiliate_id),
        offer_id: offer_meant(&params, campaign_id)?,
        campaign_id,
        event_id: params.id("event_id")?,
        postback_type: postback_type(&params)?.unwrap_or(PostbackType::Server),
        method,
        url: url(&params, "postback_url")?.ok_or_else(|| BadParameter::missing("postback_url"))?,
        body: body(&params, method)?.flatten(),
        status: params.parse("postback_status")?.unwrap_or(PostbackStatus::Active),
        fire_on: params.parse("fire_on")?.unwrap_or(FireOn::Conversion),
        conditions: PostbackConditions {
            statuses: conversions::statuses(&params, "conversion_status")?,
            min_payout: params.parse("min_payout")?,
            share_percent: share_percent(&params)?.flatten(),
        },
        delay_seconds: params.whole("postback_delay_seconds", DELAY_SECONDS_MAX)?.unwrap_or(0),
        success: success(&params)?,
        calls_per_second: calls_per_second(&params)?.flatten(),
        secret: None,
    };
    let postback = web.app.create_postback(&caller, create, is_signed).await?;
    Ok(web.success(One { postback: made_view(&web, &postback, true) }))
}

/// Changes the fields that are present.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[&FIELDS[..], &["postback_id", "calls_per_second", "rotate_secret"]].concat())?;
    let id: PostbackId = params.required_id("postback_id")?;
    let rotates = params.boolean("rotate_secret")?.unwrap_or(false);
    let method = method(&params)?;
    let network = web.app.network();
    let present = network.postback(id).filter(|it| it.kind() == EntityKind::Postback);
    let present = present.ok_or(Rejected::NotFound(EntityKind::Postback))?.method;
    let change = PostbackChange {
        postback_type: postback_type(&params)?,
        method,
        url: url(&params, "postback_url")?,
        body: body(&params, method.unwrap_or(present))?,
        status: params.parse("postback_status")?,
        fire_on: params.parse("fire_on")?,
        statuses: statuses_change(&params)?,
        min_payout: params.change::<Amount>("min_payout")?,
        share_percent: share_percent(&params)?,
        delay_seconds: params.whole("postback_delay_seconds", DELAY_SECONDS_MAX)?,
        success_codes: success_codes(&params)?,
        success_text: success_text(&params)?,
        calls_per_second: calls_per_second(&params)?,
        ..PostbackChange::default()
    };
    let kind = EntityKind::Postback;
    let postback = web.app.update_postback(&caller, kind, id, change, rotates).await?;
    Ok(web.success(One { postback: made_view(&web, &postback, rotates) }))
}

/// Lists postbacks by number; an affiliate's own key sees its own.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, affiliate_id) = (params.id::<PostbackId>("postback_id")?, params.id("affiliate_id")?);
    let (offer_id, campaign_id) =
        (params.id::<OfferId>("offer_id")?, params.id::<CampaignId>("campaign_id")?);
    let (event_id, status) = (params.id::<EventId>("event_id")?, params.parse("postback_status")?);
    let fire_on = params.parse("fire_on")?;
    let found = web.app.list_postbacks(&caller, affiliate_id, |it| {
        id.is_none_or(|id| id == it.id)
            && offer_id.is_none_or(|id| id == it.offer_id.unwrap_or(OfferId(0)))
            && campaign_id.is_none_or(|id| Some(id) == it.campaign_id)
            && event_id.is_none_or(|id| Some(id) == it.event_id)
            && status.is_none_or(|status: PostbackStatus| status == it.status)
            && fire_on.is_none_or(|fire_on: FireOn| fire_on == it.fire_on)
    })?;
    let (total_rows, rows) = cut(found, page);
    let postbacks = rows.iter().map(|it| view(&web, it)).collect();
    Ok(web.listed(page, Page { postbacks, total_rows }))
}

/// `offer_id`: 0 is every offer. A campaign says its offer by itself.
fn offer_meant(params: &Params, campaign_id: Option<CampaignId>) -> Result<Option<OfferId>, BadParameter> {
    match params.id("offer_id")? {
        None if campaign_id.is_none() => Err(BadParameter::missing("offer_id")),
        None | Some(OfferId(0)) => Ok(None),
        offer_id => Ok(offer_id),
    }
}

/// Whom it calls: a fixed host, known tokens.
pub(super) fn url(params: &Params, name: &str) -> Result<Option<UrlTemplate>, BadParameter> {
    let read = |text| UrlTemplate::parse_called(text).map_err(|error| BadParameter::invalid(name, error));
    params.get(name).map(read).transpose()
}

/// `postback_type_id`, CAKE's number of it.
fn postback_type(params: &Params) -> Result<Option<PostbackType>, BadParameter> {
    let read = |text: &str| {
        let problem = "use 1 (Server-to-Server), 2 (iFrame), 3 (Image) or 4 (JavaScript)";
        let known = text.parse().ok().and_then(PostbackType::from_number);
        known.ok_or_else(|| BadParameter::invalid("postback_type_id", problem))
    };
    params.get("postback_type_id").map(read).transpose()
}

/// `postback_method`; webhooks have endpoints of their own.
pub(super) fn method(params: &Params) -> Result<Option<PostbackMethod>, BadParameter> {
    let read = |text: &str| match text.parse() {
        Ok(PostbackMethod::Webhook) | Err(_) => {
            Err(BadParameter::invalid("postback_method", "use one of get, post_form, post_json"))
        }
        Ok(method) => Ok(method),
    };
    params.get("postback_method").map(read).transpose()
}

/// `postback_body`, as the method sends it; sent empty or `null` it is what the method sends by itself.
pub(super) fn body(
    params: &Params,
    method: PostbackMethod,
) -> Result<Option<Option<BodyTemplate>>, BadParameter> {
    const NAME: &str = "postback_body";
    if params.clears(NAME) {
        return Ok(Some(None));
    }
    let Some(text) = params.get(NAME) else { return Ok(None) };
    let body_type = method.body_type().ok_or_else(|| BadParameter::invalid(NAME, Unsuitable::Body))?;
    let body = BodyTemplate::parse(text, body_type).map_err(|error| BadParameter::invalid(NAME, error))?;
    Ok(Some(Some(body)))
}

/// Statuses of which a conversion must have one; sent empty or `null` it may have any.
fn statuses_change(params: &Params) -> Result<Option<Vec<ConversionStatus>>, BadParameter> {
    const NAME: &str = "conversion_status";
    if params.get(NAME).is_none() && !params.clears(NAME) {
        return Ok(None);
    }
    conversions::statuses(params, NAME).map(Some)
}

/// A whole number from 1 on; sent empty or `null` it is taken away.
fn positive(params: &Params, name: &str, max: u32) -> Result<Option<Option<u32>>, BadParameter> {
    if params.clears(name) {
        return Ok(Some(None));
    }
    let problem = || BadParameter::invalid(name, format!("a whole number, 1 to {max}, is expected"));
    match params.whole(name, max).map_err(|_| problem())? {
        Some(0) => Err(problem()),
        number => Ok(number.map(Some)),
    }
}

fn share_percent(params: &Params) -> Result<Option<Option<u8>>, BadParameter> {
    let percent = positive(params, "share_percent", 100)?;
    Ok(percent.map(|it| it.and_then(|it| u8::try_from(it).ok())))
}

/// How many calls a second the receiver takes; sent empty or `null` the setting says it.
pub(super) fn calls_per_second(params: &Params) -> Result<Option<Option<u32>>, BadParameter> {
    positive(params, "calls_per_second", CALLS_PER_SECOND_MAX)
}

/// Which answers mean success.
pub(super) fn success(params: &Params) -> Result<SuccessRule, BadParameter> {
    Ok(SuccessRule {
        codes: success_codes(params)?.unwrap_or_default(),
        text: success_text(params)?.flatten(),
    })
}

/// Status codes and ranges; sent empty or `null` they are 200 to 299.
pub(super) fn success_codes(params: &Params) -> Result<Option<Vec<RangeInclusive<u16>>>, BadParameter> {
    const NAME: &str = "success_codes";
    if params.clears(NAME) {
        return Ok(Some(Vec::new()));
    }
    let read = |text| SuccessRule::parse_codes(text).map_err(|error| BadParameter::invalid(NAME, error));
    params.get(NAME).map(read).transpose()
}

/// What an answer must contain; sent empty or `null` it need not contain anything.
fn success_text(params: &Params) -> Result<Option<Option<String>>, BadParameter> {
    const NAME: &str = "success_text";
    let text = params.change::<String>(NAME)?;
    if text.as_ref().and_then(Option::as_ref).is_some_and(|it| it.len() > SUCCESS_TEXT_BYTES_MAX) {
        return Err(BadParameter::invalid(NAME, format!("at most {SUCCESS_TEXT_BYTES_MAX} bytes")));
    }
    Ok(text)
}
