//! Creatives: the ways an offer is shown.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::ids::{CreativeId, OfferId};
use domain::network::{Creative, MediaStatus};
use domain::network_change::{CreateCreative, CreativeChange};
use domain::tokens::UrlTemplate;
use serde::Serialize;

use super::advertisers::name;
use super::view::{Answer, cut};
use crate::Web;
use crate::extract::Keyed;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

#[derive(Serialize)]
struct One {
    creative: CreativeView,
}

#[derive(Serialize)]
struct Page {
    creatives: Vec<CreativeView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct CreativeView {
    creative_id: u32,
    offer_id: u32,
    creative_name: String,
    creative_status: &'static str,
    creative_url: Option<String>,
    date_created: String,
}

fn view(web: &Web, creative: &Creative) -> CreativeView {
    CreativeView {
        creative_id: creative.id.0,
        offer_id: creative.offer_id.0,
        creative_name: creative.name.clone(),
        creative_status: creative.status.name(),
        creative_url: creative.url.as_ref().map(|it| it.as_str().to_owned()),
        date_created: web.date(creative.created),
    }
}

/// Creates a creative.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["offer_id", "creative_name", "creative_status", "creative_url"])?;
    let create = CreateCreative {
        offer_id: params.required_id("offer_id")?,
        name: name(&params, "creative_name")?.ok_or_else(|| BadParameter::missing("creative_name"))?,
        status: params.parse("creative_status")?.unwrap_or(MediaStatus::Active),
        url: params.parse::<UrlTemplate>("creative_url")?,
    };
    let creative = web.app.create_creative(&caller, create).await?;
    Ok(web.success(One { creative: view(&web, &creative) }))
}

/// Changes the fields that are present; `creative_url` sent empty or `null` follows the offer again.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["creative_id", "creative_name", "creative_status", "creative_url"])?;
    let change = CreativeChange {
        name: name(&params, "creative_name")?,
        status: params.parse("creative_status")?,
        url: params.change("creative_url")?,
    };
    let id = params.required_id("creative_id")?;
    let creative = web.app.update_creative(&caller, id, change).await?;
    Ok(web.success(One { creative: view(&web, &creative) }))
}

/// Lists creatives by number; an affiliate's key sees those of offers it runs.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, offer_id) = (params.id::<CreativeId>("creative_id")?, params.id::<OfferId>("offer_id")?);
    let status = params.parse("creative_status")?;
    let found = web.app.list_creatives(&caller, |it| {
        id.is_none_or(|id| id == it.id)
            && offer_id.is_none_or(|id| id == it.offer_id)
            && status.is_none_or(|status: MediaStatus| status == it.status)
    })?;
    let (total_rows, rows) = cut(found, page);
    let creatives = rows.iter().map(|it| view(&web, it)).collect();
    Ok(web.listed(page, Page { creatives, total_rows }))
}
