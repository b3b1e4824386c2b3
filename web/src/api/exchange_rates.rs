//! What other currencies cost in the network's, from a date on.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::money::Currency;
use domain::network::DatedRate;
use serde::Serialize;
use serde_json::Number;

use super::view::{Answer, cut};
use crate::Web;
use crate::extract::Keyed;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

#[derive(Serialize)]
struct One {
    exchange_rate: ExchangeRateView,
}

#[derive(Serialize)]
struct Page {
    exchange_rates: Vec<ExchangeRateView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct ExchangeRateView {
    currency: String,
    rate: Number,
    effective_date: String,
}

fn view(web: &Web, dated: &DatedRate) -> ExchangeRateView {
    ExchangeRateView {
        currency: dated.currency.to_string(),
        rate: dated.rate.to_string().parse().expect("a rate prints as a number"),
        effective_date: web.date(dated.effective),
    }
}

/// Says what a currency costs from a date on, by default from now on.
pub(super) async fn set(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["currency", "rate", "effective_date"])?;
    let zone = &web.app.settings().zone;
    let dated = DatedRate {
        currency: params.required("currency")?,
        rate: params.required("rate")?,
        effective: params.date("effective_date", zone)?.map_or_else(|| web.app.now(), |it| it.start(zone)),
    };
    if dated.currency == web.app.settings().currency {
        let problem = "the network's own currency always costs 1";
        return Err(BadParameter::invalid("currency", problem).into());
    }
    let dated = web.app.set_exchange_rate(&caller, dated).await?;
    Ok(web.success(One { exchange_rate: view(&web, &dated) }))
}

/// Lists rates, by currency and date.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let currency = params.parse("currency")?;
    let wanted = |it: &DatedRate| currency.is_none_or(|currency: Currency| currency == it.currency);
    let (total_rows, rows) = cut(web.app.list_exchange_rates(&caller, wanted)?, page);
    let exchange_rates = rows.iter().map(|it| view(&web, it)).collect();
    Ok(web.listed(page, Page { exchange_rates, total_rows }))
}
