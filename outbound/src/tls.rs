//! Secure connections, by rustls.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use url::Host;

use crate::connect::Stream;
use crate::error::{CallError, SetUpError};

/// Trusts the authorities that the system trusts, and those of a file.
pub(crate) fn connector(extra_roots: Option<&Path>) -> Result<TlsConnector, SetUpError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = extra_roots {
        let unusable = |error: &dyn std::fmt::Display| SetUpError::Roots(path.to_owned(), error.to_string());
        let before = roots.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|it| unusable(&it))? {
            let certificate = certificate.map_err(|it| unusable(&it))?;
            roots.add(certificate).map_err(|it| unusable(&it))?;
        }
        if roots.len() == before {
            return Err(unusable(&"no certificate in it"));
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Said aloud, so that nothing but HTTP can be made to listen to us.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Secures a connection to this host: the name that was asked for must be the certificate's.
pub(crate) async fn secure(
    connector: &TlsConnector,
    host: &Host,
    stream: Stream,
) -> Result<Stream, CallError> {
    let name = match host {
        // A certificate's names never end with the dot that a complete name may have.
        Host::Domain(it) => ServerName::try_from(it.trim_end_matches('.').to_owned())
            .map_err(|_| CallError::Tls("no certificate can have this name"))?,
        Host::Ipv4(it) => ServerName::from(std::net::IpAddr::V4(*it)),
        Host::Ipv6(it) => ServerName::from(std::net::IpAddr::V6(*it)),
    };
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(EndsAnyhow(stream))),
        Err(error) => Err(CallError::Tls(fault(&error))),
    }
}

/// What is wrong, in words of ours: a stranger's certificate may hold any text.
fn fault(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|it| it.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(why)) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another name"
            }
            CertificateError::UnknownIssuer => "the certificate's issuer is not trusted",
            _ => "the certificate is not valid",
        },
        Some(Error::AlertReceived(_)) => "the host refused",
        Some(Error::InvalidMessage(_)) => "the host does not speak TLS",
        Some(_) => "the host broke the protocol",
        None => "the connection broke",
    }
}

/// Old servers end an answer by closing the connection and do not say goodbye first. That is an end like any other:
/// whether the answer is whole, HTTP knows.
struct EndsAnyhow(TlsStream<Stream>);

impl AsyncRead for EndsAnyhow {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_read(cx, buf) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            other => other,
        }
    }
}

impl AsyncWrite for EndsAnyhow {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
