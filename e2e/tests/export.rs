//! `crumb export`: to standard output and to files, in three formats, and after `kill -9` as if nothing had been.

use std::path::{Path, PathBuf};

use e2e::{Finished, Network, Process, Server, click_pages, encode, until};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value};

const ALWAYS: [&str; 4] = ["--from", "2020-01-01", "--to", "2099-01-01"];

fn start_export(server: &Server, arguments: &[&str]) -> Process {
    let mut command = server.command_line(&[&["export"], arguments, &ALWAYS].concat());
    // Where the server listens is only known once it does.
    command.env("CRUMB_SERVER__LISTEN", server.address().to_string());
    Process::start(command)
}

fn export(server: &Server, arguments: &[&str]) -> Finished {
    start_export(server, arguments).finish()
}

fn done(server: &Server, arguments: &[&str]) -> String {
    let finished = export(server, arguments);
    assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{arguments:?}");
    finished.stdout
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A server with clicks, of which some have converted, with postbacks to nowhere.
fn busy_server(clicks: u64) -> Server {
    let server = Server::start();
    let network = Network::make(&server.api());
    let url = encode("https://partner.invalid/in?c={click_id}");
    let form = format!("affiliate_id={}&offer_id=0&postback_url={url}", network.affiliate_id);
    let made = server.api().post_form("affiliate_postback.json", &form).success();
    assert!(made["postback"]["postback_id"].is_number());
    let mut visitor = server.connect();
    for number in 0..clicks {
        let answer = visitor.get(&format!("{}&s1=%22a%22%2C{number}", network.link)).expect("an answer");
        let id = answer.click_id().expect("the landing page is told the click id");
        if number % 50 == 0 {
            let call =
                format!("conversion.json?click_id={id}&offer_id={}&unique_id={number}", network.offer_id);
            server.api().get(&call).success();
        }
    }
    server
}

#[test]
fn an_export_is_the_same_beside_a_server_and_without_in_every_format() {
    let mut server = busy_server(120);
    let folder = tempfile::tempdir().expect("a folder");
    let clicks = click_pages(&server.api(), "start_date=2020-01-01", 1000);
    let mut before = Vec::new();
    for is_running in [true, false] {
        if !is_running {
            server.stop();
        }
        for kind in ["clicks", "conversions", "entries"] {
            let csv = done(&server, &[kind]);
            let lines = done(&server, &[kind, "--format", "jsonl", "--rows-at-once", "7"]);
            let parquet = folder.path().join(format!("{kind}-{is_running}.parquet"));
            let told = done(&server, &[kind, "--format", "parquet", "--out", path(&parquet)]);
            let rows: Vec<Map<String, Value>> =
                lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
            assert_eq!(told, format!("{} rows in {}", rows.len(), parquet.display()));
            assert_eq!(csv.lines().count(), 1 + rows.len());
            holds(&parquet, &rows);
            if kind == "clicks" {
                let ids: Vec<_> = rows.iter().map(|row| &row["click_id"]).collect();
                assert_eq!(ids, clicks.iter().map(|it| &it["click_id"]).collect::<Vec<_>>());
            }
            before.push((csv, lines));
        }
    }
    assert_eq!(before[..3], before[3..]);
    server.start_again();
    // What is tried again and again is a little further each time.
    assert_eq!(done(&server, &["deliveries"]).lines().count(), 4);
    assert_eq!(done(&server, &["clicks", "--affiliate", "99"]).lines().count(), 1);
    let listed = server.command(&["key", "list"]).stdout;
    let mut keys = listed.lines().filter(|it| it.starts_with("export"));
    assert!(keys.all(|it| !it.contains("active")) && listed.contains("export"), "{listed}");
}

/// Asserts that a Parquet file holds these rows, by types of their own.
fn holds(file: &Path, rows: &[Map<String, Value>]) {
    let reader = SerializedFileReader::new(std::fs::File::open(file).expect("there")).expect("Parquet");
    let found: Vec<_> = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
    assert_eq!(found.len(), rows.len());
    for (found, row) in found.iter().zip(rows) {
        let names: Vec<_> = found.get_column_iter().map(|(name, _)| name).collect();
        assert_eq!(names, row.keys().collect::<Vec<_>>());
        for ((name, field), value) in found.get_column_iter().zip(row.values()) {
            let expected = match field {
                Field::Null => Value::Null,
                Field::Str(text) if value.is_array() => serde_json::from_str(text).expect("JSON"),
                Field::Str(text) => Value::from(text.as_str()),
                Field::Bool(flag) => Value::from(*flag),
                Field::Long(number) => Value::from(*number),
                Field::Decimal(decimal) => {
                    let scale = if name == "exchange_rate" { 10 } else { 4 };
                    assert_eq!((decimal.precision(), decimal.scale()), (18, scale), "{name}");
                    let steps = i64::from_be_bytes(decimal.data().try_into().expect("eight bytes"));
                    let text = value.to_string();
                    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
                    let width = usize::try_from(scale).expect("small");
                    assert_eq!(format!("{whole}{decimals:0<width$}").parse(), Ok(steps), "{name}");
                    continue;
                }
                Field::TimestampMicros(micros) => {
                    let seconds = micros / 1_000_000 % 86_400;
                    let time = format!(" {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
                    assert!(value.as_str().is_some_and(|it| it.ends_with(&time)), "{name} {micros} {value}");
                    continue;
                }
                other => panic!("{name} is {other:?}"),
            };
            assert_eq!(expected, *value, "{name}");
        }
    }
}

#[test]
fn an_export_that_is_killed_goes_on_and_is_in_the_end_the_same_byte_for_byte() {
    let server = busy_server(1500);
    let folder = tempfile::tempdir().expect("a folder");
    for format in ["csv", "jsonl"] {
        let whole = folder.path().join(format!("whole.{format}"));
        done(&server, &["clicks", "--format", format, "--out", path(&whole)]);
        let file = folder.path().join(format!("clicks.{format}"));
        let [partial, state] =
            [".partial", ".partial.state"].map(|end| PathBuf::from(format!("{}{end}", file.display())));
        let ask = ["clicks", "--format", format, "--rows-at-once", "2", "--out", path(&file)];
        let mut process = start_export(&server, &ask);
        let rows = until("some rows are kept", || {
            let state: Value =
                serde_json::from_slice(&std::fs::read(&state).ok()?).expect("whole at every moment");
            state["rows"].as_u64().filter(|rows| *rows >= 20)
        });
        process.kill();
        assert!(rows < 1500 && !file.exists() && partial.exists(), "in the middle");
        let again = export(&server, &ask);
        assert!(again.code == Some(2) && again.stderr.contains("--resume"), "{again:?}");
        // What came after the last time that it was kept need not be whole rows.
        let cut = std::fs::read(&partial).expect("there");
        std::fs::write(&partial, [&cut[..], b"\"half a ro"].concat()).expect("written");
        let told = done(&server, &["clicks", "--format", format, "--resume", "--out", path(&file)]);
        assert_eq!(told, format!("1500 rows in {}", file.display()));
        assert!(std::fs::read(&file).expect("there") == std::fs::read(&whole).expect("there"));
        assert!(!partial.exists() && !state.exists());
    }
}

#[test]
fn an_export_begins_only_where_it_can_and_leaves_files_of_others_alone() {
    let server = busy_server(3);
    let folder = tempfile::tempdir().expect("a folder");
    let taken = folder.path().join("taken.csv");
    std::fs::write(&taken, "mine").expect("written");
    let cannot = |arguments: &[&str], named: &str| {
        let finished = export(&server, arguments);
        assert_eq!((finished.code, finished.stderr.lines().count()), (Some(2), 1), "{finished:?}");
        assert!(finished.stderr.contains(named) && finished.stdout.is_empty(), "{named}: {finished:?}");
    };
    for more in [&[][..], &["--resume"], &["--format", "parquet"]] {
        cannot(&[&["clicks", "--out", path(&taken)], more].concat(), "is there already");
    }
    assert_eq!(std::fs::read(&taken).expect("there"), b"mine");
    cannot(&["clicks", "--out", "/nonexistent/clicks.csv"], "/nonexistent/clicks.csv.partial");
    let mut command = server.command_line(&["export", "clicks", "--from", "yesterday", "--to", "2026-01-01"]);
    command.env("CRUMB_SERVER__LISTEN", server.address().to_string());
    let refused = Process::start(command).finish();
    assert!(refused.code == Some(2) && refused.stderr.contains("start_date: not a date"), "{refused:?}");
    // Begun without a place kept, Parquet begins again.
    let parquet = folder.path().join("c.parquet");
    std::fs::write(format!("{}.partial", parquet.display()), "PAR1 and no more").expect("written");
    cannot(&["clicks", "--format", "parquet", "--out", path(&parquet)], "--resume");
    let told = done(&server, &["clicks", "--format", "parquet", "--out", path(&parquet), "--resume"]);
    assert!(told.starts_with("3 rows in "), "{told}");
}
