//! The answer in a few sentences: what became of it, or the first thing that stood in its way.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use domain::adjustment::Adjustment;
use domain::click::Click;
use domain::conversion::Conversion;
use domain::delivery::DeliveryStatus;
use domain::entry::Entry;
use domain::explanation::{
    Meaning, of_delivery, of_disposition, of_obstacle, of_price_rule, of_source, of_status,
};
use domain::ids::{ClickId, PostbackId, StatementId};
use domain::postback::{Owner, Postback};
use domain::pricing::{PriceSource, Side};
use domain::status::ConversionStatus;
use domain::targeting::read_trail;
use jiff::SignedDuration;
use ledger::{Attempt, KeptAttempt};

use super::super::gather::Found;
use super::super::{Explain, ROWS_MAX};
use super::{Teller, amount, sentence};
use crate::DeliveryRow;

/// Conversions, and deliveries, of which the summary tells each by itself.
const TOLD_EACH_MAX: usize = 3;
/// How long after its time a delivery is tried at the latest, where nothing is in its way.
const LATE: SignedDuration = SignedDuration::from_secs(10);

impl Teller<'_> {
    /// The answer in a few sentences: what became of it, or the first thing that stood in its way.
    pub(in crate::explain) fn summary(&self, found: &Found) -> String {
        let conversions: Vec<&Conversion> = found.conversions.iter().filter(|it| self.is_meant(it)).collect();
        let mut said = Vec::new();
        if self.asked.delivery_id.is_some() {
            said.extend(found.deliveries.iter().map(|it| self.delivery(it)));
        }
        if let Some(id) = self.asked.statement_id {
            said.extend(found.conversions.iter().map(|it| on_statement(it, id, found)));
        }
        if conversions.is_empty() {
            said.extend(self.nothing(found));
        } else {
            for it in conversions.iter().take(TOLD_EACH_MAX) {
                said.extend(self.conversion(it, found));
            }
            if conversions.len() > TOLD_EACH_MAX {
                said.push(format!("{} more conversions follow below.", conversions.len() - TOLD_EACH_MAX));
            }
            let refused = self.refused(found);
            if !refused.is_empty() {
                said.extend(self.calls("Besides, ", &refused));
            }
        }
        if !found.more.is_empty() {
            said.push(format!("Of {} only the first {ROWS_MAX} are told.", found.more.join(", ")));
        }
        said.join(" ")
    }

    /// Whether a conversion is what is asked about, and not only of the same click or transaction.
    fn is_meant(&self, conversion: &Conversion) -> bool {
        let Explain { click_id, unique_id, order_id, offer_id, .. } = self.asked;
        let is = |asked: &Option<String>, own: &str| asked.as_ref().is_none_or(|it| it == own);
        let is_click = click_id.as_ref().is_none_or(|it| it.parse() == Ok(conversion.click_id));
        let is_offer = offer_id.is_none_or(|it| it == conversion.offer_id);
        is_click && is_offer && is(unique_id, &conversion.unique_id) && is(order_id, &conversion.order_id)
    }

    /// The calls that are asked about, and were refused.
    fn refused<'f>(&self, found: &'f Found) -> Vec<&'f KeptAttempt> {
        let Explain { click_id, unique_id, attempt_id, .. } = self.asked;
        let is =
            |asked: &Option<String>, own: &str| asked.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(own));
        let is_meant = |it: &&KeptAttempt| match attempt_id {
            Some(id) => it.id == *id,
            None => is(click_id, &it.attempt.click_id) && is(unique_id, &it.attempt.unique_id),
        };
        let is_refused = |it: &&KeptAttempt| !is_recorded(&it.attempt);
        found.attempts.iter().filter(is_meant).filter(is_refused).collect()
    }

    /// Why there is no conversion: the first thing on the way to one that went wrong.
    fn nothing(&self, found: &Found) -> Vec<String> {
        let mut said = vec!["There is no conversion.".to_owned()];
        let refused = self.refused(found);
        let clicks = self.clicks_meant(found, &refused);
        let elsewhere = clicks.iter().find(|it| !it.disposition.reached_the_offer());
        if let Some(why) = found.no_click {
            let Meaning { what, remedy } = self.shown(why.meaning());
            let id = self.asked.click_id.as_deref().unwrap_or_default();
            said.push(sentence(&format!("click {id} is not here: {what}"), &remedy));
        } else if let Some(click) = elsewhere {
            said.push(self.elsewhere(click));
        }
        if refused.is_empty() {
            said.extend(self.no_call(found, &clicks));
        } else {
            said.extend(self.calls("", &refused));
        }
        said
    }

    /// The click that is asked about, or those that the calls named.
    fn clicks_meant<'f>(&self, found: &'f Found, refused: &[&KeptAttempt]) -> Vec<&'f Click> {
        let named = refused.iter().map(|it| &it.attempt.click_id).chain(&self.asked.click_id);
        let ids: BTreeSet<ClickId> = named.filter_map(|id| id.parse().ok()).collect();
        found.clicks.iter().map(|row| &row.click).filter(|it| ids.contains(&it.id)).collect()
    }

    /// Why a visitor was not sent to the offer that the link asked for.
    fn elsewhere(&self, click: &Click) -> String {
        let Meaning { what, remedy } = self.shown(of_disposition(click.disposition));
        let rule = read_trail(&click.rules).find(|it| !it.passed);
        let rule = rule.map(|it| format!("; rule {} said no, in version {}", it.rule_id, it.rule_version));
        let instead =
            click.redirect_offer_id.map(|id| format!(", and was sent to {} instead", self.offer(id)));
        let text = format!(
            "the visitor of click {} never reached {}{}: {what} ({}{})",
            click.id,
            self.offer(click.offer_id),
            instead.unwrap_or_default(),
            click.disposition.name(),
            rule.unwrap_or_default()
        );
        sentence(&text, &remedy)
    }

    fn no_call(&self, found: &Found, clicks: &[&Click]) -> Vec<String> {
        let mut said = Vec::new();
        let is_reached = clicks.iter().any(|it| it.reached_offer_id().is_some());
        let remedy = if is_reached && self.view.revenue {
            "Have the advertiser call conversion.json or p.ashx with the value that {click_id} had in the offer's URL, \
             and look at the answer: a call without a valid key leaves no trace."
        } else {
            ""
        };
        let transaction = self.asked.unique_id.as_ref().map(|it| format!(" with unique_id {it}"));
        let text = format!("no conversion call{} ever came for it", transaction.unwrap_or_default());
        said.push(sentence(&text, remedy));
        let others = found.conversions.iter().filter(|it| clicks.iter().any(|click| click.id == it.click_id));
        let others: Vec<_> = others.take(TOLD_EACH_MAX).map(|it| it.id.to_string()).collect();
        if !others.is_empty() {
            said.push(format!("Its click has converted otherwise: conversion {}.", others.join(", ")));
        }
        said
    }

    /// What became of refused calls: the first one, and the last where that was another reason.
    fn calls(&self, before: &str, refused: &[&KeptAttempt]) -> Vec<String> {
        let (Some(first), Some(last)) = (refused.first(), refused.last()) else { return Vec::new() };
        let came = match (before, refused.len()) {
            ("", 1) => "One call came, and was refused".to_owned(),
            ("", many) => format!("{many} calls came, and none was recorded; the first"),
            (_, 1) => format!("{before}one call was refused"),
            (_, many) => format!("{before}{many} calls were refused; the first"),
        };
        let mut said = vec![self.refusal(&came, &first.attempt)];
        if last.attempt.outcome != first.attempt.outcome {
            said.push(self.refusal("The last", &last.attempt));
        }
        said
    }

    fn refusal(&self, which: &str, attempt: &Attempt) -> String {
        let Meaning { what, remedy } = self.outcome(attempt);
        let first = attempt.conversion_id.map(|id| format!(", by conversion {id}"));
        let reason = Some(&attempt.reason).filter(|it| !it.is_empty()).map(|it| format!(": {it}"));
        let text = format!(
            "{which} on {}: {what}{} ({}{})",
            self.date(attempt.received_at),
            first.unwrap_or_default(),
            attempt.outcome,
            reason.unwrap_or_default()
        );
        sentence(&text, &remedy)
    }

    fn conversion(&self, it: &Conversion, found: &Found) -> Vec<String> {
        let mut said = vec![self.standing(it, found)];
        if it.standing.status.pays() {
            said.push(sentence(&self.price(Side::Payout, it, found), ""));
            let last = found.adjustments.iter().rev().find(|made| made.conversion_id == it.id);
            said.extend(last.map(|made| sentence(&format!("it was last adjusted {}", self.made(made)), "")));
        }
        if self.asked.delivery_id.is_none() {
            said.extend(self.told(it, found));
        }
        said
    }

    /// Where a conversion stands, and since when and why where somebody changed it.
    pub(super) fn standing(&self, it: &Conversion, found: &Found) -> String {
        let status = it.standing.status;
        let Meaning { what, remedy } = self.shown(of_status(status));
        let mut text = format!("conversion {} of {} is {status}", it.id, self.affiliate(it.affiliate_id));
        match status {
            ConversionStatus::Approved | ConversionStatus::Pending => {
                write!(text, " and worth {} {} to it", it.payout(), it.currency)
                    .expect("writing to a string");
                if self.view.revenue {
                    let whose = self.advertiser(it.advertiser_id);
                    write!(text, ", {} from {whose}", it.revenue()).expect("writing to a string");
                }
            }
            _ => write!(text, ": {what}").expect("writing to a string"),
        }
        let changed = found.adjustments.iter().rev().find(|made| {
            made.conversion_id == it.id
                && made.before.status != made.after.status
                && made.after.status == status
        });
        if let Some(made) = changed {
            write!(text, "; {}", self.adjustment(made)).expect("writing to a string");
        } else if status == ConversionStatus::Ignored {
            let why = it.cap_id.map_or_else(
                || "a suppression list names it".to_owned(),
                |id| format!("{} was used up", self.cap(id)),
            );
            write!(text, "; {why}").expect("writing to a string");
        }
        match it.approve_at.filter(|_| status == ConversionStatus::Pending) {
            Some(at) => sentence(&format!("{text}; it is approved by itself on {}", self.date(at)), ""),
            None => sentence(&text, &remedy),
        }
    }

    /// Whether and how the affiliate was told.
    fn told(&self, it: &Conversion, found: &Found) -> Vec<String> {
        let own: Vec<_> =
            found.deliveries.iter().filter(|row| row.delivery.id.conversion_id == it.id).collect();
        if own.is_empty() {
            return vec![self.nobody_told(it, found)];
        }
        let delivered = own.iter().filter(|row| row.delivery.status == DeliveryStatus::Delivered).count();
        let mut said = Vec::new();
        if delivered > 0 {
            said.push(format!(
                "{delivered} of {} postbacks {} delivered.",
                own.len(),
                if delivered == 1 { "was" } else { "were" }
            ));
        }
        let others = own.iter().filter(|row| row.delivery.status != DeliveryStatus::Delivered);
        said.extend(others.take(TOLD_EACH_MAX).map(|row| self.delivery(row)));
        said
    }

    fn nobody_told(&self, it: &Conversion, found: &Found) -> String {
        let untold = self.untold(it, found);
        let whys: Vec<_> =
            untold.iter().take(TOLD_EACH_MAX).map(|(id, why)| format!("postback {id}: {why}")).collect();
        let whose = self.affiliate(it.affiliate_id);
        if whys.is_empty() {
            sentence(&format!("no postback told of it: {whose} has none"), "")
        } else {
            sentence(&format!("no postback told of it; {}", whys.join("; ")), "")
        }
    }

    pub(super) fn delivery(&self, row: &DeliveryRow) -> String {
        let DeliveryRow { delivery, tries, .. } = row;
        let is_due = delivery.status == DeliveryStatus::Due;
        let is_late = is_due && delivery.next_try_at.saturating_add(LATE).is_ok_and(|at| at < self.now);
        let count = usize::try_from(delivery.tries).unwrap_or(usize::MAX);
        let Meaning { what, remedy } = self.shown(of_delivery(delivery.status, count, tries.last(), is_late));
        let next = if is_due { format!(" (due {})", self.date(delivery.next_try_at)) } else { String::new() };
        sentence(
            &format!("delivery {} of postback {}: {what}{next}", delivery.id, delivery.id.postback_id),
            &remedy,
        )
    }

    /// The affiliate's postbacks that have told nothing of a conversion, and why.
    pub(in crate::explain) fn untold(&self, it: &Conversion, found: &Found) -> Vec<(PostbackId, String)> {
        if !self.view.revenue && self.view.affiliate_id.is_none() {
            return Vec::new();
        }
        let has_fired = |id| {
            let mut own =
                found.deliveries.iter().map(|row| row.delivery.id).filter(|own| own.conversion_id == it.id);
            own.any(|own| own.postback_id == id)
        };
        let is_theirs = |postback: &Postback| postback.owner == Owner::Affiliate(it.affiliate_id);
        let all = self.network.postbacks().filter(|postback| is_theirs(postback) && !has_fired(postback.id));
        let mut untold: Vec<_> =
            all.map(|postback| (postback.id, self.why_untold(postback, it, found))).collect();
        untold.sort_unstable_by_key(|(id, _)| *id);
        untold.truncate(ROWS_MAX as usize);
        untold
    }

    /// Why a postback has not fired on anything that happened to a conversion: of several obstacles the one
    /// that it came closest to firing by.
    fn why_untold(&self, postback: &Postback, it: &Conversion, found: &Found) -> String {
        let made: Vec<&Adjustment> =
            found.adjustments.iter().filter(|made| made.conversion_id == it.id).collect();
        let recorded = (None, made.first().map_or(it.standing, |made| made.before));
        let causes = [recorded].into_iter().chain(made.iter().map(|made| (Some(made.before), made.after)));
        let obstacles: Vec<_> =
            causes.map(|(before, after)| postback.obstacle(it, before, after, false)).collect();
        let closest = if obstacles.contains(&None) { None } else { obstacles.into_iter().max().flatten() };
        if closest.is_none() && postback.created > it.last_updated {
            return format!("it was created afterwards, on {}", self.date(postback.created));
        }
        of_obstacle(closest, postback, it)
    }

    /// What decided one side of a price: the rule in the version of then.
    pub(super) fn price(&self, side: Side, it: &Conversion, found: &Found) -> String {
        let source = match side {
            Side::Payout => it.price.payout_source,
            Side::Revenue => it.price.revenue_source,
        };
        let text = of_source(side, source);
        match self.rule_text(source, it, found) {
            Some(rule) => format!("{text}: it {rule}"),
            None => text,
        }
    }

    fn rule_text(&self, source: PriceSource, it: &Conversion, found: &Found) -> Option<String> {
        let rule = found.price_rules.get(&source.rule?)?;
        Some(of_price_rule(rule, it.currency, self.view.revenue))
    }

    /// `reversed on 2026-06-19 14:30:00 by ops (update): sent back`.
    fn adjustment(&self, made: &Adjustment) -> String {
        let why = if made.note.is_empty() { String::new() } else { format!(": {}", made.note) };
        format!("{} {}{why}", made.after.status, self.made(made))
    }

    /// When, by whom and how an adjustment was made.
    pub(super) fn made(&self, made: &Adjustment) -> String {
        let who = if self.view.revenue { format!(" by {}", made.actor) } else { String::new() };
        format!("on {}{who} ({})", self.date(made.made_at), made.cause.name())
    }
}

fn is_recorded(attempt: &Attempt) -> bool {
    attempt.outcome == "recorded" || attempt.outcome.starts_with("repeated")
}

/// Whether a conversion's lines are on a statement.
fn on_statement(it: &Conversion, id: StatementId, found: &Found) -> String {
    let own: Vec<&Entry> = found.entries.iter().filter(|line| line.conversion_id == it.id).collect();
    let on: Vec<_> = own.iter().filter(|line| line.statement_id == Some(id)).collect();
    if !on.is_empty() {
        let lines: Vec<_> = on.iter().map(|line| amount(line)).collect();
        return format!("Invoice {id} has of conversion {}: {}.", it.id, lines.join(", "));
    }
    let others: Vec<_> = own.iter().filter_map(|line| line.statement_id).collect();
    let why = if own.is_empty() {
        "it has no lines, since it never was payable".to_owned()
    } else if let [other, ..] = others[..] {
        format!("its lines are on invoice {other}")
    } else if it.standing.status == ConversionStatus::Pending {
        "it is pending, and comes on an invoice once it is approved".to_owned()
    } else {
        "its lines are on none yet: the next one that ends after them has them".to_owned()
    };
    format!("Invoice {id} has no line of conversion {}: {why}.", it.id)
}
