//! Events, price rules, prices of tiers, exchange rates and suppression lists by the API: create, update,
//! list, and who may.

use std::path::Path;

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

/// The rows a list has for these filters.
fn rows(server: &TestServer, noun: &str, params: &[(&str, &str)]) -> Vec<Value> {
    let page = server.client.get(&format!("{noun}s"), params).success();
    let rows = page[format!("{noun}s")].as_array().expect("a list").clone();
    assert_eq!(page["total_rows"], rows.len(), "{noun} {params:?}");
    rows
}

/// The numbers a list has for these filters.
fn ids(server: &TestServer, noun: &str, params: &[(&str, &str)]) -> Vec<u64> {
    let id = format!("{noun}_id");
    rows(server, noun, params).iter().map(|row| row[&id].as_u64().expect("a number")).collect()
}

fn refused(server: &TestServer, endpoint: &str, body: &Value, status: u16, code: &str, parameter: &str) {
    let answer = server.client.post_json(endpoint, &body.to_string());
    assert_eq!((answer.status, answer.code()), (status, code.to_owned()), "{body}: {}", answer.text);
    assert_eq!(answer.json()["error"]["parameter"], parameter, "{body}");
}

/// Fails unless this is a conflict with that message.
fn conflicts(server: &TestServer, endpoint: &str, body: &Value, message: &str) {
    let answer = server.client.post_json(endpoint, &body.to_string());
    assert_eq!((answer.status, answer.code()), (409, "conflict".to_owned()), "{body}: {}", answer.text);
    assert_eq!(answer.json()["message"], message);
}

#[test]
fn events_are_made_changed_and_listed() {
    let server = TestServer::start();
    let event = made(&server, "event", &json!({"advertiser_id": 1, "event_name": "Lead", "payout": 1.25}));
    assert_eq!(
        event.to_string(),
        json!({
            "event_id": 2, "advertiser_id": 1, "event_name": "Lead", "event_type": "macro",
            "event_status": "active", "payout": "P", "payout_type": "cpa", "revenue": "R",
            "revenue_type": "cpa", "one_per_click": false, "allow_duplicates": false,
            "date_created": "2026-06-19 14:30:00"
        })
        .to_string()
        .replace("\"P\"", "1.25")
        .replace("\"R\"", "0.00")
    );
    let change = json!({
        "event_id": 2, "event_name": "Sale", "event_type": "micro", "event_status": "inactive", "revenue": 70,
        "revenue_type": "revshare", "one_per_click": true, "allow_duplicates": true
    });
    let changed = updated(&server, "event", &change);
    assert_eq!((&changed["event_name"], &changed["event_type"]), (&json!("Sale"), &json!("micro")));
    assert_eq!(
        (changed["payout"].to_string(), changed["revenue"].to_string()),
        ("1.25".into(), "70.00".into())
    );
    assert_eq!(rows(&server, "event", &[]), [changed]);
    server.client.post("advertiser", &[("advertiser_name", "Other")]).success();
    made(&server, "event", &json!({"advertiser_id": 2, "event_name": "SALE"}));
    for (filter, expected) in [
        (("event_id", "3"), vec![3]),
        (("advertiser_id", "1"), vec![2]),
        (("event_status", "inactive"), vec![2]),
        (("event_type", "macro"), vec![3]),
        (("event_name", "sal"), vec![2, 3]),
        (("event_name", "lead"), vec![]),
    ] {
        assert_eq!(ids(&server, "event", &[filter]), expected, "{filter:?}");
    }
}

#[test]
fn an_event_that_cannot_be_is_refused_by_name() {
    let server = TestServer::start();
    let check = |endpoint: &str, body: Value, status: u16, code: &str, parameter: &str| {
        refused(&server, endpoint, &body, status, code, parameter);
    };
    let (missing, invalid) = ("missing_parameter", "invalid_parameter");
    let with = |name: &str, value: Value| {
        let mut event = json!({"advertiser_id": 1, "event_name": "Lead"});
        event[name] = value;
        event
    };
    check("event", json!({"event_name": "Lead"}), 400, missing, "advertiser_id");
    check("event", json!({"advertiser_id": 1}), 400, missing, "event_name");
    check("event", with("advertiser_id", json!(99)), 404, "advertiser_not_found", "advertiser_id");
    check("event", with("event_name", json!("x".repeat(51))), 400, invalid, "event_name");
    for (name, value) in [
        ("event_type", json!("mega")),
        ("event_status", json!("on")),
        ("payout", json!(-1)),
        ("payout_type", json!("cpc")),
        ("revenue", json!("much")),
        ("revenue_type", json!("cpc")),
        ("one_per_click", json!("maybe")),
        ("allow_duplicates", json!("maybe")),
        ("colour", json!("red")),
    ] {
        check("event", with(name, value), 400, invalid, name);
    }
    check("update_event", json!({}), 400, missing, "event_id");
    check("update_event", json!({"event_id": 99}), 404, "event_not_found", "event_id");
    check("update_event", json!({"event_id": 2, "advertiser_id": 1}), 400, invalid, "advertiser_id");
    made(&server, "event", &with("event_name", json!("Ö".repeat(50))));
    let same = with("event_name", json!("ö".repeat(50)));
    conflicts(&server, "event", &same, "the advertiser has an event of that name already: 2");
    let default = with("event_name", json!("CONVERSION"));
    conflicts(&server, "event", &default, "every offer has an event of that name: its default one");
}

#[test]
fn what_an_offer_says_of_an_event_is_said_anew_each_time() {
    let server = TestServer::start();
    made(&server, "event", &json!({"advertiser_id": 1, "event_name": "Lead"}));
    let said = json!({
        "offer_id": 1, "event_id": 2, "enabled": false, "payout": 5, "revenue": 70, "revenue_type": "revshare"
    });
    assert_eq!(
        made(&server, "offer_event", &said).to_string(),
        json!({
            "offer_id": 1, "event_id": 2, "campaign_id": null, "enabled": false, "payout": "P",
            "payout_type": "cpa", "revenue": "R", "revenue_type": "revshare"
        })
        .to_string()
        .replace("\"P\"", "5.00")
        .replace("\"R\"", "70.00")
    );
    let anew = made(&server, "offer_event", &json!({"offer_id": 1, "event_id": 2}));
    assert_eq!(
        (&anew["enabled"], &anew["payout"], &anew["payout_type"]),
        (&json!(true), &json!(null), &json!(null))
    );
    let of_campaign = json!({"offer_id": 1, "event_id": 2, "campaign_id": 1, "enabled": false});
    let of_campaign = made(&server, "offer_event", &of_campaign);
    assert_eq!(rows(&server, "offer_event", &[]), [anew.clone(), of_campaign.clone()]);
    for (filter, expected) in [
        (("offer_id", "1"), vec![anew.clone(), of_campaign.clone()]),
        (("offer_id", "2"), vec![]),
        (("event_id", "3"), vec![]),
        (("campaign_id", "1"), vec![of_campaign]),
        (("enabled", "true"), vec![anew]),
    ] {
        assert_eq!(rows(&server, "offer_event", &[filter]), expected, "{filter:?}");
    }
    let check = |body: Value, status: u16, code: &str, parameter: &str| {
        refused(&server, "offer_event", &body, status, code, parameter);
    };
    check(json!({"event_id": 2}), 400, "missing_parameter", "offer_id");
    check(json!({"offer_id": 1}), 400, "missing_parameter", "event_id");
    check(json!({"offer_id": 9, "event_id": 2}), 404, "offer_not_found", "offer_id");
    check(json!({"offer_id": 1, "event_id": 9}), 404, "event_not_found", "event_id");
    check(json!({"offer_id": 1, "event_id": 1}), 400, "invalid_parameter", "event_id");
    let typed = json!({"offer_id": 1, "event_id": 2, "payout_type": "cpa"});
    check(typed, 400, "missing_parameter", "payout");
    check(json!({"offer_id": 1, "event_id": 2, "colour": 1}), 400, "invalid_parameter", "colour");
    server.client.post("advertiser", &[("advertiser_name", "Other")]).success();
    made(&server, "event", &json!({"advertiser_id": 2, "event_name": "Lead"}));
    check(json!({"offer_id": 1, "event_id": 3}), 400, "invalid_parameter", "event_id");
}

#[test]
fn price_rules_are_made_changed_and_listed() {
    let server = TestServer::start();
    let create = json!({
        "offer_id": 1, "country": ["us", "CA"], "adv3": "a*,b", "amount_min": 12.5, "event_id": 1, "payout": 20
    });
    assert_eq!(
        made(&server, "price_rule", &create).to_string(),
        json!({
            "price_rule_id": 1, "price_rule_version": 1, "offer_id": 1, "campaign_id": null, "position": 1,
            "price_rule_status": "active", "country": "US,CA", "event_id": "1", "adv3": "a*,b",
            "amount_min": "12.50", "payout": "P", "payout_type": "cpa", "revenue": null, "revenue_type": null
        })
        .to_string()
        .replace("\"P\"", "20.00")
    );
    let change = json!({
        "price_rule_id": 1, "adv3": null, "country": "DE", "position": 7, "revenue": 70,
        "revenue_type": "revshare", "price_rule_status": "paused"
    });
    let changed = updated(&server, "price_rule", &change);
    assert_eq!(
        (&changed["price_rule_version"], &changed["country"], &changed["adv3"], &changed["position"]),
        (&json!(2), &json!("DE"), &json!(null), &json!(7))
    );
    assert_eq!(
        (changed["payout"].to_string(), changed["revenue"].to_string()),
        ("20.00".into(), "70.00".into())
    );
    let share = updated(&server, "price_rule", &json!({"price_rule_id": 1, "revenue": 60, "payout": ""}));
    assert_eq!(
        (share["revenue_type"].clone(), share["revenue"].to_string()),
        (json!("revshare"), "60.00".into())
    );
    assert_eq!((&share["payout"], &share["payout_type"]), (&json!(null), &json!(null)));
    assert_eq!(rows(&server, "price_rule", &[]), [share]);
    let of_campaign = json!({"campaign_id": 1, "sub_id_1": "x", "revenue": 1});
    assert_eq!(made(&server, "price_rule", &of_campaign)["position"], 8);
    for (filter, expected) in [
        (("price_rule_id", "2"), vec![2]),
        (("offer_id", "1"), vec![1, 2]),
        (("offer_id", "2"), vec![]),
        (("campaign_id", "1"), vec![2]),
        (("price_rule_status", "active"), vec![2]),
    ] {
        assert_eq!(ids(&server, "price_rule", &[filter]), expected, "{filter:?}");
    }
}

#[test]
fn a_price_rule_that_cannot_be_is_refused_by_name() {
    let server = TestServer::start();
    let check = |endpoint: &str, body: Value, status: u16, code: &str, parameter: &str| {
        refused(&server, endpoint, &body, status, code, parameter);
    };
    let (missing, invalid) = ("missing_parameter", "invalid_parameter");
    let with = |name: &str, value: Value| {
        let mut rule = json!({"offer_id": 1, "country": "US", "payout": 20});
        rule[name] = value;
        rule
    };
    check("price_rule", json!({"country": "US", "payout": 20}), 400, missing, "offer_id");
    check("price_rule", with("offer_id", json!(99)), 404, "offer_not_found", "offer_id");
    check("price_rule", with("campaign_id", json!(99)), 404, "campaign_not_found", "campaign_id");
    check("price_rule", with("revenue_type", json!("cpa")), 400, missing, "revenue");
    for (name, value) in [
        ("country", json!("USA")),
        ("device", json!("toaster")),
        ("event_id", json!("lead")),
        ("amount_max", json!("-1")),
        ("payout", json!("1e3")),
        ("payout_type", json!("cpc")),
        ("position", json!(1_000_001)),
        ("price_rule_status", json!("on")),
        ("adv6", json!("x")),
    ] {
        check("price_rule", with(name, value), 400, invalid, name);
    }
    check("price_rule", with("event_id", json!(9)), 404, "event_not_found", "event_id");
    check("update_price_rule", json!({}), 400, missing, "price_rule_id");
    check("update_price_rule", json!({"price_rule_id": 9}), 404, "price_rule_not_found", "price_rule_id");
    check("update_price_rule", json!({"price_rule_id": 9, "offer_id": 1}), 400, invalid, "offer_id");
    made(&server, "price_rule", &with("position", json!(1)));
    for (endpoint, body, words) in [
        (
            "price_rule",
            json!({"offer_id": 1, "payout": 1}),
            "a price rule needs at least one of country, device",
        ),
        ("price_rule", json!({"offer_id": 1, "country": "US"}), "a price rule needs a payout or a revenue"),
        (
            "update_price_rule",
            json!({"price_rule_id": 1, "country": ""}),
            "a price rule needs at least one of",
        ),
        ("update_price_rule", json!({"price_rule_id": 1, "payout": null}), "a price rule needs a payout or"),
    ] {
        let answer = server.client.post_json(endpoint, &body.to_string());
        assert_eq!((answer.status, answer.code()), (400, missing.to_owned()), "{body}");
        let message = answer.json()["message"].as_str().expect("a message").to_owned();
        assert!(message.starts_with(words), "{message}");
    }
    for _ in 1..200 {
        made(&server, "price_rule", &with("position", json!(1)));
    }
    let message = "the offer has as many price rules as it may have";
    conflicts(&server, "price_rule", &with("position", json!(1)), message);
}

#[test]
fn a_tiers_price_is_said_anew_each_time_and_taken_away() {
    let server = TestServer::start();
    let set = |tier: &str, payout: Value, revenue: Value| {
        let price = json!({"offer_id": 1, "tier": tier, "payout": payout, "revenue": revenue});
        made(&server, "tier_price", &price)
    };
    assert_eq!(
        set("gold", json!(19), json!(null)).to_string(),
        r#"{"offer_id":1,"tier":"gold","payout":19.00,"revenue":null}"#
    );
    let gold = set(" gold ", json!(null), json!(21));
    assert_eq!(gold.to_string(), r#"{"offer_id":1,"tier":"gold","payout":null,"revenue":21.00}"#);
    let bronze = set("bronze", json!(17), json!(20));
    assert_eq!(rows(&server, "tier_price", &[]), [bronze.clone(), gold.clone()]);
    assert_eq!(rows(&server, "tier_price", &[("tier", "gold"), ("offer_id", "1")]), [gold]);
    assert_eq!(rows(&server, "tier_price", &[("offer_id", "2")]), Vec::<Value>::new());
    set("gold", json!(null), json!(null));
    assert_eq!(rows(&server, "tier_price", &[]), [bronze]);
    let check = |body: Value, status: u16, code: &str, parameter: &str| {
        refused(&server, "tier_price", &body, status, code, parameter);
    };
    check(json!({"tier": "gold"}), 400, "missing_parameter", "offer_id");
    check(json!({"offer_id": 1, "payout": 1}), 400, "missing_parameter", "tier");
    check(json!({"offer_id": 1, "tier": "x".repeat(51)}), 400, "invalid_parameter", "tier");
    check(json!({"offer_id": 9, "tier": "gold"}), 404, "offer_not_found", "offer_id");
    check(json!({"offer_id": 1, "tier": "gold", "payout": -1}), 400, "invalid_parameter", "payout");
    check(
        json!({"offer_id": 1, "tier": "gold", "payout_type": "cpa"}),
        400,
        "invalid_parameter",
        "payout_type",
    );
}

#[test]
fn an_affiliate_has_a_tier_until_it_is_taken_away() {
    let server = TestServer::start();
    let created = made(&server, "affiliate", &json!({"affiliate_name": "Gold", "tier": " gold "}));
    assert_eq!(created["tier"], "gold");
    assert_eq!(rows(&server, "affiliate", &[("affiliate_id", "1")])[0]["tier"], json!(null));
    let change = |tier: Value| updated(&server, "affiliate", &json!({"affiliate_id": 2, "tier": tier}));
    assert_eq!(change(json!("silver"))["tier"], "silver");
    assert_eq!(updated(&server, "affiliate", &json!({"affiliate_id": 2}))["tier"], "silver");
    assert_eq!(change(json!(""))["tier"], json!(null));
    let long = json!({"affiliate_id": 2, "tier": "x".repeat(51)});
    refused(&server, "update_affiliate", &long, 400, "invalid_parameter", "tier");
}

#[test]
fn exchange_rates_are_said_from_a_date_on() {
    let server = TestServer::start();
    let set = |currency: &str, rate: Value, date: Value| {
        let rate = json!({"currency": currency, "rate": rate, "effective_date": date});
        made(&server, "exchange_rate", &rate).to_string()
    };
    assert_eq!(
        set("eur", json!("1.0842000001"), json!(null)),
        r#"{"currency":"EUR","rate":1.0842000001,"effective_date":"2026-06-19 14:30:00"}"#
    );
    set("GBP", json!(1.3), json!("2026-01-01"));
    set("EUR", json!(1.2), json!("2026-01-01"));
    let again = set("EUR", json!(1.1), json!("2026-01-01"));
    assert_eq!(again, r#"{"currency":"EUR","rate":1.1,"effective_date":"2026-01-01 00:00:00"}"#);
    let rates = |params: &[(&str, &str)]| -> Vec<_> {
        rows(&server, "exchange_rate", params).iter().map(|row| row["rate"].to_string()).collect()
    };
    assert_eq!(rates(&[]), ["1.1", "1.0842000001", "1.3"]);
    assert_eq!(rates(&[("currency", "gbp")]), ["1.3"]);
    let check = |body: Value, code: &str, parameter: &str| {
        refused(&server, "exchange_rate", &body, 400, code, parameter);
    };
    check(json!({"rate": 1}), "missing_parameter", "currency");
    check(json!({"currency": "EUR"}), "missing_parameter", "rate");
    check(json!({"currency": "EURO", "rate": 1}), "invalid_parameter", "currency");
    check(json!({"currency": "USD", "rate": 1.1}), "invalid_parameter", "currency");
    check(json!({"currency": "EUR", "rate": 0}), "invalid_parameter", "rate");
    check(
        json!({"currency": "EUR", "rate": 1, "effective_date": "soon"}),
        "invalid_parameter",
        "effective_date",
    );
    check(json!({"currency": "EUR", "rate": 1, "colour": 1}), "invalid_parameter", "colour");
}

#[test]
fn suppression_lists_are_filled_counted_and_emptied() {
    let server = TestServer::start();
    let change = |body: Value| made(&server, "suppression", &body).to_string();
    let values = json!(["Ann@example.org", " ann@EXAMPLE.org", "bob@example.org"]);
    assert_eq!(
        change(json!({"kind": "email", "values": values, "action": "reject"})),
        r#"{"offer_id":null,"kind":"email","action":"reject","suppressed":2}"#
    );
    let phone =
        json!({"offer_id": 1, "kind": "phone", "values": "+49 30 123456,0303456", "action": "ignore"});
    assert_eq!(change(phone), r#"{"offer_id":1,"kind":"phone","action":"ignore","suppressed":2}"#);
    let counts = |params: &[(&str, &str)]| -> Vec<_> {
        rows(&server, "suppression", params).iter().map(ToString::to_string).collect()
    };
    let (emails, phones) = (
        r#"{"offer_id":null,"kind":"email","action":"reject","count":2}"#,
        r#"{"offer_id":1,"kind":"phone","action":"ignore","count":2}"#,
    );
    assert_eq!(counts(&[]), [emails, phones]);
    assert_eq!(counts(&[("offer_id", "1")]), [phones]);
    assert_eq!(counts(&[("kind", "email")]), [emails]);
    let removed = json!({"kind": "email", "values": ["ANN@example.org", "eve@example.org"], "remove": true});
    assert_eq!(change(removed), r#"{"offer_id":null,"kind":"email","removed":1}"#);
    assert_eq!(counts(&[("kind", "email")]), [emails.replace('2', "1")]);
}

#[test]
fn what_a_suppression_list_cannot_hold_is_refused_without_repeating_it() {
    let server = TestServer::start();
    let check = |body: Value, status: u16, code: &str, parameter: &str| {
        refused(&server, "suppression", &body, status, code, parameter);
    };
    let (missing, invalid) = ("missing_parameter", "invalid_parameter");
    let with = |name: &str, value: Value| {
        let mut list = json!({"kind": "email", "values": ["ann@example.org"], "action": "reject"});
        list[name] = value;
        list
    };
    check(with("kind", json!(null)), 400, missing, "kind");
    check(with("kind", json!("name")), 400, invalid, "kind");
    check(with("values", json!([])), 400, missing, "values");
    check(with("values", json!(", ,")), 400, invalid, "values");
    check(with("action", json!(null)), 400, missing, "action");
    check(with("action", json!("shout")), 400, invalid, "action");
    check(with("remove", json!("maybe")), 400, invalid, "remove");
    check(with("offer_id", json!(9)), 404, "offer_not_found", "offer_id");
    check(with("colour", json!("red")), 400, invalid, "colour");
    let many: Vec<_> = (0..1001).map(|number| format!("{number}@x.org")).collect();
    check(with("values", json!(many)), 400, invalid, "values");
    assert_eq!(made(&server, "suppression", &with("values", json!(many[1..])))["suppressed"], 1000);
    let wrong = with("values", json!(["ann@example.org", "secret-person"]));
    let answer = server.client.post_json("suppression", &wrong.to_string());
    assert_eq!(answer.json()["message"], "values: number 2 of them is not of this kind");
}

/// The bytes of every file below a folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(
            |path| if path.is_dir() { files(&path) } else { vec![std::fs::read(&path).expect("a file")] },
        )
        .collect()
}

#[test]
fn what_a_suppression_list_holds_is_in_no_file() {
    let server = TestServer::start();
    let people = json!({"kind": "email", "values": ["hidden@example.org"], "action": "ignore"});
    made(&server, "suppression", &people);
    let click = server.client.click(&server.sample.link());
    let params = [
        ("click_id", &*click),
        ("offer_id", "1"),
        ("unique_id", "kept-transaction"),
        ("email", "hidden@example.org"),
        ("phone", "+49 30 987654321"),
    ];
    assert_eq!(
        server.client.get("conversion", &params).success()["conversion"]["conversion_status"],
        "ignored"
    );
    let pixel =
        format!("/p.ashx?f=pb&o=1&r={click}&t=second-transaction&Email=hidden%40example.org&phone=987654321");
    server.client.path(&pixel);
    let files = files(server.folder());
    let holds =
        |text: &str| files.iter().any(|file| file.windows(text.len()).any(|it| it == text.as_bytes()));
    let kept = ["kept-transaction", "kept%2Dtransaction", "t=second-transaction"];
    assert!(kept.iter().all(|text| holds(text)), "what is looked for would be found");
    for text in ["hidden", "987654321"] {
        assert!(!holds(text), "{text}");
    }
}

#[test]
fn what_an_offer_asks_of_its_conversions_is_set_and_taken_away() {
    let server = TestServer::start();
    let update = |fields: Value| {
        let mut body = json!({"offer_id": 1});
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        updated(&server, "offer", &body)
    };
    let names = ["approval_delay_hours", "min_conversion_seconds", "max_conversion_seconds"];
    let set = update(json!({
        "approval_delay_hours": 1.5, "min_conversion_seconds": 0, "max_conversion_seconds": 60,
        "allow_pixel_payout": true
    }));
    assert_eq!(names.map(|name| set[name].to_string()), ["1.5", "0", "60"]);
    assert_eq!((&set["allow_pixel_payout"], &update(json!({}))), (&json!(true), &set));
    let taken = update(json!({
        "approval_delay_hours": "", "min_conversion_seconds": null, "max_conversion_seconds": "",
        "allow_pixel_payout": false
    }));
    assert_eq!(names.map(|name| taken[name].clone()), [json!(null), json!(null), json!(null)]);
    assert_eq!(taken["allow_pixel_payout"], false);
    for (name, value) in [
        ("approval_delay_hours", json!(8761)),
        ("approval_delay_hours", json!("soon")),
        ("min_conversion_seconds", json!(1.5)),
        ("max_conversion_seconds", json!(31_536_001)),
        ("allow_pixel_payout", json!("maybe")),
    ] {
        refused(
            &server,
            "update_offer",
            &json!({"offer_id": 1, name: value}),
            400,
            "invalid_parameter",
            name,
        );
    }
}

#[test]
fn only_an_admin_sets_prices_and_no_affiliate_sees_how_others_are_paid() {
    let server = TestServer::start();
    let affiliate_id = Some(AffiliateId(1));
    let affiliate = server.client_with("partner", Grant { affiliate_id, ..Grant::of(Scope::Affiliate) });
    let reader = server.client_with("reader", Grant::of(Scope::Read));
    let lists = ["events", "offer_events", "price_rules", "tier_prices", "exchange_rates", "suppressions"];
    for list in lists {
        reader.get(list, &[]).success();
        let answer = affiliate.get(list, &[]);
        assert_eq!((answer.status, answer.code()), (403, "not_permitted".to_owned()), "{list}");
    }
    let setters = ["event", "update_event", "offer_event", "price_rule", "update_price_rule", "tier_price"];
    for endpoint in setters.into_iter().chain(["exchange_rate", "suppression"]) {
        for client in [&affiliate, &reader] {
            let answer = client.post_json(endpoint, "{}");
            assert_eq!((answer.status, answer.code()), (403, "not_permitted".to_owned()), "{endpoint}");
        }
    }
}
