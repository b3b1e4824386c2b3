//! What decides what conversions pay, as the ledger keeps it: events, price rules, prices of tiers,
//! exchange rates. They are loaded with the network.

use domain::caps::Window;
use domain::event::{Event, OfferEvent};
use domain::ids::{CapId, EventId, OfferId, PriceRuleId};
use domain::network::{DatedRate, TierPrice};
use domain::network_change::{CreateEvent, CreatePriceRule, EventChange, PriceRuleChange};
use domain::pricing::PriceRule;
use jiff::Timestamp;

use crate::LedgerError;
use crate::network::Changed;

/// What decides prices. Every change that is made raises the network's version in the same transaction.
pub trait PricingBook {
    /// Creates an event. Its name is its advertiser's only one, in any case, and not the default event's.
    fn create_event(&self, create: CreateEvent, now: Timestamp) -> Changed<Event>;

    /// Changes what is present in `change`.
    fn update_event(&self, id: EventId, change: EventChange) -> Changed<Event>;

    /// Says whether and at what price an offer, or a campaign of it, takes an event of the offer's
    /// advertiser; instead of what was said before.
    fn set_offer_event(&self, offer_event: OfferEvent) -> Changed<OfferEvent>;

    /// Creates a price rule in its first version: at most
    /// [`PRICE_RULES_MAX`](domain::pricing::PRICE_RULES_MAX) an offer that are not deleted.
    fn create_price_rule(&self, create: CreatePriceRule, now: Timestamp) -> Changed<PriceRule>;

    /// Changes what is present in `change`, as a new version. The versions before it are kept.
    fn update_price_rule(
        &self,
        id: PriceRuleId,
        change: PriceRuleChange,
        now: Timestamp,
    ) -> Changed<PriceRule>;

    /// A price rule as it was in that version.
    fn find_price_rule_version(
        &self,
        id: PriceRuleId,
        version: u32,
    ) -> Result<Option<PriceRule>, LedgerError>;

    /// Says what a tier's campaigns of an offer pay and earn, instead of what was said before. A price
    /// that says neither is taken away.
    fn set_tier_price(&self, price: TierPrice) -> Changed<TierPrice>;

    /// Says what a currency costs from a date on. The rate of the same currency and date is replaced.
    fn set_exchange_rate(&self, rate: DatedRate) -> Changed<DatedRate>;

    /// What the window of each of these caps has taken of conversions, in millionths, in their order.
    fn cap_used(&self, caps: &[(CapId, OfferId, Window)]) -> Result<Vec<i64>, LedgerError>;
}
