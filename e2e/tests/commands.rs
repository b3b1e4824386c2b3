//! The program around the server: help, settings, keys, starting, stopping, checking.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use e2e::{Client, Connection, Finished, Network, Process, Server, crumb, until};
use serde_json::Value;

fn run(arguments: &[&str]) -> Finished {
    Process::start(crumb(arguments)).finish()
}

/// Says in one line on standard error what is wrong, and fails.
fn refuses_to_start(finished: &Finished, named: &str) {
    assert!(finished.code.is_some_and(|code| code != 0), "{finished:?}");
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    assert!(finished.stderr.starts_with("crumb: "), "{}", finished.stderr);
    assert!(finished.stderr.contains(named), "{named} is not named: {}", finished.stderr);
    assert!(!finished.stdout.contains("listening"), "{}", finished.stdout);
}

/// The commands that a command's help lists.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

fn has_an_example(path: &[String]) {
    let mut arguments: Vec<_> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = run(&arguments);
    assert_eq!(help.code, Some(0), "{help:?}");
    assert!(help.stdout.contains("Example"), "crumb {}:\n{}", arguments.join(" "), help.stdout);
    let beginning = format!("  crumb {}", path.join(" "));
    assert!(help.stdout.contains(&beginning), "no example begins with {beginning:?}:\n{}", help.stdout);
    for name in listed(&help.stdout) {
        has_an_example(&[path, &[name]].concat());
    }
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let help = run(&["--help"]);
    for name in ["demo", "serve", "key", "config", "check"] {
        assert!(listed(&help.stdout).contains(&name.to_owned()), "{name} is not listed");
    }
    has_an_example(&[]);
}

/// The settings that a server started so tells in its log.
fn settings_with(config: Option<&str>) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = crumb(&["serve", "--listen", "127.0.0.1:0"]);
    command.current_dir(folder.path()).env("CRUMB_LOG__FORMAT", "json");
    if let Some(text) = config {
        std::fs::write(folder.path().join("crumb.toml"), text).expect("written");
        command.args(["--config", "crumb.toml"]);
    }
    let server = Process::start(command);
    server.line_after("listening on http://");
    server.ask_to_end();
    let log = server.finish().stderr;
    let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let settings = lines.find_map(|line| line["fields"]["config"].as_str().map(str::to_owned));
    settings.expect("the settings are logged")
}

#[test]
fn the_printed_settings_are_the_defaults() {
    let printed = run(&["config", "default"]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert_eq!(settings_with(Some(&printed.stdout)), settings_with(None));
}

#[test]
fn a_log_that_nobody_watches_has_no_colours() {
    let log = Server::start().stop().stderr;
    assert!(log.contains("stopping") && !log.contains('\u{1b}'), "{log:?}");
}

#[test]
fn what_cannot_be_used_stops_the_start_with_one_clear_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("crumb.toml");
    let start = |text: &str, environment: &[(&str, &str)], data: PathBuf| {
        std::fs::write(&file, text).expect("written");
        let mut command = crumb(&["serve", "--listen", "127.0.0.1:0", "--config"]);
        command.arg(&file).arg("--data").arg(data).env("CRUMB_LOG__LEVEL", "warn");
        command.envs(environment.iter().copied());
        Process::start(command).finish()
    };
    let data = || folder.path().join("data");
    for (text, named) in [
        ("[server]\nlisten_on = \"127.0.0.1:0\"", "listen_on"),
        ("[servers]\n", "servers"),
        ("[network]\ntime_zone = \"Mars/Olympus\"", "network.time_zone"),
        ("[network]\ncurrency = \"dollars\"", "network.currency"),
        ("[server]\nlisten = 8080", "server.listen"),
        ("[journal]\nfile_mib = 0", "journal.file_mib"),
        ("[journal]\nfile_mib = -1", "journal.file_mib"),
        ("[log]\nformat = \"xml\"", "log.format"),
        ("[node]\nnumber = 4096", "node.number"),
        ("[tracking]\nglobal_redirect = \"javascript:alert(1)\"", "tracking.global_redirect"),
        ("this is not toml", "crumb.toml"),
    ] {
        refuses_to_start(&start(text, &[], data()), named);
    }
    for (name, value, named) in [
        ("CRUMB_SERVER__LISTEN_ON", "127.0.0.1:0", "listen_on"),
        ("CRUMB_ARCHIVE__SEAL_AFTER_SECONDS", "soon", "seal_after_seconds"),
        ("CRUMB_NETWORK__TIME_ZONE", "Nowhere", "network.time_zone"),
    ] {
        refuses_to_start(&start("", &[(name, value)], data()), named);
    }
    let missing = run(&["serve", "--config", "/nonexistent/crumb.toml", "--listen", "127.0.0.1:0"]);
    refuses_to_start(&missing, "/nonexistent/crumb.toml");
    // A folder that nobody can write, not even root: it would be inside a file.
    let inside_a_file = file.join("data");
    refuses_to_start(&start("", &[], inside_a_file.clone()), &inside_a_file.display().to_string());
    refuses_to_start(&start("", &[], "/proc/crumb-data".into()), "/proc/crumb-data");
    assert!(!data().exists(), "nothing was created on the way to an error");
}

#[test]
fn the_environment_goes_over_the_file_and_flags_go_over_both() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("crumb.toml");
    let text = "[network]\ntime_zone = \"Asia/Tokyo\"\n[server]\nlisten = \"127.0.0.1:1\"\n[data]\ndir = \"/nonexistent/a\"";
    std::fs::write(&file, text).expect("written");
    let mut command = crumb(&["serve", "--listen", "127.0.0.1:0", "--config"]);
    command.arg(&file).arg("--data").arg(folder.path().join("data"));
    command.env("CRUMB_NETWORK__TIME_ZONE", "Asia/Kolkata").env("CRUMB_DATA__DIR", "/nonexistent/b");
    let server = Process::start(command);
    let address = server.line_after("listening on http://").parse().expect("an address");
    let made = Process::start({
        let mut command = crumb(&["key", "create", "--name", "ops", "--data"]);
        command.arg(folder.path().join("data"));
        command
    });
    let api = Client::new(address, &made.finish().stdout);
    assert_eq!(api.get("click.json").header("x-time-zone"), Some("Asia/Kolkata"));
}

#[test]
fn keys_are_made_listed_and_revoked_while_a_server_runs() {
    let server = Server::start();
    let shop = server.api_with(&["--name", "shop", "--scope", "read"]);
    let other = server.api_with(&["--name", "other", "--scope", "read"]);
    shop.get("click.json").success();

    let taken = server.command(&["key", "create", "--name", "shop"]);
    refuses_to_start(&taken, "shop");
    for nonsense in [
        &["key", "create", "--name", ""][..],
        &["key", "create", "--name", "x", "--scope", "affiliate"],
        &["key", "create", "--name", "x", "--scope", "read", "--offer", "1"],
        &["key", "create", "--name", "x", "--scope", "everything"],
        &["key", "create", "--name", "x", "--offer", "one"],
        &["key", "create", "--name", "x", "--may-backfill"],
        &["key", "create", "--name", "x", "--allow-address", "here"],
        &["key", "revoke", "nobody"],
    ] {
        let refused = server.command(nonsense);
        assert!(refused.code.is_some_and(|code| code != 0) && !refused.stderr.is_empty(), "{nonsense:?}");
        assert_eq!(refused.stdout, "", "{nonsense:?}");
    }

    let revoked = server.command(&["key", "revoke", "shop"]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    until("the revoked key is refused", || (shop.get("click.json").status == 401).then_some(()));
    shop.get("click.json").refusal(401, "invalid_api_key");
    other.get("click.json").success();
    server.api().get("click.json").success();

    let listed = server.command(&["key", "list", "--json"]);
    let keys: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let states: Vec<_> =
        keys.as_array().expect("a list").iter().map(|key| (&key["name"], key["revoked"].is_null())).collect();
    assert_eq!(states, [(&"admin".into(), true), (&"shop".into(), false), (&"other".into(), true)]);
    let table = server.command(&["key", "list"]);
    for api in [&shop, &other, &server.api()] {
        assert!(
            !listed.stdout.contains(api.key()) && !table.stdout.contains(api.key()),
            "a key is shown once"
        );
    }
    for name in ["admin", "shop", "revoked", "other"] {
        assert!(table.stdout.contains(name), "{}", table.stdout);
    }
}

#[test]
fn a_key_is_listed_with_where_it_works_and_what_it_may() {
    let server = Server::start();
    let bound = ["--name", "bound", "--scope", "conversion", "--may-backfill"];
    let from = ["--allow-address", "192.0.2.0/24", "--allow-address", "2001:db8::7"];
    let elsewhere = server.api_with(&[&bound[..], &from[..]].concat());
    elsewhere.get("conversion.json").refusal(403, "not_permitted");
    let here = server.api_with(&["--name", "here", "--scope", "read", "--allow-address", "127.0.0.1"]);
    here.get("click.json").success();
    let listed = server.command(&["key", "list", "--json"]);
    let keys: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let addresses = serde_json::json!(["192.0.2.0/24", "2001:db8::7/128"]);
    assert_eq!((&keys[1]["addresses"], &keys[1]["may_backfill"]), (&addresses, &true.into()));
    assert_eq!((&keys[0]["addresses"], &keys[0]["may_backfill"]), (&serde_json::json!([]), &false.into()));
    let table = server.command(&["key", "list"]).stdout;
    assert!(table.contains("may backfill, 192.0.2.0/24, 2001:db8::7/128"), "{table}");
}

#[test]
fn no_key_is_ever_in_the_log_or_the_data() {
    let mut server = Server::start_with(&[("LOG__LEVEL", "trace")]);
    let api = server.api();
    let network = Network::make(&api);
    let click_id = server.click(&network.link);
    let key = api.key().to_owned();
    let call = format!("conversion.json?click_id={click_id}&offer_id={}&api_key={key}", network.offer_id);
    Client::new(server.address(), "").get(&call).success();
    api.get(&format!("conversion.json?click_id=unknown&offer_id=1&api_key={key}"));
    assert!(!server.process().stderr().contains(&key), "a key is in the log");
    server.stop();
    let mut folders = vec![server.data().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("readable");
                let found = bytes.windows(key.len()).any(|window| window == key.as_bytes());
                assert!(!found, "a key is in {}", path.display());
            }
        }
    }
}

#[test]
fn a_second_server_on_the_same_data_or_port_refuses_to_start() {
    let server = Server::start_with(&[("LOG__LEVEL", "warn")]);
    refuses_to_start(&server.fail_to_start(), &server.data().display().to_string());

    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = |address: &str| {
        let mut command = crumb(&["serve", "--listen", address, "--data"]);
        command.arg(folder.path()).env("CRUMB_LOG__LEVEL", "warn");
        Process::start(command).finish()
    };
    let address = server.address().to_string();
    refuses_to_start(&start(&address), &address);
    // Also beside another program.
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("bound").to_string();
    refuses_to_start(&start(&address), &address);
    server.api().get("click.json").success();
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_exits_with_0() {
    let mut server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    let click_id = server.click(&network.link);
    let body = format!("click_id={click_id}&offer_id={}&unique_id=in-flight", network.offer_id);
    // An idle connection must not hold the server up.
    let mut idle = server.connect();
    idle.get("/healthz").expect("an answer");
    let mut connection = server.connect();
    let head = format!(
        "POST /api/2/conversion.json HTTP/1.1\r\nHost: crumb\r\nX-Api-Key: {}\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\n\r\n",
        api.key(),
        body.len()
    );
    connection.send(head.as_bytes()).expect("sent");
    assert_eq!(connection.answer(false).expect("an answer").status, 100, "the server waits for the body");

    server.process().ask_to_end();
    let address = server.address();
    until("the server accepts no more", || Connection::open(address).is_err().then_some(()));
    assert!(server.process().ended().is_none(), "a request is still in flight");
    connection.send(body.as_bytes()).expect("sent");
    connection.answer(true).expect("an answer").success();
    let stopped = server.stop_was_asked();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");

    server.start_again();
    let repeated = server.api().post_form("conversion.json", &body).success();
    assert_eq!(repeated["conversion"]["unique_id"], "in-flight");
    server.process().signal("INT");
    let stopped = server.stop_was_asked();
    assert_eq!(stopped.code, Some(0), "Ctrl-C: {stopped:?}");
}

/// A stopped server's folder with sealed segments and a journal of several batches.
fn folder_with_everything() -> Server {
    let settings = [("ARCHIVE__SEAL_AFTER_SECONDS", "1"), ("LOG__LEVEL", "warn")];
    let mut server = Server::start_with(&settings);
    let network = Network::make(&server.api());
    let first = server.click(&network.link);
    let call = format!("conversion.json?click_id={first}&offer_id={}", network.offer_id);
    server.api().get(&call).success();
    until("a click is sealed", || (server.metric("crumb_segments_sealed_total") > 0).then_some(()));
    for _ in 0..20 {
        server.click(&network.link);
    }
    let sound = server.command(&["check"]);
    assert_eq!(sound.code, Some(0), "beside the server: {sound:?}");
    server.kill();
    server
}

/// The files of a folder below the data folder that end so, in order of their names.
fn files(server: &Server, folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(server.data().join(folder)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    paths.sort();
    paths
}

#[test]
fn check_finds_a_sound_folder_sound_and_names_a_damaged_file() {
    let server = folder_with_everything();
    let sound = server.command(&["check"]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    let json = server.command(&["check", "--json"]);
    let report: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((json.code, &report["sound"]), (Some(0), &Value::Bool(true)), "{report}");

    let segment = files(&server, "segments", ".parquet").remove(0);
    let journal = files(&server, "journal", ".log").pop().expect("a journal file");
    let number = journal.file_stem().expect("a name").to_string_lossy().trim_start_matches('0').to_owned();
    let named = segment.file_stem().expect("a name").to_string_lossy().into_owned();
    let length = std::fs::metadata(&segment).expect("there").len();
    let middle = usize::try_from(length / 2).expect("small");
    // Behind the journal's first frame head there is a record, with others behind it.
    for (path, named, offset) in [(&segment, &named, 0), (&segment, &named, middle), (&journal, &number, 100)]
    {
        let sound = std::fs::read(path).expect("readable");
        let mut damaged = sound.clone();
        damaged[offset] ^= 1;
        std::fs::write(path, &damaged).expect("written");
        let found = server.command(&["check"]);
        assert_eq!(found.code, Some(1), "{}: {found:?}", path.display());
        let lines: Vec<_> = found.stdout.lines().filter(|line| line.starts_with("DAMAGED")).collect();
        assert!(lines.len() == 1 && lines[0].contains(named.as_str()), "{named} is not named: {lines:?}");
        let json = server.command(&["check", "--json"]);
        let report: Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!((json.code, &report["sound"]), (Some(1), &Value::Bool(false)), "{report}");
        assert_eq!(std::fs::read(path).expect("readable"), damaged, "a check changes nothing");
        std::fs::write(path, &sound).expect("written");
    }
    std::fs::rename(&segment, segment.with_extension("gone")).expect("renamed");
    let found = server.command(&["check"]);
    assert!(found.code == Some(1) && found.stdout.contains(&named), "a missing segment: {found:?}");
}

#[test]
fn https_is_served_where_it_says_so_and_the_certificate_changes_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let renew = || {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        std::fs::write(at("key.pem"), pair.signing_key.serialize_pem()).expect("written");
        std::fs::write(at("certificate.pem"), pair.cert.pem()).expect("written");
        std::fs::write(at("trusted.pem"), pair.cert.pem()).expect("written");
    };
    renew();
    let mut command = crumb(&["serve", "--listen", "127.0.0.1:0", "--data", &at("data")]);
    command.env("CRUMB_TLS__LISTEN", "127.0.0.1:0");
    command.env("CRUMB_TLS__CERTIFICATE", at("certificate.pem")).env("CRUMB_TLS__KEY", at("key.pem"));
    let server = Process::start(command);
    let port = server.line_after("listening on https://127.0.0.1:");
    let is_answered = || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--cacert", &at("trusted.pem")]);
        curl.args(["--resolve", &format!("localhost:{port}:127.0.0.1")]);
        let answer = curl.arg(format!("https://localhost:{port}/healthz")).output().expect("curl");
        answer.stdout == br#"{"status":"ok"}"#
    };
    assert!(is_answered());
    renew();
    until("the new certificate is shown", || is_answered().then_some(()));

    std::fs::write(at("key.pem"), "broken").expect("written");
    until("it says what is wrong", || server.stderr().contains("tls.key: ").then_some(()));
    assert!(is_answered(), "the pair before stays");
    assert_eq!(server.stderr().matches("broken").count(), 0, "no word of the key itself");
    server.ask_to_end();
    assert_eq!(server.finish().code, Some(0));
}
