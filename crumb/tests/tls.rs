//! HTTPS: the same surfaces, and certificates that change under a running server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use crumb::config::{Config, Overrides};
use rcgen::{CertifiedKey, KeyPair};
use tempfile::TempDir;
use testkit::TestServer;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use web::tls::{Tls, TlsError};

type Pair = CertifiedKey<KeyPair>;

fn pair() -> Pair {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate")
}

/// Puts texts in the place of certificate and key, each at once.
fn put(folder: &Path, certificate: &str, key: &str) {
    for (name, text) in [("certificate.pem", certificate), ("key.pem", key)] {
        std::fs::write(folder.join("new"), text).expect("written");
        std::fs::rename(folder.join("new"), folder.join(name)).expect("renamed");
    }
}

fn server(pair: &Pair) -> (TestServer, TempDir) {
    server_with(pair, |_| {})
}

fn server_with(pair: &Pair, change: impl FnOnce(&mut Config)) -> (TestServer, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), &pair.cert.pem(), &pair.signing_key.serialize_pem());
    let server = TestServer::with(|config| {
        "127.0.0.1:0".clone_into(&mut config.tls.listen);
        config.tls.certificate = folder.path().join("certificate.pem");
        config.tls.key = folder.path().join("key.pem");
        change(config);
    });
    (server, folder)
}

/// A visitor who trusts one certificate and no other.
struct Visitor(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Visitor {
    /// None when the server shows another certificate.
    fn connect(server: &TestServer, trusted: &Pair) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(trusted.cert.der().to_vec())).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("known versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().expect("a name");
        let client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let stream = TcpStream::connect(server.tls_address().expect("set")).expect("it listens");
        let mut stream = StreamOwned::new(client, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).ok()?;
        }
        Some(Self(BufReader::new(stream)))
    }

    /// Sends a request and returns the answer's head and body.
    fn request(&mut self, line: &str, headers: &str) -> (String, String) {
        let request = format!("{line} HTTP/1.1\r\nHost: trk.example.com\r\n{headers}\r\n");
        self.0.get_mut().write_all(request.as_bytes()).expect("sent");
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let begin = head.len();
            self.0.read_line(&mut head).expect("a line");
            let line = head[begin..].trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        (head, String::from_utf8(body).expect("text"))
    }
}

#[test]
fn every_surface_answers_over_https() {
    let pair = pair();
    let (server, _folder) = server(&pair);
    let mut visitor = Visitor::connect(&server, &pair).expect("trusted");
    let (head, _) = visitor.request(&format!("GET {}", server.sample.link()), "");
    assert!(head.starts_with("HTTP/1.1 302 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("location: https://shop.example/?click="), "{head}");
    assert_eq!(visitor.request("GET /healthz", "").1, r#"{"status":"ok"}"#);
    let key = format!("X-Api-Key: {}\r\n", server.client.key());
    let (_, campaigns) = visitor.request("GET /api/2/campaigns.json", &key);
    assert!(campaigns.contains(r#""tracking_link":"https://trk.example.com/?a="#), "{campaigns}");
    let clicks = server.client.get("click", &[]).success();
    assert_eq!(clicks["response"]["total_rows"], 1, "and HTTP is served beside it");
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_a_broken_one_to_none() {
    let (before, after) = (pair(), pair());
    let (server, folder) = server(&before);
    let mut kept = Visitor::connect(&server, &before).expect("trusted");
    let healthy = |visitor: &mut Visitor| {
        assert!(visitor.request("GET /healthz", "").0.starts_with("HTTP/1.1 200 "));
    };
    healthy(&mut kept);
    // A key that belongs to another certificate, then no PEM at all.
    put(folder.path(), &before.cert.pem(), &after.signing_key.serialize_pem());
    healthy(&mut Visitor::connect(&server, &before).expect("still trusted"));
    put(folder.path(), "nothing", "nothing");
    healthy(&mut Visitor::connect(&server, &before).expect("still trusted"));

    put(folder.path(), &after.cert.pem(), &after.signing_key.serialize_pem());
    let mut fresh = loop {
        match Visitor::connect(&server, &after) {
            Some(visitor) => break visitor,
            None => std::thread::yield_now(),
        }
    };
    healthy(&mut fresh);
    assert!(Visitor::connect(&server, &before).is_none(), "the old one is no longer shown");
    healthy(&mut kept);
}

#[test]
fn a_broken_pair_is_told_once_and_a_good_one_is_taken_up() {
    let (one, other) = (pair(), pair());
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), &one.cert.pem(), &one.signing_key.serialize_pem());
    let tls = Tls::open(folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let tls = tls.expect("a good pair");
    assert!(tls.reload().is_ok(), "nothing has changed");
    put(folder.path(), "nothing", &one.signing_key.serialize_pem());
    assert!(matches!(tls.reload(), Err(TlsError::Certificate { .. })));
    assert!(tls.reload().is_ok(), "told already");
    std::fs::remove_file(folder.path().join("key.pem")).expect("removed");
    put(folder.path(), &other.cert.pem(), &other.signing_key.serialize_pem());
    assert!(tls.reload().is_ok());
}

#[test]
fn plain_http_on_the_https_port_is_no_answer_and_harms_nobody() {
    let pair = pair();
    let (server, _folder) = server(&pair);
    let mut stream = TcpStream::connect(server.tls_address().expect("set")).expect("it listens");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    // An alert, then the end, or a reset: either way no HTTP.
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let mut visitor = Visitor::connect(&server, &pair).expect("trusted");
    assert!(visitor.request("GET /healthz", "").0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn whoever_does_not_shake_hands_is_closed() {
    let pair = pair();
    let (server, _folder) = server_with(&pair, |config| config.server.client_timeout_seconds = 1);
    for begun in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut stream = TcpStream::connect(server.tls_address().expect("set")).expect("it listens");
        stream.write_all(begun).expect("sent");
        // Ends when the server has had enough, whichever way.
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

#[test]
fn files_that_cannot_be_used_stop_the_start_and_are_named() {
    let (one, other) = (pair(), pair());
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let overrides = Overrides { data: Some(folder.path().to_owned()), ..Default::default() };
    let mut config = Config::load(&overrides).expect("the defaults are valid");
    config.server.listen = "127.0.0.1:0".parse().expect("an address");
    "127.0.0.1:0".clone_into(&mut config.tls.listen);
    (config.tls.certificate, config.tls.key) = (certificate.clone(), key.clone());
    let refused = |named: &str| {
        let clock = Arc::new(crumb::clock::SystemClock);
        let started = crumb::wiring::start(&config, clock, Arc::new(crumb::chance::SystemChance), false);
        let error = format!("{:#}", started.err().expect("refused"));
        assert!(error.starts_with(named) && !error.contains('\n'), "{error}");
    };
    refused("tls.certificate: ");
    put(folder.path(), "nothing", &one.signing_key.serialize_pem());
    refused("tls.certificate: ");
    put(folder.path(), &one.cert.pem(), "nothing");
    refused("tls.key: ");
    put(folder.path(), &one.cert.pem(), &other.signing_key.serialize_pem());
    refused("tls.key: ");
}
