//! Exports over HTTP: what the lists tell, as one file.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use crumb::config::PrivateAddresses;
use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use outbound::AllowPrivate;
use serde_json::{Map, Value, json};
use testkit::{Answer, Client, Receiver, TestServer, until};

const DAY: [(&str, &str); 2] = [("start_date", "2026-06-19"), ("end_date", "2026-06-20")];
/// Each export with the list that tells the same, and where that has its rows.
const KINDS: [(&str, &str, &str); 4] = [
    ("clicks", "click", "/response/clicks"),
    ("conversions", "conversions", "/conversions"),
    ("entries", "entries", "/entries"),
    ("deliveries", "postback_deliveries", "/deliveries"),
];

/// A server with clicks, conversions, an adjustment and deliveries.
fn busy_server() -> TestServer {
    let receiver = Receiver::start();
    let server =
        TestServer::with(|config| config.outbound.allow_private = PrivateAddresses(AllowPrivate::All));
    let own = [
        ("affiliate_id", &*server.sample.affiliate_id),
        ("offer_id", &*server.sample.offer_id),
        ("postback_url", &receiver.url("/?c={click_id}")),
        ("fire_on", "all"),
    ];
    server.client.post("affiliate_postback", &own).success();
    server.client.click(&format!("{}&s1=%3D1%2B1&s2=a%2C%22b%22", server.sample.link()));
    for number in 0..4 {
        server.convert(&format!("ORD-{number}"));
        server.clock.advance_seconds(1);
    }
    let reversed = [("conversion_id", "2"), ("conversion_status", "reversed")];
    server.client.post("update_conversion", &reversed).success();
    until("all is delivered", || {
        let due = server.client.get("postback_deliveries", &[("delivery_status", "due")]).success();
        (due["total_rows"] == 0).then_some(())
    });
    server
}

fn file(client: &Client, name: &str, params: &[(&str, &str)]) -> Answer {
    let pairs = params.iter().map(|(name, value)| format!("&{name}={}", value.replace(' ', "%20")));
    client.path(&format!("/api/2/export/{name}?api_key={}{}", client.key(), pairs.collect::<String>()))
}

fn text(client: &Client, name: &str, params: &[(&str, &str)]) -> String {
    let answer = file(client, name, &[&DAY[..], params].concat());
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.text
}

/// The rows of an export as JSON.
fn rows(client: &Client, kind: &str, params: &[(&str, &str)]) -> Vec<Map<String, Value>> {
    let text = text(client, &format!("{kind}.jsonl"), params);
    text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

/// The rows of a list as an export tells them.
fn listed(client: &Client, list: &str, pointer: &str, params: &[(&str, &str)]) -> Vec<Map<String, Value>> {
    let answer = client.get(list, &[&DAY[..], &[("row_limit", "500")], params].concat()).success();
    let rows = answer.pointer(pointer).and_then(Value::as_array).expect("a list");
    rows.iter().map(|row| flat(row.get("conversion").unwrap_or(row))).collect()
}

fn flat(row: &Value) -> Map<String, Value> {
    let mut flat = Map::new();
    for (name, value) in row.as_object().expect("an object") {
        match (name.as_str(), value) {
            ("offer" | "affiliate", Value::Object(inner)) => flat.extend(inner.clone()),
            ("tries", Value::Array(tries)) => {
                flat.insert(name.clone(), tries.len().into());
                let last = tries.last().expect("tried").as_object().expect("an object");
                flat.extend(
                    last.iter().filter(|(name, _)| *name != "url").map(|(n, v)| (n.clone(), v.clone())),
                );
            }
            _ => {
                flat.insert(name.clone(), value.clone());
            }
        }
    }
    flat
}

/// The key that an export goes on after.
fn key(kind: &str, row: &Map<String, Value>) -> String {
    let names: &[&str] = match kind {
        "clicks" => &["click_id"],
        "conversions" => &["conversion_id"],
        "entries" => &["conversion_id", "adjustment", "account"],
        _ => &["delivery_id"],
    };
    let parts = names.iter().map(|name| row[*name].to_string().replace('"', ""));
    parts.collect::<Vec<_>>().join("-")
}

#[test]
fn an_export_is_the_list_row_by_row_and_field_by_field() {
    let server = busy_server();
    for (kind, list, pointer) in KINDS {
        let exported = rows(&server.client, kind, &[]);
        let mut expected = listed(&server.client, list, pointer, &[]);
        if kind == "deliveries" {
            // Listed by their ids, exported by the dates of their causes.
            expected.sort_by_key(|row| row["caused_date"].to_string());
        }
        assert!(exported.len() >= 4, "{kind}");
        assert_eq!(json!(exported).to_string(), json!(expected).to_string(), "{kind}");

        let sheet = text(&server.client, &format!("{kind}.csv"), &[]);
        let mut reader = csv::Reader::from_reader(sheet.as_bytes());
        let header: Vec<_> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
        assert_eq!(header, exported[0].keys().cloned().collect::<Vec<_>>(), "{kind}");
        let cells: Vec<_> = reader.records().map(|it| it.expect("a row")).collect();
        assert_eq!(cells.len(), exported.len(), "{kind}");
        for (cells, row) in cells.iter().zip(&exported) {
            for (cell, (name, value)) in cells.iter().zip(row) {
                let expected = match value {
                    Value::Null => String::new(),
                    Value::String(text) if text.starts_with('=') => format!("'{text}"),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                assert_eq!(cell, expected, "{kind} {name}");
            }
        }
    }
    let formula = &rows(&server.client, "clicks", &[])[0];
    assert_eq!((&formula["sub_id_1"], &formula["sub_id_2"]), (&json!("=1+1"), &json!("a,\"b\"")));
    assert!(text(&server.client, "clicks.csv", &[]).contains(",'=1+1,"));
}

#[test]
fn an_export_says_what_it_is_and_without_rows_is_a_header() {
    let server = TestServer::start();
    let answer = file(&server.client, "entries.csv", &DAY);
    assert_eq!(
        answer.text,
        "conversion_id,adjustment,offer_id,account,affiliate_id,advertiser_id,amount,currency,effective_date,entry_date,invoice_id\n"
    );
    for (name, value) in [
        ("content-type", "text/csv; charset=utf-8"),
        ("content-disposition", "attachment; filename=\"entries.csv\""),
        ("cache-control", "no-store"),
        ("x-time-zone", "UTC"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    let lines = file(&server.client, "entries.jsonl", &DAY);
    assert_eq!((lines.header("content-type"), &*lines.text), (Some("application/x-ndjson"), ""));
}

#[test]
fn pages_by_key_meet_every_row_once_while_rows_are_added() {
    let server = busy_server();
    for (kind, _, _) in KINDS {
        let before = rows(&server.client, kind, &[]);
        let mut walked: Vec<Map<String, Value>> = Vec::new();
        while walked.len() < before.len() {
            let after = walked.last().map(|row| key(kind, row)).unwrap_or_default();
            let page = rows(&server.client, kind, &[("row_limit", "3"), ("after", &after)]);
            assert_eq!(page.len(), 3, "{kind}: others follow");
            walked.extend(page);
            server.convert("");
        }
        let keys = |rows: &[Map<String, Value>]| rows.iter().map(|row| key(kind, row)).collect::<Vec<_>>();
        assert_eq!(keys(&walked[..before.len()]), keys(&before), "{kind}");
        assert_eq!(
            keys(&walked).into_iter().collect::<BTreeSet<_>>().len(),
            walked.len(),
            "{kind}: none twice"
        );
        let last = rows(&server.client, kind, &[]).last().map(|row| key(kind, row)).expect("rows");
        assert!(rows(&server.client, kind, &[("after", &last)]).is_empty(), "{kind}: nothing after the last");
    }
}

#[test]
fn filters_narrow_an_export_as_they_do_the_list() {
    let server = busy_server();
    for (kind, list, pointer) in KINDS {
        for filter in [("offer_id", "1"), ("offer_id", "99"), ("affiliate_id", "1"), ("affiliate_id", "99")] {
            let expected = listed(&server.client, list, pointer, &[filter]);
            let exported = rows(&server.client, kind, &[filter]);
            assert_eq!(exported.len(), expected.len(), "{kind} {filter:?}");
            assert_eq!(exported.is_empty(), filter.1 == "99", "{kind} {filter:?}");
        }
        let until = [("start_date", "2026-06-19 14:30:02"), ("end_date", "2026-06-19 14:30:02")];
        let second = file(&server.client, &format!("{kind}.jsonl"), &until).text.lines().count();
        assert_eq!(second, if kind == "entries" { 3 } else { 1 }, "{kind}: an end to the second includes it");
    }
}

#[test]
fn moments_are_in_utc_to_the_microsecond_where_that_is_asked_for() {
    let mut server = busy_server();
    server.restart_with(|config| "America/New_York".clone_into(&mut config.network.time_zone));
    let here = &rows(&server.client, "conversions", &[])[0];
    let there = &rows(&server.client, "conversions", &[("dates", "utc")])[0];
    assert_eq!(here["conversion_date"], "2026-06-19 10:30:00");
    assert_eq!(there["conversion_date"], "2026-06-19T14:30:00.000000Z");
    let dates = [
        ("clicks", vec!["click_date"]),
        ("conversions", vec!["conversion_date", "click_date", "last_updated"]),
        ("entries", vec!["effective_date", "entry_date"]),
        ("deliveries", vec!["caused_date", "try_date"]),
    ];
    for (kind, dates) in dates {
        let local = &rows(&server.client, kind, &[])[0];
        for (name, value) in &rows(&server.client, kind, &[("dates", "utc")])[0] {
            let is_utc = value.as_str().is_some_and(|it| it.starts_with("2026-06-19T") && it.ends_with('Z'));
            assert_eq!(is_utc, dates.contains(&&**name), "{kind} {name} {value}");
            assert_eq!(*value == local[name], !is_utc, "{kind} {name} {value}");
        }
    }
    assert_eq!(file(&server.client, "clicks.csv", &DAY).header("x-time-zone"), Some("America/New_York"));
}

#[test]
fn a_key_exports_what_its_lists_show_and_no_more() {
    let server = busy_server();
    let affiliate = |id: u32| {
        let grant = Grant { affiliate_id: Some(AffiliateId(id)), ..Grant::of(Scope::Affiliate) };
        server.client_with(&format!("affiliate {id}"), grant)
    };
    let (own, other) = (affiliate(1), affiliate(99));
    for (kind, list, pointer) in KINDS {
        let expected = listed(&own, list, pointer, &[]);
        let exported = rows(&own, kind, &[]);
        assert_eq!(exported.len(), expected.len(), "{kind}");
        assert!(!exported.is_empty() && rows(&other, kind, &[]).is_empty(), "{kind}");
        let header = text(&own, &format!("{kind}.csv"), &[]).lines().next().expect("a header").to_owned();
        assert_eq!(header, exported[0].keys().cloned().collect::<Vec<_>>().join(","));
        assert!(!header.contains("revenue"), "{header}");
        let refused = file(&own, &format!("{kind}.csv"), &[&DAY[..], &[("affiliate_id", "99")]].concat());
        assert_eq!((refused.status, refused.code()), (403, "not_permitted".to_owned()), "{kind}");
        let records = server.client_with(&format!("shop {kind}"), Grant::of(Scope::Conversion));
        assert_eq!(file(&records, &format!("{kind}.csv"), &DAY).status, 403, "{kind}");
        assert_eq!(file(&own.with_key("nobody"), &format!("{kind}.csv"), &DAY).status, 401, "{kind}");
        let reads = server.client_with(&format!("reader {kind}"), Grant::of(Scope::Read));
        assert_eq!(rows(&reads, kind, &[]), rows(&server.client, kind, &[]), "{kind}");
    }
    assert!(rows(&own, "entries", &[]).iter().all(|row| row["account"] == "affiliate_payable"));
}

#[test]
fn what_cannot_be_exported_is_refused_by_name() {
    let server = TestServer::start();
    let check = |name: &str, params: &[(&str, &str)], status: u16, code: &str, parameter: &str| {
        let answer = file(&server.client, name, params);
        assert_eq!((answer.status, &*answer.code()), (status, code), "{name} {params:?} {}", answer.text);
        assert_eq!(answer.json()["error"]["parameter"].as_str().unwrap_or_default(), parameter);
    };
    for name in ["clicks", "clicks.parquet", "offers.csv", ".csv", "clicks.csv.csv"] {
        check(name, &DAY, 404, "not_found", "");
    }
    check("clicks.csv", &[DAY[1]], 400, "missing_parameter", "start_date");
    check("clicks.csv", &[DAY[0]], 400, "missing_parameter", "end_date");
    let with = |more| [&DAY[..], &[more]].concat();
    for (name, more, parameter) in [
        ("clicks.csv", ("colour", "red"), "colour"),
        ("clicks.csv", ("row_limit", "-1"), "row_limit"),
        ("clicks.csv", ("dates", "mars"), "dates"),
        ("clicks.csv", ("offer_id", "x"), "offer_id"),
        ("clicks.csv", ("after", "1042"), "after"),
        ("conversions.csv", ("after", "1042"), "after"),
        ("conversions.csv", ("after", "x"), "after"),
        ("entries.csv", ("after", "1-0-cash"), "after"),
        ("deliveries.csv", ("after", "1-0-7"), "after"),
    ] {
        check(name, &with(more), 400, "invalid_parameter", parameter);
    }
    check("clicks.csv", &[DAY[0], ("end_date", "2026-06-18")], 400, "invalid_parameter", "end_date");
    // As everywhere no limit is none.
    assert_eq!(file(&server.client, "clicks.csv", &with(("row_limit", "0"))).status, 200);
}

fn export(server: &TestServer, file: Option<&Path>, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crumb"));
    command.args([
        "export",
        "conversions",
        "--from",
        "2026-06-19",
        "--to",
        "2026-06-19",
        "--rows-at-once",
        "500",
    ]);
    command.args(more).arg("--data").arg(server.folder());
    command.env("CRUMB_SERVER__LISTEN", server.address().to_string());
    if let Some(file) = file {
        command.arg("--out").arg(file);
    }
    command.output().expect("it runs")
}

#[test]
fn a_damaged_row_ends_an_export_that_goes_on_when_it_is_mended() {
    let server = TestServer::start();
    let click = server.client.click(&server.sample.link());
    for first in [0, 700] {
        let call =
            |number: i32| json!({ "click_id": click, "offer_id": 1, "unique_id": format!("ORD-{number}") });
        let batch = json!({ "conversions": (first..first + 700).map(call).collect::<Vec<_>>() });
        server.client.post_json("record_conversions", &batch.to_string()).success();
    }
    let whole = export(&server, None, &[]);
    assert_eq!(
        (whole.status.code(), String::from_utf8_lossy(&whole.stdout).lines().count()),
        (Some(0), 1401)
    );
    let ledger = rusqlite::Connection::open(server.folder().join("ledger.sqlite")).expect("opens");
    let set_status = |status: &str| {
        let sql = "UPDATE conversions SET status = ?1 WHERE conversion_id = 1200";
        assert_eq!(ledger.execute(sql, [status]).expect("written"), 1);
    };
    set_status("unheard of");
    let folder = tempfile::tempdir().expect("a folder");
    let [out, lines] = ["c.csv", "c.jsonl"].map(|name| folder.path().join(name));
    for (out, format) in [(&out, "csv"), (&lines, "jsonl")] {
        let broken = export(&server, Some(out), &["--format", format]);
        let told = String::from_utf8_lossy(&broken.stderr).into_owned();
        assert_eq!(broken.status.code(), Some(1), "{told}");
        assert!(told.contains("after the row 1000") && told.contains("--resume"), "{told}");
        assert!(!out.exists() && broken.stdout.is_empty());
    }
    let broken = export(&server, None, &[]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(whole.stdout.starts_with(&broken.stdout), "as far as it came");

    set_status("approved");
    let resumed = export(&server, Some(&out), &["--resume"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert!(String::from_utf8_lossy(&resumed.stdout).starts_with("1400 rows in "));
    assert_eq!(std::fs::read(&out).expect("there"), whole.stdout);
    let resumed = export(&server, Some(&lines), &["--resume", "--format", "jsonl"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    let expected = export(&server, None, &["--format", "jsonl"]).stdout;
    assert!(std::fs::read(&lines).expect("there") == expected && !expected.is_empty());
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 2, "nothing else is left");
}

#[test]
fn an_answer_of_many_portions_that_breaks_off_does_not_look_whole() {
    let server = TestServer::start();
    let click = server.client.click(&server.sample.link());
    for first in [0, 700] {
        let call =
            |number: i32| json!({ "click_id": click, "offer_id": 1, "unique_id": format!("ORD-{number}") });
        let batch = json!({ "conversions": (first..first + 700).map(call).collect::<Vec<_>>() });
        server.client.post_json("record_conversions", &batch.to_string()).success();
    }
    let whole = text(&server.client, "conversions.csv", &[]);
    assert_eq!(whole.lines().count(), 1401, "more than one portion");
    let ledger = rusqlite::Connection::open(server.folder().join("ledger.sqlite")).expect("opens");
    ledger.execute("UPDATE conversions SET status = 'x' WHERE conversion_id = 1200", []).expect("written");
    let url = format!(
        "http://{}/api/2/export/conversions.csv?start_date=2026-06-19&end_date=2026-06-19&api_key={}",
        server.address(),
        server.client.key()
    );
    let mut answer = ureq::get(url).call().expect("it begins");
    assert_eq!(answer.status(), 200);
    answer.body_mut().read_to_string().expect_err("it breaks off");
}
