//! Postbacks as their receivers see them: none lost and none invented over `kill -9`, none slowed down by
//! other receivers, each conversion's causes in their order, also by several servers on one database.
//! `DELIVERY_KILLS` says how often the server is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::{Chance, Database, Network, Reaction, Received, Receiver, Server, encode, until};

/// How often the server is killed where nothing else is said.
const KILLS: u64 = 20;
/// Conversions between two kills at most.
const CONVERSIONS: u64 = 40;
/// Receivers at the same time, and how many of them hang, and fail.
const RECEIVERS: u64 = 200;
const HANGING: u64 = 20;
const FAILING: u64 = 20;

const SETTINGS: &[(&str, &str)] = &[
    ("OUTBOUND__ALLOW_PRIVATE", "true"),
    ("POSTBACKS__RETRY_SCHEDULE", "0s,0s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s"),
    ("LOG__LEVEL", "warn"),
];

/// A postback to a receiver, by its number.
fn postback(server: &Server, network: &Network, url: &str, more: &str) -> u64 {
    let form = format!(
        "affiliate_id={}&offer_id={}&postback_url={}{more}",
        network.affiliate_id,
        network.offer_id,
        encode(url)
    );
    let answer = server.api().post_form("affiliate_postback.json", &form).success();
    answer["postback"]["postback_id"].as_u64().expect("a number")
}

/// Records a conversion and returns its number.
fn convert(server: &Server, network: &Network, click: &str, unique_id: &str) -> u64 {
    let call =
        format!("conversion.json?click_id={click}&offer_id={}&unique_id={unique_id}", network.offer_id);
    let body = server.api().get(&call).success();
    body["conversion"]["conversion_id"].as_u64().expect("a number")
}

/// Waits until no delivery is due any more, and all were delivered.
fn wait_for_all(server: &Server, total: u64) {
    until("all is delivered", || {
        let count = |status: &str| {
            let call = format!("postback_deliveries.json?delivery_status={status}&row_limit=1");
            server.api().get(&call).success()["total_rows"].as_u64().expect("a number")
        };
        let delivered = count("delivered");
        assert_eq!(count("held") + count("cancelled"), 0, "the receiver takes all in the end");
        (delivered == total).then_some(())
    });
}

#[test]
fn none_is_lost_and_none_invented_while_the_server_is_killed() {
    let kills = std::env::var_os("DELIVERY_KILLS")
        .map_or(KILLS, |it| it.to_str().and_then(|it| it.parse().ok()).expect("a number of kills"));
    let mood = AtomicU64::new(0);
    let receiver = Receiver::reacting(move |_| match mood.fetch_add(1, Ordering::Relaxed) % 7 {
        0 => Reaction::Status(500),
        1 => Reaction::Close,
        2 => Reaction::Late(Duration::from_millis(20), 200),
        _ => Reaction::Status(200),
    });
    let mut server = Server::start_with(SETTINGS);
    let network = Network::make(&server.api());
    let url = receiver.url("/?u={unique_id}&p={payout}&c={conversion_id}");
    let id = postback(&server, &network, &url, "");
    let mut chance = Chance::new(kills);
    let mut conversions = BTreeMap::new();
    for round in 0..kills {
        let clicked = server.click(&network.link);
        for number in 0..=chance.below(CONVERSIONS) {
            let unique_id = format!("U-{round}-{number}");
            let conversion = convert(&server, &network, &clicked, &unique_id);
            conversions.insert(format!("{conversion}-0-{id}"), unique_id);
            // A repeat fires nothing.
            assert_eq!(convert(&server, &network, &clicked, &format!("U-{round}-{number}")), conversion);
        }
        server.kill();
        server.start_again();
    }
    wait_for_all(&server, conversions.len() as u64);
    let received = receiver.received();
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    for it in &received {
        ids.insert(it.delivery_id());
        assert_eq!(it.query("u"), conversions.get(it.delivery_id()).map(String::as_str), "{it:?}");
        assert_eq!(it.query("p"), Some("18.00"), "{it:?}");
    }
    assert_eq!(
        ids.into_iter().collect::<Vec<_>>(),
        conversions.keys().map(String::as_str).collect::<Vec<_>>()
    );
    let verified = server.command(&["verify"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

#[test]
fn receivers_that_hang_or_fail_hold_up_nobody_else() {
    // On every address of 127.0.0.0/8: each is a receiver of its own.
    let is_bad = |it: &Received, from: u64, count: u64| {
        let number: u64 = it.query("n").and_then(|it| it.parse().ok()).expect("its number");
        (from..from + count).contains(&number)
    };
    let receiver = Receiver::listening_on("0.0.0.0:0".parse().expect("an address"), move |it| {
        if is_bad(it, 0, HANGING) {
            Reaction::Hang
        } else if is_bad(it, HANGING, FAILING) {
            Reaction::Status(500)
        } else {
            Reaction::Status(200)
        }
    });
    // Hanging calls outlast the test: whoever waits for one waits in vain.
    let settings = [SETTINGS, &[("OUTBOUND__TIMEOUT_SECONDS", "120"), ("POSTBACKS__WORKERS", "64")]].concat();
    let server = Server::start_with(&settings);
    let network = Network::make(&server.api());
    let port = receiver.address().port();
    for number in 0..RECEIVERS {
        let (high, low) = (number / 200, number % 200 + 1);
        postback(&server, &network, &format!("http://127.1.{high}.{low}:{port}/?n={number}&u=#tid#"), "");
    }
    let clicked = server.click(&network.link);
    let conversions = 5;
    for number in 0..conversions {
        convert(&server, &network, &clicked, &format!("U-{number}"));
    }
    let good = (RECEIVERS - HANGING - FAILING) * conversions;
    receiver.wait_until(|received| {
        let good_ones = received.iter().filter(|it| !is_bad(it, 0, HANGING + FAILING));
        let ids: BTreeSet<_> = good_ones.map(Received::delivery_id).collect();
        ids.len() as u64 == good
    });
}

#[test]
fn the_causes_of_a_conversion_arrive_in_their_order() {
    // The first of every three requests fails, so that later causes could overtake earlier ones.
    let mood = AtomicU64::new(0);
    let receiver = Receiver::reacting(move |_| match mood.fetch_add(1, Ordering::Relaxed) % 3 {
        0 => Reaction::Status(503),
        _ => Reaction::Status(200),
    });
    let server = Server::start_with(SETTINGS);
    let network = Network::make(&server.api());
    let url = receiver.url("/?c={conversion_id}&s={conversion_status}&p={payout}");
    postback(&server, &network, &url, "");
    postback(&server, &network, &url, "&fire_on=change");
    let clicked = server.click(&network.link);
    let conversions: Vec<u64> =
        (0..10).map(|number| convert(&server, &network, &clicked, &format!("U-{number}"))).collect();
    for (status, payout) in [("approved", "19.00"), ("reversed", "19.00"), ("approved", "20.00")] {
        for id in &conversions {
            let form = format!("conversion_id={id}&conversion_status={status}&payout={payout}");
            server.api().post_form("update_conversion.json", &form).success();
        }
    }
    wait_for_all(&server, conversions.len() as u64 * 4);
    let received = receiver.received();
    for id in conversions {
        let id = id.to_string();
        let of_it = received.iter().filter(|it| it.query("c") == Some(&id));
        let mut told: Vec<_> = of_it.map(|it| (it.query("s"), it.query("p"))).collect();
        told.dedup();
        let expected =
            [("approved", "18.00"), ("approved", "19.00"), ("reversed", "0.00"), ("approved", "20.00")];
        assert_eq!(told, expected.map(|(s, p)| (Some(s), Some(p))), "conversion {id}");
    }
}

#[test]
fn a_server_that_does_not_know_a_postback_yet_delivers_it_all_the_same() {
    let database = Database::create();
    let receiver =
        Receiver::reacting(|it| if it.target == "/hang" { Reaction::Hang } else { Reaction::Status(200) });
    let url = ("DATABASE__URL", database.url());
    // The first server's only worker waits for a receiver that hangs: the second one delivers all else.
    let of_first = [("POSTBACKS__WORKERS", "1"), ("OUTBOUND__TIMEOUT_SECONDS", "120"), url];
    let first = Server::start_with(&[SETTINGS, &of_first].concat());
    let network = Network::make(&first.api());
    let clicked = first.click(&network.link);
    let hanging = postback(&first, &network, &receiver.url("/hang"), "");
    convert(&first, &network, &clicked, "HANG");
    receiver.wait_for(1);
    let form = format!("postback_id={hanging}&postback_status=inactive");
    first.api().post_form("update_affiliate_postback.json", &form).success();
    let _second = Server::start_beside(&first, &[SETTINGS, &[url, ("NODE__NUMBER", "2")]].concat());
    let rounds = 20_u64;
    for round in 0..rounds {
        // At once after it was made, and one after the other: each while the second has not heard of it.
        let id = postback(&first, &network, &receiver.url("/"), "");
        let conversion = convert(&first, &network, &clicked, &format!("U-{round}"));
        let expected = format!("{conversion}-0-{id}");
        receiver.wait_until(|received| received.iter().any(|it| it.delivery_id() == expected));
    }
}

#[test]
fn two_servers_on_one_database_deliver_each_once_between_them() {
    let database = Database::create();
    let receiver = Receiver::start();
    let settings = [SETTINGS, &[("DATABASE__URL", database.url())]].concat();
    let first = Server::start_with(&settings);
    let second = Server::start_beside(&first, &[&settings[..], &[("NODE__NUMBER", "2")]].concat());
    let network = Network::make(&first.api());
    let url = receiver.url("/?u={unique_id}");
    postback(&first, &network, &url, "");
    let clicked = [first.click(&network.link), {
        until("the second server knows the network", || {
            let answer = second.connect().get(&network.link).expect("an answer");
            answer.click_id()
        })
    }];
    until("the second server knows the postback", || {
        let listed = second.api().get("affiliate_postbacks.json").success();
        (listed["total_rows"] == 1).then_some(())
    });
    let conversions = 100_u64;
    for number in 0..conversions {
        let (server, clicked) = if number % 2 == 0 { (&first, &clicked[0]) } else { (&second, &clicked[1]) };
        convert(server, &network, clicked, &format!("U-{number}"));
    }
    wait_for_all(&first, conversions);
    let received = receiver.received();
    let ids: BTreeSet<_> = received.iter().map(Received::delivery_id).collect();
    assert_eq!((ids.len() as u64, received.len() as u64), (conversions, conversions), "each once");
}
