//! Suppression lists. What is on them is never shown: the lists themselves hold only fingerprints.

use app::Suppressed;
use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::ids::OfferId;
use domain::suppression::{OnSuppressed, SuppressionCount, SuppressionKind};
use serde::Serialize;

use super::view::{Answer, cut};
use crate::Web;
use crate::extract::Keyed;
use crate::params::{Params, VALUES};

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

#[derive(Serialize)]
struct One {
    suppression: SuppressionView,
}

/// What a call did to a list.
#[derive(Serialize)]
struct SuppressionView {
    offer_id: Option<u32>,
    kind: &'static str,
    #[serde(flatten)]
    done: Done,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Done {
    Suppressed { action: &'static str, suppressed: u64 },
    Removed { removed: u64 },
}

#[derive(Serialize)]
struct Page {
    suppressions: Vec<CountView>,
    total_rows: u64,
}

#[derive(Serialize)]
struct CountView {
    offer_id: Option<u32>,
    kind: &'static str,
    action: &'static str,
    count: u64,
}

/// Puts values on the list of an offer, or of all offers; with `remove` takes them off it.
pub(super) async fn change(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&["offer_id", "kind", VALUES, "action", "remove"])?;
    let (offer_id, kind) = (params.id::<OfferId>("offer_id")?, params.required("kind")?);
    let people = people(&params, kind)?;
    let done = if params.boolean("remove")?.unwrap_or(false) {
        Done::Removed { removed: web.app.unsuppress(&caller, offer_id, people).await? }
    } else {
        let action: OnSuppressed = params.required("action")?;
        let suppressed = web.app.suppress(&caller, offer_id, people, action).await?;
        Done::Suppressed { action: action.name(), suppressed }
    };
    let suppression = SuppressionView { offer_id: offer_id.map(|id| id.0), kind: kind.name(), done };
    Ok(web.success(One { suppression }))
}

/// Lists how many values of a kind each list holds.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let offer_id = params.id::<OfferId>("offer_id")?;
    let kind = params.parse("kind")?;
    let mut found = web.app.count_suppressions(&caller).await?;
    found.retain(|it| {
        offer_id.is_none_or(|id| Some(id) == it.offer_id)
            && kind.is_none_or(|kind: SuppressionKind| kind == it.kind)
    });
    let (total_rows, rows) = cut(found, page);
    Ok(web.listed(page, Page { suppressions: rows.iter().map(view).collect(), total_rows }))
}

fn view(it: &SuppressionCount) -> CountView {
    CountView {
        offer_id: it.offer_id.map(|id| id.0),
        kind: it.kind.name(),
        action: it.action.name(),
        count: it.count,
    }
}

fn people(params: &Params, kind: SuppressionKind) -> Result<Suppressed, BadParameter> {
    let list = params.get(VALUES).ok_or_else(|| BadParameter::missing(VALUES))?;
    let values = list.split(',').map(str::trim).filter(|value| !value.is_empty());
    Suppressed::read(kind, values).map_err(|error| BadParameter::invalid(VALUES, error))
}
