//! The whole of it in words: clicks, calls, conversions with their money, deliveries.

use std::collections::HashMap;
use std::fmt::Write as _;

use domain::adjustment::Adjustment;
use domain::click::Click;
use domain::conversion::Conversion;
use domain::entry::Entry;
use domain::explanation::{Meaning, of_disposition, of_rule, of_try};
use domain::pricing::Side;
use ledger::Attempt;

use super::super::gather::Found;
use super::super::routing::{Routing, RoutingStep, steps};
use super::{Chapter, Teller, amount, sentence};
use crate::DeliveryRow;

impl Teller<'_> {
    /// The whole of it: clicks, calls, conversions with their money, deliveries.
    pub(in crate::explain) fn chapters(&self, found: &Found) -> Vec<Chapter> {
        let mut chapters = Vec::new();
        if let (Some(why), Some(id)) = (found.no_click, &self.asked.click_id) {
            let Meaning { what, remedy } = self.shown(why.meaning());
            chapters.push(Chapter { title: format!("Click {id}"), lines: vec![sentence(&what, &remedy)] });
        }
        chapters.extend(found.clicks.iter().map(|row| self.click_chapter(&row.click, found)));
        let lines: Vec<_> = found.attempts.iter().map(|it| self.call_line(&it.attempt)).collect();
        let lines = if lines.is_empty() { vec!["None came.".to_owned()] } else { lines };
        chapters.push(Chapter { title: "Conversion calls".to_owned(), lines });
        chapters.extend(found.conversions.iter().map(|it| self.conversion_chapter(it, found)));
        chapters.extend(found.deliveries.iter().map(|row| self.delivery_chapter(row)));
        chapters
    }

    fn click_chapter(&self, click: &Click, found: &Found) -> Chapter {
        let own = found.routing.iter().filter(|it| it.click_id == click.id);
        // Beyond the bound of the list it is told here all the same, without the rules' texts.
        let beyond = if own.clone().next().is_none() { steps(click, &HashMap::new()) } else { Vec::new() };
        let lines = own.chain(&beyond).map(|it| self.step_of(click, &it.step)).collect();
        Chapter { title: format!("Click {}", click.id), lines }
    }

    /// One step on a click's way.
    pub(in crate::explain) fn step(&self, routing: &Routing, found: &Found) -> String {
        found.click(routing.click_id).map(|click| self.step_of(click, &routing.step)).unwrap_or_default()
    }

    fn step_of(&self, click: &Click, step: &RoutingStep) -> String {
        match step {
            RoutingStep::Link => self.link(click),
            RoutingStep::Rule { tried, rule } => {
                let said = if tried.passed { "let the visitor pass" } else { "said no" };
                let text = rule.as_ref().map(|it| format!(": {}", of_rule(it))).unwrap_or_default();
                format!("Rule {}, version {}, {said}{text}.", tried.rule_id, tried.rule_version)
            }
            RoutingStep::Decision(disposition) => {
                let Meaning { what, remedy } = self.shown(of_disposition(*disposition));
                sentence(&format!("{}: {what}", disposition.name().replace('_', " ")), &remedy)
            }
            RoutingStep::Sent { landing_page_id, redirect_offer_id, url } => {
                let page = landing_page_id.map(|id| format!(", landing page {id}")).unwrap_or_default();
                let other =
                    redirect_offer_id.map(|id| format!(", by way of {}", self.offer(id))).unwrap_or_default();
                match url {
                    Some(url) => format!("The visitor was sent to {url}{page}{other}."),
                    None => {
                        "The visitor got the built-in page: nothing else is configured, or a cap stops there."
                            .to_owned()
                    }
                }
            }
        }
    }

    fn link(&self, click: &Click) -> String {
        let campaign = click.campaign_id.map(|id| format!(", campaign {id}")).unwrap_or_default();
        let mut text = format!(
            "{}: a visitor of {} followed a link to {}{campaign}, creative {}",
            self.date(click.date()),
            self.affiliate(click.affiliate_id),
            self.offer(click.offer_id),
            click.creative_id
        );
        for (place, sub_id) in click.sub_ids.iter().enumerate().filter(|(_, it)| !it.is_empty()) {
            write!(text, ", s{} {sub_id}", place + 1).expect("writing to a string");
        }
        let country = if click.country.as_str().is_empty() { "unknown" } else { click.country.as_str() };
        write!(text, "; country {country}, device {}.", click.device.name()).expect("writing to a string");
        text
    }

    fn call_line(&self, attempt: &Attempt) -> String {
        let Meaning { what, remedy } = self.outcome(attempt);
        let mut text = format!("{} ({})", self.date(attempt.received_at), attempt.door.name());
        for (name, value) in [("click_id", &attempt.click_id), ("unique_id", &attempt.unique_id)] {
            if !value.is_empty() {
                write!(text, ", {name} {value}").expect("writing to a string");
            }
        }
        write!(text, ": {what}").expect("writing to a string");
        if let Some(id) = attempt.conversion_id {
            write!(text, "; conversion {id}").expect("writing to a string");
        }
        if !attempt.reason.is_empty() {
            write!(text, " ({})", attempt.reason).expect("writing to a string");
        }
        sentence(&text, &remedy)
    }

    fn conversion_chapter(&self, it: &Conversion, found: &Found) -> Chapter {
        let mut lines = vec![self.recording(it), self.standing(it, found)];
        if found.click(it.click_id).is_none() && !found.more.contains(&"clicks") {
            lines.push("Its click is not kept here, so how its visitor was led is not known.".to_owned());
        }
        lines.push(self.priced(Side::Payout, it, found));
        if self.view.revenue {
            lines.push(self.priced(Side::Revenue, it, found));
        }
        let made = found.adjustments.iter().filter(|made| made.conversion_id == it.id);
        lines.extend(made.map(|made| self.adjustment_line(made)));
        lines.extend(
            found.entries.iter().filter(|line| line.conversion_id == it.id).map(|line| self.entry_line(line)),
        );
        let untold = self.untold(it, found);
        lines.extend(untold.into_iter().map(|(id, why)| format!("Postback {id} has not fired: {why}.")));
        Chapter { title: format!("Conversion {}", it.id), lines }
    }

    fn recording(&self, it: &Conversion) -> String {
        let mut text = format!(
            "{}: of click {}, on {}",
            self.date(it.conversion_date),
            it.click_id,
            self.offer(it.offer_id)
        );
        if self.view.revenue {
            write!(text, " of {}", self.advertiser(it.advertiser_id)).expect("writing to a string");
        }
        write!(text, ", event {}", it.event_id).expect("writing to a string");
        for (name, value) in [("unique_id", &it.unique_id), ("order_id", &it.order_id)] {
            if !value.is_empty() {
                write!(text, ", {name} {value}").expect("writing to a string");
            }
        }
        write!(text, "; recorded {} ({})", self.date(it.recorded_at), it.door.name())
            .expect("writing to a string");
        if let Some(id) = it.batch_id {
            write!(text, " by batch {id}").expect("writing to a string");
        }
        text + "."
    }

    fn priced(&self, side: Side, it: &Conversion, found: &Found) -> String {
        let (name, amount) = match side {
            Side::Payout => ("Payout", it.price.payout),
            Side::Revenue => ("Revenue", it.price.revenue),
        };
        format!("{name} at recording {amount} {}: {}.", it.currency, self.price(side, it, found))
    }

    fn adjustment_line(&self, made: &Adjustment) -> String {
        let (before, after) = (made.before.worth(), made.after.worth());
        let mut text = format!(
            "Adjustment {}, {}: {} to {}, payout {} to {}",
            made.booking,
            self.made(made),
            made.before.status,
            made.after.status,
            before.payout,
            after.payout
        );
        if self.view.revenue {
            write!(text, ", revenue {} to {}", before.revenue, after.revenue).expect("writing to a string");
        }
        if !made.note.is_empty() {
            write!(text, "; {}", made.note).expect("writing to a string");
        }
        text + "."
    }

    fn entry_line(&self, line: &Entry) -> String {
        let on =
            line.statement_id.map_or_else(|| "on no invoice yet".to_owned(), |id| format!("on invoice {id}"));
        let booking = match line.booking {
            0 => "recording".to_owned(),
            other => format!("adjustment {other}"),
        };
        format!("Line of {} ({booking}): {}, {on}.", self.date(line.effective), amount(line))
    }

    fn delivery_chapter(&self, row: &DeliveryRow) -> Chapter {
        let DeliveryRow { delivery, tries, .. } = row;
        let caused = format!(
            "{}: conversion {} {}; it tells that it is {}.",
            self.date(delivery.caused_at),
            delivery.id.conversion_id,
            delivery.cause.name(),
            delivery.standing.status
        );
        let mut lines = vec![caused, self.delivery(row)];
        lines.extend(tries.iter().map(|it| {
            format!("{}: {} {}, after {} ms.", self.date(it.tried_at), it.url, of_try(it), it.duration_ms)
        }));
        Chapter { title: format!("Delivery {}", delivery.id), lines }
    }
}
