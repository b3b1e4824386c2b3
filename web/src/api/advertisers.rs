//! Advertisers.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::ids::AdvertiserId;
use domain::network::{Advertiser, PartyStatus};
use domain::network_change::{AdvertiserChange, CreateAdvertiser};
use serde::Serialize;

use super::view::{Answer, cut};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page, as in CAKE.
const ROWS_MAX: u32 = 5000;
/// The longest name of an entity, in characters: it is printed beside every row.
const NAME_CHARS_MAX: usize = 200;

#[derive(Serialize)]
struct One {
    advertiser: AdvertiserView,
}

#[derive(Serialize)]
struct Page {
    advertisers: Vec<AdvertiserView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct AdvertiserView {
    advertiser_id: u32,
    advertiser_name: String,
    advertiser_status: &'static str,
    date_created: String,
}

fn view(web: &Web, advertiser: &Advertiser) -> AdvertiserView {
    AdvertiserView {
        advertiser_id: advertiser.id.0,
        advertiser_name: advertiser.name.clone(),
        advertiser_status: advertiser.status.name(),
        date_created: web.date(advertiser.created),
    }
}

/// Creates an advertiser.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["advertiser_name", "advertiser_status", "account_manager_id"])?;
    let create = CreateAdvertiser {
        name: name(&params, "advertiser_name")?.ok_or_else(|| BadParameter::missing("advertiser_name"))?,
        status: params.parse("advertiser_status")?.unwrap_or(PartyStatus::Active),
    };
    let advertiser = web.app.create_advertiser(&caller, create).await?;
    Ok(web.success(One { advertiser: view(&web, &advertiser) }))
}

/// Changes the fields that are present.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["advertiser_id", "advertiser_name", "advertiser_status", "account_manager_id"])?;
    let change = AdvertiserChange {
        name: name(&params, "advertiser_name")?,
        status: params.parse("advertiser_status")?,
    };
    let id = params.required_id("advertiser_id")?;
    let advertiser = web.app.update_advertiser(&caller, id, change).await?;
    Ok(web.success(One { advertiser: view(&web, &advertiser) }))
}

/// Lists advertisers by number.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, status) = (params.id::<AdvertiserId>("advertiser_id")?, params.parse("advertiser_status")?);
    let part = params.get("advertiser_name").map(str::to_lowercase);
    let found = web.app.list_advertisers(&caller, |it| {
        id.is_none_or(|id| id == it.id)
            && status.is_none_or(|status: PartyStatus| status == it.status)
            && part.as_ref().is_none_or(|part| it.name.to_lowercase().contains(part))
    })?;
    let (total_rows, rows) = cut(found, page);
    let advertisers = rows.iter().map(|it| view(&web, it)).collect();
    Ok(web.listed(page, Page { advertisers, total_rows }))
}

/// A name of an entity: trimmed, not empty, not too long.
pub(super) fn name(params: &Params, field: &str) -> Result<Option<String>, BadParameter> {
    if params.clears(field) {
        return Err(BadParameter::invalid(field, "a name may not be empty"));
    }
    let Some(name) = params.get(field).map(str::trim) else { return Ok(None) };
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(BadParameter::invalid(field, format!("a name has 1 to {NAME_CHARS_MAX} characters")));
    }
    Ok(Some(name.to_owned()))
}
