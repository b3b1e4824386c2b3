//! The v2 JSON API: one list of routes, a file per noun.

mod advertisers;
mod affiliates;
mod batch;
mod campaigns;
mod caps;
mod clicks;
mod conversions;
mod creatives;
mod cursor;
mod fields;
mod landing_pages;
mod offers;
mod rules;
mod view;

use axum::Router;
use axum::routing::{get, post};

use crate::Web;
use crate::operations::method_not_allowed;

pub(crate) fn routes() -> Router<Web> {
    // A call that records answers HEAD with 405: it would record unseen.
    let record = get(conversions::record).post(conversions::record).head(method_not_allowed);
    Router::new()
        .route("/api/2/click.json", get(clicks::list))
        .route("/api/2/record_click.json", post(clicks::record))
        .route("/api/2/conversion.json", record)
        .route("/api/2/record_conversions.json", post(batch::record))
        .route("/api/2/conversions.json", get(conversions::list))
        .route("/api/2/advertiser.json", post(advertisers::create))
        .route("/api/2/update_advertiser.json", post(advertisers::update))
        .route("/api/2/advertisers.json", get(advertisers::list))
        .route("/api/2/offer.json", post(offers::create))
        .route("/api/2/update_offer.json", post(offers::update))
        .route("/api/2/offers.json", get(offers::list))
        .route("/api/2/affiliate.json", post(affiliates::create))
        .route("/api/2/update_affiliate.json", post(affiliates::update))
        .route("/api/2/affiliates.json", get(affiliates::list))
        .route("/api/2/campaign.json", post(campaigns::create))
        .route("/api/2/update_campaign.json", post(campaigns::update))
        .route("/api/2/campaigns.json", get(campaigns::list))
        .route("/api/2/creative.json", post(creatives::create))
        .route("/api/2/update_creative.json", post(creatives::update))
        .route("/api/2/creatives.json", get(creatives::list))
        .route("/api/2/landing_page.json", post(landing_pages::create))
        .route("/api/2/update_landing_page.json", post(landing_pages::update))
        .route("/api/2/landing_pages.json", get(landing_pages::list))
        .route("/api/2/rule.json", post(rules::create))
        .route("/api/2/update_rule.json", post(rules::update))
        .route("/api/2/rules.json", get(rules::list))
        .route("/api/2/cap.json", post(caps::create))
        .route("/api/2/update_cap.json", post(caps::update))
        .route("/api/2/caps.json", get(caps::list))
}
