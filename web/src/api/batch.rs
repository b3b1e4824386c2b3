//! Many conversion calls in one request.

use app::{RecordConversionError, RecordedConversion, SentCall};
use axum::extract::State;
use domain::details::Door;
use serde::Serialize;

use super::conversions::{RecordedView, recorded_view};
use super::view::Answer;
use crate::Web;
use crate::error::{ApiError, ERROR, ErrorView};
use crate::extract::KeyedRows;

#[derive(Serialize)]
struct Batch<'e> {
    recorded: usize,
    repeated: usize,
    refused: usize,
    results: Vec<RowView<'e>>,
}

/// What became of one call: `row` says which.
#[derive(Serialize)]
#[serde(untagged)]
enum RowView<'e> {
    Recorded { row: usize, request_status: &'static str, conversion: Box<RecordedView> },
    Refused { row: usize, request_status: &'static str, error: ErrorView<'e> },
}

/// Records conversions, each as if it had come alone.
pub(super) async fn record(State(web): State<Web>, keyed: KeyedRows) -> Answer {
    let KeyedRows { caller, rows } = keyed;
    let calls = rows.iter().map(|row| SentCall {
        sent: &row.params,
        problem: row.problem.clone(),
        raw: row.params.raw(),
        door: Door::Batch,
    });
    let outcomes = web.app.record_conversions(&caller, calls.collect()).await?;
    let outcomes: Vec<Result<RecordedConversion, ApiError>> =
        outcomes.into_iter().map(|it| it.map_err(|error: RecordConversionError| error.into())).collect();
    let (recorded, refused): (Vec<_>, Vec<_>) = outcomes.iter().partition(|it| it.is_ok());
    let repeated = recorded.iter().filter(|it| it.as_ref().is_ok_and(|it| it.repeated)).count();
    Ok(web.success(Batch {
        recorded: recorded.len() - repeated,
        repeated,
        refused: refused.len(),
        results: outcomes.iter().enumerate().map(|(row, outcome)| row_view(&web, row, outcome)).collect(),
    }))
}

fn row_view<'e>(web: &Web, row: usize, outcome: &'e Result<RecordedConversion, ApiError>) -> RowView<'e> {
    match outcome {
        Ok(recorded) => RowView::Recorded {
            row,
            request_status: "Success",
            conversion: Box::new(recorded_view(web, recorded.clone())),
        },
        Err(error) => RowView::Refused { row, request_status: ERROR, error: error.view() },
    }
}
