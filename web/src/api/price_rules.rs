//! Price rules.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::ids::{CampaignId, OfferId, PriceRuleId};
use domain::network_change::{CreatePriceRule, PriceRuleChange};
use domain::pricing::{PRICE_TARGETS, PriceCondition, PriceRule, Side};
use domain::targeting::RuleStatus;
use serde::Serialize;
use serde_json::{Map, Value};

use super::fields::{PriceView, optional_rate, price_view, rate_change};
use super::rules::POSITION_MAX;
use super::view::{Answer, cut};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;

/// Everything about a price rule that can be set, beside what it asks for.
const FIELDS: &[&str] =
    &["position", "price_rule_status", "payout", "payout_type", "revenue", "revenue_type"];

#[derive(Serialize)]
struct One {
    price_rule: PriceRuleView,
}

#[derive(Serialize)]
struct Page {
    price_rules: Vec<PriceRuleView>,
    total_rows: u64,
}

#[derive(Serialize)]
pub(super) struct PriceRuleView {
    price_rule_id: u32,
    price_rule_version: u32,
    offer_id: u32,
    campaign_id: Option<u32>,
    position: u32,
    price_rule_status: &'static str,
    /// What it asks for, by name.
    #[serde(flatten)]
    conditions: Map<String, Value>,
    #[serde(flatten)]
    price: PriceView,
}

pub(super) fn view(rule: &PriceRule) -> PriceRuleView {
    let condition = |it: &PriceCondition| (it.target().to_owned(), it.values().into());
    PriceRuleView {
        price_rule_id: rule.id.0,
        price_rule_version: rule.version,
        offer_id: rule.offer_id.0,
        campaign_id: rule.campaign_id.map(|it| it.0),
        position: rule.position,
        price_rule_status: rule.status.name(),
        conditions: rule.conditions.iter().map(condition).collect(),
        price: price_view(rule.payout, rule.revenue),
    }
}

/// Creates a price rule, in its first version.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[FIELDS, PRICE_TARGETS, &["offer_id", "campaign_id"]].concat())?;
    let create = CreatePriceRule {
        offer_id: params.id("offer_id")?,
        campaign_id: params.id("campaign_id")?,
        position: params.whole("position", POSITION_MAX)?,
        status: params.parse("price_rule_status")?.unwrap_or(RuleStatus::Active),
        conditions: conditions(&params)?,
        payout: optional_rate(&params, Side::Payout)?,
        revenue: optional_rate(&params, Side::Revenue)?,
    };
    if create.offer_id.is_none() && create.campaign_id.is_none() {
        return Err(BadParameter::missing("offer_id").into());
    }
    let rule = web.app.create_price_rule(&caller, create).await?;
    Ok(web.success(One { price_rule: view(&rule) }))
}

/// Changes the fields that are present, as a new version; a target or an amount sent empty or `null` is no
/// longer asked for, or no longer said.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[FIELDS, PRICE_TARGETS, &["price_rule_id"]].concat())?;
    let change = PriceRuleChange {
        position: params.whole("position", POSITION_MAX)?,
        status: params.parse("price_rule_status")?,
        conditions: conditions(&params)?,
        without: PRICE_TARGETS.iter().copied().filter(|target| params.clears(target)).collect(),
        payout: rate_change(&params, Side::Payout)?,
        revenue: rate_change(&params, Side::Revenue)?,
    };
    let rule = web.app.update_price_rule(&caller, params.required_id("price_rule_id")?, change).await?;
    Ok(web.success(One { price_rule: view(&rule) }))
}

/// Lists price rules by number.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, offer_id) = (params.id::<PriceRuleId>("price_rule_id")?, params.id::<OfferId>("offer_id")?);
    let campaign_id = params.id::<CampaignId>("campaign_id")?;
    let status = params.parse("price_rule_status")?;
    let found = web.app.list_price_rules(&caller, |it| {
        id.is_none_or(|id| id == it.id)
            && offer_id.is_none_or(|id| id == it.offer_id)
            && campaign_id.is_none_or(|id| Some(id) == it.campaign_id)
            && status.is_none_or(|status: RuleStatus| status == it.status)
    })?;
    let (total_rows, rows) = cut(found, page);
    Ok(web.listed(page, Page { price_rules: rows.iter().map(|it| view(it)).collect(), total_rows }))
}

fn conditions(params: &Params) -> Result<Vec<PriceCondition>, BadParameter> {
    let sent = PRICE_TARGETS.iter().filter_map(|target| Some((*target, params.get(target)?)));
    let read = |(target, values)| {
        PriceCondition::parse(target, values).map_err(|error| BadParameter::invalid(target, error))
    };
    sent.map(read).collect()
}
