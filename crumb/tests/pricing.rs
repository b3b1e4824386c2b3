//! What a conversion pays and earns, from what is configured to what its row says decided it.

use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use serde_json::{Value, json};
use testkit::{Answer, TestServer};

fn post(server: &TestServer, endpoint: &str, body: &Value) -> Value {
    server.client.post_json(endpoint, &body.to_string()).success()
}

/// Calls for a fresh click of the sample's link, with these parameters beside.
fn call(server: &TestServer, link: &str, params: &[(&str, &str)]) -> Answer {
    let click = server.client.click(&format!("{}{link}", server.sample.link()));
    let all = [&[("click_id", &*click), ("offer_id", &*server.sample.offer_id)], params].concat();
    server.client.get("conversion", &all)
}

fn recorded(server: &TestServer, link: &str, params: &[(&str, &str)]) -> Value {
    call(server, link, params).success()["conversion"].clone()
}

/// An amount, its scope, and the rule with its version.
type Decided<'e> = (&'e str, &'e str, Option<(u32, u32)>);

fn check(
    server: &TestServer,
    link: &str,
    params: &[(&str, &str)],
    payout: Decided<'_>,
    revenue: Decided<'_>,
) {
    let found = recorded(server, link, params);
    for (side, (amount, scope, rule)) in [("payout", payout), ("revenue", revenue)] {
        let decided = |what: &str| found[format!("{side}_{what}")].clone();
        assert_eq!(found[side].to_string(), amount, "{side} of {link} {params:?}: {found}");
        assert_eq!(decided("scope"), scope, "{side} of {link} {params:?}: {found}");
        let expected = rule.map_or((json!(null), json!(null)), |(id, version)| (json!(id), json!(version)));
        assert_eq!((decided("rule_id"), decided("rule_version")), expected, "{side} of {link} {params:?}");
    }
}

#[test]
fn the_nearest_scope_prices_and_the_conversion_names_it() {
    let server = TestServer::start();
    let (offers, owed) = (("18.00", "offer", None), ("22.00", "offer", None));
    check(&server, "", &[], offers, owed);

    post(&server, "price_rule", &json!({"offer_id": 1, "sub_id_2": "vip*", "payout": 20}));
    check(&server, "&s2=vip-7", &[], ("20.00", "offer", Some((1, 1))), owed);
    check(&server, "&s2=other", &[], offers, owed);

    post(&server, "update_affiliate", &json!({"affiliate_id": 1, "tier": "gold"}));
    post(&server, "tier_price", &json!({"offer_id": 1, "tier": "gold", "payout": 19}));
    check(&server, "&s2=vip-7", &[], ("19.00", "tier", None), owed);

    post(&server, "update_campaign", &json!({"campaign_id": 1, "payout": 16}));
    check(&server, "&s2=vip-7", &[], ("16.00", "campaign", None), owed);

    let share = json!({"campaign_id": 1, "amount_min": 100, "payout": 10, "payout_type": "revshare"});
    post(&server, "price_rule", &share);
    let sale = [("amount", "250.55")];
    check(&server, "", &sale, ("25.055", "campaign", Some((2, 1))), owed);
    check(&server, "", &[("amount", "99.99")], ("16.00", "campaign", None), owed);
    post(&server, "update_price_rule", &json!({"price_rule_id": 2, "payout": 12}));
    check(&server, "", &sale, ("30.066", "campaign", Some((2, 2))), owed);

    let stated = [("amount", "250.55"), ("payout", "1"), ("revenue", "2.5")];
    check(&server, "", &stated, ("1.00", "call", None), ("2.50", "call", None));
}

#[test]
fn an_event_has_its_own_price_unless_offer_or_campaign_says_another() {
    let server = TestServer::start();
    let create = json!({"advertiser_id": 1, "event_name": "Lead", "payout": 3, "revenue": 4});
    assert_eq!(post(&server, "event", &create)["event"]["event_id"], 2);
    let refused = call(&server, "", &[("e", "lead")]);
    assert_eq!((refused.status, refused.code()), (400, "invalid_parameter".to_owned()), "not switched on");

    post(&server, "offer_event", &json!({"offer_id": 1, "event_id": 2, "enabled": true}));
    check(&server, "", &[("e", "LEAD")], ("3.00", "event", None), ("4.00", "event", None));
    post(&server, "offer_event", &json!({"offer_id": 1, "event_id": 2, "enabled": true, "payout": 5}));
    check(&server, "", &[("event_id", "2")], ("5.00", "offer", None), ("4.00", "event", None));
    let of_campaign = json!({"offer_id": 1, "event_id": 2, "campaign_id": 1, "enabled": true, "revenue": 6});
    post(&server, "offer_event", &of_campaign);
    check(&server, "", &[("e", "2")], ("5.00", "offer", None), ("6.00", "campaign", None));
    assert_eq!(recorded(&server, "", &[("e", "lead")])["event_id"], 2);

    post(&server, "update_event", &json!({"event_id": 2, "one_per_click": true}));
    let click = server.client.click(&server.sample.link());
    let again = |unique_id: &str, event: &str| {
        let params = [("click_id", &*click), ("offer_id", "1"), ("unique_id", unique_id), ("e", event)];
        server.client.get("conversion", &params).status
    };
    assert_eq!(
        [again("A", "lead"), again("B", "lead"), again("B", "1"), again("C", "1")],
        [200, 409, 200, 200]
    );
    post(&server, "update_event", &json!({"event_id": 2, "event_status": "inactive"}));
    assert_eq!(call(&server, "", &[("e", "lead")]).code(), "invalid_parameter");
}

#[test]
fn a_used_up_cap_does_what_it_says_and_never_takes_more() {
    let server = TestServer::start();
    let cap = |cap_type: &str, limit: u32, at_cap: &str| {
        let create = json!({
            "offer_id": 1, "cap_type": cap_type, "interval": "daily", "limit": limit, "at_cap": at_cap
        });
        post(&server, "cap", &create)["cap"].clone()
    };
    let used = |at: usize| server.client.get("caps", &[]).success()["caps"][at]["used"].to_string();
    let paid = |conversion: &Value| ["payout", "revenue"].map(|side| conversion[side].to_string());

    assert_eq!(cap("payout", 40, "neither")["used"].to_string(), "0.00");
    for taken in ["18.00", "36.00"] {
        assert_eq!(recorded(&server, "", &[])["cap_id"], json!(null));
        assert_eq!(used(0), taken);
    }
    let over = recorded(&server, "", &[]);
    assert_eq!((&over["conversion_status"], &over["cap_id"]), (&json!("ignored"), &json!(1)));
    assert_eq!((paid(&over), used(0)), (["0.00", "0.00"].map(String::from), "36.00".to_owned()));

    post(&server, "update_cap", &json!({"cap_id": 1, "at_cap": "advertiser_only"}));
    let over = recorded(&server, "", &[]);
    assert_eq!((&over["conversion_status"], &over["payout_scope"]), (&json!("approved"), &json!("cap")));
    assert_eq!((paid(&over), &over["cap_id"]), (["0.00", "22.00"].map(String::from), &json!(1)));

    post(&server, "update_cap", &json!({"cap_id": 1, "cap_status": "deleted"}));
    assert_eq!(cap("conversion", 5, "refuse")["cap_id"], 2);
    let mut taken = 0;
    let refused = loop {
        let answer = call(&server, "", &[]);
        if answer.status != 200 {
            break answer;
        }
        taken += 1;
    };
    assert!(taken > 0, "conversions that pay nobody are not taken");
    assert_eq!((refused.status, refused.code()), (422, "cap_reached".to_owned()));
    assert_eq!((&refused.json()["error"]["cap_id"], used(1)), (&json!(2), "5".to_owned()));
    server.clock.advance_seconds(86_400);
    assert_eq!((call(&server, "", &[]).status, used(1)), (200, "1".to_owned()));
}

#[test]
fn a_cap_on_an_event_leaves_the_others_alone() {
    let server = TestServer::start();
    post(&server, "event", &json!({"advertiser_id": 1, "event_name": "Lead", "payout": 3}));
    post(&server, "offer_event", &json!({"offer_id": 1, "event_id": 2, "enabled": true}));
    let create = json!({
        "campaign_id": 1, "event_id": 2, "cap_type": "conversion", "interval": "overall", "limit": 0,
        "at_cap": "refuse"
    });
    assert_eq!(post(&server, "cap", &create)["cap"]["event_id"], 2);
    assert_eq!(call(&server, "", &[("e", "lead")]).code(), "cap_reached");
    assert_eq!(call(&server, "", &[]).status, 200);
}

#[test]
fn a_conversion_keeps_the_exchange_rate_of_its_day() {
    let server = TestServer::start();
    let url = "https://shop.example/?click={click_id}";
    let create = json!({"offer_name": "Euro", "advertiser_id": 1, "offer_url": url, "currency": "EUR"});
    let offer = post(&server, "offer", &create)["offer"].clone();
    post(&server, "campaign", &json!({"offer_id": 2, "affiliate_id": 1}));
    let rate = || {
        let click = server.client.click(&format!("/?a=1&c={}", offer["creative_id"]));
        let params = [("click_id", &*click), ("offer_id", "2")];
        server.client.get("conversion", &params).success()["conversion"]["exchange_rate"].to_string()
    };
    assert_eq!(rate(), "null");
    post(&server, "exchange_rate", &json!({"currency": "eur", "rate": "1.0842000001"}));
    assert_eq!(rate(), "1.0842000001");
    let tomorrow = json!({"currency": "EUR", "rate": 1.1, "effective_date": "2026-06-20"});
    post(&server, "exchange_rate", &tomorrow);
    assert_eq!(rate(), "1.0842000001");
    server.clock.advance_seconds(86_400);
    assert_eq!(rate(), "1.1");
    assert_eq!(recorded(&server, "", &[])["exchange_rate"].to_string(), "1");
}

#[test]
fn a_conversion_comes_neither_too_soon_nor_too_late() {
    let server = TestServer::start();
    let times = json!({"offer_id": 1, "min_conversion_seconds": 60, "max_conversion_seconds": 120});
    post(&server, "update_offer", &times);
    let click = server.client.click(&server.sample.link());
    let convert = |unique_id: &str| {
        let params = [("click_id", &*click), ("offer_id", "1"), ("unique_id", unique_id)];
        let answer = server.client.get("conversion", &params);
        (answer.status, answer.code())
    };
    assert_eq!(convert("A"), (422, "conversion_too_soon".to_owned()));
    server.clock.advance_seconds(60);
    assert_eq!(convert("B").0, 200);
    server.clock.advance_seconds(61);
    assert_eq!(convert("C"), (422, "conversion_too_late".to_owned()));
    assert_eq!(convert("B").0, 200, "a repeat gets its original");
}

#[test]
fn whoever_is_on_a_list_is_refused_or_ignored() {
    let server = TestServer::start();
    let list = |kind: &str, value: &str, action: &str| {
        post(&server, "suppression", &json!({"kind": kind, "values": value, "action": action}));
    };
    list("email", "ann@example.org", "reject");
    list("ip_address", "2001:db8::1", "ignore");
    let refused = call(&server, "", &[("email", " Ann@Example.ORG")]);
    assert_eq!((refused.status, refused.code()), (422, "suppressed".to_owned()));
    assert!(!refused.text.to_lowercase().contains("ann@"), "{}", refused.text);
    let click = server.client.click(&server.sample.link());
    let by_pixel = server.client.path(&format!("/p.ashx?f=pb&o=1&r={click}&email=ann%40example.org"));
    assert!(by_pixel.text.starts_with("suppressed"), "{}", by_pixel.text);
    let ignored = recorded(&server, "", &[("ip_address", "2001:DB8:0::1")]);
    assert_eq!(
        (&ignored["conversion_status"], ignored["payout"].to_string()),
        (&json!("ignored"), "0.00".into())
    );
    assert_eq!(recorded(&server, "", &[("email", "bob@example.org")])["conversion_status"], "approved");
    assert_eq!(recorded(&server, "", &[("email", "nonsense")])["conversion_status"], "approved");
}

#[test]
fn a_list_says_what_decided_and_hides_the_revenues_part_from_affiliates() {
    let server = TestServer::start();
    post(&server, "price_rule", &json!({"offer_id": 1, "sub_id_2": "vip", "payout": 20, "revenue": 30}));
    recorded(&server, "&s2=vip", &[]);
    let days = [("start_date", "2026-06-19"), ("end_date", "2026-06-19")];
    let row = |client: &testkit::Client| {
        client.get("conversions", &days).success()["conversions"][0]["conversion"].clone()
    };
    let found = row(&server.client);
    let last: Vec<_> = found.as_object().expect("a row").keys().rev().take(9).rev().cloned().collect();
    let expected = [
        "payout_scope",
        "payout_rule_id",
        "payout_rule_version",
        "revenue_scope",
        "revenue_rule_id",
        "revenue_rule_version",
        "exchange_rate",
        "cap_id",
        "door",
    ];
    assert_eq!(last, expected);
    assert_eq!((&found["payout_rule_id"], &found["revenue_rule_version"]), (&json!(1), &json!(1)));
    assert_eq!((&found["door"], &found["exchange_rate"]), (&json!("api"), &json!(1)));
    let affiliate_id = Some(AffiliateId(1));
    let partner = server.client_with("partner", Grant { affiliate_id, ..Grant::of(Scope::Affiliate) });
    let seen = row(&partner);
    assert_eq!(seen["payout_rule_id"], 1);
    assert!(seen.as_object().expect("a row").keys().all(|name| !name.contains("revenue")), "{seen}");
}
