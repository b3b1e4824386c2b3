//! `crumb dump` and `crumb apply`: a network as a file, there and back.

use std::path::Path;

use e2e::{Finished, Network, Process, Server, create, encode};
use serde_json::Value;

fn run(server: &Server, arguments: &[&str]) -> Finished {
    let mut command = server.command_line(arguments);
    // Where the server listens is only known once it does.
    command.env("CRUMB_SERVER__LISTEN", server.address().to_string());
    Process::start(command).finish()
}

fn dump(server: &Server) -> String {
    let finished = run(server, &["dump"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout
}

/// Applies a file and returns what is told of each change.
fn apply(server: &Server, file: &str, more: &[&str]) -> Vec<String> {
    let path = server.data().with_extension("toml");
    std::fs::write(&path, file).expect("written");
    let finished = run(server, &[&["apply", text(&path), "--json"], more].concat());
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(finished.code, Some(0), "{finished:?}\n{file}");
    let told: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!(told["dry_run"], more.contains(&"--dry-run"));
    let changes = told["changes"].as_array().expect("a list");
    changes.iter().map(|it| it["text"].as_str().expect("words").to_owned()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

/// Something of every kind.
fn everything(server: &Server) {
    let api = server.api();
    Network::make(&api);
    create(&api, "affiliate", "affiliate_name=Northwind+Traffic&tier=gold");
    create(
        &api,
        "offer",
        &format!(
            "offer_name=Second&advertiser_id=1&offer_url={}&payout=0.0125&redirect_offer_id=1",
            encode("https://two.example/?c={click_id}")
        ),
    );
    api.post_form("update_offer.json", "offer_id=1&redirect_offer_id=2&throw_out_seconds=60").success();
    create(&api, "creative", "offer_id=1&creative_name=Banner");
    create(
        &api,
        "landing_page",
        &format!(
            "offer_id=1&landing_page_name=B&landing_page_url={}&weight=3",
            encode("https://shop.example/b?c={click_id}")
        ),
    );
    create(&api, "event", "advertiser_id=1&event_name=Lead&payout=1.5&revenue=2");
    create(&api, "offer_event", "offer_id=1&event_id=2&payout=1.25");
    create(&api, "price_rule", "offer_id=1&country=US,CA&payout=20");
    create(&api, "tier_price", "offer_id=1&tier=gold&payout=19");
    create(&api, "exchange_rate", "currency=EUR&effective_date=2026-01-01&rate=1.1");
    create(&api, "rule", "offer_id=1&rule_type=block&country=FR&redirect_offer_id=2");
    create(&api, "cap", "offer_id=1&cap_type=conversion&interval=daily&limit=100");
    api.post_form(
        "affiliate_postback.json",
        &format!(
            "affiliate_id=1&offer_id=0&postback_url={}",
            encode("https://aff.example/?c={click_id}&p={payout}")
        ),
    )
    .success();
    create(&api, "webhook", &format!("webhook_url={}", encode("https://hooks.example/in")));
}

#[test]
fn a_network_goes_into_a_file_and_comes_back_as_it_was() {
    let first = Server::start();
    everything(&first);
    let file = dump(&first);
    for kind in [
        "offer_event",
        "price_rule",
        "tier_price",
        "exchange_rate",
        "rule",
        "cap",
        "affiliate_postback",
        "webhook",
    ] {
        assert!(file.contains(&format!("[[{kind}]]")), "{kind}: {file}");
    }
    assert_eq!(apply(&first, &file, &[]), Vec::<String>::new(), "it is as the file says");
    assert_eq!(apply(&first, &file, &["--prune"]), Vec::<String>::new(), "and has nothing else");

    let mut second = Server::start();
    let foreseen = apply(&second, &file, &["--dry-run"]);
    assert!(foreseen.iter().any(|it| it.starts_with("+ cap")), "{foreseen:#?}");
    assert!(!dump(&second).contains("[["), "nothing was done yet");
    apply(&second, &file, &[]);
    assert_eq!(apply(&second, &file, &[]), Vec::<String>::new(), "done again, it changes nothing");
    assert_eq!(dump(&second), file, "with the same numbers, so links go on working");
    second.kill();
    assert_eq!(dump(&second), file, "without a running server as well");
}

#[test]
fn a_file_written_by_hand_names_things_and_changes_them() {
    let server = Server::start();
    let file = r#"
[[advertiser]]
advertiser_name = "Acme"

[[affiliate]]
affiliate_name = "MediaBridge"

[[offer]]
offer_name = "Quote"
advertiser_id = "Acme"
offer_url = "https://shop.example/?c={click_id}"
payout = 18
redirect_offer_id = "Other"

[[offer]]
offer_name = "Other"
advertiser_id = "Acme"
offer_url = "https://other.example/?c={click_id}"

[[campaign]]
affiliate_id = "MediaBridge"
offer_id = "Quote"

[[cap]]
offer_id = "Quote"
cap_type = "conversion"
interval = "daily"
limit = 50
"#;
    let made = apply(&server, file, &[]);
    assert_eq!(made.len(), 7, "{made:#?}");
    assert_eq!(apply(&server, file, &[]), Vec::<String>::new());
    let offers = server.api().get("offers.json").success();
    assert_eq!(
        (
            &offers["offers"][0]["offer"]["payout"].to_string(),
            &offers["offers"][0]["offer"]["redirect_offer_id"]
        ),
        (&"18.00".to_owned(), &Value::from(2))
    );

    let dearer = file.replace("payout = 18", "payout = 19.5").replace("limit = 50", "limit = 60");
    let changes = apply(&server, &dearer, &["--dry-run"]);
    let expected = [
        r#"~ offer 1 ("Quote"): payout "18.00" -> "19.5""#,
        r#"~ cap 1 (offer_id=1 cap_type=conversion interval=daily): limit "50" -> "60""#,
    ];
    assert_eq!(changes, expected);
    assert_eq!(apply(&server, &dearer, &[]), expected);
    assert_eq!(server.api().get("caps.json").success()["caps"][0]["limit"].to_string(), "60");

    let less = dearer.split("[[cap]]").next().expect("a file");
    assert_eq!(apply(&server, less, &[]), Vec::<String>::new(), "what the file does not name stays");
    assert_eq!(apply(&server, less, &["--prune"]).len(), 1);
    assert_eq!(server.api().get("caps.json").success()["caps"][0]["cap_status"], "deleted");
    assert_eq!(apply(&server, less, &["--prune"]), Vec::<String>::new());
}

#[test]
fn what_cannot_be_applied_is_named_and_where() {
    let server = Server::start();
    let path = server.data().with_extension("toml");
    for (file, told) in [
        ("[[offers]]", "[[offers]] is nothing a network has"),
        ("[[affiliate]]\naffiliate_name = \"A\"\ncolour = \"red\"", "colour: unknown field"),
        ("[[campaign]]\naffiliate_id = \"Nobody\"\noffer_id = 1", "there is no affiliate called Nobody"),
        ("[[advertiser", "TOML parse error"),
    ] {
        std::fs::write(&path, file).expect("written");
        let finished = run(&server, &["apply", text(&path)]);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains(told) && finished.stderr.contains(text(&path)), "{finished:?}");
    }
    let finished = run(&server, &["apply", "/nowhere/network.toml"]);
    assert!(finished.stderr.contains("/nowhere/network.toml: cannot be read"), "{finished:?}");
}
