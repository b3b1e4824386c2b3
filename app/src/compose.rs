//! The call that a delivery makes: whom, by which method, saying what, signed with what.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::body_template::BodyType;
use domain::delivery::{DeliveryCause, DeliveryId};
use domain::postback::{Postback, PostbackMethod, Secret, Signing};
use domain::token_values::TokenValues;
use domain::webhook;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use outbound::{Body, Call, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Number, Value};
use sha2::Sha256;

/// What a secret begins with; the rest is base64.
pub(crate) const SECRET_PREFIX: &str = "whsec_";
/// By which receivers can tell a repeat.
const DELIVERY_HEADER: &str = "x-crumb-delivery";

/// The call of a delivery at `now`.
pub(crate) fn compose(
    postback: &Postback,
    id: DeliveryId,
    cause: DeliveryCause,
    caused_at: Timestamp,
    values: &TokenValues<'_>,
    now: Timestamp,
) -> Call {
    compose_as(&id.to_string(), postback, cause, caused_at, values, now)
}

/// The same under a name that is no delivery's.
pub(crate) fn compose_as(
    name: &str,
    postback: &Postback,
    cause: DeliveryCause,
    caused_at: Timestamp,
    values: &TokenValues<'_>,
    now: Timestamp,
) -> Call {
    let body = match postback.method {
        PostbackMethod::Get => None,
        PostbackMethod::Webhook => Some(webhook::event(postback.owner, cause, caused_at, values)),
        PostbackMethod::PostForm | PostbackMethod::PostJson => Some(match &postback.body {
            Some(template) => template.expand(|token| values.get(token)),
            None if postback.method == PostbackMethod::PostForm => standard_form(values),
            None => Value::Object(standard_fields(values)).to_string(),
        }),
    };
    let mut headers = vec![(DELIVERY_HEADER, name.to_owned())];
    headers.extend(signed(&postback.signing, name, body.as_deref().unwrap_or_default(), now));
    let content_type = postback.method.body_type().unwrap_or(BodyType::Json).content_type();
    Call {
        method: if body.is_some() { Method::Post } else { Method::Get },
        url: postback.url.expand(|token| values.get(token)),
        headers,
        body: body.map(|text| Body { content_type, bytes: text.into_bytes() }),
    }
}

/// What is said of a conversion where no body is saved: names and forms of the API.
fn standard_fields(values: &TokenValues<'_>) -> Map<String, Value> {
    let (conversion, standing) = (values.conversion, values.standing);
    let number = |text: String| text.parse::<Number>().map_or(Value::Null, Value::Number);
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    add("click_id", conversion.click_id.to_string().into());
    add("conversion_id", conversion.id.0.into());
    add("offer_id", conversion.offer_id.0.into());
    add("affiliate_id", conversion.affiliate_id.0.into());
    add("campaign_id", conversion.campaign_id.map(|it| it.0).into());
    add("creative_id", conversion.creative_id.0.into());
    add("event_id", conversion.event_id.0.into());
    add("unique_id", conversion.unique_id.as_str().into());
    add("conversion_status", standing.status.name().into());
    add("payout", number(standing.worth().payout.to_string()));
    add("currency", conversion.currency.to_string().into());
    add("amount", conversion.price.amount.map_or(Value::Null, |it| number(it.to_string())));
    add("conversion_date", domain::time::print(conversion.conversion_date, values.zone).into());
    for (place, sub_id) in conversion.sub_ids.iter().enumerate() {
        add(&format!("sub_id_{}", place + 1), sub_id.as_str().into());
    }
    fields
}

/// The same as a form; what is absent is empty.
fn standard_form(values: &TokenValues<'_>) -> String {
    let mut form = String::new();
    for (name, value) in standard_fields(values) {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        let separator = if form.is_empty() { "" } else { "&" };
        write!(form, "{separator}{name}={}", utf8_percent_encode(&text, NON_ALPHANUMERIC))
            .expect("writing to a string");
    }
    form
}

/// The headers of the Standard Webhooks specification; none without a secret. The secret before the present
/// one signs too, as long as it is to.
fn signed(signing: &Signing, id: &str, body: &str, now: Timestamp) -> Vec<(&'static str, String)> {
    let Some(secret) = &signing.secret else { return Vec::new() };
    let old = signing.old.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret);
    let text = webhook::signed_text(id, now, body);
    let signatures: Vec<_> =
        [secret].into_iter().chain(old).filter_map(|secret| signature(secret, &text)).collect();
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now.as_second().to_string()),
        ("webhook-signature", signatures.join(" ")),
    ]
}

/// None where a secret is not one: nobody could verify what it signs.
fn signature(Secret(secret): &Secret, text: &str) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix(SECRET_PREFIX)?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(text.as_bytes());
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::body_template::BodyTemplate;
    use domain::example::Example;
    use domain::ids::{AdvertiserId, AffiliateId, ConversionId, PostbackId};
    use domain::network_change::CreatePostback;
    use domain::postback::Owner;
    use domain::tokens::UrlTemplate;
    use jiff::tz::TimeZone;

    use super::*;

    /// Of the specification's own examples.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn postback(method: PostbackMethod) -> Postback {
        let url = "https://aff.example/in?c={click_id}&p=#price#&s={s1}";
        let url = UrlTemplate::parse_called(url).expect("a url");
        let create = CreatePostback { method, ..CreatePostback::new(Owner::Affiliate(AffiliateId(7)), url) };
        create.into_postback(PostbackId(7), Timestamp::UNIX_EPOCH)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn call(postback: &Postback, example: &Example, now: Timestamp) -> Call {
        let id = DeliveryId { conversion_id: ConversionId(1042), booking: 0, postback_id: postback.id };
        let zone = TimeZone::get("America/New_York").expect("a zone");
        compose(postback, id, DeliveryCause::Recorded, at(1), &example.values(&zone), now)
    }

    fn text(call: &Call) -> String {
        let body = call.body.as_ref().expect("a body");
        String::from_utf8(body.bytes.clone()).expect("text")
    }

    fn header<'c>(call: &'c Call, name: &str) -> Option<&'c str> {
        call.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_get_says_everything_in_its_url_and_names_its_delivery() {
        let mut example = Example::default();
        example.conversion.sub_ids[0] = "a&b=c d/é".to_owned();
        let call = call(&postback(PostbackMethod::Get), &example, at(2));
        assert_eq!(call.method, Method::Get);
        let click_id = example.conversion.click_id;
        assert_eq!(call.url, format!("https://aff.example/in?c={click_id}&p=18.00&s=a%26b%3Dc%20d%2F%C3%A9"));
        assert!(call.body.is_none());
        assert_eq!(call.headers, [("x-crumb-delivery", "1042-0-7".to_owned())]);
    }

    #[test]
    fn a_post_without_a_body_says_the_standard_fields() {
        let mut example = Example::default();
        example.conversion.campaign_id = None;
        example.conversion.price.amount = None;
        example.conversion.sub_ids[4] = "\"&\n".to_owned();
        let json = call(&postback(PostbackMethod::PostJson), &example, at(2));
        assert_eq!(json.method, Method::Post);
        assert_eq!(json.body.as_ref().map(|it| it.content_type), Some("application/json"));
        assert_eq!(
            text(&json),
            format!(
                "{{\"click_id\":\"{}\",\"conversion_id\":1042,\"offer_id\":12,\"affiliate_id\":7,\
                 \"campaign_id\":null,\"creative_id\":34,\"event_id\":1,\"unique_id\":\"ORD-98765\",\
                 \"conversion_status\":\"approved\",\"payout\":18.00,\"currency\":\"USD\",\"amount\":null,\
                 \"conversion_date\":\"2026-06-19 10:30:00\",\"sub_id_1\":\"sub-1\",\"sub_id_2\":\"sub-2\",\
                 \"sub_id_3\":\"sub-3\",\"sub_id_4\":\"sub-4\",\"sub_id_5\":\"\\\"&\\n\"}}",
                example.conversion.click_id
            )
        );
        let form = call(&postback(PostbackMethod::PostForm), &example, at(2));
        assert_eq!(form.body.as_ref().map(|it| it.content_type), Some("application/x-www-form-urlencoded"));
        let form = text(&form);
        let pairs: BTreeMap<_, _> = form.split('&').filter_map(|pair| pair.split_once('=')).collect();
        assert_eq!(pairs.len(), 18, "{form}");
        let found = ["payout", "campaign_id", "amount", "conversion_date", "sub_id_5"].map(|it| pairs[it]);
        assert_eq!(found, ["18%2E00", "", "", "2026%2D06%2D19%2010%3A30%3A00", "%22%26%0A"]);
    }

    #[test]
    fn a_saved_body_is_sent_with_its_values() {
        let example = Example::default();
        let with = |method, text, body_type| Postback {
            body: Some(BodyTemplate::parse(text, body_type).expect("a body")),
            ..postback(method)
        };
        let json = with(PostbackMethod::PostJson, r#"{"id":"{tid}","p":{payout}}"#, BodyType::Json);
        assert_eq!(text(&call(&json, &example, at(2))), r#"{"id":"ORD-98765","p":18.00}"#);
        let form = with(PostbackMethod::PostForm, "s={conversion_status}&x=1", BodyType::Form);
        assert_eq!(text(&call(&form, &example, at(2))), "s=approved&x=1");
    }

    #[test]
    fn a_conversion_that_pays_nothing_any_more_is_told_so() {
        let example = Example::default();
        let zone = TimeZone::UTC;
        let mut values = example.values(&zone);
        values.standing.status = domain::status::ConversionStatus::Reversed;
        let fields = standard_fields(&values);
        assert_eq!(
            (&fields["payout"].to_string()[..], &fields["conversion_status"]),
            ("0.00", &"reversed".into())
        );
    }

    #[test]
    fn a_webhook_posts_its_event_signed() {
        let mut webhook = postback(PostbackMethod::Webhook);
        webhook.owner = Owner::Advertiser(AdvertiserId(3));
        webhook.signing.secret = Some(Secret(SECRET.to_owned()));
        let call = call(&webhook, &Example::default(), at(1_614_265_330));
        assert_eq!(call.method, Method::Post);
        assert_eq!(call.body.as_ref().map(|it| it.content_type), Some("application/json"));
        let event: Value = serde_json::from_str(&text(&call)).expect("JSON");
        assert_eq!(
            (&event["type"], &event["timestamp"]),
            (&"conversion.recorded".into(), &"1970-01-01T00:00:01Z".into())
        );
        assert_eq!(event["data"]["revenue"].to_string(), "22.00");
        assert_eq!(event["data"].get("payout"), None);
        assert_eq!(header(&call, "webhook-id"), Some("1042-0-7"));
        assert_eq!(header(&call, "webhook-timestamp"), Some("1614265330"));
        let expected = signature(&Secret(SECRET.to_owned()), &format!("1042-0-7.1614265330.{}", text(&call)));
        assert_eq!(header(&call, "webhook-signature"), expected.as_deref());
    }

    #[test]
    fn signatures_are_those_of_the_specification() {
        let signing = Signing { secret: Some(Secret(SECRET.to_owned())), old: None };
        let headers =
            signed(&signing, "msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#, at(1_614_265_330));
        assert_eq!(
            headers,
            [
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()),
                ("webhook-timestamp", "1614265330".to_owned()),
                ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()),
            ]
        );
    }

    #[test]
    fn the_secret_before_signs_too_until_its_time_is_over() {
        let new = Secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
        let old = Secret(SECRET.to_owned());
        let signing = Signing { secret: Some(new.clone()), old: Some((old.clone(), at(100))) };
        let signatures = |now| signed(&signing, "1-0-1", "{}", now)[2].1.clone();
        let of = |secret, now: i64| signature(secret, &format!("1-0-1.{now}.{{}}")).expect("signed");
        assert_eq!(signatures(at(99)), format!("{} {}", of(&new, 99), of(&old, 99)));
        assert_eq!(signatures(at(100)), of(&new, 100));
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        for text in ["", "whsec", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64"] {
            assert_eq!(signature(&Secret(text.to_owned()), "x"), None, "{text}");
        }
    }
}
