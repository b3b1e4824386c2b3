//! The feed of changes: whoever follows it knows what `conversions.json` says.

use std::collections::BTreeMap;

use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use serde_json::Value;
use testkit::{Client, TestServer};

const DAY: [(&str, &str); 2] = [("start_date", "2026-06-19"), ("end_date", "2026-06-19")];

fn rows(answer: &Value) -> &[Value] {
    answer["changes"].as_array().expect("a list")
}

fn numbers(answer: &Value) -> Vec<u64> {
    rows(answer).iter().map(|it| it["change_id"].as_u64().expect("a number")).collect()
}

fn cursor(answer: &Value) -> String {
    answer["next_cursor"].as_str().expect("always there").to_owned()
}

/// Status, payout and revenue of a conversion or a change.
fn standing(it: &Value) -> [String; 3] {
    ["conversion_status", "payout", "revenue"].map(|name| it[name].to_string())
}

/// Somebody who keeps a copy of all conversions by the feed alone.
#[derive(Default)]
struct Follower {
    cursor: String,
    copy: BTreeMap<u64, (u64, [String; 3], Value)>,
    causes: Vec<String>,
}

impl Follower {
    /// Takes what has changed, two at a time.
    fn follow(&mut self, client: &Client) {
        loop {
            let cursor = self.cursor.clone();
            let answer = client.get("changes", &[("since", &cursor), ("row_limit", "2")]).success();
            assert!(rows(&answer).len() <= 2);
            for change in rows(&answer) {
                self.take(change);
            }
            self.cursor = self::cursor(&answer);
            if answer["more"] == false {
                return;
            }
        }
    }

    fn take(&mut self, change: &Value) {
        let id = change["conversion"]["conversion_id"].as_u64().expect("a number");
        let adjustment = change["adjustment"].as_u64().expect("a number");
        let before =
            ["previous_status", "previous_payout", "previous_revenue"].map(|it| change[it].to_string());
        match self.copy.get(&id) {
            None => assert_eq!((adjustment, before), (0, ["null", "null", "null"].map(String::from))),
            Some((last, stood, _)) => assert_eq!((adjustment, &before), (last + 1, stood)),
        }
        self.copy.insert(id, (adjustment, standing(change), change["conversion"].clone()));
        self.causes.push(change["cause"].as_str().expect("a text").to_owned());
    }

    fn assert_knows_all(&mut self, server: &TestServer) {
        self.follow(&server.client);
        let listed = server.client.get("conversions", &DAY).success();
        let listed = listed["conversions"].as_array().expect("a list");
        assert_eq!(self.copy.len(), listed.len());
        for row in listed {
            let row = &row["conversion"];
            let (_, stood, copied) = &self.copy[&row["conversion_id"].as_u64().expect("a number")];
            assert_eq!((stood, copied), (&standing(row), row));
        }
    }
}

#[test]
fn whoever_follows_the_feed_knows_what_is_listed() {
    let mut server = TestServer::start();
    let mut follower = Follower::default();
    follower.assert_knows_all(&server);
    let manual = [("offer_id", "1"), ("conversion_approval", "manual")];
    server.convert("ORD-1");
    server.client.post("update_offer", &manual).success();
    for unique_id in ["ORD-2", "ORD-3", "ORD-4", "ORD-5"] {
        server.convert(unique_id);
    }
    follower.assert_knows_all(&server);
    let change = |server: &TestServer, id: &str, field: (&str, &str)| {
        server.client.post("update_conversion", &[("conversion_id", id), field]).success();
    };
    change(&server, "2", ("conversion_status", "approved"));
    change(&server, "1", ("conversion_status", "reversed"));
    change(&server, "3", ("add_payout", "0.0125"));
    follower.assert_knows_all(&server);
    let all = [DAY[0], DAY[1], ("add_revenue", "-1"), ("dry_run", "false"), ("note", "agreed")];
    let batch = server.client.post("adjust_conversions", &all).success();
    let batch = batch["batch"]["batch_id"].to_string();
    // Who stops in between goes on where it was, whatever became of the server.
    server.restart();
    follower.assert_knows_all(&server);
    server.client.post("undo_batch", &[("batch_id", &*batch)]).success();
    follower.assert_knows_all(&server);

    let from_the_beginning = server.client.get("changes", &[]).success();
    assert_eq!(numbers(&from_the_beginning), (1..=18).collect::<Vec<_>>());
    let changed = &rows(&from_the_beginning)[8];
    let told = ["cause", "key_name", "note", "batch_id"].map(|name| changed[name].to_string());
    assert_eq!(told, ["\"mass_adjustment\"", "\"admin\"", "\"agreed\"", &batch]);
    assert_eq!(changed["change_date"], "2026-06-19 14:30:00");
    let count = |cause: &str| follower.causes.iter().filter(|it| *it == cause).count();
    let causes = ["recorded", "update", "mass_adjustment", "undo"].map(count);
    assert_eq!(causes, [5, 3, 5, 5]);
    let mut anew = Follower::default();
    anew.assert_knows_all(&server);
}

#[test]
fn a_page_is_as_long_as_asked_and_a_filter_leaves_gaps() {
    let server = TestServer::start();
    server.convert("ORD-1");
    server.convert("ORD-2");
    let get = |params: &[(&str, &str)]| server.client.get("changes", params);
    let first = get(&[("row_limit", "1")]);
    assert_eq!((numbers(&first.success()), &first.success()["more"]), (vec![1], &true.into()));
    assert_eq!(get(&[("row_limit", "99999")]).header("x-row-limit"), Some("10000"));
    assert_eq!(get(&[]).header("x-row-limit"), Some("100"));
    for (name, found) in
        [("offer_id", vec![1, 2]), ("affiliate_id", vec![1, 2]), ("advertiser_id", vec![1, 2])]
    {
        assert_eq!(numbers(&get(&[(name, "1")]).success()), found, "{name}");
        let nothing = get(&[(name, "2")]).success();
        assert_eq!((numbers(&nothing), &nothing["more"]), (vec![], &false.into()), "{name}");
        assert_eq!(cursor(&nothing), cursor(&get(&[]).success()), "{name}: what was looked at is done with");
    }
}

#[test]
fn from_now_on_is_from_now_on() {
    let server = TestServer::start();
    server.convert("ORD-1");
    let now = server.client.get("changes", &[("since", "now")]).success();
    assert_eq!((numbers(&now), &now["more"]), (vec![], &false.into()));
    server.convert("ORD-2");
    let since = cursor(&now);
    assert_eq!(numbers(&server.client.get("changes", &[("since", &since)]).success()), [2]);
}

#[test]
fn what_is_no_cursor_of_this_feed_is_refused_by_name() {
    let (server, other) = (TestServer::start(), TestServer::start());
    server.convert("ORD-1");
    server.convert("ORD-2");
    let listed = server.client.get("conversions", &[&DAY[..], &[("row_limit", "1")]].concat()).success();
    let of_conversions = listed["next_cursor"].as_str().expect("more");
    let of_the_future = cursor(&server.client.get("changes", &[]).success());
    assert_eq!(other.client.get("changes", &[("since", "now")]).status, 200);
    for (client, since) in [
        (&server.client, of_conversions),
        (&other.client, &*of_the_future),
        (&server.client, "NOW"),
        (&server.client, "1"),
        (&server.client, "%00"),
        (&server.client, "eyJjaGFuZ2UiOi0xfQ"),
    ] {
        let answer = client.get("changes", &[("since", since)]);
        assert_eq!((answer.status, answer.code()), (400, "invalid_parameter".to_owned()), "{since}");
        assert_eq!(answer.json()["error"]["parameter"], "since");
    }
}

#[test]
fn an_affiliate_follows_its_own_conversions_without_revenue() {
    let server = TestServer::start();
    let ours = server.convert("ORD-1").to_string();
    server.client.post("affiliate", &[("affiliate_name", "Other")]).success();
    let params = [("offer_id", "1"), ("affiliate_id", "2")];
    server.client.post("campaign", &params).success();
    let click = server.client.click("/?a=2&c=1");
    let params = [("click_id", &*click), ("offer_id", "1"), ("unique_id", "ORD-2")];
    server.client.get("conversion", &params).success();
    server.client.post("update_conversion", &[("conversion_id", &ours), ("payout", "17")]).success();
    let own = |id| Grant { affiliate_id: Some(AffiliateId(id)), ..Grant::of(Scope::Affiliate) };
    let partner = server.client_with("partner", own(1));
    let answer = partner.get("changes", &[]);
    assert_eq!(numbers(&answer.success()), [1, 3]);
    assert!(!answer.text.contains("revenue") && !answer.text.contains("key_name"), "{}", answer.text);
    assert_eq!(rows(&answer.success())[1]["payout"].to_string(), "17.00");
    assert_eq!(numbers(&server.client_with("other", own(2)).get("changes", &[]).success()), [2]);
    assert_eq!(partner.get("changes", &[("affiliate_id", "2")]).code(), "not_permitted");
    let recorder = server.client_with("record", Grant::of(Scope::Conversion));
    assert_eq!(recorder.get("changes", &[]).code(), "not_permitted");
    let reader = server.client_with("read", Grant::of(Scope::Read));
    assert_eq!(numbers(&reader.get("changes", &[]).success()), [1, 2, 3]);
}
