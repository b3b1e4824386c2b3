//! Why a call came to nothing, and why there is no caller.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::target::BadTarget;

/// Why there is no caller.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The file of further authorities cannot be used.
    #[error("authorities in {0}: {1}")]
    Roots(PathBuf, String),
    /// Not what a header can hold.
    #[error("the user agent has characters that a header cannot hold")]
    UserAgent,
}

/// Why a call has no answer. Its text is short and plain, and has no more of the URL than the host, nothing of an
/// answer, and no secret: it may be shown to who typed the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The URL itself cannot or may not be called. Nothing was resolved.
    #[error(transparent)]
    BadUrl(#[from] BadTarget),
    /// A header of the call is not one, or is the connection's own. Nothing was resolved.
    #[error("the header {0} cannot be sent")]
    BadHeader(&'static str),
    /// The name has an address that may not be called. Which one is for the log only: who typed the URL need not learn
    /// how names resolve in here.
    #[error("{host} has an address that is not public")]
    Forbidden {
        /// The name.
        host: String,
        /// The first of its addresses that may not be called.
        address: IpAddr,
    },
    /// The name has no address, or the resolver did not say.
    #[error("{host} has no address")]
    NotResolved {
        /// The name.
        host: String,
    },
    /// No connection; the last address's reason.
    #[error("{}", match .0 { io::ErrorKind::ConnectionRefused => "the connection was refused", _ => "the host cannot be reached" })]
    NotConnected(io::ErrorKind),
    /// The proxy cannot be reached, or does not answer as one.
    #[error("the proxy cannot be reached")]
    ProxyNotReached,
    /// The proxy answered with this status instead of connecting.
    #[error("the proxy refused with status {0}")]
    ProxyRefused(u16),
    /// No secure connection.
    #[error("TLS: {0}")]
    Tls(&'static str),
    /// Not connected within the time for that. The request was not sent.
    #[error("no connection in time")]
    ConnectTimedOut,
    /// No whole answer within the time of the call. The request may have been received.
    #[error("no answer in time")]
    TimedOut,
    /// The answer's head is more than is read of one.
    #[error("the answer's head is too large")]
    HeadTooLarge,
    /// What came is no answer, or not all of one. The request may have been received.
    #[error("{0}")]
    Broken(&'static str),
}

impl CallError {
    /// The stable word for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadUrl(it) => it.code(),
            Self::BadHeader(_) => "invalid_header",
            Self::Forbidden { .. } => "address_not_allowed",
            Self::NotResolved { .. } => "dns",
            Self::NotConnected(io::ErrorKind::ConnectionRefused) => "connection_refused",
            Self::NotConnected(_) => "not_connected",
            Self::ProxyNotReached | Self::ProxyRefused(_) => "proxy",
            Self::Tls(_) => "tls",
            Self::ConnectTimedOut | Self::TimedOut => "timed_out",
            Self::HeadTooLarge | Self::Broken(_) => "broken_answer",
        }
    }
}

impl From<hyper::Error> for CallError {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse_too_large() {
            Self::HeadTooLarge
        } else if error.is_parse() {
            Self::Broken("the answer is not HTTP/1")
        } else if error.is_incomplete_message() {
            Self::Broken("the connection was closed before the answer was whole")
        } else {
            Self::Broken("the connection broke")
        }
    }
}
