//! Requests that are too large, malformed, cut off or no HTTP at all.

use crate::fixture::{fixture, head};

#[test]
fn what_is_over_a_bound_is_refused() {
    let fixture = fixture();
    let line = "GET /api/2/click.json";
    let answer = fixture.api.get(&format!("click.json?x={}", "y".repeat(8192)));
    answer.refusal(414, "too_large");
    let answer = fixture.raw(&head(&fixture, line, &format!("X-Long: {}\r\n", "y".repeat(20_000))));
    answer.expect("an answer").refusal(431, "too_large");
    let body = format!("adv1={}", "y".repeat(64 * 1024));
    fixture.api.post_form("conversion.json", &body).refusal(413, "too_large");
    let chunks = [&b"40000\r\n"[..], &vec![b'y'; 0x11000]].concat();
    let chunked = head(&fixture, "POST /api/2/conversion.json", "Transfer-Encoding: chunked\r\n");
    fixture.raw(&[chunked, chunks].concat()).expect("an answer").refusal(413, "too_large");

    // Beyond what is read at all, the protocol's own answer must do, or none.
    for (line, more) in [
        (line.to_owned(), format!("X-Long: {}\r\n", "y".repeat(300_000))),
        (line.to_owned(), "X-Many: 1\r\n".repeat(5000)),
        (format!("GET /api/2/click.json?x={}", "y".repeat(300_000)), String::new()),
        (format!("GET /?a=1&c=1&s1={}", "y".repeat(300_000)), String::new()),
        (line.to_owned(), format!("{}: 1\r\n", "X".repeat(70_000))),
        (format!("{} /", "G".repeat(100_000)), String::new()),
        ("POST /api/2/conversion.json".to_owned(), "Content-Length: 99999999999999999999\r\n".to_owned()),
        ("POST /api/2/conversion.json".to_owned(), "Content-Length: -1\r\n".to_owned()),
    ] {
        if let Some(answer) = fixture.raw(&head(&fixture, &line, &more)) {
            assert!((400..500).contains(&answer.status), "{line:.60}: {answer:?}");
        }
    }
    let big = vec![b'y'; 4 * 1024 * 1024];
    let more = format!("Content-Length: {}\r\n", big.len());
    let request = [head(&fixture, "POST /api/2/conversion.json", &more), big].concat();
    if let Some(answer) = fixture.raw(&request) {
        answer.refusal(413, "too_large");
    }
    fixture.is_healthy();
}

#[test]
fn requests_that_are_not_http_or_break_off_are_dropped() {
    let fixture = fixture();
    let link = &fixture.network.link;
    let before = fixture.click_count();
    let post = head(&fixture, "POST /api/2/conversion.json", "Content-Length: 100\r\n");
    let truncated = [post, b"click_id=abc".to_vec()].concat();
    for bytes in [
        &b""[..],
        b"\r\n\r\n\r\n",
        b"\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        format!("GET {link} HTTP/1.1\r\nHo").as_bytes(),
        format!("GET {link} HTT").as_bytes(),
        format!("GET {link} HTTP/9.9\r\nHost: x\r\n\r\n").as_bytes(),
        format!("GET {link}\r\n").as_bytes(),
        format!("G\0T {link} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(),
        format!("GET {link} HTTP/1.1\r\nHost x\r\n\r\n").as_bytes(),
        format!("GET {link} HTTP/1.1\r\nA\0b: x\r\n\r\n").as_bytes(),
        format!("GET {link} HTTP/1.1\r\nA: x\0y\r\n\r\n").as_bytes(),
        format!("GET {link}&s1=a b HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(),
        format!("POST {link} HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello").as_bytes(),
        &truncated,
    ] {
        fixture.broken_off(bytes);
    }
    // Two framings of one body: what hides behind the first must not be taken for a request of its own.
    let hidden = format!("GET {link}&s1=smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    let outer = format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", 5 + hidden.len());
    let smuggler = head(&fixture, "POST /api/2/conversion.json", &outer);
    fixture.broken_off(&[&smuggler, &b"0\r\n\r\n"[..], hidden.as_bytes()].concat());
    assert_eq!(fixture.click_count(), before, "nothing of this is a click");
    assert_eq!(fixture.conversion_count(), 0);
    fixture.is_healthy();
}

#[test]
fn a_malformed_request_is_told_so() {
    let fixture = fixture();
    for request in [
        &b"GET / HTTP/1.1\r\nTwo words: x\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: \x01\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ] {
        let answer = fixture.raw(request).expect("an answer");
        assert_eq!(answer.status, 400);
    }
    let answer = fixture.raw(&head(&fixture, "GET /", &"X-Many: 1\r\n".repeat(200))).expect("an answer");
    assert_eq!(answer.status, 431);
}

#[test]
fn an_answer_does_not_wait_for_the_next_request() {
    let fixture = fixture();
    let post = head(&fixture, "POST /api/2/conversion.json", "Content-Length: 0\r\n");
    for (request, behind) in [(head(&fixture, "GET /healthz", ""), &b"GET /hea"[..]), (post, b"\r\n")] {
        let mut connection = fixture.server.connect();
        connection.send(&[&request[..], behind].concat()).expect("sent");
        connection.answer(true).expect("an answer");
    }
}
