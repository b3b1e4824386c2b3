//! How values print: money, dates, ids; and the envelope of a success.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use domain::ids::ClickId;
use domain::money::Amount;
use hyper::header::{self, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::Web;
use crate::error::ApiError;
use crate::params::Page;

pub(super) const X_TIME_ZONE: HeaderName = HeaderName::from_static("x-time-zone");
const X_ROW_LIMIT: HeaderName = HeaderName::from_static("x-row-limit");

/// What an endpoint answers with.
pub(crate) type Answer = Result<Response, ApiError>;

/// An amount as a JSON number with two to four decimals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Money(pub(crate) Amount);

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: serde_json::Number = self.0.to_string().parse().expect("an amount prints as a number");
        number.serialize(serializer)
    }
}

/// A click's id as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClickIdText(pub(crate) ClickId);

impl Serialize for ClickIdText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The status that every success begins with.
#[derive(Serialize)]
pub(crate) struct Success<T> {
    request_status: &'static str,
    #[serde(flatten)]
    body: T,
}

impl Web {
    /// A date in the network's time zone.
    pub(crate) fn date(&self, at: Timestamp) -> String {
        domain::time::print(at, &self.app.settings().zone)
    }

    /// A success.
    pub(crate) fn success<T: Serialize>(&self, body: T) -> Response {
        let success = Success { request_status: "Success", body };
        let body = serde_json::to_vec(&success).expect("views serialize");
        let mut response = Body::from(body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(zone) = HeaderValue::from_str(&self.app.settings().zone_name) {
            headers.insert(X_TIME_ZONE, zone);
        }
        response
    }

    /// A success that is a page of a list.
    pub(crate) fn listed<T: Serialize>(&self, page: Page, body: T) -> Response {
        let mut response = self.success(body);
        response.headers_mut().insert(X_ROW_LIMIT, page.limit.into());
        response
    }
}

/// The page of a list that is at hand whole, and the total.
pub(crate) fn cut<T>(all: Vec<T>, page: Page) -> (u64, Vec<T>) {
    let total = all.len() as u64;
    let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
    (total, all.into_iter().skip(offset).take(page.limit as usize).collect())
}
