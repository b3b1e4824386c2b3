//! The built-in pages: what a visitor sees who can be sent nowhere.

use axum::body::Body;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Page {
    /// The link belongs to nothing.
    NothingHere,
    /// The click is recorded, and there is nowhere to send it.
    NotAvailable,
    /// The link is longer than anything is kept.
    TooLong,
    /// A link is followed, not posted to.
    WrongMethod,
    /// The click could not be made durable.
    TryAgain,
    /// Answering it failed, by a fault of ours.
    Broken,
}

impl Page {
    fn status_and_text(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NothingHere => (StatusCode::NOT_FOUND, "Nothing here", "This link does not lead anywhere."),
            Self::NotAvailable => (
                StatusCode::NOT_FOUND,
                "Not available",
                "What this link leads to is not available at the moment.",
            ),
            Self::TooLong => {
                (StatusCode::URI_TOO_LONG, "Link too long", "This link is longer than 8,192 bytes.")
            }
            Self::WrongMethod => {
                (StatusCode::METHOD_NOT_ALLOWED, "Wrong method", "A tracking link takes GET and HEAD.")
            }
            Self::TryAgain => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Please try again",
                "The server is busy. Please try again in a moment.",
            ),
            Self::Broken => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong",
                "The server could not answer. Please try again later.",
            ),
        }
    }
}

pub(super) fn answer(page: Page) -> Response<Body> {
    let (status, title, text) = page.status_and_text();
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}}</style>\
         <h1>{title}</h1><p>{text}</p></html>"
    );
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if page == Page::TryAgain {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if page == Page::WrongMethod {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
