//! Batches: what came in one go.

use app::Batch;
use axum::extract::State;
use serde::Serialize;

use super::view::Answer;
use crate::Web;
use crate::extract::Keyed;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

#[derive(Serialize)]
struct Page {
    total_rows: u64,
    batches: Vec<BatchView>,
}

#[derive(Serialize)]
struct BatchView {
    batch_id: u64,
    batch_type: &'static str,
    batch_date: String,
    key_name: String,
    note: String,
    conversions: u64,
    adjustments: u64,
    undo_date: Option<String>,
    undo_key_name: Option<String>,
}

fn view(web: &Web, batch: Batch) -> BatchView {
    let (undo_date, undo_key_name) = batch.undone.map(|(at, by)| (web.date(at), by)).unzip();
    BatchView {
        batch_id: batch.id.0,
        batch_type: batch.batch_type.name(),
        batch_date: web.date(batch.made_at),
        key_name: batch.author.name,
        note: batch.note,
        conversions: batch.conversions,
        adjustments: batch.adjustments,
        undo_date,
        undo_key_name,
    }
}

/// Lists batches, the newest first.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let found = web.app.list_batches(&caller, page.offset, page.limit).await?;
    let batches = found.rows.into_iter().map(|it| view(&web, it)).collect();
    Ok(web.listed(page, Page { total_rows: found.total, batches }))
}

#[derive(Serialize)]
struct Undone {
    batch: UndoneView,
}

#[derive(Serialize)]
struct UndoneView {
    batch_id: u64,
    adjustments: u64,
}

/// Takes a batch back.
pub(super) async fn undo(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["batch_id"])?;
    let id: domain::ids::BatchId = params.required_id("batch_id")?;
    let adjustments = web.app.undo_batch(&caller, id).await?;
    Ok(web.success(Undone { batch: UndoneView { batch_id: id.0, adjustments } }))
}
