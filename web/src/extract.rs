//! From a request to a known caller and its parameters. The key comes first: whoever has none is
//! told nothing else.

use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequest;
use axum::http::HeaderMap;
use bytes::Bytes;
use domain::access::Caller;
use domain::conversion_request::BadParameter;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::header::{self, HeaderValue};
use hyper::{Request, StatusCode};

use crate::Web;
use crate::error::ApiError;
use crate::params::{API_KEY, Params};
use crate::server::{Peer, Secure};
use crate::tracking::address;

/// The longest query string, in bytes.
const QUERY_BYTES_MAX: usize = 8 * 1024;
/// The largest body, in bytes: far more than one call's parameters.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The largest request head, in bytes, without its first line.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A call with a valid key, and what it carries.
pub(crate) struct Keyed {
    pub(crate) caller: Caller,
    pub(crate) params: Params,
    /// The scheme and host the request came to, such as `https://trk.example.com`.
    pub(crate) origin: Option<String>,
}

impl FromRequest<Web> for Keyed {
    type Rejection = ApiError;

    async fn from_request(request: Request<Body>, web: &Web) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        check_head(&head.headers, head.uri.query())?;
        let mut params = Params::default();
        // A call that cannot be read is told so only once its key is known to be good.
        let mut problem =
            head.uri.query().and_then(|query| params.add_pairs(query).err()).map(ApiError::from);
        match collect(body).await {
            Ok(body) if body.is_empty() => {}
            Ok(body) => problem = problem.or(add_body(&mut params, &head.headers, &body).err()),
            Err(error) => problem = problem.or(Some(error)),
        }
        let secret = secret(&head.headers, &params).ok_or_else(ApiError::invalid_api_key)?;
        let Peer(peer) = *head.extensions.get().expect("every request that is routed has its peer");
        let address = address::of(peer, &head.headers, &web.options.trusted_proxies);
        let caller = web.app.authenticate(&secret, address).await?.ok_or_else(ApiError::invalid_api_key)?;
        if let Some(problem) = problem {
            return Err(problem);
        }
        let scheme = if head.extensions.get::<Secure>().is_some() { "https" } else { "http" };
        let host = text(&head.headers, header::HOST.as_str());
        Ok(Self { caller, params, origin: host.map(|host| format!("{scheme}://{host}")) })
    }
}

fn check_head(headers: &HeaderMap, query: Option<&str>) -> Result<(), ApiError> {
    if query.is_some_and(|query| query.len() > QUERY_BYTES_MAX) {
        let message = format!("a query string has at most {QUERY_BYTES_MAX} bytes");
        return Err(ApiError::too_large(StatusCode::URI_TOO_LONG, message));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > HEADERS_BYTES_MAX {
        let message = format!("a request's headers have at most {HEADERS_BYTES_MAX} bytes");
        return Err(ApiError::too_large(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message));
    }
    Ok(())
}

async fn collect(body: Body) -> Result<Bytes, ApiError> {
    let collected = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("a body has at most {BODY_BYTES_MAX} bytes");
            Err(ApiError::too_large(StatusCode::PAYLOAD_TOO_LARGE, message))
        }
        Ok(Err(_)) | Err(_) => Err(ApiError::body_missing()),
    }
}

fn add_body(params: &mut Params, headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    let kind = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let form_or_none = kind == "application/x-www-form-urlencoded" || kind.is_empty();
    // `curl -d '{…}'` calls its JSON a form; no form begins with a brace.
    if kind == "application/json" || (form_or_none && body.first() == Some(&b'{')) {
        Ok(params.add_json(body)?)
    } else if form_or_none {
        let form = std::str::from_utf8(body).map_err(|_| BadParameter::invalid("body", "not UTF-8"))?;
        Ok(params.add_pairs(form)?)
    } else {
        Err(ApiError::unsupported_body())
    }
}

fn secret(headers: &HeaderMap, params: &Params) -> Option<String> {
    let bearer = || {
        let value = text(headers, header::AUTHORIZATION.as_str())?;
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().to_owned())
    };
    params.get(API_KEY).map(str::to_owned).or_else(|| text(headers, "x-api-key")).or_else(bearer)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(HeaderValue::to_str)?.ok().map(str::to_owned)
}
