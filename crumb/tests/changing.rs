//! Changing conversions: one, many at once, taking a batch back, and approval by itself.

use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use serde_json::Value;
use testkit::{Answer, Client, TestServer};

const DAY: [(&str, &str); 2] = [("start_date", "2026-06-19"), ("end_date", "2026-06-19")];

fn update(server: &TestServer, params: &[(&str, &str)]) -> Answer {
    server.client.post("update_conversion", params)
}

fn adjust(server: &TestServer, params: &[(&str, &str)]) -> Answer {
    server.client.post("adjust_conversions", &[&DAY[..], params].concat())
}

/// The code of a refusal, and the parameter at fault.
fn refused(answer: &Answer) -> (u16, String, String) {
    let parameter = answer.json()["error"]["parameter"].as_str().unwrap_or_default().to_owned();
    (answer.status, answer.code(), parameter)
}

fn listed(server: &TestServer) -> Vec<Value> {
    let found = server.client.get("conversions", &DAY).success();
    let rows = found["conversions"].as_array().expect("a list");
    rows.iter().map(|row| row["conversion"].clone()).collect()
}

/// Status, payout and revenue of every conversion, by number.
fn standings(server: &TestServer) -> Vec<String> {
    let standing = |it: &Value| format!("{} {} {}", it["conversion_status"], it["payout"], it["revenue"]);
    listed(server).iter().map(standing).collect()
}

/// What the affiliate is owed and the advertiser owes, as the balances say.
fn balances(client: &Client) -> Vec<String> {
    let found = client.get("balances", &[]).success();
    let rows = found["balances"].as_array().expect("a list");
    rows.iter().map(|it| format!("{} {}", it["balance"], it["pending"])).collect()
}

#[test]
fn a_change_is_a_dated_adjustment_and_the_conversion_is_answered_as_it_is_listed() {
    let server = TestServer::start();
    let id = server.convert("ORD-1").to_string();
    server.clock.advance_seconds(86_400);
    let params = [
        ("conversion_id", &*id),
        ("conversion_status", "returned"),
        ("payout", "17.5"),
        ("add_revenue", "-0.0125"),
        ("note", "sent back"),
        ("effective_date", "conversion_date"),
    ];
    let answer = update(&server, &params).success();
    assert_eq!(answer["conversion"], listed(&server)[0]);
    assert_eq!(standings(&server), ["\"reversed\" 0.00 0.00"]);
    let adjustment = &answer["adjustment"];
    let expected = serde_json::json!({
        "conversion_id": 1, "adjustment": 1, "offer_id": 1,
        "adjustment_date": "2026-06-20 14:30:00", "effective_date": "2026-06-19 14:30:00",
        "cause": "update", "batch_id": null, "note": "sent back", "key_name": "admin",
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(adjustment[name], *value, "{name}");
    }
    assert_eq!(adjustment["before"]["payout"].to_string(), "18.00");
    assert_eq!(adjustment["after"]["payout"].to_string(), "0.00");

    // Approved again, it is worth its price with every adjustment.
    update(&server, &[("conversion_id", &id), ("conversion_status", "approved")]).success();
    assert_eq!(standings(&server), ["\"approved\" 17.50 21.9875"]);
    let listed = server.client.get("adjustments", &[("conversion_id", &id)]).success();
    assert_eq!(listed["total_rows"], 2);
    assert_eq!(listed["adjustments"][0], *adjustment);
}

#[test]
fn what_stands_as_asked_is_not_adjusted_again() {
    let server = TestServer::start();
    let id = server.convert("ORD-1").to_string();
    let params = [("conversion_id", &*id), ("conversion_status", "rejected")];
    assert_eq!(update(&server, &params).success()["adjustment"]["adjustment"], 1);
    assert_eq!(update(&server, &params).success()["adjustment"], Value::Null);
    assert_eq!(server.client.get("adjustments", &[]).success()["total_rows"], 1);
}

#[test]
fn a_conversion_is_found_by_offer_and_transaction() {
    let server = TestServer::start();
    server.convert("ORD-1");
    server.convert("ORD-2");
    let params = [("offer_id", "1"), ("unique_id", "ORD-2"), ("conversion_status", "scrubbed")];
    assert_eq!(update(&server, &params).code(), "status_not_allowed", "approved never becomes ignored");
    let params = [("offer_id", "1"), ("unique_id", "ORD-2"), ("conversion_status", "pending")];
    assert_eq!(update(&server, &params).success()["conversion"]["conversion_id"], 2);
    for absent in [
        vec![("offer_id", "2"), ("unique_id", "ORD-2")],
        vec![("offer_id", "1"), ("unique_id", "ORD-3")],
        vec![("offer_id", "1"), ("unique_id", "ORD-2"), ("event_id", "9")],
        vec![("conversion_id", "99")],
    ] {
        let answer = update(&server, &[&absent[..], &[("payout", "1")]].concat());
        assert_eq!((answer.status, answer.code()), (404, "conversion_not_found".to_owned()), "{absent:?}");
    }
}

#[test]
fn a_transaction_with_several_events_needs_the_event() {
    let server = TestServer::start();
    let event = server.client.post("event", &[("advertiser_id", "1"), ("event_name", "Lead")]).success();
    let event_id = event["event"]["event_id"].to_string();
    server.client.post("offer_event", &[("offer_id", "1"), ("event_id", &event_id)]).success();
    let click = server.client.click(&server.sample.link());
    for event_id in ["1", &*event_id] {
        let call = [("click_id", &*click), ("offer_id", "1"), ("unique_id", "ORD-1"), ("event_id", event_id)];
        server.client.get("conversion", &call).success();
    }
    let params = [("offer_id", "1"), ("unique_id", "ORD-1"), ("conversion_status", "pending")];
    let answer = update(&server, &params);
    assert_eq!((answer.status, answer.code()), (409, "conflict".to_owned()));
    assert!(answer.text.contains("event_id"), "{}", answer.text);
    let with_event = [&params[..], &[("event_id", &*event_id)]].concat();
    assert_eq!(update(&server, &with_event).success()["conversion"]["conversion_id"], 2);
}

#[test]
fn every_refusal_has_its_code_and_changes_nothing() {
    let server = TestServer::start();
    let id = server.convert("ORD-1").to_string();
    let check = |params: &[(&str, &str)], status: u16, code: &str, parameter: &str| {
        let answer = update(&server, params);
        assert_eq!(refused(&answer), (status, code.to_owned(), parameter.to_owned()), "{params:?}");
    };
    let this = ("conversion_id", &*id);
    check(&[("payout", "1")], 400, "missing_parameter", "conversion_id");
    check(&[("offer_id", "1"), ("payout", "1")], 400, "missing_parameter", "unique_id");
    check(&[("unique_id", "ORD-1"), ("payout", "1")], 400, "missing_parameter", "offer_id");
    check(&[this, ("offer_id", "1"), ("payout", "1")], 400, "invalid_parameter", "offer_id");
    check(&[this], 400, "invalid_parameter", "conversion_status");
    check(&[this, ("conversion_status", "paid")], 400, "invalid_parameter", "conversion_status");
    check(&[this, ("payout", "-1")], 400, "invalid_parameter", "payout");
    check(&[this, ("add_payout", "x")], 400, "invalid_parameter", "add_payout");
    check(&[this, ("payout", "1"), ("add_payout", "1")], 400, "invalid_parameter", "add_payout");
    check(&[this, ("revenue", "1"), ("add_revenue", "1")], 400, "invalid_parameter", "add_revenue");
    check(&[this, ("payout", "1"), ("reason", "x")], 400, "invalid_parameter", "reason");
    check(&[this, ("payout", "1"), ("note", &"n".repeat(501))], 400, "invalid_parameter", "note");
    check(&[this, ("payout", "1"), ("effective_date", "soon")], 400, "invalid_parameter", "effective_date");
    check(&[this, ("payout", "1"), ("effective_date", "custom")], 400, "missing_parameter", "custom_date");
    check(&[this, ("payout", "1"), ("custom_date", "2026-06-01")], 400, "invalid_parameter", "custom_date");
    let later = [("effective_date", "custom"), ("custom_date", "2026-06-20 14:30:01")];
    check(&[&[this, ("payout", "1")], &later[..]].concat(), 400, "invalid_parameter", "custom_date");
    check(&[this, ("add_payout", "-18.0001")], 422, "amount_out_of_range", "");
    check(&[this, ("add_revenue", "999999999")], 422, "amount_out_of_range", "");
    check(&[this, ("conversion_status", "ignored")], 422, "status_not_allowed", "");
    assert_eq!(standings(&server), ["\"approved\" 18.00 22.00"]);
    assert_eq!(server.client.get("adjustments", &[]).success()["total_rows"], 0);

    let dated = [this, ("payout", "1"), ("effective_date", "custom"), ("custom_date", "2026-06-20 14:30:00")];
    let adjusted = update(&server, &dated).success();
    assert_eq!(adjusted["adjustment"]["effective_date"], "2026-06-20 14:30:00");
}

#[test]
fn only_an_admin_changes_anything() {
    let server = TestServer::start();
    server.convert("ORD-1");
    let affiliate = Grant { affiliate_id: Some(AffiliateId(1)), ..Grant::of(Scope::Affiliate) };
    for (name, grant) in
        [("read", Grant::of(Scope::Read)), ("record", Grant::of(Scope::Conversion)), ("partner", affiliate)]
    {
        let client = server.client_with(name, grant);
        for endpoint in ["update_conversion", "adjust_conversions", "undo_batch", "statement"] {
            let answer = client.post(endpoint, &[("conversion_id", "1"), ("payout", "1")]);
            assert_eq!((answer.status, answer.code()), (403, "not_permitted".to_owned()), "{endpoint}");
        }
    }
}

#[test]
fn a_billed_conversion_is_left_alone_where_that_is_asked() {
    let server = TestServer::start();
    let id = server.convert("ORD-1").to_string();
    server.clock.advance_seconds(86_400);
    server.client.post("statement", &[("affiliate_id", "1"), ("end_date", "2026-06-19")]).success();
    let params = [("conversion_id", &*id), ("conversion_status", "reversed")];
    let careful = [&params[..], &[("refuse_if_billed", "true")]].concat();
    let answer = update(&server, &careful);
    assert_eq!((answer.status, answer.code()), (422, "already_billed".to_owned()));
    assert_eq!(answer.json()["error"]["conversion_id"], 1);
    let change = [("conversion_status", "reversed"), ("refuse_if_billed", "true")];
    let preview = adjust(&server, &change).success();
    assert_eq!(preview["preview"]["refused_by_reason"]["already_billed"], 1);
    update(&server, &params).success();
}

#[test]
fn a_mass_adjustment_is_looked_at_first_and_then_one_batch_that_can_be_taken_back() {
    let server = TestServer::start();
    for number in 0..12 {
        server.convert(&format!("ORD-{number}"));
        if number == 0 {
            update(&server, &[("conversion_id", "1"), ("conversion_status", "rejected")]).success();
        }
    }
    let (before, owed) = (standings(&server), balances(&server.client));
    let change =
        [("add_payout", "-3"), ("add_revenue", "1"), ("current_status", "approved"), ("note", "late")];
    let preview = adjust(&server, &change).success()["preview"].clone();
    assert_eq!(
        (&preview["adjustments"], &preview["unchanged"], &preview["refused"]),
        (&11.into(), &0.into(), &0.into())
    );
    let totals = &preview["totals"][0];
    let shown = ["payout_before", "payout_after", "revenue_before", "revenue_after"]
        .map(|name| totals[name].to_string());
    assert_eq!(shown, ["198.00", "165.00", "242.00", "253.00"]);
    assert_eq!((&totals["currency"], totals["currency"].as_str()), (&"USD".into(), Some("USD")));
    let sample = preview["sample"].as_array().expect("a list");
    assert_eq!(sample.len(), 10);
    assert_eq!(sample[0]["conversion"]["conversion_id"], 2);
    assert_eq!(sample[0]["adjustment"]["after"]["payout"].to_string(), "15.00");
    assert_eq!(
        (standings(&server), balances(&server.client)),
        (before.clone(), owed.clone()),
        "nothing is done yet"
    );

    let done = adjust(&server, &[&change[..], &[("dry_run", "false")]].concat()).success()["batch"].clone();
    assert_eq!(
        (&done["adjustments"], &done["unchanged"], &done["refused"]),
        (&11.into(), &0.into(), &0.into())
    );
    assert_eq!(standings(&server)[1..], vec!["\"approved\" 15.00 23.00"; 11]);
    let batches = server.client.get("batches", &[]).success();
    let batch = &batches["batches"][0];
    assert_eq!((&batch["batch_type"], &batch["note"]), (&"mass_adjustment".into(), &"late".into()));
    assert_eq!((&batch["adjustments"], &batch["undo_date"]), (&11.into(), &Value::Null));

    // What came after the batch stays when it is taken back.
    update(&server, &[("conversion_id", "2"), ("add_payout", "0.25")]).success();
    let batch_id = done["batch_id"].to_string();
    let undone = server.client.post("undo_batch", &[("batch_id", &batch_id)]).success();
    assert_eq!(
        (&undone["batch"]["adjustments"], &undone["batch"]["batch_id"]),
        (&11.into(), &done["batch_id"])
    );
    let again = server.client.post("undo_batch", &[("batch_id", &batch_id)]);
    assert_eq!((again.status, again.code()), (409, "conflict".to_owned()));
    update(&server, &[("conversion_id", "2"), ("add_payout", "-0.25")]).success();
    assert_eq!((standings(&server), balances(&server.client)), (before, owed));
    let unknown = server.client.post("undo_batch", &[("batch_id", "99")]);
    assert_eq!((unknown.status, unknown.code()), (404, "batch_not_found".to_owned()));
}

#[test]
fn a_mass_adjustment_tells_what_it_refuses_and_why() {
    let server = TestServer::start();
    for number in 0..3 {
        server.convert(&format!("ORD-{number}"));
    }
    update(&server, &[("conversion_id", "1"), ("conversion_status", "reversed")]).success();
    update(&server, &[("conversion_id", "2"), ("payout", "1")]).success();
    let preview = adjust(&server, &[("conversion_status", "reversed"), ("add_payout", "-2")]).success();
    let preview = &preview["preview"];
    assert_eq!((&preview["adjustments"], &preview["refused"]), (&2.into(), &1.into()));
    assert_eq!(preview["refused_by_reason"]["amount_out_of_range"], 1);
    let ignored = adjust(&server, &[("conversion_status", "ignored")]).success();
    assert_eq!(ignored["preview"]["refused_by_reason"]["status_not_allowed"], 3);
    let none = adjust(&server, &[("payout", "1"), ("offer_id", "9"), ("dry_run", "false")]).success();
    assert_eq!((&none["batch"]["batch_id"], &none["batch"]["adjustments"]), (&Value::Null, &0.into()));
    assert_eq!(server.client.get("batches", &[]).success()["total_rows"], 0);
    let undated = server.client.post("adjust_conversions", &[DAY[0], ("payout", "1")]);
    assert_eq!(refused(&undated), (400, "missing_parameter".to_owned(), "end_date".to_owned()));
    let unknown = adjust(&server, &[("payout", "1"), ("sort_field", "payout")]);
    assert_eq!(refused(&unknown), (400, "invalid_parameter".to_owned(), "sort_field".to_owned()));
}

#[test]
fn conversions_are_approved_by_themselves_when_their_time_has_come() {
    let server = TestServer::start();
    let offer = [("offer_id", "1"), ("conversion_approval", "manual"), ("approval_delay_hours", "24")];
    server.client.post("update_offer", &offer).success();
    for unique_id in ["ORD-1", "ORD-2"] {
        server.convert(unique_id);
    }
    update(&server, &[("conversion_id", "2"), ("conversion_status", "rejected")]).success();
    assert_eq!(standings(&server), ["\"pending\" 18.00 22.00", "\"rejected\" 0.00 0.00"]);
    server.clock.advance_seconds(24 * 3600);
    while standings(&server)[0] != "\"approved\" 18.00 22.00" {
        std::thread::yield_now();
    }
    assert_eq!(standings(&server)[1], "\"rejected\" 0.00 0.00", "somebody has decided");
    let made = server.client.get("adjustments", &[("conversion_id", "1")]).success();
    assert_eq!((&made["total_rows"], &made["adjustments"][0]["cause"]), (&1.into(), &"auto_approval".into()));
    assert_eq!(made["adjustments"][0]["adjustment_date"], "2026-06-20 14:30:00");
    let metrics = server.client.path("/metrics").text;
    assert!(metrics.contains("crumb_conversions_approved_total 1\n"), "{metrics}");
}

#[test]
fn an_affiliate_reads_its_own_adjustments_without_revenue_or_names() {
    let server = TestServer::start();
    server.convert("ORD-1");
    update(&server, &[("conversion_id", "1"), ("payout", "17"), ("revenue", "21"), ("note", "typo")])
        .success();
    let own = |id| Grant { affiliate_id: Some(AffiliateId(id)), ..Grant::of(Scope::Affiliate) };
    let partner = server.client_with("partner", own(1)).get("adjustments", &[]);
    assert_eq!(partner.success()["adjustments"][0]["note"], "typo");
    assert!(!partner.text.contains("revenue") && !partner.text.contains("admin"), "{}", partner.text);
    let stranger = server.client_with("stranger", own(2));
    assert_eq!(stranger.get("adjustments", &[]).success()["total_rows"], 0);
    assert_eq!(stranger.get("adjustments", &[("affiliate_id", "1")]).code(), "not_permitted");
    assert_eq!(stranger.get("batches", &[]).code(), "not_permitted");
}

#[test]
fn more_conversions_than_one_mass_adjustment_takes_are_refused_before_any_is_changed() {
    let server = TestServer::start();
    server.convert("");
    let ledger = rusqlite::Connection::open(server.folder().join("ledger.sqlite")).expect("opens");
    let names: Vec<String> = {
        let mut columns =
            ledger.prepare("SELECT name FROM pragma_table_info('conversions')").expect("columns");
        let names = columns.query_map((), |row| row.get(0)).expect("asked");
        names.map(|it| it.expect("a name")).filter(|name| name != "conversion_id").collect()
    };
    let names = names.join(", ");
    let copy = |copies: u32| {
        let sql = format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {copies}) \
             INSERT INTO conversions ({names}) SELECT {names} FROM conversions, numbers WHERE conversion_id = 1"
        );
        ledger.execute(&sql, ()).expect("copied");
    };
    copy(99_999);
    let preview = adjust(&server, &[("payout", "1")]).success();
    assert_eq!(preview["preview"]["adjustments"], 100_000);
    copy(1);
    for dry_run in ["true", "false"] {
        let answer = adjust(&server, &[("payout", "1"), ("dry_run", dry_run)]);
        assert_eq!((answer.status, answer.code()), (422, "too_many_conversions".to_owned()));
        assert!(answer.text.contains("100000"), "{}", answer.text);
    }
    assert_eq!(server.client.get("adjustments", &[]).success()["total_rows"], 0);
    assert_eq!(server.client.get("batches", &[]).success()["total_rows"], 0);
}
