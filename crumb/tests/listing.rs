//! Get Conversions: filters, order, pages, cursors, and who sees what.

use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use serde_json::Value;
use testkit::TestServer;

fn ids(answer: &Value) -> Vec<u64> {
    let rows = answer["conversions"].as_array().expect("a list");
    rows.iter().map(|row| row["conversion"]["conversion_id"].as_u64().expect("a number")).collect()
}

const DAY: [(&str, &str); 2] = [("start_date", "2026-06-19"), ("end_date", "2026-06-19")];

fn list(server: &TestServer, params: &[(&str, &str)]) -> Value {
    server.client.get("conversions", &[&DAY[..], params].concat()).success()
}

#[test]
fn a_row_has_the_documented_fields_first_and_in_order() {
    let server = TestServer::start();
    server.convert("ORD-1");
    let answer = server.client.get("conversions", &DAY);
    let documented = "{\"request_status\":\"Success\",\"total_rows\":1,\"conversions\":[{\"conversion\":{\
        \"conversion_id\":1,\"offer\":{\"offer_id\":1,\"offer_name\":\"Auto Insurance Quote\"},\
        \"affiliate\":{\"affiliate_id\":1,\"affiliate_name\":\"MediaBridge Partners\"},\
        \"payout\":18.00,\"revenue\":22.00,\"conversion_status\":\"approved\",\
        \"conversion_date\":\"2026-06-19 14:30:00\",\"original_payout\":18.00,\"original_revenue\":22.00,";
    assert!(answer.text.starts_with(documented), "{}", answer.text);
}

#[test]
fn dates_are_required_unless_something_else_bounds_the_question() {
    let server = TestServer::start();
    server.convert("ORD-1");
    let missing = server.client.get("conversions", &[("end_date", "2026-06-19")]);
    assert_eq!((missing.status, missing.code()), (400, "missing_parameter".to_owned()));
    assert_eq!(missing.json()["error"]["parameter"], "start_date");
    let since =
        |at| server.client.get("conversions", &[("updated_since", at)]).success()["total_rows"].clone();
    assert_eq!(since("2026-06-19 14:30:00"), 1);
    assert_eq!(since("2026-06-19 14:30:01"), 0);
}

#[test]
fn filters_narrow_and_a_comma_list_of_statuses_widens() {
    let server = TestServer::start();
    server.convert("ORD-1");
    server
        .client
        .post("update_offer", &[("offer_id", &server.sample.offer_id), ("conversion_approval", "manual")])
        .success();
    server.convert("ORD-2");
    let found = |params: &[(&str, &str)]| ids(&list(&server, params));
    assert_eq!(found(&[]), [1, 2]);
    assert_eq!(found(&[("conversion_status", "approved")]), [1]);
    assert_eq!(found(&[("conversion_status", "pending, approved")]), [1, 2]);
    assert_eq!(found(&[("conversion_status", "returned,scrubbed,rejected")]), [0_u64; 0]);
    assert_eq!(found(&[("offer_id", "1"), ("affiliate_id", "1"), ("advertiser_id", "1")]), [1, 2]);
    assert_eq!(found(&[("advertiser_id", "2")]), [0_u64; 0]);
    for (name, value) in [
        ("conversion_status", "paid"),
        ("sort_field", "price"),
        ("sort_descending", "maybe"),
        ("offer_id", "x"),
        ("cursor", "x"),
    ] {
        let answer = server.client.get("conversions", &[&DAY[..], &[(name, value)]].concat());
        assert_eq!(
            (answer.code(), &answer.json()["error"]["parameter"]),
            ("invalid_parameter".to_owned(), &name.into())
        );
    }
}

#[test]
fn rows_are_sorted_and_a_cursor_walks_them_while_more_arrive() {
    let server = TestServer::start();
    for number in 0..7 {
        server.convert(&format!("ORD-{number}"));
        server.clock.advance_seconds(1);
    }
    assert_eq!(ids(&list(&server, &[("sort_descending", "true")])), [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(ids(&list(&server, &[("sort_field", "payout"), ("start_at_row", "5")])), [6, 7]);
    let mut walked = Vec::new();
    let mut page = list(&server, &[("row_limit", "3"), ("sort_descending", "true")]);
    loop {
        walked.extend(ids(&page));
        server.convert(&format!("NEW-{}", walked.len()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        page = server.client.get("conversions", &[("cursor", cursor), ("row_limit", "3")]).success();
    }
    assert_eq!(walked, [7, 6, 5, 4, 3, 2, 1]);
}

#[test]
fn an_affiliate_sees_its_own_rows_and_never_revenue() {
    let server = TestServer::start();
    server.convert("ORD-1");
    let own = |id| Grant { affiliate_id: Some(AffiliateId(id)), ..Grant::of(Scope::Affiliate) };
    let partner = server.client_with("partner", own(1));
    let answer = partner.get("conversions", &DAY);
    assert_eq!(ids(&answer.success()), [1]);
    assert!(!answer.text.contains("revenue") && answer.text.contains("\"payout\":18.00"), "{}", answer.text);
    let stranger = server.client_with("stranger", own(2));
    assert_eq!(stranger.get("conversions", &DAY).success()["total_rows"], 0);
    assert_eq!(stranger.get("click", &[]).success()["response"]["total_rows"], 0);
    for (client, endpoint, params) in [
        (&stranger, "conversions", vec![DAY[0], DAY[1], ("affiliate_id", "1")]),
        (&partner, "conversions", vec![DAY[0], DAY[1], ("sort_field", "revenue")]),
        (&stranger, "click", vec![("affiliate_id", "1")]),
        (&partner, "advertisers", vec![]),
    ] {
        assert_eq!(client.get(endpoint, &params).code(), "not_permitted", "{endpoint}");
    }
    for endpoint in ["offers", "campaigns", "affiliates"] {
        let listed = partner.get(endpoint, &[]);
        assert_eq!(listed.success()["total_rows"], 1, "{endpoint}");
        assert!(!listed.text.contains("revenue"), "{}", listed.text);
        assert_eq!(stranger.get(endpoint, &[]).success()["total_rows"], 0, "{endpoint}");
    }
    // A cursor is narrowed to its reader too.
    server.convert("ORD-2");
    let page = server.client.get("conversions", &[&DAY[..], &[("row_limit", "1")]].concat()).success();
    let cursor = page["next_cursor"].as_str().expect("more");
    assert_eq!(stranger.get("conversions", &[("cursor", cursor)]).success()["total_rows"], 0);
}

#[test]
fn every_scope_may_do_what_it_is_for() {
    let server = TestServer::start();
    let read = server.client_with("read", Grant::of(Scope::Read));
    let record = server.client_with("record", Grant::of(Scope::Conversion));
    assert_eq!(read.get("conversions", &DAY).status, 200);
    assert_eq!(read.get("advertisers", &[]).status, 200);
    assert_eq!(read.get("conversion", &[]).code(), "not_permitted");
    assert_eq!(read.post("advertiser", &[("advertiser_name", "x")]).code(), "not_permitted");
    for endpoint in ["click", "conversions", "offers", "affiliates", "campaigns", "advertisers"] {
        assert_eq!(record.get(endpoint, &DAY).code(), "not_permitted", "{endpoint}");
    }
    assert_eq!(record.get("conversion", &[]).code(), "missing_parameter");
}
