//! `p.ashx`: a conversion call from a shop's page or an advertiser's server, without a key. Whatever
//! becomes of the call, the answer is 200 in the form that was asked for; only a call that could not be
//! taken at all is 429 or 503.

use std::net::SocketAddr;

use app::{HandedOut, PixelCall, RecordedPixel};
use axum::body::Body;
use domain::ids::ConversionId;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::impression::GIF;
use super::page::{self, Page};
use super::{QUERY_BYTES_MAX, address, cookies, handed_out, host};
use crate::Web;
use crate::error::{ApiError, RETRY_AFTER};
use crate::params::{Params, decode_lossy, is_kept};

const PATH: &str = "/p.ashx";
/// What callers look for in the answer to a postback.
const SUCCESS: &str = "SUCCESS";

/// Whether the path is the pixel's. Where it comes from, paths ignore case.
pub(super) fn is_at(path: &str) -> bool {
    path.eq_ignore_ascii_case(PATH)
}

pub(super) async fn answer(web: &Web, peer: SocketAddr, request: &Parts) -> Response<Body> {
    let query = request.uri.query().unwrap_or_default();
    if query.len() > QUERY_BYTES_MAX {
        return page::answer(Page::TooLong);
    }
    if !host::is_known(&web.options.tracking_domains, &request.uri, &request.headers) {
        return page::answer(Page::NothingHere);
    }
    let form = Form::of(query);
    match request.method {
        Method::GET => {}
        // What is asked this way is not recorded.
        Method::HEAD => return form.answer(StatusCode::OK, "", &[]),
        _ => return page::answer(Page::WrongMethod),
    }
    let (params, problem) = Params::read_query(query);
    let call = PixelCall {
        sent: &params,
        problem,
        raw: raw(query),
        address: address::of(peer, &request.headers, &web.options.trusted_proxies),
        cookies: web.options.cookies.as_ref().map(|_| cookies::of(&request.headers)).unwrap_or_default(),
        in_browser: form.carries_others(),
    };
    match web.app.record_pixel(call).await {
        Ok(RecordedPixel { recorded, handed_out }) => form.success(recorded.conversion.id, &handed_out),
        Err(error) => form.failure(&error.into()),
    }
}

/// The call as it came, without what suppression lists know people by. Keys do not belong here, and are
/// not kept where somebody sends one.
fn raw(query: &str) -> String {
    let is_kept = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        is_kept(&decode_lossy(name).to_ascii_lowercase())
    };
    let pairs: Vec<&str> = query.split('&').filter(is_kept).collect();
    format!("{PATH}?{}", pairs.join("&"))
}

/// What kind of answer a call asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// `f=pb`: a line of text.
    Postback,
    /// `f=img`: an image.
    Image,
    /// `f=js`: a script.
    Script,
    /// A page, for a frame.
    Page,
}

impl Form {
    fn of(query: &str) -> Self {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let asked = pairs.find(|(name, _)| name.eq_ignore_ascii_case("f"));
        match asked.map(|(_, value)| value.to_ascii_lowercase()).as_deref() {
            Some("pb") => Self::Postback,
            Some("img") => Self::Image,
            Some("js") => Self::Script,
            _ => Self::Page,
        }
    }

    /// Whether a browser reads the answer, and can load what else is in it.
    fn carries_others(self) -> bool {
        matches!(self, Self::Script | Self::Page)
    }

    fn success(self, conversion_id: ConversionId, handed_out: &[HandedOut]) -> Response<Body> {
        match self {
            Self::Postback => self.answer(StatusCode::OK, &format!("{SUCCESS} {conversion_id}"), &[]),
            Self::Image => self.answer(StatusCode::OK, "", &[]),
            Self::Script | Self::Page => self.answer(StatusCode::OK, "", handed_out),
        }
    }

    fn failure(self, error: &ApiError) -> Response<Body> {
        self.answer(error.status_of_pixel(), &harmless(error), &[])
    }

    fn answer(self, status: StatusCode, said: &str, handed_out: &[HandedOut]) -> Response<Body> {
        let (kind, body) = match self {
            Self::Postback => ("text/plain; charset=utf-8", Body::from(format!("{said}\n"))),
            Self::Image => ("image/gif", Body::from(GIF)),
            Self::Script if said.is_empty() => {
                ("text/javascript; charset=utf-8", Body::from(handed_out::script(handed_out)))
            }
            Self::Script => ("text/javascript; charset=utf-8", Body::from(format!("// {said}\n"))),
            Self::Page => {
                let html = format!(
                    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title></title><body>{said}{}</body></html>",
                    handed_out::html(handed_out)
                );
                ("text/html; charset=utf-8", Body::from(html))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self == Self::Page {
            let policy = HeaderValue::from_static(handed_out::PAGE_POLICY);
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if status != StatusCode::OK {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        response
    }
}

/// Why a call was refused, fit for a text, a page and a script alike: a parameter's name can be anything,
/// and whoever refuses never says `SUCCESS`.
fn harmless(error: &ApiError) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " .,:;_-()[]".contains(c);
    let reason = error.reason().replace(|c| !is_plain(c), "?");
    if reason.to_ascii_uppercase().contains(SUCCESS) { error.code().to_owned() } else { reason }
}

#[cfg(test)]
mod tests {
    use domain::conversion_request::BadParameter;

    use super::*;

    #[test]
    fn the_form_is_known_whatever_else_a_call_says() {
        let check = |query: &str, form: Form| assert_eq!(Form::of(query), form, "{query}");
        check("o=1&f=pb", Form::Postback);
        check("F=PB&%ff&o=%ff", Form::Postback);
        check("f=img", Form::Image);
        check("f=js&f=pb", Form::Script);
        for query in ["", "o=1", "f", "f=", "f=iframe", "ff=pb"] {
            check(query, Form::Page);
        }
    }

    #[test]
    fn a_refusal_is_harmless_wherever_it_stands() {
        let said = |name: &str| harmless(&BadParameter::invalid(name, "not UTF-8").into());
        assert_eq!(said("t"), "invalid_parameter: t: not UTF-8");
        assert_eq!(
            said("</body><script>\n*/alert(1)"),
            "invalid_parameter: ??body??script????alert(1): not UTF-8"
        );
        for name in ["SUCCESS", "a_success_b"] {
            assert_eq!(said(name), "invalid_parameter");
        }
    }

    #[test]
    fn a_call_is_kept_as_it_came_without_a_key() {
        assert_eq!(raw("o=1&T=%ff&&x"), "/p.ashx?o=1&T=%ff&&x");
        assert_eq!(raw("o=1&API%5fkey=secret&t=2&E%6dail=a%40x.org&phone"), "/p.ashx?o=1&t=2");
        assert_eq!(raw(""), "/p.ashx?");
    }
}
