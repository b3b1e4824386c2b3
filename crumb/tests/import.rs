//! Importing conversions from a file.

use domain::access::{Grant, Scope};
use domain::delivery::Delivery;
use domain::postback::DELAY_SECONDS_MAX;
use ledger::{DeliveryFilter, Ledger, Location};
use serde_json::{Value, json};
use testkit::{Answer, TestServer};

const NOW: &str = "2026-06-19 14:30:00";
const HEADER: &str = "click_id,offer_id,conversion_date,unique_id,payout\n";
const GO: (&str, &str) = ("dry_run", "false");

fn send(server: &TestServer, params: &[(&str, &str)], text: &str) -> Answer {
    server.client.post_file("import_conversions", params, text.as_bytes())
}

fn dry_run(server: &TestServer, text: &str) -> Value {
    send(server, &[], text).success()["import"].clone()
}

fn import(server: &TestServer, text: &str) -> Value {
    send(server, &[GO], text).success()["import"].clone()
}

/// Each row as `line outcome reason`, the reason as far as its code goes.
fn told(import: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let reason = row["reason"].as_str().unwrap_or_default().split(':').next().unwrap_or_default();
        format!("{} {} {reason}", row["line"], row["outcome"].as_str().expect("a text")).trim().to_owned()
    };
    let rows: Vec<_> = import["results"].as_array().expect("a list").iter().map(row).collect();
    assert_eq!(import["rows"], rows.len());
    for outcome in ["recorded", "repeated", "adjusted", "unchanged", "refused", "unreadable"] {
        let found = rows.iter().filter(|it| it.split(' ').nth(1) == Some(outcome)).count();
        assert_eq!(import[outcome], found, "{outcome}: {rows:?}");
    }
    rows
}

/// Asserts that a file becomes this, and that a dry run foresees it.
fn becomes(server: &TestServer, text: &str, expected: &[&str]) -> Value {
    assert_eq!(told(&dry_run(server, text)), expected, "foreseen of {text}");
    let imported = import(server, text);
    assert_eq!(told(&imported), expected, "{text}");
    imported
}

fn clicks<const N: usize>(server: &TestServer) -> [String; N] {
    std::array::from_fn(|_| server.client.click(&server.sample.link()))
}

fn conversions(server: &TestServer) -> Vec<Value> {
    let params = [("start_date", "2026-01-01"), ("end_date", "2027-12-31"), ("sort_field", "conversion_id")];
    let listed = server.client.get("conversions", &params).success();
    listed["conversions"].as_array().expect("a list").iter().map(|it| it["conversion"].clone()).collect()
}

fn standing(server: &TestServer) -> Vec<String> {
    let one = |it: &Value| format!("{} {}", it["conversion_status"].as_str().expect("a text"), it["payout"]);
    conversions(server).iter().map(one).collect()
}

fn refused(answer: &Answer, status: u16, code: &str, names: &str) {
    assert_eq!((answer.status, &*answer.code()), (status, code), "{}", answer.text);
    assert!(answer.text.contains(names), "{names} is not named: {}", answer.text);
}

#[test]
fn a_dry_run_writes_nothing_and_foresees_the_import() {
    let server = TestServer::start();
    let [a, b, c] = clicks(&server);
    let text = format!(
        "{HEADER}{a},1,{NOW},ORD-1,9.50\n{b},1,{NOW},ORD-1,\n{a},1,{NOW},ORD-1,9.5\n{b},99,{NOW},ORD-2,\n\
         {c},1,{NOW},,x\n{c},1,{NOW},ORD-3\nnobody,1,{NOW},ORD-4,\n{c},1,{NOW},,\n"
    );
    let expected = [
        "2 recorded",
        "3 refused duplicate_conversion",
        "4 repeated",
        "5 refused offer_not_found",
        "6 unreadable payout",
        "7 unreadable 4 values, and the header has 5 columns",
        "8 refused click_not_found",
        "9 recorded",
    ];
    let foreseen = dry_run(&server, &text);
    assert_eq!(told(&foreseen), expected);
    assert_eq!((&foreseen["batch_id"], &foreseen["dry_run"]), (&Value::Null, &json!(true)));
    let numbers = foreseen["results"].as_array().expect("a list").iter().map(|it| &it["conversion_id"]);
    assert!(numbers.into_iter().all(Value::is_null), "{foreseen}");
    assert_eq!(conversions(&server).len(), 0);
    assert_eq!(server.client.get("batches", &[]).success()["total_rows"], 0);
    let ledger = Location::file(server.folder().join("ledger.sqlite")).open().expect("a ledger");
    let attempts = |click: &str| ledger.list_attempts(click).expect("listed");
    assert!([&*a, &*b, &*c, "nobody"].into_iter().all(|it| attempts(it).is_empty()));

    let imported = import(&server, &text);
    assert_eq!(told(&imported), expected);
    assert_eq!((&imported["batch_id"], &imported["dry_run"]), (&json!(1), &json!(false)));
    let first = &imported["results"][0]["conversion_id"];
    assert_eq!(
        (&imported["results"][1]["conversion_id"], &imported["results"][2]["conversion_id"]),
        (first, first)
    );
    let kept: Vec<_> = attempts(&a).into_iter().map(|it| (it.outcome, it.door.name(), it.batch_id)).collect();
    let batch = Some(domain::ids::BatchId(1));
    assert_eq!(kept, [("recorded".into(), "import", batch), ("repeated".into(), "import", batch)]);
    assert_eq!(attempts(&c)[0].reason, "payout: not an amount: use a plain decimal number such as 18.00");
    assert_eq!(standing(&server), ["approved 9.50", "approved 18.00"]);
}

#[test]
fn the_same_file_again_repeats_and_its_batch_is_taken_back_whole() {
    let server = TestServer::start();
    let [a, b] = clicks(&server);
    let text = format!("{HEADER}{a},1,{NOW},ORD-1,\n{b},1,{NOW},,3.25\n");
    let batch_id = becomes(&server, &text, &["2 recorded", "3 recorded"])["batch_id"].to_string();
    let again = becomes(&server, &text, &["2 repeated", "3 repeated"]);
    assert_ne!(again["batch_id"].to_string(), batch_id);
    let params = [("batch_id", &*batch_id)];
    assert_eq!(server.client.post("undo_batch", &params).success()["batch"]["adjustments"], 2);
    assert_eq!(standing(&server), ["reversed 0.00", "reversed 0.00"]);
    refused(&server.client.post("undo_batch", &params), 409, "conflict", "taken back before");
    refused(&send(&server, &[GO, ("batch_id", &batch_id)], &text), 409, "conflict", "taken back");
    refused(&send(&server, &[GO, ("batch_id", "99")], &text), 404, "batch_not_found", "Batch");
    becomes(&server, &text, &["2 repeated", "3 repeated"]);
    assert_eq!(standing(&server), ["reversed 0.00", "reversed 0.00"], "a repeat does not bring it back");
}

#[test]
fn a_row_without_a_transaction_is_the_same_row_by_its_click_and_date() {
    let server = TestServer::start();
    let [a, b, c] = clicks(&server);
    let header = "click_id,offer_id,conversion_date\n";
    let twice = format!("{header}{a},1,{NOW}\n{a},1,{NOW}\n{a},1,2026-06-19 14:31:00\n");
    becomes(&server, &twice, &["2 recorded", "3 repeated", "4 refused duplicate_conversion"]);
    becomes(&server, &twice, &["2 repeated", "3 repeated", "4 refused duplicate_conversion"]);
    server.client.get("conversion", &[("click_id", &c), ("offer_id", "1")]).success();
    let by_api = format!("{header}{c},1,{NOW}\n");
    becomes(&server, &by_api, &["2 refused duplicate_conversion"]);
    // Where a click may convert again, the same row still does not.
    server.client.post("update_offer", &[("offer_id", "1"), ("allow_duplicates", "true")]).success();
    let more = format!("{header}{b},1,{NOW}\n{b},1,{NOW}\n{b},1,2026-06-19 14:31:00\n");
    becomes(&server, &more, &["2 recorded", "3 repeated", "4 recorded"]);
    becomes(&server, &more, &["2 repeated", "3 repeated", "4 repeated"]);
    assert_eq!(conversions(&server).len(), 4);
}

#[test]
fn a_file_may_be_written_in_many_ways() {
    let server = TestServer::start();
    let check = |text: &dyn Fn(&str) -> String, expected: &[&str]| {
        let [click] = clicks(&server);
        becomes(&server, &text(&click), expected);
    };
    check(&|it| format!("\u{feff}{HEADER}{it},1,{NOW},,1.25"), &["2 recorded"]);
    check(
        &|it| format!("payout;Unique_ID;conversion_date;OFFER_ID;click_id\r\n1.25;;{NOW};1;{it}\r\n"),
        &["2 recorded"],
    );
    check(&|it| format!("offer_id\tclick_id\tconversion_date\n1\t{it}\t06/19/2026\n"), &["2 recorded"]);
    check(&|it| format!("click_id , offer_id , conversion_date\n {it} , 1 , {NOW} \n"), &["2 recorded"]);
    let quoted = |it: &str| {
        format!(
            "click_id,offer_id,conversion_date,adv1\n\"{it}\",\"1\",\"{NOW}\",\"a, \"\"b\"\"\nc\"\n\nx,1,{NOW},\n"
        )
    };
    check(&quoted, &["2 recorded", "5 refused click_not_found"]);
    assert_eq!(conversions(&server).last().expect("one")["adv1"], "a, \"b\"\nc");
    // A last line that was cut off is not taken for a whole one.
    check(
        &|it| format!("{HEADER}{it},1,{NOW},,1.25\n{it},1,2026"),
        &["2 recorded", "3 unreadable 3 values, and the header has 5 columns"],
    );
    let open = |it: &str| format!("{HEADER}{it},1,{NOW},,1.25\n{it},1,{NOW},ORD-9,\"1");
    check(&open, &["2 recorded", "3 unreadable a quote in it is never closed"]);
    let invalid = [format!("{HEADER}x,1,{NOW},").as_bytes(), b"\xff,\n"].concat();
    let answer = server.client.post_file("import_conversions", &[GO], &invalid).success();
    assert_eq!(told(&answer["import"]), ["2 unreadable not UTF-8"]);
    assert_eq!(conversions(&server).len(), 7);
}

#[test]
fn a_header_that_cannot_be_used_is_refused_as_a_whole() {
    let server = TestServer::start();
    for (text, names) in [
        ("", "the file is empty"),
        ("click_id,offer_id\n", "missing conversion_date"),
        ("click_id,offer_id,conversion_date,click_id\n", "click_id and click_id are the same column twice"),
        ("click_id,offer_id,conversion_date,colour\n", "unknown columns: colour"),
        ("{\"json\": 1}", "missing click_id, offer_id, conversion_date"),
    ] {
        let answer = send(&server, &[GO], text);
        refused(&answer, 400, "invalid_parameter", names);
        assert_eq!(answer.json()["error"]["parameter"], "header");
    }
    assert_eq!(server.client.get("batches", &[]).success()["total_rows"], 0);
    let [click] = clicks(&server);
    let text = format!("colour,click_id,offer_id,conversion_date\nred,{click},1,{NOW}\n");
    let taken = send(&server, &[GO, ("ignore_unknown", "true")], &text).success();
    assert_eq!(told(&taken["import"]), ["2 recorded"]);
}

#[test]
fn everflows_files_record_by_the_click_alone_and_change_what_is_recorded() {
    let server = TestServer::start();
    let [a, b] = clicks(&server);
    let text = format!(
        "transaction_id,event_id,payout,revenue,sale_amount\n{a},0,2.50,4,61\n{b},,,,\nnobody,0,1,2,3\n{a},7,1,2,3\n"
    );
    let expected = ["2 recorded", "3 recorded", "4 refused click_not_found", "5 refused invalid_parameter"];
    becomes(&server, &text, &expected);
    becomes(&server, &text, &["2 repeated", "3 repeated", expected[2], expected[3]]);
    let first = &conversions(&server)[0];
    assert_eq!((first["revenue"].to_string(), first["amount"].to_string()), ("4.00".into(), "61.00".into()));

    let text = "conversion_id,payout,revenue,sale_amount\n1,3,,61\n1,3,4,\n2,,,70\n99,1,1,\nx,1,1,\n1,-1,,\n";
    let expected = [
        "2 adjusted",
        "3 unchanged",
        "4 unchanged the sale's amount stays as it was recorded",
        "5 refused conversion_not_found",
        "6 unreadable conversion_id",
        "7 unreadable payout",
    ];
    assert_eq!(told(&import(&server, text)), expected);
    assert_eq!(standing(&server), ["approved 3.00", "approved 18.00"]);
    let adjustments = server.client.get("adjustments", &[("conversion_id", "1")]).success();
    let adjustment = &adjustments["adjustments"][0];
    assert_eq!((&adjustment["cause"], adjustments["total_rows"].as_u64()), (&json!("import"), Some(1)));
}

#[test]
fn statuses_are_brought_about_in_the_same_batch_and_others_words_are_kept() {
    let server = TestServer::start();
    let clicks: [String; 7] = clicks(&server);
    let words = ["approved", "hold", "Paid", "scrubbed", "returned", "rejected", "perhaps"];
    let row = |(click, word): (&String, &str)| format!("{click},1,2026-06-19 14:30:00,ORD-{word},{word}\n");
    let rows: String = clicks.iter().zip(words).map(row).collect();
    let text = format!("click_id,offer_id,conversion_date,unique_id,conversion_status\n{rows}");
    let mut expected: Vec<_> = (2..8).map(|line| format!("{line} recorded")).collect();
    expected.push("8 unreadable conversion_status".to_owned());
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    let batch_id = becomes(&server, &text, &expected)["batch_id"].to_string();
    let now = [
        "approved 18.00",
        "pending 18.00",
        "approved 18.00",
        "ignored 0.00",
        "reversed 0.00",
        "rejected 0.00",
    ];
    assert_eq!(standing(&server), now);
    let repeated: Vec<_> = expected.iter().map(|it| it.replace("recorded", "repeated")).collect();
    becomes(&server, &text, &repeated.iter().map(String::as_str).collect::<Vec<_>>());
    let ledger = Location::file(server.folder().join("ledger.sqlite")).open().expect("a ledger");
    let kept = ledger.find_conversion(domain::ids::ConversionId(2)).expect("asked").expect("there");
    assert_eq!(kept.details, r#"{"original_status":"hold"}"#);

    server.clock.advance_seconds(86_400);
    let changed =
        text.replace("ORD-hold,hold", "ORD-hold,paid").replace("ORD-scrubbed,scrubbed", "ORD-scrubbed,paid");
    becomes(
        &server,
        &changed,
        &[
            "2 repeated",
            "3 adjusted",
            "4 repeated",
            "5 refused status_not_allowed",
            "6 repeated",
            "7 repeated",
            expected[6],
        ],
    );
    // What a row has brought with it counts from its own date; what changes later, from then on.
    let dates = |id: &str| {
        let found = server.client.get("adjustments", &[("conversion_id", id)]).success();
        let rows = found["adjustments"].as_array().expect("a list").clone();
        rows.iter().map(|it| it["effective_date"].as_str().expect("a date").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(dates("2"), ["2026-06-19 14:30:00", "2026-06-20 14:30:00"]);
    assert_eq!(dates("4"), ["2026-06-19 14:30:00", "2026-06-19 14:30:00"]);
    server.client.post("undo_batch", &[("batch_id", &batch_id)]).success();
    let ledger_says = ledger.find_batch(domain::ids::BatchId(1)).expect("asked").expect("there");
    assert_eq!(ledger_says.conversions, 6);
}

#[test]
fn an_import_may_backfill_and_state_payouts_and_minds_suppression_lists() {
    let server = TestServer::start();
    let [a, b] = clicks(&server);
    server.clock.advance_seconds(60 * 86_400);
    let late = [("click_id", &*a), ("offer_id", "1")];
    assert_eq!(server.client.get("conversion", &late).code(), "click_expired");
    let listed = [("kind", "email"), ("values", "ann@example.org"), ("action", "reject")];
    server.client.post("suppression", &listed).success();
    let text = format!(
        "click_id,offer_id,conversion_date,payout,email\n{b},1,{NOW},,Ann@example.org\n{a},1,{NOW},7.75,bob@example.org\n"
    );
    becomes(&server, &text, &["2 refused suppressed", "3 recorded"]);
    assert_eq!(standing(&server), ["approved 7.75"]);
    let ledger = Location::file(server.folder().join("ledger.sqlite")).open().expect("a ledger");
    let raw = ledger.list_attempts(&b).expect("listed").pop().expect("one").raw;
    assert!(raw.starts_with("click_id=") && !raw.contains("xample"), "{raw}");
}

#[test]
fn a_long_file_comes_in_pieces_of_one_batch() {
    let server = TestServer::start();
    let [a, b] = clicks(&server);
    let begun = send(&server, &[GO, ("note", "May")], HEADER).success()["import"].clone();
    let batch_id = begun["batch_id"].to_string();
    assert_eq!(told(&begun), Vec::<String>::new());
    let piece = |line: &str, row: &str| {
        let params = [GO, ("batch_id", &*batch_id), ("first_line", line)];
        send(&server, &params, &format!("{HEADER}{row}\n")).success()["import"].clone()
    };
    assert_eq!(told(&piece("2", &format!("{a},1,{NOW},ORD-1,"))), ["2 recorded"]);
    let second = piece("5002", &format!("\n{b},1,{NOW},ORD-2,"));
    assert_eq!((told(&second), second["batch_id"].to_string()), (vec!["5003 recorded".to_owned()], batch_id));
    let batches = server.client.get("batches", &[]).success();
    let batch = &batches["batches"][0];
    assert_eq!(
        (&batches["total_rows"], &batch["conversions"], &batch["note"]),
        (&json!(1), &json!(2), &json!("May"))
    );
    assert_eq!(batch["batch_type"], "import");
}

#[test]
fn an_import_is_bounded_and_for_admins() {
    let server = TestServer::start();
    let rows = |count: usize| format!("conversion_id,payout\n{}", "99,1\n".repeat(count));
    assert_eq!(send(&server, &[], &rows(10_000)).success()["import"]["refused"], 10_000);
    refused(&send(&server, &[GO], &rows(10_001)), 400, "invalid_parameter", "at most 10000 rows");
    let large = format!("{}\n", "x".repeat(8 * 1024 * 1024));
    refused(&send(&server, &[], &large), 413, "too_large", "8388608");
    for (params, names) in [
        (("first_line", "0"), "first_line"),
        (("dry_run", "perhaps"), "dry_run"),
        (("offer_id", "1"), "offer_id"),
        (("note", &*"x".repeat(501)), "note"),
    ] {
        refused(&send(&server, &[params], &rows(1)), 400, "invalid_parameter", names);
    }
    let json = server.client.post_json("import_conversions", "{}");
    refused(&json, 415, "unsupported_body", "text/csv");
    for scope in [Scope::Conversion, Scope::Read] {
        let other = server.client_with(scope.name(), Grant::of(scope));
        refused(&other.post_file("import_conversions", &[], b""), 403, "not_permitted", "permit");
    }
    let nobody = server.client.with_key("crumb_wrong").post_file("import_conversions", &[], b"");
    refused(&nobody, 401, "invalid_api_key", "Key");
    assert_eq!(server.client.get("import_conversions", &[]).status, 405);
}

/// What postbacks were told of, in order: conversion, booking, cause, status.
fn postbacks_told(ledger: &dyn Ledger) -> Vec<String> {
    let listed = ledger.list_deliveries(&DeliveryFilter::default(), 0, 100).expect("listed");
    let one = |it: &Delivery| {
        let id = it.id;
        format!("{} {} {} {}", id.conversion_id, id.booking, it.cause.name(), it.standing.status)
    };
    listed.rows.iter().map(one).collect()
}

#[test]
fn postbacks_tell_of_each_row_once_and_as_it_stands_in_the_end() {
    let server = TestServer::start();
    let ledger = Location::file(server.folder().join("ledger.sqlite")).open().expect("a ledger");
    // A month later: beyond the test's end.
    server.create_postback(|it| it.delay_seconds = DELAY_SECONDS_MAX);
    let clicks: [String; 8] = clicks(&server);
    let header = "click_id,offer_id,conversion_date,unique_id,conversion_status\n";
    let row = |place: usize, word: &str| format!("{},1,{NOW},ORD-{place},{word}\n", clicks[place]);
    let rows: String =
        (0..5).zip(["", "paid", "hold", "rejected", "returned"]).map(|(at, it)| row(at, it)).collect();
    let text = format!("{header}{rows}");
    dry_run(&server, &text);
    assert_eq!(postbacks_told(&*ledger), Vec::<String>::new(), "a dry run tells nobody");
    import(&server, &text);
    let mut expected = vec![
        "1 0 recorded approved",
        "2 0 recorded approved",
        "3 1 recorded pending",
        "4 1 recorded rejected",
        "5 1 recorded reversed",
    ];
    assert_eq!(postbacks_told(&*ledger), expected);
    import(&server, &text);
    assert_eq!(postbacks_told(&*ledger), expected, "a repeat tells nobody");

    server.clock.advance_seconds(60);
    // By one step, and by two, of which only the last is told.
    import(&server, &format!("{header}{}{}", row(2, "paid"), row(0, "scrubbed")));
    expected.extend(["1 2 ignored ignored", "3 2 approved approved"]);
    // They are listed by their ids.
    expected.sort_unstable();
    assert_eq!(postbacks_told(&*ledger), expected);

    server.clock.advance_seconds(60);
    let text = format!("{header}{}{}{}", row(5, ""), row(6, "returned"), row(2, "rejected"));
    let quiet = send(&server, &[GO, ("fire_postbacks", "false")], &text).success();
    assert_eq!(told(&quiet["import"]), ["2 recorded", "3 recorded", "4 adjusted"]);
    import(&server, &text);
    assert_eq!(postbacks_told(&*ledger), expected, "nobody, and not later either");
    server.verify();
}
