//! Many conversion calls in one request.

use domain::access::{Grant, Scope};
use domain::ids::OfferId;
use ledger::Location;
use serde_json::{Value, json};
use testkit::{Answer, Client, TestServer};

fn send(client: &Client, rows: &Value) -> Answer {
    client.post_json("record_conversions", &json!({ "conversions": rows }).to_string())
}

/// Status or error code of every row, in order.
fn outcomes(answer: &Answer) -> Vec<String> {
    let answer = answer.success();
    let rows = answer["results"].as_array().expect("a list").clone();
    let outcome = |(index, row): (usize, &Value)| {
        assert_eq!(row["row"], index);
        let code = row["error"]["code"].as_str();
        code.or(row["request_status"].as_str()).expect("either").to_owned()
    };
    rows.iter().enumerate().map(outcome).collect()
}

fn invalid(answer: &Answer, parameter: &str) {
    assert_eq!((answer.status, answer.code()), (400, "invalid_parameter".to_owned()), "{}", answer.text);
    assert_eq!(answer.json()["error"]["parameter"], parameter);
}

#[test]
fn every_row_has_its_own_answer_and_its_own_attempt() {
    let server = TestServer::start();
    let clicks: Vec<_> = (0..3).map(|_| server.client.click(&server.sample.link())).collect();
    let rows = json!([
        {"click_id": clicks[0], "offer_id": 1, "unique_id": "ORD-1", "payout": 9.5},
        {"click_id": clicks[1], "offer_id": 1, "payout": "x"},
        "no object",
        {"click_id": clicks[1], "offer_id": 99},
        {"click_id": clicks[2], "offer_id": 1,
         "items": [{"sku": "A", "quantity": 2, "price": 9.90}], "status": "hold"},
        {"r": clicks[1], "o": "1", "t": "ORD-2", "items": [{"sku": "A"}]},
        {"click_id": clicks[1], "offer_id": 1, "order_id": 7, "e": "ld"},
    ]);
    let answer = send(&server.client, &rows);
    assert_eq!(
        outcomes(&answer),
        [
            "Success",
            "invalid_parameter",
            "invalid_parameter",
            "offer_not_found",
            "Success",
            "missing_parameter",
            "invalid_parameter"
        ]
    );
    let text = &answer.text;
    let start = "{\"request_status\":\"Success\",\"recorded\":2,\"repeated\":0,\"refused\":5,\"results\":[\
                 {\"row\":0,\"request_status\":\"Success\",\"conversion\":{\"conversion_id\":";
    assert!(text.starts_with(start), "{text}");
    let results = answer.json()["results"].clone();
    assert_eq!(results[0]["conversion"]["payout"].to_string(), "9.50");
    let parameters = [1, 2, 5, 6].map(|row: usize| results[row]["error"]["parameter"].clone());
    assert_eq!(parameters, ["payout", "body", "items[0].price", "e"]);
    let again = send(&server.client, &json!([rows[0], rows[0]]));
    assert_eq!(again.json()["repeated"], 2);
    let ledger = Location::file(server.folder().join("ledger.sqlite")).open().expect("a ledger");
    let kept = |click: &str| {
        let attempts = ledger.list_attempts(click).expect("listed");
        let mut outcomes: Vec<_> = attempts.into_iter().map(|it| it.outcome).collect();
        outcomes.sort();
        outcomes
    };
    assert_eq!(kept(&clicks[0]), ["recorded", "repeated", "repeated"]);
    assert_eq!(
        kept(&clicks[1]),
        ["invalid_parameter", "invalid_parameter", "missing_parameter", "offer_not_found"]
    );
    assert_eq!(kept(""), ["invalid_parameter"]);
}

#[test]
fn a_thousand_calls_are_one_batch_and_no_more() {
    let server = TestServer::with(|config| config.api.conversions_waiting = 16);
    let click = server.client.click(&server.sample.link());
    let row = |number: usize| json!({"click_id": click, "offer_id": 1, "unique_id": format!("ORD-{number}")});
    let rows: Vec<_> = (0..1000).map(row).collect();
    let answer = send(&server.client, &json!(rows)).success();
    assert_eq!((&answer["recorded"], &answer["refused"]), (&json!(1000), &json!(0)));
    assert_eq!(answer["results"][999]["conversion"]["unique_id"], "ORD-999");
    invalid(&send(&server.client, &json!((0..1001).map(row).collect::<Vec<_>>())), "conversions");
    invalid(&send(&server.client, &json!([])), "conversions");
    invalid(&send(&server.client, &json!({})), "conversions");
    invalid(&server.client.post_json("record_conversions", "{"), "body");
    let missing = server.client.post_json("record_conversions", "{}");
    assert_eq!((missing.code(), missing.status), ("missing_parameter".to_owned(), 400));
    let pad = "x".repeat(1024 * 1024);
    let large =
        server.client.post_json("record_conversions", &json!({"conversions": [], "pad": pad}).to_string());
    assert_eq!((large.status, large.code()), (413, "too_large".to_owned()));
}

#[test]
fn a_batch_needs_a_key_that_records_and_stays_within_its_binding() {
    let server = TestServer::start();
    let click = server.client.click(&server.sample.link());
    let rows = json!([{"click_id": click, "offer_id": 1}, {"click_id": click, "offer_id": 2}]);
    let nobody = send(&server.client.with_key("crumb_wrong"), &rows);
    assert_eq!((nobody.status, nobody.code()), (401, "invalid_api_key".to_owned()));
    let reader = send(&server.client_with("reader", Grant::of(Scope::Read)), &rows);
    assert_eq!((reader.status, reader.code()), (403, "not_permitted".to_owned()));
    let grant = Grant { offer_id: Some(OfferId(1)), ..Grant::of(Scope::Conversion) };
    let bound = server.client_with("bound", grant);
    assert_eq!(outcomes(&send(&bound, &rows)), ["Success", "not_permitted"]);
    // A key in the body is one too, up to the size of other bodies.
    let body = |pad: usize| {
        let rows = json!([{"click_id": click, "offer_id": 1, "unique_id": "2"}]);
        json!({"pad": "x".repeat(pad), "api_key": bound.key(), "conversions": rows}).to_string()
    };
    let by_body = |pad| server.client.with_key("").post_json("record_conversions", &body(pad));
    assert_eq!(by_body(0).success()["recorded"], 1);
    assert_eq!(by_body(70_000).status, 401);
    assert_eq!(server.client.get("record_conversions", &[]).status, 405);
}
