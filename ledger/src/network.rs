//! The network as the ledger keeps it.

use domain::ids::{AdvertiserId, AffiliateId, CampaignId, OfferId};
use domain::network::{Advertiser, Affiliate, Campaign, Entities, Offer};
use domain::network_change::{
    AdvertiserChange, AffiliateChange, CampaignChange, CreateAdvertiser, CreateAffiliate, CreateCampaign,
    CreateOffer, OfferChange, Rejected,
};
use jiff::Timestamp;

use crate::LedgerError;

/// A change's outcome: the entity as it now is, or why it was not changed.
pub type Changed<T> = Result<Result<T, Rejected>, LedgerError>;

/// The network. Every change that is made raises the version in the same transaction.
pub trait NetworkBook {
    /// All entities, and the version they have together.
    fn load_network(&self) -> Result<Entities, LedgerError>;

    /// The version of the network: whoever holds an older one is out of date.
    fn network_version(&self) -> Result<u64, LedgerError>;

    /// Creates an advertiser.
    fn create_advertiser(&self, create: CreateAdvertiser, now: Timestamp) -> Changed<Advertiser>;

    /// Changes what is present in `change`.
    fn update_advertiser(&self, id: AdvertiserId, change: AdvertiserChange) -> Changed<Advertiser>;

    /// Creates an affiliate.
    fn create_affiliate(&self, create: CreateAffiliate, now: Timestamp) -> Changed<Affiliate>;

    /// Changes what is present in `change`.
    fn update_affiliate(&self, id: AffiliateId, change: AffiliateChange) -> Changed<Affiliate>;

    /// Creates an offer with its default creative.
    fn create_offer(&self, create: CreateOffer, now: Timestamp) -> Changed<Offer>;

    /// Changes what is present in `change`.
    fn update_offer(&self, id: OfferId, change: OfferChange) -> Changed<Offer>;

    /// Creates a campaign: at most one that is not deleted for each affiliate and offer.
    fn create_campaign(&self, create: CreateCampaign, now: Timestamp) -> Changed<Campaign>;

    /// Changes what is present in `change`.
    fn update_campaign(&self, id: CampaignId, change: CampaignChange) -> Changed<Campaign>;
}
