//! Which connections are used, again or not, and how long they live.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use outbound::{CallError, Caller, Options};

use crate::server::{Server, caller, get, get_call, options, resolving};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

async fn body(caller: &Caller, url: String) -> String {
    String::from_utf8(get(caller, url).await.expect("an answer").body).expect("text")
}

/// Lets the runtime see what the network has brought by now.
async fn look_around() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_is_used_again_for_the_same_receiver_only() {
    let (server, other) = (Server::answering(OK), Server::answering(OK));
    let caller = resolving(options(), &["127.0.0.1"]);
    for _ in 0..3 {
        assert_eq!(body(&caller, server.url("/")).await, "OK");
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(body(&caller.clone(), server.url("/")).await, "OK");
    assert_eq!(server.connections(), 1, "clones share");
    assert_eq!(body(&caller, other.url("/")).await, "OK");
    assert_eq!(other.connections(), 1, "another port");
    assert_eq!(body(&caller, format!("http://one.example:{}/", server.port)).await, "OK");
    assert_eq!(body(&caller, format!("http://two.example:{}/", server.port)).await, "OK");
    assert_eq!(server.connections(), 3, "other names, though the same address");
}

#[tokio::test]
async fn what_says_that_it_closes_is_not_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK",
    ] {
        let server = Server::answering(answer);
        let caller = caller();
        for _ in 0..2 {
            assert_eq!(body(&caller, server.url("/")).await, "OK");
        }
        assert_eq!(server.connections(), 2, "{answer}");
    }
}

/// A server whose first connection does something once told to, after its first answer; it says when that is done.
fn odd_once(
    then: impl Fn(&mut crate::server::Peer<std::net::TcpStream>) + Send + Sync + 'static,
) -> (Server, impl AsyncFn()) {
    let ((tell, told), (do_it, done)) = (mpsc::channel::<()>(), mpsc::channel::<()>());
    let told = Mutex::new(told);
    let first = AtomicUsize::new(0);
    let server = Server::start(move |peer| {
        if first.fetch_add(1, Ordering::SeqCst) == 0 {
            peer.request();
            peer.say(OK.as_bytes());
            told.lock().expect("not poisoned").recv().expect("the test tells");
            then(peer);
            do_it.send(()).expect("the test waits");
            peer.wait_for_close();
        } else {
            while peer.request().is_some() && peer.say(OK.as_bytes()) {}
        }
    });
    let odd = async move || {
        tell.send(()).expect("the server waits");
        done.recv_timeout(Duration::from_secs(30)).expect("it is done");
        look_around().await;
    };
    (server, odd)
}

#[tokio::test]
async fn a_connection_that_closed_while_it_waited_is_replaced() {
    let (server, close) =
        odd_once(|peer| peer.stream().shutdown(std::net::Shutdown::Write).expect("it closes"));
    let caller = caller();
    assert_eq!(body(&caller, server.url("/1")).await, "OK");
    close().await;
    assert_eq!(body(&caller, server.url("/2")).await, "OK");
    assert_eq!((server.connections(), server.requests().len()), (2, 2));
}

#[tokio::test]
async fn an_answer_that_comes_before_its_request_is_not_taken_for_it() {
    let early = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly";
    let (server, speak) = odd_once(move |peer| assert!(peer.say(early.as_bytes())));
    let waited = caller();
    assert_eq!(body(&waited, server.url("/1")).await, "OK");
    speak().await;
    assert_eq!(body(&waited, server.url("/2")).await, "OK");

    let count = AtomicUsize::new(0);
    let at_once = Server::start(move |peer| {
        let extra = if count.fetch_add(1, Ordering::SeqCst) == 0 { early } else { "" };
        while peer.request().is_some() && peer.say(format!("{OK}{extra}").as_bytes()) {}
    });
    let caller = caller();
    assert_eq!(body(&caller, at_once.url("/1")).await, "OK");
    assert_eq!(body(&caller, at_once.url("/2")).await, "OK");
}

#[tokio::test]
async fn a_request_that_may_have_been_received_is_not_sent_again() {
    let server = Server::start(|peer| {
        peer.request();
        peer.say(OK.as_bytes());
        peer.request();
    });
    let caller = caller();
    assert_eq!(body(&caller, server.url("/1")).await, "OK");
    let outcome = get(&caller, server.url("/2")).await;
    assert!(matches!(outcome, Err(CallError::Broken(_))), "{outcome:?}");
    assert_eq!((server.connections(), server.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_connection_that_waited_too_long_is_not_used_again() {
    let server = Server::answering(OK);
    let caller = Caller::new(Options { idle_timeout: Duration::ZERO, ..options() }).expect("a caller");
    for _ in 0..2 {
        assert_eq!(body(&caller, server.url("/")).await, "OK");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn no_more_connections_wait_than_may_and_the_oldest_is_closed_first() {
    let (closed, closing) = mpsc::channel();
    let first = Server::start(move |peer| {
        while peer.request().is_some() && peer.say(OK.as_bytes()) {}
        closed.send(()).expect("the test waits");
    });
    let second = Server::answering(OK);
    let caller = Caller::new(Options { idle_connections_max: 1, ..options() }).expect("a caller");
    assert_eq!(body(&caller, first.url("/")).await, "OK");
    assert_eq!(body(&caller, first.url("/")).await, "OK");
    assert_eq!(first.connections(), 1);
    assert_eq!(body(&caller, second.url("/")).await, "OK");
    closing.recv_timeout(Duration::from_secs(30)).expect("the first is closed");
    assert_eq!(body(&caller, second.url("/")).await, "OK");
    assert_eq!(second.connections(), 1);
    assert_eq!(body(&caller, first.url("/")).await, "OK");
    assert_eq!(first.connections(), 2);

    let none = Caller::new(Options { idle_connections_max: 0, ..options() }).expect("a caller");
    for _ in 0..2 {
        assert_eq!(body(&none, second.url("/")).await, "OK");
    }
    assert_eq!(second.connections(), 3);
}

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection() {
    let ((asked, asking), (closed, closing)) = (mpsc::channel(), mpsc::channel());
    let server = Server::start(move |peer| {
        peer.request();
        asked.send(()).expect("the test waits");
        peer.wait_for_close();
        closed.send(()).expect("the test waits");
    });
    let caller = caller();
    let mut call = Box::pin(caller.call(get_call(server.url("/"))));
    while asking.try_recv().is_err() {
        let _ = tokio::time::timeout(Duration::from_millis(1), &mut call).await;
    }
    drop(call);
    closing.recv_timeout(Duration::from_secs(30)).expect("the connection is closed");
}

#[test]
fn a_caller_outlives_the_runtime_it_was_used_on() {
    let server = Server::answering(OK);
    let caller = caller();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        assert_eq!(runtime.block_on(body(&caller, server.url("/"))), "OK");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn calls_at_the_same_time_do_not_wait_for_each_other() {
    // Each answers only when both have asked.
    let both = Arc::new(std::sync::Barrier::new(2));
    let server = Server::start(move |peer| {
        while peer.request().is_some() {
            both.wait();
            peer.say(OK.as_bytes());
        }
    });
    let caller = caller();
    for _ in 0..2 {
        let (one, other) = tokio::join!(body(&caller, server.url("/1")), body(&caller, server.url("/2")));
        assert_eq!((one.as_str(), other.as_str()), ("OK", "OK"));
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_call_can_go_from_thread_to_thread() {
    fn can<T: Send>(_: T) {}
    let caller = caller();
    can(caller.call(get_call("http://example.org/")));
    can(caller);
}
