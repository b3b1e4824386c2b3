//! Targeting rules.

use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::ids::{CampaignId, OfferId, RuleId};
use domain::network_change::{CreateRule, RuleChange};
use domain::targeting::{Condition, Rule, RuleStatus, RuleType, TARGETS};
use serde::Serialize;
use serde_json::{Map, Value};

use super::fields::{RedirectView, redirect, redirect_view};
use super::view::{Answer, cut};
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

/// The most rows of one page.
const ROWS_MAX: u32 = 5000;
/// The last position: room enough between any two rules.
pub(super) const POSITION_MAX: u32 = 1_000_000;

/// Everything about a rule that can be set, beside what it targets.
const FIELDS: &[&str] = &["position", "rule_type", "rule_status", "redirect_url", "redirect_offer_id"];

#[derive(Serialize)]
struct One {
    rule: RuleView,
}

#[derive(Serialize)]
struct Page {
    rules: Vec<RuleView>,
    total_rows: u64,
}

#[derive(Serialize)]
pub(super) struct RuleView {
    rule_id: u32,
    rule_version: u32,
    offer_id: u32,
    campaign_id: Option<u32>,
    position: u32,
    rule_type: &'static str,
    rule_status: &'static str,
    /// What it targets, by name.
    #[serde(flatten)]
    conditions: Map<String, Value>,
    #[serde(flatten)]
    redirect: RedirectView,
}

pub(super) fn view(rule: &Rule) -> RuleView {
    let condition = |it: &Condition| (it.target().to_owned(), it.values().into());
    RuleView {
        rule_id: rule.id.0,
        rule_version: rule.version,
        offer_id: rule.offer_id.0,
        campaign_id: rule.campaign_id.map(|it| it.0),
        position: rule.position,
        rule_type: rule.rule_type.name(),
        rule_status: rule.status.name(),
        conditions: rule.conditions.iter().map(condition).collect(),
        redirect: redirect_view(rule.redirect.as_ref()),
    }
}

/// Creates a rule, in its first version.
pub(super) async fn create(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[FIELDS, TARGETS, &["offer_id", "campaign_id"]].concat())?;
    let create = CreateRule {
        offer_id: params.id("offer_id")?,
        campaign_id: params.id("campaign_id")?,
        position: params.whole("position", POSITION_MAX)?,
        rule_type: params.required("rule_type")?,
        status: params.parse("rule_status")?.unwrap_or(RuleStatus::Active),
        conditions: conditions(&params)?,
        redirect: redirect(&params)?.flatten(),
    };
    if create.offer_id.is_none() && create.campaign_id.is_none() {
        return Err(BadParameter::missing("offer_id").into());
    }
    let rule = web.app.create_rule(&caller, create).await?;
    Ok(web.success(One { rule: view(&rule) }))
}

/// Changes the fields that are present, as a new version; a target sent empty or `null` is no longer asked for.
pub(super) async fn update(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[FIELDS, TARGETS, &["rule_id"]].concat())?;
    let change = RuleChange {
        position: params.whole("position", POSITION_MAX)?,
        rule_type: params.parse("rule_type")?,
        status: params.parse("rule_status")?,
        conditions: conditions(&params)?,
        without: TARGETS.iter().copied().filter(|target| params.clears(target)).collect(),
        redirect: redirect(&params)?,
    };
    let rule = web.app.update_rule(&caller, params.required_id("rule_id")?, change).await?;
    Ok(web.success(One { rule: view(&rule) }))
}

/// Lists rules by number.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let (id, offer_id) = (params.id::<RuleId>("rule_id")?, params.id::<OfferId>("offer_id")?);
    let campaign_id = params.id::<CampaignId>("campaign_id")?;
    let (rule_type, status) = (params.parse("rule_type")?, params.parse("rule_status")?);
    let found = web.app.list_rules(&caller, |it| {
        id.is_none_or(|id| id == it.id)
            && offer_id.is_none_or(|id| id == it.offer_id)
            && campaign_id.is_none_or(|id| Some(id) == it.campaign_id)
            && rule_type.is_none_or(|rule_type: RuleType| rule_type == it.rule_type)
            && status.is_none_or(|status: RuleStatus| status == it.status)
    })?;
    let (total_rows, rows) = cut(found, page);
    Ok(web.listed(page, Page { rules: rows.iter().map(|it| view(it)).collect(), total_rows }))
}

fn conditions(params: &Params) -> Result<Vec<Condition>, BadParameter> {
    let sent = TARGETS.iter().filter_map(|target| Some((*target, params.get(target)?)));
    sent.map(|(target, values)| condition(params, target, values)).collect()
}

fn condition(params: &Params, target: &str, values: &str) -> Result<Condition, BadParameter> {
    if target == "bot" {
        return Ok(Condition::Bot(params.boolean(target)?.unwrap_or_default()));
    }
    Condition::parse(target, values).map_err(|error| BadParameter::invalid(target, error))
}
