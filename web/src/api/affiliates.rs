//! Affiliates.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::network::{Affiliate, PartyStatus};
use domain::network_change::{AffiliateChange, CreateAffiliate};
use serde::Serialize;

use super::advertisers::name;
use super::view::{Answer, cut};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;
/// The longest name of a tier, in characters.
const TIER_CHARS_MAX: usize = 50;

#[derive(Serialize)]
struct One {
    affiliate: AffiliateView,
}

#[derive(Serialize)]
struct Page {
    affiliates: Vec<AffiliateView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct AffiliateView {
    affiliate_id: u32,
    affiliate_name: String,
    affiliate_status: &'static str,
    date_created: String,
    tier: Option<String>,
}

fn view(web: &Web, affiliate: &Affiliate) -> AffiliateView {
    AffiliateView {
        affiliate_id: affiliate.id.0,
        affiliate_name: affiliate.name.clone(),
        affiliate_status: affiliate.status.name(),
        date_created: web.date(affiliate.created),
        tier: affiliate.tier.clone(),
    }
}

/// Creates an affiliate.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["affiliate_name", "affiliate_status", "tier", "account_manager_id"])?;
    let create = CreateAffiliate {
        name: name(&params, "affiliate_name")?.ok_or_else(|| BadParameter::missing("affiliate_name"))?,
        status: params.parse("affiliate_status")?.unwrap_or(PartyStatus::Active),
        tier: tier(&params)?.flatten(),
    };
    let affiliate = web.app.create_affiliate(&caller, create).await?;
    Ok(web.success(One { affiliate: view(&web, &affiliate) }))
}

/// Changes the fields that are present.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["affiliate_id", "affiliate_name", "affiliate_status", "tier", "account_manager_id"])?;
    let change = AffiliateChange {
        name: name(&params, "affiliate_name")?,
        status: params.parse("affiliate_status")?,
        tier: tier(&params)?,
    };
    let id = params.required_id("affiliate_id")?;
    let affiliate = web.app.update_affiliate(&caller, id, change).await?;
    Ok(web.success(One { affiliate: view(&web, &affiliate) }))
}

/// Lists affiliates by number; an affiliate's own key sees itself.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, status) = (params.id("affiliate_id")?, params.parse("affiliate_status")?);
    let part = params.get("affiliate_name").map(str::to_lowercase);
    let found = web.app.list_affiliates(&caller, id, |it| {
        status.is_none_or(|status: PartyStatus| status == it.status)
            && part.as_ref().is_none_or(|part| it.name.to_lowercase().contains(part))
    })?;
    let (total_rows, rows) = cut(found, page);
    let affiliates = rows.iter().map(|it| view(&web, it)).collect();
    Ok(web.listed(page, Page { affiliates, total_rows }))
}

/// `tier`, trimmed; sent empty or `null` it is taken away.
pub(super) fn tier(params: &Params) -> Result<Option<Option<String>>, BadParameter> {
    let Some(tier) = params.change::<String>("tier")? else { return Ok(None) };
    let tier = tier.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
    if tier.as_ref().is_some_and(|it| it.chars().count() > TIER_CHARS_MAX) {
        return Err(BadParameter::invalid("tier", format!("at most {TIER_CHARS_MAX} characters")));
    }
    Ok(Some(tier))
}
