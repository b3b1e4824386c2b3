//! Record Conversion: exactly once, in the order of checks users rely on.

use domain::access::{Grant, Scope};
use domain::ids::{AdvertiserId, OfferId};
use testkit::{Answer, TestServer};

fn conversion(server: &TestServer, params: &[(&str, &str)]) -> Answer {
    server.client.get("conversion", params)
}

#[test]
fn the_answer_has_the_documented_fields_first_and_in_order() {
    let server = TestServer::start();
    let click = server.client.click(&server.sample.link());
    let answer = conversion(
        &server,
        &[
            ("click_id", &click),
            ("offer_id", &server.sample.offer_id),
            ("payout", "18"),
            ("revenue", "22.0"),
            ("unique_id", "ORD-98765"),
            ("conversion_date", "2026-06-19 14:30:00"),
        ],
    );
    let documented = format!(
        "{{\"request_status\":\"Success\",\"conversion\":{{\"conversion_id\":1,\"offer_id\":1,\"affiliate_id\":1,\
         \"click_id\":\"{click}\",\"payout\":18.00,\"revenue\":22.00,\"unique_id\":\"ORD-98765\",\
         \"conversion_date\":\"2026-06-19 14:30:00\",\"conversion_status\":\"approved\""
    );
    assert!(answer.text.starts_with(&documented), "{}", answer.text);
    assert_eq!(answer.header("x-time-zone"), Some("UTC"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn a_repeat_gets_its_original_a_year_later_and_after_a_restart() {
    let mut server = TestServer::start();
    let click = server.client.click(&server.sample.link());
    let offer_id = server.sample.offer_id.clone();
    let params = [("click_id", &*click), ("offer_id", &*offer_id), ("unique_id", "ORD-1")];
    let first = conversion(&server, &params).success();
    assert_eq!(conversion(&server, &params).success(), first);
    server.restart();
    assert_eq!(conversion(&server, &params).success(), first);
    server.clock.advance_seconds(365 * 86_400);
    server.client.post("update_offer", &[("offer_id", &offer_id), ("offer_status", "inactive")]).success();
    assert_eq!(conversion(&server, &params).success(), first);
}

#[test]
fn a_repeat_with_other_amounts_says_so_last() {
    let server = TestServer::start();
    let click = server.client.click(&server.sample.link());
    let params = [("click_id", &*click), ("offer_id", &*server.sample.offer_id), ("unique_id", "ORD-1")];
    let first = conversion(&server, &params);
    let again = conversion(&server, &[&params[..], &[("payout", "99")]].concat());
    assert_eq!(again.text, first.text.replace("}}", ",\"conflict\":true}}"));
}

#[test]
fn the_checks_come_in_the_order_users_rely_on() {
    let server = TestServer::start();
    let other = server.client.post(
        "offer",
        &[
            ("offer_name", "Other"),
            ("advertiser_id", &server.sample.advertiser_id),
            ("offer_url", "https://other.example/"),
        ],
    );
    let other_id = other.success()["offer"]["offer_id"].to_string();
    let click = server.client.click(&server.sample.link());
    let offer_id = &*server.sample.offer_id;
    let check = |params: &[(&str, &str)], status: u16, code: &str| {
        let answer = conversion(&server, params);
        assert_eq!((answer.status, answer.code()), (status, code.to_owned()), "{params:?}: {}", answer.text);
        answer
    };
    let nobody = server.client.with_key("crumb_wrong").get("conversion", &[]);
    assert_eq!((nobody.status, nobody.code()), (401, "invalid_api_key".to_owned()));
    let missing = check(&[], 400, "missing_parameter");
    assert_eq!(missing.json()["error"]["parameter"], "click_id");
    check(&[("click_id", "x"), ("offer_id", "99"), ("payout", "x")], 400, "invalid_parameter");
    let unknown = check(&[("click_id", "x"), ("offer_id", "99")], 404, "click_not_found");
    assert_eq!(unknown.json()["message"], "Click Not Found");
    check(&[("click_id", &click), ("offer_id", "99")], 404, "offer_not_found");
    check(&[("click_id", &click), ("offer_id", &other_id)], 422, "offer_mismatch");
    let event =
        check(&[("click_id", &click), ("offer_id", offer_id), ("et", "ld")], 400, "invalid_parameter");
    assert_eq!(event.json()["error"]["parameter"], "et");
    let zero = check(&[("r", &click), ("o", offer_id), ("t", "zero\0inside")], 400, "invalid_parameter");
    assert_eq!(zero.json()["error"]["parameter"], "t");

    let set = |endpoint: &str, params: &[(&str, &str)]| drop(server.client.post(endpoint, params).success());
    let affiliate = ("affiliate_id", &*server.sample.affiliate_id);
    set("update_offer", &[("offer_id", offer_id), ("offer_status", "paused"), ("session_hours", "0")]);
    set("update_affiliate", &[affiliate, ("affiliate_status", "inactive")]);
    let call = [("click_id", &*click), ("offer_id", offer_id)];
    check(&call, 422, "offer_not_active");
    set("update_offer", &[("offer_id", offer_id), ("offer_status", "active")]);
    check(&call, 422, "affiliate_not_active");
    set("update_affiliate", &[affiliate, ("affiliate_status", "active")]);
    check(&call, 422, "click_expired");
    set("update_offer", &[("offer_id", offer_id), ("session_hours", "1"), ("payout_type", "revshare")]);
    check(&call, 422, "amount_required");
    server.clock.advance_seconds(3600);
    let recorded = conversion(&server, &[&call[..], &[("amount", "10")]].concat()).success();
    assert_eq!(recorded["conversion"]["payout"].to_string(), "1.80");
    server.clock.advance_seconds(1);
    check(&call, 422, "click_expired");
}

#[test]
fn duplicates_are_told_with_the_first_conversion() {
    let server = TestServer::start();
    let offer_id = &*server.sample.offer_id;
    let first = server.convert("ORD-1");
    let click = server.client.click(&server.sample.link());
    let duplicate =
        conversion(&server, &[("click_id", &click), ("offer_id", offer_id), ("unique_id", "ORD-1")]);
    assert_eq!((duplicate.status, duplicate.code()), (409, "duplicate_conversion".to_owned()));
    assert_eq!(duplicate.json()["error"]["conversion_id"].as_u64(), Some(first));
    let call = [("click_id", &*click), ("offer_id", offer_id)];
    conversion(&server, &call).success();
    assert_eq!(conversion(&server, &call).code(), "duplicate_conversion");
    conversion(&server, &[&call[..], &[("unique_id", "ORD-2")]].concat()).success();
    server.client.post("update_offer", &[("offer_id", offer_id), ("one_per_click", "true")]).success();
    let third = conversion(&server, &[&call[..], &[("unique_id", "ORD-3")]].concat());
    assert_eq!(third.code(), "duplicate_conversion");
    server
        .client
        .post("update_offer", &[("offer_id", offer_id), ("one_per_click", "0"), ("allow_duplicates", "yes")])
        .success();
    conversion(&server, &call).success();
}

#[test]
fn a_click_that_never_reached_the_offer_does_not_convert() {
    let server = TestServer::start();
    let campaign = ("campaign_id", &*server.sample.campaign_id);
    server.client.post("update_campaign", &[campaign, ("campaign_status", "paused")]).success();
    assert_eq!(server.client.path(&server.sample.link()).status, 404);
    let clicks = server.client.get("click", &[]).success();
    let click = &clicks["response"]["clicks"][0];
    assert_eq!(click["disposition"], "campaign_inactive");
    let call =
        [("click_id", click["click_id"].as_str().expect("an id")), ("offer_id", &*server.sample.offer_id)];
    assert_eq!(conversion(&server, &call).code(), "click_not_accepted");
}

#[test]
fn a_campaigns_price_goes_before_the_offers_and_the_calls_before_both() {
    let server = TestServer::start();
    let campaign = ("campaign_id", &*server.sample.campaign_id);
    let price = |extra: &[(&str, &str)]| {
        let click = server.client.click(&server.sample.link());
        let call = [("click_id", &*click), ("offer_id", &*server.sample.offer_id)];
        let recorded = conversion(&server, &[&call[..], extra].concat()).success();
        let conversion = &recorded["conversion"];
        format!("{} {}", conversion["payout"], conversion["revenue"])
    };
    assert_eq!(price(&[]), "18.00 22.00");
    server.client.post("update_campaign", &[campaign, ("payout", "0.0125")]).success();
    assert_eq!(price(&[]), "0.0125 22.00");
    assert_eq!(price(&[("ap", "3.5"), ("p", "61")]), "3.50 61.00");
    server
        .client
        .post_json("update_campaign", &format!("{{\"campaign_id\":{},\"payout\":null}}", campaign.1))
        .success();
    assert_eq!(price(&[]), "18.00 22.00");
}

#[test]
fn a_bound_key_records_only_where_it_is_bound_and_states_no_payout() {
    let server = TestServer::start();
    let bound = |name, grant| server.client_with(name, grant);
    let grant = Grant::of(Scope::Conversion);
    let click = server.client.click(&server.sample.link());
    let call = [("click_id", &*click), ("offer_id", &*server.sample.offer_id), ("unique_id", "ORD-1")];
    let elsewhere = bound("elsewhere", Grant { offer_id: Some(OfferId(99)), ..grant });
    assert_eq!(elsewhere.get("conversion", &call).code(), "not_permitted");
    let other = bound("other", Grant { advertiser_id: Some(AdvertiserId(99)), ..grant });
    assert_eq!(other.get("conversion", &call).code(), "not_permitted");
    let shop = bound("shop", Grant { advertiser_id: Some(AdvertiserId(1)), ..grant });
    let with_payout = [&call[..], &[("payout", "99")]].concat();
    assert_eq!(shop.get("conversion", &with_payout).code(), "not_permitted");
    let trusted = bound("trusted", Grant { may_override: true, ..grant });
    assert_eq!(
        trusted.get("conversion", &with_payout).success()["conversion"]["payout"].to_string(),
        "99.00"
    );
    assert_eq!(shop.get("conversion", &call).success()["conversion"]["conversion_id"], 1);
}

#[test]
fn every_text_comes_back_as_it_was_sent() {
    let server = TestServer::start();
    for text in
        ["a&b=c d+e%20", "'; DROP TABLE conversions; --", "emoji 🍪 ü 漢字", "\"quoted\\\"", "<script>"]
    {
        let click = server.client.click(&server.sample.link());
        let call = [
            ("click_id", &*click),
            ("offer_id", &*server.sample.offer_id),
            ("unique_id", text),
            ("adv3", text),
        ];
        let recorded = conversion(&server, &call).success();
        assert_eq!(recorded["conversion"]["unique_id"], text);
        assert_eq!(recorded["conversion"]["adv3"], text);
        assert_eq!(conversion(&server, &call).success(), recorded);
    }
}
