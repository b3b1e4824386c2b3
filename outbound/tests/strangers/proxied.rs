//! Calls through a proxy.

use std::io::{copy, sink};
use std::net::{Shutdown, TcpStream};

use outbound::{AllowPrivate, CallError, Caller, Options};

use crate::secured::{Certificate, serving};
use crate::server::{Server, get, options, resolving};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

/// A proxy that connects to whatever it is asked for.
fn proxy() -> Server {
    Server::start(|peer| {
        let Some(request) = peer.request() else { return };
        let target = request.strip_prefix("CONNECT ").and_then(|it| it.split(' ').next()).expect("a target");
        let upstream = TcpStream::connect(target).expect("a server");
        peer.say(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n");
        let near = peer.stream().try_clone().expect("a connection");
        let far = upstream.try_clone().expect("a connection");
        std::thread::spawn(move || pass(&near, &upstream));
        pass(&far, peer.stream());
    })
}

fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = copy(&mut from, &mut sink());
}

fn through(proxy: &Server) -> Options {
    let url = format!("http://127.0.0.1:{}", proxy.port);
    Options { proxy: Some(url.parse().expect("a proxy")), ..options() }
}

#[tokio::test]
async fn the_proxy_is_asked_for_the_address_and_the_server_for_the_name() {
    let (proxy, server) = (proxy(), Server::answering(OK));
    let caller = resolving(through(&proxy), &["127.0.0.1"]);
    let url = format!("http://name.example:{}/path", server.port);
    for _ in 0..2 {
        assert_eq!(get(&caller, &url).await.map(|it| it.body), Ok(b"OK".to_vec()));
    }
    let port = server.port;
    let expected = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n");
    assert_eq!(proxy.requests(), [expected], "one tunnel serves both");
    assert_eq!(server.requests().len(), 2);
    assert!(server.requests()[0].starts_with("GET /path HTTP/1.1\r\n"));
    assert!(server.requests()[0].contains(&format!("\r\nhost: name.example:{port}\r\n")));
}

#[tokio::test]
async fn a_secure_call_is_secure_through_the_proxy_too() {
    let certificate = Certificate::of("name.example");
    let (proxy, server) = (proxy(), serving(&certificate, OK));
    let options = Options { extra_roots: Some(certificate.authority_file()), ..through(&proxy) };
    let caller = resolving(options, &["127.0.0.1"]);
    let url = format!("https://name.example:{}/", server.port);
    assert_eq!(get(&caller, url).await.map(|it| it.body), Ok(b"OK".to_vec()));
    let other = format!("https://other.example:{}/", server.port);
    assert_eq!(get(&caller, other).await, Err(CallError::Tls("the certificate is for another name")));
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn the_proxy_learns_its_password_and_the_server_does_not() {
    let (proxy, server) = (proxy(), Server::answering(OK));
    let url = format!("http://user:password@localhost:{}", proxy.port);
    let options = Options { proxy: Some(url.parse().expect("a proxy")), ..options() };
    assert!(!format!("{options:?}").contains("password"));
    let caller = Caller::new(options).expect("a caller");
    assert!(get(&caller, server.url("/")).await.is_ok());
    assert!(proxy.requests()[0].contains("\r\nproxy-authorization: Basic dXNlcjpwYXNzd29yZA==\r\n"));
    assert!(!server.requests()[0].contains("authorization"));
}

#[tokio::test]
async fn what_may_not_be_called_may_not_be_called_through_a_proxy_either() {
    let proxy = proxy();
    let caller = resolving(Options { allow_private: AllowPrivate::No, ..through(&proxy) }, &["10.0.0.1"]);
    let named = get(&caller, "http://name.example/").await;
    assert!(matches!(named, Err(CallError::Forbidden { .. })), "{named:?}");
    assert!(get(&caller, "http://10.0.0.1/").await.is_err());
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_proxy_that_does_not_connect_is_told_from_a_receiver_that_fails() {
    for (answer, expected) in [
        ("HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n", CallError::ProxyRefused(407)),
        ("HTTP/1.1 502 No way\r\nContent-Length: 0\r\n\r\n", CallError::ProxyRefused(502)),
        ("220 mail.example.org ESMTP\r\n", CallError::ProxyNotReached),
        ("", CallError::ProxyNotReached),
    ] {
        let proxy = Server::answering_once(answer);
        let caller = resolving(through(&proxy), &["127.0.0.1"]);
        let error = get(&caller, "http://name.example/").await.expect_err("refused");
        assert_eq!(error, expected);
        assert_eq!(error.code(), "proxy");
    }
    let nobody = Options { proxy: Some("http://127.0.0.1:1".parse().expect("a proxy")), ..options() };
    assert_eq!(
        get(&resolving(nobody, &["127.0.0.1"]), "http://name.example/").await,
        Err(CallError::ProxyNotReached)
    );
}
