//! Backups: what was answered before one began is in it, whatever goes on meanwhile; nothing half is ever taken
//! for one, and nothing damaged is restored.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::{
    Chance, Connection, Database, Finished, Network, Process, Server, SmallDisk, click_pages,
    conversion_pages, crumb, until,
};
use serde_json::Value;
use tempfile::TempDir;

/// All that there is, in whole years.
const ALWAYS: &str = "start_date=2020-01-01&end_date=2099-01-01";
/// Files are sealed, and segments joined, several times a second.
const BUSY: [(&str, &str); 4] = [
    ("JOURNAL__FILE_MIB", "1"),
    ("JOURNAL__PENDING_MIB", "1"),
    ("ARCHIVE__SEAL_AFTER_SECONDS", "1"),
    ("LOG__LEVEL", "warn"),
];
const WORKERS: usize = 3;
/// Every so many clicks one converts.
const CLICKS_PER_CONVERSION: usize = 5;
/// Backups taken under load, and how often each is held up in its work.
const BACKUPS: usize = 6;
const PAUSES: usize = 5;
/// Longer than most of its steps take.
const STEP_US: u64 = 20_000;
/// How often a backup, and a restore, is killed.
const KILLS: usize = 25;

/// What was answered: clicks, and conversion ids by unique id.
#[derive(Clone, Default)]
struct Answered {
    clicks: BTreeSet<String>,
    conversions: BTreeMap<String, u64>,
}

/// A visitor and a shop, until they are told to stop.
fn work(worker: usize, address: SocketAddr, key: &str, network: &Network, load: &Load) {
    let mut connection = Connection::open(address).expect("the server listens");
    // Long ones fill journal files sooner.
    let headers = format!("User-Agent: {}\r\nReferer: {}\r\n", "u".repeat(1000), "r".repeat(2000));
    for number in 1.. {
        if load.is_over.load(Ordering::SeqCst) {
            return;
        }
        let answer = connection.request("GET", &network.link, &headers).expect("an answer");
        let click_id = answer.click_id().expect("the landing page is told the click id");
        load.answered.lock().expect("sound").clicks.insert(click_id.clone());
        if number % CLICKS_PER_CONVERSION == 0 {
            let unique_id = format!("{worker}-{number}");
            let call = call(network, &click_id, &unique_id);
            let key = format!("X-Api-Key: {key}\r\n");
            let answer = connection.request("GET", &format!("/api/2/{call}"), &key).expect("an answer");
            let id = answer.success()["conversion"]["conversion_id"].as_u64().expect("a number");
            load.answered.lock().expect("sound").conversions.insert(unique_id, id);
        }
    }
}

fn call(network: &Network, click_id: &str, unique_id: &str) -> String {
    format!("conversion.json?click_id={click_id}&offer_id={}&unique_id={unique_id}", network.offer_id)
}

/// What workers share.
#[derive(Default)]
struct Load {
    answered: Mutex<Answered>,
    is_over: AtomicBool,
}

impl Load {
    fn answered(&self) -> Answered {
        self.answered.lock().expect("sound").clone()
    }
}

/// Runs workers beside `beside`.
fn under_load(server: &Server, network: &Network, beside: impl FnOnce(&Load)) {
    let load = Load::default();
    let (address, key) = (server.address(), server.api().key().to_owned());
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (load, key) = (&load, &key);
            scope.spawn(move || work(worker, address, key, network, load));
        }
        // A failure must not leave the workers at work.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| beside(&load)));
        load.is_over.store(true, Ordering::SeqCst);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn run(arguments: &[&str]) -> Finished {
    Process::start(crumb(arguments)).finish()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a text")
}

fn backup(server: &Server, to: &Path) -> Finished {
    server.command(&["backup", text(to)])
}

fn restore(from: &Path, to: &Path) -> Finished {
    run(&["restore", text(from), "--data", text(to)])
}

fn succeeded(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

/// Ended with that code and one line that names something.
fn refused(finished: &Finished, code: i32, named: &str) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    let lines: Vec<_> = finished.stderr.lines().collect();
    assert!(lines.len() == 1 && lines[0].starts_with("crumb: "), "{lines:?}");
    assert!(lines[0].contains(named), "{named} is not named: {lines:?}");
}

/// Everything answered is there once and as it was answered, and everything there is right.
fn holds(server: &Server, answered: &Answered) {
    let api = server.api();
    let clicks = click_pages(&api, ALWAYS, 10_000);
    let found: BTreeSet<_> =
        clicks.iter().map(|it| it["click_id"].as_str().expect("an id").to_owned()).collect();
    let lost: Vec<_> = answered.clicks.difference(&found).collect();
    assert!(lost.is_empty(), "{} of {} clicks are lost: {lost:?}", lost.len(), answered.clicks.len());
    let conversions = conversion_pages(&api, ALWAYS);
    let conversions: BTreeMap<_, _> = conversions
        .iter()
        .map(|it| {
            let unique_id = it["unique_id"].as_str().expect("a text").to_owned();
            (unique_id, it["conversion_id"].as_u64().expect("a number"))
        })
        .collect();
    for (unique_id, id) in &answered.conversions {
        assert_eq!(conversions.get(unique_id), Some(id), "{unique_id}");
    }
    succeeded(&server.command(&["verify"]));
    succeeded(&server.command(&["check"]));
}

/// A data folder made of that backup, in which everything is sound before a server has touched it.
fn restored(from: &Path) -> TempDir {
    let data = tempfile::tempdir().expect("a temporary folder");
    succeeded(&restore(from, data.path()));
    for command in ["verify", "check"] {
        succeeded(&run(&[command, "--data", text(data.path())]));
    }
    data
}

#[test]
fn a_backup_under_load_has_everything_that_was_answered_before_it_began() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_with(&BUSY);
    let network = Network::make(&server.api());
    let (mut taken, mut chance) = (Vec::new(), chance());
    under_load(&server, &network, |load| {
        for number in 0..BACKUPS {
            let (answered, to) = (load.answered(), folder.path().join(number.to_string()));
            let process = Process::start(server.command_line(&["backup", text(&to)]));
            for _ in 0..PAUSES {
                // No condition to wait for: that the moment is arbitrary is the point.
                std::thread::park_timeout(Duration::from_micros(chance.below(STEP_US)));
                process.signal("STOP");
                seal(&server, 2);
                process.signal("CONT");
            }
            succeeded(&process.finish());
            assert!(load.answered().clicks.len() > answered.clicks.len(), "clicks go on meanwhile");
            taken.push((to, answered));
        }
    });
    assert!(server.metric("crumb_segments_joined_total") > 0, "segments were joined meanwhile");
    for (to, answered) in taken {
        let mut server = Server::start_on(restored(&to));
        holds(&server, &answered);
        let next = server.click(&network.link);
        assert!(Some(&next) > answered.clicks.last(), "ids go on growing");
        server.api().get(&call(&network, &next, "after")).success();
        server.kill();
        server.start_again();
        server.api().click(&next);
    }
}

/// Waits until so many more journal files have become segments.
fn seal(server: &Server, more: u64) {
    let sealed = server.metric("crumb_segments_sealed_total") + more;
    until("some are sealed", || (server.metric("crumb_segments_sealed_total") >= sealed).then_some(()));
}

/// A stopped server whose folder has segments, a journal and conversions, and what it answered.
fn stopped() -> (Server, Answered) {
    let mut server = Server::start_with(&BUSY);
    let network = Network::make(&server.api());
    let mut all = Answered::default();
    under_load(&server, &network, |load| {
        seal(&server, 4);
        all = load.answered();
    });
    server.kill();
    (server, all)
}

/// The files of a folder that end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = entries.filter(|path| text(path).ends_with(ending)).collect();
    paths.sort();
    paths
}

#[test]
fn without_a_server_a_backup_is_all_there_is_and_only_its_owner_can_look_into_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, answered) = stopped();
    let to = folder.path().join("backup");
    let taken = server.command(&["backup", text(&to), "--json"]);
    succeeded(&taken);
    let report: Value = serde_json::from_str(&taken.stdout).expect("JSON");
    assert!(report["segments"].as_u64() > Some(0) && report["has_ledger"] == true, "{report}");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(
        (mode(&to), mode(&to.join("ledger.sqlite")), mode(&to.join("manifest.json"))),
        (0o700, 0o600, 0o600)
    );
    let data = restored(&to);
    assert_eq!((mode(data.path()), mode(&data.path().join("ledger.sqlite"))), (0o700, 0o600));
    for segment in files(&data.path().join("segments"), "") {
        assert_eq!(mode(&segment), 0o600, "{}", segment.display());
    }
    holds(&Server::start_on(data), &answered);
}

#[test]
fn a_backup_that_was_killed_is_never_taken_for_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, answered) = stopped();
    let (to, partial) = (folder.path().join("backup"), folder.path().join("backup.partial"));
    let began = Instant::now();
    succeeded(&backup(&server, &to));
    let longest_us = u64::try_from(began.elapsed().as_micros()).expect("short");
    let mut chance = chance();
    let mut killed = 0;
    for _ in 0..KILLS {
        if to.exists() {
            restored(&to);
            fs::remove_dir_all(&to).expect("removed");
        }
        let mut process = Process::start(server.command_line(&["backup", text(&to)]));
        // No condition to wait for: that the moment is arbitrary is the point.
        std::thread::park_timeout(Duration::from_micros(chance.below(longest_us)));
        process.kill();
        if partial.exists() {
            killed += 1;
            assert!(!to.exists(), "there is one or the other");
            let data = folder.path().join("data");
            let refused = restore(&partial, &data);
            assert!(refused.code.is_some_and(|code| code > 0) && !data.exists(), "{refused:?}");
        }
    }
    assert!(killed > 0, "it was never killed at work");
    if to.exists() {
        fs::remove_dir_all(&to).expect("removed");
    }
    succeeded(&backup(&server, &to));
    assert!(!partial.exists(), "what was left is gone");
    holds(&Server::start_on(restored(&to)), &answered);
}

#[test]
fn a_restore_that_was_killed_leaves_nothing_that_a_server_starts_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, answered) = stopped();
    let (from, to, partial) =
        (folder.path().join("backup"), folder.path().join("data"), folder.path().join("data.partial"));
    succeeded(&backup(&server, &from));
    let began = Instant::now();
    succeeded(&restore(&from, &to));
    let longest_us = u64::try_from(began.elapsed().as_micros()).expect("short");
    let (mut chance, mut killed) = (chance(), 0);
    for _ in 0..KILLS {
        if to.exists() {
            succeeded(&run(&["check", "--data", text(&to)]));
            fs::remove_dir_all(&to).expect("removed");
        }
        let mut process = Process::start(crumb(&["restore", text(&from), "--data", text(&to)]));
        // No condition to wait for: that the moment is arbitrary is the point.
        std::thread::park_timeout(Duration::from_micros(chance.below(longest_us)));
        process.kill();
        if partial.join("unfinished").exists() {
            killed += 1;
            assert!(!to.exists(), "there is one or the other");
            let mut serve = crumb(&["serve", "--listen", "127.0.0.1:0", "--data", text(&partial)]);
            serve.env("CRUMB_LOG__LEVEL", "warn");
            refused(&Process::start(serve).finish(), 2, "unfinished");
        }
    }
    assert!(killed > 0, "it was never killed at work");
    if to.exists() {
        fs::remove_dir_all(&to).expect("removed");
    }
    succeeded(&restore(&from, &to));
    assert!(!partial.exists(), "what was left is gone");
    holds(&Server::start_on(restored(&from)), &answered);
}

fn chance() -> Chance {
    let seed = RandomState::new().hash_one("backup");
    #[expect(clippy::print_stderr, reason = "who repeats a failure needs it")]
    {
        eprintln!("the moments are those of {seed}");
    }
    Chance::new(seed)
}

#[test]
fn what_is_damaged_or_missing_in_a_backup_is_named_and_not_restored() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, answered) = stopped();
    let (from, to) = (folder.path().join("backup"), folder.path().join("data"));
    succeeded(&backup(&server, &from));
    let mut damaged = vec![from.join("manifest.json"), from.join("ledger.sqlite")];
    for (part, ending) in [("journal", ".log"), ("segments", ".parquet"), ("segments", ".crc")] {
        damaged.push(files(&from.join(part), ending).remove(0));
    }
    for path in damaged {
        let sound = fs::read(&path).expect("readable");
        for change in ["flip", "cut", "remove"] {
            let mut bytes = sound.clone();
            match change {
                "flip" => bytes[sound.len() / 2] ^= 1,
                "cut" => bytes.truncate(sound.len() - 1),
                _ => bytes.clear(),
            }
            fs::write(&path, &bytes).expect("written");
            if change == "remove" {
                fs::remove_file(&path).expect("removed");
            }
            // A folder without a manifest is no backup at all.
            let is_none = change == "remove" && path.ends_with("manifest.json");
            refused(
                &restore(&from, &to),
                if is_none { 2 } else { 1 },
                text(&path).rsplit('/').next().expect("a name"),
            );
            assert!(
                files(folder.path(), "") == [from.as_path()],
                "{change} {}: nothing is left",
                path.display()
            );
            fs::write(&path, &sound).expect("written");
        }
    }
    holds(&Server::start_on(restored(&from)), &answered);
}

#[test]
fn a_damaged_segment_or_journal_is_named_and_there_is_no_backup() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, _) = stopped();
    let to = folder.path().join("backup");
    let segment = files(&server.data().join("segments"), ".parquet").remove(0);
    let journal = files(&server.data().join("journal"), ".log").pop().expect("a journal file");
    let sound = fs::read(&segment).expect("readable");
    let name = text(&segment).rsplit('/').next().expect("a name");
    fs::write(&segment, &sound[1..]).expect("written");
    refused(&backup(&server, &to), 1, name);
    fs::remove_file(&segment).expect("removed");
    refused(&backup(&server, &to), 1, name);
    fs::write(&segment, &sound).expect("written");
    let mut bytes = fs::read(&journal).expect("readable");
    bytes[20] ^= 1;
    fs::write(&journal, &bytes).expect("written");
    refused(&backup(&server, &to), 1, "journal file");
    bytes[20] ^= 1;
    fs::write(&journal, &bytes).expect("written");
    assert_eq!(files(folder.path(), ""), [] as [PathBuf; 0]);
    succeeded(&backup(&server, &to));
}

#[test]
fn what_would_overwrite_something_or_copy_into_itself_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Server::start();
    let (to, other) = (folder.path().join("backup"), folder.path().join("other"));
    refused(&backup(&server, &server.data().join("backup")), 2, "would be a copy");
    refused(&backup(&server, &server.data().join("segments")), 2, "would be a copy");
    refused(&backup(&server, server.data()), 2, "");
    refused(&backup(&server, &folder.path().join("nowhere/backup")), 2, "nowhere");
    succeeded(&backup(&server, &to));
    let manifest = fs::read(to.join("manifest.json")).expect("there");
    refused(&backup(&server, &to), 2, "not empty");
    fs::create_dir(&other).expect("made");
    fs::write(other.join("mine"), "x").expect("written");
    refused(&backup(&server, &other), 2, "not empty");
    refused(&restore(&to, &other), 2, "not empty");
    refused(&restore(&to, server.data()), 2, "not empty");
    refused(&restore(&to, &to.join("data")), 2, "would be a copy");
    refused(&restore(&other, &folder.path().join("data")), 2, "no backup");
    refused(&server.command(&["backup", text(&folder.path().join("x")), "--without-ledger"]), 2, "is a file");
    assert_eq!(fs::read(other.join("mine")).expect("there"), b"x");
    assert_eq!(fs::read(to.join("manifest.json")).expect("there"), manifest);
    // A backup is nothing to serve from: that would change it.
    server.stop();
    let mut serve = crumb(&["serve", "--listen", "127.0.0.1:0", "--data", text(&to)]);
    serve.env("CRUMB_LOG__LEVEL", "warn");
    refused(&Process::start(serve).finish(), 2, "is a backup");
}

#[test]
fn on_a_full_disk_there_is_one_clear_line_and_nothing_that_is_finished() {
    let (disk, folder) = (SmallDisk::of_mib(2), tempfile::tempdir().expect("a temporary folder"));
    // More than the disk holds, in the journal: nothing is sealed.
    let server = Server::start_with(&[("LOG__LEVEL", "warn")]);
    let network = Network::make(&server.api());
    let headers = format!("User-Agent: {}\r\nReferer: {}\r\n", "u".repeat(1000), "r".repeat(2000));
    let mut visitor = server.connect();
    for _ in 0..1000 {
        assert_eq!(visitor.request("GET", &network.link, &headers).expect("an answer").status, 302);
    }
    let (inside, whole) = (disk.inside().join("copy"), folder.path().join("whole"));
    succeeded(&backup(&server, &whole));
    let on_disk = |arguments: &[&str]| Process::start(disk.runner()(crumb(arguments))).finish();
    let take = ["backup", text(&inside), "--data", text(server.data())];
    let make = ["restore", text(&whole), "--data", text(&inside)];
    for arguments in [take, make] {
        for is_filled in [false, true] {
            if is_filled {
                disk.fill();
            }
            let failed = on_disk(&arguments);
            refused(&failed, 2, text(disk.inside()));
            let said = failed.stderr.to_lowercase();
            assert!(said.contains("no space") || said.contains("full"), "{said}");
            let left = files(&disk.path(), "");
            assert!(left.iter().all(|path| path.ends_with("ballast")), "{left:?}");
            disk.make_room();
        }
    }
    assert_eq!(visitor.get("/healthz").expect("an answer").status, 200);
}

#[test]
fn on_another_disk_segments_that_an_earlier_backup_has_are_shared_with_it() {
    let disk = SmallDisk::of_mib(64);
    let (mut server, answered) = stopped();
    let (first, second) = (disk.inside().join("first"), disk.inside().join("second"));
    let take = |server: &Server, arguments: &[&str]| {
        let mut all = vec!["backup", "--json", "--data", text(server.data())];
        all.extend(arguments);
        let taken = Process::start(disk.runner()(crumb(&all))).finish();
        succeeded(&taken);
        serde_json::from_str::<Value>(&taken.stdout).expect("JSON")["shared_bytes"]
            .as_u64()
            .expect("a number")
    };
    assert_eq!(take(&server, &[text(&first)]), 0, "it is another disk");
    server.start_again();
    let networks = server.api().get("campaigns.json").success();
    let link = networks["campaigns"][0]["tracking_link"].as_str().expect("a link").to_owned();
    let click = server.click(link.strip_prefix("http://crumb").expect("on the host that was asked"));
    let shared = take(&server, &[text(&second), "--since", text(&first)]);
    assert!(shared > 0, "nothing is shared");
    let mut answered = answered;
    answered.clicks.insert(click);
    // The second stands without the first.
    fs::remove_dir_all(disk.path().join("first")).expect("removed");
    let data = tempfile::tempdir().expect("a temporary folder");
    let make = ["restore", text(&second), "--data", text(data.path())];
    succeeded(&Process::start(disk.runner()(crumb(&make))).finish());
    holds(&Server::start_on(data), &answered);
}

#[test]
fn with_a_ledger_in_postgresql_clicks_are_copied_after_the_dump_and_restored_with_it() {
    let (database, folder) = (Database::create(), tempfile::tempdir().expect("a temporary folder"));
    let settings = [&BUSY[..], &[("DATABASE__URL", database.url())]].concat();
    let mut server = Server::start_with(&settings);
    let network = Network::make(&server.api());
    let (to, dump) = (folder.path().join("backup"), folder.path().join("dump.sql"));
    let role = database.url().trim_start_matches("postgres://").split(':').next().expect("a role");
    let tables = format!("{role}.*");
    let mut answered = Answered::default();
    refused(&backup(&server, &to), 2, "pg_dump");
    under_load(&server, &network, |load| {
        seal(&server, 3);
        answered = load.answered();
        let mut tool = Command::new("pg_dump");
        tool.args(["--clean", "--if-exists", "--no-owner", "--table", &tables, "--file", text(&dump)]);
        assert!(tool.arg(database.url()).status().expect("pg_dump runs").success());
        // Segments that the dump knows nothing of.
        seal(&server, 3);
        succeeded(&server.command(&["backup", text(&to), "--without-ledger"]));
    });
    server.kill();
    let mut tool = Command::new("psql");
    tool.args(["-qXo", "/dev/null", "-v", "ON_ERROR_STOP=1", "-f", text(&dump), database.url()]);
    assert!(tool.status().expect("psql runs").success());
    refused(&restore(&to, &folder.path().join("data")), 2, "database.url");
    fs::remove_dir_all(server.data()).expect("removed");
    succeeded(&server.command(&["restore", text(&to)]));
    server.start_again();
    holds(&server, &answered);
}
