//! How a click was led: the link, the rules tried on it, what was decided, where the visitor was sent.

use std::collections::HashMap;

use domain::click::{Click, Disposition};
use domain::ids::{ClickId, LandingPageId, OfferId, RuleId};
use domain::targeting::{Rule, Tried, read_trail};

use crate::record_click::expanded;

/// One step on a click's way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routing {
    /// The click.
    pub click_id: ClickId,
    /// The step.
    pub step: RoutingStep,
    /// The same in words; said once all is found.
    pub text: String,
}

/// What a step was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RoutingStep {
    /// A link was followed.
    Link,
    /// A rule was tried.
    Rule {
        /// What it said.
        tried: Tried,
        /// The rule in that version, for those who may see it.
        rule: Option<Rule>,
    },
    /// It was decided.
    Decision(Disposition),
    /// The visitor was sent on.
    Sent {
        /// The landing page, where the offer has several.
        landing_page_id: Option<LandingPageId>,
        /// The offer it was sent to instead.
        redirect_offer_id: Option<OfferId>,
        /// Where to, its tokens replaced as far as what they stand for is still kept; none is the built-in page.
        url: Option<String>,
    },
}

/// The way of a click. `rules` holds the versions of rules that may be shown.
pub(super) fn steps(click: &Click, rules: &HashMap<(RuleId, u32), Rule>) -> Vec<Routing> {
    let tried = |tried: Tried| RoutingStep::Rule {
        rule: rules.get(&(tried.rule_id, tried.rule_version)).cloned(),
        tried,
    };
    let sent = RoutingStep::Sent {
        landing_page_id: click.landing_page_id,
        redirect_offer_id: click.redirect_offer_id,
        url: expanded(click),
    };
    let steps = [RoutingStep::Link].into_iter().chain(read_trail(&click.rules).map(tried));
    let steps = steps.chain([RoutingStep::Decision(click.disposition), sent]);
    steps.map(|step| Routing { click_id: click.id, step, text: String::new() }).collect()
}
