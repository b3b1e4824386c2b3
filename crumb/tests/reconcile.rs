//! Reconciliation over HTTP: every class, every kind of file, and accepting what differs.

use std::fmt::Write as _;

use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use serde_json::{Value, json};
use testkit::{Answer, TestServer};

const CLASSES: [&str; 9] = [
    "matched",
    "missing_here",
    "missing_there",
    "amount_differs",
    "status_differs",
    "currency_differs",
    "duplicate_there",
    "outside_range",
    "unreadable",
];

fn send(server: &TestServer, more: &[(&str, &str)], file: &[u8]) -> Answer {
    let range = [("advertiser_id", "1"), ("start_date", "2026-06-01"), ("end_date", "2026-06-30")];
    let own = range.into_iter().filter(|it| more.iter().all(|given| given.0 != it.0));
    let params: Vec<_> = own.chain(more.iter().copied()).collect();
    server.client.post_file("reconcile", &params, file)
}

/// The reconciliation of a file, checked for what always holds.
fn made(server: &TestServer, more: &[(&str, &str)], file: &[u8]) -> Value {
    let made = send(server, more, file).success()["reconciliation"].clone();
    let rows = made["rows"].as_array().expect("a list");
    for class in CLASSES {
        let found = rows.iter().filter(|it| it["class"] == class).count();
        assert_eq!(made["counts"][class], found, "{class}: {made}");
    }
    assert_eq!(made["total_rows"], rows.len());
    let bridge = made["bridge"].as_array().expect("a list");
    for bridge in bridge.chunk_by(|one, other| one["currency"] == other["currency"]) {
        let amount =
            |it: &Value| (it["amount"].to_string().parse::<f64>().expect("a number") * 10_000.0).round();
        let (last, steps) = bridge.split_last().expect("two ends");
        assert!((steps.iter().map(amount).sum::<f64>() - amount(last)).abs() < 0.5, "{bridge:?}");
        assert_eq!((&bridge[0]["step"], &last["step"]), (&json!("their_total"), &json!("our_total")));
    }
    made
}

/// Each row as `line class reason_code`.
fn told(made: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let text = |name: &str| row[name].as_str().expect("a text").to_owned();
        format!("{} {} {}", row["line"], text("class"), text("reason_code")).trim().replace("null", "-")
    };
    made["rows"].as_array().expect("a list").iter().map(row).collect()
}

fn check(server: &TestServer, more: &[(&str, &str)], file: &str, expected: &[&str]) -> Value {
    let made = made(server, more, file.as_bytes());
    assert_eq!(told(&made), expected, "{file}\n{made}");
    made
}

fn click(server: &TestServer) -> String {
    server.client.click(&server.sample.link())
}

/// Records a conversion worth 22.00 to the advertiser: its number.
fn record(server: &TestServer, more: &[(&str, &str)]) -> String {
    let click_id = click(server);
    let own = [("click_id", &*click_id), ("offer_id", "1")];
    let answer = server.client.post("conversion", &[&own, more].concat());
    answer.success()["conversion"]["conversion_id"].to_string()
}

fn orders(server: &TestServer, names: &[&str]) -> Vec<String> {
    names.iter().map(|it| record(server, &[("unique_id", it)])).collect()
}

fn update(server: &TestServer, id: &str, field: &str, value: &str) {
    server.client.post("update_conversion", &[("conversion_id", id), (field, value)]).success();
}

fn refused(answer: &Answer, status: u16, code: &str, names: &str) {
    assert_eq!((answer.status, &*answer.code()), (status, code), "{}", answer.text);
    assert!(answer.text.contains(names), "{names} is not named: {}", answer.text);
}

/// What both parties are owed, and how each conversion stands.
fn books(server: &TestServer) -> Value {
    let balances =
        |account| server.client.get("balances", &[("account", account)]).success()["balances"].clone();
    json!([balances("affiliates"), balances("advertisers")])
}

fn standing(server: &TestServer) -> Vec<String> {
    let params = [("start_date", "2026-01-01"), ("end_date", "2027-12-31"), ("sort_field", "conversion_id")];
    let listed = server.client.get("conversions", &params).success();
    let one = |it: &Value| {
        let it = &it["conversion"];
        format!("{} {} {}", it["conversion_status"].as_str().expect("a text"), it["payout"], it["revenue"])
    };
    listed["conversions"].as_array().expect("a list").iter().map(one).collect()
}

#[test]
fn every_row_of_either_side_is_in_its_class_with_its_reason() {
    let server = TestServer::start();
    let ids = orders(&server, &["SAME", "AMOUNT", "STATUS", "CURRENCY", "ALONE", "GONE", "UNPAID", "BROKEN"]);
    update(&server, &ids[5], "conversion_status", "reversed");
    update(&server, &ids[6], "conversion_status", "rejected");
    let late = click(&server);
    server.clock.advance_seconds(40 * 86_400);
    record(&server, &[("unique_id", "LATER")]);
    let expired =
        server.client.post("conversion", &[("click_id", &late), ("offer_id", "1"), ("unique_id", "OLD")]);
    assert_eq!(expired.code(), "click_expired");
    let file = format!(
        "unique_id,click_id,amount,status,currency\nSAME,,22.00,approved,USD\nAMOUNT,,20.00,paid,USD\n\
         STATUS,,0,declined,USD\nCURRENCY,,22,,EUR\nSAME,,22,,\nLATER,,22,,\nNOBODY,,5.5,,\nOLD,{late},7,,\n\
         CLICK,0197f000-0000-7000-8000-000000000000,1,,\nODD,xyz,1,,\nBROKEN,,2.2E1,,\nUNPAID,,22,,\n,,1,,\n"
    );
    let made = check(
        &server,
        &[],
        &file,
        &[
            "2 matched",
            "3 amount_differs amounts",
            "4 status_differs statuses",
            "5 currency_differs currencies",
            "6 duplicate_there same_as_line",
            "7 outside_range dated_elsewhere",
            "8 missing_here not_known",
            "9 missing_here attempt_refused",
            "10 missing_here click_not_found",
            "11 missing_here malformed_click_id",
            "12 unreadable unreadable",
            "13 amount_differs rejected",
            "14 unreadable unreadable",
            "- missing_there not_in_file",
            "- matched pays_nobody",
        ],
    );
    let steps = made["bridge"].as_array().expect("a list").iter().map(|it| {
        format!("{} {} {} {}", it["currency"], it["step"], it["rows"], it["amount"]).replace('"', "")
    });
    let steps: Vec<_> = steps.collect();
    assert_eq!(
        steps,
        [
            "EUR their_total 1 22.00",
            "EUR currency_differs 1 -22.00",
            "EUR our_total 0 0.00",
            "USD their_total 10 122.50",
            "USD duplicate_there 1 -22.00",
            "USD missing_here 4 -14.50",
            "USD outside_range 1 -22.00",
            "USD unreadable 2 22.00",
            "USD currency_differs 1 22.00",
            "USD status_differs 1 22.00",
            "USD amount_differs 2 -20.00",
            "USD missing_there 1 22.00",
            "USD matched 2 0.00",
            "USD our_total 8 132.00",
        ]
    );
    let row = |place: usize| made["rows"][place].clone();
    assert_eq!(row(1)["reason"], "they have 20.00, and here it is 22.00");
    let amounts = ["their_amount", "our_amount"].map(|name| row(1)[name].to_string());
    assert_eq!(amounts, ["20.00", "22.00"]);
    assert_eq!((&row(2)["their_status"], &row(2)["our_status"]), (&json!("rejected"), &json!("approved")));
    assert_eq!((&row(4)["reason"], &row(4)["conversion_id"]), (&json!("line 2 says the same"), &Value::Null));
    assert!(row(7)["reason"].as_str().is_some_and(|it| it.contains("refused: click_expired")));
    assert_eq!(row(10)["conversion_id"].to_string(), ids[7], "what cannot be read is not missing");
    server.verify();
}

#[test]
fn a_reconciliation_is_kept_and_read_again_in_pages_as_a_sheet_and_as_a_page() {
    let server = TestServer::start();
    orders(&server, &["A", "B", "C"]);
    let file = "unique_id,amount\nA,22\n=B,<b>\nB,21\n";
    let first = made(&server, &[("note", "june")], file.as_bytes());
    let id = first["reconciliation_id"].to_string();
    let get = |more: &[(&str, &str)]| {
        let params = [&[("reconciliation_id", &*id)], more].concat();
        server.client.get("reconciliation", &params).success()["reconciliation"].clone()
    };
    assert_eq!(get(&[]), first);
    assert_eq!((&first["note"], &first["advertiser_name"]), (&json!("june"), &json!("Acme")));
    let page = get(&[("start_at_row", "1"), ("row_limit", "2")]);
    assert_eq!((told(&page), &page["total_rows"]), (told(&first)[1..3].to_vec(), &json!(4)));
    let differing = get(&[("classes", "amount_differs,missing_there"), ("start_at_row", "1")]);
    assert_eq!(
        (told(&differing), &differing["total_rows"]),
        (vec!["- missing_there not_in_file".into()], &json!(2))
    );
    refused(
        &server.client.get("reconciliation", &[("reconciliation_id", &*id), ("classes", "x")]),
        400,
        "invalid_parameter",
        "classes",
    );
    for name in ["reconciliation", "accept_reconciliation"] {
        let params = [("reconciliation_id", "99"), ("classes", "missing_there")];
        let answer = if name == "reconciliation" {
            server.client.get(name, &params)
        } else {
            server.client.post(name, &params)
        };
        refused(&answer, 404, "reconciliation_not_found", "Reconciliation");
    }
    let path = |kind: &str| {
        let key = server.client.key();
        server.client.path(&format!("/api/2/reconciliation.{kind}?api_key={key}&reconciliation_id={id}"))
    };
    let csv = path("csv");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let lines: Vec<_> = csv.text.lines().collect();
    assert!(lines[0].starts_with("line,class,reason,conversion_id,unique_id,their_amount"), "{}", csv.text);
    assert_eq!(lines.len(), 5);
    assert!(lines[2].contains(",'=B,"), "no formula: {}", lines[2]);
    let html = path("html").text;
    assert!(html.contains("their total") && html.contains("&lt;b&gt;") && !html.contains("<b>"), "{html}");
    assert_eq!(html.matches("<td>matched</td>").count(), 0, "only what differs is printed");
}

#[test]
fn what_differs_is_accepted_as_one_batch_and_taken_back_as_one() {
    let server = TestServer::start();
    let ids = orders(&server, &["AMOUNT", "STATUS", "ALONE", "PENDING", "REJECTED", "CHANGED", "IGNORED"]);
    update(&server, &ids[3], "conversion_status", "pending");
    update(&server, &ids[4], "conversion_status", "rejected");
    update(&server, &ids[6], "conversion_status", "pending");
    update(&server, &ids[6], "conversion_status", "ignored");
    let (new, other) = (click(&server), click(&server));
    let file = format!(
        "unique_id,click_id,amount,status,payout\nAMOUNT,,20.5,,15\nSTATUS,,,refunded,\nPENDING,,22,paid,\n\
         REJECTED,,22,,\nCHANGED,,9,,\nIGNORED,,22,,\nNEW,{new},30,,12\nOPEN,{other},8,pending,\nLOST,,5,,\n\
         GHOST,nobody,5,,\n"
    );
    let made = made(&server, &[], file.as_bytes());
    let id = made["reconciliation_id"].to_string();
    let before = (books(&server), standing(&server));
    let accept = |more: &str| {
        let classes = r#"["amount_differs","status_differs","missing_there","missing_here"]"#;
        let body = format!(r#"{{"reconciliation_id": {id}, "classes": {classes}{more}}}"#);
        server.client.post_json("accept_reconciliation", &body)
    };
    update(&server, &ids[5], "revenue", "21");
    let changed = (books(&server), standing(&server));
    assert_ne!(before, changed);
    let counts = json!({
        "adjustments": 6, "conversions": 2, "unchanged": 0, "changed_since": 1, "without_click": 1, "refused": 2
    });
    let without = |batch: &Value| {
        let mut batch = batch.as_object().expect("an object").clone();
        batch.remove("batch_id");
        batch.remove("dry_run");
        Value::Object(batch)
    };
    let tried = accept(r#", "dry_run": true"#).success()["batch"].clone();
    assert_eq!((&without(&tried), &tried["batch_id"]), (&counts, &Value::Null), "foreseen");
    assert_eq!((books(&server), standing(&server)), changed, "a dry run changes nothing");
    let batch = accept("").success()["batch"].clone();
    assert_eq!(without(&batch), counts);
    assert_eq!(
        standing(&server),
        [
            "approved 15.00 20.50",
            "reversed 0.00 0.00",
            "reversed 0.00 0.00",
            "approved 18.00 22.00",
            "approved 18.00 22.00",
            "approved 18.00 21.00",
            "ignored 0.00 0.00",
            "approved 12.00 30.00",
            "pending 18.00 8.00",
        ]
    );
    refused(&accept(""), 409, "conflict", "accepted before");
    refused(&accept(r#", "dry_run": true"#), 409, "conflict", "accepted before");
    server.verify();
    let batch_id = batch["batch_id"].to_string();
    let batches = server.client.get("batches", &[]).success();
    assert_eq!(batches["batches"][0]["batch_type"], "reconciliation");
    let undo = || server.client.post("undo_batch", &[("batch_id", &batch_id)]);
    undo().success();
    assert_eq!(books(&server), changed.0);
    assert_eq!(standing(&server)[..7], changed.1);
    assert_eq!(standing(&server)[7..], ["reversed 0.00 0.00", "reversed 0.00 0.00"]);
    refused(&undo(), 409, "conflict", "taken back before");
    refused(&accept(""), 409, "conflict", "accepted before");
    server.verify();
}

#[test]
fn what_was_accepted_is_the_same_on_both_sides_from_then_on() {
    let server = TestServer::start();
    orders(&server, &["AMOUNT", "ALONE", "STATUS"]);
    let new = click(&server);
    let date = "2026-06-19 14:30:00";
    let file = format!(
        "unique_id,click_id,amount,status,date\nAMOUNT,,20.5,,{date}\nSTATUS,,22,open,{date}\nNEW,{new},30,,{date}\n"
    );
    let first = made(&server, &[], file.as_bytes());
    let id = first["reconciliation_id"].to_string();
    let classes = "amount_differs,status_differs,missing_there,missing_here";
    server
        .client
        .post("accept_reconciliation", &[("reconciliation_id", &id), ("classes", classes)])
        .success();
    check(&server, &[], &file, &["2 matched", "3 matched", "4 matched", "- matched pays_nobody"]);
}

#[test]
fn classes_that_name_no_change_cannot_be_accepted() {
    let server = TestServer::start();
    let id = made(&server, &[], b"unique_id,amount\nA,1\n")["reconciliation_id"].to_string();
    let accept = |classes: &str| {
        server.client.post("accept_reconciliation", &[("reconciliation_id", &*id), ("classes", classes)])
    };
    for class in ["matched", "currency_differs", "duplicate_there", "outside_range", "unreadable"] {
        let both = format!("missing_there,{class}");
        refused(&accept(&both), 400, "invalid_parameter", &format!("{class} cannot be accepted"));
    }
    refused(&accept(""), 400, "missing_parameter", "classes");
    assert_eq!(server.client.get("batches", &[]).success()["total_rows"], 0);
}

#[test]
fn another_advertisers_click_is_never_recorded_for_this_one() {
    let server = TestServer::start();
    let other = server.client.post("advertiser", &[("advertiser_name", "Other")]).success();
    assert_eq!(other["advertiser"]["advertiser_id"], 2);
    let foreign = click(&server);
    let file = format!("click_id,amount,currency\n{foreign},22,\n");
    let made = check(&server, &[("advertiser_id", "2")], &file, &["2 missing_here other_advertiser"]);
    let id = made["reconciliation_id"].to_string();
    let params = [("reconciliation_id", &*id), ("classes", "missing_here")];
    let batch = server.client.post("accept_reconciliation", &params).success()["batch"].clone();
    assert_eq!((&batch["refused"], &batch["conversions"]), (&json!(1), &json!(0)));
    let abroad = format!("click_id,amount,currency\n{foreign},22,EUR\n");
    let made = self::made(&server, &[], abroad.as_bytes());
    let id = made["reconciliation_id"].to_string();
    let params = [("reconciliation_id", &*id), ("classes", "missing_here")];
    let batch = server.client.post("accept_reconciliation", &params).success()["batch"].clone();
    assert_eq!((&batch["refused"], &batch["conversions"]), (&json!(1), &json!(0)), "in another currency");
}

#[test]
fn a_row_means_its_conversion_by_any_key() {
    let server = TestServer::start();
    let id = record(&server, &[("unique_id", "U"), ("order_id", "O")]);
    let range = [("start_date", "2026-06-01"), ("end_date", "2026-06-30")];
    let click = server.client.get("conversions", &range).success();
    let click = click["conversions"][0]["conversion"]["click_id"].as_str().expect("a click").to_owned();
    for (name, value) in [
        ("conversion_id", &*id),
        ("unique_id", "U"),
        ("txid", "U"),
        ("transaction_id", "U"),
        ("transaction_id", &click),
        ("order_id", "O"),
        ("Click ID", &click),
        ("subid", &click),
    ] {
        check(&server, &[], &format!("{name},amount\n{value},22\n"), &["2 matched"]);
    }
    check(&server, &[("map", "ref:unique_id,net:amount")], "Ref;Net\nU;22\n", &["2 matched"]);
    let twice = [("map", "Ref:unique_id"), ("map", "Net:revenue")];
    let params =
        [&[("advertiser_id", "1"), ("start_date", "2026-06-01"), ("end_date", "2026-06-30")][..], &twice];
    let sent = server.client.post_file("reconcile", &params.concat(), b"Ref\tNet\nU\t22\n");
    assert_eq!(told(&sent.success()["reconciliation"]), ["2 matched"]);
}

#[test]
fn a_zones_day_and_a_tolerance_decide_what_is_in_the_range() {
    let server = TestServer::start();
    // 2026-06-19 22:30 in New York.
    server.clock.advance_seconds(12 * 3600);
    record(&server, &[("unique_id", "A")]);
    let day = [("start_date", "2026-06-19"), ("end_date", "2026-06-19")];
    let file = "unique_id,amount,date\nA,22,2026-06-19 22:30:00\n";
    let zone = ("time_zone", "America/New_York");
    let made = check(&server, &[day[0], day[1], zone], file, &["2 outside_range other_zone_day"]);
    let reason = made["rows"][0]["reason"].as_str().expect("a text");
    assert!(reason.contains("2026-06-20 02:30:00") && reason.contains("2026-06-19 22:30:00"), "{reason}");
    check(&server, &day, file, &["2 outside_range other_zone_day"]);
    let made = check(&server, &[day[0], day[1], zone, ("date_tolerance", "3")], file, &["2 matched nearby"]);
    assert_eq!(made["bridge"].as_array().map(Vec::len), Some(3));
    assert_eq!(made["bridge"][1]["step"], "matched_nearby");
    let next = [("start_date", "2026-06-20"), ("end_date", "2026-06-20")];
    check(&server, &[next[0], next[1], zone], file, &["2 outside_range their_date"]);
    check(&server, &next, "unique_id,amount\nA,22\n", &["2 matched"]);
    let made = check(
        &server,
        &[("tolerance", "0.01")],
        "unique_id,amount\nA,22.01\n",
        &["2 matched within_tolerance"],
    );
    assert_eq!(made["bridge"][1]["amount"], json!(-0.01));
    check(&server, &[("tolerance", "0.01")], "unique_id,amount\nA,22.0101\n", &["2 amount_differs amounts"]);
}

#[test]
fn hostile_files_are_read_as_far_as_they_can_be() {
    let server = TestServer::start();
    orders(&server, &["A", "Bü", "C\nC"]);
    let all = ["2 matched", "3 matched", "4 matched"];
    let plain = "unique_id,amount\nA,22\nBü,22\n\"C\nC\",22\n";
    check(&server, &[], plain, &all);
    check(&server, &[], &format!("\u{feff}{}", plain.replace('\n', "\r\n").replace("C\r\nC", "C\nC")), &all);
    check(&server, &[], &plain.replace(',', ";").replace("22", "22,00"), &all);
    check(&server, &[], &plain.replace(',', "\t").replace("22", "$ 22.00"), &all);
    let says = |made: &Value, words: &str| {
        let remarks = made["remarks"].to_string();
        assert!(remarks.contains(words), "{words}: {remarks}");
    };
    let latin: Vec<u8> = plain.chars().map(|it| u8::try_from(u32::from(it)).expect("Latin")).collect();
    let read = made(&server, &[], &latin);
    assert_eq!(told(&read), all);
    says(&read, "Windows-1252");
    for of in [u16::to_le_bytes, u16::to_be_bytes] {
        let wide: Vec<u8> = format!("\u{feff}{plain}").encode_utf16().flat_map(of).collect();
        let read = made(&server, &[], &wide);
        assert_eq!(told(&read), all);
        says(&read, "UTF-16");
    }
    let half = "unique_id,amount\nA,22\nA,22\n\"C\nC\",22\nBü,2";
    let left = ["2 matched", "3 duplicate_there same_as_line", "4 matched", "6 amount_differs amounts"];
    check(&server, &[], half, &left);
    let torn = ["2 matched", "3 matched", "4 unreadable unreadable", "- missing_there not_in_file"];
    check(&server, &[], "unique_id,amount\nA,22\nBü,22\n\"C", &torn);
    let open = "unique_id,amount\n\"A,22\nBü,22\n\"C\nC\",22\n";
    let made_of = made(&server, &[], open.as_bytes());
    assert!(told(&made_of).contains(&"2 unreadable unreadable".to_owned()), "{made_of}");
    assert!(told(&made_of).contains(&"3 matched".to_owned()), "{made_of}");
    let science = "unique_id,amount\nA,2.2E+01\nBü,22\n";
    let read = check(
        &server,
        &[],
        science,
        &["2 unreadable unreadable", "3 matched", "- missing_there not_in_file"],
    );
    assert!(read["rows"][0]["reason"].to_string().contains("scientific notation"), "{read}");
    let swapped = "unique_id,date,amount\n2026-06-19,A,22\n2026-06-19,Bü,22\n";
    let read = made(&server, &[], swapped.as_bytes());
    assert_eq!(read["counts"]["unreadable"], 2);
    assert!(read["rows"][0]["reason"].to_string().contains("is a date; are columns"), "{read}");
    let words = "unique_id,amount,status\nA,22,who knows\n";
    assert!(made(&server, &[], words.as_bytes())["rows"][0]["reason"].to_string().contains("who knows"));
    let format = [("date_format", "%d %b %Y")];
    check(
        &server,
        &format,
        "unique_id,amount,date\nA,22,19 Jun 2026\nBü,22,x\n\"C\nC\",22,\n",
        &["2 matched", "3 unreadable unreadable", "4 matched"],
    );
    let ambiguous = made(&server, &[], "unique_id,amount,date\nA,\"1,234\",03/04/2026\n".as_bytes());
    says(&ambiguous, "ambiguous");
    says(&ambiguous, "no amount in amount tells");
    assert_eq!(made(&server, &[], b"unique_id,amount\n")["counts"]["missing_there"], 3);
}

#[test]
fn what_cannot_be_used_is_refused_and_named() {
    let server = TestServer::start();
    let bad = |more: &[(&str, &str)], file: &str, names: &str| {
        refused(&send(&server, more, file.as_bytes()), 400, "invalid_parameter", names);
    };
    let file = "unique_id,amount\nA,1\n";
    bad(&[], "", "the file is empty");
    bad(&[], "name,colour\n1,2\n", "Found: name, colour. Understood are conversion_id");
    bad(&[], "unique_id,name\n1,2\n", "it lacks amounts");
    bad(&[("map", "x:unique_id")], file, "the file has no column x");
    bad(&[("tolerance", "-1")], file, "tolerance");
    bad(&[("date_tolerance", "169")], file, "date_tolerance");
    bad(&[("date_format", "%")], file, "date_format");
    bad(&[("time_zone", "Mars")], file, "time_zone");
    bad(&[("end_date", "2026-05-01")], file, "end_date");
    bad(&[("end_date", "2027-08-01")], file, "at most 400 days");
    bad(&[("colour", "blue")], file, "colour");
    refused(
        &send(&server, &[("advertiser_id", "9")], file.as_bytes()),
        404,
        "advertiser_not_found",
        "Advertiser",
    );
    refused(&server.client.post_json("reconcile", "{}"), 415, "unsupported_body", "");
}

#[test]
fn a_form_with_one_file_is_as_good_as_the_file() {
    let server = TestServer::start();
    orders(&server, &["A"]);
    let part = |name: &str, more: &str, text: &str| {
        format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{text}\r\n")
    };
    let send = |parts: &str| {
        let body = format!("{parts}--cut--\r\n");
        let query = "advertiser_id=1&start_date=2026-06-01&end_date=2026-06-30";
        server.client.post_body(
            &format!("/api/2/reconcile.json?{query}"),
            "multipart/form-data; boundary=cut",
            body.as_bytes(),
        )
    };
    let file = part("file", "; filename=\"june.csv\"", "unique_id,amount\nA,22\n");
    let made = send(&file).success()["reconciliation"].clone();
    assert_eq!((told(&made), &made["note"]), (vec!["2 matched".to_owned()], &json!("june.csv")));
    refused(&send(&format!("{file}{}", part("map", "", "a:b"))), 400, "invalid_parameter", "other fields");
    refused(&send(""), 400, "invalid_parameter", "no file");
    refused(&send("nothing of it"), 400, "invalid_parameter", "form");
}

#[test]
fn who_reads_everything_may_reconcile_and_only_an_admin_accepts() {
    let server = TestServer::start();
    let file = b"unique_id,amount\nA,1\n";
    let params = [("advertiser_id", "1"), ("start_date", "2026-06-01"), ("end_date", "2026-06-30")];
    let reader = server.client_with("reader", Grant::of(Scope::Read));
    let made = reader.post_file("reconcile", &params, file).success();
    let id = made["reconciliation"]["reconciliation_id"].to_string();
    reader.get("reconciliation", &[("reconciliation_id", &id)]).success();
    let accept = [("reconciliation_id", &*id), ("classes", "missing_here")];
    refused(&reader.post("accept_reconciliation", &accept), 403, "not_permitted", "");
    let affiliate = Grant { affiliate_id: Some(AffiliateId(1)), ..Grant::of(Scope::Affiliate) };
    for (name, grant) in [("affiliate", affiliate), ("shop", Grant::of(Scope::Conversion))] {
        let client = server.client_with(name, grant);
        refused(&client.post_file("reconcile", &params, file), 403, "not_permitted", "");
        refused(&client.get("reconciliation", &[("reconciliation_id", &id)]), 403, "not_permitted", "");
        refused(&client.post("accept_reconciliation", &accept), 403, "not_permitted", "");
    }
    let stranger = server.client.with_key("nobody");
    refused(&stranger.post_file("reconcile", &params, file), 401, "invalid_api_key", "");
}

#[test]
fn a_file_over_its_bounds_is_refused() {
    let server = TestServer::start();
    let rows = "A,1\n".repeat(1_000_001);
    let refusal = send(&server, &[], format!("unique_id,amount\n{rows}").as_bytes());
    refused(&refusal, 400, "invalid_parameter", "at most 1000000 rows");
    let large = vec![b'\n'; 256 * 1024 * 1024 + 1];
    refused(&send(&server, &[], &large), 413, "too_large", "268435456");
}

#[test]
fn of_very_many_missing_rows_only_the_first_have_their_clicks_looked_up() {
    let server = TestServer::start();
    let mut file = "click_id,amount\n".to_owned();
    for number in 0..10_001 {
        writeln!(file, "0197f000-0000-7000-8000-{number:012},1").expect("writing to a string");
    }
    let made = send(&server, &[("row_limit", "1")], file.as_bytes()).success()["reconciliation"].clone();
    let id = made["reconciliation_id"].to_string();
    let page = [("reconciliation_id", &*id), ("start_at_row", "9999"), ("row_limit", "2")];
    let last = server.client.get("reconciliation", &page).success()["reconciliation"].clone();
    assert_eq!(told(&last), ["10001 missing_here click_not_found", "10002 missing_here not_looked_into"]);
}

#[test]
fn a_reconciliation_is_gone_after_thirty_days() {
    let server = TestServer::start();
    let id = made(&server, &[], b"unique_id,amount\nA,1\n")["reconciliation_id"].to_string();
    let read = || server.client.get("reconciliation", &[("reconciliation_id", &id)]);
    server.clock.advance_seconds(31 * 86_400);
    while read().status == 200 {}
    refused(&read(), 404, "reconciliation_not_found", "Reconciliation");
}
