//! What operators ask (`/healthz`, `/metrics`), and the answers for paths nobody serves.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::header::{self, HeaderValue};
use hyper::{StatusCode, Uri};
use serde_json::json;

use crate::Web;
use crate::error::ApiError;

pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/healthz", get(healthz)).route("/metrics", get(metrics))
}

/// 200 while clicks can be made durable.
async fn healthz(State(web): State<Web>) -> Response {
    if web.app.is_healthy() {
        Json(json!({ "status": "ok" })).into_response()
    } else {
        let mut response = Json(json!({ "status": "unavailable" })).into_response();
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        response
    }
}

async fn metrics(State(web): State<Web>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], web.app.metrics_text()).into_response()
}

/// JSON under `/api`, plain text elsewhere.
pub(crate) async fn not_found(uri: Uri) -> Response {
    if uri.path().starts_with("/api") {
        ApiError::not_found().into_response()
    } else {
        (StatusCode::NOT_FOUND, "nothing here\n").into_response()
    }
}

pub(crate) async fn method_not_allowed() -> ApiError {
    ApiError::method_not_allowed()
}
