//! Explaining what became of a click, a call, a conversion or a delivery: as lists with a summary in words, or
//! as a page to print or to send to a partner (`page`).

mod page;

use app::{Chapter, Explain, Explained, ExplainedAttempt, ExplainedConversion, Routing, RoutingStep};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::conversion_request::{BadParameter, CLICK_ID_CHARS_MAX, TEXT_CHARS_MAX};
use domain::delivery::mask;
use domain::explanation::Pasted;
use hyper::header::{self, HeaderValue};
use serde::Serialize;

use super::adjustments::{self, AdjustmentView};
use super::clicks::{self, ClickView};
use super::conversions::{ConversionView, listed_view};
use super::deliveries::{self, DeliveryView};
use super::entries::{self, EntryView};
use super::paper;
use super::price_rules::{self, PriceRuleView};
use super::rules::{self, RuleView};
use super::view::{Answer, ClickIdText};
use crate::Web;
use crate::error::ApiError;
use crate::extract::Keyed;
use crate::params::Params;

/// What says by itself what is asked about: one of them, and nothing else.
const ALONE: &[&str] = &["conversion_id", "delivery_id", "attempt_id", "url", "postback_url"];
/// What can be given together.
const TOGETHER: &[&str] = &["click_id", "unique_id", "order_id"];

#[derive(Serialize)]
struct Answered {
    summary: String,
    steps: Vec<StepView>,
    routing: Vec<RoutingView>,
    clicks: Vec<ClickView>,
    attempts: Vec<AttemptView>,
    conversions: Vec<ExplainedView>,
    entries: Vec<EntryView>,
    deliveries: Vec<DeliveryView>,
    adjustments: Vec<AdjustmentView>,
    more: Vec<&'static str>,
}

/// A part of the whole in words.
#[derive(Serialize)]
struct StepView {
    title: String,
    lines: Vec<String>,
}

/// A step on a click's way.
#[derive(Serialize)]
struct RoutingView {
    click_id: ClickIdText,
    #[serde(flatten)]
    step: RoutingStepView,
    text: String,
}

#[derive(Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
enum RoutingStepView {
    Link,
    Rule {
        rule_id: u32,
        rule_version: u32,
        outcome: &'static str,
        /// The rule in that version, for those who may see it.
        #[serde(skip_serializing_if = "Option::is_none")]
        rule: Option<RuleView>,
    },
    Decision {
        disposition: &'static str,
    },
    Sent {
        landing_page_id: Option<u32>,
        redirect_offer_id: Option<u32>,
        url: Option<String>,
    },
}

/// A conversion call. How it came in detail is left out for affiliates.
#[derive(Serialize)]
struct AttemptView {
    attempt_id: u64,
    attempt_date: String,
    offer_id: Option<u32>,
    event_id: Option<u32>,
    click_id: String,
    unique_id: String,
    outcome: String,
    reason: String,
    meaning: String,
    remedy: String,
    conversion_id: Option<u64>,
    door: &'static str,
    batch_id: Option<u64>,
    #[serde(flatten)]
    call: Option<CallView>,
}

#[derive(Serialize)]
struct CallView {
    key_name: Option<String>,
    ip_address: String,
    call: String,
}

/// A conversion, with what decided its price as that was then.
#[derive(Serialize)]
struct ExplainedView {
    #[serde(flatten)]
    conversion: ConversionView,
    #[serde(skip_serializing_if = "Option::is_none")]
    payout_rule: Option<PriceRuleView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revenue_rule: Option<PriceRuleView>,
    untold_postbacks: Vec<UntoldView>,
}

/// A postback of the affiliate's that has not fired, and why.
#[derive(Serialize)]
struct UntoldView {
    postback_id: u32,
    reason: String,
}

/// Explains as lists, with a summary.
pub(super) async fn json(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Explained {
        summary,
        chapters,
        routing,
        clicks,
        attempts,
        conversions,
        entries,
        deliveries,
        adjustments,
        more,
        revenue,
    } = explain(&web, keyed).await?;
    let step = |Chapter { title, lines }| StepView { title, lines };
    Ok(web.success(Answered {
        summary,
        steps: chapters.into_iter().map(step).collect(),
        routing: routing.into_iter().map(routing_view).collect(),
        clicks: clicks.into_iter().map(|row| clicks::view(&web, row)).collect(),
        attempts: attempts.into_iter().map(|it| attempt_view(&web, it, revenue)).collect(),
        conversions: conversions.into_iter().map(|it| explained_view(&web, it, revenue)).collect(),
        entries: entries.iter().map(|it| entries::view(&web, it)).collect(),
        deliveries: deliveries.into_iter().map(|row| deliveries::view(&web, row)).collect(),
        adjustments: adjustments.into_iter().map(|it| adjustments::view(&web, it, revenue)).collect(),
        more,
    }))
}

/// Explains as a page to print.
pub(super) async fn html(State(web): State<Web>, keyed: Keyed) -> Answer {
    let explained = explain(&web, keyed).await?;
    let html = page::page(&explained, &web.date(web.app.now()), &web.app.settings().zone_name);
    Ok(html_response(html))
}

fn html_response(html: String) -> Response {
    let mut response = Body::from(html).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let (name, value) = paper::policy();
    headers.insert(name, value);
    response
}

async fn explain(web: &Web, keyed: Keyed) -> Result<Explained, ApiError> {
    let Keyed { caller, params, .. } = keyed;
    caller.may_read()?;
    Ok(web.app.explain(&caller, asked(&params)?).await?)
}

fn asked(params: &Params) -> Result<Explain, BadParameter> {
    let given: Vec<&str> =
        ALONE.iter().chain(TOGETHER).copied().filter(|name| params.get(name).is_some()).collect();
    let statement_id = params.id("invoice_id")?;
    if statement_id.is_some() && !given.contains(&"conversion_id") {
        return Err(BadParameter::missing("conversion_id"));
    }
    let for_affiliate = params.boolean("hide_revenue")?.unwrap_or(false);
    match given[..] {
        [] => return Err(BadParameter::missing("click_id")),
        [alone, other, ..] if ALONE.contains(&alone) => {
            return Err(BadParameter::invalid(other, format!("{alone} says already what is asked about")));
        }
        [name @ ("url" | "postback_url")] => {
            let read = params.get(name).and_then(Pasted::read);
            let problem = "no click, conversion, transaction or order is named in it";
            let pasted = read.ok_or_else(|| BadParameter::invalid(name, problem))?;
            return Ok(Explain { for_affiliate, ..pasted.into() });
        }
        _ => {}
    }
    Ok(Explain {
        click_id: text(params, "click_id", CLICK_ID_CHARS_MAX)?,
        unique_id: text(params, "unique_id", TEXT_CHARS_MAX)?,
        order_id: text(params, "order_id", TEXT_CHARS_MAX)?,
        offer_id: params.id("offer_id")?,
        conversion_id: params.id("conversion_id")?,
        attempt_id: params.id("attempt_id")?,
        delivery_id: params.parse("delivery_id")?,
        statement_id,
        for_affiliate,
    })
}

fn text(params: &Params, name: &str, chars_max: usize) -> Result<Option<String>, BadParameter> {
    match params.get(name) {
        Some(value) if value.chars().count() > chars_max => {
            Err(BadParameter::invalid(name, format!("at most {chars_max} characters")))
        }
        value => Ok(value.map(str::to_owned)),
    }
}

fn routing_view(routing: Routing) -> RoutingView {
    let step = match routing.step {
        RoutingStep::Link => RoutingStepView::Link,
        RoutingStep::Rule { tried, rule } => RoutingStepView::Rule {
            rule_id: tried.rule_id.0,
            rule_version: tried.rule_version,
            outcome: if tried.passed { "passed" } else { "blocked" },
            rule: rule.as_ref().map(rules::view),
        },
        RoutingStep::Decision(disposition) => RoutingStepView::Decision { disposition: disposition.name() },
        RoutingStep::Sent { landing_page_id, redirect_offer_id, url } => RoutingStepView::Sent {
            landing_page_id: landing_page_id.map(|it| it.0),
            redirect_offer_id: redirect_offer_id.map(|it| it.0),
            url,
        },
    };
    RoutingView { click_id: ClickIdText(routing.click_id), step, text: routing.text }
}

fn attempt_view(web: &Web, explained: ExplainedAttempt, revenue: bool) -> AttemptView {
    let ExplainedAttempt { kept, key_name, meaning } = explained;
    let attempt = kept.attempt;
    let call = CallView { key_name, ip_address: attempt.address, call: masked(&attempt.raw) };
    AttemptView {
        attempt_id: kept.id.0,
        attempt_date: web.date(attempt.received_at),
        offer_id: attempt.offer_id.map(|it| it.0),
        event_id: attempt.event_id.map(|it| it.0),
        click_id: attempt.click_id,
        unique_id: attempt.unique_id,
        outcome: attempt.outcome,
        reason: attempt.reason,
        meaning: meaning.what,
        remedy: meaning.remedy,
        conversion_id: attempt.conversion_id.map(|it| it.0),
        door: attempt.door.name(),
        batch_id: attempt.batch_id.map(|it| it.0),
        call: revenue.then_some(call),
    }
}

/// A call as it came, which may be a query alone, without what its parameters call a secret.
fn masked(call: &str) -> String {
    if call.contains('?') { mask(call) } else { mask(&format!("?{call}")).split_off(1) }
}

fn explained_view(web: &Web, explained: ExplainedConversion, revenue: bool) -> ExplainedView {
    let ExplainedConversion { row, payout_rule, revenue_rule, untold } = explained;
    let untold = untold.into_iter().map(|(id, reason)| UntoldView { postback_id: id.0, reason });
    ExplainedView {
        conversion: listed_view(web, row, revenue),
        payout_rule: payout_rule.as_ref().map(price_rules::view),
        revenue_rule: revenue_rule.as_ref().map(price_rules::view),
        untold_postbacks: untold.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_shows_no_secret_whichever_form_it_is_kept_in() {
        for (call, shown) in [
            ("click_id=1&sign%5Fkey=s3cret", "click_id=1&sign%5Fkey=***"),
            ("token=s3cret", "token=***"),
            ("/p.ashx?o=1&hash=s3cret&t=2", "/p.ashx?o=1&hash=***&t=2"),
            ("", ""),
        ] {
            assert_eq!(masked(call), shown);
        }
    }
}
