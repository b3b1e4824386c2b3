//! Creatives, landing pages, rules and caps by the API: create, update, list, and who may.

use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use serde_json::{Value, json};
use testkit::TestServer;

fn made(server: &TestServer, noun: &str, body: &Value) -> Value {
    server.client.post_json(noun, &body.to_string()).success()[noun].clone()
}

fn updated(server: &TestServer, noun: &str, body: &Value) -> Value {
    server.client.post_json(&format!("update_{noun}"), &body.to_string()).success()[noun].clone()
}

/// The numbers of the entities a list has for these filters, and its total.
fn listed(server: &TestServer, noun: &str, params: &[(&str, &str)]) -> (u64, Vec<u64>) {
    let page = server.client.get(&format!("{noun}s"), params).success();
    let rows = page[format!("{noun}s")].as_array().expect("a list").clone();
    let id = format!("{noun}_id");
    let ids = rows.iter().map(|row| row[&id].as_u64().expect("a number")).collect();
    (page["total_rows"].as_u64().expect("a number"), ids)
}

fn refused(server: &TestServer, endpoint: &str, body: &Value, status: u16, code: &str, parameter: &str) {
    let answer = server.client.post_json(endpoint, &body.to_string());
    assert_eq!((answer.status, answer.code()), (status, code.to_owned()), "{body}: {}", answer.text);
    assert_eq!(answer.json()["error"]["parameter"], parameter, "{body}");
}

/// Advertiser 1 gets a second offer.
fn add_offer(server: &TestServer) {
    let offer = [("offer_name", "Other"), ("advertiser_id", "1"), ("offer_url", "https://x.example/")];
    server.client.post("offer", &offer).success();
}

#[test]
fn creatives_are_made_changed_and_listed() {
    let server = TestServer::start();
    let creative = made(&server, "creative", &json!({"offer_id": 1, "creative_name": "Banner"}));
    assert_eq!(
        creative.to_string(),
        json!({
            "creative_id": 2, "offer_id": 1, "creative_name": "Banner", "creative_status": "active",
            "creative_url": null, "date_created": "2026-06-19 14:30:00"
        })
        .to_string()
    );
    let url = "https://shop.example/banner?id={click_id}";
    let change = json!({"creative_id": 2, "creative_status": "paused", "creative_url": url});
    let changed = updated(&server, "creative", &change);
    assert_eq!((&changed["creative_url"], &changed["creative_name"]), (&json!(url), &json!("Banner")));
    assert_eq!(server.client.get("creatives", &[]).success()["creatives"][1], changed);
    assert_eq!(
        updated(&server, "creative", &json!({"creative_id": 2, "creative_url": null}))["creative_url"],
        json!(null)
    );
    add_offer(&server);
    assert_eq!(listed(&server, "creative", &[]), (3, vec![1, 2, 3]));
    assert_eq!(listed(&server, "creative", &[("offer_id", "1")]), (2, vec![1, 2]));
    assert_eq!(listed(&server, "creative", &[("creative_status", "paused")]), (1, vec![2]));
    assert_eq!(listed(&server, "creative", &[("creative_id", "3")]), (1, vec![3]));
    assert_eq!(listed(&server, "creative", &[("start_at_row", "1"), ("row_limit", "1")]), (3, vec![2]));
}

#[test]
fn a_creative_that_cannot_be_is_refused_by_name() {
    let server = TestServer::start();
    let check = |endpoint: &str, body: Value, status: u16, code: &str, parameter: &str| {
        refused(&server, endpoint, &body, status, code, parameter);
    };
    let (missing, invalid) = ("missing_parameter", "invalid_parameter");
    check("creative", json!({"creative_name": "x"}), 400, missing, "offer_id");
    check("creative", json!({"offer_id": 1}), 400, missing, "creative_name");
    check("creative", json!({"offer_id": 99, "creative_name": "x"}), 404, "offer_not_found", "offer_id");
    let with = |name: &str, value: &str| json!({"offer_id": 1, "creative_name": "x", name: value});
    check("creative", with("creative_status", "on"), 400, invalid, "creative_status");
    check("creative", with("creative_url", "https://x.example/{affilate_id}"), 400, invalid, "creative_url");
    check("creative", with("colour", "red"), 400, invalid, "colour");
    check("update_creative", json!({}), 400, missing, "creative_id");
    check("update_creative", json!({"creative_id": 99}), 404, "creative_not_found", "creative_id");
    check("update_creative", json!({"creative_id": 1, "offer_id": 1}), 400, invalid, "offer_id");
    for status in ["paused", "deleted"] {
        let change = json!({"creative_id": 1, "creative_status": status});
        check("update_creative", change, 400, invalid, "creative_status");
    }
}

#[test]
fn landing_pages_are_made_changed_and_listed() {
    let server = TestServer::start();
    let url = "https://shop.example/long?id={click_id}";
    let create = json!({"offer_id": 1, "landing_page_name": "Long", "landing_page_url": url});
    let page = made(&server, "landing_page", &create);
    assert_eq!(
        page.to_string(),
        json!({
            "landing_page_id": 1, "offer_id": 1, "landing_page_name": "Long", "landing_page_url": url,
            "weight": 100, "landing_page_status": "active", "date_created": "2026-06-19 14:30:00"
        })
        .to_string()
    );
    let change = json!({"landing_page_id": 1, "weight": 0, "landing_page_status": "deleted"});
    let changed = updated(&server, "landing_page", &change);
    assert_eq!((&changed["weight"], &changed["landing_page_url"]), (&json!(0), &json!(url)));
    assert_eq!(server.client.get("landing_pages", &[]).success()["landing_pages"][0], changed);
    add_offer(&server);
    let create =
        json!({"offer_id": 2, "landing_page_name": "Other", "landing_page_url": url, "weight": 10000});
    assert_eq!(made(&server, "landing_page", &create)["weight"], 10000);
    assert_eq!(listed(&server, "landing_page", &[]), (2, vec![1, 2]));
    assert_eq!(listed(&server, "landing_page", &[("offer_id", "2")]), (1, vec![2]));
    assert_eq!(listed(&server, "landing_page", &[("landing_page_id", "1")]), (1, vec![1]));
    assert_eq!(listed(&server, "landing_page", &[("landing_page_status", "active")]), (1, vec![2]));
}

#[test]
fn a_landing_page_that_cannot_be_is_refused_by_name() {
    let server = TestServer::start();
    let check = |endpoint: &str, body: Value, status: u16, code: &str, parameter: &str| {
        refused(&server, endpoint, &body, status, code, parameter);
    };
    let (missing, invalid) = ("missing_parameter", "invalid_parameter");
    let page = |name: &str, value: Value| {
        let mut page =
            json!({"offer_id": 1, "landing_page_name": "x", "landing_page_url": "https://x.example/"});
        page[name] = value;
        page
    };
    check("landing_page", page("offer_id", json!(null)), 400, missing, "offer_id");
    check("landing_page", page("offer_id", json!(99)), 404, "offer_not_found", "offer_id");
    check("landing_page", page("landing_page_name", json!(null)), 400, invalid, "landing_page_name");
    check("landing_page", json!({"offer_id": 1, "landing_page_name": "x"}), 400, missing, "landing_page_url");
    check("landing_page", page("landing_page_url", json!("")), 400, invalid, "landing_page_url");
    check("landing_page", page("landing_page_url", json!("ftp://x")), 400, invalid, "landing_page_url");
    for weight in [json!(10001), json!(-1), json!(1.5), json!("much")] {
        check("landing_page", page("weight", weight), 400, invalid, "weight");
    }
    check("landing_page", page("landing_page_status", json!("on")), 400, invalid, "landing_page_status");
    check("landing_page", page("colour", json!("red")), 400, invalid, "colour");
    check("update_landing_page", json!({}), 400, missing, "landing_page_id");
    let unknown = json!({"landing_page_id": 99});
    check("update_landing_page", unknown, 404, "landing_page_not_found", "landing_page_id");
    for _ in 0..100 {
        made(&server, "landing_page", &page("weight", json!(1)));
    }
    let answer = server.client.post_json("landing_page", &page("weight", json!(1)).to_string());
    assert_eq!((answer.status, answer.code()), (409, "conflict".to_owned()));
    assert_eq!(answer.json()["message"], "the offer has as many landing pages as it may have");
}

#[test]
fn rules_are_made_changed_and_listed() {
    let server = TestServer::start();
    let create = json!({
        "offer_id": 1, "campaign_id": 1, "rule_type": "allow", "country": "us, CA", "device": ["mobile", "tablet"],
        "bot": "no", "percentage": 12.5, "redirect_url": "https://elsewhere.example/"
    });
    let rule = made(&server, "rule", &create);
    assert_eq!(
        rule.to_string(),
        json!({
            "rule_id": 1, "rule_version": 1, "offer_id": 1, "campaign_id": 1, "position": 1,
            "rule_type": "allow", "rule_status": "active", "country": "US,CA", "device": "mobile,tablet",
            "bot": "false", "percentage": "12.50", "redirect_url": "https://elsewhere.example/",
            "redirect_offer_id": null
        })
        .to_string()
    );
    let change = json!({"rule_id": 1, "country": "DE", "device": "", "bot": null, "rule_type": "block", "redirect_url": null});
    let changed = updated(&server, "rule", &change);
    assert_eq!(
        changed.to_string(),
        json!({
            "rule_id": 1, "rule_version": 2, "offer_id": 1, "campaign_id": 1, "position": 1,
            "rule_type": "block", "rule_status": "active", "percentage": "12.50", "country": "DE",
            "redirect_url": null, "redirect_offer_id": null
        })
        .to_string()
    );
    assert_eq!(server.client.get("rules", &[]).success()["rules"][0], changed);
    // By a form, and with the offer left to its campaign.
    let form = [("campaign_id", "1"), ("rule_type", "block"), ("sub_id_1", "bad*,worse")];
    let rule = server.client.post("rule", &form).success()["rule"].clone();
    assert_eq!(
        (&rule["offer_id"], &rule["position"], &rule["sub_id_1"]),
        (&json!(1), &json!(2), &json!("bad*,worse"))
    );
    add_offer(&server);
    let create =
        json!({"offer_id": 2, "rule_type": "allow", "os": "iOS", "rule_status": "paused", "position": 9});
    assert_eq!(made(&server, "rule", &create)["position"], 9);
    assert_eq!(listed(&server, "rule", &[]), (3, vec![1, 2, 3]));
    assert_eq!(listed(&server, "rule", &[("offer_id", "1"), ("row_limit", "1")]), (2, vec![1]));
    assert_eq!(listed(&server, "rule", &[("campaign_id", "1")]), (2, vec![1, 2]));
    assert_eq!(listed(&server, "rule", &[("rule_type", "allow")]), (1, vec![3]));
    assert_eq!(listed(&server, "rule", &[("rule_status", "paused")]), (1, vec![3]));
    assert_eq!(listed(&server, "rule", &[("rule_id", "2")]), (1, vec![2]));
}

#[test]
fn every_target_can_be_asked_for() {
    let server = TestServer::start();
    for (target, values) in [
        ("country", "US,DE"),
        ("region", "US-CA"),
        ("asn", "7922,AS15169"),
        ("device", "desktop,bot"),
        ("os", "Windows"),
        ("browser", "Mobile Safari"),
        ("bot", "true"),
        ("language", "en,pt"),
        ("referrer", "*.example.org,example.net"),
        ("sub_id_1", "one"),
        ("sub_id_5", "five*"),
        ("percentage", "50"),
    ] {
        let rule = made(&server, "rule", &json!({"offer_id": 1, "rule_type": "allow", target: values}));
        assert_eq!(rule[target], values.replace("AS", ""), "{target}");
    }
}

#[test]
fn a_rule_that_cannot_be_is_refused_by_name() {
    let server = TestServer::start();
    add_offer(&server);
    let check = |endpoint: &str, body: Value, status: u16, code: &str, parameter: &str| {
        refused(&server, endpoint, &body, status, code, parameter);
    };
    let (missing, invalid) = ("missing_parameter", "invalid_parameter");
    let rule = |name: &str, value: Value| {
        let mut rule = json!({"offer_id": 1, "rule_type": "allow", "country": "US"});
        rule[name] = value;
        rule
    };
    check("rule", json!({"rule_type": "allow", "country": "US"}), 400, missing, "offer_id");
    check("rule", json!({"offer_id": 1, "country": "US"}), 400, missing, "rule_type");
    check("rule", rule("rule_type", json!("maybe")), 400, invalid, "rule_type");
    check("rule", rule("rule_status", json!("on")), 400, invalid, "rule_status");
    check("rule", rule("position", json!(-1)), 400, invalid, "position");
    check("rule", rule("position", json!(1_000_001)), 400, invalid, "position");
    check("rule", rule("offer_id", json!(99)), 404, "offer_not_found", "offer_id");
    check("rule", rule("campaign_id", json!(99)), 404, "campaign_not_found", "campaign_id");
    let other = json!({"offer_id": 2, "campaign_id": 1, "rule_type": "allow", "country": "US"});
    check("rule", other, 400, invalid, "campaign_id");
    check("rule", rule("redirect_offer_id", json!(99)), 404, "offer_not_found", "redirect_offer_id");
    check("rule", rule("redirect_offer_id", json!(1)), 400, invalid, "redirect_offer_id");
    check("rule", rule("redirect_url", json!("x")), 400, invalid, "redirect_url");
    check("rule", rule("country", json!("USA")), 400, invalid, "country");
    check("rule", rule("device", json!(["mobile", "phone"])), 400, invalid, "device");
    check("rule", rule("os", json!([{}])), 400, invalid, "os");
    check("rule", rule("bot", json!("maybe")), 400, invalid, "bot");
    check("rule", rule("percentage", json!(100.01)), 400, invalid, "percentage");
    check("rule", rule("sub_id_2", json!("a\nb")), 400, invalid, "sub_id_2");
    check("rule", rule("sub_id_6", json!("x")), 400, invalid, "sub_id_6");
    check("update_rule", json!({}), 400, missing, "rule_id");
    check("update_rule", json!({"rule_id": 99}), 404, "rule_not_found", "rule_id");
    made(&server, "rule", &rule("position", json!(1)));
    check("update_rule", json!({"rule_id": 1, "offer_id": 2}), 400, invalid, "offer_id");
    for (endpoint, body) in [
        ("rule", json!({"offer_id": 1, "rule_type": "allow"})),
        ("update_rule", json!({"rule_id": 1, "country": ""})),
    ] {
        let answer = server.client.post_json(endpoint, &body.to_string());
        assert_eq!((answer.status, answer.code()), (400, missing.to_owned()), "{}", answer.text);
        assert!(answer.text.contains("at least one of country, region"), "{}", answer.text);
    }
    assert_eq!(server.client.get("rules", &[]).success()["rules"][0]["rule_version"], 1);
    for _ in 1..50 {
        made(&server, "rule", &rule("position", json!(1)));
    }
    let answer = server.client.post_json("rule", &rule("position", json!(1)).to_string());
    assert_eq!((answer.status, answer.code()), (409, "conflict".to_owned()));
}

#[test]
fn caps_are_made_changed_and_listed() {
    let server = TestServer::start();
    let create = json!({"campaign_id": 1, "cap_type": "click", "interval": "daily", "limit": 500});
    let cap = made(&server, "cap", &create);
    assert_eq!(
        cap.to_string(),
        json!({
            "cap_id": 1, "offer_id": 1, "campaign_id": 1, "event_id": null, "cap_type": "click",
            "interval": "daily", "limit": 500, "at_cap": "redirect", "cap_status": "active", "used": 0,
            "date_created": "2026-06-19 14:30:00"
        })
        .to_string()
    );
    let change = json!({"cap_id": 1, "interval": "weekly", "limit": "0", "at_cap": "stop"});
    let changed = updated(&server, "cap", &change);
    assert_eq!(
        (&changed["interval"], &changed["limit"], &changed["at_cap"]),
        (&json!("weekly"), &json!(0), &json!("stop"))
    );
    assert_eq!(server.client.get("caps", &[]).success()["caps"][0], changed);
    let create =
        json!({"offer_id": 1, "cap_type": "click", "interval": "overall", "limit": 1, "at_cap": "stop"});
    assert_eq!(made(&server, "cap", &create)["campaign_id"], json!(null));
    updated(&server, "cap", &json!({"cap_id": 2, "cap_status": "deleted"}));
    for (filter, ids) in [
        (("offer_id", "1"), vec![1, 2]),
        (("offer_id", "2"), vec![]),
        (("campaign_id", "1"), vec![1]),
        (("cap_id", "2"), vec![2]),
        (("cap_type", "click"), vec![1, 2]),
        (("cap_type", "payout"), vec![]),
        (("interval", "overall"), vec![2]),
        (("cap_status", "active"), vec![1]),
    ] {
        assert_eq!(listed(&server, "cap", &[filter]), (ids.len() as u64, ids), "{filter:?}");
    }
}

#[test]
fn a_cap_that_cannot_be_is_refused_by_name() {
    let server = TestServer::start();
    add_offer(&server);
    let check = |endpoint: &str, body: Value, status: u16, code: &str, parameter: &str| {
        refused(&server, endpoint, &body, status, code, parameter);
    };
    let (missing, invalid) = ("missing_parameter", "invalid_parameter");
    let cap = |name: &str, value: Value| {
        let mut cap = json!({"offer_id": 1, "cap_type": "click", "interval": "daily", "limit": 500});
        cap[name] = value;
        cap
    };
    for name in ["offer_id", "cap_type", "interval", "limit"] {
        check("cap", cap(name, json!(null)), 400, missing, name);
    }
    check("cap", cap("cap_type", json!("sales")), 400, invalid, "cap_type");
    check("cap", cap("interval", json!("hourly")), 400, invalid, "interval");
    for limit in [json!(-1), json!(1.5), json!("many")] {
        check("cap", cap("limit", limit), 400, invalid, "limit");
    }
    check("cap", cap("at_cap", json!("neither")), 400, invalid, "at_cap");
    check("cap", cap("at_cap", json!("explode")), 400, invalid, "at_cap");
    check("cap", cap("event_id", json!(1)), 400, invalid, "event_id");
    check("cap", cap("offer_id", json!(99)), 404, "offer_not_found", "offer_id");
    check("cap", cap("campaign_id", json!(99)), 404, "campaign_not_found", "campaign_id");
    let other =
        json!({"offer_id": 2, "campaign_id": 1, "cap_type": "click", "interval": "daily", "limit": 1});
    check("cap", other, 400, invalid, "campaign_id");
    check("cap", cap("colour", json!("red")), 400, invalid, "colour");
    check("update_cap", json!({}), 400, missing, "cap_id");
    check("update_cap", json!({"cap_id": 99}), 404, "cap_not_found", "cap_id");
    made(&server, "cap", &cap("limit", json!(1)));
    let update = |name: &str, value: Value| json!({"cap_id": 1, name: value});
    check("update_cap", update("at_cap", json!("refuse")), 400, invalid, "at_cap");
    check("update_cap", update("limit", json!(0.5)), 400, invalid, "limit");
    check("update_cap", update("cap_status", json!("paused")), 400, invalid, "cap_status");
    check("update_cap", update("cap_type", json!("click")), 400, invalid, "cap_type");
}

#[test]
fn an_affiliate_sees_pages_of_offers_it_runs_and_no_rules_or_caps() {
    let server = TestServer::start();
    add_offer(&server);
    for offer_id in [1, 2] {
        let page =
            json!({"offer_id": offer_id, "landing_page_name": "x", "landing_page_url": "https://x.example/"});
        made(&server, "landing_page", &page);
    }
    made(&server, "rule", &json!({"offer_id": 1, "rule_type": "allow", "country": "US"}));
    let own = |id| Grant { affiliate_id: Some(AffiliateId(id)), ..Grant::of(Scope::Affiliate) };
    let partner = server.client_with("partner", own(1));
    let stranger = server.client_with("stranger", own(2));
    for (list, noun) in [("creatives", "creative"), ("landing_pages", "landing_page")] {
        let found = partner.get(list, &[]).success();
        assert_eq!((&found["total_rows"], &found[list][0]["offer_id"]), (&json!(1), &json!(1)), "{list}");
        assert_eq!(stranger.get(list, &[]).success()["total_rows"], 0, "{list}");
        assert_eq!(partner.post(noun, &[]).code(), "not_permitted", "{noun}");
    }
    for list in ["rules", "caps"] {
        assert_eq!(partner.get(list, &[]).code(), "not_permitted", "{list}");
    }
}

#[test]
fn a_reader_lists_and_changes_nothing() {
    let server = TestServer::start();
    let read = server.client_with("read", Grant::of(Scope::Read));
    let record = server.client_with("record", Grant::of(Scope::Conversion));
    for noun in ["creative", "landing_page", "rule", "cap"] {
        assert_eq!(read.get(&format!("{noun}s"), &[]).status, 200, "{noun}");
        assert_eq!(record.get(&format!("{noun}s"), &[]).code(), "not_permitted", "{noun}");
        for endpoint in [noun.to_owned(), format!("update_{noun}")] {
            assert_eq!(read.post(&endpoint, &[]).code(), "not_permitted", "{endpoint}");
            assert_eq!(server.client.get(&endpoint, &[]).status, 405, "{endpoint}");
        }
    }
}
