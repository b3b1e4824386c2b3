//! What strangers answer.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use outbound::{
    ANSWER_BYTES_KEPT, ANSWER_BYTES_READ_MAX, Answer, Body, Call, CallError, Caller, HEAD_BYTES_MAX,
    HEADERS_MAX, INTERIM_ANSWERS_MAX, Method, RetryAfter,
};

use crate::server::{Server, caller, get, get_call, impatient, options};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

/// What comes of an answer after which the connection is closed.
async fn answered(bytes: impl Into<Vec<u8>>) -> Result<Answer, CallError> {
    let server = Server::answering_once(bytes);
    get(&caller(), server.url("/")).await
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what a call returns")]
fn kept(status: u16, body: &str) -> Result<Answer, CallError> {
    Ok(Answer { status, retry_after: None, body: body.into() })
}

#[tokio::test]
async fn a_get_says_who_is_calling_and_asks_for_no_compression() {
    let server = Server::answering(OK);
    assert_eq!(get(&caller(), server.url("/p?click=1&x=a%20b#part")).await, kept(200, "OK"));
    let expected = format!(
        "GET /p?click=1&x=a%20b HTTP/1.1\r\nuser-agent: Crumb/{}\r\naccept: */*\r\nhost: 127.0.0.1:{}\r\n\r\n",
        env!("CARGO_PKG_VERSION"),
        server.port
    );
    assert_eq!(server.requests(), [expected]);
}

#[tokio::test]
async fn a_post_carries_its_body_and_headers() {
    let server = Server::answering(OK);
    let call = Call {
        method: Method::Post,
        url: server.url("/"),
        headers: vec![("X-Delivery-Id", "7".to_owned()), ("Accept", "text/plain".to_owned())],
        body: Some(Body { content_type: "application/json", bytes: b"{\"a\":1}".to_vec() }),
    };
    let called = caller().call(call.clone()).await;
    assert_eq!(called.outcome, kept(200, "OK"));
    let empty = caller().call(Call { body: None, headers: Vec::new(), ..call }).await;
    assert_eq!(empty.outcome, kept(200, "OK"));
    let [full, empty] = server.requests().try_into().expect("two requests");
    assert!(full.starts_with("POST / HTTP/1.1\r\n"), "{full}");
    for line in
        ["content-type: application/json", "x-delivery-id: 7", "accept: text/plain", "content-length: 7"]
    {
        assert!(full.contains(&format!("\r\n{line}\r\n")), "{full}");
    }
    assert!(full.ends_with("\r\n\r\n{\"a\":1}"), "{full}");
    assert!(empty.contains("\r\ncontent-length: 0\r\n"), "{empty}");
}

#[tokio::test]
async fn a_header_that_could_change_the_request_is_not_sent() {
    let server = Server::answering(OK);
    for (name, value) in [
        ("X-Id", "1\r\nX-Other: 2"),
        ("X-Id", "\0"),
        ("X Id", "1"),
        ("", "1"),
        ("Host", "example.org"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
    ] {
        let headers = vec![(name, value.to_owned())];
        let call = Call { method: Method::Get, url: server.url("/"), headers, body: None };
        let outcome = caller().call(call).await.outcome;
        assert_eq!(outcome, Err(CallError::BadHeader(name)));
        assert_eq!(outcome.map_err(|it| it.code()), Err("invalid_header"));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_answer_is_taken_in_every_form_that_http_1_has() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    #[rustfmt::skip]
    let cases = [
        (OK.to_owned(), kept(200, "OK")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(), kept(200, "")),
        ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nOK".into(), kept(200, "OK")),
        ("HTTP/1.1 204 No Content\r\n\r\n".into(), kept(204, "")),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n".into(), kept(304, "")),
        ("HTTP/1.0 200 OK\r\n\r\nuntil it closes".into(), kept(200, "until it closes")),
        ("HTTP/1.1 200 OK\r\n\r\nuntil it closes".into(), kept(200, "until it closes")),
        ("HTTP/1.1 200 OK\r\n\r\n".into(), kept(200, "")),
        ("HTTP/1.1 599 Whatever\r\nContent-Length: 0\r\n\r\n".into(), kept(599, "")),
        ("HTTP/1.1 999 Whatever\r\nContent-Length: 0\r\n\r\n".into(), kept(999, "")),
        (format!("{chunked}2\r\nOK\r\n0\r\n\r\n"), kept(200, "OK")),
        (format!("{chunked}1;x=y\r\nO\r\n01\r\nK\r\n0\r\nX-Trailer: 1\r\n\r\n"), kept(200, "OK")),
        // Compressed as it came, whatever it says it is.
        ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f!".into(), kept(200, "\x1f!")),
        // Interim answers are passed over; what would be an upgrade is not taken up.
        (format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n{OK}"), kept(200, "OK")),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nother".into(), kept(101, "")),
    ];
    for (bytes, expected) in cases {
        assert_eq!(answered(bytes.clone()).await, expected, "{bytes}");
    }
}

#[tokio::test]
async fn what_is_no_answer_or_not_all_of_one_is_told() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        String::new(),
        "HTTP/1.1 200 OK\r\nContent-Le".into(),
        "220 mail.example.org ESMTP\r\n".into(),
        "SSH-2.0-OpenSSH_9.9\r\n".into(),
        "\x16\x03\x01\x02\x00".into(),
        "HTTP/2.0 200 OK\r\n\r\n".into(),
        "HTTP/1.1 20 OK\r\n\r\n".into(),
        "HTTP/1.1 099 Low\r\n\r\n".into(),
        "HTTP/1.1 2000 OK\r\n\r\n".into(),
        "HTTP/1.1 -200 OK\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nOK".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nOK".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nOK".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nOK!".into(),
        format!("{chunked}2\r\nOK\r\n"),
        format!("{chunked}5\r\nOK"),
        format!("{chunked}x\r\nOK\r\n0\r\n\r\n"),
        format!("{chunked}-2\r\nOK\r\n0\r\n\r\n"),
        format!("{chunked}FFFFFFFFFFFFFFFFF\r\nOK\r\n0\r\n\r\n"),
        format!("{chunked}2\r\nOKOK0\r\n\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(INTERIM_ANSWERS_MAX + 1) + OK,
    ];
    for bytes in cases {
        let outcome = answered(bytes.clone()).await;
        assert!(matches!(outcome, Err(CallError::Broken(_))), "{bytes}: {outcome:?}");
        assert_eq!(outcome.map_err(|it| it.code()), Err("broken_answer"));
    }
}

#[tokio::test]
async fn as_many_interim_answers_as_may_come_are_passed_over() {
    let bytes = "HTTP/1.1 100 Continue\r\n\r\n".repeat(INTERIM_ANSWERS_MAX) + OK;
    assert_eq!(answered(bytes).await, kept(200, "OK"));
}

#[tokio::test]
async fn a_head_is_read_up_to_its_limits_and_no_further() {
    let of_size = |size: usize| {
        let (before, after) = ("HTTP/1.1 200 OK\r\nX: ", "\r\nContent-Length: 2\r\n\r\n");
        let padding = "x".repeat(size - before.len() - after.len());
        format!("{before}{padding}{after}OK")
    };
    assert_eq!(answered(of_size(HEAD_BYTES_MAX)).await, kept(200, "OK"));
    assert_eq!(answered(of_size(HEAD_BYTES_MAX + 1)).await, Err(CallError::HeadTooLarge));

    let of_headers = |count: usize| {
        format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nOK", "X: y\r\n".repeat(count - 1))
    };
    assert_eq!(answered(of_headers(HEADERS_MAX)).await, kept(200, "OK"));
    assert_eq!(answered(of_headers(HEADERS_MAX + 1)).await, Err(CallError::HeadTooLarge));
}

#[tokio::test]
async fn what_has_no_end_is_given_up_while_it_is_read() {
    for beginning in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\nX-Trailer: ",
        "HTTP/1.1 200 OK\r\nX: ",
        "HTTP/1.1 200 ",
        "",
    ] {
        let server = Server::start(move |peer| {
            peer.request();
            peer.say(beginning.as_bytes());
            while peer.say(&[b'x'; 1024]) {}
        });
        let outcome = get(&caller(), server.url("/")).await;
        assert!(matches!(outcome, Err(CallError::HeadTooLarge | CallError::Broken(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_beginning_of_a_body_is_kept_and_all_of_it_must_come() {
    let of_length = |declared: usize, sent: usize| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {declared}\r\n\r\n{}", "x".repeat(sent))
    };
    let full = "x".repeat(ANSWER_BYTES_KEPT);
    assert_eq!(
        answered(of_length(ANSWER_BYTES_KEPT - 1, ANSWER_BYTES_KEPT - 1)).await,
        kept(200, &full[1..])
    );
    assert_eq!(answered(of_length(ANSWER_BYTES_KEPT, ANSWER_BYTES_KEPT)).await, kept(200, &full));
    assert_eq!(answered(of_length(5000, 5000)).await, kept(200, &full));
    // What comes after may be missing, or broken, or have no end.
    assert_eq!(answered(of_length(5000, ANSWER_BYTES_KEPT)).await, kept(200, &full));
    assert!(matches!(answered(of_length(5000, ANSWER_BYTES_KEPT - 1)).await, Err(CallError::Broken(_))));
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n{full}\r\nbroken");
    assert_eq!(answered(chunked).await, kept(200, &full));
}

#[tokio::test]
async fn a_body_without_end_is_dropped_after_a_while() {
    let (closed, closing) = mpsc::channel();
    let server = Server::start(move |peer| {
        peer.request();
        peer.say(b"HTTP/1.1 200 OK\r\n\r\n");
        while peer.say(&[b'x'; 1024]) {}
        closed.send(()).expect("the test waits");
    });
    assert_eq!(get(&caller(), server.url("/")).await, kept(200, &"x".repeat(ANSWER_BYTES_KEPT)));
    closing.recv_timeout(Duration::from_secs(30)).expect("the connection is closed");
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_body_that_is_read_to_its_end() {
    for (length, connections) in [(ANSWER_BYTES_READ_MAX, 1), (ANSWER_BYTES_READ_MAX + 1, 2)] {
        let body = "x".repeat(length);
        let declared = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        let chunked =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n");
        for bytes in [declared, chunked] {
            let server = Server::answering(bytes);
            let caller = caller();
            for _ in 0..2 {
                assert_eq!(get(&caller, server.url("/")).await, kept(200, &body[..ANSWER_BYTES_KEPT]));
            }
            assert_eq!(server.connections(), connections, "{length}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let server = Server::answering(OK);
    for status in [301, 302, 303, 307, 308] {
        let location = server.url("/elsewhere");
        let redirect =
            format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answered(redirect).await, kept(status, ""));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn no_cookie_is_kept() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n");
    let caller = caller();
    for _ in 0..2 {
        assert_eq!(get(&caller, server.url("/")).await, kept(200, ""));
    }
    assert!(!server.requests().concat().to_lowercase().contains("cookie"));
}

#[tokio::test]
async fn an_answer_may_say_when_to_come_back() {
    let answer = answered("HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n").await;
    let expected = Answer { status: 503, retry_after: Some(RetryAfter::Seconds(120)), body: Vec::new() };
    assert_eq!(answer, Ok(expected));
}

/// A server that says this to the first request and then nothing, and says when its connection is closed.
fn falling_silent(bytes: String) -> (Server, mpsc::Receiver<()>) {
    let (closed, closing) = mpsc::channel();
    let server = Server::start(move |peer| {
        peer.request();
        peer.say(bytes.as_bytes());
        peer.wait_for_close();
        closed.send(()).expect("the test waits");
    });
    (server, closing)
}

#[tokio::test]
async fn what_does_not_come_in_time_is_not_waited_for() {
    for bytes in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO",
    ] {
        let (server, closing) = falling_silent(bytes.to_owned());
        let options = impatient();
        let timeout = options.timeout;
        let called = Caller::new(options).expect("a caller").call(get_call(server.url("/"))).await;
        assert_eq!(called.outcome, Err(CallError::TimedOut), "{bytes}");
        assert!(called.duration >= timeout, "{:?}", called.duration);
        closing.recv_timeout(Duration::from_secs(30)).expect("nothing of it goes on");
    }
    assert_eq!(CallError::TimedOut.code(), "timed_out");
}

#[tokio::test]
async fn what_is_not_kept_does_not_hold_up_a_call() {
    let full = "x".repeat(ANSWER_BYTES_KEPT);
    let (server, closing) = falling_silent(format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{full}"));
    let options = options();
    let timeout = options.timeout;
    let caller = Caller::new(options).expect("a caller");
    let began = Instant::now();
    assert_eq!(get(&caller, server.url("/")).await, kept(200, &full));
    assert!(began.elapsed() < timeout / 2, "{:?}", began.elapsed());
    closing.recv_timeout(Duration::from_secs(30)).expect("nothing of it goes on");
}

#[tokio::test]
async fn bytes_that_drip_do_not_prolong_a_call() {
    let server = Server::start(|peer| {
        peer.request();
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        // As slow as the other side's patience allows: one byte each time it would have given up on silence.
        while peer.say(b"x") && peer.pause(Duration::from_millis(100)) {}
    });
    let caller = Caller::new(impatient()).expect("a caller");
    assert_eq!(get(&caller, server.url("/")).await, Err(CallError::TimedOut));
}

#[tokio::test]
async fn a_receiver_that_reads_nothing_is_given_up() {
    let server = Server::start(|_| {
        loop {
            std::thread::park();
        }
    });
    let call = Call {
        method: Method::Post,
        url: server.url("/"),
        headers: Vec::new(),
        body: Some(Body { content_type: "text/plain", bytes: vec![b'x'; 64 * 1024 * 1024] }),
    };
    let called = Caller::new(impatient()).expect("a caller").call(call).await;
    assert_eq!(called.outcome, Err(CallError::TimedOut));
}
