//! Paging through very many clicks, most of them sealed, some still in memory.

use std::collections::{BTreeMap, BTreeSet};

use e2e::{Client, Connection, Network, Server, click_pages, until};
use serde_json::Value;

const CLICKS: usize = 100_000;
const WORKERS: usize = 16;
/// No divisor of anything, so that pages end in odd places.
const ROWS: usize = 333;
/// All that there is, in whole years.
const ALWAYS: &str = "start_date=2020-01-01&end_date=2099-01-01";

/// Follows the links in turn, from many visitors at once: the ids, by link.
fn load(server: &Server, links: &[String]) -> BTreeMap<usize, BTreeSet<String>> {
    let address = server.address();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                scope.spawn(move || {
                    let mut connection = Connection::open(address).expect("the server listens");
                    let visits = (worker..CLICKS).step_by(WORKERS);
                    let visit = |number: usize| {
                        // The higher links are followed less often.
                        let link = (number % 7).min(links.len() - 1);
                        let answer = connection.get(&links[link]).expect("an answer");
                        (link, answer.click_id().expect("the landing page is told the click id"))
                    };
                    visits.map(visit).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut ids: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for (link, id) in workers.into_iter().flat_map(|worker| worker.join().expect("a visitor")) {
            assert!(ids.entry(link).or_default().insert(id), "an id twice");
        }
        ids
    })
}

fn ids<'c>(clicks: impl IntoIterator<Item = &'c Value>) -> BTreeSet<String> {
    clicks.into_iter().map(|click| click["click_id"].as_str().expect("an id").to_owned()).collect()
}

fn total(api: &Client, question: &str) -> usize {
    let body = api.get(&format!("click.json?{question}&row_limit=1")).success();
    usize::try_from(body["response"]["total_rows"].as_u64().expect("a number")).expect("small")
}

#[test]
fn a_walk_through_100_000_clicks_meets_each_exactly_once() {
    let settings = [("JOURNAL__FILE_MIB", "3"), ("JOURNAL__PENDING_MIB", "1"), ("LOG__LEVEL", "warn")];
    let server = Server::start_with(&settings);
    let api = server.api();
    let first = Network::make(&api);
    let second = first.with_another_affiliate(&api);
    let third = Network::with_advertiser(&api, first.advertiser_id);
    let networks = [first, second, third];
    let loaded = load(&server, &networks.each_ref().map(|network| format!("{}&s1=walk", network.link)));
    assert_eq!(loaded.values().map(BTreeSet::len).sum::<usize>(), CLICKS);
    until("some clicks are sealed", || (server.metric("crumb_segments_sealed_total") >= 3).then_some(()));
    assert!(server.metric("crumb_recent_clicks") > 0, "some clicks are still in memory");

    let all = click_pages(&api, ALWAYS, ROWS);
    assert_eq!(all.len(), CLICKS);
    assert!(
        ids(&all) == loaded.values().flatten().cloned().collect(),
        "other clicks than those that were made"
    );

    the_filters_agree(&api, &networks, &loaded, &all);
    the_dates_agree(&api, &all);
}

fn the_filters_agree(
    api: &Client,
    networks: &[Network],
    loaded: &BTreeMap<usize, BTreeSet<String>>,
    all: &[Value],
) {
    for (network, loaded) in networks.iter().zip(loaded.values()) {
        let Network { offer_id, affiliate_id, .. } = network;
        let both = format!("{ALWAYS}&offer_id={offer_id}&affiliate_id={affiliate_id}");
        assert!(ids(&click_pages(api, &both, 10_000)) == *loaded, "{both}");
        for (name, id) in [("offer_id", offer_id), ("affiliate_id", affiliate_id)] {
            let expected = all.iter().filter(|click| click[name] == *id).count();
            assert_eq!(total(api, &format!("{ALWAYS}&{name}={id}")), expected, "{name}={id}");
        }
    }
    let none =
        format!("{ALWAYS}&offer_id={}&affiliate_id={}", networks[0].offer_id, networks[2].affiliate_id);
    assert_eq!(total(api, &none), 0);
    assert_eq!(total(api, &format!("{ALWAYS}&offer_id=4000000000")), 0);
}

fn the_dates_agree(api: &Client, all: &[Value]) {
    let date = |click: &Value| click["click_date"].as_str().expect("a date").to_owned();
    let (from, until) = (date(&all[CLICKS * 3 / 10]), date(&all[CLICKS * 7 / 10]));
    let written = |date: &str| date.replace(' ', "T");
    let between = format!("start_date={}&end_date={}", written(&from), written(&until));
    // An end given to the second includes that second.
    let expected = || all.iter().filter(|click| date(click) >= from && date(click) <= until);
    assert!(ids(&click_pages(api, &between, 3333)) == ids(expected()), "{between}");
    let before = all.iter().filter(|click| date(click) < from).count();
    let after = all.iter().filter(|click| date(click) > until).count();
    assert_eq!(before + total(api, &between) + after, CLICKS);
    let (first, last) = (date(&all[0]), date(&all[CLICKS - 1]));
    let days = format!("start_date={}&end_date={}", &first[..10], &last[..10]);
    assert_eq!(total(api, &days), CLICKS);
    assert_eq!(total(api, "start_date=2020-01-01&end_date=2020-12-31"), 0);
    assert_eq!(total(api, ""), CLICKS, "the last 24 hours");
}
