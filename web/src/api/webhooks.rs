//! Webhooks: what tells advertisers, and the network itself, of conversions. They are postbacks of another
//! kind, with endpoints of their own.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::ids::{AdvertiserId, OfferId, PostbackId};
use domain::network_change::{CreatePostback, EntityKind, PostbackChange};
use domain::postback::{FireOn, Owner, Postback, PostbackMethod, PostbackStatus, SuccessRule};
use serde::Serialize;

use super::postbacks::{ROWS_MAX, calls_per_second, new_secret, success_codes, url};
use super::view::{Answer, cut};
use crate::Web;
use crate::extract::Keyed;

#[derive(Serialize)]
struct One {
    webhook: WebhookView,
}

#[derive(Serialize)]
struct Page {
    webhooks: Vec<WebhookView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct WebhookView {
    webhook_id: u32,
    advertiser_id: Option<u32>,
    offer_id: u32,
    event_id: Option<u32>,
    webhook_url: String,
    webhook_status: &'static str,
    fire_on: &'static str,
    success_codes: String,
    calls_per_second: Option<u32>,
    date_created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
}

fn view(web: &Web, webhook: &Postback, is_secret_new: bool) -> WebhookView {
    WebhookView {
        webhook_id: webhook.id.0,
        advertiser_id: advertiser_of(webhook).map(|it| it.0),
        offer_id: webhook.offer_id.map_or(0, |it| it.0),
        event_id: webhook.event_id.map(|it| it.0),
        webhook_url: webhook.url.as_str().to_owned(),
        webhook_status: webhook.status.name(),
        fire_on: webhook.fire_on.name(),
        success_codes: webhook.success.codes_text(),
        calls_per_second: webhook.calls_per_second,
        date_created: web.date(webhook.created),
        signing_secret: new_secret(webhook, is_secret_new),
    }
}

/// The advertiser whose it is; none where it is the network's own.
fn advertiser_of(webhook: &Postback) -> Option<AdvertiserId> {
    match webhook.owner {
        Owner::Advertiser(id) => Some(id),
        Owner::Affiliate(_) | Owner::Network => None,
    }
}

/// What every webhook may be given, beside whose it is and which conversions it tells of.
const FIELDS: [&str; 5] = ["webhook_url", "webhook_status", "fire_on", "success_codes", "calls_per_second"];

/// Creates a webhook; the answer is the only one that shows its secret.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[&FIELDS[..], &["advertiser_id", "offer_id", "event_id"]].concat())?;
    let owner = params.id("advertiser_id")?.map_or(Owner::Network, Owner::Advertiser);
    let url = url(&params, "webhook_url")?.ok_or_else(|| BadParameter::missing("webhook_url"))?;
    let create = CreatePostback {
        offer_id: params.id("offer_id")?.filter(|id| *id != OfferId(0)),
        event_id: params.id("event_id")?,
        method: PostbackMethod::Webhook,
        status: params.parse("webhook_status")?.unwrap_or(PostbackStatus::Active),
        fire_on: params.parse("fire_on")?.unwrap_or(FireOn::All),
        success: SuccessRule { codes: success_codes(&params)?.unwrap_or_default(), text: None },
        calls_per_second: calls_per_second(&params)?.flatten(),
        ..CreatePostback::new(owner, url)
    };
    let webhook = web.app.create_postback(&caller, create, true).await?;
    Ok(web.success(One { webhook: view(&web, &webhook, true) }))
}

/// Changes the fields that are present.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[&FIELDS[..], &["webhook_id", "rotate_secret"]].concat())?;
    let rotates = params.boolean("rotate_secret")?.unwrap_or(false);
    let change = PostbackChange {
        url: url(&params, "webhook_url")?,
        status: params.parse("webhook_status")?,
        fire_on: params.parse("fire_on")?,
        success_codes: success_codes(&params)?,
        calls_per_second: calls_per_second(&params)?,
        ..PostbackChange::default()
    };
    let (kind, id) = (EntityKind::Webhook, params.required_id("webhook_id")?);
    let webhook = web.app.update_postback(&caller, kind, id, change, rotates).await?;
    Ok(web.success(One { webhook: view(&web, &webhook, rotates) }))
}

/// Lists webhooks by number.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, advertiser_id) = (params.id::<PostbackId>("webhook_id")?, params.id("advertiser_id")?);
    let (offer_id, event_id) = (params.id::<OfferId>("offer_id")?, params.id("event_id")?);
    let (status, fire_on) = (params.parse("webhook_status")?, params.parse("fire_on")?);
    let found = web.app.list_webhooks(&caller, |it| {
        id.is_none_or(|id| id == it.id)
            && advertiser_id.is_none_or(|id| Some(id) == advertiser_of(it))
            && offer_id.is_none_or(|id| id == it.offer_id.unwrap_or(OfferId(0)))
            && event_id.is_none_or(|id| Some(id) == it.event_id)
            && status.is_none_or(|status: PostbackStatus| status == it.status)
            && fire_on.is_none_or(|fire_on: FireOn| fire_on == it.fire_on)
    })?;
    let (total_rows, rows) = cut(found, page);
    let webhooks = rows.iter().map(|it| view(&web, it, false)).collect();
    Ok(web.listed(page, Page { webhooks, total_rows }))
}
