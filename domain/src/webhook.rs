//! The events that webhooks carry, as the Standard Webhooks specification has them
//! (<https://www.standardwebhooks.com>): a type, a moment, the data. And what is signed of a call.

use jiff::Timestamp;

use crate::adjustment::Standing;
use crate::conversion::Conversion;
use crate::delivery::DeliveryCause;
use crate::json_text::JsonObject;
use crate::postback::Owner;
use crate::token_values::TokenValues;

/// What is signed: the message's id, which is the delivery's, the moment in Unix seconds, the body.
pub fn signed_text(id: &str, at: Timestamp, body: &str) -> String {
    format!("{id}.{}.{body}", at.as_second())
}

/// The body of an event for its owner: an affiliate sees no revenue, an advertiser no payout.
pub fn event(owner: Owner, cause: DeliveryCause, caused_at: Timestamp, values: &TokenValues<'_>) -> String {
    let mut event = JsonObject::new();
    event.text("type", &format!("conversion.{}", cause.name()));
    event.text("timestamp", &caused_at.to_string());
    event.plain("data", Some(data(owner, values.conversion, values.standing)));
    event.finish()
}

/// A conversion as its owner may see it, with the names of the API.
fn data(owner: Owner, conversion: &Conversion, standing: Standing) -> String {
    let worth = standing.worth();
    let mut data = JsonObject::new();
    data.plain("conversion_id", Some(conversion.id));
    data.text("conversion_status", standing.status.name());
    data.text("click_id", &conversion.click_id.to_string());
    data.text("unique_id", &conversion.unique_id);
    data.text("order_id", &conversion.order_id);
    data.plain("offer_id", Some(conversion.offer_id));
    data.plain("advertiser_id", (!matches!(owner, Owner::Affiliate(_))).then_some(conversion.advertiser_id));
    data.plain("affiliate_id", Some(conversion.affiliate_id));
    data.plain("campaign_id", conversion.campaign_id);
    data.plain("creative_id", Some(conversion.creative_id));
    data.plain("event_id", Some(conversion.event_id));
    data.text("conversion_date", &conversion.conversion_date.to_string());
    data.text("currency", &conversion.currency.to_string());
    data.plain("payout", (!matches!(owner, Owner::Advertiser(_))).then_some(worth.payout));
    data.plain("revenue", (!matches!(owner, Owner::Affiliate(_))).then_some(worth.revenue));
    data.plain("amount", conversion.price.amount);
    for (number, value) in conversion.sub_ids.iter().enumerate() {
        data.text(&format!("sub_id_{}", number + 1), value);
    }
    for (number, value) in conversion.adv.iter().enumerate() {
        data.text(&format!("adv{}", number + 1), value);
    }
    data.finish()
}
