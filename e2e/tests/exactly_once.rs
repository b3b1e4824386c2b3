//! One sale is one conversion, however often and however concurrently it is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;

use e2e::{Answer, Client, Network, Server, conversion_pages, encode};
use serde_json::json;

const CALLS: usize = 64;

/// Makes all the calls at the same moment.
fn at_once(calls: usize, call: impl Fn(usize) -> Answer + Sync) -> Vec<Answer> {
    let barrier = Barrier::new(calls);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..calls)
            .map(|number| {
                let (barrier, call) = (&barrier, &call);
                scope.spawn(move || {
                    barrier.wait();
                    call(number)
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().expect("a caller")).collect()
    })
}

fn conversion_id(answer: &Answer) -> u64 {
    answer.success()["conversion"]["conversion_id"].as_u64().expect("a number")
}

/// Every conversion there is.
fn count(api: &Client) -> usize {
    conversion_pages(api, "start_date=2020-01-01&end_date=2099-01-01").len()
}

#[test]
fn simultaneous_calls_with_one_key_are_one_conversion_also_after_a_kill() {
    let mut server = Server::start();
    let network = Network::make(&server.api());
    let click_id = server.click(&network.link);
    let query = format!("click_id={click_id}&offer_id={}&unique_id=ORD-1", network.offer_id);
    let ask = |api: &Client| {
        let answers = at_once(CALLS, |number| match number % 3 {
            0 => api.get(&format!("conversion.json?{query}")),
            1 => api.post_form("conversion.json", &query),
            _ => {
                let fields =
                    json!({ "click_id": click_id, "offer_id": network.offer_id, "unique_id": "ORD-1" });
                api.post_json("conversion.json", &fields)
            }
        });
        answers.iter().map(conversion_id).collect::<BTreeSet<_>>()
    };
    let ids = ask(&server.api());
    assert_eq!(ids.len(), 1, "every answer names the same conversion: {ids:?}");
    server.kill();
    server.start_again();
    assert_eq!(ask(&server.api()), ids);
    assert_eq!(count(&server.api()), 1);
}

#[test]
fn mixed_keys_at_the_same_moment_each_become_their_own_conversion() {
    let server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    let clicks: Vec<_> = (0..4).map(|_| server.click(&network.link)).collect();
    // Each of four clicks has four unique ids, each reported four times.
    let answers = at_once(CALLS, |number| {
        let (click, unique) = (number % 4, number / 4 % 4);
        api.get(&format!(
            "conversion.json?click_id={}&offer_id={}&unique_id=ORD-{click}-{unique}",
            clicks[click], network.offer_id
        ))
    });
    let mut ids: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for answer in &answers {
        let key = answer.success()["conversion"]["unique_id"].as_str().expect("a text").to_owned();
        ids.entry(key).or_default().insert(conversion_id(answer));
    }
    assert_eq!(ids.len(), 16);
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    assert_eq!(ids.values().flatten().collect::<BTreeSet<_>>().len(), 16, "no two keys share a conversion");
    assert_eq!(count(&api), 16);
}

#[test]
fn calls_without_a_unique_id_are_one_conversion_and_the_others_are_told_which() {
    let server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    let click_id = server.click(&network.link);
    let call = format!("conversion.json?click_id={click_id}&offer_id={}", network.offer_id);
    let answers = at_once(CALLS, |_| api.get(&call));
    one_wins(&answers);
    assert_eq!(count(&api), 1);
}

#[test]
fn one_unique_id_on_many_clicks_converts_one_of_them() {
    let server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    let clicks: Vec<_> = (0..CALLS).map(|_| server.click(&network.link)).collect();
    let unique_id = encode("ORD 1/ü");
    let answers = at_once(CALLS, |number| {
        let (click_id, offer_id) = (&clicks[number], network.offer_id);
        api.get(&format!("conversion.json?click_id={click_id}&offer_id={offer_id}&unique_id={unique_id}"))
    });
    one_wins(&answers);
    assert_eq!(count(&api), 1);
}

fn one_wins(answers: &[Answer]) {
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    for answer in lost {
        let refusal = answer.refusal(409, "duplicate_conversion");
        assert_eq!(refusal["conversion_id"], conversion_id(won[0]));
    }
}

#[test]
fn a_repeat_with_other_amounts_is_the_original_and_says_so() {
    let server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    let click_id = server.click(&network.link);
    let record = |payout: &str| {
        let offer_id = network.offer_id;
        let call =
            format!("conversion.json?click_id={click_id}&offer_id={offer_id}&unique_id=1&payout={payout}");
        api.get(&call).success()["conversion"].clone()
    };
    let first = record("18.00");
    assert_eq!(record("18.00"), first);
    assert_eq!(record("18.0000"), first);
    let mut conflicting = record("99.00");
    let fields = conflicting.as_object_mut().expect("an object");
    assert_eq!(fields.keys().next_back().map(String::as_str), Some("conflict"), "it stands last");
    assert_eq!(fields.remove("conflict"), Some(json!(true)));
    assert_eq!(conflicting, first);
    assert_eq!(count(&api), 1);
}
