//! Whose money somebody may see, and what its owner is called.

use domain::access::{NotPermitted, View};
use domain::network::Network;
use domain::statement::Party;

/// The party to filter by: the asked one, or the caller's own. An affiliate has no view of advertisers.
pub(crate) fn visible(view: View, asked: Option<Party>) -> Result<Option<Party>, NotPermitted> {
    match asked {
        Some(Party::Advertiser(_)) if view.affiliate_id.is_some() => Err(NotPermitted),
        Some(Party::Advertiser(_)) => Ok(asked),
        Some(Party::Affiliate(id)) => Ok(view.affiliate(Some(id))?.map(Party::Affiliate)),
        None => Ok(view.affiliate_id.map(Party::Affiliate)),
    }
}

/// The party's name; none where the network does not know it.
pub(crate) fn name(network: &Network, party: Party) -> Option<String> {
    match party {
        Party::Affiliate(id) => network.affiliate(id).map(|it| it.name.clone()),
        Party::Advertiser(id) => network.advertiser(id).map(|it| it.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::{AdvertiserId, AffiliateId};

    use super::*;

    #[test]
    fn an_affiliate_sees_its_own_money_and_no_advertisers() {
        let [own, other] = [7, 8].map(|id| Party::Affiliate(AffiliateId(id)));
        let advertiser = Party::Advertiser(AdvertiserId(7));
        let affiliate = View { affiliate_id: Some(AffiliateId(7)), revenue: false };
        assert_eq!(visible(affiliate, None), Ok(Some(own)));
        assert_eq!(visible(affiliate, Some(own)), Ok(Some(own)));
        assert_eq!(visible(affiliate, Some(other)), Err(NotPermitted));
        assert_eq!(visible(affiliate, Some(advertiser)), Err(NotPermitted));
        let all = View { affiliate_id: None, revenue: true };
        for asked in [None, Some(own), Some(advertiser)] {
            assert_eq!(visible(all, asked), Ok(asked));
        }
    }
}
