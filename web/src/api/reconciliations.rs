//! Reconciliations: an advertiser's file beside our conversions; one as JSON, as a sheet (`sheet`) or as a
//! page to print (`page`); and accepting what differs.

mod page;
mod sheet;

use app::{
    AcceptReconciliation, ColumnMap, DATE_TOLERANCE_HOURS_MAX, Failure, Reconcile, ReconciliationRow,
    ReconciliationRows, ReconciliationView,
};
use axum::extract::State;
use axum::response::Response;
use domain::access::Caller;
use domain::conversion_request::BadParameter;
use domain::ids::ReconciliationId;
use domain::money::Amount;
use domain::reconciliation::RowClass;
use domain::reconciliation::bridge::{BridgeLine, Total};
use domain::status::ConversionStatus;
use futures_util::stream::{self, Stream};
use jiff::{Timestamp, ToSpan};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::adjustments::note;
use super::forms::{attachment, streamed};
use super::paper;
use super::view::{Answer, Money};
use crate::Web;
use crate::error::ApiError;
use crate::extract::{Keyed, KeyedUpload};
use crate::params::{CLASSES, Page, Params};

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;
/// The longest format of dates, in characters.
const FORMAT_CHARS_MAX: usize = 60;

#[derive(Serialize)]
struct One {
    reconciliation: View,
}

#[derive(Serialize)]
struct View {
    reconciliation_id: u64,
    counts: Map<String, Value>,
    bridge: Vec<BridgeView>,
    total_rows: u64,
    rows: Vec<RowView>,
    remarks: Vec<String>,
    advertiser_id: u32,
    advertiser_name: String,
    start_date: String,
    end_date: String,
    reconciliation_date: String,
    key_name: String,
    note: String,
    batch_id: Option<u64>,
}

#[derive(Serialize)]
struct BridgeView {
    step: &'static str,
    rows: u64,
    amount: TotalNumber,
    currency: String,
    text: &'static str,
}

/// A total as a JSON number.
struct TotalNumber(Total);

impl Serialize for TotalNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: serde_json::Number = self.0.to_string().parse().expect("a total prints as a number");
        number.serialize(serializer)
    }
}

#[derive(Serialize)]
struct RowView {
    line: Option<u64>,
    class: &'static str,
    reason: String,
    conversion_id: Option<u64>,
    unique_id: String,
    their_amount: Option<Money>,
    our_amount: Option<Money>,
    their_status: Option<&'static str>,
    our_status: Option<&'static str>,
    reason_code: String,
    order_id: String,
    click_id: String,
    their_currency: Option<String>,
    our_currency: Option<String>,
    their_date: Option<String>,
    our_date: Option<String>,
    their_payout: Option<Money>,
}

fn row_view(web: &Web, row: ReconciliationRow) -> RowView {
    RowView {
        line: row.line,
        class: row.class.name(),
        reason: row.reason,
        conversion_id: row.conversion_id.map(|id| id.0),
        unique_id: row.unique_id,
        their_amount: row.their_amount.map(Money),
        our_amount: row.our_amount.map(Money),
        their_status: row.their_status.map(ConversionStatus::name),
        our_status: row.our_status.map(ConversionStatus::name),
        reason_code: row.code,
        order_id: row.order_id,
        click_id: row.click_id,
        their_currency: row.their_currency.map(|it| it.to_string()),
        our_currency: row.our_currency.map(|it| it.to_string()),
        their_date: row.their_date.map(|it| web.date(it)),
        our_date: row.our_date.map(|it| web.date(it)),
        their_payout: row.their_payout.map(Money),
    }
}

fn bridge_view(line: &BridgeLine) -> BridgeView {
    BridgeView {
        step: line.step.name(),
        rows: line.rows,
        amount: TotalNumber(line.amount),
        currency: line.currency.to_string(),
        text: line.step.text(),
    }
}

fn view(web: &Web, found: ReconciliationView, total_rows: u64, rows: Vec<ReconciliationRow>) -> View {
    let ReconciliationView { reconciliation: it, advertiser_name } = found;
    let counts = it.reconciled.counts.iter().map(|(class, rows)| (class.name().to_owned(), (*rows).into()));
    View {
        reconciliation_id: it.id.0,
        counts: counts.collect(),
        bridge: it.reconciled.bridge.iter().map(bridge_view).collect(),
        total_rows,
        rows: rows.into_iter().map(|row| row_view(web, row)).collect(),
        remarks: it.reconciled.remarks,
        advertiser_id: it.begun.advertiser_id.0,
        advertiser_name,
        start_date: web.date(it.begun.from),
        end_date: web.date(last_moment(it.begun.until)),
        reconciliation_date: web.date(it.made_at),
        key_name: it.begun.author.name,
        note: it.begun.note,
        batch_id: it.batch_id.map(|id| id.0),
    }
}

/// Dates print to the second, and the end of a range is the last second in it.
fn last_moment(until: Timestamp) -> Timestamp {
    until.saturating_sub(1.microsecond()).unwrap_or(until)
}

/// Puts a file beside our conversions.
pub(super) async fn reconcile(State(web): State<Web>, keyed: KeyedUpload) -> Answer {
    let KeyedUpload { caller, params, name, upload } = keyed;
    params.only(&[
        "advertiser_id",
        "start_date",
        "end_date",
        "map",
        "tolerance",
        "date_tolerance",
        "date_format",
        "time_zone",
        "currency",
        "note",
        "start_at_row",
        "row_limit",
    ])?;
    let page = params.page(ROWS_MAX)?;
    let ask = ask(&web, &params, name)?;
    let id = web.app.reconcile(&caller, upload, ask).await?;
    answer(&web, &caller, id, Vec::new(), page).await
}

fn ask(web: &Web, params: &Params, name: Option<String>) -> Result<Reconcile, BadParameter> {
    let zone = &web.app.settings().zone;
    let date = |name| params.date(name, zone)?.ok_or_else(|| BadParameter::missing(name));
    let own = note(params)?;
    let date_format = params.get("date_format").map(str::to_owned);
    if date_format.as_ref().is_some_and(|it| it.chars().count() > FORMAT_CHARS_MAX) {
        return Err(BadParameter::invalid("date_format", format!("at most {FORMAT_CHARS_MAX} characters")));
    }
    let name = || name.map(|it| it.chars().filter(|c| !c.is_control()).take(100).collect());
    Ok(Reconcile {
        advertiser_id: params.required_id("advertiser_id")?,
        start: date("start_date")?,
        end: date("end_date")?,
        map: ColumnMap::read(params.get("map").unwrap_or_default())?,
        tolerance: params.parse("tolerance")?.unwrap_or(Amount::ZERO),
        date_tolerance_hours: params.whole("date_tolerance", DATE_TOLERANCE_HOURS_MAX)?.unwrap_or(0),
        date_format,
        time_zone: params.parse("time_zone")?,
        currency: params.parse("currency")?,
        note: Some(own).filter(|it| !it.is_empty()).or_else(name).unwrap_or_default(),
    })
}

async fn answer(
    web: &Web,
    caller: &Caller,
    id: ReconciliationId,
    classes: Vec<RowClass>,
    page: Page,
) -> Answer {
    let found = web.app.find_reconciliation(caller, id, classes, page.offset, page.limit).await?;
    let (found, rows) = found.ok_or_else(ApiError::reconciliation_not_found)?;
    let reconciliation = view(web, found, rows.total, rows.rows);
    Ok(web.listed(page, One { reconciliation }))
}

/// One reconciliation with a page of its rows.
pub(super) async fn one(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_read_all()?;
    params.only(&["reconciliation_id", CLASSES, "start_at_row", "row_limit"])?;
    let (page, id) = (params.page(ROWS_MAX)?, params.required_id("reconciliation_id")?);
    answer(&web, &caller, id, classes(&params)?, page).await
}

fn classes(params: &Params) -> Result<Vec<RowClass>, BadParameter> {
    let read = |word: &str| word.trim().parse().map_err(|error| BadParameter::invalid(CLASSES, error));
    params.get(CLASSES).unwrap_or_default().split(',').filter(|it| !it.trim().is_empty()).map(read).collect()
}

/// One reconciliation with all its rows, for a spreadsheet.
pub(super) async fn csv(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let wanted = classes(&params)?;
    let (found, rows) = read(&web, &caller, &params, wanted).await?;
    let disposition = attachment(&format!("reconciliation-{}.csv", found.reconciliation.id));
    Ok(sent(rows, sheet::Sheet::new(web), "text/csv; charset=utf-8", disposition))
}

/// One reconciliation with the rows that differ, to be printed.
pub(super) async fn html(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let mut wanted = classes(&params)?;
    if wanted.is_empty() {
        wanted = RowClass::ALL.iter().copied().filter(|it| *it != RowClass::Matched).collect();
    }
    let (found, rows) = read(&web, &caller, &params, wanted).await?;
    Ok(sent(rows, page::Page::new(web, found), "text/html; charset=utf-8", paper::policy()))
}

async fn read(
    web: &Web,
    caller: &Caller,
    params: &Params,
    classes: Vec<RowClass>,
) -> Result<(ReconciliationView, ReconciliationRows), ApiError> {
    caller.may_read_all()?;
    params.only(&["reconciliation_id", CLASSES])?;
    let id = params.required_id("reconciliation_id")?;
    let found = web.app.read_reconciliation(caller, id, classes).await?;
    found.ok_or_else(ApiError::reconciliation_not_found)
}

fn sent(
    rows: ReconciliationRows,
    form: impl super::forms::Form<Line = ReconciliationRow>,
    content_type: &'static str,
    more: (hyper::header::HeaderName, hyper::header::HeaderValue),
) -> Response {
    streamed(portions(rows), form, content_type, more)
}

/// The rows of a reconciliation, some at a time.
fn portions(rows: ReconciliationRows) -> impl Stream<Item = Result<Vec<ReconciliationRow>, Failure>> + Send {
    stream::unfold(rows, |mut rows| async move { Some((rows.next().await?, rows)) })
}

#[derive(Serialize)]
struct Accepted {
    batch: AcceptedView,
}

#[derive(Serialize)]
struct AcceptedView {
    batch_id: Option<u64>,
    adjustments: u64,
    conversions: u64,
    unchanged: u64,
    changed_since: u64,
    without_click: u64,
    refused: u64,
    dry_run: bool,
}

/// Accepts what differs.
pub(super) async fn accept(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["reconciliation_id", CLASSES, "dry_run", "note"])?;
    let id: ReconciliationId = params.required_id("reconciliation_id")?;
    let is_dry_run = params.boolean("dry_run")?.unwrap_or(false);
    let own = note(&params)?;
    let note = if own.is_empty() { format!("reconciliation {id}") } else { own };
    let accept = AcceptReconciliation { id, classes: classes(&params)?, is_dry_run, note };
    let accepted = web.app.accept_reconciliation(&caller, accept).await?;
    Ok(web.success(Accepted {
        batch: AcceptedView {
            batch_id: accepted.batch_id.map(|id| id.0),
            adjustments: accepted.adjustments,
            conversions: accepted.conversions,
            unchanged: accepted.unchanged,
            changed_since: accepted.changed_since,
            without_click: accepted.without_click,
            refused: accepted.refused,
            dry_run: is_dry_run,
        },
    }))
}
