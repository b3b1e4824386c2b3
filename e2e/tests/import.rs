//! `crumb import`: the same with and without a running server, and nothing half told.

use std::path::{Path, PathBuf};

use e2e::{Finished, Network, Process, Server, conversion_pages, crumb};
use serde_json::Value;

/// All that there is, in whole years.
const ALWAYS: &str = "start_date=2020-01-01&end_date=2099-01-01";

fn import(server: &Server, arguments: &[&str]) -> Finished {
    let mut command = crumb(&[&["import"], arguments].concat());
    command.arg("--data").arg(server.data());
    // Where the server listens is only known once it does.
    command.env("CRUMB_SERVER__LISTEN", server.address().to_string());
    Process::start(command).finish()
}

fn write(server: &Server, rows: &str) -> PathBuf {
    let file = server.data().join("sales.csv");
    std::fs::write(&file, format!("click_id;offer_id;conversion_date;unique_id\n{rows}")).expect("written");
    file
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn statuses(server: &Server) -> Vec<String> {
    let rows = conversion_pages(&server.api(), ALWAYS);
    rows.iter().map(|row| row["conversion_status"].as_str().expect("a text").to_owned()).collect()
}

/// The batch that an import has told.
fn batch(finished: &Finished) -> &str {
    let line = finished.stdout.lines().find_map(|line| line.strip_prefix("batch "));
    line.and_then(|line| line.split(';').next()).unwrap_or_else(|| panic!("no batch: {finished:?}"))
}

/// No key that an import has made works on.
fn leaves_no_key(server: &Server) {
    let listed = server.command(&["key", "list"]).stdout;
    let left: Vec<_> =
        listed.lines().filter(|it| it.starts_with("import") && it.contains("active")).collect();
    assert!(left.is_empty() && listed.contains("import"), "{listed}");
}

#[test]
fn a_file_is_tried_imported_repeated_and_taken_back_beside_a_server_and_without() {
    let mut server = Server::start();
    let network = Network::make(&server.api());
    let clicks = [0, 1, 2].map(|_| server.click(&network.link));
    let offer_id = network.offer_id;
    let row = |click: &str, unique_id: &str| format!("{click};{offer_id};2026-01-01;{unique_id}\n");
    for is_running in [true, false] {
        let name = |number: u32| format!("ORD-{is_running}-{number}");
        let rows: String = clicks.iter().zip(0..).map(|(click, number)| row(click, &name(number))).collect();
        let file = write(&server, &rows);
        let before = statuses(&server).len();
        if !is_running {
            server.stop();
        }
        let tried = import(&server, &["conversions", text(&file), "--dry-run"]);
        assert_eq!(tried.code, Some(0), "{tried:?}");
        assert!(tried.stdout.starts_with("dry run: 3 rows: 3 recorded, 0 repeated"), "{tried:?}");
        let results = server.data().join("results.csv");
        let done =
            import(&server, &["conversions", text(&file), "--results", text(&results), "--note", "May"]);
        assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
        let number = batch(&done);
        assert!(done.stdout.contains(&format!("crumb import undo {number}\n")), "{done:?}");
        assert!(done.stdout.ends_with(
            "imported: 3 rows: 3 recorded, 0 repeated, 0 adjusted, 0 unchanged, 0 refused, 0 unreadable"
        ));
        let results = std::fs::read_to_string(results).expect("written");
        let lines: Vec<_> = results.lines().collect();
        assert_eq!((lines[0], lines.len()), ("line,outcome,conversion_id,reason", 4));
        assert!(lines[1].starts_with("2,recorded,") && lines[3].starts_with("4,recorded,"), "{results}");
        let again = import(&server, &["conversions", text(&file), "--json"]);
        let told: Value = again.stdout.parse().expect("JSON");
        assert_eq!((&told["import"]["repeated"], &told["import"]["rows"]), (&3.into(), &3.into()), "{told}");
        let undone = import(&server, &["undo", number]);
        assert_eq!(undone.stdout, format!("batch {number} was taken back by 3 adjustments"));
        let twice = import(&server, &["undo", number]);
        assert_eq!((twice.code, twice.stderr.contains("taken back before")), (Some(2), true), "{twice:?}");
        if !is_running {
            server.start_again();
        }
        assert_eq!(statuses(&server)[before..], ["reversed", "reversed", "reversed"]);
        leaves_no_key(&server);
    }
}

#[test]
fn what_does_not_go_in_is_told_by_its_line_and_in_the_exit_code() {
    let server = Server::start();
    let network = Network::make(&server.api());
    let click = server.click(&network.link);
    let good = format!("{click};{};2026-01-01;ORD-1\n", network.offer_id);
    let refused = write(&server, &format!("{good}nobody;1;2026-01-01;ORD-2\n"));
    let done = import(&server, &["conversions", text(&refused)]);
    assert_eq!((done.code, statuses(&server).len()), (Some(1), 1), "{done:?}");
    assert!(done.stdout.contains("  line 3: refused: click_not_found: Click Not Found"), "{done:?}");

    let half = write(&server, &format!("{}{click};{};20", good.replace("ORD-1", "ORD-3"), network.offer_id));
    let stopped = import(&server, &["conversions", text(&half)]);
    assert_eq!((stopped.code, statuses(&server).len()), (Some(1), 1), "{stopped:?}");
    assert!(
        stopped.stdout.contains("line 3: unreadable: 3 values")
            && stopped.stdout.contains("nothing was imported")
    );
    let skipped = import(&server, &["conversions", text(&half), "--skip-unreadable"]);
    assert_eq!((skipped.code, statuses(&server).len()), (Some(1), 2), "{skipped:?}");

    let cannot = |arguments: &[&str], named: &str| {
        let finished = import(&server, arguments);
        assert_eq!((finished.code, finished.stderr.lines().count()), (Some(2), 1), "{finished:?}");
        assert!(finished.stderr.contains(named), "{named} is not named: {finished:?}");
    };
    cannot(&["conversions", "/nonexistent/sales.csv"], "/nonexistent/sales.csv");
    cannot(&["undo", "99"], "Batch Not Found");
    std::fs::write(&half, "colour;click_id;offer_id;conversion_date\n").expect("written");
    cannot(&["conversions", text(&half)], "unknown columns: colour");
    leaves_no_key(&server);
    // A server that is not where the settings say.
    let mut command = crumb(&["import", "undo", "1", "--data", text(server.data())]);
    command.env("CRUMB_SERVER__LISTEN", "127.0.0.1:1");
    let elsewhere = Process::start(command).finish();
    assert_eq!(elsewhere.code, Some(2));
    assert!(
        elsewhere.stderr.contains("127.0.0.1:1") && elsewhere.stderr.contains("--config"),
        "{elsewhere:?}"
    );
}

#[test]
fn a_file_of_many_pieces_comes_from_standard_input_and_keeps_its_lines() {
    let server = Server::start();
    let network = Network::make(&server.api());
    let click = server.click(&network.link);
    let row = |number: u32| format!("{click};{};2026-01-01;ORD-{number}\n", network.offer_id);
    let rows: String = (0..5001).map(row).collect();
    let file = write(&server, &format!("{rows}nobody;1;2026-01-01;\n"));
    let program = e2e::binary();
    let line = format!(
        "{} import conversions - --json --data {} < {}",
        program.display(),
        text(server.data()),
        file.display()
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &line]).env("CRUMB_SERVER__LISTEN", server.address().to_string());
    let done = Process::start(command).finish();
    assert_eq!(done.code, Some(1), "{done:?}");
    let told: Value = done.stdout.parse().expect("JSON");
    assert_eq!(
        (&told["import"]["recorded"], &told["import"]["refused"]),
        (&5001.into(), &1.into()),
        "{told}"
    );
    assert_eq!(told["problems"][0]["line"], 5003, "{told}");
    let batches = server.api().get("batches.json").success();
    assert_eq!((&batches["total_rows"], &batches["batches"][0]["conversions"]), (&1.into(), &5001.into()));
    assert_eq!(batches["batches"][0]["note"], "standard input");
}
