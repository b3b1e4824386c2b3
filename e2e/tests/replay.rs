//! `crumb replay`, with a running server and without.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use e2e::{Finished, Network, Process, Reaction, Receiver, Server, encode, until};
use serde_json::{Value, json};

fn count(server: &Server, status: &str) -> u64 {
    let call = format!("postback_deliveries.json?delivery_status={status}&row_limit=1");
    server.api().get(&call).success()["total_rows"].as_u64().expect("a number")
}

fn run(server: &Server, arguments: &[&str]) -> Finished {
    let mut command = server.command_line(&[&["replay"], arguments].concat());
    // Where the server listens is only known once it does.
    command.env("CRUMB_SERVER__LISTEN", server.address().to_string());
    Process::start(command).finish()
}

fn replay(server: &Server, arguments: &[&str]) -> Value {
    let finished = run(server, &[arguments, &["--json"]].concat());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    serde_json::from_str(&finished.stdout).expect("JSON")
}

#[test]
fn held_deliveries_are_made_again() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let receiver =
        Receiver::reacting(move |_| Reaction::Status(if well.load(Ordering::Relaxed) { 200 } else { 500 }));
    let settings = [("OUTBOUND__ALLOW_PRIVATE", "[\"127.0.0.0/8\"]"), ("POSTBACKS__RETRY_SCHEDULE", "0s")];
    let mut server = Server::start_with(&settings);
    let network = Network::make(&server.api());
    let form = format!("affiliate_id=1&offer_id=0&postback_url={}", encode(&receiver.url("/?c={click_id}")));
    server.api().post_form("affiliate_postback.json", &form).success();
    let clicked = server.click(&network.link);
    for number in 0..3 {
        let call =
            format!("conversion.json?click_id={clicked}&offer_id={}&unique_id=U-{number}", network.offer_id);
        server.api().get(&call).success();
    }
    until("all are held", || (count(&server, "held") == 3).then_some(()));
    is_well.store(true, Ordering::Relaxed);

    assert_eq!(replay(&server, &["--all", "--dry-run"]), json!({"matched": 3, "replayed": 0}));
    assert_eq!(replay(&server, &["--conversion", "2"]), json!({"matched": 1, "replayed": 1}));
    until("it is delivered", || (count(&server, "delivered") == 1).then_some(()));

    server.kill();
    assert_eq!(
        replay(&server, &["--postback", "1", "--from", "2020-01-01"]),
        json!({"matched": 2, "replayed": 2})
    );
    server.start_again();
    until("all are delivered", || (count(&server, "delivered") == 3).then_some(()));
    let delivered = run(&server, &["--delivery", "1-0-1"]);
    assert!(delivered.stdout.contains("1 deliveries are due again"), "{delivered:?}");
}

#[test]
fn what_is_to_be_replayed_must_be_said() {
    let server = Server::start();
    for (arguments, told) in [
        (&[][..], "all=true"),
        (&["--delivery", "x"], "not a delivery id"),
        (&["--status", "due"], "delivery_status: what is due is tried anyway"),
    ] {
        let finished = run(&server, arguments);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains(told), "{finished:?}");
    }
}
