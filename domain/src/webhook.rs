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

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::example::Example;
    use crate::ids::{AdvertiserId, AffiliateId};

    fn told(owner: Owner, example: &Example) -> Value {
        let zone = TimeZone::UTC;
        let at = Timestamp::UNIX_EPOCH;
        let text = event(owner, DeliveryCause::Approved, at, &example.values(&zone));
        serde_json::from_str(&text).expect("an event is JSON")
    }

    #[test]
    fn an_event_says_what_happened_when_and_to_what() {
        let example = Example::default();
        let event = told(Owner::Network, &example);
        let names: Vec<_> = event.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, ["type", "timestamp", "data"]);
        assert_eq!(
            (&event["type"], &event["timestamp"]),
            (&"conversion.approved".into(), &"1970-01-01T00:00:00Z".into())
        );
        let click_id = example.conversion.click_id;
        assert_eq!(
            event["data"].to_string(),
            format!(
                "{{\"conversion_id\":1042,\"conversion_status\":\"approved\",\"click_id\":\"{click_id}\",\
                 \"unique_id\":\"ORD-98765\",\"order_id\":\"98765\",\"offer_id\":12,\"advertiser_id\":3,\
                 \"affiliate_id\":7,\"campaign_id\":21,\"creative_id\":34,\"event_id\":1,\
                 \"conversion_date\":\"2026-06-19T14:30:00Z\",\"currency\":\"USD\",\"payout\":18.00,\
                 \"revenue\":22.00,\"amount\":120.00,\"sub_id_1\":\"sub-1\",\"sub_id_2\":\"sub-2\",\
                 \"sub_id_3\":\"sub-3\",\"sub_id_4\":\"sub-4\",\"sub_id_5\":\"sub-5\",\"adv1\":\"adv-1\",\
                 \"adv2\":\"adv-2\",\"adv3\":\"adv-3\",\"adv4\":\"adv-4\",\"adv5\":\"adv-5\"}}"
            )
        );
    }

    #[test]
    fn nobody_is_told_the_others_money() {
        let example = Example::default();
        let has = |owner, name: &str| told(owner, &example)["data"].get(name).is_some();
        let (affiliate, advertiser) = (Owner::Affiliate(AffiliateId(7)), Owner::Advertiser(AdvertiserId(3)));
        assert!(has(affiliate, "payout") && !has(affiliate, "revenue") && !has(affiliate, "advertiser_id"));
        assert!(has(advertiser, "revenue") && !has(advertiser, "payout"));
        assert!(has(Owner::Network, "revenue") && has(Owner::Network, "payout"));
    }

    #[test]
    fn what_is_absent_is_left_out() {
        let mut example = Example::default();
        example.conversion.campaign_id = None;
        example.conversion.price.amount = None;
        example.conversion.unique_id = String::new();
        let data = told(Owner::Network, &example)["data"].clone();
        for name in ["campaign_id", "amount", "unique_id"] {
            assert_eq!(data.get(name), None, "{name}");
        }
    }

    #[test]
    fn id_moment_and_body_are_signed_together() {
        let at = Timestamp::from_millisecond(1_614_265_330_999).expect("in range");
        assert_eq!(signed_text("1-0-7", at, "{}"), "1-0-7.1614265330.{}");
    }

    proptest! {
        #[test]
        fn an_event_is_json_whatever_its_texts_are(text: String) {
            let mut example = Example::default();
            example.conversion.unique_id.clone_from(&text);
            example.conversion.sub_ids[2].clone_from(&text);
            let data = told(Owner::Network, &example)["data"].clone();
            let found = [&data["unique_id"], &data["sub_id_3"]].map(|it| it.as_str().unwrap_or_default());
            prop_assert_eq!(found, [&*text, &*text]);
        }
    }
}
