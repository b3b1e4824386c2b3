//! Data of earlier releases. `fixtures/data-0.1.tar.gz` is what release 0.1.0 left when it was killed:
//! a data folder with clicks in two segments and in the journal, a key of it, and what it answered.

use std::path::Path;
use std::process::Command;

use e2e::{Client, Server, click_pages, conversion_pages};
use serde_json::Value;

/// All that there is, in whole years.
const ALWAYS: &str = "start_date=2020-01-01&end_date=2099-01-01";

/// What the earlier release answered.
struct Before {
    key: String,
    clicks: Vec<Value>,
    conversions: Vec<Value>,
}

/// Its data folder, started by this release.
fn unpacked(fixture: &str) -> (Server, Before) {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (all, data) = (tempfile::tempdir().expect("a temporary folder"), folder.path());
    let unpacked = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(all.path()).status();
    assert!(unpacked.expect("there is a tar").success(), "{}", archive.display());
    let text = |name: &str| std::fs::read_to_string(all.path().join(name)).expect("in the fixture");
    let answer = |name: &str| -> Value { serde_json::from_str(&text(name)).expect("JSON") };
    let rows = |list: &Value| list.as_array().expect("rows").clone();
    let conversion = |row: Value| row["conversion"].clone();
    let before = Before {
        key: text("key"),
        clicks: rows(&answer("clicks.json")["response"]["clicks"]),
        conversions: rows(&answer("conversions.json")["conversions"]).into_iter().map(conversion).collect(),
    };
    for entry in std::fs::read_dir(all.path().join("data")).expect("in the fixture") {
        let entry = entry.expect("an entry");
        std::fs::rename(entry.path(), data.join(entry.file_name())).expect("on the same disk");
    }
    (Server::start_on(folder), before)
}

/// Every field of `before` is in `now`, with the same value; later releases may add some.
fn assert_kept(before: &Value, now: &Value) {
    let Value::Object(fields) = before else { return assert_eq!(now, before) };
    for (name, value) in fields {
        assert_kept(value, now.get(name).unwrap_or_else(|| panic!("{name} is gone: {now}")));
    }
}

fn assert_all_kept(before: &[Value], now: &[Value]) {
    assert_eq!(before.len(), now.len());
    for (before, now) in before.iter().zip(now) {
        assert_kept(before, now);
    }
}

fn assert_holds(api: &Client, before: &Before) {
    assert_all_kept(&before.clicks, &click_pages(api, ALWAYS, 97));
    assert_all_kept(&before.conversions, &conversion_pages(api, ALWAYS));
    for click in &before.clicks {
        assert_kept(click, &api.click(click["click_id"].as_str().expect("an id")));
    }
}

#[test]
fn an_earlier_releases_data_opens() {
    let (mut server, before) = unpacked("data-0.1.tar.gz");
    assert_eq!((before.clicks.len(), before.conversions.len()), (320, 14));
    assert_holds(&server.api(), &before);
    assert_holds(&Client::new(server.address(), &before.key), &before);

    let campaigns = server.api().get("campaigns.json").success();
    let link = campaigns["campaigns"][0]["tracking_link"].as_str().expect("a link").to_owned();
    let next = server.click(link.strip_prefix("http://crumb").expect("on the host that was asked"));
    assert!(before.clicks.iter().all(|click| click["click_id"].as_str() < Some(&next)));
    assert_eq!(server.stop().code, Some(0));
    let check = server.command(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
}
