//! What the campaigns of a tier's affiliates pay and earn on an offer.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::ids::OfferId;
use domain::network::TierPrice;
use serde::Serialize;

use super::affiliates::tier;
use super::view::{Answer, Money, cut};
use crate::Web;
use crate::extract::Keyed;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

#[derive(Serialize)]
struct One {
    tier_price: TierPriceView,
}

#[derive(Serialize)]
struct Page {
    tier_prices: Vec<TierPriceView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct TierPriceView {
    offer_id: u32,
    tier: String,
    payout: Option<Money>,
    revenue: Option<Money>,
}

fn view(price: &TierPrice) -> TierPriceView {
    TierPriceView {
        offer_id: price.offer_id.0,
        tier: price.tier.clone(),
        payout: price.payout.map(Money),
        revenue: price.revenue.map(Money),
    }
}

/// Says what a tier pays and earns on an offer, instead of what was said before. Without either it says
/// nothing any more.
pub(super) async fn set(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["offer_id", "tier", "payout", "revenue"])?;
    let price = TierPrice {
        offer_id: params.required_id("offer_id")?,
        tier: tier(&params)?.flatten().ok_or_else(|| BadParameter::missing("tier"))?,
        payout: params.parse("payout")?,
        revenue: params.parse("revenue")?,
    };
    let price = web.app.set_tier_price(&caller, price).await?;
    Ok(web.success(One { tier_price: view(&price) }))
}

/// Lists what is said, by offer and tier.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (offer_id, tier) = (params.id::<OfferId>("offer_id")?, params.get("tier"));
    let found = web.app.list_tier_prices(&caller, |it| {
        offer_id.is_none_or(|id| id == it.offer_id) && tier.is_none_or(|tier| tier == it.tier)
    })?;
    let (total_rows, rows) = cut(found, page);
    Ok(web.listed(page, Page { tier_prices: rows.iter().map(view).collect(), total_rows }))
}
