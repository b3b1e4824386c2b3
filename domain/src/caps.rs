//! Caps: how much an offer or a campaign takes in a day, a week, a month or for ever. Click caps
//! are counted here, in memory, by whoever decides clicks one after the other; so never one over.

use std::sync::Arc;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rustc_hash::FxHashMap;

use crate::adjustment::Worth;
use crate::ids::{CampaignId, CapId, EventId, OfferId};
use crate::money::Amount;
use crate::network::Network;

/// Caps one offer may have that are not deleted, its campaigns' included: each is looked at on every click.
pub const CAPS_MAX: usize = 1000;

crate::network::states! {
    /// What a cap counts.
    CapType {
        /// Clicks that reached the offer.
        Click = "click",
        /// Conversions.
        Conversion = "conversion",
        /// What affiliates get.
        Payout = "payout",
        /// What the advertiser owes.
        Revenue = "revenue",
    }
    /// When a cap begins anew, on the clock of the offer's time zone.
    Interval {
        /// At midnight.
        Daily = "daily",
        /// At midnight before Monday.
        Weekly = "weekly",
        /// At midnight before the first.
        Monthly = "monthly",
        /// Never.
        Overall = "overall",
    }
    /// What happens at the cap.
    AtCap {
        /// Clicks go along the redirect chain.
        Redirect = "redirect",
        /// Clicks get the built-in page.
        Stop = "stop",
        /// Conversions are recorded as ignored and pay nobody.
        Neither = "neither",
        /// The advertiser owes, the affiliate gets nothing.
        AdvertiserOnly = "advertiser_only",
        /// The affiliate gets, the advertiser owes nothing.
        AffiliateOnly = "affiliate_only",
        /// Nothing but an alert.
        Both = "both",
        /// Conversions are refused.
        Refuse = "refuse",
    }
    /// The state of a cap.
    CapStatus {
        /// It counts and holds.
        Active = "active",
        /// It is gone.
        Deleted = "deleted",
    }
}

impl CapType {
    /// Whether it counts one by one, so that its limit is a whole number.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Click | Self::Conversion)
    }
}

impl AtCap {
    /// Whether it says what to do with what `cap_type` counts.
    pub fn suits(self, cap_type: CapType) -> bool {
        matches!(self, Self::Redirect | Self::Stop) == (cap_type == CapType::Click)
    }

    /// What happens where nothing is said.
    pub fn default_of(cap_type: CapType) -> Self {
        if cap_type == CapType::Click { Self::Redirect } else { Self::Neither }
    }
}

/// A cap on an offer, or on one campaign of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cap {
    /// Its number.
    pub id: CapId,
    /// The offer.
    pub offer_id: OfferId,
    /// Only this campaign's.
    pub campaign_id: Option<CampaignId>,
    /// Only conversions of this event.
    pub event_id: Option<EventId>,
    /// What it counts.
    pub cap_type: CapType,
    /// When it begins anew.
    pub interval: Interval,
    /// How much it takes: a whole number of clicks or conversions, or an amount of the offer's currency.
    pub limit: Amount,
    /// What happens then.
    pub at_cap: AtCap,
    /// Its state.
    pub status: CapStatus,
    /// When it was created.
    pub created: Timestamp,
}

impl Cap {
    /// Whether it counts clicks, and holds.
    pub fn is_for_clicks(&self) -> bool {
        self.cap_type == CapType::Click && self.status == CapStatus::Active
    }

    /// Whether it counts conversions or their money, and holds.
    pub fn is_for_conversions(&self) -> bool {
        self.cap_type != CapType::Click && self.status == CapStatus::Active
    }

    /// Whether it is meant for conversions of this campaign and event.
    pub fn covers_conversion(&self, campaign_id: Option<CampaignId>, event_id: EventId) -> bool {
        self.covers(campaign_id) && self.event_id.is_none_or(|it| it == event_id)
    }

    /// What a conversion of that worth counts for, in millionths.
    pub fn measure(&self, worth: Worth) -> i64 {
        match self.cap_type {
            CapType::Click => 0,
            CapType::Conversion => 1_000_000,
            CapType::Payout => worth.payout.micros(),
            CapType::Revenue => worth.revenue.micros(),
        }
    }

    /// Whether it is meant for this campaign's clicks; an offer's own is meant for all.
    pub fn covers(&self, campaign_id: Option<CampaignId>) -> bool {
        self.campaign_id.is_none() || self.campaign_id == campaign_id
    }

    /// The clicks it takes in one interval.
    fn clicks_max(&self) -> u64 {
        u64::try_from(self.limit.micros() / 1_000_000).unwrap_or(0)
    }
}

/// A stretch of time in which a cap counts: from the first moment to the one no longer in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

impl Window {
    /// The window of `interval` that `now` lies in, on the clock of `zone`.
    pub fn of(interval: Interval, zone: &TimeZone, now: Timestamp) -> Self {
        let today = zone.to_datetime(now).date();
        let since_monday = i64::from(today.weekday().since(Weekday::Monday));
        let (first, next) = match interval {
            Interval::Daily => (today, today.checked_add(1.day())),
            Interval::Weekly => {
                let monday = today.checked_sub(since_monday.days()).unwrap_or(Date::MIN);
                (monday, monday.checked_add(7.days()))
            }
            Interval::Monthly => {
                let first = today.first_of_month();
                (first, first.checked_add(1.month()))
            }
            Interval::Overall => return Self { from: Timestamp::UNIX_EPOCH, until: Timestamp::MAX },
        };
        let midnight = |day: Date| zone.to_ambiguous_zoned(day.into()).compatible().map(|it| it.timestamp());
        Self {
            from: midnight(first).unwrap_or(Timestamp::MIN),
            until: next.and_then(midnight).unwrap_or(Timestamp::MAX),
        }
    }
}

/// A cap as a conversion finds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted {
    /// The cap.
    pub cap: Arc<Cap>,
    /// The window the conversion falls in.
    pub window: Window,
    /// What the window has taken so far, in millionths.
    pub used: i64,
}

/// What the caps leave of a conversion that none of them refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// The first cap that is used up, where one is.
    pub cap_id: Option<CapId>,
    /// The affiliate's part is left out.
    pub without_payout: bool,
    /// The advertiser's part is left out.
    pub without_revenue: bool,
}

/// Judges a conversion of that worth by the caps it falls under. Never one over: what would bring a cap
/// above its limit is over it, also where only a part of its money would. An error is the cap that refuses.
pub fn hold(caps: &[Counted], worth: Worth) -> Result<Left, CapId> {
    let over: Vec<&Cap> = caps.iter().filter(|it| it.is_over(worth)).map(|it| &*it.cap).collect();
    if let Some(cap) = over.iter().find(|it| it.at_cap == AtCap::Refuse) {
        return Err(cap.id);
    }
    let any = |side: AtCap| over.iter().any(|it| it.at_cap == AtCap::Neither || it.at_cap == side);
    Ok(Left {
        cap_id: over.first().map(|it| it.id),
        without_payout: any(AtCap::AdvertiserOnly),
        without_revenue: any(AtCap::AffiliateOnly),
    })
}

impl Counted {
    /// Whether a conversion of that worth is more than the cap still takes.
    pub fn is_over(&self, worth: Worth) -> bool {
        let measure = self.cap.measure(worth);
        measure > 0 && self.used.saturating_add(measure) > self.cap.limit.micros()
    }
}

/// Whoever counts the clicks that caps are asked about.
pub trait CapTally {
    /// Takes a click that would reach `offer_id` through `campaign_id`, or says what happens instead
    /// because a cap is used up.
    fn take(
        &mut self,
        offer_id: OfferId,
        campaign_id: Option<CampaignId>,
        now: Timestamp,
    ) -> Result<(), AtCap>;
}

/// How many clicks each cap has taken in its present window.
#[derive(Debug, Default)]
pub struct ClickCaps {
    counters: FxHashMap<OfferId, Vec<Counter>>,
}

#[derive(Debug)]
struct Counter {
    cap: Arc<Cap>,
    zone: TimeZone,
    window: Window,
    used: u64,
    /// It is known what the window had seen before counting began. Until then it counts and holds nothing up.
    is_in_force: bool,
}

impl ClickCaps {
    /// Counts for the click caps of `network` and no others. Returns those that begin only now, with
    /// their windows: they are in force once [`ClickCaps::restore`] has told what was before.
    pub fn arrange(&mut self, network: &Network, zone: &TimeZone, now: Timestamp) -> Vec<(Arc<Cap>, Window)> {
        let mut before = std::mem::take(&mut self.counters);
        let mut begun = Vec::new();
        for cap in network.caps().filter(|cap| cap.is_for_clicks()) {
            let own = network.offer(cap.offer_id).and_then(|offer| offer.zone.as_ref());
            let zone = own.map_or(zone, |own| own.rules());
            let counted = before.get_mut(&cap.offer_id).and_then(|all| {
                let same = |it: &Counter| {
                    it.cap.id == cap.id
                        && it.cap.interval == cap.interval
                        && it.zone == *zone
                        && it.is_in_force
                };
                all.iter().position(same).map(|at| all.swap_remove(at))
            });
            let counter = if let Some(counter) = counted {
                Counter { cap: Arc::clone(cap), ..counter }
            } else {
                let window = Window::of(cap.interval, zone, now);
                begun.push((Arc::clone(cap), window));
                Counter { cap: Arc::clone(cap), zone: zone.clone(), window, used: 0, is_in_force: false }
            };
            self.counters.entry(cap.offer_id).or_default().push(counter);
        }
        begun
    }

    /// Puts a cap in force, with what its `window` had seen before counting began.
    pub fn restore(&mut self, cap: &Cap, window: Window, used: u64) {
        if let Some(counter) = self.counter(cap) {
            counter.is_in_force = true;
            // Where the next window has begun meanwhile, all of it was counted.
            if counter.window == window {
                counter.used += used;
            }
        }
    }

    /// How many clicks a cap has taken in its present window; none where it is not counted.
    pub fn used(&mut self, cap: &Cap, now: Timestamp) -> Option<u64> {
        self.counter(cap).map(|counter| counter.at(now).used)
    }

    /// Gives back what [`CapTally::take`] took for a click that was not recorded after all.
    pub fn give_back(&mut self, offer_id: OfferId, campaign_id: Option<CampaignId>, now: Timestamp) {
        for counter in self.covering(offer_id, campaign_id) {
            let counter = counter.at(now);
            counter.used = counter.used.saturating_sub(1);
        }
    }

    fn counter(&mut self, cap: &Cap) -> Option<&mut Counter> {
        self.counters.get_mut(&cap.offer_id)?.iter_mut().find(|it| it.cap.id == cap.id)
    }

    fn covering(
        &mut self,
        offer_id: OfferId,
        campaign_id: Option<CampaignId>,
    ) -> impl Iterator<Item = &mut Counter> {
        let counters = self.counters.get_mut(&offer_id).map_or(&mut [][..], Vec::as_mut_slice);
        counters.iter_mut().filter(move |it| it.cap.covers(campaign_id))
    }
}

impl CapTally for ClickCaps {
    fn take(
        &mut self,
        offer_id: OfferId,
        campaign_id: Option<CampaignId>,
        now: Timestamp,
    ) -> Result<(), AtCap> {
        for counter in self.covering(offer_id, campaign_id) {
            if counter.at(now).used >= counter.cap.clicks_max() && counter.is_in_force {
                return Err(counter.cap.at_cap);
            }
        }
        self.covering(offer_id, campaign_id).for_each(|counter| counter.used += 1);
        Ok(())
    }
}

/// Asks without taking: where a click would go.
#[derive(Debug)]
pub struct Preview<'t>(pub &'t mut ClickCaps);

impl CapTally for Preview<'_> {
    fn take(
        &mut self,
        offer_id: OfferId,
        campaign_id: Option<CampaignId>,
        now: Timestamp,
    ) -> Result<(), AtCap> {
        self.0.take(offer_id, campaign_id, now)?;
        self.0.give_back(offer_id, campaign_id, now);
        Ok(())
    }
}

impl Counter {
    /// The counter at `now`: begun anew where its window is over.
    fn at(&mut self, now: Timestamp) -> &mut Self {
        if now >= self.window.until {
            self.window = Window::of(self.cap.interval, &self.zone, now);
            self.used = 0;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::sample;

    const OFFER: OfferId = OfferId(2);
    const CAMPAIGN: Option<CampaignId> = Some(CampaignId(5));

    fn cap(id: u32, interval: Interval, limit: &str) -> Cap {
        Cap {
            id: CapId(id),
            offer_id: OFFER,
            campaign_id: None,
            event_id: None,
            cap_type: CapType::Click,
            interval,
            limit: limit.parse().expect("an amount"),
            at_cap: AtCap::Redirect,
            status: CapStatus::Active,
            created: Timestamp::UNIX_EPOCH,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    fn network(caps: &[&Cap]) -> Network {
        let caps = caps.iter().copied().cloned().collect();
        Network::new(crate::network::Entities { caps, ..sample::entities() })
    }

    /// Counts for these caps, which have seen nothing before.
    fn counting(caps: &[&Cap], now: Timestamp) -> ClickCaps {
        let mut counted = ClickCaps::default();
        for (cap, window) in counted.arrange(&network(caps), &TimeZone::UTC, now) {
            counted.restore(&cap, window, 0);
        }
        counted
    }

    #[test]
    fn a_window_is_a_day_a_week_or_a_month_on_the_clock_of_the_zone() {
        let check = |interval, zone: &str, now: &str, from: &str, until: &str| {
            let zone = TimeZone::get(zone).expect("a zone");
            let window = Window { from: at(from), until: at(until) };
            assert_eq!(Window::of(interval, &zone, at(now)), window, "{now}");
        };
        let now = "2026-11-22T23:30:00Z";
        check(Interval::Daily, "UTC", now, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z");
        check(Interval::Weekly, "UTC", now, "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z");
        check(Interval::Monthly, "UTC", now, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        check(Interval::Weekly, "Asia/Kolkata", now, "2026-11-22T18:30:00Z", "2026-11-29T18:30:00Z");
        // Clocks went back on 2026-11-01: the day had 25 hours.
        check(
            Interval::Daily,
            "America/New_York",
            "2026-11-01T12:00:00Z",
            "2026-11-01T04:00:00Z",
            "2026-11-02T05:00:00Z",
        );
        let always = Window::of(Interval::Overall, &TimeZone::UTC, at(now));
        assert_eq!(always, Window { from: Timestamp::UNIX_EPOCH, until: Timestamp::MAX });
    }

    #[test]
    fn never_one_over_and_anew_in_the_next_window() {
        let (cap, now) = (cap(1, Interval::Daily, "3"), at("2026-11-22T23:59:59Z"));
        let mut caps = counting(&[&cap], now);
        let taken = (0..10).filter(|_| caps.take(OFFER, CAMPAIGN, now).is_ok()).count();
        assert_eq!((taken, caps.used(&cap, now)), (3, Some(3)));
        assert_eq!(caps.take(OfferId(9), CAMPAIGN, now), Ok(()), "another offer");
        let tomorrow = at("2026-11-23T00:00:00Z");
        assert_eq!(caps.used(&cap, tomorrow), Some(0));
        assert_eq!(caps.take(OFFER, CAMPAIGN, tomorrow), Ok(()));
    }

    #[test]
    fn where_one_cap_is_used_up_none_is_taken_from() {
        let now = at("2026-11-22T00:00:00Z");
        let wide = cap(1, Interval::Overall, "5");
        let narrow = Cap { campaign_id: CAMPAIGN, at_cap: AtCap::Stop, ..cap(2, Interval::Daily, "1") };
        let mut caps = counting(&[&wide, &narrow], now);
        let used = |caps: &mut ClickCaps| [&wide, &narrow].map(|cap| caps.used(cap, now));
        assert_eq!(Preview(&mut caps).take(OFFER, CAMPAIGN, now), Ok(()));
        assert_eq!(used(&mut caps), [Some(0), Some(0)]);
        assert_eq!(caps.take(OFFER, CAMPAIGN, now), Ok(()));
        assert_eq!(caps.take(OFFER, CAMPAIGN, now), Err(AtCap::Stop));
        assert_eq!(caps.take(OFFER, None, now), Ok(()), "another campaign's");
        assert_eq!(used(&mut caps), [Some(2), Some(1)]);
        caps.give_back(OFFER, CAMPAIGN, now);
        assert_eq!(used(&mut caps), [Some(1), Some(0)]);
    }

    fn counted(cap_type: CapType, limit: &str, used: &str, at_cap: AtCap) -> Counted {
        let cap = Cap { cap_type, at_cap, ..cap(1, Interval::Overall, limit) };
        let used = used.parse::<Amount>().expect("an amount").micros();
        let window = Window::of(Interval::Overall, &TimeZone::UTC, at("2026-11-22T00:00:00Z"));
        Counted { cap: Arc::new(cap), window, used }
    }

    fn worth(payout: &str, revenue: &str) -> Worth {
        let amount = |text: &str| text.parse().expect("an amount");
        Worth { payout: amount(payout), revenue: amount(revenue) }
    }

    #[test]
    fn a_conversion_is_over_a_cap_that_it_would_bring_above_its_limit() {
        use CapType::{Conversion, Payout, Revenue};
        let check = |cap_type, limit: &str, used: &str, is_over: bool| {
            let counted = counted(cap_type, limit, used, AtCap::Neither);
            assert_eq!(counted.is_over(worth("18", "22")), is_over, "{cap_type:?} {used} of {limit}");
        };
        check(Conversion, "3", "2", false);
        check(Conversion, "3", "3", true);
        check(Conversion, "0", "0", true);
        check(Payout, "100", "82", false);
        check(Payout, "100", "82.0001", true);
        check(Revenue, "100", "78", false);
        check(Revenue, "100", "79", true);
        let free = counted(Payout, "100", "100", AtCap::Neither);
        assert!(!free.is_over(worth("0", "22")), "nothing more is paid");
    }

    #[test]
    fn what_happens_at_a_cap_is_the_caps_say_and_the_strictest_of_several() {
        use AtCap::{AdvertiserOnly, AffiliateOnly, Both, Neither, Refuse};
        let full = |at_cap| counted(CapType::Conversion, "1", "1", at_cap);
        let check = |at_caps: &[AtCap], payout_out: bool, revenue_out: bool| {
            let caps: Vec<_> = at_caps.iter().map(|it| full(*it)).collect();
            let cap_id = (!caps.is_empty()).then_some(CapId(1));
            let left = Left { cap_id, without_payout: payout_out, without_revenue: revenue_out };
            assert_eq!(hold(&caps, worth("18", "22")), Ok(left), "{at_caps:?}");
        };
        check(&[], false, false);
        check(&[Both], false, false);
        check(&[Neither], true, true);
        check(&[AdvertiserOnly], true, false);
        check(&[AffiliateOnly], false, true);
        check(&[AdvertiserOnly, AffiliateOnly], true, true);
        assert_eq!(hold(&[full(Both), full(Refuse)], worth("18", "22")), Err(CapId(1)));
        assert!(matches!(
            hold(&[counted(CapType::Conversion, "2", "1", Refuse)], worth("18", "22")),
            Ok(Left { cap_id: None, .. })
        ));
    }

    #[test]
    fn a_cap_counts_before_it_is_in_force_and_begins_with_what_was_before() {
        let (cap, now) = (cap(1, Interval::Daily, "3"), at("2026-11-22T12:00:00Z"));
        let mut caps = ClickCaps::default();
        let begun = caps.arrange(&network(&[&cap]), &TimeZone::UTC, now);
        let [(_, window)] = begun[..] else { panic!("{begun:?}") };
        for _ in 0..2 {
            assert_eq!(caps.take(OFFER, CAMPAIGN, now), Ok(()));
        }
        caps.restore(&cap, window, 5);
        assert_eq!(caps.used(&cap, now), Some(7));
        assert_eq!(caps.take(OFFER, CAMPAIGN, now), Err(AtCap::Redirect));
    }

    #[test]
    fn what_was_counted_for_another_window_is_not_added() {
        let (cap, now) = (cap(1, Interval::Daily, "3"), at("2026-11-22T12:00:00Z"));
        let mut caps = counting(&[&cap], now);
        let yesterday = Window::of(cap.interval, &TimeZone::UTC, at("2026-11-21T12:00:00Z"));
        caps.restore(&cap, yesterday, 3);
        assert_eq!(caps.used(&cap, now), Some(0));
    }

    #[test]
    fn a_changed_limit_keeps_the_count_and_a_changed_interval_begins_anew() {
        let (before, now) = (cap(1, Interval::Daily, "1"), at("2026-11-22T12:00:00Z"));
        let mut caps = counting(&[&before], now);
        caps.take(OFFER, CAMPAIGN, now).expect("room");
        assert!(caps.arrange(&network(&[&cap(1, Interval::Daily, "2")]), &TimeZone::UTC, now).is_empty());
        assert_eq!(caps.take(OFFER, CAMPAIGN, now), Ok(()));
        assert_eq!(caps.take(OFFER, CAMPAIGN, now), Err(AtCap::Redirect));
        let weekly = cap(1, Interval::Weekly, "2");
        assert_eq!(caps.arrange(&network(&[&weekly]), &TimeZone::UTC, now).len(), 1);
        let gone = Cap { status: CapStatus::Deleted, ..weekly };
        assert!(caps.arrange(&network(&[&gone]), &TimeZone::UTC, now).is_empty());
        assert_eq!(caps.used(&before, now), None);
    }
}
