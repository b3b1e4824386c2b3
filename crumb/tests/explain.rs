//! Explaining: what is on record of a click or a conversion, and why there is none.

use crumb::config::PrivateAddresses;
use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use domain::postback::{FireOn, PostbackStatus};
use domain::status::ConversionStatus;
use outbound::AllowPrivate;
use serde_json::{Value, json};
use testkit::{Answer, Client, Reaction, Receiver, TestServer, until};

fn explain(client: &Client, params: &[(&str, &str)]) -> Value {
    client.get("explain", params).success()
}

/// The page of the same.
fn page(client: &Client, query: &str) -> Answer {
    client.path(&format!("/api/2/explain.html?api_key={}&{query}", client.key()))
}

fn summary(client: &Client, params: &[(&str, &str)]) -> String {
    explain(client, params)["summary"].as_str().expect("a text").to_owned()
}

/// Asserts that a text has all of these, in their order.
fn says(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is not in {rest:?} of {text:?}"));
        rest = &rest[at + part.len()..];
    }
}

fn rows<'v>(answer: &'v Value, list: &str) -> &'v [Value] {
    answer[list].as_array().unwrap_or_else(|| panic!("no list {list}: {answer}"))
}

fn affiliate(server: &TestServer, name: &str, id: u32) -> Client {
    let grant = Grant { affiliate_id: Some(AffiliateId(id)), ..Grant::of(Scope::Affiliate) };
    server.client_with(name, grant)
}

/// A conversion call for a click of the sample's offer.
fn call(server: &TestServer, click: &str, more: &[(&str, &str)]) -> Answer {
    let named = [("click_id", click), ("offer_id", &*server.sample.offer_id)];
    server.client.get("conversion", &[&named[..], more].concat())
}

fn click(server: &TestServer) -> String {
    server.client.click(&server.sample.link())
}

/// A click from that country.
fn click_from(server: &TestServer, country: &str) -> String {
    let sent = [("campaign_id", &*server.sample.campaign_id), ("country", country)];
    let made = server.client.post("record_click", &sent).success();
    made["click"]["click_id"].as_str().expect("an id").to_owned()
}

fn number(value: &Value) -> String {
    value.as_u64().expect("a number").to_string()
}

/// A click id that this server could have minted, and has not.
fn never_minted(click: &str) -> String {
    let last = if click.ends_with('0') { "1" } else { "0" };
    format!("{}{last}", &click[..35])
}

#[test]
fn a_conversion_is_explained_by_the_rules_as_they_were() {
    let server = TestServer::start();
    let (client, sample) = (&server.client, &server.sample);
    let rule = [("offer_id", &*sample.offer_id), ("rule_type", "allow"), ("country", "US,CA")];
    let rule = number(&client.post("rule", &rule).success()["rule"]["rule_id"]);
    let price =
        [("offer_id", &*sample.offer_id), ("country", "US"), ("payout", "20.00"), ("revenue", "25.00")];
    let price = number(&client.post("price_rule", &price).success()["price_rule"]["price_rule_id"]);
    let click = click_from(&server, "US");
    let recorded = call(&server, &click, &[("unique_id", "ORD-1"), ("order_id", "9001")]).success();
    let conversion = number(&recorded["conversion"]["conversion_id"]);
    client.post("update_rule", &[("rule_id", &*rule), ("country", "DE")]).success();
    client.post("update_price_rule", &[("price_rule_id", &*price), ("payout", "1.00")]).success();
    server.clock.advance_seconds(3600);
    let change =
        [("conversion_id", &*conversion), ("conversion_status", "reversed"), ("note", "sent <back>")];
    client.post("update_conversion", &change).success();

    let it = explain(client, &[("conversion_id", &conversion)]);
    let steps: Vec<_> =
        rows(&it, "routing").iter().map(|row| row["step"].as_str().expect("a text")).collect();
    assert_eq!(steps, ["link", "rule", "decision", "sent"]);
    let tried = &rows(&it, "routing")[1];
    assert_eq!((&tried["outcome"], &tried["rule_version"]), (&json!("passed"), &json!(1)));
    assert_eq!(tried["rule"]["country"], "US,CA");
    let sent = &rows(&it, "routing")[3];
    assert_eq!(sent["url"], format!("https://shop.example/?click={click}&s2="));
    assert_eq!(rows(&it, "clicks")[0]["click_id"], click);
    let attempt = &rows(&it, "attempts")[0];
    assert_eq!((&attempt["outcome"], &attempt["key_name"]), (&json!("recorded"), &json!("admin")));
    assert!(attempt["call"].as_str().expect("a text").contains("ORD%2D1"), "{attempt}");
    let converted = &rows(&it, "conversions")[0];
    assert_eq!(converted["payout_rule"]["price_rule_version"], 1);
    assert_eq!(converted["payout_rule"]["payout"].to_string(), "20.00");
    assert_eq!(converted["revenue_rule"]["revenue"].to_string(), "25.00");
    assert_eq!(rows(&it, "entries").len(), 6);
    let made = &rows(&it, "adjustments")[0];
    assert_eq!((&made["key_name"], &made["note"]), (&json!("admin"), &json!("sent <back>")));
    assert_eq!(rows(&it, "deliveries"), [] as [Value; 0]);
    assert_eq!(it["more"], json!([]));
    says(
        it["summary"].as_str().expect("a text"),
        &[
            "Conversion 1 of affiliate 1 (MediaBridge Partners) is reversed: it was taken back, and pays nobody",
            "reversed on 2026-06-19 15:30:00 by admin (update): sent <back>.",
            "No postback told of it: affiliate 1 (MediaBridge Partners) has none.",
        ],
    );
    // Each way there is the same.
    for asked in [
        &[("click_id", &*click)][..],
        &[("unique_id", "ORD-1")],
        &[("unique_id", "ORD-1"), ("offer_id", &sample.offer_id)],
        &[("order_id", "9001")],
        &[("attempt_id", &number(&attempt["attempt_id"]))],
        &[("click_id", &click.to_uppercase())],
    ] {
        let same = explain(client, asked);
        assert_eq!(same["summary"], it["summary"], "{asked:?}");
        assert_eq!(same["conversions"], it["conversions"], "{asked:?}");
        assert_eq!(same["attempts"], it["attempts"], "{asked:?}");
    }

    let shown = page(client, &format!("conversion_id={conversion}"));
    assert_eq!((shown.status, shown.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    assert_eq!(shown.header("content-security-policy"), Some(policy));
    says(
        &shown.text,
        &[
            "is reversed",
            "Rule 1, version 1, let the visitor pass: only visitors may pass whose country is US,CA.",
            "Payout at recording 20.00 USD: price rule 1 of the offer, in version 1, decided the payout: it pays 20.00 USD \
         and earns 25.00 USD where country is US.",
            "sent &lt;back&gt;",
            "advertiser_receivable",
        ],
    );
    assert!(!shown.text.contains("<back>"));
}

#[test]
fn a_click_that_never_reached_its_offer_is_the_first_thing_that_went_wrong() {
    let server = TestServer::start();
    let rule = [("offer_id", &*server.sample.offer_id), ("rule_type", "allow"), ("country", "US")];
    server.client.post("rule", &rule).success();
    let click = click_from(&server, "DE");
    let blocked = format!(
        "There is no conversion. The visitor of click {click} never reached offer 1 (Auto Insurance Quote): the visitor's \
         place is not one that the offer takes (geo_blocked; rule 1 said no, in version 1). Change the rule that said no"
    );
    let asked = [("click_id", &*click)];
    says(&summary(&server.client, &asked), &[&blocked, "No conversion call ever came for it."]);
    assert_eq!(call(&server, &click, &[]).code(), "click_not_accepted");
    says(
        &summary(&server.client, &asked),
        &[&blocked, "One call came, and was refused", "click_not_accepted"],
    );
    let routing = explain(&server.client, &asked)["routing"].clone();
    assert_eq!(
        (&routing[1]["outcome"], &routing[2]["disposition"]),
        (&json!("blocked"), &json!("geo_blocked"))
    );
    assert_eq!(routing[3]["url"], Value::Null, "the built-in page");
}

#[test]
fn a_click_that_was_sent_to_another_offer_says_to_which() {
    let server = TestServer::start();
    let (client, sample) = (&server.client, &server.sample);
    let other = [
        ("offer_name", "Other"),
        ("advertiser_id", "1"),
        ("offer_url", "https://other.example/?click={click_id}"),
    ];
    client.post("offer", &other).success();
    client.post("campaign", &[("offer_id", "2"), ("affiliate_id", &*sample.affiliate_id)]).success();
    let paused = [("offer_id", &*sample.offer_id), ("offer_status", "paused"), ("redirect_offer_id", "2")];
    client.post("update_offer", &paused).success();
    let click = click(&server);
    says(
        &summary(client, &[("click_id", &click)]),
        &[
            "never reached offer 1 (Auto Insurance Quote), and was sent to offer 2 (Other) instead: the offer, or its advertiser, \
         was not active (offer_inactive). Activate both",
            "No conversion call ever came for it. Have the advertiser",
        ],
    );
    assert_eq!(client.get("conversion", &[("click_id", &*click), ("offer_id", "2")]).status, 200);
    let it = explain(client, &[("click_id", &click)]);
    says(it["summary"].as_str().expect("a text"), &["Conversion 1 of", "is approved"]);
    let pixel = format!("p.ashx?r={click}");
    assert_eq!(explain(client, &[("url", &pixel)])["summary"], it["summary"]);
}

#[test]
fn where_no_call_came_it_is_said_that_none_came() {
    let server = TestServer::start();
    let click = click(&server);
    let asked = [("click_id", &*click)];
    let it = explain(&server.client, &asked);
    says(
        it["summary"].as_str().expect("a text"),
        &["There is no conversion. No conversion call ever came for it. Have the advertiser call"],
    );
    assert_eq!((rows(&it, "clicks").len(), rows(&it, "attempts").len()), (1, 0));
    call(&server, &click, &[("unique_id", "ORD-1")]).success();
    let other = [("click_id", &*click), ("unique_id", "ORD-2")];
    says(
        &summary(&server.client, &other),
        &[
            "There is no conversion. No conversion call with unique_id ORD-2 ever came for it.",
            "Its click has converted otherwise: conversion 1.",
        ],
    );
}

#[test]
fn refused_calls_are_told_with_their_reason_and_what_to_do() {
    let server = TestServer::start();
    let (client, sample) = (&server.client, &server.sample);
    let click = click(&server);
    let wrong = client.get("conversion", &[("click_id", &*click), ("offer_id", "99")]);
    assert_eq!(wrong.code(), "offer_not_found");
    assert_eq!(call(&server, &click, &[("payout", "x")]).code(), "invalid_parameter");
    server.clock.advance_seconds(721 * 3600);
    assert_eq!(call(&server, &click, &[]).code(), "click_expired");
    let it = explain(client, &[("click_id", &click)]);
    says(
        it["summary"].as_str().expect("a text"),
        &[
            "There is no conversion. 3 calls came, and none was recorded; the first on 2026-06-19 14:30:00: it names an \
         offer that does not exist (offer_not_found). Have the caller send",
            "The last on",
            "the click was older than the offer's session (click_expired). Raise the offer's session_hours",
        ],
    );
    let outcomes: Vec<_> = rows(&it, "attempts").iter().map(|row| row["outcome"].clone()).collect();
    assert_eq!(outcomes, ["offer_not_found", "invalid_parameter", "click_expired"]);
    assert!(rows(&it, "attempts")[1]["reason"].as_str().expect("a text").starts_with("payout: "));
    assert!(rows(&it, "attempts").iter().all(|row| row["remedy"] != ""));
    // A call for a click that never was is found by that text, and by its transaction.
    let nobody = [("click_id", "{clickid}x"), ("offer_id", &*sample.offer_id), ("unique_id", "ORD-7")];
    assert_eq!(client.get("conversion", &nobody).code(), "click_not_found");
    for asked in [&[("click_id", "{clickid}x")][..], &[("unique_id", "ORD-7")]] {
        says(
            &summary(client, asked),
            &["There is no conversion.", "it names no click that is known here (click_not_found)"],
        );
    }
    says(
        &summary(client, &[("click_id", "{clickid}x")]),
        &["Click {clickid}x is not here: it is no click id: one has 36"],
    );
}

#[test]
fn a_duplicate_names_the_conversion_that_came_first() {
    let server = TestServer::start();
    let (first, second) = (click(&server), click(&server));
    call(&server, &first, &[("unique_id", "ORD-1")]).success();
    assert_eq!(call(&server, &second, &[("unique_id", "ORD-1")]).code(), "duplicate_conversion");
    says(
        &summary(&server.client, &[("click_id", &second)]),
        &[
            "There is no conversion. One call came, and was refused on 2026-06-19 14:30:00: the transaction, or the click, \
         has converted already, by conversion 1 (duplicate_conversion). Nothing, if it is the same sale",
        ],
    );
    let by_transaction = explain(&server.client, &[("unique_id", "ORD-1")]);
    says(
        by_transaction["summary"].as_str().expect("a text"),
        &["Conversion 1 of", "is approved", "Besides, one call was refused"],
    );
    assert_eq!((rows(&by_transaction, "clicks").len(), rows(&by_transaction, "attempts").len()), (2, 2));
    // The call as it was pasted: its own click and its transaction.
    let url = format!(
        "https://trk.example/api/2/conversion.json?api_key=k&click_id={second}&offer_id=1&unique_id=ORD-1"
    );
    let pasted = explain(&server.client, &[("url", &url)]);
    says(pasted["summary"].as_str().expect("a text"), &["There is no conversion.", "by conversion 1"]);
    assert_eq!(rows(&pasted, "conversions")[0]["click_id"], first, "told with it");
}

#[test]
fn what_pays_nobody_says_why() {
    let server = TestServer::start();
    let (client, sample) = (&server.client, &server.sample);
    let cap =
        [("offer_id", &*sample.offer_id), ("cap_type", "conversion"), ("interval", "daily"), ("limit", "1")];
    client.post("cap", &cap).success();
    server.convert("ORD-1");
    let capped = server.convert("ORD-2").to_string();
    says(
        &summary(client, &[("conversion_id", &capped)]),
        &[
            "Conversion 2 of affiliate 1 (MediaBridge Partners) is ignored: it was never payable, and pays nobody; cap 1 \
         (conversion 1, daily, as it is now) was used up.",
        ],
    );
    client.post("update_cap", &[("cap_id", "1"), ("cap_status", "deleted")]).success();
    let list = [("kind", "email"), ("values", "buyer@example.org"), ("action", "ignore")];
    client.post("suppression", &list).success();
    call(&server, &click(&server), &[("email", "buyer@example.org"), ("unique_id", "ORD-3")]).success();
    says(&summary(client, &[("unique_id", "ORD-3")]), &["is ignored", "a suppression list names it."]);
    let rejected = server.convert("ORD-4").to_string();
    let change = [("conversion_id", &*rejected), ("conversion_status", "rejected"), ("note", "no sale")];
    client.post("update_conversion", &change).success();
    says(
        &summary(client, &[("conversion_id", &rejected)]),
        &[
            "is rejected: it was refused by the advertiser, and pays nobody; rejected on 2026-06-19 14:30:00 by admin (update): no sale.",
        ],
    );
    let manual = [("offer_id", &*sample.offer_id), ("conversion_approval", "manual")];
    client.post("update_offer", &manual).success();
    let pending = server.convert("ORD-5").to_string();
    says(
        &summary(client, &[("conversion_id", &pending)]),
        &[
            "is pending and worth 18.00 USD to it, 22.00 from advertiser 1 (Acme). Approve or reject it",
            "The offer's own price decided the payout.",
        ],
    );
    client.post("update_offer", &[("offer_id", &*sample.offer_id), ("approval_delay_hours", "2")]).success();
    let waiting = server.convert("ORD-6").to_string();
    says(
        &summary(client, &[("conversion_id", &waiting)]),
        &["is pending", "it is approved by itself on 2026-06-19 16:30:00."],
    );
}

#[test]
fn a_delivery_that_is_held_names_its_last_error() {
    let receiver = Receiver::reacting(|_| Reaction::Status(500));
    let server = TestServer::with(|config| {
        config.outbound.allow_private = PrivateAddresses(AllowPrivate::All);
        "0s".clone_into(&mut config.postbacks.retry_schedule);
    });
    let sample = &server.sample;
    let url = receiver.url("/in?sub=7&cl={click_id}&txid={unique_id}&token=s3cret");
    let scope = [("affiliate_id", &*sample.affiliate_id), ("offer_id", "0"), ("postback_url", &*url)];
    server.client.post("affiliate_postback", &scope).success();
    let conversion = server.convert("ORD-1").to_string();
    let held = until("it is held", || {
        let it = explain(&server.client, &[("delivery_id", &format!("{conversion}-0-1"))]);
        (rows(&it, "deliveries")[0]["delivery_status"] == "held").then_some(it)
    });
    says(
        held["summary"].as_str().expect("a text"),
        &[
            "Delivery 1-0-1 of postback 1: it is held after 2 tries; the last was answered with 500. Mend the receiver",
            "Conversion 1 of",
        ],
    );
    let delivery = &rows(&held, "deliveries")[0];
    assert_eq!(rows(delivery, "tries").len(), 2);
    assert!(delivery["tries"][0]["url"].as_str().expect("a text").ends_with("token=***"), "{delivery}");
    says(
        &summary(&server.client, &[("conversion_id", &conversion)]),
        &["is approved", "Delivery 1-0-1 of postback 1: it is held"],
    );
    // What arrived at the affiliate leads back to it, whatever its parameters are called.
    let arrived = receiver.wait_for(1)[0].target.clone();
    for name in ["url", "postback_url"] {
        let pasted = explain(&server.client, &[(name, &format!("https://aff.example{arrived}"))]);
        assert_eq!(pasted["conversions"][0]["unique_id"], "ORD-1");
    }
    server
        .client
        .post("update_affiliate_postback", &[("postback_id", "1"), ("postback_status", "inactive")])
        .success();
    server.convert("ORD-2");
    says(
        &summary(&server.client, &[("unique_id", "ORD-2")]),
        &["No postback told of it; postback 1: it is inactive."],
    );
}

#[test]
fn where_nobody_was_told_each_postback_says_why_it_did_not_fire() {
    let server = TestServer::start();
    server.create_postback(|it| it.fire_on = FireOn::Reversal);
    server.create_postback(|it| it.conditions.statuses = vec![ConversionStatus::Pending]);
    server.create_postback(|it| it.conditions.min_payout = "18.01".parse().ok());
    server.create_postback(|it| it.status = PostbackStatus::Inactive);
    server.convert("ORD-1");
    server.clock.advance_seconds(60);
    server.create_postback(|_| {});
    let it = explain(&server.client, &[("unique_id", "ORD-1")]);
    let untold = rows(&it["conversions"][0], "untold_postbacks");
    let reasons: Vec<_> = untold.iter().map(|row| row["reason"].as_str().expect("a text")).collect();
    assert_eq!(
        reasons,
        [
            "it fires on reversal, and that has not happened",
            "it is only for conversions that are pending",
            "the payout is below its min_payout of 18.01",
            "it is inactive",
            "it was created afterwards, on 2026-06-19 14:31:00",
        ]
    );
    says(
        it["summary"].as_str().expect("a text"),
        &["No postback told of it; postback 1: it fires on reversal"],
    );
}

#[test]
fn an_affiliate_is_told_what_is_its_own_and_no_revenue() {
    let server = TestServer::start();
    let (client, sample) = (&server.client, &server.sample);
    let price =
        [("offer_id", &*sample.offer_id), ("country", "US"), ("payout", "20.00"), ("revenue", "25.77")];
    client.post("price_rule", &price).success();
    let rule = [("offer_id", &*sample.offer_id), ("rule_type", "allow"), ("country", "US,CA")];
    client.post("rule", &rule).success();
    client.post("webhook", &[("webhook_url", "https://hook.example/")]).success();
    let clicked = click_from(&server, "US");
    call(&server, &clicked, &[("unique_id", "ORD-1"), ("amount", "120.55")]).success();
    client.post("update_conversion", &[("conversion_id", "1"), ("add_revenue", "1.23")]).success();
    client.post("affiliate", &[("affiliate_name", "Northwind")]).success();
    client.post("campaign", &[("offer_id", &*sample.offer_id), ("affiliate_id", "2")]).success();
    let sent = [("campaign_id", "2"), ("country", "US")];
    let theirs =
        client.post("record_click", &sent).success()["click"]["click_id"].as_str().expect("an id").to_owned();
    assert_eq!(call(&server, &theirs, &[("unique_id", "ORD-1")]).code(), "duplicate_conversion");
    let (own, other) = (affiliate(&server, "own", 1), affiliate(&server, "other", 2));

    let asked = [("conversion_id", "1")];
    assert_eq!(rows(&explain(client, &asked), "attempts").len(), 2);
    for it in [explain(&own, &asked), explain(client, &[asked[0], ("hide_revenue", "true")])] {
        let text = it.to_string();
        for hidden in [
            "revenue",
            "25.77",
            "27.00",
            "1.23",
            "advertiser_receivable",
            "network_margin",
            "Acme",
            "key_name",
            "ip_address\":\"127",
            "admin",
            "US,CA",
            "update_conversion",
        ] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
        assert_eq!(rows(&it, "attempts").len(), 1, "not the other's call");
        assert_eq!(rows(&it, "attempts")[0].get("call"), None);
        let accounts: Vec<_> = rows(&it, "entries").iter().map(|row| row["account"].clone()).collect();
        assert_eq!(accounts, ["affiliate_payable", "affiliate_payable"]);
        assert_eq!(rows(&it, "deliveries"), [] as [Value; 0], "a webhook is not the affiliate's");
        assert_eq!(rows(&it, "routing")[1]["rule"], Value::Null);
        says(it["summary"].as_str().expect("a text"), &["is approved and worth 20.00 USD to it."]);
    }
    let shown = page(&own, "conversion_id=1").text;
    assert!(
        shown.contains("worth 20.00 USD") && !shown.contains("25.77") && !shown.contains("Acme"),
        "{shown}"
    );
    // The other's call is its own, and whose transaction it was is not its matter.
    let duplicate = explain(&other, &[("click_id", &theirs)]);
    says(duplicate["summary"].as_str().expect("a text"), &["has converted already (duplicate_conversion)."]);
    assert_eq!(rows(&duplicate, "attempts")[0]["conversion_id"], Value::Null);
    assert_eq!(explain(&other, &[("unique_id", "ORD-1")])["attempts"], duplicate["attempts"]);
    // What is another's is as if it were not there.
    for (params, like) in [
        (("click_id", &*clicked), ("click_id", &*never_minted(&clicked))),
        (("conversion_id", "1"), ("conversion_id", "99")),
        (("attempt_id", "1"), ("attempt_id", "99")),
        (("delivery_id", "1-0-1"), ("delivery_id", "1-0-99")),
    ] {
        let (hidden, missing) = (other.get("explain", &[params]), other.get("explain", &[like]));
        assert_eq!((hidden.status, hidden.code()), (404, missing.code()), "{params:?}");
        assert_eq!(hidden.text.replace(params.1, like.1), missing.text, "{params:?}");
    }
    assert_eq!(own.get("explain", &[("unique_id", "ORD-9")]).status, 404);
}

#[test]
fn a_line_is_on_an_invoice_or_it_is_said_why_not() {
    let server = TestServer::start();
    let client = &server.client;
    server.convert("ORD-1");
    server.clock.advance_seconds(86_400);
    client.post("statement", &[("affiliate_id", "1"), ("end_date", "2026-06-19")]).success();
    server.convert("ORD-2");
    client
        .post("update_offer", &[("offer_id", &*server.sample.offer_id), ("conversion_approval", "manual")])
        .success();
    server.convert("ORD-3");
    for (conversion, invoice, expected) in [
        ("1", "1", "Invoice 1 has of conversion 1: affiliate_payable -18.00 USD."),
        ("1", "7", "Invoice 7 has no line of conversion 1: its lines are on invoice 1."),
        ("2", "1", "Invoice 1 has no line of conversion 2: its lines are on none yet: the next one"),
        (
            "3",
            "1",
            "Invoice 1 has no line of conversion 3: it is pending, and comes on an invoice once it is approved.",
        ),
    ] {
        let said = summary(client, &[("conversion_id", conversion), ("invoice_id", invoice)]);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn only_what_nobody_knows_is_not_found() {
    let server = TestServer::start();
    let click = click(&server);
    let not_found = |params: &[(&str, &str)], code: &str, told: &str| {
        let answer = server.client.get("explain", params);
        assert_eq!((answer.status, &*answer.code()), (404, code), "{params:?}");
        says(answer.json()["message"].as_str().expect("a text"), &[told]);
    };
    not_found(&[("click_id", "hello")], "click_not_found", "it is no click id: one has 36 characters");
    not_found(
        &[("click_id", &never_minted(&click))],
        "click_not_found",
        "no such click was ever recorded here",
    );
    let random = "a1b2c3d4-e5f6-4890-abcd-ef1234567890";
    not_found(
        &[("click_id", random)],
        "click_not_found",
        "it looks like a click id, and cannot be one of ours",
    );
    not_found(&[("conversion_id", "7")], "conversion_not_found", "there is no conversion 7");
    not_found(
        &[("unique_id", "ORD-9"), ("offer_id", "1")],
        "conversion_not_found",
        "no call with that unique_id ever came",
    );
    not_found(
        &[("order_id", "9")],
        "conversion_not_found",
        "a refused call is found by its click_id or unique_id",
    );
    not_found(&[("delivery_id", "1-0-1")], "not_found", "there is no delivery 1-0-1");
    not_found(&[("attempt_id", "7")], "not_found", "there is no attempt 7");
    assert_eq!(page(&server.client, "conversion_id=7").code(), "conversion_not_found");
}

#[test]
fn what_is_asked_must_be_said_once_and_readably() {
    let server = TestServer::start();
    let long = "x".repeat(501);
    for (params, code, parameter) in [
        (&[][..], "missing_parameter", "click_id"),
        (&[("offer_id", "1")], "missing_parameter", "click_id"),
        (&[("invoice_id", "1")], "missing_parameter", "conversion_id"),
        (&[("conversion_id", "x")], "invalid_parameter", "conversion_id"),
        (&[("attempt_id", "-1")], "invalid_parameter", "attempt_id"),
        (&[("delivery_id", "1-0")], "invalid_parameter", "delivery_id"),
        (&[("conversion_id", "1"), ("click_id", "y")], "invalid_parameter", "click_id"),
        (&[("url", "https://x.example/?a=1")], "invalid_parameter", "url"),
        (&[("postback_url", "hello")], "invalid_parameter", "postback_url"),
        (&[("click_id", &long[..101])], "invalid_parameter", "click_id"),
        (&[("unique_id", &long)], "invalid_parameter", "unique_id"),
        (&[("click_id", "y"), ("hide_revenue", "perhaps")], "invalid_parameter", "hide_revenue"),
    ] {
        let answer = server.client.get("explain", params);
        assert_eq!((answer.status, &*answer.code()), (400, code), "{params:?}");
        assert_eq!(answer.json()["error"]["parameter"], parameter, "{params:?}");
    }
    let may_only_record = server.client_with("shop", Grant::of(Scope::Conversion));
    assert_eq!(may_only_record.get("explain", &[]).status, 403);
    assert_eq!(server.client.with_key("nobody").get("explain", &[("click_id", "x")]).status, 401);
}

#[test]
fn a_list_that_goes_on_is_cut_and_said_to_go_on() {
    let server = TestServer::start();
    let click = click(&server);
    let row = json!({"click_id": click, "offer_id": 99}).to_string();
    let body = format!("{{\"conversions\": [{}]}}", vec![row; 101].join(","));
    server.client.post_json("record_conversions", &body).success();
    let it = explain(&server.client, &[("click_id", &click)]);
    assert_eq!((rows(&it, "attempts").len(), &it["more"]), (100, &json!(["attempts"])));
    says(
        it["summary"].as_str().expect("a text"),
        &["100 calls came", "Of attempts only the first 100 are told."],
    );
}
