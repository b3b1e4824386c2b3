//! `crumb reconcile`: its exit codes, what it prints, and a long file in little memory.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use e2e::{Finished, Network, Process, Server, crumb};
use serde_json::Value;

/// Rows of a month of a large advertiser.
const MANY: usize = 100_000;
/// How much memory they may take the server on top, in KiB: some 500 bytes a row, all of it together.
const MORE_KIB_MAX: u64 = 64 * 1024;

fn reconcile(server: &Server, file: &str, more: &[&str]) -> Finished {
    let range = ["--advertiser", "1", "--from", "2020-01-01", "--to", "2020-12-31"];
    let mut command = crumb(&[&["reconcile", file], &range[..], more].concat());
    command.arg("--data").arg(server.data());
    // Where the server listens is only known once it does.
    command.env("CRUMB_SERVER__LISTEN", server.address().to_string());
    Process::start(command).finish()
}

fn write(server: &Server, text: &str) -> PathBuf {
    let file = server.data().join("june.csv");
    fs::write(&file, text).expect("written");
    file
}

/// Imports conversions of one click, worth 22.00 each.
fn import(server: &Server, names: impl Iterator<Item = String>) {
    let network = Network::make(&server.api());
    let click = server.click(&network.link);
    let mut text = "click_id,offer_id,conversion_date,unique_id\n".to_owned();
    for name in names {
        writeln!(text, "{click},{},2020-06-19,{name}", network.offer_id).expect("writing to a string");
    }
    let file = server.data().join("sales.csv");
    fs::write(&file, text).expect("written");
    let mut command = crumb(&["import", "conversions", file.to_str().expect("UTF-8"), "--data"]);
    command.arg(server.data()).env("CRUMB_SERVER__LISTEN", server.address().to_string());
    let imported = Process::start(command).finish();
    assert_eq!(imported.code, Some(0), "{imported:?}");
}

#[test]
fn the_exit_code_tells_whether_everything_matches_beside_a_server_and_without() {
    let mut server = Server::start();
    import(&server, ["A", "B"].into_iter().map(str::to_owned));
    for is_running in [true, false] {
        if !is_running {
            server.stop();
        }
        let file = write(&server, "Ref,Net\nA,22\nB,22\n");
        let file = file.to_str().expect("UTF-8");
        let map = ["--map", "Ref=unique_id", "--map", "Net=amount"];
        let same = reconcile(&server, file, &map);
        assert_eq!((same.code, &*same.stderr), (Some(0), ""), "{same:?}");
        assert!(same.stdout.contains("2 rows: 2 matched") && same.stdout.contains("44.00 USD"), "{same:?}");
        write(&server, "Ref,Net\nA,21.99\nC,5\n");
        let rows = server.data().join("rows.csv");
        let differs =
            reconcile(&server, file, &[&map[..], &["--rows", rows.to_str().expect("UTF-8")]].concat());
        assert_eq!(differs.code, Some(1), "{differs:?}");
        for told in
            ["line 2: amount_differs: they have 21.99", "line 3: missing_here", "missing_there: their file"]
        {
            assert!(differs.stdout.contains(told), "{told}: {differs:?}");
        }
        assert_eq!(fs::read_to_string(rows).expect("written").lines().count(), 4);
        let json = reconcile(&server, file, &[&map[..], &["--tolerance", "0.01", "--json"]].concat());
        let told: Value = json.stdout.parse().expect("JSON");
        let told = &told["reconciliation"];
        assert_eq!((json.code, &told["counts"]["matched"]), (Some(1), &1.into()), "{told}");
        assert_eq!((&told["rows"][0]["class"], &told["rows"][2]["line"]), (&"matched".into(), &Value::Null));
        let cannot = |file: &str, more: &[&str], named: &str| {
            let finished = reconcile(&server, file, more);
            assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{finished:?}");
            assert!(finished.stderr.contains(named), "{named} is not named: {finished:?}");
        };
        cannot(file, &[], "Understood are conversion_id");
        cannot(file, &["--map", "Ref"], "THEIRS=OURS");
        cannot("/nonexistent/june.csv", &[], "/nonexistent/june.csv");
        cannot(server.data().to_str().expect("UTF-8"), &[], "is not a file");
    }
}

#[test]
fn a_long_file_takes_little_memory() {
    let mut server = Server::start();
    import(&server, (0..1000).map(|number| format!("ORD-{number}")));
    let mut text = "Order Ref;Date;Net;Status\n".to_owned();
    for number in 0..MANY {
        let day = number % 30 + 1;
        writeln!(text, "ORD-{number};2020-06-{day:02} 12:00:00;\"22,00 USD\";paid")
            .expect("writing to a string");
    }
    let file = write(&server, &text);
    let id = server.process().id();
    let peak = || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let before = peak();
    let map = ["--map", "Order Ref=unique_id", "--map", "Net=amount", "--json"];
    let done = reconcile(&server, file.to_str().expect("UTF-8"), &map);
    assert_eq!(done.code, Some(1), "{done:?}");
    let told: Value = done.stdout.parse().expect("JSON");
    let told = &told["reconciliation"];
    let counts = &told["counts"];
    assert_eq!((&counts["matched"], &counts["missing_here"]), (&1000.into(), &99_000.into()), "{counts}");
    assert_eq!(told["rows"].as_array().map(Vec::len), Some(10_000));
    let more = peak().saturating_sub(before);
    assert!(more < MORE_KIB_MAX, "{more} KiB more");
}
