//! Importing conversions from a file.

use app::{AdjustConversionError, ImportConversions, ImportedRow, RowOutcome, RowReason};
use axum::extract::State;
use domain::conversion_request::BadParameter;
use serde::Serialize;

use super::adjustments::note;
use super::view::Answer;
use crate::Web;
use crate::error::ApiError;
use crate::extract::KeyedFile;
use crate::params::Params;

#[derive(Serialize)]
struct Import {
    import: ImportView,
}

#[derive(Serialize)]
struct ImportView {
    batch_id: Option<u64>,
    dry_run: bool,
    rows: usize,
    recorded: usize,
    repeated: usize,
    adjusted: usize,
    unchanged: usize,
    refused: usize,
    unreadable: usize,
    results: Vec<RowView>,
}

/// What became of a row.
#[derive(Serialize)]
struct RowView {
    line: u64,
    outcome: &'static str,
    conversion_id: Option<u64>,
    reason: Option<String>,
}

/// Imports a file, or tells what would become of it.
pub(super) async fn conversions(State(web): State<Web>, keyed: KeyedFile) -> Answer {
    let KeyedFile { caller, params, file } = keyed;
    params.only(&["dry_run", "batch_id", "note", "ignore_unknown", "fire_postbacks", "first_line"])?;
    let import = ImportConversions {
        text: file.into(),
        is_dry_run: params.boolean("dry_run")?.unwrap_or(true),
        batch_id: params.id("batch_id")?,
        note: note(&params)?,
        ignore_unknown: params.boolean("ignore_unknown")?.unwrap_or(false),
        fire_postbacks: params.boolean("fire_postbacks")?.unwrap_or(true),
        first_line: first_line(&params)?,
    };
    let dry_run = import.is_dry_run;
    let imported = web.app.import_conversions(&caller, import).await?;
    let count = |outcome| imported.rows.iter().filter(|it| it.outcome == outcome).count();
    let import = ImportView {
        batch_id: imported.batch_id.map(|id| id.0),
        dry_run,
        rows: imported.rows.len(),
        recorded: count(RowOutcome::Recorded),
        repeated: count(RowOutcome::Repeated),
        adjusted: count(RowOutcome::Adjusted),
        unchanged: count(RowOutcome::Unchanged),
        refused: count(RowOutcome::Refused),
        unreadable: count(RowOutcome::Unreadable),
        results: imported.rows.iter().map(row_view).collect(),
    };
    Ok(web.success(Import { import }))
}

fn first_line(params: &Params) -> Result<Option<u64>, BadParameter> {
    let line = params.id("first_line")?;
    if line.is_some_and(|line| !(1..=u64::from(u32::MAX)).contains(&line)) {
        let problem = format!("a whole number, 1 to {}, is expected", u32::MAX);
        return Err(BadParameter::invalid("first_line", problem));
    }
    Ok(line)
}

fn row_view(row: &ImportedRow) -> RowView {
    let reason = row.reason.as_ref().map(|reason| match reason {
        RowReason::Unreadable(problem) => problem.clone(),
        RowReason::Refused(refusal) => ApiError::from(*refusal).reason(),
        RowReason::NotAdjusted(id, why) => ApiError::from(AdjustConversionError::of(*id, *why)).reason(),
        RowReason::Remark(text) => (*text).to_owned(),
    });
    RowView {
        line: row.line,
        outcome: row.outcome.name(),
        conversion_id: row.conversion_id.map(|id| id.0),
        reason,
    }
}
