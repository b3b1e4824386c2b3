//! From a receiver to an open connection: resolve, check every address, connect to one that was checked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use url::Host;

use crate::address::AllowPrivate;
use crate::error::CallError;
use crate::proxy::{self, ProxyUrl};
use crate::resolve::Resolve;
use crate::target::Receiver;
use crate::tls;

/// An open connection, of whatever it is made.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
pub(crate) type Stream = Box<dyn Io>;

pub(crate) struct Connector {
    pub allow: AllowPrivate,
    pub resolver: Arc<dyn Resolve>,
    pub proxy: Option<ProxyUrl>,
    pub tls: TlsConnector,
    pub connect_timeout: Duration,
}

impl Connector {
    /// Opens a connection to this receiver, within the time for that.
    pub async fn connect(&self, receiver: &Receiver) -> Result<Stream, CallError> {
        let until = Instant::now() + self.connect_timeout;
        timeout_at(until, async {
            let addresses = self.checked(receiver).await?;
            let stream = self.first_to_connect(&addresses, until).await?;
            if receiver.secure { tls::secure(&self.tls, &receiver.host, stream).await } else { Ok(stream) }
        })
        .await
        .unwrap_or(Err(CallError::ConnectTimedOut))
    }

    /// The receiver's addresses, all of which may be called: a name of which one address is private is no public host.
    async fn checked(&self, receiver: &Receiver) -> Result<Vec<SocketAddr>, CallError> {
        let found = match &receiver.host {
            Host::Ipv4(it) => vec![IpAddr::V4(*it)],
            Host::Ipv6(it) => vec![IpAddr::V6(*it)],
            Host::Domain(name) => self.resolve(name).await?,
        };
        match found.iter().find(|it| !self.allow.allows(**it)) {
            Some(address) => Err(CallError::Forbidden { host: receiver.host.to_string(), address: *address }),
            None => Ok(found.into_iter().map(|it| SocketAddr::new(it, receiver.port)).collect()),
        }
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, CallError> {
        match self.resolver.resolve(name).await {
            Ok(found) if !found.is_empty() => Ok(found),
            _ => Err(CallError::NotResolved { host: name.to_owned() }),
        }
    }

    /// Tries each address once, in the order given. Each has its share of the time that is left, so that one which
    /// never answers does not take the others' turn.
    async fn first_to_connect(&self, addresses: &[SocketAddr], until: Instant) -> Result<Stream, CallError> {
        let mut outcome = Err(CallError::ConnectTimedOut);
        for (left, address) in (1..=addresses.len()).rev().zip(addresses) {
            outcome = timeout(share(until, left), self.connect_to(*address))
                .await
                .unwrap_or(Err(CallError::ConnectTimedOut));
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<Stream, CallError> {
        let Some(proxy) = &self.proxy else {
            let stream = TcpStream::connect(address).await.and_then(without_delay);
            return Ok(Box::new(stream.map_err(|it| CallError::NotConnected(it.kind()))?));
        };
        proxy::tunnel(proxy, self.reach(proxy).await?, address).await
    }

    /// A connection to the proxy. It is the operator's, so it may stand anywhere.
    async fn reach(&self, proxy: &ProxyUrl) -> Result<TcpStream, CallError> {
        let addresses = match &proxy.host {
            Host::Ipv4(it) => vec![IpAddr::V4(*it)],
            Host::Ipv6(it) => vec![IpAddr::V6(*it)],
            Host::Domain(name) => self.resolve(name).await.map_err(|_| CallError::ProxyNotReached)?,
        };
        for address in addresses {
            if let Ok(stream) = TcpStream::connect((address, proxy.port)).await.and_then(without_delay) {
                return Ok(stream);
            }
        }
        Err(CallError::ProxyNotReached)
    }
}

/// A request is one small packet: it should not wait for a second.
fn without_delay(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn share(until: Instant, left: usize) -> Duration {
    until.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(u32::MAX)
}
