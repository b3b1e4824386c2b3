//! HTTP in, HTTP out. Tracking links are answered straight from hyper; everything else goes through
//! the router. A handler extracts, calls `app` once and answers: no SQL, no clock, no rules here.

mod api;
mod connections;
mod csv_text;
mod demo;
mod error;
mod extract;
mod operations;
mod params;
pub mod server;
pub mod tls;
mod tracking;

use std::sync::Arc;

use app::App;
use axum::Router;
use domain::deep_link::HostPattern;
use ipnet::IpNet;

pub use api::export::columns::{ExportColumn, ExportType, export_columns, export_key};
pub use tracking::cookies::{CookieOptions, SameSite};

/// How the surfaces are set up.
#[derive(Clone, Debug, Default)]
pub struct WebOptions {
    /// Where visitors reach the tracking links, such as `https://trk.example.com`. By default the
    /// host a request came to.
    pub public_url: Option<String>,
    /// Hosts that tracking links may be followed on; none means all.
    pub tracking_domains: Vec<HostPattern>,
    /// How visitors are known again; none means not by cookies.
    pub cookies: Option<CookieOptions>,
    /// Proxies whose word on the visitor's address counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the demo's landing page is served.
    pub demo: bool,
}

/// What every handler works on.
#[derive(Clone)]
pub struct Web {
    pub(crate) app: Arc<App>,
    pub(crate) options: Arc<WebOptions>,
}

impl Web {
    /// The surfaces of a running product.
    pub fn new(app: Arc<App>, options: WebOptions) -> Self {
        Self { app, options: Arc::new(options) }
    }

    /// Everything but the tracking links.
    pub(crate) fn router(&self) -> Router {
        let router = Router::new().merge(operations::routes()).merge(api::routes());
        let router = if self.options.demo { router.merge(demo::routes()) } else { router };
        router
            .fallback(operations::not_found)
            .method_not_allowed_fallback(operations::method_not_allowed)
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(error::panicked))
            .with_state(self.clone())
    }
}
