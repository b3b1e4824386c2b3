//! Full has a policy: what happens at the bounds, and that it ends when the cause does.

use std::path::Path;

use rusqlite::Connection;
use testkit::{Answer, TestServer};

/// Takes the ledger's write lock, as another process would, until dropped.
fn lock_ledger(folder: &Path) -> Connection {
    let connection = Connection::open(folder.join("ledger.sqlite")).expect("the ledger");
    connection.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    connection
}

#[test]
fn a_blocked_ledger_stops_no_redirect_and_turns_away_what_cannot_wait() {
    let server = TestServer::with(|config| config.api.conversions_waiting = 1);
    let clicks: Vec<_> = (0..8).map(|_| server.client.click(&server.sample.link())).collect();
    let record = |click: &str| {
        let call = [("click_id", click), ("offer_id", &*server.sample.offer_id)];
        server.client.get("conversion", &call)
    };
    let lock = lock_ledger(server.folder());
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let calls: Vec<_> = clicks.iter().map(|click| scope.spawn(|| record(click))).collect();
        // At most one call is with the ledger and one waits: of eight, at least six are turned away.
        while calls.iter().filter(|call| call.is_finished()).count() < 6 {
            std::thread::yield_now();
        }
        server.client.click(&server.sample.link());
        drop(lock);
        calls.into_iter().map(|call| call.join().expect("no panic")).collect()
    });
    let (taken, turned_away): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!((1..=2).contains(&taken.len()), "{} were taken", taken.len());
    for answer in turned_away {
        assert_eq!((answer.status, answer.code()), (503, "overloaded".to_owned()));
        assert!(answer.header("retry-after").is_some());
    }
    // Nothing was half done: whoever was turned away may call again.
    let again: Vec<_> = clicks.iter().map(|click| record(click)).collect();
    assert_eq!(again.iter().filter(|answer| answer.code() == "duplicate_conversion").count(), taken.len());
    assert_eq!(again.iter().filter(|answer| answer.status == 200).count(), clicks.len() - taken.len());
}

#[test]
fn when_nothing_can_be_sealed_memory_stays_bounded_and_recovers() {
    let server = TestServer::with(|config| config.archive.recent_mib = 2);
    let segments = server.folder().join("segments");
    std::fs::remove_dir(&segments).expect("empty");
    std::fs::write(&segments, "in the way").expect("written");
    let link = format!("{}&s1={}", server.sample.link(), "x".repeat(7000));
    let mut answered = 0;
    let full = loop {
        let answer = server.client.path(&link);
        if answer.status != 302 {
            break answer;
        }
        answered += 1;
    };
    assert_eq!((full.status, full.header("retry-after")), (503, Some("1")));
    assert!((250..350).contains(&answered), "2 MiB hold about 290 such clicks, not {answered}");
    // What was answered is still there, and is sealed once the disk allows it.
    assert_eq!(server.client.get("click", &[]).success()["response"]["total_rows"], answered);
    std::fs::remove_file(&segments).expect("removed");
    std::fs::create_dir(&segments).expect("made");
    while server.client.path(&link).status != 302 {
        std::thread::yield_now();
    }
    assert_eq!(server.client.get("click", &[]).success()["response"]["total_rows"], answered + 1);
}

#[test]
fn what_is_too_large_is_refused_by_name() {
    let server = TestServer::start();
    let check = |answer: &Answer, status: u16| {
        assert_eq!((answer.status, answer.code()), (status, "too_large".to_owned()), "{}", answer.text);
    };
    check(&server.client.get("click", &[("offer_id", &"9".repeat(9000))]), 414);
    check(&server.client.post("conversion", &[("adv1", &"x".repeat(70_000))]), 413);
    let page = server.client.path(&format!("{}&s1={}", server.sample.link(), "x".repeat(9000)));
    assert_eq!(page.status, 414);
    let longest = server.client.click(&format!("{}&s1={}", server.sample.link(), "x".repeat(8000)));
    let row = server.client.get("click", &[("click_id", &longest)]).success();
    assert_eq!(row["response"]["clicks"][0]["sub_id_1"].as_str().map(str::len), Some(8000));
}
