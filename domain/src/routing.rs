//! Where a click goes. Pure: the snapshot and the time in, the decision out.

use jiff::Timestamp;

use crate::click::Disposition;
use crate::ids::{AffiliateId, CampaignId, CreativeId, OfferId};
use crate::network::{Affiliate, Campaign, CampaignStatus, Network, Offer, OfferStatus, PartyStatus};
use crate::network_change::EntityKind;
use crate::tokens::UrlTemplate;

/// What a tracking link names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// `/?a=&c=`: an affiliate and a creative.
    Creative(AffiliateId, CreativeId),
    /// `/?a=&o=`: an affiliate and an offer, shown by its default creative.
    Offer(AffiliateId, OfferId),
    /// `/click?c=`, `/rd/r.php?sid=&aff_id=`: a campaign, which must be the affiliate's where one is named.
    Campaign(CampaignId, Option<AffiliateId>),
}

/// Why a click cannot be attributed: it is then no click at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unattributable {
    /// The link lacks a parameter, or one is no number.
    Incomplete,
    /// There is no such affiliate.
    NoAffiliate,
    /// There is no such creative, offer or campaign.
    NoTarget(EntityKind),
}

/// Where a click goes, and why.
#[derive(Debug)]
pub struct Route<'n> {
    /// The offer the link asked for.
    pub offer: &'n Offer,
    /// Who sent the visitor.
    pub affiliate: &'n Affiliate,
    /// The affiliate's campaign on the offer.
    pub campaign: Option<&'n Campaign>,
    /// The creative the link named.
    pub creative_id: CreativeId,
    /// Why it goes where it goes.
    pub disposition: Disposition,
    /// The landing page or the redirect; none means the built-in page.
    pub redirect: Option<&'n UrlTemplate>,
}

/// Decides a click. `global_redirect` is where refused clicks go, where one is configured.
pub fn route<'n>(
    network: &'n Network,
    link: Link,
    global_redirect: Option<&'n UrlTemplate>,
    now: Timestamp,
) -> Result<Route<'n>, Unattributable> {
    let (affiliate_id, offer_id, creative_id, named) = resolve(network, link)?;
    let affiliate = network.affiliate(affiliate_id).ok_or(Unattributable::NoAffiliate)?;
    let offer = network.offer(offer_id).ok_or(Unattributable::NoTarget(EntityKind::Offer))?;
    let campaign = named.or_else(|| network.campaign_of(affiliate_id, offer_id).map(AsRef::as_ref));
    let disposition = judge(network, offer, affiliate, campaign, now);
    let redirect = if disposition.reached_the_offer() { Some(&offer.url) } else { global_redirect };
    let creative_id = creative_id.unwrap_or(offer.creative_id);
    Ok(Route { offer, affiliate, campaign, creative_id, disposition, redirect })
}

type Resolved<'n> = (AffiliateId, OfferId, Option<CreativeId>, Option<&'n Campaign>);

fn resolve(network: &Network, link: Link) -> Result<Resolved<'_>, Unattributable> {
    match link {
        Link::Creative(affiliate_id, creative_id) => {
            let creative =
                network.creative(creative_id).ok_or(Unattributable::NoTarget(EntityKind::Creative))?;
            Ok((affiliate_id, creative.offer_id, Some(creative_id), None))
        }
        Link::Offer(affiliate_id, offer_id) => Ok((affiliate_id, offer_id, None, None)),
        Link::Campaign(campaign_id, affiliate_id) => {
            let campaign =
                network.campaign(campaign_id).ok_or(Unattributable::NoTarget(EntityKind::Campaign))?;
            if affiliate_id.is_some_and(|id| id != campaign.affiliate_id) {
                return Err(Unattributable::NoAffiliate);
            }
            Ok((campaign.affiliate_id, campaign.offer_id, Some(campaign.creative_id), Some(campaign)))
        }
    }
}

fn judge(
    network: &Network,
    offer: &Offer,
    affiliate: &Affiliate,
    campaign: Option<&Campaign>,
    now: Timestamp,
) -> Disposition {
    let advertiser_active =
        network.advertiser(offer.advertiser_id).is_some_and(|it| it.status == PartyStatus::Active);
    if offer.status != OfferStatus::Active || !advertiser_active {
        Disposition::OfferInactive
    } else if offer.has_expired(now) {
        Disposition::OfferExpired
    } else if affiliate.status != PartyStatus::Active {
        Disposition::AffiliateInactive
    } else if campaign.is_none_or(|it| it.status != CampaignStatus::Active) {
        Disposition::CampaignInactive
    } else {
        Disposition::Accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Entities, sample};

    const LINK: Link = Link::Creative(AffiliateId(4), CreativeId(3));

    fn disposition(change: impl FnOnce(&mut Entities)) -> Disposition {
        let mut entities = sample::entities();
        change(&mut entities);
        let network = Network::new(entities);
        let routed = route(&network, LINK, None, Timestamp::UNIX_EPOCH).expect("attributable");
        assert_eq!(routed.redirect.is_some(), routed.disposition == Disposition::Accepted);
        routed.disposition
    }

    #[test]
    fn the_first_thing_that_is_not_active_decides() {
        assert_eq!(disposition(|_| {}), Disposition::Accepted);
        assert_eq!(disposition(|it| it.offers[0].status = OfferStatus::Paused), Disposition::OfferInactive);
        assert_eq!(
            disposition(|it| it.advertisers[0].status = PartyStatus::Inactive),
            Disposition::OfferInactive
        );
        assert_eq!(
            disposition(|it| it.offers[0].expires = Some(Timestamp::UNIX_EPOCH)),
            Disposition::OfferExpired
        );
        assert_eq!(
            disposition(|it| it.affiliates[0].status = PartyStatus::Pending),
            Disposition::AffiliateInactive
        );
        assert_eq!(
            disposition(|it| it.campaigns[0].status = CampaignStatus::Deleted),
            Disposition::CampaignInactive
        );
        assert_eq!(disposition(|it| it.campaigns.clear()), Disposition::CampaignInactive);
    }

    #[test]
    fn every_kind_of_link_leads_to_the_same_place() {
        let network = Network::new(sample::entities());
        for link in [LINK, Link::Offer(AffiliateId(4), OfferId(2)), Link::Campaign(CampaignId(5), None)] {
            let routed = route(&network, link, None, Timestamp::UNIX_EPOCH).expect("attributable");
            assert_eq!(routed.offer.id, OfferId(2));
            assert_eq!(routed.affiliate.id, AffiliateId(4));
            assert_eq!(routed.creative_id, CreativeId(3));
            assert_eq!(routed.campaign.map(|it| it.id), Some(CampaignId(5)));
        }
    }

    #[test]
    fn what_does_not_exist_cannot_be_attributed() {
        let network = Network::new(sample::entities());
        for (link, why) in [
            (Link::Creative(AffiliateId(9), CreativeId(3)), Unattributable::NoAffiliate),
            (Link::Creative(AffiliateId(4), CreativeId(9)), Unattributable::NoTarget(EntityKind::Creative)),
            (Link::Offer(AffiliateId(4), OfferId(9)), Unattributable::NoTarget(EntityKind::Offer)),
            (Link::Campaign(CampaignId(9), None), Unattributable::NoTarget(EntityKind::Campaign)),
            (Link::Campaign(CampaignId(5), Some(AffiliateId(9))), Unattributable::NoAffiliate),
        ] {
            assert_eq!(route(&network, link, None, Timestamp::UNIX_EPOCH).expect_err("unknown"), why);
        }
    }

    #[test]
    fn a_refused_click_goes_to_the_global_redirect() {
        let mut entities = sample::entities();
        entities.offers[0].status = OfferStatus::Inactive;
        let network = Network::new(entities);
        let global = UrlTemplate::parse("https://global.example/").expect("a url");
        let routed = route(&network, LINK, Some(&global), Timestamp::UNIX_EPOCH).expect("attributable");
        assert_eq!(routed.redirect, Some(&global));
    }
}
