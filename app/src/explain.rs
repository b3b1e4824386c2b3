//! Explaining: everything on record about a click, a call, a conversion or a delivery, in order and in words;
//! where there is no conversion, the first thing that stood in its way. It tells what was recorded then, with the
//! versions of rules that decided, and not what would be decided today. Finding it: `gather`; saying it: `tell`.

mod gather;
mod routing;
mod tell;

use std::collections::HashMap;
use std::sync::Arc;

use domain::access::{Caller, View};
use domain::adjustment::Adjustment;
use domain::delivery::DeliveryId;
use domain::entry::Entry;
use domain::explanation::{Kept, Meaning, Pasted};
use domain::ids::{AttemptId, ConversionId, KeyId, OfferId, PostbackId, StatementId};
use domain::pricing::PriceRule;
use ledger::KeptAttempt;

use crate::failure::blocking;
use crate::{App, ClickRow, ConversionRow, DeliveryRow, Failure};

use gather::{Found, Gatherer};
pub use routing::{Routing, RoutingStep};
pub use tell::Chapter;

/// The most rows of each list, and the most tries of a delivery.
pub const ROWS_MAX: u32 = 100;

/// What is asked about, by what is known of it. Everything given must fit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Explain {
    /// The click, as somebody has it.
    pub click_id: Option<String>,
    /// The advertiser's transaction.
    pub unique_id: Option<String>,
    /// The advertiser's order reference.
    pub order_id: Option<String>,
    /// The offer of transaction, order or call.
    pub offer_id: Option<OfferId>,
    /// The conversion.
    pub conversion_id: Option<ConversionId>,
    /// The call.
    pub attempt_id: Option<AttemptId>,
    /// The delivery.
    pub delivery_id: Option<DeliveryId>,
    /// The statement that the conversion is to be on.
    pub statement_id: Option<StatementId>,
    /// Explained as the click's affiliate may see it.
    pub for_affiliate: bool,
}

impl From<Pasted> for Explain {
    fn from(pasted: Pasted) -> Self {
        let Pasted { click_id, unique_id, order_id, offer_id, conversion_id } = pasted;
        Self { click_id, unique_id, order_id, offer_id, conversion_id, ..Self::default() }
    }
}

/// A call, and what became of it in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExplainedAttempt {
    /// The call.
    pub kept: KeptAttempt,
    /// The name of the key that it came with, where it needed one.
    pub key_name: Option<String>,
    /// What became of it.
    pub meaning: Meaning,
}

/// A conversion with what decided its price, as that was then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExplainedConversion {
    /// The conversion.
    pub row: ConversionRow,
    /// The version of the price rule that decided its payout.
    pub payout_rule: Option<PriceRule>,
    /// The version of the price rule that decided its revenue.
    pub revenue_rule: Option<PriceRule>,
    /// The affiliate's postbacks that have not fired, and why, as they are now.
    pub untold: Vec<(PostbackId, String)>,
}

/// All that is on record, each list in its own order and of [`ROWS_MAX`] rows at most.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// The answer in a few sentences.
    pub summary: String,
    /// The whole of it in words.
    pub chapters: Vec<Chapter>,
    /// How each click was led.
    pub routing: Vec<Routing>,
    /// The clicks.
    pub clicks: Vec<ClickRow>,
    /// The calls, refused ones too.
    pub attempts: Vec<ExplainedAttempt>,
    /// The conversions.
    pub conversions: Vec<ExplainedConversion>,
    /// Their lines of money.
    pub entries: Vec<Entry>,
    /// Their deliveries.
    pub deliveries: Vec<DeliveryRow>,
    /// Their adjustments.
    pub adjustments: Vec<Adjustment>,
    /// The lists that go on.
    pub more: Vec<&'static str>,
    /// Whether revenue is shown, and what concerns the network alone: calls as they came, keys, rules.
    pub revenue: bool,
}

/// Why nothing is explained.
#[derive(Debug)]
pub enum ExplainError {
    /// Nothing at all is known of that click, and why, in words.
    UnknownClick(String),
    /// The same of a conversion, a transaction or an order.
    UnknownConversion(String),
    /// The same of a call or a delivery.
    Unknown(String),
    /// It could not be looked up.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for ExplainError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl App {
    /// Explains what is asked about, as far as the caller may see it: what is another's is unknown.
    pub async fn explain(&self, caller: &Caller, asked: Explain) -> Result<Explained, ExplainError> {
        let view = caller.may_read()?;
        let _turn = self.turn().await?;
        let (ledger, archive) = (Arc::clone(&self.ledger), Arc::clone(&self.archive));
        let (network, now) = (self.network.load_full(), self.clock.now());
        let (own, zone) = (self.settings.node, self.settings.zone.clone());
        let explained = blocking(move || {
            let others = ledger.list_other_nodes(own)?;
            let oldest = archive.segments().first().map(|it| it.first_click);
            let kept = Kept { own, others: &others, oldest, now };
            let gatherer =
                |view| Gatherer { ledger: &*ledger, archive: &archive, network: &network, kept, view };
            let mut view = view;
            let mut found = gatherer(view).gather(&asked)?;
            // Whose it is, is only known once it is found.
            if asked.for_affiliate && view.revenue {
                view = View { affiliate_id: found.affiliate_id(&asked), revenue: false };
                found = gatherer(view).gather(&asked)?;
            }
            let teller = tell::Teller { asked: &asked, network: &network, zone: &zone, view, now };
            Ok(if found.is_nothing() {
                Err(teller.unknown(&found))
            } else {
                let names = ledger.list_keys()?.into_iter().map(|key| (key.caller.key_id, key.caller.name));
                Ok(explained(found, &teller, &names.collect()))
            })
        });
        explained.await?
    }
}

fn explained(found: Found, teller: &tell::Teller<'_>, keys: &HashMap<KeyId, String>) -> Explained {
    let (summary, chapters) = (teller.summary(&found), teller.chapters(&found));
    let network = teller.network;
    let routing =
        found.routing.iter().map(|it| Routing { text: teller.step(it, &found), ..it.clone() }).collect();
    let attempt = |kept: KeptAttempt| ExplainedAttempt {
        key_name: keys.get(&kept.attempt.key_id).cloned(),
        meaning: teller.outcome(&kept.attempt),
        kept,
    };
    let rule = |rule: Option<_>| found.price_rules.get(&rule?).cloned();
    let conversions = found.conversions.iter().map(|it| ExplainedConversion {
        payout_rule: rule(it.price.payout_source.rule),
        revenue_rule: rule(it.price.revenue_source.rule),
        untold: teller.untold(it, &found),
        row: ConversionRow::of(it.clone(), network),
    });
    Explained {
        summary,
        chapters,
        conversions: conversions.collect(),
        routing,
        clicks: found.clicks,
        attempts: found.attempts.into_iter().map(attempt).collect(),
        entries: found.entries,
        deliveries: found.deliveries,
        adjustments: found.adjustments,
        more: found.more,
        revenue: teller.view.revenue,
    }
}
