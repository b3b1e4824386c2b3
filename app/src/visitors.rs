//! Who was here before. A visitor's browser remembers, in cookies of the tracking domain; where the
//! operator wants it, so does this program, by address and agent, for visitors without cookies.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use archive::{Archive, ArchiveError};
use domain::archive_query::ClickFilter;
use domain::attribution::Footprint;
use domain::ids::{ClickId, OfferId};
use domain::network::Network;
use jiff::{SignedDuration, Timestamp};

/// The cookie that names the visitor: the id of their first click.
pub const VISITOR_COOKIE: &str = "crumb_visitor";
/// What the cookie of an offer begins with; the offer's number follows. It holds a [`Footprint`].
pub const OFFER_COOKIE: &str = "crumb_offer_";
/// Footprints kept in memory for visitors without cookies: about 100 MiB. Beyond that the oldest are forgotten.
const FOOTPRINTS_MAX: usize = 500_000;

/// What a browser's `Cookie` header says about its user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookies<'c>(pub(crate) &'c str);

impl Cookies<'_> {
    /// The visitor's first click, if there was one before `now`.
    pub(crate) fn visitor_id(&self, now: Timestamp) -> Option<ClickId> {
        self.get(VISITOR_COOKIE, "").and_then(|id| id.parse().ok()).filter(|id: &ClickId| id.time() <= now)
    }

    /// What the browser remembers of an offer.
    pub(crate) fn footprint(&self, offer_id: OfferId) -> Option<Footprint> {
        if !self.0.contains(OFFER_COOKIE) {
            return None;
        }
        self.get(OFFER_COOKIE, &offer_id.to_string())?.parse().ok()
    }

    /// All that the browser remembers of offers.
    pub(crate) fn footprints(&self) -> impl Iterator<Item = (OfferId, Footprint)> {
        self.0.split(';').filter_map(|pair| {
            let (name, value) = pair.trim_start().split_once('=')?;
            Some((name.strip_prefix(OFFER_COOKIE)?.parse().ok()?, value.parse().ok()?))
        })
    }

    /// The value of the cookie `prefix` + `rest`.
    fn get(&self, prefix: &str, rest: &str) -> Option<&str> {
        self.0.split(';').find_map(|pair| {
            let (name, value) = pair.trim_start().split_once('=')?;
            (name.strip_prefix(prefix)? == rest).then_some(value)
        })
    }
}

/// What this program remembers of visitors without cookies.
pub(crate) struct Footprints {
    keep: Duration,
    hasher: RandomState,
    found: HashMap<u64, (ClickId, Footprint)>,
    /// In the order of their clicks; a later click of the same visitor leaves the earlier line stale.
    order: VecDeque<(u64, ClickId)>,
}

impl Footprints {
    /// Remembers for `keep` after a visitor's last click; for nothing, it remembers nothing.
    pub(crate) fn new(keep: Duration) -> Self {
        Self { keep, hasher: RandomState::new(), found: HashMap::new(), order: VecDeque::new() }
    }

    pub(crate) fn is_on(&self) -> bool {
        !self.keep.is_zero()
    }

    /// What stands for a visitor of one offer: the address as it is kept, and the agent.
    pub(crate) fn key(&self, offer_id: OfferId, address: Option<IpAddr>, user_agent: &str) -> u64 {
        self.hasher.hash_one((offer_id, address, user_agent))
    }

    /// The visitor's first click and their footprint on the offer.
    pub(crate) fn get(&mut self, key: u64, now: Timestamp) -> Option<(ClickId, Footprint)> {
        self.forget(now);
        self.found.get(&key).copied()
    }

    pub(crate) fn set(&mut self, key: u64, visitor_id: ClickId, footprint: Footprint) {
        self.found.insert(key, (visitor_id, footprint));
        self.order.push_back((key, footprint.last));
        if self.order.len() > FOOTPRINTS_MAX {
            self.forget_oldest();
        }
    }

    /// Remembers again what the archive knows of the time before `now`, as far as there is room.
    pub(crate) fn restore(
        &mut self,
        archive: &Archive,
        network: &Network,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        /// Clicks read at a time: a few MiB.
        const PAGE: usize = 10_000;
        let from = now.checked_sub(self.keep).unwrap_or(Timestamp::UNIX_EPOCH);
        let filter = ClickFilter { before: ClickId::MAX, ..ClickFilter::between(from, now) };
        let mut offset = archive.count(&filter)?.saturating_sub(FOOTPRINTS_MAX as u64);
        loop {
            let clicks = archive.list(&filter, offset, PAGE)?.clicks;
            for click in clicks.iter().filter(|click| click.disposition.reached_the_offer()) {
                let Some(offer) = network.offer(click.offer_id) else { continue };
                let key = self.key(offer.id, click.ip_address, &click.user_agent);
                let before = self.found.get(&key).map(|(_, footprint)| *footprint);
                let footprint = Footprint::after(before.as_ref(), offer, click);
                self.set(key, click.visitor_id.unwrap_or(click.id), footprint);
            }
            if clicks.len() < PAGE {
                return Ok(());
            }
            offset += PAGE as u64;
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let keep = SignedDuration::from_secs(self.keep.as_secs().cast_signed());
        while self.order.front().is_some_and(|(_, last)| now.duration_since(last.time()) >= keep) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((key, last)) = self.order.pop_front()
            && self.found.get(&key).is_some_and(|(_, footprint)| footprint.last == last)
        {
            self.found.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::{AffiliateId, ClickIdMint, CreativeId, NodeNumber};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn id(second: i64) -> ClickId {
        ClickIdMint::after(NodeNumber::new(1).expect("in range"), None).mint(at(second), 7)
    }

    fn footprint(credited: i64, last: i64, affiliate: u32) -> Footprint {
        let (affiliate_id, creative_id) = (AffiliateId(affiliate), CreativeId(3));
        Footprint { credited: id(credited), last: id(last), affiliate_id, creative_id }
    }

    #[test]
    fn cookies_are_read_by_their_whole_name() {
        let print = footprint(1, 2, 4);
        let header = format!("a=b; crumb_offer_22=x; crumb_offer_2={print};crumb_visitor={}", id(1));
        let cookies = Cookies(&header);
        assert_eq!(cookies.footprint(OfferId(2)), Some(print));
        assert_eq!(cookies.footprints().collect::<Vec<_>>(), [(OfferId(2), print)]);
        assert_eq!(cookies.footprint(OfferId(22)), None);
        assert_eq!(cookies.footprint(OfferId(3)), None);
        assert_eq!(cookies.visitor_id(at(1)), Some(id(1)));
        assert_eq!(cookies.visitor_id(at(0)), None, "a visitor from the future");
        for header in ["", ";;;", "crumb_visitor", "crumb_visitor=1", "crumb_offer_2=1.2.3.4.5"] {
            let cookies = Cookies(header);
            assert_eq!((cookies.visitor_id(at(9)), cookies.footprint(OfferId(2))), (None, None), "{header}");
        }
    }

    #[test]
    fn what_is_not_remembered_any_more_is_forgotten() {
        let mut footprints = Footprints::new(Duration::from_secs(60));
        let key = footprints.key(OfferId(2), None, "agent");
        footprints.set(key, id(1), footprint(1, 1, 4));
        footprints.set(key, id(1), footprint(1, 50, 4));
        assert_eq!(footprints.get(key, at(109)).map(|(visitor, _)| visitor), Some(id(1)));
        assert_eq!(footprints.get(key, at(110)), None);
        assert_eq!((footprints.found.len(), footprints.order.len()), (0, 0));
    }

    #[test]
    fn no_more_footprints_are_kept_than_may_be() {
        let mut footprints = Footprints::new(Duration::from_secs(60));
        for key in 0..=FOOTPRINTS_MAX as u64 {
            footprints.set(key, id(1), footprint(1, 1, 4));
        }
        assert_eq!((footprints.found.len(), footprints.order.len()), (FOOTPRINTS_MAX, FOOTPRINTS_MAX));
        assert_eq!(footprints.get(0, at(2)), None);
    }
}
