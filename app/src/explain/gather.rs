//! Finding what is on record, as far as a reader may see it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use archive::Archive;
use domain::access::View;
use domain::adjustment::Adjustment;
use domain::click::Click;
use domain::conversion::Conversion;
use domain::delivery::{Delivery, DeliveryId};
use domain::entry::Entry;
use domain::explanation::{Kept, NoClick, why_no_click};
use domain::ids::{AffiliateId, AttemptId, ClickId, ConversionId, OfferId, PriceRuleId, RuleId};
use domain::network::Network;
use domain::pricing::PriceRule;
use domain::statement::Party;
use domain::targeting::{Rule, read_trail};
use ledger::{AdjustmentFilter, AttemptKey, ConversionKey, DeliveryFilter, EntryFilter, KeptAttempt, Ledger};

use super::routing::{Routing, steps};
use super::{Explain, ROWS_MAX};
use crate::{ClickRow, DeliveryRow, Failure};

/// One more than is shown, so that it is known whether there are more.
const ROWS_ASKED: u32 = ROWS_MAX + 1;
/// The same as a length.
const ROWS_SHOWN: usize = ROWS_MAX as usize;

/// Looks things up for one reader.
pub(super) struct Gatherer<'g> {
    pub(super) ledger: &'g dyn Ledger,
    pub(super) archive: &'g Archive,
    pub(super) network: &'g Network,
    pub(super) kept: Kept<'g>,
    pub(super) view: View,
}

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) routing: Vec<Routing>,
    pub(super) clicks: Vec<ClickRow>,
    pub(super) attempts: Vec<KeptAttempt>,
    pub(super) conversions: Vec<Conversion>,
    pub(super) entries: Vec<Entry>,
    pub(super) deliveries: Vec<DeliveryRow>,
    pub(super) adjustments: Vec<Adjustment>,
    pub(super) price_rules: HashMap<(PriceRuleId, u32), PriceRule>,
    pub(super) more: Vec<&'static str>,
    /// Why the click that is asked about is not here, where it is not.
    pub(super) no_click: Option<NoClick>,
}

impl Found {
    /// Whether nothing at all is known.
    pub(super) fn is_nothing(&self) -> bool {
        self.clicks.is_empty() && self.attempts.is_empty() && self.conversions.is_empty()
    }

    /// Whose it is: the click's that is asked about, else the first conversion's, else the first click's.
    pub(super) fn affiliate_id(&self, asked: &Explain) -> Option<AffiliateId> {
        let click = asked.click_id.as_ref().and_then(|id| self.click(id.parse().ok()?));
        let click =
            click.or_else(|| self.clicks.first().map(|it| &it.click).filter(|_| self.conversions.is_empty()));
        click.map(|it| it.affiliate_id).or_else(|| self.conversions.first().map(|it| it.affiliate_id))
    }

    pub(super) fn click(&self, id: ClickId) -> Option<&Click> {
        self.clicks.iter().map(|it| &it.click).find(|it| it.id == id)
    }

    /// What may be shown of a list.
    fn cut<T>(&mut self, name: &'static str, mut rows: Vec<T>) -> Vec<T> {
        if rows.len() > ROWS_SHOWN {
            rows.truncate(ROWS_SHOWN);
            if !self.more.contains(&name) {
                self.more.push(name);
            }
        }
        rows
    }
}

/// What calls are looked up by.
#[derive(Default)]
struct Names {
    clicks: Vec<String>,
    unique_ids: Vec<(String, Option<OfferId>)>,
}

impl Gatherer<'_> {
    pub(super) fn gather(&self, asked: &Explain) -> Result<Found, Failure> {
        let mut found = Found::default();
        let mut asked = asked.clone();
        let mut attempts = BTreeMap::new();
        if let Some(id) = asked.attempt_id {
            self.add_attempts(&AttemptKey::Id(id), None, &mut attempts)?;
            let Some(attempt) = attempts.get(&id) else { return Ok(found) };
            let text = |text: &String| Some(text.clone()).filter(|it| !it.is_empty());
            (asked.click_id, asked.unique_id) = (text(&attempt.click_id), text(&attempt.unique_id));
            asked.offer_id = attempt.offer_id;
        }
        if let Some(id) = asked.delivery_id {
            let is_visible = self.delivery(id)?.is_some();
            asked.conversion_id = is_visible.then_some(id.conversion_id);
            if !is_visible {
                return Ok(found);
            }
        }
        let conversions = self.conversions(&asked)?;
        let conversions = found.cut("conversions", conversions);
        for (key, offer_id) in names(&asked, &conversions).keys() {
            self.add_attempts(&key, offer_id, &mut attempts)?;
        }
        let attempts = attempts.into_iter().map(|(id, attempt)| KeptAttempt { id, attempt }).collect();
        let attempts: Vec<KeptAttempt> = found.cut("attempts", attempts);
        let clicks = self.clicks(&asked, &attempts, &conversions)?;
        let clicks = found.cut("clicks", clicks);
        found.no_click = self.no_click(&asked, &clicks);
        found.attempts = self.visible_attempts(attempts, &clicks, &conversions)?;
        // Of a call that is another's nothing is told, not even what it would have repeated.
        if asked.attempt_id.is_some_and(|id| found.attempts.iter().all(|it| it.id != id)) {
            return Ok(Found::default());
        }
        self.add_routing(&mut found, &clicks)?;
        found.clicks = self.with_conversions(clicks)?;
        found.conversions = conversions;
        self.add_money(&mut found)?;
        self.add_deliveries(&mut found, &asked)?;
        Ok(found)
    }

    fn is_own(&self, affiliate_id: AffiliateId) -> bool {
        self.view.affiliate_id.is_none_or(|own| own == affiliate_id)
    }

    /// The conversions that are asked about, by number.
    fn conversions(&self, asked: &Explain) -> Result<Vec<Conversion>, Failure> {
        let mut all: BTreeMap<ConversionId, Conversion> = BTreeMap::new();
        let mut add = |found: Vec<Conversion>| all.extend(found.into_iter().map(|it| (it.id, it)));
        if let Some(id) = asked.conversion_id {
            add(self.ledger.find_conversion(id)?.into_iter().collect());
        } else {
            let click_id = asked.click_id.as_ref().and_then(|id| id.parse().ok());
            let keys = [
                click_id.map(ConversionKey::Click),
                asked.unique_id.clone().map(ConversionKey::UniqueId),
                asked.order_id.clone().map(ConversionKey::OrderId),
            ];
            for key in keys.into_iter().flatten() {
                add(self.ledger.list_conversions_by(&key, ROWS_ASKED)?);
            }
            // A click's conversions are told whatever their offer: it may have been sent to another one.
            let fits = |it: &Conversion| asked.offer_id.is_none_or(|id| id == it.offer_id);
            all.retain(|_, it| fits(it) || Some(it.click_id) == click_id);
        }
        all.retain(|_, it| self.is_own(it.affiliate_id));
        Ok(all.into_values().collect())
    }

    fn add_attempts(
        &self,
        key: &AttemptKey,
        offer_id: Option<OfferId>,
        attempts: &mut BTreeMap<AttemptId, ledger::Attempt>,
    ) -> Result<(), Failure> {
        let found = self.ledger.list_attempts_by(key, ROWS_ASKED)?;
        // A call whose offer nobody could read may have meant this one.
        let fits = |it: &KeptAttempt| {
            offer_id.is_none() || it.attempt.offer_id.is_none_or(|id| Some(id) == offer_id)
        };
        attempts.extend(found.into_iter().filter(fits).map(|it| (it.id, it.attempt)));
        Ok(())
    }

    /// The clicks that are asked about, or named by what was found: the oldest first.
    fn clicks(
        &self,
        asked: &Explain,
        attempts: &[KeptAttempt],
        conversions: &[Conversion],
    ) -> Result<Vec<Click>, Failure> {
        let named = attempts.iter().map(|it| &it.attempt.click_id).chain(&asked.click_id);
        let named = named.filter_map(|id| id.parse().ok()).chain(conversions.iter().map(|it| it.click_id));
        let ids: BTreeSet<ClickId> = named.collect();
        let mut clicks = Vec::new();
        // At most as many as there are attempts and conversions, and one.
        for id in ids {
            clicks.extend(self.archive.find(id)?.filter(|it| self.is_own(it.affiliate_id)));
        }
        Ok(clicks)
    }

    fn no_click(&self, asked: &Explain, clicks: &[Click]) -> Option<NoClick> {
        let text = asked.click_id.as_ref()?;
        let is_there = text.parse().is_ok_and(|id: ClickId| clicks.iter().any(|it| it.id == id));
        (!is_there).then(|| why_no_click(text, &self.kept))
    }

    /// For an affiliate the calls that named its own clicks or became its own conversions, and of others'
    /// conversions not even the number.
    fn visible_attempts(
        &self,
        mut attempts: Vec<KeptAttempt>,
        clicks: &[Click],
        conversions: &[Conversion],
    ) -> Result<Vec<KeptAttempt>, Failure> {
        if self.view.affiliate_id.is_none() {
            return Ok(attempts);
        }
        let is_shown = |id: ConversionId| conversions.iter().any(|it| it.id == id);
        attempts.retain(|KeptAttempt { attempt, .. }| {
            let click: Option<ClickId> = attempt.click_id.parse().ok();
            let is_own_click = click.is_some_and(|id| clicks.iter().any(|it| it.id == id));
            // A refused call names whose transaction it would have been; that does not make it that one's.
            let is_recorded = attempt.outcome == "recorded" || attempt.outcome.starts_with("repeated");
            is_own_click || (is_recorded && attempt.conversion_id.is_some_and(is_shown))
        });
        for KeptAttempt { attempt, .. } in &mut attempts {
            if let Some(id) = attempt.conversion_id.filter(|id| !is_shown(*id)) {
                let found = self.ledger.find_conversion(id)?;
                attempt.conversion_id = found.filter(|it| self.is_own(it.affiliate_id)).map(|it| it.id);
            }
        }
        Ok(attempts)
    }

    fn with_conversions(&self, clicks: Vec<Click>) -> Result<Vec<ClickRow>, Failure> {
        let ids: Vec<_> = clicks.iter().map(|it| it.id).collect();
        let conversions = self.ledger.find_conversions_of(&ids)?;
        let row = |(click, conversion_id)| ClickRow { click, conversion_id };
        Ok(clicks.into_iter().zip(conversions).map(row).collect())
    }

    /// The way of each click, with the rules as they were: for an affiliate only that they were tried.
    fn add_routing(&self, found: &mut Found, clicks: &[Click]) -> Result<(), Failure> {
        let mut rules: HashMap<(RuleId, u32), Rule> = HashMap::new();
        let mut routing = Vec::new();
        for click in clicks {
            for tried in read_trail(&click.rules).filter(|_| self.view.revenue) {
                let key = (tried.rule_id, tried.rule_version);
                if !rules.contains_key(&key)
                    && let Some(rule) = self.ledger.find_rule_version(key.0, key.1)?
                {
                    rules.insert(key, rule);
                }
            }
            routing.extend(steps(click, &rules));
            if routing.len() > ROWS_SHOWN {
                break;
            }
        }
        found.routing = found.cut("routing", routing);
        Ok(())
    }

    fn add_money(&self, found: &mut Found) -> Result<(), Failure> {
        let (mut entries, mut adjustments) = (Vec::new(), Vec::new());
        for conversion in &found.conversions {
            let conversion_id = Some(conversion.id);
            // An affiliate's own lines, and nobody's where it is not known whose they are.
            let party = self.view.affiliate_id.map(Party::Affiliate);
            let filter = EntryFilter { conversion_id, party, ..EntryFilter::default() };
            if entries.len() <= ROWS_SHOWN && (party.is_some() || self.view.revenue) {
                entries.extend(self.ledger.list_entries(&filter, 0, ROWS_ASKED)?.rows);
            }
            let filter = AdjustmentFilter { conversion_id, ..AdjustmentFilter::default() };
            if adjustments.len() <= ROWS_SHOWN {
                adjustments.extend(self.ledger.list_adjustments(&filter, 0, ROWS_ASKED)?.rows);
            }
            let sources = [conversion.price.payout_source, conversion.price.revenue_source];
            for (id, version) in sources.into_iter().filter_map(|it| it.rule).filter(|_| self.view.revenue) {
                if let Some(rule) = self.ledger.find_price_rule_version(id, version)? {
                    found.price_rules.insert((id, version), rule);
                }
            }
        }
        found.entries = found.cut("entries", entries);
        found.adjustments = found.cut("adjustments", adjustments);
        Ok(())
    }

    fn delivery_filter(&self) -> DeliveryFilter {
        DeliveryFilter { own_of: self.view.affiliate_id, ..DeliveryFilter::default() }
    }

    fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, Failure> {
        let filter = DeliveryFilter { id: Some(id), ..self.delivery_filter() };
        let found = self.ledger.list_deliveries(&filter, 0, 1)?.rows.pop();
        Ok(found.filter(|it| self.is_own(it.affiliate_id)))
    }

    fn add_deliveries(&self, found: &mut Found, asked: &Explain) -> Result<(), Failure> {
        let mut deliveries = Vec::new();
        for conversion in &found.conversions {
            if deliveries.len() > ROWS_SHOWN || !(self.view.revenue || self.view.affiliate_id.is_some()) {
                break;
            }
            let conversion_id = Some(conversion.id);
            let filter = DeliveryFilter { conversion_id, id: asked.delivery_id, ..self.delivery_filter() };
            deliveries.extend(self.ledger.list_deliveries(&filter, 0, ROWS_ASKED)?.rows);
        }
        let deliveries = found.cut("deliveries", deliveries);
        let ids: Vec<_> = deliveries.iter().map(|it| it.id).collect();
        for (delivery, mut tries) in deliveries.into_iter().zip(self.ledger.list_tries(&ids)?) {
            // Of a delivery that was replayed often the last ones tell more.
            let tries = tries.split_off(tries.len().saturating_sub(ROWS_SHOWN));
            let postback = self.network.postback(delivery.id.postback_id).map(Arc::clone);
            found.deliveries.push(DeliveryRow { delivery, tries, postback });
        }
        Ok(())
    }
}

/// What the calls behind something are looked up by.
fn names(asked: &Explain, conversions: &[Conversion]) -> Names {
    let mut names = Names::default();
    names.clicks.extend(asked.click_id.clone());
    names.unique_ids.extend(asked.unique_id.clone().map(|id| (id, asked.offer_id)));
    if asked.conversion_id.is_some() || asked.order_id.is_some() {
        for it in conversions {
            names.clicks.push(it.click_id.to_string());
            names.unique_ids.push((it.unique_id.clone(), Some(it.offer_id)));
        }
    }
    names
}

impl Names {
    fn keys(self) -> impl Iterator<Item = (AttemptKey, Option<OfferId>)> {
        let clicks = self.clicks.into_iter().map(|id| (AttemptKey::Click(id), None));
        let unique_ids =
            self.unique_ids.into_iter().map(|(id, offer_id)| (AttemptKey::UniqueId(id), offer_id));
        clicks.chain(unique_ids)
    }
}
