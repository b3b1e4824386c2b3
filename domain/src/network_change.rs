//! Changes to the network: what creating an entity takes, and what an update may alter. An absent
//! field stays as it is; there are no sentinels.

use jiff::Timestamp;

use crate::deep_link::HostPattern;
use crate::ids::{AdvertiserId, AffiliateId, CampaignId, CreativeId, OfferId};
use crate::money::{Amount, Currency};
use crate::network::{
    Advertiser, Affiliate, Approval, Campaign, CampaignStatus, Offer, OfferStatus, PartyStatus,
};
use crate::pricing::{PriceType, Rate};
use crate::tokens::UrlTemplate;

/// A kind of entity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntityKind {
    /// An advertiser.
    Advertiser,
    /// An offer.
    Offer,
    /// An affiliate.
    Affiliate,
    /// A campaign.
    Campaign,
    /// A creative.
    Creative,
}

impl EntityKind {
    /// Its name, as in `offer_id` and `offer_not_found`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Advertiser => "advertiser",
            Self::Offer => "offer",
            Self::Affiliate => "affiliate",
            Self::Campaign => "campaign",
            Self::Creative => "creative",
        }
    }
}

/// Why a change was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejected {
    /// Something it names does not exist.
    NotFound(EntityKind),
    /// The creative belongs to another offer.
    CreativeOfOtherOffer,
    /// The affiliate runs the offer already, in this campaign.
    CampaignExists(CampaignId),
}

/// A new advertiser.
#[derive(Clone, Debug)]
pub struct CreateAdvertiser {
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: PartyStatus,
}

/// A change to an advertiser.
#[derive(Clone, Debug, Default)]
pub struct AdvertiserChange {
    /// Its name.
    pub name: Option<String>,
    /// Its state.
    pub status: Option<PartyStatus>,
}

impl AdvertiserChange {
    /// Applies what is present.
    pub fn apply(self, advertiser: &mut Advertiser) {
        set(&mut advertiser.name, self.name);
        set(&mut advertiser.status, self.status);
    }
}

/// A new affiliate.
#[derive(Clone, Debug)]
pub struct CreateAffiliate {
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: PartyStatus,
}

/// A change to an affiliate.
#[derive(Clone, Debug, Default)]
pub struct AffiliateChange {
    /// Its name.
    pub name: Option<String>,
    /// Its state.
    pub status: Option<PartyStatus>,
}

impl AffiliateChange {
    /// Applies what is present.
    pub fn apply(self, affiliate: &mut Affiliate) {
        set(&mut affiliate.name, self.name);
        set(&mut affiliate.status, self.status);
    }
}

/// A new offer. Its default creative is made with it.
#[derive(Clone, Debug)]
pub struct CreateOffer {
    /// Its name.
    pub name: String,
    /// Whose offer it is.
    pub advertiser_id: AdvertiserId,
    /// The landing page.
    pub url: UrlTemplate,
    /// Its state.
    pub status: OfferStatus,
    /// What the affiliate gets.
    pub payout: Rate,
    /// What the advertiser owes.
    pub revenue: Rate,
    /// The currency of its amounts.
    pub currency: Currency,
    /// How long after its click a conversion is taken.
    pub session_seconds: u32,
    /// What becomes of a conversion when it is recorded.
    pub approval: Approval,
    /// Only one conversion for each click.
    pub one_per_click: bool,
    /// A click may convert again without a `unique_id`.
    pub allow_duplicates: bool,
    /// Whether affiliates may name the destination themselves.
    pub allow_deep_link: bool,
    /// Where such a destination may lie.
    pub deep_link_hosts: Vec<HostPattern>,
    /// From then on it takes nothing.
    pub expires: Option<Timestamp>,
}

/// A change to an offer. Its advertiser and currency never change: money hangs on them.
#[derive(Clone, Debug, Default)]
pub struct OfferChange {
    /// Its name.
    pub name: Option<String>,
    /// The landing page.
    pub url: Option<UrlTemplate>,
    /// Its state.
    pub status: Option<OfferStatus>,
    /// How the payout is read.
    pub payout_type: Option<PriceType>,
    /// The payout's number.
    pub payout: Option<Amount>,
    /// How the revenue is read.
    pub revenue_type: Option<PriceType>,
    /// The revenue's number.
    pub revenue: Option<Amount>,
    /// How long after its click a conversion is taken.
    pub session_seconds: Option<u32>,
    /// What becomes of a conversion when it is recorded.
    pub approval: Option<Approval>,
    /// Only one conversion for each click.
    pub one_per_click: Option<bool>,
    /// A click may convert again without a `unique_id`.
    pub allow_duplicates: Option<bool>,
    /// Whether affiliates may name the destination themselves.
    pub allow_deep_link: Option<bool>,
    /// Where such a destination may lie.
    pub deep_link_hosts: Option<Vec<HostPattern>>,
    /// From then on it takes nothing; an inner none takes the date away.
    pub expires: Option<Option<Timestamp>>,
}

impl OfferChange {
    /// Applies what is present.
    pub fn apply(self, offer: &mut Offer) {
        set(&mut offer.name, self.name);
        set(&mut offer.url, self.url);
        set(&mut offer.status, self.status);
        set(&mut offer.payout.price_type, self.payout_type);
        set(&mut offer.payout.number, self.payout);
        set(&mut offer.revenue.price_type, self.revenue_type);
        set(&mut offer.revenue.number, self.revenue);
        set(&mut offer.session_seconds, self.session_seconds);
        set(&mut offer.approval, self.approval);
        set(&mut offer.one_per_click, self.one_per_click);
        set(&mut offer.allow_duplicates, self.allow_duplicates);
        set(&mut offer.allow_deep_link, self.allow_deep_link);
        set(&mut offer.deep_link_hosts, self.deep_link_hosts);
        set(&mut offer.expires, self.expires);
    }
}

/// A new campaign.
#[derive(Clone, Debug)]
pub struct CreateCampaign {
    /// The offer.
    pub offer_id: OfferId,
    /// The affiliate.
    pub affiliate_id: AffiliateId,
    /// Its state.
    pub status: CampaignStatus,
    /// The creative of its link; by default the offer's.
    pub creative_id: Option<CreativeId>,
    /// Its own payout.
    pub payout: Option<Amount>,
    /// Its own revenue.
    pub revenue: Option<Amount>,
}

/// A change to a campaign.
#[derive(Clone, Debug, Default)]
pub struct CampaignChange {
    /// Its state.
    pub status: Option<CampaignStatus>,
    /// The creative of its link.
    pub creative_id: Option<CreativeId>,
    /// Its own payout; an inner none lets it follow the offer again.
    pub payout: Option<Option<Amount>>,
    /// Its own revenue; an inner none lets it follow the offer again.
    pub revenue: Option<Option<Amount>>,
}

impl CampaignChange {
    /// Applies what is present.
    pub fn apply(self, campaign: &mut Campaign) {
        set(&mut campaign.status, self.status);
        set(&mut campaign.creative_id, self.creative_id);
        set(&mut campaign.payout, self.payout);
        set(&mut campaign.revenue, self.revenue);
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
