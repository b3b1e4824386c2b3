//! More than there is room for, and clients that mean no good: everything is bounded, full has a
//! policy, and whoever behaves is answered all the while.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use e2e::{Answer, Connection, Network, Server, until};

/// Idle connections at the same time.
const IDLE: usize = 10_000;
/// What an idle connection may cost at most, in KiB: its buffer, its state and its place in lists.
const IDLE_KIB_MAX: u64 = 24;
/// What clients that take no answers may cost together at most, in KiB, the clicks they recorded included.
const STALLED_KIB_MAX: u64 = 128 * 1024;
/// A refusal that is quick.
const QUICK: Duration = Duration::from_secs(2);

/// How much memory the server has in use, or had at most (`VmHWM`), in KiB.
fn memory(server: &mut Server, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process().id()));
    let status = status.expect("a process has a status");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok()).expect("a size")
}

fn follow(server: &Server, link: &str) -> Answer {
    server.connect().get(link).expect("an answer")
}

/// Whether the server has closed this connection, as far as can be told without waiting for long.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).expect("set");
    match stream.read(&mut [0; 1024]) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    }
}

#[test]
fn ten_thousand_idle_connections_stop_no_redirect_and_cost_little() {
    let files = rlimit::increase_nofile_limit(u64::MAX).expect("raised");
    assert!(files > IDLE as u64 + 500, "this test needs more open files than {files}");
    let mut server = Server::start_with(&[("SERVER__CLIENT_TIMEOUT_SECONDS", "600")]);
    let network = Network::make(&server.api());
    let before = memory(&mut server, "VmRSS");
    let mut idle: Vec<_> = (0..IDLE).map(|_| server.connect()).collect();
    for connection in &mut idle {
        assert_eq!(connection.get("/healthz").expect("an answer").status, 200);
    }
    let each = (memory(&mut server, "VmRSS") - before) / IDLE as u64;
    assert!(each <= IDLE_KIB_MAX, "an idle connection costs {each} KiB");
    let mut kept = server.connect();
    for _ in 0..200 {
        assert_eq!(follow(&server, &network.link).status, 302);
        assert_eq!(kept.get(&network.link).expect("an answer").status, 302);
    }
    assert!(server.metric("crumb_connections") > IDLE as u64);
    assert_eq!(server.metric("crumb_connections_dismissed_total"), 0);
    for connection in idle.iter_mut().step_by(100) {
        assert_eq!(connection.get(&network.link).expect("still open").status, 302);
    }
    drop(idle);
    until("all connections are gone", || (server.metric("crumb_connections") < 10).then_some(()));
}

#[test]
fn whoever_sends_no_whole_head_in_time_is_closed() {
    let server = Server::start_with(&[("SERVER__CLIENT_TIMEOUT_SECONDS", "1")]);
    let network = Network::make(&server.api());
    let mut silent = TcpStream::connect(server.address()).expect("it listens");
    let mut slow = TcpStream::connect(server.address()).expect("it listens");
    let mut idle = TcpStream::connect(server.address()).expect("it listens");
    idle.write_all(b"HEAD /healthz HTTP/1.1\r\nHost: crumb\r\n\r\n").expect("sent");
    let head = format!("GET {}&s1={} HTTP/1.1\r\n", network.link, "x".repeat(4000));
    let mut bytes = head.bytes();
    until("the slow one is closed", || {
        let byte = bytes.next().expect("closed before the head is whole");
        (slow.write_all(&[byte]).is_err() || is_closed(&mut slow)).then_some(())
    });
    until("the silent one is closed", || is_closed(&mut silent).then_some(()));
    // Its answer first, then the end.
    until("the idle one is closed", || is_closed(&mut idle).then_some(()));
    assert_eq!(follow(&server, &network.link).status, 302);
}

#[test]
fn whoever_takes_no_answers_costs_little_and_is_closed() {
    let mut server = Server::start_with(&[("SERVER__CLIENT_TIMEOUT_SECONDS", "2")]);
    let network = Network::make(&server.api());
    let address = server.address();
    // Answers of a few bytes, of a page, and of a long list.
    let key = server.api().key().to_owned();
    let targets = [
        format!("{}&s1={}", network.link, "%20".repeat(2000)),
        "/".to_owned(),
        format!("/api/2/click.json?api_key={key}"),
    ];
    for _ in 0..300 {
        server.click(&format!("{}&s1={}", network.link, "x".repeat(2000)));
    }
    let before = memory(&mut server, "VmRSS");
    std::thread::scope(|scope| {
        for target in targets.iter().cycle().take(24) {
            scope.spawn(move || {
                let mut stream = TcpStream::connect(address).expect("it listens");
                let request = format!("GET {target} HTTP/1.1\r\nHost: crumb\r\n\r\n").repeat(10);
                // It blocks when all buffers are full, and fails when the server has had enough.
                let sent = (0..100_000).find(|_| stream.write_all(request.as_bytes()).is_err());
                assert!(sent.is_some(), "the server takes everything and answers into nowhere");
            });
        }
        assert_eq!(follow(&server, &network.link).status, 302);
    });
    let more = memory(&mut server, "VmHWM").saturating_sub(before);
    assert!(more <= STALLED_KIB_MAX, "they cost {more} KiB");
    until("they are gone", || (server.metric("crumb_connections") < 5).then_some(()));
    assert_eq!(follow(&server, &network.link).status, 302);
}

#[test]
fn pipelined_requests_are_all_answered_in_order() {
    const REQUESTS: usize = 2000;
    let server = Server::start();
    let network = Network::make(&server.api());
    let mut connection = server.connect();
    let request =
        |number| format!("GET {}&s1={number} HTTP/1.1\r\nHost: crumb\r\n\r\n", network.link).into_bytes();
    connection.send(&(0..REQUESTS).flat_map(request).collect::<Vec<_>>()).expect("sent");
    for number in 0..REQUESTS {
        let answer = connection.answer(true).expect("an answer");
        let location = answer.header("location").expect("a redirect");
        assert!(location.ends_with(&format!("&s1={number}")), "{number}: {location}");
    }
}

/// The least number of connections there can be.
const FEW: usize = 16;

fn small_server() -> (Server, Network) {
    let server = Server::start_with(&[("SERVER__CONNECTIONS", "16"), ("SERVER__WORKERS", "1")]);
    let network = Network::make(&server.api());
    (server, network)
}

#[test]
fn at_the_bound_the_quietest_make_room_and_the_busy_stay() {
    let (server, network) = small_server();
    let mut busy = server.connect();
    let mut idle = Vec::new();
    for _ in 0..10 * FEW {
        assert_eq!(busy.get(&network.link).expect("never closed").status, 302);
        let mut connection = server.connect();
        assert_eq!(connection.get(&network.link).expect("an answer").status, 302);
        idle.push(connection);
    }
    let open = idle.iter_mut().filter_map(|connection| connection.get("/healthz").ok()).count();
    assert!((1..FEW).contains(&open), "{open} of the idle ones are open");
    assert!(server.metric("crumb_connections_dismissed_total") >= 9 * FEW as u64);
}

#[test]
fn at_the_bound_a_request_in_flight_is_answered() {
    let (server, network) = small_server();
    let mut watch = server.connect();
    let mut dismissed = || watch.get("/metrics").expect("an answer").text().contains("dismissed_total 1\n");
    let body = format!("offer_id={}&click_id={}", network.offer_id, server.click(&network.link));
    let mut call = server.connect();
    assert_eq!(call.get("/healthz").expect("an answer").status, 200);
    let head = format!(
        "POST /api/2/conversion.json HTTP/1.1\r\nHost: crumb\r\nX-Api-Key: {}\r\nContent-Length: {}\r\n\r\n",
        server.api().key(),
        body.len()
    );
    call.send(head.as_bytes()).expect("sent");
    // What is asked later is heard later: from here on the call is the quieter one.
    assert!(!dismissed() && !dismissed());
    let others: Vec<_> = (0..FEW).map(|_| server.connect()).collect();
    until("it is asked to leave", || dismissed().then_some(()));
    call.send(body.as_bytes()).expect("sent");
    assert_eq!(call.answer(true).expect("an answer").status, 200);
    drop(others);
}

#[test]
fn at_the_bound_those_that_never_finish_make_room_too() {
    let (server, network) = small_server();
    let mut slow: Vec<_> = (0..2 * FEW).map(|_| server.connect()).collect();
    for connection in &mut slow {
        // Those in the backlog may be closed already.
        let _ = connection.send(b"GET / HTTP/1.1\r\nHost: cr");
    }
    let begun = Instant::now();
    assert_eq!(follow(&server, &network.link).status, 302);
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
    drop(slow);
    assert_eq!(follow(&server, &network.link).status, 302);
}

/// Sends `requests` links of nearly 8 KiB at once and counts the 302s and the 503s among the answers.
fn flood(connection: &mut Connection, link: &str, requests: usize) -> (u64, u64) {
    let request = format!("GET {link}&s1={} HTTP/1.1\r\nHost: crumb\r\n\r\n", "x".repeat(8000));
    connection.send(request.repeat(requests).as_bytes()).expect("sent");
    let (mut sent_on, mut turned_away) = (0, 0);
    for _ in 0..requests {
        let answer = connection.answer(true).expect("an answer");
        match answer.status {
            302 => sent_on += 1,
            status => {
                assert_eq!((status, answer.header("retry-after")), (503, Some("1")));
                turned_away += 1;
            }
        }
    }
    (sent_on, turned_away)
}

#[test]
fn whoever_finds_no_room_for_a_click_is_told_so_at_once_and_the_rest_is_kept() {
    let mut server = Server::start_with(&[
        ("JOURNAL__FILE_MIB", "1"),
        ("JOURNAL__PENDING_MIB", "1"),
        ("ARCHIVE__RECENT_MIB", "8"),
        ("LOG__LEVEL", "warn"),
    ]);
    let network = Network::make(&server.api());
    // Nothing can be sealed, so memory fills.
    let segments = server.data().join("segments");
    std::fs::remove_dir(&segments).expect("empty");
    std::fs::write(&segments, "in the way").expect("written");
    let address = server.address();
    let visitors = 64;
    let counts: Vec<_> = std::thread::scope(|scope| {
        let visit = || flood(&mut Connection::open(address).expect("it listens"), &network.link, 40);
        let visits: Vec<_> = (0..visitors).map(|_| scope.spawn(visit)).collect();
        visits.into_iter().map(|visit| visit.join().expect("no panic")).collect()
    });
    let (sent_on, turned_away) = counts.iter().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    assert!(sent_on >= 900 && turned_away > 0, "{sent_on} sent on, {turned_away} turned away");
    let begun = Instant::now();
    assert_eq!(follow(&server, &network.link).status, 503);
    assert!(begun.elapsed() < QUICK);
    assert_eq!(server.metric("crumb_clicks_unavailable_total"), turned_away + 1);
    let all = |server: &Server| server.api().get("click.json").success()["response"]["total_rows"].clone();
    assert_eq!(all(&server), sent_on, "what was sent on is there, what was turned away is not");

    std::fs::remove_file(&segments).expect("removed");
    std::fs::create_dir(&segments).expect("made");
    until("there is room again", || (follow(&server, &network.link).status == 302).then_some(()));
    server.kill();
    server.start_again();
    assert_eq!(all(&server), sent_on + 1);
}
