//! Where a click goes, in three steps, all pure: what the link names ([`Target`]), whether the
//! visitor may pass ([`Target::route`]), and, one click after the other, whether the caps have room
//! and what is taken instead ([`Route::settle`]).

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::caps::{AtCap, CapTally};
use crate::click::Disposition;
use crate::ids::{AffiliateId, CampaignId, CreativeId, LandingPageId, OfferId};
use crate::network::{
    Affiliate, Campaign, CampaignStatus, Creative, LandingPage, MediaStatus, Network, Offer, OfferStatus,
    PartyStatus, Redirect,
};
use crate::network_change::EntityKind;
use crate::targeting::{Rule, Visitor, add_to_trail, scatter};
use crate::tokens::UrlTemplate;

/// Offers a refused click is shown to before it goes to the global redirect.
pub const REDIRECT_OFFERS_MAX: usize = 5;

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

/// What a link names, found in the network.
#[derive(Clone, Copy, Debug)]
pub struct Target<'n> {
    network: &'n Network,
    /// The offer the link asked for.
    pub offer: &'n Offer,
    /// Who sent the visitor.
    pub affiliate: &'n Affiliate,
    /// The affiliate's campaign on the offer.
    pub campaign: Option<&'n Campaign>,
    /// The creative the link named, or the offer's.
    pub creative: Option<&'n Creative>,
    /// Its number.
    pub creative_id: CreativeId,
}

/// All that is known of a visit beside its link.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'n, 's> {
    /// When it is.
    pub now: Timestamp,
    /// The network's time zone, for offers without one of their own.
    pub zone: &'s TimeZone,
    /// Where refused clicks go in the end.
    pub global_redirect: Option<&'n UrlTemplate>,
    /// Who asks.
    pub visitor: Visitor<'s>,
    /// Whether the link was followed on a tracking domain.
    pub on_tracking_domain: bool,
    /// Whether the visitor has converted on this offer.
    pub has_converted: bool,
}

/// A judged click, before anything is counted.
#[derive(Debug)]
pub struct Route<'n, 's> {
    target: Target<'n>,
    situation: Situation<'n, 's>,
    disposition: Disposition,
    /// The rule that said no.
    blocked_by: Option<&'n Rule>,
    trail: String,
}

/// A decided click.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision<'n> {
    /// Why it goes where it goes.
    pub disposition: Disposition,
    /// The landing page or the redirect; none means the built-in page.
    pub url: Option<&'n UrlTemplate>,
    /// The landing page, where the offer has several.
    pub landing_page_id: Option<LandingPageId>,
    /// The other offer it was sent to.
    pub redirect_offer_id: Option<OfferId>,
    /// The offer and campaign whose caps it was taken from.
    pub taken: Option<(OfferId, Option<CampaignId>)>,
    /// The rules tried and what they said: see [`crate::targeting::read_trail`].
    pub trail: String,
}

impl<'n> Target<'n> {
    /// Finds what a link names.
    pub fn of(network: &'n Network, link: Link) -> Result<Self, Unattributable> {
        let none = |kind| Unattributable::NoTarget(kind);
        let (affiliate_id, offer_id, creative_id, named) = match link {
            Link::Creative(affiliate_id, creative_id) => {
                let creative = network.creative(creative_id).ok_or(none(EntityKind::Creative))?;
                (affiliate_id, creative.offer_id, Some(creative_id), None)
            }
            Link::Offer(affiliate_id, offer_id) => (affiliate_id, offer_id, None, None),
            Link::Campaign(campaign_id, affiliate_id) => {
                let campaign = network.campaign(campaign_id).ok_or(none(EntityKind::Campaign))?;
                if affiliate_id.is_some_and(|id| id != campaign.affiliate_id) {
                    return Err(Unattributable::NoAffiliate);
                }
                (campaign.affiliate_id, campaign.offer_id, Some(campaign.creative_id), Some(&**campaign))
            }
        };
        let affiliate = network.affiliate(affiliate_id).ok_or(Unattributable::NoAffiliate)?;
        let offer = network.offer(offer_id).ok_or(none(EntityKind::Offer))?;
        let creative_id = creative_id.unwrap_or(offer.creative_id);
        Ok(Self {
            network,
            offer,
            affiliate,
            campaign: named.or_else(|| network.campaign_of(affiliate_id, offer_id).map(AsRef::as_ref)),
            creative: network.creative(creative_id).map(AsRef::as_ref),
            creative_id,
        })
    }

    /// Judges a click by everything that needs no counting.
    pub fn route<'s>(self, situation: Situation<'n, 's>) -> Route<'n, 's> {
        let mut route = Route {
            target: self,
            situation,
            disposition: Disposition::Accepted,
            blocked_by: None,
            trail: String::new(),
        };
        route.disposition = route.judge();
        route
    }
}

impl<'n> Route<'n, '_> {
    /// What is known so far; a cap may still stand in the way of a click that is accepted.
    pub fn disposition(&self) -> Disposition {
        self.disposition
    }

    fn judge(&mut self) -> Disposition {
        let Target { offer, affiliate, campaign, creative, .. } = self.target;
        let now = self.situation.now;
        let refused = if self.situation.on_tracking_domain { None } else { Some(Disposition::UnknownDomain) };
        let refused = refused.or_else(|| refuses(self.target.network, offer, &self.situation));
        if let Some(refused) = refused {
            refused
        } else if affiliate.status != PartyStatus::Active {
            Disposition::AffiliateInactive
        } else if campaign.is_none_or(|it| !it.takes_clicks(now)) {
            Disposition::CampaignInactive
        } else if creative.is_none_or(|it| it.status != MediaStatus::Active) {
            Disposition::CreativeInactive
        } else if self.situation.has_converted && offer.thank_you_url.is_some() {
            Disposition::AlreadyConverted
        } else if let Some(rule) = self.first_no(offer, campaign) {
            self.blocked_by = Some(rule);
            rule.disposition()
        } else {
            Disposition::Accepted
        }
    }

    /// Tries an offer's rules in order; the first that keeps the visitor out.
    fn first_no(&mut self, offer: &Offer, campaign: Option<&Campaign>) -> Option<&'n Rule> {
        let campaign_id = campaign.map(|it| it.id);
        let rules = self.target.network.traffic(offer.id).map_or(&[][..], |traffic| &traffic.rules);
        for rule in rules.iter().filter(|it| it.campaign_id.is_none() || it.campaign_id == campaign_id) {
            let passed = rule.passes(&self.situation.visitor);
            add_to_trail(&mut self.trail, rule, passed);
            if !passed {
                return Some(rule);
            }
        }
        None
    }

    /// Takes the click from the caps, or sends it elsewhere. Clicks are settled one after the other;
    /// `now` is the time of the click's id.
    pub fn settle(mut self, tally: &mut impl CapTally, now: Timestamp) -> Decision<'n> {
        self.situation.now = now;
        let Target { offer, campaign, creative, .. } = self.target;
        if self.disposition.reached_the_offer() {
            let through = campaign.map(|it| it.id);
            match tally.take(offer.id, through, now) {
                Ok(()) => {
                    let (url, landing_page_id) = self.landing(offer, creative);
                    let taken = Some((offer.id, through));
                    return Decision { landing_page_id, taken, ..self.decision(Some(url)) };
                }
                Err(at_cap) => {
                    self.disposition = Disposition::Capped;
                    if at_cap == AtCap::Stop {
                        return self.decision(None);
                    }
                }
            }
        }
        if self.disposition == Disposition::AlreadyConverted {
            return self.decision(offer.thank_you_url.as_ref());
        }
        self.elsewhere(tally)
    }

    /// The first configured place along rule, campaign and offer; where that is an offer that does not
    /// take the click either, along that one's; in the end the global redirect.
    fn elsewhere(mut self, tally: &mut impl CapTally) -> Decision<'n> {
        let Target { network, mut offer, mut campaign, affiliate, .. } = self.target;
        let mut blocked_by = self.blocked_by;
        let mut seen = Vec::new();
        loop {
            seen.push(offer.id);
            let of_rule = blocked_by.and_then(|rule| rule.redirect.as_ref());
            let of_campaign = || campaign.and_then(|it| it.redirect.as_ref());
            let next = match of_rule.or_else(of_campaign).or(offer.redirect.as_ref()) {
                Some(Redirect::Url(url)) => return self.decision(Some(url)),
                Some(Redirect::Offer(id)) if seen.len() <= REDIRECT_OFFERS_MAX && !seen.contains(id) => *id,
                // A loop, or too long a way.
                Some(Redirect::Offer(_)) | None => break,
            };
            let Some(next) = network.offer(next) else { break };
            offer = next;
            campaign = network.campaign_of(affiliate.id, offer.id).map(AsRef::as_ref);
            blocked_by = self.first_no(offer, campaign);
            if blocked_by.is_some() || refuses(network, offer, &self.situation).is_some() {
                continue;
            }
            // A campaign's caps are for its own links.
            if tally.take(offer.id, None, self.situation.now).is_ok() {
                let (url, landing_page_id) = self.landing(offer, None);
                let (redirect_offer_id, taken) = (Some(offer.id), Some((offer.id, None)));
                return Decision { landing_page_id, redirect_offer_id, taken, ..self.decision(Some(url)) };
            }
        }
        let global_redirect = self.situation.global_redirect;
        self.decision(global_redirect)
    }

    fn decision(self, url: Option<&'n UrlTemplate>) -> Decision<'n> {
        Decision {
            disposition: self.disposition,
            url,
            landing_page_id: None,
            redirect_offer_id: None,
            taken: None,
            trail: self.trail,
        }
    }

    /// The page a click to `offer` lands on: the creative's, else one of the offer's pages, else its URL.
    fn landing(
        &self,
        offer: &'n Offer,
        creative: Option<&'n Creative>,
    ) -> (&'n UrlTemplate, Option<LandingPageId>) {
        if let Some(url) = creative.and_then(|it| it.url.as_ref()) {
            return (url, None);
        }
        let pages = self.target.network.traffic(offer.id).map_or(&[][..], |traffic| &traffic.landing_pages);
        let weights: u64 = pages.iter().map(|page| u64::from(page.weight)).sum();
        if weights == 0 {
            return (&offer.url, None);
        }
        // Not the bits that shares are drawn from: a rule's share and a page's must not go together.
        let mut point = scatter(!self.situation.visitor.seed ^ u64::from(offer.id.0)) % weights;
        let page: &LandingPage = pages
            .iter()
            .find(|page| {
                let here = point < u64::from(page.weight);
                point = point.saturating_sub(u64::from(page.weight));
                here
            })
            .expect("the point lies below the sum of the weights");
        (&page.url, Some(page.id))
    }
}

/// Why an offer takes no clicks at the moment, from anybody.
fn refuses(network: &Network, offer: &Offer, situation: &Situation<'_, '_>) -> Option<Disposition> {
    let now = situation.now;
    let advertiser_active =
        network.advertiser(offer.advertiser_id).is_some_and(|it| it.status == PartyStatus::Active);
    if offer.status != OfferStatus::Active || !advertiser_active {
        Some(Disposition::OfferInactive)
    } else if offer.has_expired(now) {
        Some(Disposition::OfferExpired)
    } else if !offer.is_scheduled(now, situation.zone) {
        Some(Disposition::NotScheduled)
    } else {
        None
    }
}

impl Campaign {
    /// Whether it is active and not over.
    pub fn takes_clicks(&self, now: Timestamp) -> bool {
        self.status == CampaignStatus::Active && self.expires.is_none_or(|expires| now < expires)
    }
}

impl Offer {
    /// Whether it has started, and `now` is one of its hours on the clock of its zone, or of `zone`.
    pub fn is_scheduled(&self, now: Timestamp, zone: &TimeZone) -> bool {
        let zone = self.zone.as_ref().map_or(zone, |own| own.rules());
        let open = |schedule: &crate::schedule::Schedule| schedule.is_open(zone.to_datetime(now));
        self.starts.is_none_or(|starts| starts <= now) && self.schedule.as_ref().is_none_or(open)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::caps::{Cap, CapStatus, CapType, ClickCaps, Interval};
    use crate::click::{Country, Device};
    use crate::ids::{CapId, RuleId};
    use crate::money::Amount;
    use crate::network::{Entities, sample};
    use crate::targeting::{Condition, RuleStatus, RuleType};

    const LINK: Link = Link::Creative(AffiliateId(4), CreativeId(3));
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn url(text: &str) -> UrlTemplate {
        UrlTemplate::parse(text).expect("a url")
    }

    fn elsewhere(text: &str) -> Redirect {
        Redirect::Url(url(text))
    }

    /// Another offer of the same advertiser.
    fn add_offer(entities: &mut Entities, id: u32) -> &mut Offer {
        let mut offer = entities.offers[0].clone();
        offer.id = OfferId(id);
        offer.url = url(&format!("https://offer{id}.example/"));
        entities.offers.push(offer);
        entities.offers.last_mut().expect("just pushed")
    }

    fn rule(id: u32, target: &str, values: &str) -> Rule {
        Rule {
            id: RuleId(id),
            version: 1,
            offer_id: OfferId(2),
            campaign_id: None,
            position: id,
            rule_type: RuleType::Allow,
            status: RuleStatus::Active,
            conditions: vec![Condition::parse(target, values).expect("a condition")],
            redirect: None,
        }
    }

    fn cap(id: u32, offer_id: u32, limit: &str) -> Cap {
        Cap {
            id: CapId(id),
            offer_id: OfferId(offer_id),
            campaign_id: None,
            event_id: None,
            cap_type: CapType::Click,
            interval: Interval::Overall,
            limit: limit.parse::<Amount>().expect("an amount"),
            at_cap: AtCap::Redirect,
            status: CapStatus::Active,
            created: NOW,
        }
    }

    struct World {
        network: Network,
        global: Option<UrlTemplate>,
        sub_ids: [String; 5],
        tally: ClickCaps,
    }

    impl World {
        fn new(change: impl FnOnce(&mut Entities)) -> Self {
            let mut entities = sample::entities();
            change(&mut entities);
            let network = Network::new(entities);
            let mut tally = ClickCaps::default();
            for (cap, window) in tally.arrange(&network, &TimeZone::UTC, NOW) {
                tally.restore(&cap, window, 0);
            }
            let global = Some(url("https://global.example/"));
            Self { network, global, sub_ids: Default::default(), tally }
        }

        fn used(&mut self, cap_id: u32) -> Option<u64> {
            self.tally.used(self.network.cap(CapId(cap_id)).expect("a cap"), NOW)
        }

        /// Where a click goes: the disposition, the host, and the rules tried.
        fn follow(&mut self, change: impl FnOnce(&mut Situation<'_, '_>)) -> (Disposition, String, String) {
            let mut situation = Situation {
                now: NOW,
                zone: &TimeZone::UTC,
                global_redirect: self.global.as_ref(),
                visitor: Visitor {
                    country: Country::new("US").expect("a country"),
                    region: "",
                    asn: None,
                    device: Device::Mobile,
                    os: "iOS",
                    browser: "Mobile Safari",
                    language: "en",
                    referrer: "",
                    sub_ids: &self.sub_ids,
                    seed: 1,
                },
                on_tracking_domain: true,
                has_converted: false,
            };
            change(&mut situation);
            let route = Target::of(&self.network, LINK).expect("attributable").route(situation);
            let decision = route.settle(&mut self.tally, NOW);
            let host = decision.url.map_or("", |url| url.as_str());
            let host = host.trim_start_matches("https://").split('/').next().unwrap_or_default();
            (decision.disposition, host.to_owned(), decision.trail)
        }
    }

    fn check(change: impl FnOnce(&mut Entities), disposition: Disposition, host: &str) {
        let (found, to, _) = World::new(change).follow(|_| {});
        assert_eq!((found, &*to), (disposition, host));
    }

    #[test]
    fn the_first_thing_that_is_not_active_decides() {
        let global = "global.example";
        check(|_| {}, Disposition::Accepted, "shop.example");
        check(|it| it.offers[0].status = OfferStatus::Paused, Disposition::OfferInactive, global);
        check(|it| it.advertisers[0].status = PartyStatus::Inactive, Disposition::OfferInactive, global);
        check(|it| it.offers[0].expires = Some(NOW), Disposition::OfferExpired, global);
        check(|it| it.offers[0].starts = Some(Timestamp::MAX), Disposition::NotScheduled, global);
        check(|it| it.offers[0].schedule = "sun".parse().ok(), Disposition::NotScheduled, global);
        check(|it| it.offers[0].schedule = "thu".parse().ok(), Disposition::Accepted, "shop.example");
        check(|it| it.affiliates[0].status = PartyStatus::Pending, Disposition::AffiliateInactive, global);
        check(|it| it.campaigns[0].status = CampaignStatus::Deleted, Disposition::CampaignInactive, global);
        check(|it| it.campaigns[0].expires = Some(NOW), Disposition::CampaignInactive, global);
        check(|it| it.campaigns.clear(), Disposition::CampaignInactive, global);
        check(|it| it.creatives[0].status = MediaStatus::Paused, Disposition::CreativeInactive, global);
    }

    #[test]
    fn hours_are_those_of_the_offers_zone() {
        // It is Thursday in London, and still Wednesday in New York.
        let zoned = |it: &mut Entities| {
            it.offers[0].schedule = "wed".parse().ok();
            it.offers[0].zone = "America/New_York".parse().ok();
        };
        check(zoned, Disposition::Accepted, "shop.example");
    }

    #[test]
    fn every_kind_of_link_leads_to_the_same_place() {
        let network = Network::new(sample::entities());
        for link in [LINK, Link::Offer(AffiliateId(4), OfferId(2)), Link::Campaign(CampaignId(5), None)] {
            let target = Target::of(&network, link).expect("attributable");
            assert_eq!(target.offer.id, OfferId(2));
            assert_eq!(target.affiliate.id, AffiliateId(4));
            assert_eq!(target.creative_id, CreativeId(3));
            assert_eq!(target.campaign.map(|it| it.id), Some(CampaignId(5)));
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
            assert_eq!(Target::of(&network, link).expect_err("unknown"), why);
        }
    }

    #[test]
    fn rules_are_tried_in_order_and_the_first_no_decides() {
        let mut world = World::new(|it| {
            it.rules = vec![rule(9, "os", "Windows"), rule(7, "country", "US"), rule(8, "country", "DE")];
            it.rules[2].redirect = Some(elsewhere("https://rule.example/"));
        });
        let (disposition, host, trail) = world.follow(|_| {});
        assert_eq!((disposition, &*host), (Disposition::GeoBlocked, "rule.example"));
        assert_eq!(trail, "7.1:passed 8.1:blocked");
    }

    #[test]
    fn a_campaigns_rules_are_for_its_own_clicks() {
        for (campaign_id, disposition) in [(5, Disposition::Bot), (6, Disposition::Accepted)] {
            let rules = |it: &mut Entities| {
                it.rules =
                    vec![Rule { campaign_id: Some(CampaignId(campaign_id)), ..rule(1, "bot", "true") }];
            };
            assert_eq!(World::new(rules).follow(|_| {}).0, disposition);
        }
    }

    #[test]
    fn a_refused_click_goes_along_rule_campaign_offer_and_network() {
        let mut places = ["rule.example", "campaign.example", "offer.example", "global.example", ""].iter();
        for configured in (0..=4).rev() {
            let mut world = World::new(|it| {
                it.rules = vec![rule(1, "country", "DE")];
                let set =
                    |at: usize, host: &str| (configured > at).then(|| elsewhere(&format!("https://{host}/")));
                it.rules[0].redirect = set(3, "rule.example");
                it.campaigns[0].redirect = set(2, "campaign.example");
                it.offers[0].redirect = set(1, "offer.example");
            });
            if configured == 0 {
                world.global = None;
            }
            let (disposition, host, _) = world.follow(|_| {});
            assert_eq!((disposition, &&*host), (Disposition::GeoBlocked, places.next().expect("five")));
        }
    }

    #[test]
    fn a_redirect_offer_takes_the_click_or_passes_it_on() {
        let with = |change: fn(&mut Entities)| {
            move |it: &mut Entities| {
                it.offers[0].status = OfferStatus::Paused;
                it.offers[0].redirect = Some(Redirect::Offer(OfferId(20)));
                add_offer(it, 20).redirect = Some(Redirect::Offer(OfferId(30)));
                add_offer(it, 30).redirect = Some(Redirect::Offer(OfferId(2)));
                for offer in &mut it.offers[1..] {
                    offer.status = OfferStatus::Active;
                }
                change(it);
            }
        };
        let inactive = Disposition::OfferInactive;
        check(with(|_| {}), inactive, "offer20.example");
        check(with(|it| it.offers[1].status = OfferStatus::Paused), inactive, "offer30.example");
        check(
            with(|it| it.rules = vec![Rule { offer_id: OfferId(20), ..rule(1, "country", "DE") }]),
            inactive,
            "offer30.example",
        );
        check(with(|it| it.caps = vec![cap(1, 20, "0")]), inactive, "offer30.example");
        // All of them refuse, and the last leads back to the first.
        let all = |it: &mut Entities| it.offers.iter_mut().for_each(|it| it.status = OfferStatus::Paused);
        check(with(all), inactive, "global.example");
        let decided = World::new(with(|_| {}));
        let target = Target::of(&decided.network, LINK).expect("attributable");
        assert_eq!(target.offer.id, OfferId(2));
    }

    #[test]
    fn at_its_cap_a_click_goes_elsewhere_or_nowhere() {
        for (at_cap, host) in [(AtCap::Redirect, "global.example"), (AtCap::Stop, "")] {
            let mut world = World::new(|it| it.caps = vec![Cap { at_cap, ..cap(1, 2, "2") }]);
            let followed: Vec<_> = (0..3).map(|_| world.follow(|_| {})).collect();
            assert_eq!(followed[1].0, Disposition::Accepted);
            assert_eq!((followed[2].0, &*followed[2].1), (Disposition::Capped, host));
            assert_eq!(world.used(1), Some(2));
        }
    }

    #[test]
    fn only_clicks_that_reach_the_offer_count() {
        let mut world = World::new(|it| {
            it.caps = vec![cap(1, 2, "5"), Cap { campaign_id: Some(CampaignId(9)), ..cap(2, 2, "0") }];
            it.rules = vec![rule(1, "country", "US")];
        });
        world.follow(|it| it.visitor.country = Country::UNKNOWN);
        world.follow(|_| {});
        world.follow(|_| {});
        assert_eq!(world.used(1), Some(2));
        assert_eq!(world.used(2), Some(0));
    }

    #[test]
    fn who_has_converted_is_thanked_where_there_is_a_page_for_it() {
        let thanks = |it: &mut Entities| it.offers[0].thank_you_url = Some(url("https://thanks.example/"));
        let (disposition, host, _) = World::new(thanks).follow(|it| it.has_converted = true);
        assert_eq!((disposition, &*host), (Disposition::AlreadyConverted, "thanks.example"));
        assert_eq!(World::new(thanks).follow(|_| {}).0, Disposition::Accepted);
        assert_eq!(World::new(|_| {}).follow(|it| it.has_converted = true).0, Disposition::Accepted);
    }

    #[test]
    fn on_an_unknown_domain_nothing_is_accepted() {
        let (disposition, host, _) = World::new(|_| {}).follow(|it| it.on_tracking_domain = false);
        assert_eq!((disposition, &*host), (Disposition::UnknownDomain, "global.example"));
    }

    #[test]
    fn a_creatives_own_page_comes_before_the_offers_pages() {
        let pages = |it: &mut Entities| {
            let page = |id, weight, status| LandingPage {
                id: LandingPageId(id),
                offer_id: OfferId(2),
                name: String::new(),
                url: url(&format!("https://page{id}.example/")),
                weight,
                status,
                created: NOW,
            };
            it.landing_pages = vec![
                page(1, 0, MediaStatus::Active),
                page(2, 5, MediaStatus::Paused),
                page(3, 7, MediaStatus::Active),
            ];
        };
        check(pages, Disposition::Accepted, "page3.example");
        let own = |it: &mut Entities| {
            pages(it);
            it.creatives[0].url = Some(url("https://creative.example/"));
        };
        check(own, Disposition::Accepted, "creative.example");
    }

    #[test]
    fn visitors_are_spread_over_the_pages_by_weight_and_stay_on_theirs() {
        let mut world = World::new(|it| {
            for (id, weight) in [(1, 100), (2, 300)] {
                it.landing_pages.push(LandingPage {
                    id: LandingPageId(id),
                    offer_id: OfferId(2),
                    name: String::new(),
                    url: url(&format!("https://page{id}.example/")),
                    weight,
                    status: MediaStatus::Active,
                    created: NOW,
                });
            }
        });
        let mut on_first = 0;
        for seed in 0..2000 {
            let first = world.follow(|it| it.visitor.seed = seed).1;
            assert_eq!(world.follow(|it| it.visitor.seed = seed).1, first);
            on_first += u32::from(first == "page1.example");
        }
        assert!((400..600).contains(&on_first), "{on_first} of 2000");
    }

    proptest! {
        /// Whatever redirects to whatever, a click ends somewhere.
        #[test]
        fn every_click_ends(redirects in prop::collection::vec(0u32..8, 8), active: [bool; 8]) {
            let mut world = World::new(|it| {
                it.offers[0].status = OfferStatus::Paused;
                it.offers[0].redirect = Some(Redirect::Offer(OfferId(10)));
                for (number, to) in (0..).zip(&redirects) {
                    let offer = add_offer(it, 10 + number);
                    offer.status = if active[number as usize] { OfferStatus::Active } else { OfferStatus::Paused };
                    offer.redirect = Some(Redirect::Offer(OfferId(10 + to)));
                }
            });
            let (disposition, host, _) = world.follow(|_| {});
            prop_assert_eq!(disposition, Disposition::OfferInactive);
            prop_assert!(!host.is_empty());
        }
    }
}
