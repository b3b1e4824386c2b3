//! Deliveries as operators and affiliates see them: tries, schedule, held, cancelled, replayed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crumb::config::PrivateAddresses;
use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use outbound::AllowPrivate;
use serde_json::{Value, json};
use testkit::{Client, Reaction, Receiver, TestServer, until};

/// A server that may call this machine and tries three times, a minute and then an hour apart.
fn start() -> TestServer {
    TestServer::with(|config| {
        config.outbound.allow_private = PrivateAddresses(AllowPrivate::All);
        "1m,1h".clone_into(&mut config.postbacks.retry_schedule);
    })
}

/// A receiver that answers with the status in the cell.
fn receiver() -> (Receiver, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let reads = Arc::clone(&status);
    let react = move |_: &_| Reaction::Answer(reads.load(Ordering::Relaxed), String::new(), "noted".into());
    (Receiver::reacting(react), status)
}

fn postback(server: &TestServer, url: &str, more: &[(&str, &str)]) -> String {
    let sample = &server.sample;
    let scope =
        [("affiliate_id", &*sample.affiliate_id), ("offer_id", &*sample.offer_id), ("postback_url", url)];
    let made = server.client.post("affiliate_postback", &[&scope[..], more].concat()).success();
    made["postback"]["postback_id"].to_string()
}

fn list(client: &Client, params: &[(&str, &str)]) -> Value {
    client.get("postback_deliveries", params).success()
}

/// The only delivery there is, once it stands so after so many tries.
fn when(server: &TestServer, status: &str, tries: usize) -> Value {
    until("the delivery stands so", || {
        let listed = list(&server.client, &[]);
        assert_eq!(listed["total_rows"], 1, "{listed}");
        let it = listed["deliveries"][0].clone();
        let count = it["tries"].as_array().expect("a list").len();
        (it["delivery_status"] == status && count == tries).then_some(it)
    })
}

#[test]
fn a_delivery_tells_all_of_itself_and_of_its_tries() {
    let (receiver, _) = receiver();
    let server = start();
    let id = postback(&server, &receiver.url("/p?c={click_id}&p=#price#&sig=s3cret"), &[]);
    let conversion = server.convert("ORD-1");
    let it = when(&server, "delivered", 1);
    let received = &receiver.wait_for(1)[0];
    let delivery_id = format!("{conversion}-0-{id}");
    assert_eq!((received.delivery_id(), received.query("p")), (&*delivery_id, Some("18.00")));
    assert_eq!(received.query("sig"), Some("s3cret"));
    assert_eq!(received.header("user-agent"), Some(concat!("Crumb/", env!("CARGO_PKG_VERSION"))));
    let click = received.query("c").expect("its click");
    let url = receiver.url(&format!("/p?c={click}&p=18.00&sig=***"));
    let fields: Vec<_> = it.as_object().expect("an object").keys().map(String::as_str).collect();
    let documented = [
        "delivery_id",
        "conversion_id",
        "postback_id",
        "affiliate_id",
        "offer_id",
        "fire_on",
        "url",
        "delivery_status",
        "next_try_date",
    ];
    assert_eq!(fields[..documented.len()], documented);
    assert_eq!(
        (&it["delivery_id"], &it["fire_on"], &it["url"], &it["next_try_date"], &it["cause"]),
        (&json!(delivery_id), &json!("conversion"), &json!(url), &Value::Null, &json!("recorded"))
    );
    let tried = &it["tries"][0];
    assert_eq!(
        (&tried["http_status"], &tried["error"], &tried["response"], &tried["url"], &tried["try_date"]),
        (&json!(200), &Value::Null, &json!("noted"), &json!(url), &json!("2026-06-19 14:30:00"))
    );
    assert!(tried["duration_ms"].is_u64(), "{tried}");
}

#[test]
fn a_repeat_and_a_duplicate_fire_nothing() {
    let (receiver, _) = receiver();
    let server = start();
    postback(&server, &receiver.url("/"), &[]);
    let (client, sample) = (&server.client, &server.sample);
    let click = client.click(&sample.link());
    let params = [("click_id", &*click), ("offer_id", &*sample.offer_id), ("unique_id", "ORD-1")];
    client.get("conversion", &params).success();
    client.get("conversion", &params).success();
    let other = client.click(&sample.link());
    let duplicate = [("click_id", &*other), ("offer_id", &*sample.offer_id), ("unique_id", "ORD-1")];
    assert_eq!(client.get("conversion", &duplicate).status, 409);
    when(&server, "delivered", 1);
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn what_fails_is_tried_by_the_schedule_then_held_and_replayed_by_somebody() {
    let (receiver, status) = receiver();
    status.store(500, Ordering::Relaxed);
    let mut server = start();
    let id = postback(&server, &receiver.url("/"), &[]);
    server.convert("ORD-1");
    let first = when(&server, "due", 1);
    let next = first["next_try_date"].as_str().expect("a date");
    assert!(
        ("2026-06-19 14:31:00"..="2026-06-19 14:31:06").contains(&next),
        "a minute, and a little: {next}"
    );
    server.clock.advance_seconds(66);
    when(&server, "due", 2);
    // An hour, and a restart in it.
    server.clock.advance_seconds(1800);
    server.restart();
    server.clock.advance_seconds(2160);
    let held = when(&server, "held", 3);
    assert_eq!(held["next_try_date"], Value::Null);
    assert_eq!(receiver.received().len(), 3);
    let replay = |params: &[(&str, &str)]| server.client.post("replay_deliveries", params);
    assert_eq!(replay(&[("postback_id", &id), ("dry_run", "true")]).success()["replay"]["matched"], 1);
    assert_eq!(replay(&[("postback_id", "77"), ("dry_run", "true")]).success()["replay"]["matched"], 0);
    status.store(200, Ordering::Relaxed);
    let done = replay(&[("postback_id", &id)]).success()["replay"].clone();
    assert_eq!(done, json!({ "replayed": 1, "cursor": null }));
    let delivered = when(&server, "delivered", 4);
    assert_eq!(delivered["delivery_id"], held["delivery_id"], "receivers can tell that it is the same");
    // Once more, though it was delivered: who asks for it by name means it.
    let name = delivered["delivery_id"].as_str().expect("a text");
    assert_eq!(replay(&[("delivery_id", name)]).success()["replay"]["replayed"], 1);
    when(&server, "delivered", 5);
    server.verify();
}

#[test]
fn a_replay_of_everything_must_be_meant() {
    let server = start();
    for (params, parameter) in [
        (&[][..], "delivery_id"),
        (&[("delivery_status", "due")], "delivery_status"),
        (&[("delivery_id", "7")], "delivery_id"),
        (&[("all", "true"), ("cursor", "no-cursor")], "cursor"),
        (&[("affiliate", "7")], "affiliate"),
    ] {
        let refused = server.client.post("replay_deliveries", params);
        let error = refused.json()["error"].clone();
        assert_eq!((refused.status, &error["parameter"]), (400, &json!(parameter)), "{error}");
    }
    let done = server.client.post("replay_deliveries", &[("all", "true")]).success();
    assert_eq!(done["replay"]["replayed"], 0);
    let reader = server.client_with("reader", Grant::of(Scope::Read));
    assert_eq!(reader.post("replay_deliveries", &[("all", "true")]).status, 403);
}

#[test]
fn a_receiver_that_is_gone_is_told_no_more_and_one_that_asks_for_time_gets_it() {
    let (gone, status) = receiver();
    status.store(410, Ordering::Relaxed);
    let server = start();
    postback(&server, &gone.url("/"), &[]);
    server.convert("ORD-1");
    when(&server, "cancelled", 1);
    let busy = Receiver::reacting(|_| Reaction::Answer(429, "Retry-After: 7200\r\n".into(), "later".into()));
    let server = start();
    postback(&server, &busy.url("/"), &[]);
    server.convert("ORD-1");
    let it = when(&server, "due", 1);
    assert_eq!(it["next_try_date"], "2026-06-19 16:30:00");
}

#[test]
fn what_a_switched_off_postback_had_to_deliver_is_cancelled() {
    let (receiver, status) = receiver();
    status.store(500, Ordering::Relaxed);
    let server = start();
    let id = postback(&server, &receiver.url("/"), &[]);
    server.convert("ORD-1");
    when(&server, "due", 1);
    let off = [("postback_id", &*id), ("postback_status", "inactive")];
    server.client.post("update_affiliate_postback", &off).success();
    server.clock.advance_seconds(66);
    when(&server, "cancelled", 1);
    server.convert("ORD-2");
    assert_eq!(list(&server.client, &[])["total_rows"], 1, "it does not fire any more");
}

#[test]
fn a_delay_is_kept_and_a_mended_url_serves_what_was_held() {
    let (receiver, _) = receiver();
    let server = start();
    let id = postback(&server, "http://127.0.0.1:9/", &[("postback_delay_seconds", "3600")]);
    server.convert("ORD-1");
    let it = when(&server, "due", 0);
    assert_eq!(it["next_try_date"], "2026-06-19 15:30:00");
    server.clock.advance_seconds(3600);
    let refused = when(&server, "due", 1);
    let error = refused["tries"][0]["error"].as_str().expect("a text");
    assert!(error.starts_with("connection_refused"), "{error}");
    let mended = receiver.url("/mended");
    let mend = [("postback_id", &*id), ("postback_url", &mended)];
    server.client.post("update_affiliate_postback", &mend).success();
    server.clock.advance_seconds(66);
    when(&server, "delivered", 2);
    assert_eq!(receiver.received()[0].target, "/mended");
}

#[test]
fn an_address_that_became_private_is_not_called() {
    let (receiver, _) = receiver();
    let mut server = start();
    postback(&server, &receiver.url("/"), &[]);
    server.restart_with(|config| config.outbound.allow_private = PrivateAddresses(AllowPrivate::No));
    server.convert("ORD-1");
    let it = when(&server, "due", 1);
    let error = it["tries"][0]["error"].as_str().expect("a text");
    assert!(error.starts_with("address_not_allowed"), "{error}");
    assert_eq!(receiver.received().len(), 0);
}

#[test]
fn pages_go_on_by_cursor_and_filters_narrow() {
    let (receiver, _) = receiver();
    let server = start();
    let first = postback(&server, &receiver.url("/"), &[]);
    let second = postback(&server, &receiver.url("/"), &[("fire_on", "approval")]);
    for number in 0..3 {
        server.convert(&format!("ORD-{number}"));
    }
    let (mut ids, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let go_on = cursor.clone().unwrap_or_default();
        let page = match cursor {
            None => list(&server.client, &[("row_limit", "2")]),
            Some(_) => list(&server.client, &[("cursor", &go_on), ("row_limit", "2")]),
        };
        assert_eq!(page["total_rows"], 6);
        let rows = page["deliveries"].as_array().expect("a list");
        ids.extend(rows.iter().map(|it| it["delivery_id"].as_str().expect("a text").to_owned()));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<_> =
        (1..=3).flat_map(|it| [format!("{it}-0-{first}"), format!("{it}-0-{second}")]).collect();
    assert_eq!(ids, expected);
    for (filter, count) in [
        (("postback_id", &*second), 3),
        (("conversion_id", "2"), 2),
        (("delivery_id", &*ids[3]), 1),
        (("offer_id", "99"), 0),
        (("offer_id", "0"), 6),
        (("affiliate_id", &*server.sample.affiliate_id), 6),
        (("start_date", "2026-06-20"), 0),
        (("end_date", "2026-06-19"), 6),
        (("delivery_status", "held"), 0),
    ] {
        assert_eq!(list(&server.client, &[filter])["total_rows"], count, "{filter:?}");
    }
    let unknown = server.client.get("postback_deliveries", &[("delivery_status", "lost")]);
    assert_eq!((unknown.status, unknown.code().as_str()), (400, "invalid_parameter"));
}

#[test]
fn an_affiliates_key_sees_the_deliveries_of_its_own_postbacks_only() {
    let (receiver, _) = receiver();
    let server = start();
    let own = postback(&server, &receiver.url("/own"), &[]);
    server.client.post("webhook", &[("webhook_url", &receiver.url("/network"))]).success();
    let conversion = server.convert("ORD-1");
    assert_eq!(list(&server.client, &[])["total_rows"], 2);
    let affiliate = |id: u32| {
        let grant = Grant { affiliate_id: Some(AffiliateId(id)), ..Grant::of(Scope::Affiliate) };
        server.client_with(&format!("affiliate {id}"), grant)
    };
    let seen = list(&affiliate(server.sample.affiliate_id.parse().expect("a number")), &[]);
    assert_eq!(seen["total_rows"], 1);
    assert_eq!(seen["deliveries"][0]["delivery_id"], format!("{conversion}-0-{own}"));
    assert_eq!(list(&affiliate(99), &[])["total_rows"], 0);
}

#[test]
fn a_damaged_conversion_holds_up_no_other_delivery() {
    let (receiver, _) = receiver();
    let server = start();
    let id = postback(&server, &receiver.url("/"), &[("postback_delay_seconds", "60")]);
    let (damaged, sound) = (server.convert("ORD-1"), server.convert("ORD-2"));
    let ledger = rusqlite::Connection::open(server.folder().join("ledger.sqlite")).expect("opens");
    ledger
        .execute(
            "UPDATE conversions SET status = 'unheard of' WHERE conversion_id = ?1",
            [damaged.cast_signed()],
        )
        .expect("damaged");
    server.clock.advance_seconds(60);
    assert_eq!(receiver.wait_for(1)[0].delivery_id(), format!("{sound}-0-{id}"));
}
