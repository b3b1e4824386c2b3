//! Calling through a proxy. It is asked, by CONNECT, for the address that was checked, never for a name: what the
//! proxy would make of a name nobody has checked.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use url::{Host, Url};

use crate::connect::Stream;
use crate::connection::{builder, driving};
use crate::error::CallError;

/// Where a proxy is: `http://[user:password@]host:port`. It must allow CONNECT to every port that is called, which for
/// `http` targets is usually 80; names are still resolved here.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    pub(crate) host: Host,
    pub(crate) port: u16,
    authorization: Option<HeaderValue>,
}

/// Not a proxy's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a proxy is given as http://host:port or http://user:password@host:port")]
pub struct BadProxy;

impl FromStr for ProxyUrl {
    type Err = BadProxy;

    fn from_str(text: &str) -> Result<Self, BadProxy> {
        let url = Url::parse(text).map_err(|_| BadProxy)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let port = url.port_or_known_default().filter(|it| *it != 0).ok_or(BadProxy)?;
        let host = url.host().filter(|_| bare && url.scheme() == "http").ok_or(BadProxy)?.to_owned();
        Ok(Self { host, port, authorization: authorization(&url) })
    }
}

/// RFC 7617.
fn authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain: Vec<u8> = percent_decode_str(url.username()).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value =
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain))).expect("base64 is plain");
    value.set_sensitive(true);
    Some(value)
}

/// Without user and password.
impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = if self.authorization.is_some() { "***@" } else { "" };
        write!(f, "http://{credentials}{}:{}", self.host, self.port)
    }
}

/// Has the proxy connect to this address.
pub(crate) async fn tunnel(
    proxy: &ProxyUrl,
    stream: TcpStream,
    address: SocketAddr,
) -> Result<Stream, CallError> {
    let lost = |_| CallError::ProxyNotReached;
    let (mut sender, driver) = builder().handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let mut driver = Some(Box::pin(driver.with_upgrades()));
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = address.to_string().parse().expect("an address is an authority");
    let host = HeaderValue::try_from(address.to_string()).expect("an address is plain");
    request.headers_mut().insert(HOST, host);
    if let Some(authorization) = &proxy.authorization {
        request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
    }
    let answer = driving(&mut driver, sender.send_request(request)).await.map_err(lost)?;
    if !answer.status().is_success() {
        return Err(CallError::ProxyRefused(answer.status().as_u16()));
    }
    let tunnel = driving(&mut driver, hyper::upgrade::on(answer)).await.map_err(lost)?;
    Ok(Box::new(TokioIo::new(tunnel)))
}

#[cfg(test)]
mod tests;
