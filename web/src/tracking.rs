//! Tracking links: no login, no database, nothing awaited but the journal. And `p.ashx`, which records
//! conversions without a login.

pub(crate) mod address;
mod conversion_pixel;
pub(crate) mod cookies;
mod guard;
mod handed_out;
mod host;
mod impression;
mod link;
mod page;

use std::net::SocketAddr;

use app::{Lane, NotSent, Visit};
use axum::body::Body;
use domain::ids::ClickId;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode, Uri};

use crate::Web;
pub(crate) use guard::guarded;
use page::Page;

/// The longest query string, in bytes: sub ids are kept whole, whatever fits in here.
const QUERY_BYTES_MAX: usize = 8 * 1024;
/// How much of a `User-Agent` is kept, in bytes: real ones are under 500.
const USER_AGENT_BYTES_MAX: usize = 1024;
/// How much of a `Referer` is kept, in bytes: what browsers send across sites is far shorter.
const REFERRER_BYTES_MAX: usize = 2048;

/// Whether a request is for what the tracking domains serve.
pub(crate) fn is_tracking(uri: &Uri) -> bool {
    link::Form::of(uri.path()).is_some() || conversion_pixel::is_at(uri.path())
}

/// Answers a tracking link or a conversion pixel.
pub(crate) async fn answer(web: &Web, lane: &Lane, peer: SocketAddr, request: Parts) -> Response<Body> {
    let Some(form) = link::Form::of(request.uri.path()) else {
        // In a box of its own: the way of clicks stays small.
        return Box::pin(conversion_pixel::answer(web, peer, &request)).await;
    };
    if form == link::Form::Impression {
        return impression::answer(web, &request);
    }
    let Some(query) = request.uri.query() else { return page::answer(Page::NothingHere) };
    if query.len() > QUERY_BYTES_MAX {
        return page::answer(Page::TooLong);
    }
    let read = link::read(form, query);
    let is_pixel = read.is_pixel;
    let visit = visit(web, read, peer, &request);
    let sent = match request.method {
        Method::GET => web.app.record_click(lane, visit).await,
        Method::HEAD => web.app.preview_click(visit).await,
        _ => return page::answer(Page::WrongMethod),
    };
    match sent {
        Ok(sent) => {
            let mut response = match sent.location {
                _ if is_pixel => pixel(sent.click_id),
                Some(location) => redirect(&location),
                None => page::answer(Page::NotAvailable),
            };
            if let Some(options) = &web.options.cookies {
                cookies::set(options, &sent.remember, response.headers_mut());
            }
            response
        }
        Err(NotSent::Unattributable(why)) => {
            tracing::info!(?why, "a link that belongs to no known affiliate and offer");
            page::answer(Page::NothingHere)
        }
        Err(NotSent::Overloaded | NotSent::Unavailable) => page::answer(Page::TryAgain),
    }
}

fn visit(web: &Web, read: link::Read, peer: SocketAddr, request: &Parts) -> Visit {
    let headers = &request.headers;
    Visit {
        link: read.link,
        known_domain: host::is_known(&web.options.tracking_domains, &request.uri, headers),
        sub_ids: read.sub_ids,
        deep_link: read.deep_link,
        udid: read.udid,
        extra_query: read.extra_query,
        country: None,
        ip_address: Some(address::of(peer, headers, &web.options.trusted_proxies)),
        user_agent: text(headers, &header::USER_AGENT, USER_AGENT_BYTES_MAX),
        referrer: text(headers, &header::REFERER, REFERRER_BYTES_MAX),
        language: language(headers),
        cookies: web.options.cookies.as_ref().map(|_| cookies::of(headers)).unwrap_or_default(),
    }
}

fn text(headers: &HeaderMap, name: &HeaderName, bytes_max: usize) -> String {
    let value = headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    let mut text = String::from_utf8_lossy(value).into_owned();
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

/// The language a visitor prefers: the first one listed in `Accept-Language`, without its country.
fn language(headers: &HeaderMap) -> String {
    let listed =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = listed.split(['-', ',', ';']).next().unwrap_or_default().trim();
    let is_subtag = (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    if is_subtag { first.to_ascii_lowercase() } else { String::new() }
}

/// How long the click pixel's cookie lives, in seconds: as long as a click converts by default.
const COOKIE_SECONDS: u32 = 720 * 3600;

/// The click pixel's script: it keeps the click's id in a first-party cookie of the page it runs on.
fn pixel(click_id: Option<ClickId>) -> Response<Body> {
    let script = click_id.map_or_else(String::new, |id| {
        format!("document.cookie=\"crumb_click_id={id};path=/;max-age={COOKIE_SECONDS};SameSite=Lax\";\n")
    });
    let mut response = Response::new(Body::from(script));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn redirect(location: &str) -> Response<Body> {
    let Ok(location) = HeaderValue::try_from(location) else { return page::answer(Page::NotAvailable) };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
