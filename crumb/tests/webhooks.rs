//! Webhooks by the API: those of advertisers and of the network.

use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use serde_json::{Value, json};
use testkit::{Answer, TestServer};

const URL: &str = "https://shop.example/hook";

fn create(server: &TestServer, extra: &[(&str, &str)]) -> Answer {
    let named = extra.iter().any(|(name, _)| *name == "webhook_url");
    let url: &[(&str, &str)] = if named { &[] } else { &[("webhook_url", URL)] };
    server.client.post("webhook", &[url, extra].concat())
}

fn refused(answer: &Answer) -> (u16, String, String) {
    let parameter = answer.json()["error"]["parameter"].as_str().unwrap_or_default().to_owned();
    (answer.status, answer.code(), parameter)
}

fn without_secret(webhook: &Value) -> Value {
    let mut webhook = webhook.clone();
    let fields = webhook.as_object_mut().expect("an object");
    let secret = fields.remove("signing_secret").expect("shown once");
    assert!(secret.as_str().is_some_and(|it| it.starts_with("whsec_")), "{secret}");
    webhook
}

#[test]
fn a_webhook_tells_everything_and_is_always_signed() {
    let server = TestServer::start();
    let made = without_secret(&create(&server, &[]).success()["webhook"]);
    assert_eq!(
        made.to_string(),
        json!({
            "webhook_id": 1, "advertiser_id": null, "offer_id": 0, "event_id": null, "webhook_url": URL,
            "webhook_status": "active", "fire_on": "all", "success_codes": "", "calls_per_second": null,
            "date_created": "2026-06-19 14:30:00"
        })
        .to_string()
    );
    assert_eq!(server.client.get("webhooks", &[]).success()["webhooks"], json!([made]));
}

#[test]
fn a_webhook_is_changed_and_its_secret_rotated() {
    let server = TestServer::start();
    let first = create(&server, &[("advertiser_id", "1")]).success()["webhook"].clone();
    let update = |fields: &[(&str, &str)]| {
        let fields = [&[("webhook_id", "1")], fields].concat();
        server.client.post("update_webhook", &fields).success()["webhook"].clone()
    };
    assert_eq!(update(&[]), without_secret(&first));
    let changed = update(&[
        ("webhook_url", "https://shop.example/other?o={offer_id}"),
        ("webhook_status", "inactive"),
        ("fire_on", "approval"),
        ("success_codes", "202"),
        ("calls_per_second", "3"),
    ]);
    let found = ["webhook_url", "webhook_status", "fire_on", "success_codes", "calls_per_second"]
        .map(|name| changed[name].to_string());
    assert_eq!(
        found.join(" "),
        "\"https://shop.example/other?o={offer_id}\" \"inactive\" \"approval\" \"202\" 3"
    );
    assert_ne!(update(&[("rotate_secret", "true")])["signing_secret"], first["signing_secret"]);
}

#[test]
fn an_advertisers_webhook_is_told_of_its_own_offers_and_events_and_never_of_payouts() {
    let server = TestServer::start();
    server.client.post("advertiser", &[("advertiser_name", "Other")]).success();
    let event = [("advertiser_id", "1"), ("event_name", "Lead")];
    let event = server.client.post("event", &event).success()["event"]["event_id"].to_string();
    let bad = |name: &str| (400, "invalid_parameter".to_owned(), name.to_owned());
    assert_eq!(refused(&create(&server, &[("advertiser_id", "2"), ("offer_id", "1")])), bad("offer_id"));
    assert_eq!(refused(&create(&server, &[("advertiser_id", "2"), ("event_id", &event)])), bad("event_id"));
    let payout = [("advertiser_id", "1"), ("webhook_url", "https://shop.example/?p=#price#")];
    assert_eq!(refused(&create(&server, &payout)), bad("webhook_url"));
    assert_eq!(refused(&create(&server, &[("webhook_url", "http://10.0.0.1/")])), bad("webhook_url"));
    assert_eq!(refused(&create(&server, &[("advertiser_id", "9")])).1, "advertiser_not_found");
    create(&server, &[("advertiser_id", "1"), ("offer_id", "1"), ("event_id", &event)]).success();
    create(&server, &[("webhook_url", "https://own.example/?p=#price#")]).success();
    let ids = |params: &[(&str, &str)]| {
        let found = server.client.get("webhooks", params).success();
        let rows = found["webhooks"].as_array().expect("a list");
        rows.iter().map(|it| it["webhook_id"].as_u64().unwrap_or_default()).collect::<Vec<_>>()
    };
    for (params, expected) in [
        (&[][..], &[1, 2][..]),
        (&[("advertiser_id", "1")], &[1]),
        (&[("offer_id", "0")], &[2]),
        (&[("event_id", &event)], &[1]),
        (&[("webhook_status", "inactive")], &[]),
        (&[("fire_on", "all")], &[1, 2]),
        (&[("webhook_id", "2")], &[2]),
        (&[("start_at_row", "1")], &[2]),
    ] {
        assert_eq!(ids(params), expected, "{params:?}");
    }
}

#[test]
fn postbacks_and_webhooks_do_not_mix() {
    let server = TestServer::start();
    create(&server, &[]).success();
    let postback = [("affiliate_id", "1"), ("offer_id", "0"), ("postback_url", "https://aff.example/")];
    server.client.post("affiliate_postback", &postback).success();
    assert_eq!(server.client.get("webhooks", &[]).success()["total_rows"], 1);
    assert_eq!(server.client.get("affiliate_postbacks", &[]).success()["total_rows"], 1);
    let answer = server.client.post("update_webhook", &[("webhook_id", "2"), ("fire_on", "all")]);
    assert_eq!(refused(&answer), (404, "webhook_not_found".to_owned(), "webhook_id".to_owned()));
    let answer = server.client.post("update_affiliate_postback", &[("postback_id", "1"), ("fire_on", "all")]);
    assert_eq!(refused(&answer), (404, "postback_not_found".to_owned(), "postback_id".to_owned()));
}

#[test]
fn no_affiliate_sees_a_webhook() {
    let server = TestServer::start();
    create(&server, &[]).success();
    let grant = Grant { affiliate_id: Some(AffiliateId(1)), ..Grant::of(Scope::Affiliate) };
    let own = server.client_with("own", grant);
    assert_eq!(own.get("webhooks", &[]).code(), "not_permitted");
    assert_eq!(own.post("webhook", &[("webhook_url", URL)]).code(), "not_permitted");
    assert_eq!(own.get("affiliate_postbacks", &[]).success()["total_rows"], 0);
    let reader = server.client_with("reader", Grant::of(Scope::Read));
    assert_eq!(reader.get("webhooks", &[]).success()["total_rows"], 1);
}
