//! The tracking domain's own cookies: which visitor this is, and what was clicked before. Only the
//! names and the way they are set are here; what they say is `app`'s.

use app::{OFFER_COOKIE, Remember, VISITOR_COOKIE};
use hyper::header::{self, HeaderMap, HeaderValue};

/// What the names of all our cookies begin with.
const PREFIX: &str = "crumb_";

/// How cookies are set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CookieOptions {
    visitor_seconds: u32,
    attributes: String,
}

/// The `SameSite` attribute of a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SameSite {
    /// Sent when a link is followed from another site, not with its images and frames.
    Lax,
    /// Always sent; browsers then want `Secure`.
    None,
    /// Sent from the same site only.
    Strict,
}

/// The `Cookie` header, where it holds one of ours.
pub(super) fn of(headers: &HeaderMap) -> String {
    let ours =
        |value: &&HeaderValue| value.as_bytes().windows(PREFIX.len()).any(|it| it == PREFIX.as_bytes());
    let header = headers.get_all(header::COOKIE).iter().find(ours);
    header.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Has a browser remember.
pub(super) fn set(options: &CookieOptions, remember: &Remember, headers: &mut HeaderMap) {
    let mut add = |cookie: String, seconds: u32| {
        let cookie = format!("{cookie}; Max-Age={seconds}{}", options.attributes);
        headers
            .append(header::SET_COOKIE, HeaderValue::try_from(cookie).expect("ids and settings are ASCII"));
    };
    if let Some(visitor_id) = remember.visitor_id {
        add(format!("{VISITOR_COOKIE}={visitor_id}"), options.visitor_seconds);
    }
    if let Some((offer_id, footprint, seconds)) = remember.footprint.filter(|(.., seconds)| *seconds > 0) {
        add(format!("{OFFER_COOKIE}{offer_id}={footprint}"), seconds);
    }
}

impl CookieOptions {
    /// A browser knows its visitor for `visitor_seconds`. `secure` is for HTTPS alone; the hosts of
    /// `domain` share the cookies, without it each host has its own.
    pub fn new(visitor_seconds: u32, same_site: SameSite, secure: bool, domain: Option<&str>) -> Self {
        let same_site = match same_site {
            SameSite::Lax => "Lax",
            SameSite::None => "None",
            SameSite::Strict => "Strict",
        };
        let secure = if secure { "; Secure" } else { "" };
        let domain = domain.map(|it| format!("; Domain={it}")).unwrap_or_default();
        let attributes = format!("; Path=/; HttpOnly; SameSite={same_site}{secure}{domain}");
        Self { visitor_seconds, attributes }
    }
}
