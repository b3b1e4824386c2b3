//! Changing what decides prices. A change is in force, for every conversion after it, before it is
//! answered.

use domain::access::Caller;
use domain::event::{Event, OfferEvent};
use domain::ids::{EventId, PriceRuleId};
use domain::network::{DatedRate, TierPrice};
use domain::network_change::{CreateEvent, CreatePriceRule, EventChange, PriceRuleChange};
use domain::pricing::PriceRule;

use crate::{App, ChangeError};

impl App {
    /// Creates an event.
    pub async fn create_event(&self, caller: &Caller, create: CreateEvent) -> Result<Event, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.create_event(create, now)).await
    }

    /// Changes an event.
    pub async fn update_event(
        &self,
        caller: &Caller,
        id: EventId,
        change: EventChange,
    ) -> Result<Event, ChangeError> {
        self.change(caller, move |ledger| ledger.update_event(id, change)).await
    }

    /// Says whether and at what price an offer, or a campaign of it, takes an event.
    pub async fn set_offer_event(
        &self,
        caller: &Caller,
        offer_event: OfferEvent,
    ) -> Result<OfferEvent, ChangeError> {
        self.change(caller, move |ledger| ledger.set_offer_event(offer_event)).await
    }

    /// Creates a price rule.
    pub async fn create_price_rule(
        &self,
        caller: &Caller,
        create: CreatePriceRule,
    ) -> Result<PriceRule, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.create_price_rule(create, now)).await
    }

    /// Changes a price rule, which gets a new version.
    pub async fn update_price_rule(
        &self,
        caller: &Caller,
        id: PriceRuleId,
        change: PriceRuleChange,
    ) -> Result<PriceRule, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.update_price_rule(id, change, now)).await
    }

    /// Says what a tier's campaigns of an offer pay and earn.
    pub async fn set_tier_price(&self, caller: &Caller, price: TierPrice) -> Result<TierPrice, ChangeError> {
        self.change(caller, move |ledger| ledger.set_tier_price(price)).await
    }

    /// Says what a currency costs from a date on.
    pub async fn set_exchange_rate(
        &self,
        caller: &Caller,
        rate: DatedRate,
    ) -> Result<DatedRate, ChangeError> {
        self.change(caller, move |ledger| ledger.set_exchange_rate(rate)).await
    }
}
