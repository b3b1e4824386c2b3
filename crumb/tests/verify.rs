//! `crumb verify`: silent about books that are right, and precise about what is wrong with others.

use std::path::Path;
use std::process::Command;

use domain::postback::DELAY_SECONDS_MAX;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;
use testkit::TestServer;

/// What the program says of a data folder, and how it ended.
fn verify(folder: &Path) -> (Value, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crumb"));
    let output = command.args(["verify", "--json", "--data"]).arg(folder).output().expect("it runs");
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code())
}

/// A server whose books have a bit of everything, and whose first clicks are in a segment.
fn busy_server() -> TestServer {
    let server = TestServer::with(|config| config.archive.seal_after_seconds = 1);
    let client = &server.client;
    let cap = [("offer_id", "1"), ("cap_type", "conversion"), ("interval", "overall"), ("limit", "100")];
    client.post("cap", &cap).success();
    let rule = [("offer_id", "1"), ("device", "unknown"), ("payout", "18.00"), ("revenue", "22.00")];
    client.post("price_rule", &rule).success();
    // A month later: beyond every test's end.
    server.create_postback(|it| it.delay_seconds = DELAY_SECONDS_MAX);
    for unique_id in ["ORD-1", "ORD-2", "ORD-3"] {
        server.convert(unique_id);
        server.clock.advance_seconds(1);
    }
    for payout in ["17.00", "16.00"] {
        client.post("update_conversion", &[("conversion_id", "2"), ("payout", payout)]).success();
    }
    client.post("update_conversion", &[("conversion_id", "3"), ("conversion_status", "reversed")]).success();
    server.clock.advance_seconds(86_400);
    client.post("statement", &[("affiliate_id", "1"), ("end_date", "2026-06-19")]).success();
    while !client.path("/metrics").text.contains("crumb_recent_clicks 0\n") {
        std::thread::yield_now();
    }
    server
}

/// A copy of its data folder that nobody has open.
fn copy(server: &TestServer) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = Connection::open(server.folder().join("ledger.sqlite")).expect("opens");
    let to = folder.path().join("ledger.sqlite");
    ledger.execute("VACUUM INTO ?1", [to.to_str().expect("text")]).expect("copied");
    let segments = folder.path().join("segments");
    std::fs::create_dir(&segments).expect("made");
    for entry in std::fs::read_dir(server.folder().join("segments")).expect("there") {
        let entry = entry.expect("an entry");
        // What the server is just writing has another name in a moment.
        if entry.path().extension().is_some_and(|it| it == "tmp") {
            continue;
        }
        std::fs::copy(entry.path(), segments.join(entry.file_name())).expect("copied");
    }
    folder
}

/// The checks that found something, with the row and the problem.
fn findings(report: &Value) -> Vec<[String; 3]> {
    let found = report["findings"].as_array().expect("a list");
    let texts =
        |it: &Value| ["check", "row", "problem"].map(|name| it[name].as_str().expect("a text").to_owned());
    found.iter().map(texts).collect()
}

#[test]
fn books_that_are_right_are_right_beside_a_running_server_too() {
    let server = busy_server();
    let (report, code) = verify(server.folder());
    assert_eq!((findings(&report), code), (Vec::new(), Some(0)), "{report}");
    assert_eq!((&report["sound"], &report["clicks"]), (&true.into(), &3.into()));
    assert_ne!((&report["rows"], &report["segments"]), (&0.into(), &0.into()));
    // What is not in a segment yet is told, not called missing.
    server.convert("ORD-4");
    let (report, code) = verify(server.folder());
    assert_eq!((findings(&report), code), (Vec::new(), Some(0)), "{report}");
    let checked = report["clicks"].as_u64().expect("a number");
    let waiting = report["clicks_unchecked"]["not_sealed"].as_u64().expect("a number");
    assert_eq!(checked + waiting, 4, "{report}");
}

#[test]
fn every_kind_of_corrupted_row_is_named() {
    let server = busy_server();
    for (harm, check, row) in [
        (
            "UPDATE entries SET amount = amount + 100 WHERE conversion_id = 1 AND account = 'network_margin'",
            "lines_add_up",
            "conversion 1, booking 0",
        ),
        (
            "DELETE FROM entries WHERE conversion_id = 1 AND account = 'affiliate_payable'",
            "lines_add_up",
            "conversion 1, booking 0",
        ),
        ("DELETE FROM entries WHERE conversion_id = 1", "lines_match_worth", "conversion 1"),
        (
            "UPDATE entries SET party_id = 7 WHERE conversion_id = 1 AND account = 'advertiser_receivable'",
            "lines_belong",
            "conversion 1, booking 0, advertiser_receivable",
        ),
        (
            "UPDATE entries SET conversion_id = 77 WHERE conversion_id = 1",
            "lines_belong",
            "conversion 77, booking 0, network_margin",
        ),
        (
            "UPDATE conversions SET payout = payout + 100 WHERE conversion_id = 1",
            "worth_matches_status",
            "conversion 1",
        ),
        (
            "UPDATE conversions SET status = 'rejected' WHERE conversion_id = 1",
            "worth_matches_status",
            "conversion 1",
        ),
        (
            "UPDATE conversions SET price_payout = 100, payout = 100 WHERE conversion_id = 1",
            "adjustments_lead_from_the_price_to_the_standing",
            "conversion 1",
        ),
        (
            "DELETE FROM adjustments WHERE conversion_id = 2 AND booking = 1",
            "adjustments_are_all_there",
            "conversion 2",
        ),
        (
            "UPDATE adjustments SET from_payout = from_payout + 100 WHERE conversion_id = 2 AND booking = 2",
            "adjustments_follow_each_other",
            "conversion 2, adjustment 2",
        ),
        (
            "UPDATE adjustments SET to_status = 'rejected' WHERE conversion_id = 3",
            "adjustments_lead_from_the_price_to_the_standing",
            "conversion 3",
        ),
        (
            "DELETE FROM changes WHERE conversion_id = 2 AND booking = 1",
            "changes_are_all_there",
            "conversion 2",
        ),
        (
            "UPDATE changes SET booking = 2 WHERE conversion_id = 2 AND booking = 1",
            "changes_are_all_there",
            "conversion 2",
        ),
        ("DELETE FROM changes WHERE conversion_id = 1", "changes_are_all_there", "conversion 1"),
        ("UPDATE changes SET conversion_id = 77 WHERE change_id = 1", "changes_belong", "change 1"),
        ("UPDATE changes SET changed_at = changed_at + 1 WHERE change_id = 2", "changes_belong", "change 2"),
        ("UPDATE changes SET changed_at = changed_at + 1 WHERE change_id = 4", "changes_belong", "change 4"),
        ("DELETE FROM changes WHERE change_id = 2", "changes_are_numbered_without_gaps", "change 3"),
        (
            "UPDATE versions SET version = version + 1 WHERE name = 'changes'",
            "changes_are_numbered_without_gaps",
            "version changes",
        ),
        (
            "UPDATE changes SET booking = 3 - booking WHERE conversion_id = 2 AND booking > 0",
            "changes_come_in_the_order_of_their_bookings",
            "change 4",
        ),
        (
            "UPDATE conversions SET approved_at = approved_at + 1 WHERE conversion_id = 1",
            "approvals_have_their_date",
            "conversion 1",
        ),
        (
            "UPDATE conversions SET approved_at = NULL WHERE conversion_id = 3",
            "approvals_have_their_date",
            "conversion 3",
        ),
        ("DELETE FROM attempts WHERE conversion_id = 1", "attempts_are_there", "conversion 1"),
        ("DELETE FROM price_rule_versions", "price_rules_are_there", "conversion 1"),
        (
            "UPDATE conversions SET affiliate_id = 77 WHERE conversion_id = 1",
            "parties_are_there",
            "conversion 1",
        ),
        ("UPDATE statements SET total = total + 100", "statements_equal_their_lines", "statement 1"),
        ("UPDATE statements SET lines = lines + 1", "statements_equal_their_lines", "statement 1"),
        (
            "UPDATE entries SET statement_id = 1 WHERE conversion_id = 1 AND account = 'advertiser_receivable'",
            "statement_lines_belong",
            "conversion 1, booking 0, advertiser_receivable",
        ),
        ("UPDATE statements SET starts = 1", "statements_follow_each_other", "statement 1"),
        (
            "UPDATE cap_counters SET used = used + 1000000",
            "cap_counters_equal_their_counts",
            "cap 1, window from",
        ),
        (
            "DELETE FROM cap_counts WHERE conversion_id = 1",
            "cap_counters_equal_their_counts",
            "cap 1, window from",
        ),
        (
            "UPDATE conversion_counts SET conversions = conversions + 1 WHERE status = 'approved'",
            "counts_equal_their_conversions",
            "offer 1, day",
        ),
        (
            "UPDATE conversions SET click_id = (SELECT CAST(substr(click_id, 1, 14) || x'0000' AS BLOB) FROM conversions WHERE conversion_id = 1) \
            WHERE conversion_id = 2",
            "clicks_are_there",
            "conversion 2",
        ),
        ("DELETE FROM deliveries WHERE conversion_id = 1", "deliveries_are_all_there", "conversion 1"),
        (
            "UPDATE deliveries SET conversion_id = 77 WHERE conversion_id = 1",
            "deliveries_belong",
            "delivery 77-0-1",
        ),
        (
            "UPDATE deliveries SET postback_id = 77 WHERE conversion_id = 1",
            "deliveries_belong",
            "delivery 1-0-77",
        ),
        (
            "UPDATE deliveries SET affiliate_id = 77 WHERE conversion_id = 1",
            "deliveries_belong",
            "delivery 1-0-1",
        ),
        (
            "UPDATE deliveries SET conversion_status = 'pending' WHERE conversion_id = 1",
            "deliveries_tell_what_their_cause_left",
            "delivery 1-0-1",
        ),
        (
            "UPDATE deliveries SET payout = payout + 100 WHERE conversion_id = 2 AND booking = 0",
            "deliveries_tell_what_their_cause_left",
            "delivery 2-0-1",
        ),
        (
            "UPDATE deliveries SET revenue = revenue + 100 WHERE conversion_id = 2 AND booking = 1",
            "deliveries_tell_what_their_cause_left",
            "delivery 2-1-1",
        ),
        (
            "UPDATE deliveries SET booking = 9 WHERE conversion_id = 2 AND booking = 2",
            "deliveries_tell_what_their_cause_left",
            "delivery 2-9-1",
        ),
        (
            "UPDATE deliveries SET status = 'lost' WHERE conversion_id = 1",
            "deliveries_have_a_state",
            "delivery 1-0-1",
        ),
        (
            "UPDATE deliveries SET status = 'held', lease = 1, leased_by = 1 WHERE conversion_id = 1",
            "deliveries_have_a_state",
            "delivery 1-0-1",
        ),
        ("UPDATE deliveries SET tries = 1 WHERE conversion_id = 1", "tries_are_all_there", "delivery 1-0-1"),
        ("UPDATE deliveries SET round = 1 WHERE conversion_id = 1", "tries_are_all_there", "delivery 1-0-1"),
        (
            "UPDATE deliveries SET status = 'delivered' WHERE conversion_id = 1",
            "tries_are_all_there",
            "delivery 1-0-1",
        ),
        (
            "INSERT INTO delivery_tries SELECT offer_id, conversion_id, 9, 1, 1, 0, '', 200, NULL, '', '', 1 \
            FROM conversions WHERE conversion_id = 1",
            "tries_belong",
            "delivery 1-9-1",
        ),
    ] {
        let folder = copy(&server);
        let ledger = Connection::open(folder.path().join("ledger.sqlite")).expect("opens");
        ledger.execute_batch("PRAGMA foreign_keys = OFF").expect("done");
        assert_ne!(ledger.execute(harm, ()).expect(harm), 0, "{harm}");
        drop(ledger);
        let (report, code) = verify(folder.path());
        let found = findings(&report);
        let is_named = |[by, at, _]: &[String; 3]| by == check && at.starts_with(row);
        assert!(found.iter().any(is_named), "{harm}: {found:?}");
        assert_eq!((code, &report["sound"]), (Some(1), &false.into()), "{harm}");
        assert_eq!(report["total_findings"], found.len(), "{harm}");
    }
}

#[test]
fn a_damaged_or_missing_segment_is_named_and_its_clicks_count_as_unchecked() {
    let server = busy_server();
    let harm = |harm: fn(&Path)| {
        let folder = copy(&server);
        for entry in std::fs::read_dir(folder.path().join("segments")).expect("there") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|it| it == "parquet") {
                harm(&path);
            }
        }
        let (report, code) = verify(folder.path());
        assert_eq!(code, Some(1));
        let found = findings(&report);
        assert!(!found.is_empty(), "{report}");
        for [check, row, _] in &found {
            assert_eq!(check, "segments_match_the_catalogue");
            assert!(row.starts_with("segment clicks-"), "{row}");
        }
        report
    };
    let flipped = harm(|path| {
        let mut bytes = std::fs::read(path).expect("readable");
        bytes[100] ^= 1;
        std::fs::write(path, bytes).expect("written");
    });
    assert!(flipped.to_string().contains("is damaged at byte"), "{flipped}");
    let missing = harm(|path| std::fs::remove_file(path).expect("removed"));
    assert!(missing.to_string().contains("the file is missing"), "{missing}");
    assert_eq!(missing["clicks_unchecked"]["unreadable"], 3);
}

#[test]
fn a_person_reads_a_line_a_finding_and_what_was_looked_at() {
    let server = busy_server();
    let folder = copy(&server);
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crumb"));
        let output = command.args(["verify", "--data"]).arg(folder.path()).output().expect("it runs");
        (String::from_utf8(output.stdout).expect("text"), output.status.code())
    };
    let (text, code) = run();
    assert_eq!(code, Some(0));
    assert!(
        text.starts_with("verified ") && text.ends_with("the clicks of 3 conversions\nall is right\n"),
        "{text}"
    );
    let ledger = Connection::open(folder.path().join("ledger.sqlite")).expect("opens");
    ledger.execute("UPDATE statements SET lines = 7", ()).expect("done");
    let (text, code) = run();
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with("WRONG    statements_equal_their_lines: statement 1: it says 7 lines"),
        "{text}"
    );
    assert!(text.ends_with("\n1 wrong\n"), "{text}");
}

#[test]
fn a_folder_without_books_is_refused_with_two() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_crumb"));
    let output = command.args(["verify", "--data"]).arg(folder.path()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    std::fs::write(
        folder.path().join("ledger.sqlite"),
        "not a database, but a text that is long enough to be looked at",
    )
    .expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_crumb"));
    let output = command.args(["verify", "--data"]).arg(folder.path()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
}

#[test]
fn of_very_many_findings_json_lists_ten_thousand_and_counts_all() {
    let server = busy_server();
    let folder = copy(&server);
    let ledger = Connection::open(folder.path().join("ledger.sqlite")).expect("opens");
    let many = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10001) \
        INSERT INTO entries SELECT offer_id, 1000 + n, booking, account, party_id, currency, amount, effective, \
        recorded_at, NULL FROM entries, numbers WHERE conversion_id = 1 AND account = 'network_margin'";
    ledger.execute(many, ()).expect("added");
    let (report, code) = verify(folder.path());
    assert_eq!((code, findings(&report).len()), (Some(1), 10_000));
    // Each is alone, and of no conversion.
    assert_eq!(report["total_findings"], 2 * 10_001);
}
