//! `crumb erase`: the visitor's data is gone from every file, beside a running server and without.

use std::path::Path;

use e2e::{Network, Server, click_pages, conversion_pages};
use serde_json::{Value, json};

/// All that there is, in whole years.
const ALWAYS: &str = "start_date=2020-01-01&end_date=2099-01-01";
/// What only this visitor has; it repeats nothing, so compression leaves it as it is.
const USER_AGENT: &str = "Qzxj/7.3 (wvut; kfgh)";

/// A visitor's click and its conversion.
fn visit(server: &Server, network: &Network, unique_id: &str) -> String {
    let api = server.api();
    let body = json!({
        "campaign_id": network.campaign_id, "s1": USER_AGENT, "s2": USER_AGENT, "udid": USER_AGENT,
        "ip_address": "203.0.113.77", "user_agent": USER_AGENT, "referrer": format!("https://{USER_AGENT}/"),
    });
    let recorded = api.post_json("record_click.json", &body).success();
    let id = recorded["click"]["click_id"].as_str().expect("an id").to_owned();
    let body = json!({
        "click_id": id, "offer_id": network.offer_id, "unique_id": unique_id, "adv1": USER_AGENT,
    });
    api.post_json("conversion.json", &body).success();
    id
}

/// The files below `folder` that hold the visitor's user agent.
fn traces(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(traces(&path));
        } else {
            let needle = USER_AGENT.as_bytes();
            let bytes = match std::fs::read(&path) {
                // The server has finished or removed it meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                bytes => bytes.expect("readable"),
            };
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

fn erase(server: &Server, id: &str) {
    let erased = server.command(&["erase", "--json", "--click-id", id]);
    assert_eq!(erased.code, Some(0), "{erased:?}");
    assert_eq!(erased.stdout.parse::<Value>().expect("JSON"), json!({ "erased": [id] }));
    assert_eq!(traces(server.data()), Vec::<String>::new());
}

/// The money and ids of the conversions, which an erasure leaves alone.
fn book(server: &Server) -> Vec<[Value; 4]> {
    let rows = conversion_pages(&server.api(), ALWAYS);
    let fields = ["conversion_id", "payout", "revenue", "unique_id"];
    rows.iter().map(|row| fields.map(|field| row[field].clone())).collect()
}

#[test]
fn an_erased_visitor_leaves_no_trace_and_no_count_changes() {
    let mut server = Server::start_with(&[("JOURNAL__FILE_MIB", "1"), ("JOURNAL__PENDING_MIB", "1")]);
    let network = Network::make(&server.api());
    let others: Vec<String> = (0..20).map(|_| server.click(&network.link)).collect();
    let erased = [visit(&server, &network, "ORD-1"), visit(&server, &network, "ORD-2")];
    let before = book(&server);
    assert_ne!(traces(server.data()), Vec::<String>::new());

    // Both at once: they have the same words.
    let both = server.command(&["erase", "--click-id", &erased[0], "--click-id", &erased[1]]);
    assert_eq!(both.code, Some(0), "{both:?}");
    assert_eq!(traces(server.data()), Vec::<String>::new());
    assert_eq!(book(&server), before);

    let third = visit(&server, &network, "ORD-3");
    server.kill();
    assert_ne!(traces(server.data()), Vec::<String>::new());
    erase(&server, &third);
    server.start_again();

    for id in erased.iter().chain([&third]) {
        let click = server.api().click(id);
        for field in ["ip_address", "user_agent", "referrer", "udid", "sub_id_1", "sub_id_2"] {
            assert!(matches!(click[field].as_str(), None | Some("")), "{field}: {click}");
        }
        assert_eq!(click["campaign_id"], network.campaign_id);
        assert_eq!(click["converted"], true);
    }
    assert_eq!(book(&server).len(), 3);
    let clicks = click_pages(&server.api(), ALWAYS, 10);
    assert_eq!(clicks.len(), others.len() + 3);
    // The same call again is still a repeat.
    let again = format!("conversion.json?click_id={third}&offer_id={}&unique_id=ORD-3", network.offer_id);
    server.api().get(&again).success();
    assert_eq!(book(&server).len(), 3);
    assert_eq!(server.stop().code, Some(0));
    let check = server.command(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
}

#[test]
fn what_is_no_click_id_is_told() {
    let server = Server::start();
    let refused = server.command(&["erase", "--click-id", "nonsense"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("not a click id"), "{refused:?}");
}
