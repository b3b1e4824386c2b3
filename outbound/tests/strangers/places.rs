//! Where calls go, and where they do not.

use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outbound::{AllowPrivate, BadTarget, CallError, Caller, Options, Resolve, Resolving};
use socket2::{Domain, Socket, Type};

use crate::server::{Server, get, options, resolving};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
const CLOSING: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK";

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[tokio::test]
async fn a_name_with_a_private_address_is_not_called_however_many_public_ones_it_has() {
    let server = Server::answering(OK);
    // To this caller, 127.0.0.1 is as good as public.
    for (addresses, private) in [
        (&["10.0.0.1"][..], "10.0.0.1"),
        (&["169.254.169.254"], "169.254.169.254"),
        (&["127.0.0.1", "192.168.0.1"], "192.168.0.1"),
        (&["192.168.0.1", "127.0.0.1"], "192.168.0.1"),
        (&["127.0.0.1", "::1"], "::1"),
        (&["127.0.0.1", "::ffff:10.0.0.1"], "::ffff:10.0.0.1"),
        (&["127.0.0.1", "64:ff9b::a00:1"], "64:ff9b::a00:1"),
        (&["127.0.0.1", "0.0.0.0"], "0.0.0.0"),
    ] {
        let caller = resolving(options(), addresses);
        for host in ["metadata.google.internal", "name.example", "name.example."] {
            let outcome = get(&caller, format!("http://{host}:{}/secret?secret", server.port)).await;
            let error = outcome.expect_err("refused");
            assert_eq!(error, CallError::Forbidden { host: host.into(), address: address(private) });
            assert_eq!(error.code(), "address_not_allowed");
            assert!(!error.to_string().contains(private) && !error.to_string().contains("secret"), "{error}");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_is_checked_each_time_it_is_connected_to() {
    for (answer, again) in [(CLOSING, false), (OK, true)] {
        let server = Server::answering(answer);
        let count = AtomicUsize::new(0);
        let rebinding: Arc<dyn Resolve> = Arc::new(move |_: &str| {
            Ok(vec![address(if count.fetch_add(1, Ordering::SeqCst) == 0 {
                "127.0.0.1"
            } else {
                "10.0.0.1"
            })])
        });
        let caller = Caller::with_resolver(options(), rebinding).expect("a caller");
        let url = format!("http://rebinding.example:{}/", server.port);
        assert!(get(&caller, url.clone()).await.is_ok());
        let second = get(&caller, url).await;
        // What is connected stays with the address that was checked; what connects anew is checked anew.
        assert_eq!(second.is_ok(), again, "{second:?}");
        assert!(again || matches!(second, Err(CallError::Forbidden { .. })), "{second:?}");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn this_machine_is_not_called_unless_settings_allow_it() {
    let server = Server::answering(OK);
    let caller = Caller::new(Options::default()).expect("a caller");
    for host in ["127.0.0.1", "2130706433", "localhost", "[::ffff:127.0.0.1]"] {
        let outcome = get(&caller, format!("http://{host}:{}/", server.port)).await;
        assert!(matches!(outcome, Err(CallError::BadUrl(BadTarget::Address(_)))), "{host}: {outcome:?}");
        assert_eq!(outcome.map_err(|it| it.code()), Err("address_not_allowed"));
    }
    assert_eq!(server.connections(), 0);
    let all = Options { allow_private: AllowPrivate::All, ..options() };
    for host in ["127.0.0.1", "2130706433", "localhost", "[::ffff:127.0.0.1]"] {
        let caller = Caller::new(all.clone()).expect("a caller");
        assert!(get(&caller, format!("http://{host}:{}/", server.port)).await.is_ok(), "{host}");
    }
}

#[tokio::test]
async fn a_bad_url_is_not_called() {
    let caller = Caller::new(Options::default()).expect("a caller");
    for url in ["", "ftp://example.org/", "http://user@example.org/", "http://example.org/\r\nX: y"] {
        let error = get(&caller, url).await.expect_err("refused");
        assert!(matches!(error, CallError::BadUrl(_)), "{url}: {error}");
        assert_eq!(error.code(), "invalid_url");
    }
}

#[tokio::test]
async fn a_name_without_address_is_told() {
    let nothing = resolving(options(), &[]);
    let failing: Arc<dyn Resolve> = Arc::new(|_: &str| Err(io::Error::other("no answer")));
    let failing = Caller::with_resolver(options(), failing).expect("a caller");
    for caller in [nothing, failing] {
        let error = get(&caller, "http://name.example/").await.expect_err("no address");
        assert_eq!(error, CallError::NotResolved { host: "name.example".into() });
        assert_eq!(error.code(), "dns");
    }
}

/// Never answers.
struct Silent;

impl Resolve for Silent {
    fn resolve(&self, _: &str) -> Resolving {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_resolver_that_does_not_answer_is_given_up() {
    let short = Options { connect_timeout: Duration::from_millis(50), ..options() };
    let caller = Caller::with_resolver(short, Arc::new(Silent)).expect("a caller");
    let error = get(&caller, "http://name.example/").await.expect_err("no answer");
    assert_eq!(error, CallError::ConnectTimedOut);
    assert_eq!(error.code(), "timed_out");
}

/// An address of this machine where nobody ever accepts, at this port: its queue is full.
fn deaf(address: &str, port: u16) -> (Socket, Vec<TcpStream>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let address = std::net::SocketAddr::new(address.parse().expect("an address"), port);
    socket.bind(&address.into()).expect("the port is free");
    socket.listen(0).expect("it listens");
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queue.push(stream);
        assert!(queue.len() < 100, "the queue has no end");
    }
    (socket, queue)
}

#[tokio::test]
async fn addresses_are_tried_in_their_order_until_one_answers() {
    let server = Server::answering(OK);
    let url = format!("http://name.example:{}/", server.port);
    // Nobody listens at the others.
    for addresses in [
        &["127.0.0.1", "127.0.0.3"][..],
        &["127.0.0.3", "127.0.0.1"],
        &["127.0.0.3", "127.0.0.4", "127.0.0.1"],
    ] {
        assert!(get(&resolving(options(), addresses), &url).await.is_ok(), "{addresses:?}");
    }
    let error =
        get(&resolving(options(), &["127.0.0.3", "127.0.0.4"]), &url).await.expect_err("nobody listens");
    assert_eq!(error, CallError::NotConnected(io::ErrorKind::ConnectionRefused));
    assert_eq!(error.code(), "connection_refused");
}

#[tokio::test]
async fn an_address_that_never_answers_leaves_the_others_their_time() {
    let server = Server::answering(OK);
    let _deaf = deaf("127.0.0.2", server.port);
    let url = format!("http://name.example:{}/", server.port);
    let short = Options { connect_timeout: Duration::from_millis(500), ..options() };
    assert!(get(&resolving(short.clone(), &["127.0.0.2", "127.0.0.1"]), &url).await.is_ok());
    let alone = get(&resolving(short, &["127.0.0.2"]), &url).await;
    assert_eq!(alone, Err(CallError::ConnectTimedOut));
}
