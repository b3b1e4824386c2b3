//! Reports: the general one, and those that CAKE names, which are views of it.

mod request;
mod rows;
mod under;

use app::{Report, default_metrics};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use domain::access::Caller;
use domain::conversion_request::BadParameter;
use domain::report::{Attribute, TimeUnit};
use domain::report_query::{Dimension, GROUPS_MAX, Metric, ReportQuery, SortBy};
use hyper::header::{self, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::Web;
use crate::error::ApiError;
use crate::extract::{Keyed, KeyedDocument};
use crate::params::{Page, Params};

use self::rows::Rows;
pub(super) use self::under::{clicks, conversions};
use super::view::Answer;

/// The most rows of one page.
const ROWS_MAX: u32 = 10_000;
/// The parameters of a report beside its filters.
const PARAMETERS: [&str; 15] = [
    "start_date",
    "end_date",
    "group_by",
    "metrics",
    "sort_field",
    "sort_descending",
    "start_at_row",
    "row_limit",
    "time_zone",
    "clock",
    "compare",
    "compare_start_date",
    "compare_end_date",
    "links",
    "filters",
];

#[derive(Serialize)]
struct Answered {
    total_rows: u64,
    report: ReportView,
}

#[derive(Serialize)]
struct ReportView {
    columns: Vec<String>,
    rows: Vec<Json>,
    totals: Json,
    /// The one currency of all its money; `null` where rows have several.
    currency: Option<String>,
    time_zone: String,
    clock: &'static str,
}

/// A report of any dimensions.
pub(super) async fn general(State(web): State<Web>, KeyedDocument(keyed): KeyedDocument) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (query, report) = run(&web, &caller, &params, page).await?;
    let links = params.boolean("links")?.unwrap_or(false);
    let rows = Rows { query: &query, report: &report, metrics: named(&query.metrics), links };
    let view = ReportView {
        columns: rows.columns(),
        rows: rows.rows(),
        totals: rows.totals(),
        currency: rows.currency().map(|it| it.to_string()),
        time_zone: zone_name(&web, &params),
        clock: query.clock.name(),
    };
    Ok(web.listed(page, Answered { total_rows: report.table.total_rows, report: view }))
}

/// The same, all rows of it, for a spreadsheet.
pub(super) async fn csv(State(web): State<Web>, KeyedDocument(keyed): KeyedDocument) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = match params.get("row_limit") {
        Some(_) => params.page(ROWS_MAX)?,
        None => Page { limit: u32::try_from(GROUPS_MAX).unwrap_or(u32::MAX), ..params.page(ROWS_MAX)? },
    };
    let (query, report) = run(&web, &caller, &params, page).await?;
    let rows = Rows { query: &query, report: &report, metrics: named(&query.metrics), links: false };
    Ok(spreadsheet("report", rows.csv()))
}

async fn run(
    web: &Web,
    caller: &Caller,
    params: &Params,
    page: Page,
) -> Result<(ReportQuery, Report), ApiError> {
    let known: Vec<&str> = PARAMETERS.into_iter().chain(request::filter_names()).collect();
    params.only(&known)?;
    let revenue = caller.may_read()?.revenue;
    let query = request::query(params, &web.app.settings().zone, page, || default_metrics(revenue))?;
    let report = web.app.run_report(caller, query.clone()).await?;
    Ok((query, report))
}

fn named(metrics: &[Metric]) -> Vec<(&'static str, Metric)> {
    metrics.iter().map(|it| (it.name(), *it)).collect()
}

fn zone_name(web: &Web, params: &Params) -> String {
    params.get("time_zone").map_or_else(|| web.app.settings().zone_name.clone(), str::to_owned)
}

/// An answer that a browser saves as a file.
fn spreadsheet(name: &str, body: Vec<u8>) -> Response {
    let mut response = Body::from(body).into_response();
    let headers = response.headers_mut();
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}.csv\""));
    headers.insert(header::CONTENT_DISPOSITION, disposition.expect("plain ASCII"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A report that CAKE has a name for.
#[derive(Clone, Copy)]
enum Named {
    By(Attribute),
    SubId,
    Time(TimeUnit),
}

impl Named {
    fn of(name: &str) -> Option<(Self, &'static str)> {
        Some(match name {
            "offer" => (Self::By(Attribute::Offer), "offers"),
            "affiliate" => (Self::By(Attribute::Affiliate), "affiliates"),
            "advertiser" => (Self::By(Attribute::Advertiser), "advertisers"),
            "campaign" => (Self::By(Attribute::Campaign), "campaigns"),
            "creative" => (Self::By(Attribute::Creative), "creatives"),
            "country" => (Self::By(Attribute::Country), "countries"),
            "device" => (Self::By(Attribute::Device), "devices"),
            "subid" => (Self::SubId, "sub_ids"),
            "day" => (Self::Time(TimeUnit::Day), "days"),
            "hour" => (Self::Time(TimeUnit::Hour), "hours"),
            _ => return None,
        })
    }

    fn group_by(self, params: &Params) -> Result<Vec<Dimension>, BadParameter> {
        Ok(match self {
            Self::By(attribute) => vec![Dimension::Attribute(attribute)],
            Self::Time(unit) => vec![Dimension::Time(unit)],
            Self::SubId => {
                let number = params.whole("sub_id", 5)?.unwrap_or(1);
                let at = u8::try_from(number).ok().and_then(|it| it.checked_sub(1));
                let at = at.ok_or_else(|| BadParameter::invalid("sub_id", "1 to 5 is expected"))?;
                // A sub id means what its affiliate has it mean.
                vec![Dimension::Attribute(Attribute::Affiliate), Dimension::Attribute(Attribute::SubId(at))]
            }
        })
    }
}

/// What CAKE calls the figures of its reports.
const CAKE_METRICS: [(&str, Metric); 9] = [
    ("impressions", Metric::Impressions),
    ("clicks", Metric::Clicks),
    ("unique_clicks", Metric::UniqueClicks),
    ("conversions", Metric::Conversions),
    ("revenue", Metric::Revenue),
    ("cost", Metric::Payout),
    ("profit", Metric::Margin),
    ("cr", Metric::Cr),
    ("epc", Metric::Epc),
];

#[derive(Serialize)]
struct CakeReport {
    response: CakeResponse,
}

#[derive(Serialize)]
struct CakeResponse {
    data: Map<String, Json>,
    total_rows: u64,
    totals: Json,
}

/// A report as CAKE names and shapes it.
pub(super) async fn cake(State(web): State<Web>, Path(name): Path<String>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let name = name.strip_suffix(".json").ok_or_else(ApiError::not_found)?;
    let (named, list) = Named::of(name).ok_or_else(ApiError::not_found)?;
    let page = params.page(ROWS_MAX)?;
    let revenue = caller.may_read()?.revenue;
    let metrics: Vec<_> =
        CAKE_METRICS.into_iter().filter(|(_, metric)| revenue || !metric.tells_revenue()).collect();
    let group_by = named.group_by(&params)?;
    let sort = cake_sort(&params, &group_by, &metrics)?;
    let query = cake_query(&web, &params, page, group_by, sort, metrics.iter().map(|(_, it)| *it).collect())?;
    let report = web.app.run_report(&caller, query.clone()).await?;
    let links = params.boolean("links")?.unwrap_or(false);
    let rows = Rows { query: &query, report: &report, metrics, links };
    let data = Map::from_iter([(list.to_owned(), json!(rows.rows()))]);
    let response = CakeResponse { data, total_rows: report.table.total_rows, totals: rows.totals() };
    Ok(web.listed(page, CakeReport { response }))
}

/// The figure or dimension that a CAKE report is sorted by.
fn cake_sort(
    params: &Params,
    group_by: &[Dimension],
    metrics: &[(&'static str, Metric)],
) -> Result<Option<SortBy>, BadParameter> {
    let Some(field) = params.get("sort_field") else { return Ok(None) };
    let field = field.to_ascii_lowercase();
    let metric = metrics.iter().find(|(name, _)| *name == field).map(|(_, it)| SortBy::Metric(*it));
    let dimension = group_by.iter().find(|it| it.field() == field).map(|it| SortBy::Dimension(*it));
    metric.or(dimension).map(Some).ok_or_else(|| {
        let fields: Vec<_> =
            group_by.iter().map(|it| it.field()).chain(metrics.iter().map(|(name, _)| *name)).collect();
        BadParameter::invalid("sort_field", format!("not a sort field: use {}", fields.join(", ")))
    })
}

fn cake_query(
    web: &Web,
    params: &Params,
    page: Page,
    group_by: Vec<Dimension>,
    sort: Option<SortBy>,
    metrics: Vec<Metric>,
) -> Result<ReportQuery, BadParameter> {
    let zone = request::zone(params, &web.app.settings().zone)?;
    let (from, until) = request::range(params, &zone)?;
    Ok(ReportQuery {
        from,
        until,
        group_by,
        filters: request::filters(params)?,
        metrics,
        sort,
        descending: params.boolean("sort_descending")?.unwrap_or(false),
        offset: page.offset,
        limit: page.limit as usize,
        zone,
        clock: request::clock(params)?,
        compared_from: None,
        compared_until: None,
    })
}
