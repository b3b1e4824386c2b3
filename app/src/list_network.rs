//! Lists of the network's entities, by number, from the snapshot in memory.

use std::sync::Arc;

use domain::access::{Caller, View};
use domain::caps::Cap;
use domain::ids::{AffiliateId, OfferId};
use domain::network::{Advertiser, Affiliate, Campaign, Creative, LandingPage, Network, Offer};
use domain::targeting::Rule;

use crate::{App, Failure};

impl App {
    /// Advertisers that `wanted` picks.
    pub fn list_advertisers(
        &self,
        caller: &Caller,
        wanted: impl Fn(&Advertiser) -> bool,
    ) -> Result<Vec<Arc<Advertiser>>, Failure> {
        caller.may_read_all()?;
        Ok(sorted(self.network.load().advertisers().filter(|it| wanted(it)), |it| it.id))
    }

    /// Affiliates that `wanted` picks: for an affiliate only itself.
    pub fn list_affiliates(
        &self,
        caller: &Caller,
        affiliate_id: Option<AffiliateId>,
        wanted: impl Fn(&Affiliate) -> bool,
    ) -> Result<Vec<Arc<Affiliate>>, Failure> {
        let affiliate_id = caller.may_read()?.affiliate(affiliate_id)?;
        let own = |it: &Affiliate| affiliate_id.is_none_or(|id| id == it.id);
        Ok(sorted(self.network.load().affiliates().filter(|it| own(it) && wanted(it)), |it| it.id))
    }

    /// Offers that `wanted` picks, and whether their revenue may be shown: for an affiliate those it
    /// has a campaign on.
    pub fn list_offers(
        &self,
        caller: &Caller,
        wanted: impl Fn(&Offer) -> bool,
    ) -> Result<(Vec<Arc<Offer>>, bool), Failure> {
        let view = caller.may_read()?;
        let network = self.network.load();
        let own = |it: &Offer| runs(&network, view, it.id);
        Ok((sorted(network.offers().filter(|it| own(it) && wanted(it)), |it| it.id), view.revenue))
    }

    /// Campaigns that `wanted` picks, and whether their revenue may be shown: for an affiliate its own.
    pub fn list_campaigns(
        &self,
        caller: &Caller,
        affiliate_id: Option<AffiliateId>,
        wanted: impl Fn(&Campaign) -> bool,
    ) -> Result<(Vec<Arc<Campaign>>, bool), Failure> {
        let view = caller.may_read()?;
        let affiliate_id = view.affiliate(affiliate_id)?;
        let own = |it: &Campaign| affiliate_id.is_none_or(|id| id == it.affiliate_id);
        Ok((
            sorted(self.network.load().campaigns().filter(|it| own(it) && wanted(it)), |it| it.id),
            view.revenue,
        ))
    }

    /// Creatives that `wanted` picks: for an affiliate those of offers it has a campaign on.
    pub fn list_creatives(
        &self,
        caller: &Caller,
        wanted: impl Fn(&Creative) -> bool,
    ) -> Result<Vec<Arc<Creative>>, Failure> {
        let view = caller.may_read()?;
        let network = self.network.load();
        let own = |it: &Creative| runs(&network, view, it.offer_id);
        Ok(sorted(network.creatives().filter(|it| own(it) && wanted(it)), |it| it.id))
    }

    /// Landing pages that `wanted` picks: for an affiliate those of offers it has a campaign on.
    pub fn list_landing_pages(
        &self,
        caller: &Caller,
        wanted: impl Fn(&LandingPage) -> bool,
    ) -> Result<Vec<Arc<LandingPage>>, Failure> {
        let view = caller.may_read()?;
        let network = self.network.load();
        let own = |it: &LandingPage| runs(&network, view, it.offer_id);
        Ok(sorted(network.landing_pages().filter(|it| own(it) && wanted(it)), |it| it.id))
    }

    /// Targeting rules that `wanted` picks: not for affiliates, who would see how others are treated.
    pub fn list_rules(
        &self,
        caller: &Caller,
        wanted: impl Fn(&Rule) -> bool,
    ) -> Result<Vec<Arc<Rule>>, Failure> {
        caller.may_read_all()?;
        Ok(sorted(self.network.load().rules().filter(|it| wanted(it)), |it| it.id))
    }

    /// Caps that `wanted` picks: not for affiliates, who would see how much others send.
    pub fn list_caps(
        &self,
        caller: &Caller,
        wanted: impl Fn(&Cap) -> bool,
    ) -> Result<Vec<Arc<Cap>>, Failure> {
        caller.may_read_all()?;
        Ok(sorted(self.network.load().caps().filter(|it| wanted(it)), |it| it.id))
    }
}

/// Whether the reader may see what concerns this offer: an affiliate must have a campaign on it.
fn runs(network: &Network, view: View, offer_id: OfferId) -> bool {
    view.affiliate_id.is_none_or(|id| network.campaign_of(id, offer_id).is_some())
}

pub(crate) fn sorted<'n, T: 'n, Id: Ord>(
    found: impl Iterator<Item = &'n Arc<T>>,
    id: impl Fn(&T) -> Id,
) -> Vec<Arc<T>> {
    let mut found: Vec<_> = found.map(Arc::clone).collect();
    found.sort_unstable_by_key(|it| id(it));
    found
}
