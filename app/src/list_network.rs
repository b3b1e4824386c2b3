//! Lists of the network's entities, by number, from the snapshot in memory.

use std::sync::Arc;

use domain::access::Caller;
use domain::ids::AffiliateId;
use domain::network::{Advertiser, Affiliate, Campaign, Offer};

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
        let own = |it: &Offer| view.affiliate_id.is_none_or(|id| network.campaign_of(id, it.id).is_some());
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
}

fn sorted<'n, T: 'n, Id: Ord>(found: impl Iterator<Item = &'n Arc<T>>, id: impl Fn(&T) -> Id) -> Vec<Arc<T>> {
    let mut found: Vec<_> = found.map(Arc::clone).collect();
    found.sort_unstable_by_key(|it| id(it));
    found
}
