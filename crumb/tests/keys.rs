//! Keys that are bound to addresses, and keys that backfill.

use domain::access::{Grant, Scope};
use testkit::TestServer;

#[test]
fn a_key_bound_to_addresses_permits_nothing_from_others() {
    let server = TestServer::start();
    let elsewhere = server.client_from("elsewhere", Grant::of(Scope::Admin), &["192.0.2.0/24"]);
    for answer in [
        elsewhere.get("offers", &[]),
        elsewhere.get("click", &[]),
        elsewhere.get("conversion", &[("click_id", "x")]),
        elsewhere.post("advertiser", &[("advertiser_name", "x")]),
        elsewhere.post_json("record_click", "{"),
    ] {
        assert_eq!((answer.status, answer.code()), (403, "not_permitted".to_owned()), "{}", answer.text);
    }
    let here = server.client_from("here", Grant::of(Scope::Admin), &["192.0.2.0/24", "127.0.0.0/8"]);
    here.get("offers", &[]).success();
    assert_eq!(here.with_key("crumb_wrong").get("offers", &[]).status, 401);
}

#[test]
fn behind_a_trusted_proxy_the_callers_address_counts() {
    let server = TestServer::with(|config| {
        config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a range")];
    });
    let key = server.client_from("office", Grant::of(Scope::Read), &["192.0.2.0/24"]);
    let from = |address: &str| {
        let headers = [("X-Api-Key", key.key()), ("X-Forwarded-For", address)];
        key.path_with("/api/2/offers.json", &headers).status
    };
    assert_eq!([from("192.0.2.7"), from("198.51.100.1"), from("192.0.2.7, 198.51.100.1")], [200, 403, 403]);
    assert_eq!(key.get("offers", &[]).status, 403, "the proxy itself");
    let untrusting = TestServer::start();
    let key = untrusting.client_from("office", Grant::of(Scope::Read), &["192.0.2.0/24"]);
    let headers = [("X-Api-Key", key.key()), ("X-Forwarded-For", "192.0.2.7")];
    assert_eq!(key.path_with("/api/2/offers.json", &headers).status, 403, "anybody may say so");
}

#[test]
fn a_backfilling_key_has_its_clicks_as_old_as_they_were_at_the_conversion() {
    let server = TestServer::start();
    server.client.post("update_offer", &[("offer_id", "1"), ("session_hours", "1")]).success();
    let click = server.client.click(&server.sample.link());
    server.clock.advance_seconds(7200);
    let ordinary = server.client_with("ordinary", Grant::of(Scope::Conversion));
    let grant = Grant { may_backfill: true, ..Grant::of(Scope::Conversion) };
    let backfill = server.client_with("backfill", grant);
    let convert = |client: &testkit::Client, date: &str| {
        let params = [("click_id", &*click), ("offer_id", "1"), ("conversion_date", date)];
        let answer = client.get("conversion", &params);
        (answer.status, answer.code())
    };
    let expired = (422, "click_expired".to_owned());
    assert_eq!(convert(&ordinary, "2026-06-19 15:00:00"), expired);
    assert_eq!(convert(&backfill, "2026-06-19 15:30:01"), expired);
    assert_eq!(convert(&backfill, "2026-06-19 15:00:00").0, 200);
}
