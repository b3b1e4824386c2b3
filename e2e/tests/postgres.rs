//! The binary on PostgreSQL: what is answered stays, and several servers share one ledger.

use std::sync::Barrier;

use e2e::{
    Answer, Database, Network, PASSWORD, Process, Server, click_pages, conversion_pages, crumb, until,
};
use serde_json::Value;

/// All that there is, in whole years.
const ALWAYS: &str = "start_date=2020-01-01&end_date=2099-01-01";

fn start(database: &Database) -> Server {
    Server::start_with(&[("DATABASE__URL", database.url())])
}

/// A second server, once it knows the network that was made on the first.
fn start_beside(first: &Server, database: &Database, network: &Network) -> Server {
    let settings = [("DATABASE__URL", database.url()), ("NODE__NUMBER", "2")];
    let second = Server::start_beside(first, &settings);
    until("the second server knows the link", || {
        second.connect().get(&network.link).expect("an answer").click_id()
    });
    second
}

fn conversion_id(answer: &Answer) -> u64 {
    answer.success()["conversion"]["conversion_id"].as_u64().expect("a number")
}

#[test]
fn what_is_answered_is_there_after_a_kill() {
    let database = Database::create();
    let mut server = start(&database);
    let network = Network::make(&server.api());
    let calls: Vec<String> = (0..20)
        .map(|number| {
            let (click_id, offer_id) = (server.click(&network.link), network.offer_id);
            format!("conversion.json?click_id={click_id}&offer_id={offer_id}&unique_id=ORD-{number}")
        })
        .collect();
    let answers: Vec<Value> = calls.iter().map(|call| server.api().get(call).success()).collect();
    let listed = conversion_pages(&server.api(), ALWAYS);
    assert_eq!(listed.len(), 20);
    assert_eq!(database_files(&server), [] as [String; 0]);
    server.kill();
    server.start_again();
    assert_eq!(conversion_pages(&server.api(), ALWAYS), listed);
    for (call, answer) in calls.iter().zip(&answers) {
        assert_eq!(server.api().get(call).success(), *answer, "the same call again is the original");
    }
    assert_eq!(click_pages(&server.api(), ALWAYS, 7).len(), 20);
    let check = server.command(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert_eq!(server.stop().code, Some(0));
}

/// The files of a ledger in the data folder.
fn database_files(server: &Server) -> Vec<String> {
    let entries = std::fs::read_dir(server.data()).expect("a folder");
    let names = entries.map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("sqlite")).collect()
}

#[test]
fn one_sale_told_to_two_servers_at_once_is_one_conversion() {
    const CALLS: usize = 64;
    let database = Database::create();
    let first = start(&database);
    let network = Network::make(&first.api());
    let second = start_beside(&first, &database, &network);
    let servers = [&first, &second];
    for round in 0..15 {
        let clicks = servers.map(|server| server.click(&network.link));
        let barrier = Barrier::new(CALLS);
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLS)
                .map(|number| {
                    let (server, click_id) = (servers[number % 2], &clicks[number % 2]);
                    let (api, barrier, offer_id) = (server.api(), &barrier, network.offer_id);
                    scope.spawn(move || {
                        barrier.wait();
                        api.get(&format!(
                            "conversion.json?click_id={click_id}&offer_id={offer_id}&unique_id=ORD-{round}"
                        ))
                    })
                })
                .collect();
            callers.into_iter().map(|caller| caller.join().expect("a caller")).collect()
        });
        let won = answers.iter().position(|answer| answer.status == 200).expect("one of them is new");
        let id = conversion_id(&answers[won]);
        for (number, answer) in answers.iter().enumerate() {
            if number % 2 == won % 2 {
                assert_eq!(conversion_id(answer), id, "the same click: the original");
            } else {
                assert_eq!(answer.refusal(409, "duplicate_conversion")["conversion_id"], id);
            }
        }
    }
    for server in servers {
        assert_eq!(conversion_pages(&server.api(), ALWAYS).len(), 15);
    }
}

#[test]
fn a_cap_takes_exactly_its_limit_from_two_servers() {
    const CALLS: usize = 64;
    const LIMIT: usize = 23;
    let database = Database::create();
    let first = start(&database);
    let network = Network::make(&first.api());
    let cap = format!(
        "offer_id={}&cap_type=conversion&interval=daily&limit={LIMIT}&at_cap=refuse",
        network.offer_id
    );
    first.api().post_form("cap.json", &cap).success();
    let second = start_beside(&first, &database, &network);
    until("the second server knows the cap", || {
        (second.api().get("caps.json").success()["total_rows"] == 1).then_some(())
    });
    let servers = [&first, &second];
    let clicks: Vec<_> = (0..CALLS).map(|number| servers[number % 2].click(&network.link)).collect();
    let barrier = Barrier::new(CALLS);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let callers: Vec<_> = clicks
            .iter()
            .enumerate()
            .map(|(number, click_id)| {
                let (api, barrier, offer_id) = (servers[number % 2].api(), &barrier, network.offer_id);
                scope.spawn(move || {
                    barrier.wait();
                    api.get(&format!(
                        "conversion.json?click_id={click_id}&offer_id={offer_id}&unique_id=ORD-{number}"
                    ))
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().expect("a caller")).collect()
    });
    let (taken, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(taken.len(), LIMIT);
    for answer in refused {
        answer.refusal(422, "cap_reached");
    }
    let verified = first.command(&["verify"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

#[test]
fn a_server_with_a_number_in_use_does_not_start() {
    let database = Database::create();
    let mut first = start(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let second = || {
        let mut command = crumb(&["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(folder.path()).env("CRUMB_DATABASE__URL", database.url());
        Process::start(command)
    };
    let refused = second().finish();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("node number 1"), "{refused:?}");
    assert!(!refused.stderr.contains(PASSWORD), "{refused:?}");
    first.kill();
    second().line_after("listening on http://");
}

#[test]
fn while_the_database_is_away_visitors_are_sent_on_and_calls_may_come_again() {
    let database = Database::create();
    let mut server = start(&database);
    let network = Network::make(&server.api());
    let click_id = server.click(&network.link);
    let call = format!("click_id={click_id}&offer_id={}&unique_id=ORD-1", network.offer_id);
    let key = server.api().key().to_owned();
    let record = || {
        let target = format!("/api/2/conversion.json?api_key={key}&{call}");
        server.connect().get(&target).expect("an answer")
    };
    database.go_away();
    let refused = record();
    refused.refusal(503, "unavailable");
    assert!(refused.header("retry-after").is_some());
    server.click(&network.link);
    database.come_back();
    until("the database is used again", || (record().status == 200).then_some(()));
    assert_eq!(conversion_pages(&server.api(), ALWAYS).len(), 1);
    let stopped = server.stop();
    assert_eq!(stopped.code, Some(0));
    assert!(!stopped.stderr.contains(PASSWORD), "{}", stopped.stderr);
}

#[test]
fn commands_work_beside_servers_that_share_the_database() {
    let database = Database::create();
    let mut first = start(&database);
    let network = Network::make(&first.api());
    let second = start_beside(&first, &database, &network);
    let clicks = [&first, &second].map(|server| server.click(&network.link));
    for (server, id) in [&first, &second].into_iter().zip(&clicks) {
        assert_eq!(server.api().click(id)["ip_address"], "127.0.0.1");
    }
    // Asked on one machine for clicks of both: each server erases its own.
    let [own, others] = &clicks;
    let erased = first.command(&["erase", "--click-id", own, "--click-id", others, "--wait", "60"]);
    assert_eq!(erased.code, Some(0), "{erased:?}");
    for (server, id) in [&first, &second].into_iter().zip(&clicks) {
        let click = server.api().click(id);
        assert!(matches!(click["ip_address"].as_str(), None | Some("")), "{click}");
    }
    let keys = second.command(&["key", "list", "--json"]);
    assert_eq!(keys.stdout.parse::<Value>().expect("JSON")[0]["name"], "admin");
    for server in [&first, &second] {
        let check = server.command(&["check", "--json"]);
        assert_eq!(check.code, Some(0), "{check:?}");
        let checks = check.stdout.parse::<Value>().expect("JSON")["checks"].to_string();
        assert_eq!(checks.matches("segment clicks-").count(), 1, "its own alone: {checks}");
    }
    // Without a server on its folder, the command does the work itself.
    let third = first.click(&network.link);
    first.kill();
    let erased = first.command(&["erase", "--click-id", &third]);
    assert_eq!(erased.code, Some(0), "{erased:?}");
    first.start_again();
    assert_eq!(first.api().click(&third)["user_agent"].as_str().unwrap_or_default(), "");
}

#[test]
fn the_demo_runs_on_an_empty_database_only() {
    let database = Database::create();
    let demo = || {
        let mut command = crumb(&["demo", "--listen", "127.0.0.1:0"]);
        command.env("CRUMB_DATABASE__URL", database.url());
        Process::start(command)
    };
    let first = demo();
    first.line_after("listening on http://");
    drop(first);
    let refused = demo().finish();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("empty database"), "{refused:?}");
}
