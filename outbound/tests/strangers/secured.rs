//! Calls over TLS.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outbound::{CallError, Caller, Options, SetUpError};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::server::{Server, get, options, resolving};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

/// A certificate with an authority of its own.
pub struct Certificate {
    folder: TempDir,
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Certificate {
    pub fn of(name: &str) -> Self {
        Self::made(name, |_| ())
    }

    fn made(name: &str, change: impl Fn(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().expect("a folder");
        // No two authorities have the same name.
        params.distinguished_name.push(DnType::CommonName, folder.path().display().to_string());
        let authority_key = KeyPair::generate().expect("a key");
        let authority = params.self_signed(&authority_key).expect("an authority");
        std::fs::write(folder.path().join("authority.pem"), authority.pem()).expect("a file");

        let mut leaf = CertificateParams::new([name.to_owned()]).expect("a name");
        change(&mut leaf);
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::new(params, authority_key);
        let chain = vec![leaf.signed_by(&key, &issuer).expect("a certificate").der().clone()];
        Self { folder, chain, key }
    }

    pub fn authority_file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }
}

fn wrapping(
    certificate: &Certificate,
) -> impl Fn(TcpStream) -> StreamOwned<ServerConnection, TcpStream> + use<> {
    let key = PrivateKeyDer::try_from(certificate.key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the usual versions")
        .with_no_client_auth()
        .with_single_cert(certificate.chain.clone(), key)
        .expect("a certificate with its key");
    let config = Arc::new(config);
    move |stream| StreamOwned::new(ServerConnection::new(Arc::clone(&config)).expect("a connection"), stream)
}

/// A server with this certificate that answers every request so.
pub fn serving(certificate: &Certificate, answer: &'static str) -> Server {
    Server::on("127.0.0.1:0", wrapping(certificate), move |peer| {
        while peer.request().is_some() && peer.say(answer.as_bytes()) {}
    })
}

/// What comes of calling this host, which is the server, if this certificate's authority is trusted.
async fn called(server: &Server, certificate: &Certificate, host: &str) -> Result<String, CallError> {
    let options = Options { extra_roots: Some(certificate.authority_file()), ..options() };
    let caller = resolving(options, &["127.0.0.1"]);
    let answer = get(&caller, format!("https://{host}:{}/", server.port)).await?;
    Ok(String::from_utf8(answer.body).expect("text"))
}

#[tokio::test]
async fn a_host_that_proves_its_name_is_called() {
    for (name, host) in [
        ("shop.example", "shop.example"),
        ("shop.example", "SHOP.example."),
        ("*.shop.example", "www.shop.example"),
        ("127.0.0.1", "127.0.0.1"),
    ] {
        let certificate = Certificate::of(name);
        let server = serving(&certificate, OK);
        assert_eq!(called(&server, &certificate, host).await, Ok("OK".into()), "{name}");
    }
}

#[tokio::test]
async fn a_host_that_does_not_prove_its_name_is_not_called() {
    let (good, other) = (Certificate::of("shop.example"), Certificate::of("shop.example"));
    let expired = Certificate::made("shop.example", |it| it.not_after = date_time_ymd(2000, 1, 1));
    let early = Certificate::made("shop.example", |it| it.not_before = date_time_ymd(3000, 1, 1));
    let for_no_server = Certificate::made("shop.example", |it| {
        it.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    for (served, trusted, host, expected) in [
        (&good, &good, "other.example", "the certificate is for another name"),
        (&good, &good, "127.0.0.1", "the certificate is for another name"),
        (&good, &other, "shop.example", "the certificate's issuer is not trusted"),
        (&expired, &expired, "shop.example", "the certificate has expired"),
        (&early, &early, "shop.example", "the certificate is not valid yet"),
        (&for_no_server, &for_no_server, "shop.example", "the certificate is not valid"),
    ] {
        let server = serving(served, OK);
        let error = called(&server, trusted, host).await.expect_err("refused");
        assert_eq!(error, CallError::Tls(expected));
        assert_eq!(error.code(), "tls");
        assert_eq!(server.requests(), [""; 0], "nothing was sent");
    }
}

#[tokio::test]
async fn a_host_that_speaks_no_tls_is_told() {
    let certificate = Certificate::of("shop.example");
    for (bytes, expected) in
        [("HTTP/1.1 400 Bad Request\r\n\r\n", "the host does not speak TLS"), ("", "the connection broke")]
    {
        let server = Server::start(move |peer| {
            peer.say(bytes.as_bytes());
            peer.stream().shutdown(std::net::Shutdown::Write).expect("it closes");
            peer.wait_for_close();
        });
        assert_eq!(called(&server, &certificate, "shop.example").await, Err(CallError::Tls(expected)));
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up() {
    let server = Server::start(crate::server::Peer::wait_for_close);
    let options = Options { connect_timeout: Duration::from_millis(50), ..options() };
    let caller = Caller::new(options).expect("a caller");
    let outcome = get(&caller, format!("https://127.0.0.1:{}/", server.port)).await;
    assert_eq!(outcome, Err(CallError::ConnectTimedOut));
}

#[tokio::test]
async fn an_answer_may_end_without_goodbye_unless_it_said_that_more_would_come() {
    let certificate = Certificate::of("shop.example");
    for (answer, expected) in
        [("HTTP/1.0 200 OK\r\n\r\nOK", true), ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nOK", false)]
    {
        // Closed as it is, without telling the other side.
        let server = Server::on("127.0.0.1:0", wrapping(&certificate), move |peer| {
            peer.request();
            peer.say(answer.as_bytes());
        });
        let outcome = called(&server, &certificate, "shop.example").await;
        assert_eq!(outcome.is_ok(), expected, "{outcome:?}");
    }
}

#[test]
fn a_file_of_authorities_must_hold_some() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("authorities.pem");
    let refused = || {
        let error =
            Caller::new(Options { extra_roots: Some(path.clone()), ..options() }).expect_err("refused");
        assert!(matches!(&error, SetUpError::Roots(named, _) if *named == path), "{error}");
    };
    refused();
    for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&path, text).expect("a file");
        refused();
    }
}

#[test]
fn a_user_agent_must_fit_in_a_header() {
    let error = Caller::new(Options { user_agent: "a\nb".into(), ..options() }).expect_err("refused");
    assert!(matches!(error, SetUpError::UserAgent));
}
