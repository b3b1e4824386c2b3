//! `crumb explain`, with a running server and without.

use e2e::{Finished, Network, Process, Server};
use serde_json::Value;

fn explain(server: &Server, arguments: &[&str]) -> Finished {
    let mut command = server.command_line(&[&["explain"], arguments].concat());
    // Where the server listens is only known once it does.
    command.env("CRUMB_SERVER__LISTEN", server.address().to_string());
    Process::start(command).finish()
}

fn text(server: &Server, arguments: &[&str]) -> String {
    let finished = explain(server, arguments);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout
}

#[test]
fn what_became_of_a_click_is_told_as_text_and_as_json() {
    let mut server = Server::start();
    let network = Network::make(&server.api());
    let (clicked, idle) = (server.click(&network.link), server.click(&network.link));
    let call = format!(
        "conversion.json?click_id={clicked}&offer_id={}&unique_id=ORD-1&order_id=9",
        network.offer_id
    );
    server.api().get(&call).success();
    let told = text(&server, &["1"]);
    assert!(
        told.starts_with(
            "Conversion 1 of affiliate 1 (MediaBridge Partners) is approved and worth 18.00 USD"
        ),
        "{told}"
    );
    for part in [
        &*format!("\nClick {clicked}\n  "),
        "\n  Accepted: the visitor was sent to the offer's landing page.\n",
        "\nConversion calls\n",
        "\nConversion 1\n",
        "affiliate_payable -18.00 USD",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    let pasted = format!("https://trk.example/p.ashx?r={clicked}&t=ORD-1");
    for same in [
        &[&*clicked][..],
        &["--unique-id", "ORD-1", "--offer", "1"],
        &["--order-id", "9"],
        &["--attempt", "1"],
        &["--conversion", "1"],
        &["--url", &pasted],
        &[&pasted],
    ] {
        assert_eq!(text(&server, same), told, "{same:?}");
    }
    let invoice = text(&server, &["--conversion", "1", "--invoice", "1"]);
    assert!(
        invoice.starts_with("Invoice 1 has no line of conversion 1: its lines are on none yet"),
        "{invoice}"
    );
    let partner = text(&server, &["1", "--hide-revenue"]);
    assert!(!partner.contains("22.00") && partner.contains("18.00"), "{partner}");

    server.kill();
    assert_eq!(text(&server, &["1"]), told, "without a server too");
    let none = explain(&server, &[&idle, "--json"]);
    assert_eq!(none.code, Some(0), "{none:?}");
    let none: Value = serde_json::from_str(&none.stdout).expect("JSON");
    let summary = none["summary"].as_str().expect("a text");
    assert!(summary.starts_with("There is no conversion. No conversion call ever came for it."), "{summary}");
}

#[test]
fn the_exit_code_says_whether_anything_is_known() {
    let server = Server::start();
    for (arguments, code, told) in [
        (&["7"][..], 1, "crumb: Conversion Not Found: there is no conversion 7"),
        (&["7-0-1"], 1, "crumb: Not Found: there is no delivery 7-0-1"),
        (&["hello"], 1, "crumb: Click Not Found: no call names that click, and it is no click id"),
        (&["--unique-id", "ORD-9"], 1, "no call with that unique_id ever came"),
        (
            &["--url", "https://x.example/?a=1"],
            2,
            "no click, conversion, transaction or order is named in it",
        ),
        (&[], 2, "required"),
        (&["7", "--unique-id", "ORD-9"], 2, "cannot be used with"),
        (&["--invoice", "1"], 2, "--conversion"),
    ] {
        let finished = explain(&server, arguments);
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert!(finished.stderr.contains(told) && finished.stdout.is_empty(), "{finished:?}");
    }
}
