//! Campaigns.

use axum::extract::State;
use domain::ids::{CampaignId, OfferId};
use domain::network::{Campaign, CampaignStatus};
use domain::network_change::{CampaignChange, CreateCampaign};
use serde::Serialize;

use super::fields::{RedirectView, expires, redirect, redirect_view};
use super::view::{Answer, Money, cut};
use crate::Web;
use crate::extract::Keyed;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

/// Everything about a campaign that can be set.
const FIELDS: &[&str] = &[
    "campaign_status",
    "creative_id",
    "payout",
    "revenue",
    "expiration_date",
    "redirect_url",
    "redirect_offer_id",
    "display_link_type_id",
];

#[derive(Serialize)]
struct One {
    campaign: CampaignView,
}

#[derive(Serialize)]
struct Page {
    campaigns: Vec<CampaignView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct CampaignView {
    campaign_id: u32,
    offer_id: u32,
    affiliate_id: u32,
    campaign_status: &'static str,
    creative_id: u32,
    tracking_link: String,
    offer_name: String,
    affiliate_name: String,
    payout: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revenue: Option<Option<Money>>,
    date_created: String,
    expiration_date: Option<String>,
    #[serde(flatten)]
    redirect: RedirectView,
}

fn view(web: &Web, origin: Option<&str>, campaign: &Campaign, revenue: bool) -> CampaignView {
    let network = web.app.network();
    let base =
        web.options.public_url.as_deref().or(origin).unwrap_or("http://localhost").trim_end_matches('/');
    CampaignView {
        campaign_id: campaign.id.0,
        offer_id: campaign.offer_id.0,
        affiliate_id: campaign.affiliate_id.0,
        campaign_status: campaign.status.name(),
        creative_id: campaign.creative_id.0,
        tracking_link: format!("{base}/?a={}&c={}", campaign.affiliate_id, campaign.creative_id),
        offer_name: network.offer(campaign.offer_id).map(|it| it.name.clone()).unwrap_or_default(),
        affiliate_name: network
            .affiliate(campaign.affiliate_id)
            .map(|it| it.name.clone())
            .unwrap_or_default(),
        payout: campaign.payout.map(Money),
        revenue: revenue.then_some(campaign.revenue.map(Money)),
        date_created: web.date(campaign.created),
        expiration_date: campaign.expires.map(|it| web.date(it)),
        redirect: redirect_view(campaign.redirect.as_ref()),
    }
}

/// Creates a campaign.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, origin } = keyed;
    caller.may_administer()?;
    params.only(&[FIELDS, &["offer_id", "affiliate_id"]].concat())?;
    let create = CreateCampaign {
        offer_id: params.required_id("offer_id")?,
        affiliate_id: params.required_id("affiliate_id")?,
        status: params.parse("campaign_status")?.unwrap_or(CampaignStatus::Active),
        creative_id: params.id("creative_id")?,
        payout: params.parse("payout")?,
        revenue: params.parse("revenue")?,
        expires: expires(&web, &params)?.flatten(),
        redirect: redirect(&params)?.flatten(),
    };
    let campaign = web.app.create_campaign(&caller, create).await?;
    Ok(web.success(One { campaign: view(&web, origin.as_deref(), &campaign, true) }))
}

/// Changes the fields that are present; `payout` or `revenue` sent empty or `null` follows the offer again.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, origin } = keyed;
    caller.may_administer()?;
    params.only(&[FIELDS, &["campaign_id"]].concat())?;
    let change = CampaignChange {
        status: params.parse("campaign_status")?,
        creative_id: params.id("creative_id")?,
        payout: params.change("payout")?,
        revenue: params.change("revenue")?,
        expires: expires(&web, &params)?,
        redirect: redirect(&params)?,
    };
    let campaign = web.app.update_campaign(&caller, params.required_id("campaign_id")?, change).await?;
    Ok(web.success(One { campaign: view(&web, origin.as_deref(), &campaign, true) }))
}

/// Lists campaigns by number; an affiliate's key sees its own, without revenue.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, origin } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, offer_id) = (params.id::<CampaignId>("campaign_id")?, params.id::<OfferId>("offer_id")?);
    let status = params.parse("campaign_status")?;
    let (found, revenue) = web.app.list_campaigns(&caller, params.id("affiliate_id")?, |it| {
        id.is_none_or(|id| id == it.id)
            && offer_id.is_none_or(|id| id == it.offer_id)
            && status.is_none_or(|status: CampaignStatus| status == it.status)
    })?;
    let (total_rows, rows) = cut(found, page);
    let campaigns = rows.iter().map(|it| view(&web, origin.as_deref(), it, revenue)).collect();
    Ok(web.listed(page, Page { campaigns, total_rows }))
}
