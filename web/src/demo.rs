//! The demo's landing page: it shows the click id it was given, as an advertiser's shop would store it.

use axum::Router;
use axum::extract::RawQuery;
use axum::response::Html;
use axum::routing::get;

use crate::Web;
use crate::params::Params;

pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/demo/landing", get(landing))
}

async fn landing(RawQuery(query): RawQuery) -> Html<String> {
    let mut params = Params::default();
    // What cannot be read is simply not shown.
    let _ = params.add_pairs(&query.unwrap_or_default());
    let shown = |name| escape(params.get(name).unwrap_or("none"));
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Demo shop</title>\
         <style>body{{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:10vh auto;padding:0 1rem}}\
         code{{background:#f1f3f5;padding:.15rem .4rem;border-radius:.25rem;word-break:break-all}}</style>\
         <h1>Demo shop</h1><p>You came here by a tracking link. The shop would keep this click id and send it \
         back when you buy:</p><p>Click id: <code id=\"click_id\">{}</code></p>\
         <p>Offer <code id=\"offer_id\">{}</code>, sub id 1 <code id=\"sub_id_1\">{}</code></p></html>",
        shown("click_id"),
        shown("offer_id"),
        shown("s1"),
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
