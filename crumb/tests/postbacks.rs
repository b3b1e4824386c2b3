//! Postbacks by the API: made, changed, listed, refused.

use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use outbound::AllowPrivate;
use serde_json::{Value, json};
use testkit::{Answer, TestServer};

const URL: &str = "https://aff.example/in?c={click_id}&p=#price#";

fn create(server: &TestServer, extra: &[(&str, &str)]) -> Answer {
    let least = [("affiliate_id", "1"), ("offer_id", "0"), ("postback_url", URL)];
    let named: Vec<_> = least.into_iter().filter(|(name, _)| extra.iter().all(|it| it.0 != *name)).collect();
    server.client.post("affiliate_postback", &[&named[..], extra].concat())
}

fn made(server: &TestServer, extra: &[(&str, &str)]) -> Value {
    create(server, extra).success()["postback"].clone()
}

fn update(server: &TestServer, extra: &[(&str, &str)]) -> Answer {
    server.client.post("update_affiliate_postback", &[&[("postback_id", "1")], extra].concat())
}

/// Status, code and parameter of a refusal.
fn refused(answer: &Answer) -> (u16, String, String) {
    let parameter = answer.json()["error"]["parameter"].as_str().unwrap_or_default().to_owned();
    (answer.status, answer.code(), parameter)
}

#[test]
fn defaults_are_as_documented_and_a_list_shows_the_same() {
    let server = TestServer::start();
    let postback = made(&server, &[]);
    assert_eq!(
        postback.to_string(),
        json!({
            "postback_id": 1, "affiliate_id": 1, "offer_id": 0, "campaign_id": null, "event_id": null,
            "postback_url": URL, "postback_type": "Server-to-Server", "postback_type_id": 1,
            "postback_method": "get", "postback_body": "", "postback_status": "active",
            "fire_on": "conversion", "conversion_status": "", "min_payout": null, "share_percent": null,
            "postback_delay_seconds": 0, "success_codes": "", "success_text": "", "calls_per_second": null,
            "date_created": "2026-06-19 14:30:00", "is_signed": false
        })
        .to_string()
    );
    let listed = server.client.get("affiliate_postbacks", &[]).success();
    assert_eq!((&listed["total_rows"], &listed["postbacks"]), (&json!(1), &json!([postback])));
}

#[test]
fn everything_that_is_set_can_be_changed_and_taken_away_again() {
    let server = TestServer::start();
    let set = [
        ("postback_url", "http://aff.example:8080/in"),
        ("postback_method", "post_json"),
        ("postback_body", r#"{"id": "{click_id}", "p": {payout}}"#),
        ("postback_status", "inactive"),
        ("fire_on", "change"),
        ("conversion_status", "approved,returned"),
        ("min_payout", "1.50"),
        ("share_percent", "40"),
        ("postback_delay_seconds", "60"),
        ("success_codes", "200,300-399"),
        ("success_text", "OK"),
        ("calls_per_second", "5"),
    ];
    let expected = |it: &Value| {
        let fields = [
            "postback_url",
            "postback_method",
            "postback_body",
            "postback_status",
            "fire_on",
            "conversion_status",
            "min_payout",
            "share_percent",
            "postback_delay_seconds",
            "success_codes",
            "success_text",
            "calls_per_second",
        ];
        fields.map(|name| it[name].to_string())
    };
    let first = made(&server, &set);
    let second = made(&server, &[]);
    let id = ("postback_id", "2");
    let change = |fields: &[(&str, &str)]| {
        let fields = [&[id], fields].concat();
        server.client.post("update_affiliate_postback", &fields).success()["postback"].clone()
    };
    assert_eq!(change(&[]), second, "what is not named stays");
    let changed = change(&set);
    assert_eq!(expected(&changed), expected(&first));
    assert_eq!(changed["conversion_status"], "approved,reversed");
    assert_eq!(change(&[]), changed);
    let emptied = change(&[
        ("postback_url", URL),
        ("postback_method", "get"),
        ("postback_status", "active"),
        ("fire_on", "conversion"),
        ("conversion_status", ""),
        ("min_payout", ""),
        ("share_percent", ""),
        ("postback_delay_seconds", "0"),
        ("success_codes", ""),
        ("success_text", ""),
        ("calls_per_second", ""),
    ]);
    assert_eq!(emptied, second, "a body goes with the method that sends it");
    let body = change(&[("postback_method", "post_form"), ("postback_body", "a={s1}")]);
    assert_eq!(body["postback_body"], "a={s1}");
    assert_eq!(change(&[("postback_body", "")])["postback_body"], "");
}

#[test]
fn a_campaign_says_its_offer_and_what_does_not_belong_together_is_refused() {
    let server = TestServer::start();
    let named = |name: &'static str, value: &'static str| create(&server, &[(name, value)]);
    let by_campaign = [("affiliate_id", "1"), ("campaign_id", "1"), ("postback_url", URL)];
    let postback = server.client.post("affiliate_postback", &by_campaign).success()["postback"].clone();
    assert_eq!((&postback["offer_id"], &postback["campaign_id"]), (&json!(1), &json!(1)));
    for (name, value, code) in [
        ("affiliate_id", "9", "affiliate_not_found"),
        ("offer_id", "9", "offer_not_found"),
        ("campaign_id", "9", "campaign_not_found"),
        ("event_id", "9", "event_not_found"),
    ] {
        assert_eq!(refused(&named(name, value)), (404, code.to_owned(), name.to_owned()));
    }
    let missing = server.client.post("affiliate_postback", &[("affiliate_id", "1"), ("postback_url", URL)]);
    assert_eq!(refused(&missing), (400, "missing_parameter".to_owned(), "offer_id".to_owned()));
    server.client.post("affiliate", &[("affiliate_name", "Other")]).success();
    let others = create(&server, &[("affiliate_id", "2"), ("campaign_id", "1")]);
    assert_eq!(refused(&others), (400, "invalid_parameter".to_owned(), "campaign_id".to_owned()));
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let server = TestServer::start();
    let message = |extra: &[(&str, &str)]| {
        let answer = create(&server, extra);
        assert_eq!((answer.status, answer.code()), (400, "invalid_parameter".to_owned()), "{extra:?}");
        answer.json()["message"].as_str().expect("a message").to_owned()
    };
    for (extra, expected) in [
        (
            &[("postback_url", "https://x.example/?a={affilate_id}")][..],
            "postback_url: unknown token {affilate_id}; did you mean {affiliate_id}?",
        ),
        (
            &[("postback_url", "https://{s1}.example/")],
            "postback_url: tokens may not stand in the host: whom a URL calls is fixed when it is saved",
        ),
        (
            &[("postback_url", "ftp://x.example/")],
            "postback_url: not a URL: it must begin with http:// or https:// and name a host",
        ),
        (
            &[("postback_type_id", "5")],
            "postback_type_id: use 1 (Server-to-Server), 2 (iFrame), 3 (Image) or 4 (JavaScript)",
        ),
        (&[("postback_method", "webhook")], "postback_method: use one of get, post_form, post_json"),
        (&[("postback_body", "a=1")], "postback_body: only post_form and post_json send a body"),
        (
            &[("postback_method", "post_json"), ("postback_body", "{\"a\": {s1}}")],
            "postback_body: put {s1} in quotes: its values are texts",
        ),
        (
            &[("fire_on", "sale")],
            "fire_on: use one of conversion, approval, rejection, reversal, change, all",
        ),
        (&[("share_percent", "0")], "share_percent: a whole number, 1 to 100, is expected"),
        (&[("share_percent", "101")], "share_percent: a whole number, 1 to 100, is expected"),
        (&[("calls_per_second", "0")], "calls_per_second: a whole number, 1 to 100000, is expected"),
        (
            &[("postback_delay_seconds", "2592001")],
            "postback_delay_seconds: a whole number, 0 to 2592000, is expected",
        ),
        (
            &[("success_codes", "200,,")],
            "success_codes: not a list of status codes: use numbers from 100 to 599 and ranges, such as 200,300-399",
        ),
        (&[("success_text", &"x".repeat(201))], "success_text: at most 200 bytes"),
        (
            &[("postback_type_id", "3"), ("postback_method", "post_form")],
            "postback_method: a browser carries it: only get is possible",
        ),
        (
            &[("postback_type_id", "2"), ("fire_on", "change")],
            "fire_on: a browser carries it: only conversion and approval are possible",
        ),
        (
            &[("postback_type_id", "4"), ("postback_delay_seconds", "1")],
            "postback_delay_seconds: a browser carries it: no delay is possible",
        ),
        (&[("postback_type_id", "4"), ("sign", "true")], "sign: a browser carries it: it cannot be signed"),
        (&[("colour", "red")], "colour: unknown field"),
    ] {
        assert_eq!(message(extra), expected, "{extra:?}");
    }
    let json = message(&[("postback_method", "post_json"), ("postback_body", "{\"a\": \"{s1}\",}")]);
    assert!(json.starts_with("postback_body: not JSON: trailing comma"), "{json}");
    assert_eq!(server.client.get("affiliate_postbacks", &[]).success()["total_rows"], 0);
}

#[test]
fn a_change_is_refused_where_the_whole_would_not_go_together() {
    let server = TestServer::start();
    made(&server, &[("postback_type_id", "3")]);
    assert_eq!(update(&server, &[("fire_on", "all")]).code(), "invalid_parameter");
    assert_eq!(update(&server, &[("rotate_secret", "true")]).json()["error"]["parameter"], "sign");
    let both = [("fire_on", "all"), ("postback_type_id", "1")];
    assert_eq!(update(&server, &both).success()["postback"]["fire_on"], "all");
    assert_eq!(update(&server, &[("postback_type_id", "2")]).json()["error"]["parameter"], "fire_on");
    let body = [("postback_body", "a=1")];
    assert_eq!(update(&server, &body).json()["error"]["parameter"], "postback_body");
    assert_eq!(update(&server, &[("affiliate_id", "1")]).json()["message"], "affiliate_id: unknown field");
}

#[test]
fn private_addresses_are_refused_unless_the_setting_allows_them() {
    let mut server = TestServer::start();
    let local = [("postback_url", "http://127.0.0.1:9/in?c={click_id}")];
    for url in ["http://127.0.0.1:9/", "http://0x7f.1/", "http://[::ffff:10.0.0.1]/", "http://localhost/"] {
        let answer = create(&server, &[("postback_url", url)]);
        assert_eq!(answer.json()["error"]["parameter"], "postback_url", "{url}");
        let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.ends_with("is not a public address"), "{message}");
    }
    made(&server, &[]);
    assert_eq!(update(&server, &local).code(), "invalid_parameter");
    let loopback = AllowPrivate::Networks(vec!["127.0.0.0/8".parse().expect("a range")]);
    server.restart_with(|config| config.outbound.allow_private.0 = loopback);
    update(&server, &local).success();
    assert_eq!(create(&server, &[("postback_url", "http://10.0.0.1/")]).code(), "invalid_parameter");
}

#[test]
fn a_secret_is_shown_once_and_rotated_on_demand() {
    let server = TestServer::start();
    let first = made(&server, &[("sign", "true")]);
    let secret = first["signing_secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 38, "{secret}");
    assert_eq!(first["is_signed"], true);
    let hidden = |postback: &Value| postback.get("signing_secret").is_none() && postback["is_signed"] == true;
    assert!(hidden(&server.client.get("affiliate_postbacks", &[]).success()["postbacks"][0]));
    assert!(hidden(&update(&server, &[("fire_on", "all")]).success()["postback"]));
    let rotated = update(&server, &[("rotate_secret", "true")]).success()["postback"].clone();
    assert_ne!(rotated["signing_secret"], first["signing_secret"]);
    // One without a secret gets its first in the same way.
    made(&server, &[]);
    let params = [("postback_id", "2"), ("rotate_secret", "true")];
    let signed = server.client.post("update_affiliate_postback", &params).success()["postback"].clone();
    assert!(signed["signing_secret"].is_string());
}

#[test]
fn lists_are_filtered_and_paged_and_an_affiliate_sees_its_own() {
    let server = TestServer::start();
    server.client.post("affiliate", &[("affiliate_name", "Other")]).success();
    made(&server, &[("sign", "true")]);
    made(&server, &[("affiliate_id", "2"), ("offer_id", "1"), ("fire_on", "approval")]);
    made(&server, &[("campaign_id", "1"), ("event_id", "1"), ("postback_status", "inactive")]);
    let ids = |params: &[(&str, &str)]| {
        let found = server.client.get("affiliate_postbacks", params).success();
        let rows = found["postbacks"].as_array().expect("a list");
        rows.iter().map(|it| it["postback_id"].as_u64().unwrap_or_default()).collect::<Vec<_>>()
    };
    for (params, expected) in [
        (&[][..], &[1, 2, 3][..]),
        (&[("affiliate_id", "1")], &[1, 3]),
        (&[("offer_id", "0")], &[1]),
        (&[("offer_id", "1")], &[2, 3]),
        (&[("campaign_id", "1")], &[3]),
        (&[("event_id", "1")], &[3]),
        (&[("postback_status", "active")], &[1, 2]),
        (&[("fire_on", "approval")], &[2]),
        (&[("postback_id", "2")], &[2]),
        (&[("start_at_row", "1"), ("row_limit", "1")], &[2]),
    ] {
        assert_eq!(ids(params), expected, "{params:?}");
    }
    let grant = Grant { affiliate_id: Some(AffiliateId(1)), ..Grant::of(Scope::Affiliate) };
    let own = server.client_with("own", grant);
    let found = own.get("affiliate_postbacks", &[]).success();
    assert_eq!(found["total_rows"], 2);
    assert_eq!(found["postbacks"][0]["is_signed"], true);
    assert!(!found.to_string().contains("whsec_"));
    assert_eq!(own.get("affiliate_postbacks", &[("affiliate_id", "2")]).code(), "not_permitted");
    for endpoint in ["affiliate_postback", "update_affiliate_postback"] {
        assert_eq!(own.post(endpoint, &[]).code(), "not_permitted");
    }
    let reader = server.client_with("reader", Grant::of(Scope::Read));
    assert_eq!(reader.get("affiliate_postbacks", &[]).success()["total_rows"], 3);
    assert_eq!(reader.post("affiliate_postback", &[]).code(), "not_permitted");
}

#[test]
fn postbacks_outlive_a_restart() {
    let mut server = TestServer::start();
    let made = made(&server, &[("postback_method", "post_json"), ("postback_body", r#"["{tid}"]"#)]);
    server.restart();
    assert_eq!(server.client.get("affiliate_postbacks", &[]).success()["postbacks"][0], made);
}
