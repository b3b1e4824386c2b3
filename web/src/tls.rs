//! Certificate and key, read from files. When one of them changes both are read again, and until
//! they can be used together the pair before stays; connections keep the pair they began with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// Why certificate and key cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The chain cannot be read.
    #[error("tls.certificate: {} is no PEM file of certificates", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The key cannot be read.
    #[error("tls.key: {} is no PEM file of a private key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// Each can be read, and together they are of no use.
    #[error("tls.key: {} cannot be used with the certificate", path.display())]
    Pair {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
}

/// What a file looked like when it was read: another time or size means another content.
type Stamp = Option<(SystemTime, u64)>;

/// Where certificate and key are, and what new connections are greeted with.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    config: ArcSwap<ServerConfig>,
    read_at: Mutex<[Stamp; 2]>,
}

impl Tls {
    /// Reads a PEM chain, the server's own certificate first, and its PEM key.
    pub fn open(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let read_at = Mutex::new([stamp(&certificate), stamp(&key)]);
        let config = ArcSwap::new(read(&certificate, &key)?);
        Ok(Self { certificate, key, config, read_at })
    }

    /// Reads both files again if one has changed. Blocks.
    pub fn reload(&self) -> Result<(), TlsError> {
        let mut read_at = self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = [stamp(&self.certificate), stamp(&self.key)];
        if *read_at != stamps {
            // Also after a failure: the same broken pair is not tried, and told, again and again.
            *read_at = stamps;
            self.config.store(read(&self.certificate, &self.key)?);
        }
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.config.load_full().into()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_file_iter(certificate).and_then(|chain| {
        let chain = chain.collect::<Result<Vec<_>, _>>()?;
        if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) }
    });
    let chain = chain.map_err(|source| TlsError::Certificate { path: certificate.to_owned(), source })?;
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Key { path: key.to_owned(), source })?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
    let mut config = config.map_err(|source| TlsError::Pair { path: key.to_owned(), source })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
