//! The network: everything that is configured. Entities, and the immutable snapshot that clicks and
//! conversions are decided on. A change makes a new snapshot; nobody edits one.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use thiserror::Error;

use crate::deep_link::HostPattern;
use crate::ids::{AdvertiserId, AffiliateId, CampaignId, CreativeId, EventId, OfferId};
use crate::money::{Amount, Currency};
use crate::pricing::Rate;
use crate::tokens::UrlTemplate;

/// The number of the event every offer has.
pub const DEFAULT_EVENT: EventId = EventId(1);
/// The name of the event every offer has, as in CAKE.
pub const DEFAULT_EVENT_NAME: &str = "Conversion";

/// A status word that is not one of those allowed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not a status: use {}", .0.join(", "))]
pub struct UnknownState(pub Vec<&'static str>);

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
            type Err = UnknownState;

            fn from_str(text: &str) -> Result<Self, UnknownState> {
                Self::ALL.iter().copied().find(|it| it.name() == text)
                    .ok_or_else(|| UnknownState(Self::ALL.iter().map(|it| it.name()).collect()))
            }
        }
    )+};
}

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
    /// What becomes of a conversion when it is recorded.
    Approval {
        /// It is approved at once.
        Auto = "auto",
        /// It is pending until somebody approves it.
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
    /// From then on it takes no clicks and no conversions.
    pub expires: Option<Timestamp>,
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
}

/// The whole configuration at one moment, arranged for looking things up.
#[derive(Debug, Default)]
pub struct Network {
    /// The version of the entities it was made from.
    pub version: u64,
    advertisers: HashMap<AdvertiserId, Arc<Advertiser>>,
    offers: HashMap<OfferId, Arc<Offer>>,
    affiliates: HashMap<AffiliateId, Arc<Affiliate>>,
    campaigns: HashMap<CampaignId, Arc<Campaign>>,
    creatives: HashMap<CreativeId, Arc<Creative>>,
    /// The campaign of an affiliate on an offer: the newest that is not deleted, else the newest.
    campaign_of: HashMap<(AffiliateId, OfferId), CampaignId>,
}

impl Network {
    /// Arranges the entities.
    pub fn new(entities: Entities) -> Self {
        let mut campaign_of: HashMap<_, &Campaign> = HashMap::new();
        for campaign in &entities.campaigns {
            let deleted = campaign.status == CampaignStatus::Deleted;
            let key = (campaign.affiliate_id, campaign.offer_id);
            let better =
                campaign_of.get(&key).is_none_or(|other| !deleted || other.status == CampaignStatus::Deleted);
            if better {
                campaign_of.insert(key, campaign);
            }
        }
        Self {
            version: entities.version,
            campaign_of: campaign_of.into_iter().map(|(key, campaign)| (key, campaign.id)).collect(),
            advertisers: by_id(entities.advertisers, |it| it.id),
            offers: by_id(entities.offers, |it| it.id),
            affiliates: by_id(entities.affiliates, |it| it.id),
            campaigns: by_id(entities.campaigns, |it| it.id),
            creatives: by_id(entities.creatives, |it| it.id),
        }
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

fn by_id<Id: std::hash::Hash + Eq, T>(all: Vec<T>, id: impl Fn(&T) -> Id) -> HashMap<Id, Arc<T>> {
    all.into_iter().map(|it| (id(&it), Arc::new(it))).collect()
}

/// What every test of a rule needs: one offer of one advertiser, one affiliate, one campaign.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;
    use crate::pricing::PriceType;

    pub(crate) fn entities() -> Entities {
        let created = Timestamp::UNIX_EPOCH;
        let rate =
            |number: &str| Rate { price_type: PriceType::Cpa, number: number.parse().expect("an amount") };
        Entities {
            version: 1,
            advertisers: vec![Advertiser {
                id: AdvertiserId(1),
                name: "Acme".into(),
                status: PartyStatus::Active,
                created,
            }],
            offers: vec![Offer {
                id: OfferId(2),
                name: "Quote".into(),
                status: OfferStatus::Active,
                advertiser_id: AdvertiserId(1),
                url: UrlTemplate::parse("https://shop.example/?click={click_id}").expect("a url"),
                creative_id: CreativeId(3),
                payout: rate("18"),
                revenue: rate("22"),
                currency: Currency::USD,
                session_seconds: 720 * 3600,
                approval: Approval::Auto,
                one_per_click: false,
                allow_duplicates: false,
                allow_deep_link: false,
                deep_link_hosts: Vec::new(),
                expires: None,
                created,
            }],
            affiliates: vec![Affiliate {
                id: AffiliateId(4),
                name: "Bridge".into(),
                status: PartyStatus::Active,
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
                created,
            }],
            creatives: vec![Creative { id: CreativeId(3), offer_id: OfferId(2), name: "Default".into() }],
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
        assert_eq!(error.to_string(), "not a status: use active, paused, deleted");
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
