//! Changing conversions, one or many, and the list of what was changed.

use app::{
    AdjustConversion, AdjustedConversion, AdjustedMany, AdjustmentFilter, Foreseen, Left, Tally, Totals,
    WhichConversion,
};
use axum::extract::State;
use domain::adjustment::{Adjustment, Amend, Change, EffectiveDate, Standing, Worth};
use domain::conversion_query::ConversionFilter;
use domain::conversion_request::{BadParameter, TEXT_CHARS_MAX};
use domain::money::{Amount, Currency};
use domain::status::ConversionStatus;
use serde::Serialize;

use super::clicks::range;
use super::conversions::{ConversionView, listed_view, statuses};
use super::view::{Answer, Money};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

/// What a change is made of.
const CHANGE_FIELDS: &[&str] = &[
    "conversion_status",
    "payout",
    "add_payout",
    "revenue",
    "add_revenue",
    "note",
    "effective_date",
    "custom_date",
    "refuse_if_billed",
];
/// Which conversion.
const WHICH_FIELDS: &[&str] = &["conversion_id", "offer_id", "unique_id", "event_id"];
/// Which conversions. `conversion_status` is what they are to become, here as for one.
const FILTER_FIELDS: &[&str] = &[
    "start_date",
    "end_date",
    "offer_id",
    "affiliate_id",
    "advertiser_id",
    "updated_since",
    "current_status",
    "dry_run",
];

#[derive(Serialize)]
struct Updated {
    conversion: ConversionView,
    adjustment: Option<AdjustmentView>,
}

/// An adjustment. Revenue, and who made it, are left out for those who may not see it.
#[derive(Serialize)]
struct AdjustmentView {
    conversion_id: u64,
    adjustment: u32,
    offer_id: u32,
    adjustment_date: String,
    effective_date: String,
    cause: &'static str,
    batch_id: Option<u64>,
    note: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_name: Option<String>,
    before: StandingView,
    after: StandingView,
}

/// Where a conversion stood, and what it was worth as it stood.
#[derive(Serialize)]
struct StandingView {
    conversion_status: &'static str,
    payout: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    revenue: Option<Money>,
}

fn view(web: &Web, adjustment: Adjustment, revenue: bool) -> AdjustmentView {
    let standing = |standing: Standing| {
        let Worth { payout, revenue: due } = standing.worth();
        StandingView {
            conversion_status: standing.status.name(),
            payout: Money(payout),
            revenue: revenue.then_some(Money(due)),
        }
    };
    AdjustmentView {
        conversion_id: adjustment.conversion_id.0,
        adjustment: adjustment.booking,
        offer_id: adjustment.offer_id.0,
        adjustment_date: web.date(adjustment.made_at),
        effective_date: web.date(adjustment.effective),
        cause: adjustment.cause.name(),
        batch_id: adjustment.batch_id.map(|it| it.0),
        note: adjustment.note,
        key_name: revenue.then_some(adjustment.actor),
        before: standing(adjustment.before),
        after: standing(adjustment.after),
    }
}

fn updated(web: &Web, adjusted: AdjustedConversion) -> Updated {
    let AdjustedConversion { row, adjustment } = adjusted;
    Updated {
        conversion: listed_view(web, row, true),
        adjustment: adjustment.map(|adjustment| view(web, adjustment, true)),
    }
}

/// Changes one conversion.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[CHANGE_FIELDS, WHICH_FIELDS].concat())?;
    let which = which(&params)?;
    let adjusted = web.app.adjust_conversion(&caller, which, adjust(&web, &params)?).await?;
    Ok(web.success(updated(&web, adjusted)))
}

fn which(params: &Params) -> Result<WhichConversion, BadParameter> {
    let given = ["offer_id", "unique_id", "event_id"].into_iter().find(|name| params.get(name).is_some());
    match (params.id("conversion_id")?, given) {
        (Some(id), None) => Ok(WhichConversion::Id(id)),
        (Some(_), Some(name)) => Err(BadParameter::invalid(name, "conversion_id says which one already")),
        (None, None) => Err(BadParameter::missing("conversion_id")),
        (None, Some(_)) => Ok(WhichConversion::UniqueId {
            offer_id: params.required_id("offer_id")?,
            unique_id: params.required("unique_id")?,
            event_id: params.id("event_id")?,
        }),
    }
}

fn adjust(web: &Web, params: &Params) -> Result<AdjustConversion, BadParameter> {
    let change = Change {
        status: status(params)?,
        payout: amend(params, "payout", "add_payout")?,
        revenue: amend(params, "revenue", "add_revenue")?,
    };
    if change == Change::default() {
        let problem = "nothing is to change; give this, payout, add_payout, revenue or add_revenue";
        return Err(BadParameter::invalid("conversion_status", problem));
    }
    Ok(AdjustConversion {
        change,
        effective: effective(web, params)?,
        refuse_if_stated: params.boolean("refuse_if_billed")?.unwrap_or(false),
        note: note(params)?,
    })
}

fn status(params: &Params) -> Result<Option<ConversionStatus>, BadParameter> {
    let name = "conversion_status";
    let read = |word: &str| word.trim().to_ascii_lowercase().parse();
    params.get(name).map(|word| read(word).map_err(|error| BadParameter::invalid(name, error))).transpose()
}

/// The amount itself, or what is added to it.
fn amend(params: &Params, set: &str, add: &str) -> Result<Option<Amend>, BadParameter> {
    let more = |text| Amount::parse_difference(text).map_err(|error| BadParameter::invalid(add, error));
    match (params.parse(set)?, params.get(add).map(more).transpose()?) {
        (Some(_), Some(_)) => Err(BadParameter::invalid(add, format!("{set} says something else"))),
        (Some(amount), None) => Ok(Some(Amend::Set(amount))),
        (None, more) => Ok(more.map(Amend::Add)),
    }
}

fn effective(web: &Web, params: &Params) -> Result<EffectiveDate, BadParameter> {
    let zone = &web.app.settings().zone;
    let custom = params.date("custom_date", zone)?.map(|it| it.start(zone));
    match (params.get("effective_date").unwrap_or("today"), custom) {
        ("custom", Some(at)) => Ok(EffectiveDate::Custom(at)),
        ("custom", None) => Err(BadParameter::missing("custom_date")),
        ("today" | "conversion_date", Some(_)) => {
            Err(BadParameter::invalid("custom_date", "only with effective_date custom"))
        }
        ("today", None) => Ok(EffectiveDate::Today),
        ("conversion_date", None) => Ok(EffectiveDate::ConversionDate),
        _ => Err(BadParameter::invalid("effective_date", "use today, conversion_date or custom")),
    }
}

pub(super) fn note(params: &Params) -> Result<String, BadParameter> {
    let note = params.get("note").unwrap_or_default();
    if note.chars().count() > TEXT_CHARS_MAX {
        return Err(BadParameter::invalid("note", format!("at most {TEXT_CHARS_MAX} characters")));
    }
    Ok(note.to_owned())
}

#[derive(Serialize)]
struct Previewed {
    preview: Preview,
}

#[derive(Serialize)]
struct Preview {
    #[serde(flatten)]
    tally: TallyView,
    totals: Vec<TotalsView>,
    sample: Vec<Updated>,
}

#[derive(Serialize)]
struct Adjusted {
    batch: BatchView,
}

#[derive(Serialize)]
struct BatchView {
    batch_id: Option<u64>,
    #[serde(flatten)]
    tally: TallyView,
}

/// How many conversions change, are as asked already, or are left alone; of the last, why.
#[derive(Serialize)]
struct TallyView {
    adjustments: u64,
    unchanged: u64,
    refused: u64,
    refused_by_reason: ReasonsView,
}

#[derive(Serialize)]
struct ReasonsView {
    status_not_allowed: u64,
    amount_out_of_range: u64,
    already_billed: u64,
}

/// What conversions are worth before and after, without those that are refused.
#[derive(Serialize)]
struct TotalsView {
    currency: String,
    payout_before: Money,
    payout_after: Money,
    revenue_before: Money,
    revenue_after: Money,
}

fn tally_view(tally: Tally) -> TallyView {
    let Left { by_status, by_amount, stated } = tally.left;
    TallyView {
        adjustments: tally.adjusted,
        unchanged: tally.unchanged,
        refused: tally.left.all(),
        refused_by_reason: ReasonsView {
            status_not_allowed: by_status,
            amount_out_of_range: by_amount,
            already_billed: stated,
        },
    }
}

fn totals_view((currency, totals): (Currency, Totals)) -> TotalsView {
    TotalsView {
        currency: currency.to_string(),
        payout_before: Money(totals.before.payout),
        payout_after: Money(totals.after.payout),
        revenue_before: Money(totals.before.revenue),
        revenue_after: Money(totals.after.revenue),
    }
}

/// Changes all conversions that match, or tells what would become of them.
pub(super) async fn adjust_all(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[CHANGE_FIELDS, FILTER_FIELDS].concat())?;
    let (filter, adjust) = (filter(&web, &params)?, adjust(&web, &params)?);
    if params.boolean("dry_run")?.unwrap_or(true) {
        let Foreseen { tally, totals, sample } = web.app.preview_adjustments(&caller, filter, adjust).await?;
        let preview = Preview {
            tally: tally_view(tally),
            totals: totals.into_iter().map(totals_view).collect(),
            sample: sample.into_iter().map(|it| updated(&web, it)).collect(),
        };
        return Ok(web.success(Previewed { preview }));
    }
    let AdjustedMany { batch_id, tally } = web.app.adjust_conversions(&caller, filter, adjust).await?;
    let batch = BatchView { batch_id: batch_id.map(|it| it.0), tally: tally_view(tally) };
    Ok(web.success(Adjusted { batch }))
}

fn filter(web: &Web, params: &Params) -> Result<ConversionFilter, BadParameter> {
    for name in ["start_date", "end_date"] {
        params.get(name).ok_or_else(|| BadParameter::missing(name))?;
    }
    let zone = &web.app.settings().zone;
    let (from, until) = range(params, zone)?;
    Ok(ConversionFilter {
        from,
        until,
        offer_id: params.id("offer_id")?,
        affiliate_id: params.id("affiliate_id")?,
        advertiser_id: params.id("advertiser_id")?,
        statuses: statuses(params, "current_status")?,
        updated_since: params.date("updated_since", zone)?.map(|it| it.start(zone)),
        ..ConversionFilter::default()
    })
}

#[derive(Serialize)]
struct Page {
    total_rows: u64,
    adjustments: Vec<AdjustmentView>,
}

/// Lists adjustments in the order they were made.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (from, until) = range(&params, &web.app.settings().zone)?;
    let filter = AdjustmentFilter {
        conversion_id: params.id("conversion_id")?,
        offer_id: params.id("offer_id")?,
        affiliate_id: params.id("affiliate_id")?,
        batch_id: params.id("batch_id")?,
        from,
        until,
    };
    let found = web.app.list_adjustments(&caller, filter, page.offset, page.limit).await?;
    let rows = found.page.rows.into_iter().map(|it| view(&web, it, found.revenue)).collect();
    Ok(web.listed(page, Page { total_rows: found.page.total, adjustments: rows }))
}
