//! The network: everything that is configured. Entities, and the immutable snapshot that clicks and
//! conversions are decided on. A change makes a new snapshot; nobody edits one.

use std::sync::Arc;

use jiff::Timestamp;
use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::caps::Cap;
use crate::deep_link::HostPattern;
use crate::event::{self, Event, OfferEvent};
use crate::ids::{
    AdvertiserId, AffiliateId, CampaignId, CapId, CreativeId, EventId, LandingPageId, OfferId, PostbackId,
    PriceRuleId, RuleId,
};
use crate::money::{Amount, Currency, ExchangeRate};
use crate::postback::{Owner, Postback, PostbackStatus};
use crate::pricing::{PriceRule, Rate};
use crate::schedule::Schedule;
use crate::targeting::{Rule, RuleStatus};
use crate::time::Zone;
use crate::tokens::UrlTemplate;

/// The number of the event every offer has.
pub const DEFAULT_EVENT: EventId = EventId(1);
/// The name of the event every offer has, as in CAKE.
pub const DEFAULT_EVENT_NAME: &str = "Conversion";

/// Landing pages one offer may have that are not deleted: each is weighed on every click.
pub const LANDING_PAGES_MAX: usize = 100;

/// A word that is not one of those allowed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("use one of {}", .0.join(", "))]
pub struct UnknownState(pub Vec<&'static str>);

/// Enums whose values have a name in the API and in the ledger.
macro_rules! states {
    ($($(#[$doc:meta])* $name:ident { $($(#[$state_doc:meta])* $state:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$state_doc])* $state),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$state),+];

            /// Its name in the API and in the ledger.
            pub fn name(self) -> &'static str {
                match self { $(Self::$state => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::network::UnknownState;

            fn from_str(text: &str) -> Result<Self, $crate::network::UnknownState> {
                Self::ALL.iter().copied().find(|it| it.name() == text).ok_or_else(|| {
                    $crate::network::UnknownState(Self::ALL.iter().map(|it| it.name()).collect())
                })
            }
        }
    )+};
}
pub(crate) use states;

states! {
    /// The state of an advertiser or an affiliate.
    PartyStatus {
        /// Works.
        Active = "active",
        /// Switched off.
        Inactive = "inactive",
        /// Not yet switched on.
        Pending = "pending",
    }
    /// The state of an offer.
    OfferStatus {
        /// Takes clicks and conversions.
        Active = "active",
        /// Switched off for a while.
        Paused = "paused",
        /// Switched off.
        Inactive = "inactive",
        /// Not yet switched on.
        Pending = "pending",
    }
    /// The state of a campaign. It counts for clicks only.
    CampaignStatus {
        /// Takes clicks.
        Active = "active",
        /// Takes none for a while.
        Paused = "paused",
        /// Takes none any more.
        Deleted = "deleted",
    }
    /// The state of a creative or a landing page.
    MediaStatus {
        /// It is shown.
        Active = "active",
        /// It is not shown for a while.
        Paused = "paused",
        /// It is not shown any more.
        Deleted = "deleted",
    }
    /// Which click of a visitor who came more than once is credited, where a conversion names none.
    Attribution {
        /// The first, until its session has expired.
        FirstTouch = "first_touch",
        /// The last one of another affiliate.
        LastTouch = "last_touch",
    }
    /// What becomes of a conversion when it is recorded.
    Approval {
        /// It is approved at once.
        Auto = "auto",
        /// It is pending until somebody approves it, or the offer's delay has passed.
        Manual = "manual",
    }
}

/// Who owes the revenue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advertiser {
    /// Its number.
    pub id: AdvertiserId,
    /// Its name.
    pub name: String,
    /// Inactive stops all its offers.
    pub status: PartyStatus,
    /// When it was created.
    pub created: Timestamp,
}

/// What is promoted.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as in the API")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Its number.
    pub id: OfferId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: OfferStatus,
    /// Whose offer it is.
    pub advertiser_id: AdvertiserId,
    /// The landing page, with tokens.
    pub url: UrlTemplate,
    /// The creative a link without one shows.
    pub creative_id: CreativeId,
    /// What the affiliate gets.
    pub payout: Rate,
    /// What the advertiser owes.
    pub revenue: Rate,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// How long after its click a conversion is taken, in seconds, 0 to 31,536,000.
    pub session_seconds: u32,
    /// What becomes of a conversion when it is recorded.
    pub approval: Approval,
    /// Only one conversion for each click, whatever its `unique_id`.
    pub one_per_click: bool,
    /// A click may convert again without a `unique_id`.
    pub allow_duplicates: bool,
    /// Whether affiliates may name the destination themselves (`ckmrdr`).
    pub allow_deep_link: bool,
    /// Where such a destination may lie.
    pub deep_link_hosts: Vec<HostPattern>,
    /// Before then it takes no clicks.
    pub starts: Option<Timestamp>,
    /// From then on it takes no clicks and no conversions.
    pub expires: Option<Timestamp>,
    /// The hours in which it takes clicks; none means all.
    pub schedule: Option<Schedule>,
    /// The time zone of its schedule and its caps; none means the network's.
    pub zone: Option<Zone>,
    /// Where the clicks go that it does not take; none means the global redirect.
    pub redirect: Option<Redirect>,
    /// Where a visitor goes who has converted already; none means the landing page, as ever.
    pub thank_you_url: Option<UrlTemplate>,
    /// Which of a visitor's clicks is credited.
    pub attribution: Attribution,
    /// The same visitor again within so many seconds is a duplicate; none means the network's setting.
    pub throw_out_seconds: Option<u32>,
    /// A pending conversion is approved by itself so many seconds after it was recorded.
    pub approval_delay_seconds: Option<u32>,
    /// A conversion sooner after its click than this is refused, in seconds.
    pub min_conversion_seconds: Option<u32>,
    /// A conversion later after its click than this is refused, in seconds.
    pub max_conversion_seconds: Option<u32>,
    /// Whether a keyless call (`p.ashx`) may state the payout.
    pub allow_pixel_payout: bool,
    /// When it was created.
    pub created: Timestamp,
}

impl Offer {
    /// Whether its expiration date has passed.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Who sends visitors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Affiliate {
    /// Its number.
    pub id: AffiliateId,
    /// Its name.
    pub name: String,
    /// Only active ones send clicks and are paid.
    pub status: PartyStatus,
    /// Its tier: offers may have a price for each.
    pub tier: Option<String>,
    /// When it was created.
    pub created: Timestamp,
}

/// One affiliate running one offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Campaign {
    /// Its number.
    pub id: CampaignId,
    /// The offer.
    pub offer_id: OfferId,
    /// The affiliate.
    pub affiliate_id: AffiliateId,
    /// Its state.
    pub status: CampaignStatus,
    /// The creative its tracking link shows.
    pub creative_id: CreativeId,
    /// Its own payout, read in the offer's payout type.
    pub payout: Option<Amount>,
    /// Its own revenue, read in the offer's revenue type.
    pub revenue: Option<Amount>,
    /// From then on it takes no clicks.
    pub expires: Option<Timestamp>,
    /// Where its refused clicks go, before the offer's own redirect is looked at.
    pub redirect: Option<Redirect>,
    /// When it was created.
    pub created: Timestamp,
}

/// One way an offer is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Creative {
    /// Its number.
    pub id: CreativeId,
    /// Whose it is.
    pub offer_id: OfferId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: MediaStatus,
    /// A landing page of its own, before the offer's.
    pub url: Option<UrlTemplate>,
    /// When it was created.
    pub created: Timestamp,
}

/// One of several pages an offer's visitors are spread over, instead of the offer's URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LandingPage {
    /// Its number.
    pub id: LandingPageId,
    /// Whose it is.
    pub offer_id: OfferId,
    /// Its name.
    pub name: String,
    /// The page, with tokens.
    pub url: UrlTemplate,
    /// Its share of the visitors, beside the others' weights; 0 to 10,000.
    pub weight: u32,
    /// Its state.
    pub status: MediaStatus,
    /// When it was created.
    pub created: Timestamp,
}

/// Where a refused click goes instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Redirect {
    /// To this page.
    Url(UrlTemplate),
    /// To another offer, if that one takes it; else along that one's own redirects.
    Offer(OfferId),
}

/// What an offer's campaigns of one tier's affiliates pay and earn, unless they have a price of their own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TierPrice {
    /// The offer.
    pub offer_id: OfferId,
    /// The tier, as affiliates name it.
    pub tier: String,
    /// The payout, read in the offer's payout type.
    pub payout: Option<Amount>,
    /// The revenue, read in the offer's revenue type.
    pub revenue: Option<Amount>,
}

/// What one unit of a currency costs in the network's currency from a date on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DatedRate {
    /// The currency.
    pub currency: Currency,
    /// From when on.
    pub effective: Timestamp,
    /// What one unit of it costs.
    pub rate: ExchangeRate,
}

/// All entities, as the ledger holds them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entities {
    /// Grows with every change, so that a reader can tell whether it is up to date.
    pub version: u64,
    /// Advertisers, by number.
    pub advertisers: Vec<Advertiser>,
    /// Offers, by number.
    pub offers: Vec<Offer>,
    /// Affiliates, by number.
    pub affiliates: Vec<Affiliate>,
    /// Campaigns, by number.
    pub campaigns: Vec<Campaign>,
    /// Creatives, by number.
    pub creatives: Vec<Creative>,
    /// Landing pages, by number; deleted ones may be left out.
    pub landing_pages: Vec<LandingPage>,
    /// Targeting rules, each in its present version, by number; deleted ones may be left out.
    pub rules: Vec<Rule>,
    /// Caps, by number; deleted ones may be left out.
    pub caps: Vec<Cap>,
    /// Events, by number.
    pub events: Vec<Event>,
    /// Which offers take which events, in no order.
    pub offer_events: Vec<OfferEvent>,
    /// Price rules, each in its present version, by number; deleted ones may be left out.
    pub price_rules: Vec<PriceRule>,
    /// Prices of tiers, in no order.
    pub tier_prices: Vec<TierPrice>,
    /// Exchange rates, in no order.
    pub exchange_rates: Vec<DatedRate>,
    /// Postbacks and webhooks, by number.
    pub postbacks: Vec<Postback>,
}

/// The whole configuration at one moment, arranged for looking things up.
#[derive(Debug, Default)]
pub struct Network {
    /// The version of the entities it was made from.
    pub version: u64,
    advertisers: FxHashMap<AdvertiserId, Arc<Advertiser>>,
    offers: FxHashMap<OfferId, Arc<Offer>>,
    affiliates: FxHashMap<AffiliateId, Arc<Affiliate>>,
    campaigns: FxHashMap<CampaignId, Arc<Campaign>>,
    creatives: FxHashMap<CreativeId, Arc<Creative>>,
    landing_pages: FxHashMap<LandingPageId, Arc<LandingPage>>,
    rules: FxHashMap<RuleId, Arc<Rule>>,
    caps: FxHashMap<CapId, Arc<Cap>>,
    /// The campaign of an affiliate on an offer: the newest that is not deleted, else the newest.
    campaign_of: FxHashMap<(AffiliateId, OfferId), CampaignId>,
    traffic: FxHashMap<OfferId, Traffic>,
    events: FxHashMap<EventId, Arc<Event>>,
    offer_events: FxHashMap<(OfferId, EventId, Option<CampaignId>), Arc<OfferEvent>>,
    price_rules: FxHashMap<PriceRuleId, Arc<PriceRule>>,
    pricing: FxHashMap<OfferId, Pricing>,
    exchange_rates: FxHashMap<Currency, Vec<DatedRate>>,
    postbacks: FxHashMap<PostbackId, Arc<Postback>>,
    /// The active ones of each owner.
    postbacks_of: FxHashMap<Owner, Vec<Arc<Postback>>>,
}

/// What is in force for an offer's conversions; offers with nothing of the kind have none.
#[derive(Debug, Default)]
pub struct Pricing {
    /// Active price rules, in the order in which they are tried.
    pub rules: Vec<Arc<PriceRule>>,
    /// Active caps on conversions and their money.
    pub caps: Vec<Arc<Cap>>,
    /// Prices of tiers.
    pub tiers: Vec<TierPrice>,
}

/// What is in force for an offer's clicks; offers with nothing of the kind have none.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Active rules, in the order in which they are tried.
    pub rules: Vec<Arc<Rule>>,
    /// Active landing pages with a weight.
    pub landing_pages: Vec<Arc<LandingPage>>,
}

impl Network {
    /// Arranges the entities.
    pub fn new(entities: Entities) -> Self {
        let mut campaign_of: FxHashMap<_, &Campaign> = FxHashMap::default();
        for campaign in &entities.campaigns {
            let deleted = campaign.status == CampaignStatus::Deleted;
            let key = (campaign.affiliate_id, campaign.offer_id);
            let better =
                campaign_of.get(&key).is_none_or(|other| !deleted || other.status == CampaignStatus::Deleted);
            if better {
                campaign_of.insert(key, campaign);
            }
        }
        let mut network = Self {
            version: entities.version,
            campaign_of: campaign_of.into_iter().map(|(key, campaign)| (key, campaign.id)).collect(),
            advertisers: by_id(entities.advertisers, |it| it.id),
            offers: by_id(entities.offers, |it| it.id),
            affiliates: by_id(entities.affiliates, |it| it.id),
            campaigns: by_id(entities.campaigns, |it| it.id),
            creatives: by_id(entities.creatives, |it| it.id),
            landing_pages: by_id(entities.landing_pages, |it| it.id),
            rules: by_id(entities.rules, |it| it.id),
            caps: by_id(entities.caps, |it| it.id),
            traffic: FxHashMap::default(),
            events: by_id(entities.events, |it| it.id),
            offer_events: by_id(entities.offer_events, |it| (it.offer_id, it.event_id, it.campaign_id)),
            price_rules: by_id(entities.price_rules, |it| it.id),
            pricing: FxHashMap::default(),
            exchange_rates: FxHashMap::default(),
            postbacks: by_id(entities.postbacks, |it| it.id),
            postbacks_of: FxHashMap::default(),
        };
        for postback in network.postbacks.values().filter(|it| it.status == PostbackStatus::Active) {
            network.postbacks_of.entry(postback.owner).or_default().push(Arc::clone(postback));
        }
        network.arrange_traffic();
        network.arrange_pricing(entities.tier_prices, entities.exchange_rates);
        network
    }

    fn arrange_pricing(&mut self, tiers: Vec<TierPrice>, rates: Vec<DatedRate>) {
        for rule in self.price_rules.values().filter(|it| it.status == RuleStatus::Active) {
            self.pricing.entry(rule.offer_id).or_default().rules.push(Arc::clone(rule));
        }
        for cap in self.caps.values().filter(|it| it.is_for_conversions()) {
            self.pricing.entry(cap.offer_id).or_default().caps.push(Arc::clone(cap));
        }
        for tier in tiers {
            self.pricing.entry(tier.offer_id).or_default().tiers.push(tier);
        }
        for pricing in self.pricing.values_mut() {
            pricing.rules.sort_by_key(|it| (it.position, it.id));
            pricing.caps.sort_by_key(|it| it.id);
        }
        for rate in rates {
            self.exchange_rates.entry(rate.currency).or_default().push(rate);
        }
        for rates in self.exchange_rates.values_mut() {
            rates.sort_by_key(|it| it.effective);
        }
    }

    /// The postback or webhook of that number.
    pub fn postback(&self, id: PostbackId) -> Option<&Arc<Postback>> {
        self.postbacks.get(&id)
    }

    /// All postbacks and webhooks, in no order.
    pub fn postbacks(&self) -> impl Iterator<Item = &Arc<Postback>> {
        self.postbacks.values()
    }

    /// The active postbacks of an owner, in no order.
    pub fn postbacks_of(&self, owner: Owner) -> &[Arc<Postback>] {
        self.postbacks_of.get(&owner).map_or(&[], |it| it)
    }

    /// What is in force for an offer's conversions.
    pub fn pricing(&self, id: OfferId) -> Option<&Pricing> {
        self.pricing.get(&id)
    }

    /// The event of that number; the default one is none.
    pub fn event(&self, id: EventId) -> Option<&Arc<Event>> {
        self.events.get(&id)
    }

    /// All events, in no order.
    pub fn events(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.events.values()
    }

    /// The event of an advertiser that a call names, by number or by name in any case. The default event is
    /// everybody's.
    pub fn find_event(&self, advertiser_id: AdvertiserId, text: &str) -> Option<EventId> {
        if event::is_default(text) {
            return Some(DEFAULT_EVENT);
        }
        let own = |it: &&Arc<Event>| it.advertiser_id == advertiser_id;
        let by_id = text.parse().ok().and_then(|id| self.event(id)).filter(own);
        let by_name = || self.events.values().filter(own).find(|it| it.name.eq_ignore_ascii_case(text));
        by_id.or_else(by_name).map(|it| it.id)
    }

    /// What an offer, or a campaign on it, says about an event.
    pub fn offer_event(
        &self,
        offer_id: OfferId,
        event_id: EventId,
        campaign_id: Option<CampaignId>,
    ) -> Option<&Arc<OfferEvent>> {
        self.offer_events.get(&(offer_id, event_id, campaign_id))
    }

    /// What offers and campaigns say about events, in no order.
    pub fn offer_events(&self) -> impl Iterator<Item = &Arc<OfferEvent>> {
        self.offer_events.values()
    }

    /// The price rule of that number, in its present version.
    pub fn price_rule(&self, id: PriceRuleId) -> Option<&Arc<PriceRule>> {
        self.price_rules.get(&id)
    }

    /// All price rules, in no order.
    pub fn price_rules(&self) -> impl Iterator<Item = &Arc<PriceRule>> {
        self.price_rules.values()
    }

    /// All prices of tiers, in no order.
    pub fn tier_prices(&self) -> impl Iterator<Item = &TierPrice> {
        self.pricing.values().flat_map(|it| &it.tiers)
    }

    /// The exchange rates of every currency, by date.
    pub fn exchange_rates(&self) -> impl Iterator<Item = &DatedRate> {
        self.exchange_rates.values().flatten()
    }

    /// What a currency costs at a moment; none where no rate is known by then.
    pub fn exchange_rate(&self, currency: Currency, at: Timestamp) -> Option<ExchangeRate> {
        let rates = self.exchange_rates.get(&currency)?;
        rates.iter().take_while(|it| it.effective <= at).last().map(|it| it.rate)
    }

    fn arrange_traffic(&mut self) {
        for rule in self.rules.values().filter(|it| it.status == RuleStatus::Active) {
            self.traffic.entry(rule.offer_id).or_default().rules.push(Arc::clone(rule));
        }
        for page in self.landing_pages.values() {
            if page.status == MediaStatus::Active && page.weight > 0 {
                self.traffic.entry(page.offer_id).or_default().landing_pages.push(Arc::clone(page));
            }
        }
        for traffic in self.traffic.values_mut() {
            traffic.rules.sort_by_key(|it| (it.position, it.id));
            traffic.landing_pages.sort_by_key(|it| it.id);
        }
    }

    /// What is in force for an offer's clicks.
    pub fn traffic(&self, id: OfferId) -> Option<&Traffic> {
        self.traffic.get(&id)
    }

    /// The advertiser of that number.
    pub fn advertiser(&self, id: AdvertiserId) -> Option<&Arc<Advertiser>> {
        self.advertisers.get(&id)
    }

    /// The offer of that number.
    pub fn offer(&self, id: OfferId) -> Option<&Arc<Offer>> {
        self.offers.get(&id)
    }

    /// The affiliate of that number.
    pub fn affiliate(&self, id: AffiliateId) -> Option<&Arc<Affiliate>> {
        self.affiliates.get(&id)
    }

    /// The campaign of that number.
    pub fn campaign(&self, id: CampaignId) -> Option<&Arc<Campaign>> {
        self.campaigns.get(&id)
    }

    /// The creative of that number.
    pub fn creative(&self, id: CreativeId) -> Option<&Arc<Creative>> {
        self.creatives.get(&id)
    }

    /// The landing page of that number.
    pub fn landing_page(&self, id: LandingPageId) -> Option<&Arc<LandingPage>> {
        self.landing_pages.get(&id)
    }

    /// The targeting rule of that number.
    pub fn rule(&self, id: RuleId) -> Option<&Arc<Rule>> {
        self.rules.get(&id)
    }

    /// The cap of that number.
    pub fn cap(&self, id: CapId) -> Option<&Arc<Cap>> {
        self.caps.get(&id)
    }

    /// All creatives, in no order.
    pub fn creatives(&self) -> impl Iterator<Item = &Arc<Creative>> {
        self.creatives.values()
    }

    /// All landing pages, in no order.
    pub fn landing_pages(&self) -> impl Iterator<Item = &Arc<LandingPage>> {
        self.landing_pages.values()
    }

    /// All targeting rules, in no order.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.values()
    }

    /// All caps, in no order.
    pub fn caps(&self) -> impl Iterator<Item = &Arc<Cap>> {
        self.caps.values()
    }

    /// All advertisers, in no order.
    pub fn advertisers(&self) -> impl Iterator<Item = &Arc<Advertiser>> {
        self.advertisers.values()
    }

    /// All offers, in no order.
    pub fn offers(&self) -> impl Iterator<Item = &Arc<Offer>> {
        self.offers.values()
    }

    /// All affiliates, in no order.
    pub fn affiliates(&self) -> impl Iterator<Item = &Arc<Affiliate>> {
        self.affiliates.values()
    }

    /// All campaigns, in no order.
    pub fn campaigns(&self) -> impl Iterator<Item = &Arc<Campaign>> {
        self.campaigns.values()
    }

    /// The campaign an affiliate's links to an offer belong to.
    pub fn campaign_of(&self, affiliate_id: AffiliateId, offer_id: OfferId) -> Option<&Arc<Campaign>> {
        self.campaigns.get(self.campaign_of.get(&(affiliate_id, offer_id))?)
    }
}

fn by_id<Id: std::hash::Hash + Eq, T>(all: Vec<T>, id: impl Fn(&T) -> Id) -> FxHashMap<Id, Arc<T>> {
    all.into_iter().map(|it| (id(&it), Arc::new(it))).collect()
}

/// What every test of a rule needs: one offer of one advertiser, one affiliate, one campaign.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;
    use crate::network_change::CreateOffer;

    pub(crate) fn entities() -> Entities {
        let created = Timestamp::UNIX_EPOCH;
        let rate = |number: &str| Rate::cpa(number.parse().expect("an amount"));
        Entities {
            version: 1,
            advertisers: vec![Advertiser {
                id: AdvertiserId(1),
                name: "Acme".into(),
                status: PartyStatus::Active,
                created,
            }],
            offers: vec![
                CreateOffer {
                    payout: rate("18"),
                    revenue: rate("22"),
                    ..CreateOffer::new(
                        "Quote",
                        AdvertiserId(1),
                        UrlTemplate::parse("https://shop.example/?click={click_id}").expect("a url"),
                    )
                }
                .into_offer(OfferId(2), CreativeId(3), created),
            ],
            affiliates: vec![Affiliate {
                id: AffiliateId(4),
                name: "Bridge".into(),
                status: PartyStatus::Active,
                tier: None,
                created,
            }],
            campaigns: vec![Campaign {
                id: CampaignId(5),
                offer_id: OfferId(2),
                affiliate_id: AffiliateId(4),
                status: CampaignStatus::Active,
                creative_id: CreativeId(3),
                payout: None,
                revenue: None,
                expires: None,
                redirect: None,
                created,
            }],
            creatives: vec![Creative {
                id: CreativeId(3),
                offer_id: OfferId(2),
                name: "Default".into(),
                status: MediaStatus::Active,
                url: None,
                created,
            }],
            ..Entities::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_round_trips() {
        for status in OfferStatus::ALL {
            assert_eq!(status.name().parse(), Ok(*status));
        }
        let error = "gone".parse::<CampaignStatus>().expect_err("unknown");
        assert_eq!(error.to_string(), "use one of active, paused, deleted");
    }

    #[test]
    fn the_newest_campaign_that_is_not_deleted_is_the_affiliates() {
        let mut entities = sample::entities();
        let first = entities.campaigns[0].clone();
        for (id, status) in [(6, CampaignStatus::Paused), (7, CampaignStatus::Deleted)] {
            entities.campaigns.push(Campaign { id: CampaignId(id), status, ..first.clone() });
        }
        let network = Network::new(entities);
        assert_eq!(network.campaign_of(AffiliateId(4), OfferId(2)).map(|it| it.id), Some(CampaignId(6)));
        assert!(network.campaign_of(AffiliateId(4), OfferId(9)).is_none());
    }
}
