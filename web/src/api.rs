//! The v2 JSON API: one list of routes, a file per noun.

mod adjustments;
mod advertisers;
mod affiliates;
mod balances;
mod batch;
mod batches;
mod campaigns;
mod caps;
mod changes;
mod clicks;
mod conversions;
mod creatives;
mod cursor;
mod deliveries;
mod entries;
mod events;
mod exchange_rates;
mod explain;
pub(crate) mod export;
mod fields;
mod import;
mod landing_pages;
mod offer_events;
mod offers;
mod paper;
mod parties;
mod postbacks;
mod price_rules;
mod report;
mod rules;
mod statements;
mod suppressions;
mod test_postback;
mod tier_prices;
mod view;
mod webhooks;

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
        .route("/api/2/import_conversions.json", post(import::conversions))
        .route("/api/2/conversions.json", get(conversions::list))
        .route("/api/2/update_conversion.json", post(adjustments::update))
        .route("/api/2/adjust_conversions.json", post(adjustments::adjust_all))
        .route("/api/2/explain.json", get(explain::json))
        .route("/api/2/explain.html", get(explain::html))
        .route("/api/2/export/{file}", get(export::file))
        .route("/api/2/adjustments.json", get(adjustments::list))
        .route("/api/2/changes.json", get(changes::list))
        .route("/api/2/entries.json", get(entries::list))
        .route("/api/2/balances.json", get(balances::list))
        .route("/api/2/batches.json", get(batches::list))
        .route("/api/2/undo_batch.json", post(batches::undo))
        .route("/api/2/statement.json", post(statements::close))
        .route("/api/2/invoices.json", get(statements::list))
        .route("/api/2/invoice.json", get(statements::one))
        .route("/api/2/invoice.csv", get(statements::csv))
        .route("/api/2/invoice.html", get(statements::html))
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
        .route("/api/2/event.json", post(events::create))
        .route("/api/2/update_event.json", post(events::update))
        .route("/api/2/events.json", get(events::list))
        .route("/api/2/offer_event.json", post(offer_events::set))
        .route("/api/2/offer_events.json", get(offer_events::list))
        .route("/api/2/price_rule.json", post(price_rules::create))
        .route("/api/2/update_price_rule.json", post(price_rules::update))
        .route("/api/2/price_rules.json", get(price_rules::list))
        .route("/api/2/tier_price.json", post(tier_prices::set))
        .route("/api/2/tier_prices.json", get(tier_prices::list))
        .route("/api/2/exchange_rate.json", post(exchange_rates::set))
        .route("/api/2/exchange_rates.json", get(exchange_rates::list))
        .route("/api/2/affiliate_postback.json", post(postbacks::create))
        .route("/api/2/update_affiliate_postback.json", post(postbacks::update))
        .route("/api/2/affiliate_postbacks.json", get(postbacks::list))
        .route("/api/2/test_postback.json", post(test_postback::test))
        .route("/api/2/postback_deliveries.json", get(deliveries::list))
        .route("/api/2/replay_deliveries.json", post(deliveries::replay))
        .route("/api/2/webhook.json", post(webhooks::create))
        .route("/api/2/update_webhook.json", post(webhooks::update))
        .route("/api/2/webhooks.json", get(webhooks::list))
        .route("/api/2/report.json", get(report::general).post(report::general))
        .route("/api/2/report.csv", get(report::csv).post(report::csv))
        .route("/api/2/report/conversion.json", get(report::conversions))
        .route("/api/2/report/click.json", get(report::clicks))
        .route("/api/2/report/{name}", get(report::cake))
        .route("/api/2/suppression.json", post(suppressions::change))
        .route("/api/2/suppressions.json", get(suppressions::list))
}
