//! Landing pages that an offer's visitors are spread over.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::ids::{LandingPageId, OfferId};
use domain::network::{LandingPage, MediaStatus};
use domain::network_change::{CreateLandingPage, LandingPageChange};
use domain::tokens::UrlTemplate;
use serde::Serialize;

use super::advertisers::name;
use super::view::{Answer, cut};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;
/// A page's share where nothing is said, so that pages without weights are shown alike.
const WEIGHT_DEFAULT: u32 = 100;
/// Fine enough for a share of one in ten thousand.
const WEIGHT_MAX: u32 = 10_000;

#[derive(Serialize)]
struct One {
    landing_page: LandingPageView,
}

#[derive(Serialize)]
struct Page {
    landing_pages: Vec<LandingPageView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct LandingPageView {
    landing_page_id: u32,
    offer_id: u32,
    landing_page_name: String,
    landing_page_url: String,
    weight: u32,
    landing_page_status: &'static str,
    date_created: String,
}

fn view(web: &Web, page: &LandingPage) -> LandingPageView {
    LandingPageView {
        landing_page_id: page.id.0,
        offer_id: page.offer_id.0,
        landing_page_name: page.name.clone(),
        landing_page_url: page.url.as_str().to_owned(),
        weight: page.weight,
        landing_page_status: page.status.name(),
        date_created: web.date(page.created),
    }
}

/// Creates a landing page.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["offer_id", "landing_page_name", "landing_page_url", "weight", "landing_page_status"])?;
    let create = CreateLandingPage {
        offer_id: params.required_id("offer_id")?,
        name: name(&params, "landing_page_name")?
            .ok_or_else(|| BadParameter::missing("landing_page_name"))?,
        url: url(&params)?.ok_or_else(|| BadParameter::missing("landing_page_url"))?,
        weight: params.whole("weight", WEIGHT_MAX)?.unwrap_or(WEIGHT_DEFAULT),
        status: params.parse("landing_page_status")?.unwrap_or(MediaStatus::Active),
    };
    let page = web.app.create_landing_page(&caller, create).await?;
    Ok(web.success(One { landing_page: view(&web, &page) }))
}

/// Changes the fields that are present.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[
        "landing_page_id",
        "landing_page_name",
        "landing_page_url",
        "weight",
        "landing_page_status",
    ])?;
    let change = LandingPageChange {
        name: name(&params, "landing_page_name")?,
        url: url(&params)?,
        weight: params.whole("weight", WEIGHT_MAX)?,
        status: params.parse("landing_page_status")?,
    };
    let id = params.required_id("landing_page_id")?;
    let page = web.app.update_landing_page(&caller, id, change).await?;
    Ok(web.success(One { landing_page: view(&web, &page) }))
}

/// Lists landing pages by number; an affiliate's key sees those of offers it runs.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, offer_id) = (params.id::<LandingPageId>("landing_page_id")?, params.id::<OfferId>("offer_id")?);
    let status = params.parse("landing_page_status")?;
    let found = web.app.list_landing_pages(&caller, |it| {
        id.is_none_or(|id| id == it.id)
            && offer_id.is_none_or(|id| id == it.offer_id)
            && status.is_none_or(|status: MediaStatus| status == it.status)
    })?;
    let (total_rows, rows) = cut(found, page);
    let landing_pages = rows.iter().map(|it| view(&web, it)).collect();
    Ok(web.listed(page, Page { landing_pages, total_rows }))
}

fn url(params: &Params) -> Result<Option<UrlTemplate>, BadParameter> {
    if params.clears("landing_page_url") {
        return Err(BadParameter::invalid("landing_page_url", "a URL may not be empty"));
    }
    params.parse("landing_page_url")
}
