//! Changing the network. A change is in force, for every click and conversion after it, before it
//! is answered.

use std::sync::Arc;

use domain::access::Caller;
use domain::caps::Cap;
use domain::conversion_request::BadParameter;
use domain::ids::{AdvertiserId, AffiliateId, CampaignId, CapId, CreativeId, LandingPageId, OfferId, RuleId};
use domain::network::{Advertiser, Affiliate, Campaign, Creative, LandingPage, Offer};
use domain::network_change::{
    AdvertiserChange, AffiliateChange, CampaignChange, CapChange, CreateAdvertiser, CreateAffiliate,
    CreateCampaign, CreateCap, CreateCreative, CreateLandingPage, CreateOffer, CreateRule, CreativeChange,
    LandingPageChange, OfferChange, Rejected, RuleChange,
};
use domain::targeting::Rule;
use ledger::{Ledger, LedgerError};

use crate::failure::blocking;
use crate::{App, Failure};

/// Why a change was not made.
#[derive(Debug)]
pub enum ChangeError {
    /// It makes no sense as the network stands.
    Rejected(Rejected),
    /// Something it says cannot be used.
    BadParameter(BadParameter),
    /// It could not be made.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for ChangeError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl App {
    /// Creates an advertiser.
    pub async fn create_advertiser(
        &self,
        caller: &Caller,
        create: CreateAdvertiser,
    ) -> Result<Advertiser, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.create_advertiser(create, now)).await
    }

    /// Changes an advertiser.
    pub async fn update_advertiser(
        &self,
        caller: &Caller,
        id: AdvertiserId,
        change: AdvertiserChange,
    ) -> Result<Advertiser, ChangeError> {
        self.change(caller, move |ledger| ledger.update_advertiser(id, change)).await
    }

    /// Creates an affiliate.
    pub async fn create_affiliate(
        &self,
        caller: &Caller,
        create: CreateAffiliate,
    ) -> Result<Affiliate, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.create_affiliate(create, now)).await
    }

    /// Changes an affiliate.
    pub async fn update_affiliate(
        &self,
        caller: &Caller,
        id: AffiliateId,
        change: AffiliateChange,
    ) -> Result<Affiliate, ChangeError> {
        self.change(caller, move |ledger| ledger.update_affiliate(id, change)).await
    }

    /// Creates an offer with its default creative.
    pub async fn create_offer(&self, caller: &Caller, create: CreateOffer) -> Result<Offer, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.create_offer(create, now)).await
    }

    /// Changes an offer.
    pub async fn update_offer(
        &self,
        caller: &Caller,
        id: OfferId,
        change: OfferChange,
    ) -> Result<Offer, ChangeError> {
        self.change(caller, move |ledger| ledger.update_offer(id, change)).await
    }

    /// Creates a campaign.
    pub async fn create_campaign(
        &self,
        caller: &Caller,
        create: CreateCampaign,
    ) -> Result<Campaign, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.create_campaign(create, now)).await
    }

    /// Changes a campaign.
    pub async fn update_campaign(
        &self,
        caller: &Caller,
        id: CampaignId,
        change: CampaignChange,
    ) -> Result<Campaign, ChangeError> {
        self.change(caller, move |ledger| ledger.update_campaign(id, change)).await
    }

    /// Creates a creative.
    pub async fn create_creative(
        &self,
        caller: &Caller,
        create: CreateCreative,
    ) -> Result<Creative, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.create_creative(create, now)).await
    }

    /// Changes a creative.
    pub async fn update_creative(
        &self,
        caller: &Caller,
        id: CreativeId,
        change: CreativeChange,
    ) -> Result<Creative, ChangeError> {
        self.change(caller, move |ledger| ledger.update_creative(id, change)).await
    }

    /// Creates a landing page.
    pub async fn create_landing_page(
        &self,
        caller: &Caller,
        create: CreateLandingPage,
    ) -> Result<LandingPage, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.create_landing_page(create, now)).await
    }

    /// Changes a landing page.
    pub async fn update_landing_page(
        &self,
        caller: &Caller,
        id: LandingPageId,
        change: LandingPageChange,
    ) -> Result<LandingPage, ChangeError> {
        self.change(caller, move |ledger| ledger.update_landing_page(id, change)).await
    }

    /// Creates a targeting rule.
    pub async fn create_rule(&self, caller: &Caller, create: CreateRule) -> Result<Rule, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.create_rule(create, now)).await
    }

    /// Changes a targeting rule, which gets a new version.
    pub async fn update_rule(
        &self,
        caller: &Caller,
        id: RuleId,
        change: RuleChange,
    ) -> Result<Rule, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.update_rule(id, change, now)).await
    }

    /// Creates a cap.
    pub async fn create_cap(&self, caller: &Caller, create: CreateCap) -> Result<Cap, ChangeError> {
        let now = self.clock.now();
        self.change(caller, move |ledger| ledger.create_cap(create, now)).await
    }

    /// Changes a cap.
    pub async fn update_cap(
        &self,
        caller: &Caller,
        id: CapId,
        change: CapChange,
    ) -> Result<Cap, ChangeError> {
        self.change(caller, move |ledger| ledger.update_cap(id, change)).await
    }

    pub(crate) async fn change<T: Send + 'static>(
        &self,
        caller: &Caller,
        work: impl FnOnce(&dyn Ledger) -> Result<Result<T, Rejected>, LedgerError> + Send + 'static,
    ) -> Result<T, ChangeError> {
        caller.may_administer()?;
        let ledger = Arc::clone(&self.ledger);
        let (outcome, version) = blocking(move || {
            let outcome = work(&*ledger)?;
            Ok((outcome, ledger.network_version()?))
        })
        .await?;
        let changed = outcome.map_err(ChangeError::Rejected)?;
        self.reload_network(version).await?;
        Ok(changed)
    }
}
