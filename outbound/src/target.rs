//! What can be said of a URL before anything is resolved, and its parts as they are called.
//!
//! One parser reads it, once: nothing that follows looks at the text again, so there is no second opinion on which
//! host is meant.

use std::net::IpAddr;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::http::uri::PathAndQuery;
use url::{Host, Position, Url};

use crate::AllowPrivate;

/// The longest URL that is called: what servers commonly take as a request's first line.
pub const URL_BYTES_MAX: usize = 8 * 1024;

/// The longest name that DNS knows (RFC 1035).
const NAME_BYTES_MAX: usize = 253;

/// What is wrong with a URL. No message repeats more of it than its scheme or host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// More than [`URL_BYTES_MAX`].
    #[error("the URL is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// A line break, a tab or the like: parsers differ on what they mean.
    #[error("the URL has a control character in it")]
    ControlCharacter,
    /// Not a URL.
    #[error("this is not a URL: {0}")]
    Malformed(#[from] url::ParseError),
    /// Something in it has no place in a request.
    #[error("the URL has characters that cannot be sent")]
    Unsendable,
    /// No name is that long.
    #[error("the URL's host is longer than {NAME_BYTES_MAX} bytes")]
    HostTooLong,
    /// Only these two are called.
    #[error("the URL must begin with http:// or https://")]
    Scheme,
    /// `http://user:password@host/`: rarely meant, and a way to make one host look like another.
    #[error("the URL must not have a user or password")]
    Credentials,
    /// Port 0 cannot be connected to.
    #[error("the URL's port must not be 0")]
    Port,
    /// An address, or a name for this machine, that may not be called.
    #[error("{0} is not a public address")]
    Address(String),
}

impl BadTarget {
    /// The stable word for it: `address_not_allowed` or `invalid_url`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address(_) => "address_not_allowed",
            _ => "invalid_url",
        }
    }
}

/// Says whether a URL may be called, as far as can be told without resolving its name: `http` or `https`, a host, no
/// user or password, and if the host is an address, in whatever spelling, one that is allowed. Names are checked when
/// they are resolved, each time.
pub fn check_url(url: &str, allow: &AllowPrivate) -> Result<(), BadTarget> {
    Target::parse(url, allow).map(drop)
}

/// Who is called: connections to equal ones can be shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receiver {
    pub secure: bool,
    pub host: Host,
    pub port: u16,
}

/// A URL that may be called if its name resolves to addresses that may.
#[derive(Debug)]
pub(crate) struct Target {
    pub receiver: Receiver,
    /// What the header `Host` says: without a default port.
    pub host_header: HeaderValue,
    /// What the first line of a request says.
    pub path_and_query: Uri,
}

impl Target {
    pub fn parse(text: &str, allow: &AllowPrivate) -> Result<Self, BadTarget> {
        if text.len() > URL_BYTES_MAX {
            return Err(BadTarget::TooLong);
        }
        if text.contains(|it: char| it.is_ascii_control()) {
            return Err(BadTarget::ControlCharacter);
        }
        let url = Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadTarget::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadTarget::Credentials);
        }
        let host = url.host().ok_or(url::ParseError::EmptyHost)?.to_owned();
        check_host(&host, allow)?;
        let port = url.port_or_known_default().filter(|it| *it != 0).ok_or(BadTarget::Port)?;
        let path_and_query = &url[Position::BeforePath..Position::AfterQuery];
        // Encoding made it longer, at worst ninefold.
        if path_and_query.len() > URL_BYTES_MAX {
            return Err(BadTarget::TooLong);
        }
        let path_and_query = PathAndQuery::try_from(path_and_query).map_err(|_| BadTarget::Unsendable)?;
        let host_header = &url[Position::BeforeHost..Position::AfterPort];
        Ok(Self {
            receiver: Receiver { secure: url.scheme() == "https", host, port },
            host_header: HeaderValue::try_from(host_header).map_err(|_| BadTarget::Unsendable)?,
            path_and_query: Uri::from(path_and_query),
        })
    }
}

fn check_host(host: &Host, allow: &AllowPrivate) -> Result<(), BadTarget> {
    let allowed = match host {
        Host::Domain(name) if name.len() > NAME_BYTES_MAX => return Err(BadTarget::HostTooLong),
        Host::Ipv4(it) => allow.allows(IpAddr::V4(*it)),
        Host::Ipv6(it) => allow.allows(IpAddr::V6(*it)),
        // Where private addresses may be called, what the name resolves to decides.
        Host::Domain(name) => *allow != AllowPrivate::No || !is_this_machine(name),
    };
    if allowed { Ok(()) } else { Err(BadTarget::Address(host.to_string())) }
}

/// RFC 6761: `localhost` and all names under it are loopback.
fn is_this_machine(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests;
