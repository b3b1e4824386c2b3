//! The impression pixel: always an image, so that no page shows a broken one; counted where it can be
//! attributed.

use axum::body::Body;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response};

use super::link::{self, Form};
use super::page::{self, Page};
use super::{QUERY_BYTES_MAX, host};
use crate::Web;

/// One transparent pixel.
pub(super) const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

pub(super) fn answer(web: &Web, request: &Parts) -> Response<Body> {
    let query = request.uri.query().unwrap_or_default();
    if query.len() > QUERY_BYTES_MAX {
        return page::answer(Page::TooLong);
    }
    match request.method {
        Method::GET if host::is_known(&web.options.tracking_domains, &request.uri, &request.headers) => {
            web.app.count_impression(link::read(Form::Impression, query).link);
        }
        Method::GET | Method::HEAD => {}
        _ => return page::answer(Page::WrongMethod),
    }
    let mut response = Response::new(Body::from(GIF));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
