//! Statements, which the API calls invoices as CAKE does: closing them, lists, and one as JSON, as a
//! sheet (`sheet`) or as a page to print (`page`).

mod page;
mod sheet;

use app::{Failure, StatementFilter, StatementLine, StatementLines, StatementRow};
use axum::extract::State;
use domain::access::Caller;
use domain::conversion_request::BadParameter;
use domain::ids::StatementId;
use domain::statement::{Party, Statement};
use futures_util::stream::{self, Stream};
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::clicks::range;
use super::forms::{attachment, streamed};
use super::paper;
use super::parties::{PartyView, account, party, party_view};
use super::view::{Answer, Money};
use crate::Web;
use crate::error::ApiError;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

#[derive(Serialize)]
struct One {
    invoice: InvoiceView,
}

#[derive(Serialize)]
struct WithLines {
    invoice: InvoiceView,
    total_rows: u64,
    lines: Vec<LineView>,
}

#[derive(Serialize)]
struct List {
    total_rows: u64,
    invoices: Vec<InvoiceView>,
}

#[derive(Serialize)]
struct InvoiceView {
    invoice_id: u64,
    #[serde(flatten)]
    party: PartyView,
    invoice_date: String,
    start_date: Option<String>,
    end_date: String,
    lines: u64,
    total: Money,
    currency: String,
}

/// A line, with its amount as the party reads it.
#[derive(Serialize)]
struct LineView {
    conversion_id: u64,
    adjustment: u32,
    offer_id: u32,
    conversion_date: String,
    effective_date: String,
    unique_id: String,
    amount: Money,
    note: String,
}

fn view(web: &Web, row: StatementRow) -> InvoiceView {
    let StatementRow { statement, party_name } = row;
    InvoiceView {
        invoice_id: statement.id.0,
        party: party_view(statement.party, party_name),
        invoice_date: web.date(statement.closed_at),
        start_date: statement.from.map(|it| web.date(it)),
        end_date: web.date(last_moment(&statement)),
        lines: statement.lines,
        total: Money(statement.total),
        currency: statement.currency.to_string(),
    }
}

/// Dates print to the second, and the end of a range is the last second in it.
fn last_moment(statement: &Statement) -> Timestamp {
    statement.until.saturating_sub(1.microsecond()).unwrap_or(statement.until)
}

fn line_view(web: &Web, party: Party, line: StatementLine) -> LineView {
    LineView {
        conversion_id: line.entry.conversion_id.0,
        adjustment: line.entry.booking,
        offer_id: line.entry.offer_id.0,
        conversion_date: web.date(line.conversion_date),
        effective_date: web.date(line.entry.effective),
        unique_id: line.unique_id,
        amount: Money(party.reads(line.entry.line.amount)),
        note: line.note,
    }
}

/// Closes a statement.
pub(super) async fn close(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["affiliate_id", "advertiser_id", "currency", "end_date"])?;
    let party = party(&params)?.ok_or_else(|| BadParameter::missing("affiliate_id"))?;
    let zone = &web.app.settings().zone;
    let until = params.date("end_date", zone)?.ok_or_else(|| BadParameter::missing("end_date"))?.end(zone);
    let closed = web.app.close_statement(&caller, party, params.parse("currency")?, until).await?;
    Ok(web.success(One { invoice: view(&web, closed) }))
}

/// Lists statements, the latest first.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (from, until) = range(&params, &web.app.settings().zone)?;
    let filter = StatementFilter { party: party(&params)?, account: account(&params)?, from, until };
    let found = web.app.list_statements(&caller, filter, page.offset, page.limit).await?;
    let invoices = found.rows.into_iter().map(|it| view(&web, it)).collect();
    Ok(web.listed(page, List { total_rows: found.total, invoices }))
}

/// One statement with a page of its lines.
pub(super) async fn one(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let (page, id) = (params.page(ROWS_MAX)?, invoice_id(&params)?);
    let found = web.app.find_statement(&caller, id, page.offset, page.limit).await?;
    let (row, lines) = found.ok_or_else(ApiError::invoice_not_found)?;
    let (party, total_rows) = (row.statement.party, row.statement.lines);
    let lines = lines.into_iter().map(|it| line_view(&web, party, it)).collect();
    Ok(web.listed(page, WithLines { invoice: view(&web, row), total_rows, lines }))
}

fn invoice_id(params: &Params) -> Result<StatementId, BadParameter> {
    params.required_id("invoice_id")
}

/// One statement with all its lines, for a spreadsheet.
pub(super) async fn csv(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let (row, lines) = read(&web, &caller, &params).await?;
    let disposition = attachment(&format!("invoice-{}.csv", row.statement.id));
    let sheet = sheet::Sheet::new(web, row.statement);
    Ok(streamed(portions(lines), sheet, "text/csv; charset=utf-8", disposition))
}

/// One statement with all its lines, to be printed.
pub(super) async fn html(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let (row, lines) = read(&web, &caller, &params).await?;
    Ok(streamed(portions(lines), page::Page::new(web, row), "text/html; charset=utf-8", paper::policy()))
}

/// The lines of a statement, some at a time.
fn portions(lines: StatementLines) -> impl Stream<Item = Result<Vec<StatementLine>, Failure>> + Send {
    stream::unfold(lines, |mut lines| async move { Some((lines.next().await?, lines)) })
}

async fn read(
    web: &Web,
    caller: &Caller,
    params: &Params,
) -> Result<(StatementRow, StatementLines), ApiError> {
    let found = web.app.read_statement(caller, invoice_id(params)?).await?;
    found.ok_or_else(ApiError::invoice_not_found)
}
