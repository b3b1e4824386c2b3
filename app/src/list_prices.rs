//! Lists of what decides prices, from the snapshot in memory. None is for affiliates, who would see how
//! others are paid.

use std::sync::Arc;

use domain::access::Caller;
use domain::caps::{Cap, CapType, Window};
use domain::event::{Event, OfferEvent};
use domain::money::Amount;
use domain::network::{DatedRate, TierPrice};
use domain::pricing::PriceRule;

use crate::failure::blocking;
use crate::list_network::sorted;
use crate::{App, Failure};

impl App {
    /// Events that `wanted` picks.
    pub fn list_events(
        &self,
        caller: &Caller,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Vec<Arc<Event>>, Failure> {
        caller.may_read_all()?;
        Ok(sorted(self.network.load().events().filter(|it| wanted(it)), |it| it.id))
    }

    /// What offers and campaigns say of events, as far as `wanted` picks it: by offer, event and campaign.
    pub fn list_offer_events(
        &self,
        caller: &Caller,
        wanted: impl Fn(&OfferEvent) -> bool,
    ) -> Result<Vec<Arc<OfferEvent>>, Failure> {
        caller.may_read_all()?;
        let network = self.network.load();
        let found = network.offer_events().filter(|it| wanted(it));
        Ok(sorted(found, |it| (it.offer_id, it.event_id, it.campaign_id)))
    }

    /// Price rules that `wanted` picks.
    pub fn list_price_rules(
        &self,
        caller: &Caller,
        wanted: impl Fn(&PriceRule) -> bool,
    ) -> Result<Vec<Arc<PriceRule>>, Failure> {
        caller.may_read_all()?;
        Ok(sorted(self.network.load().price_rules().filter(|it| wanted(it)), |it| it.id))
    }

    /// Prices of tiers that `wanted` picks, by offer and tier.
    pub fn list_tier_prices(
        &self,
        caller: &Caller,
        wanted: impl Fn(&TierPrice) -> bool,
    ) -> Result<Vec<TierPrice>, Failure> {
        caller.may_read_all()?;
        let mut found: Vec<_> = self.network.load().tier_prices().filter(|it| wanted(it)).cloned().collect();
        found.sort_by(|a, b| (a.offer_id, &a.tier).cmp(&(b.offer_id, &b.tier)));
        Ok(found)
    }

    /// Exchange rates that `wanted` picks, by currency and date.
    pub fn list_exchange_rates(
        &self,
        caller: &Caller,
        wanted: impl Fn(&DatedRate) -> bool,
    ) -> Result<Vec<DatedRate>, Failure> {
        caller.may_read_all()?;
        let mut found: Vec<_> =
            self.network.load().exchange_rates().filter(|it| wanted(it)).copied().collect();
        found.sort_by_key(|it| (it.currency.to_string(), it.effective));
        Ok(found)
    }

    /// What each of these caps has taken in its present interval, in their order: clicks, conversions or
    /// money.
    pub async fn caps_used(&self, caps: &[Arc<Cap>]) -> Result<Vec<Amount>, Failure> {
        let (network, now) = (self.network.load_full(), self.clock.now());
        let window = |cap: &Cap| {
            let own = network.offer(cap.offer_id).and_then(|offer| offer.zone.as_ref());
            Window::of(cap.interval, own.map_or(&self.settings.zone, |own| own.rules()), now)
        };
        let counted = caps.iter().filter(|it| it.cap_type != CapType::Click);
        let asked: Vec<_> = counted.map(|it| (it.id, it.offer_id, window(it))).collect();
        let ledger = Arc::clone(&self.ledger);
        let taken = match asked.is_empty() {
            true => Vec::new(),
            false => blocking(move || Ok(ledger.cap_used(&asked)?)).await?,
        };
        let mut taken = taken.into_iter();
        let used = |cap: &Arc<Cap>| match cap.cap_type {
            CapType::Click => whole(self.clicks_taken(cap.id)),
            _ => taken.next().and_then(Amount::from_micros).unwrap_or_default(),
        };
        Ok(caps.iter().map(used).collect())
    }
}

/// A count as an amount, which caps count everything in.
fn whole(count: u64) -> Amount {
    let micros = i64::try_from(count).ok().and_then(|count| count.checked_mul(1_000_000));
    micros.and_then(Amount::from_micros).unwrap_or(Amount::MAX)
}
