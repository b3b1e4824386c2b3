//! Caps: how much an offer or a campaign takes in a day, a week, a month or for ever. Click caps
//! are counted here, in memory, by whoever decides clicks one after the other; so never one over.

use std::collections::HashMap;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::ids::{CampaignId, CapId, EventId, OfferId};
use crate::money::Amount;

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

/// Whoever counts the clicks that caps are asked about.
pub trait CapTally {
    /// Takes one click from each of `caps`, or from none where one of them is used up: that one is
    /// the answer.
    fn take<'c>(&mut self, caps: &[&'c Cap], now: Timestamp) -> Result<(), &'c Cap>;
}

/// How many clicks each cap has taken in its present window.
#[derive(Debug, Default)]
pub struct ClickCaps {
    counters: HashMap<CapId, Counter>,
}

#[derive(Clone, Debug)]
struct Counter {
    interval: Interval,
    zone: TimeZone,
    window: Window,
    used: u64,
}

impl ClickCaps {
    /// Counts for a cap from now on, with what its window has seen before.
    pub fn count(&mut self, cap: &Cap, zone: &TimeZone, now: Timestamp) {
        let window = Window::of(cap.interval, zone, now);
        let counter = Counter { interval: cap.interval, zone: zone.clone(), window, used: 0 };
        self.counters.insert(cap.id, counter);
    }

    /// Adds what `window` had seen before counting began, where the counter still is in it.
    pub fn restore(&mut self, cap_id: CapId, window: Window, used: u64) {
        if let Some(counter) = self.counters.get_mut(&cap_id).filter(|it| it.window == window) {
            counter.used += used;
        }
    }

    /// Whether the cap is counted, in this interval and zone.
    pub fn counts(&self, cap: &Cap, zone: &TimeZone) -> bool {
        self.counters.get(&cap.id).is_some_and(|it| it.interval == cap.interval && it.zone == *zone)
    }

    /// The window a cap counts in.
    pub fn window(&self, cap_id: CapId) -> Option<Window> {
        self.counters.get(&cap_id).map(|counter| counter.window)
    }

    /// How many clicks a cap has taken in its present window; none where it is not counted.
    pub fn used(&mut self, cap_id: CapId, now: Timestamp) -> Option<u64> {
        self.counters.get_mut(&cap_id).map(|counter| counter.at(now).used)
    }

    /// Gives back what [`CapTally::take`] took for a click that was not recorded after all.
    pub fn give_back(&mut self, caps: &[&Cap], now: Timestamp) {
        for cap in caps {
            if let Some(counter) = self.counters.get_mut(&cap.id) {
                let counter = counter.at(now);
                counter.used = counter.used.saturating_sub(1);
            }
        }
    }

    /// Forgets the caps that are not in `kept`.
    pub fn retain(&mut self, kept: impl Fn(CapId) -> bool) {
        self.counters.retain(|id, _| kept(*id));
    }
}

impl CapTally for ClickCaps {
    fn take<'c>(&mut self, caps: &[&'c Cap], now: Timestamp) -> Result<(), &'c Cap> {
        let full = |cap: &&&Cap| {
            let counter = self.counters.get_mut(&cap.id);
            // A cap that is not counted yet is not in force yet.
            counter.is_some_and(|counter| counter.at(now).used >= cap.clicks_max())
        };
        let mut full = full;
        if let Some(cap) = caps.iter().find(|cap| full(cap)) {
            return Err(cap);
        }
        for cap in caps {
            if let Some(counter) = self.counters.get_mut(&cap.id) {
                counter.used += 1;
            }
        }
        Ok(())
    }
}

/// Asks without taking: where a click would go.
#[derive(Debug)]
pub struct Preview<'t>(pub &'t mut ClickCaps);

impl CapTally for Preview<'_> {
    fn take<'c>(&mut self, caps: &[&'c Cap], now: Timestamp) -> Result<(), &'c Cap> {
        self.0.take(caps, now)?;
        self.0.give_back(caps, now);
        Ok(())
    }
}

impl Counter {
    /// The counter at `now`: begun anew where its window is over.
    fn at(&mut self, now: Timestamp) -> &mut Self {
        if now >= self.window.until {
            self.window = Window::of(self.interval, &self.zone, now);
            self.used = 0;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(id: u32, interval: Interval, limit: &str) -> Cap {
        Cap {
            id: CapId(id),
            offer_id: OfferId(2),
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
        let mut caps = ClickCaps::default();
        caps.count(&cap, &TimeZone::UTC, now);
        caps.restore(cap.id, Window::of(cap.interval, &TimeZone::UTC, now), 1);
        let taken = (0..10).filter(|_| caps.take(&[&cap], now).is_ok()).count();
        assert_eq!((taken, caps.used(cap.id, now)), (2, Some(3)));
        let tomorrow = at("2026-11-23T00:00:00Z");
        assert_eq!(caps.used(cap.id, tomorrow), Some(0));
        assert_eq!(caps.take(&[&cap], tomorrow), Ok(()));
    }

    #[test]
    fn where_one_cap_is_used_up_none_is_taken_from() {
        let (wide, narrow, now) =
            (cap(1, Interval::Overall, "5"), cap(2, Interval::Daily, "1"), at("2026-11-22T00:00:00Z"));
        let mut caps = ClickCaps::default();
        for cap in [&wide, &narrow] {
            caps.count(cap, &TimeZone::UTC, now);
        }
        assert_eq!(Preview(&mut caps).take(&[&wide, &narrow], now), Ok(()));
        assert_eq!(caps.take(&[&wide, &narrow], now), Ok(()));
        assert_eq!(caps.take(&[&wide, &narrow], now), Err(&narrow));
        assert_eq!((caps.used(wide.id, now), caps.used(narrow.id, now)), (Some(1), Some(1)));
        caps.give_back(&[&wide, &narrow], now);
        assert_eq!((caps.used(wide.id, now), caps.used(narrow.id, now)), (Some(0), Some(0)));
    }

    #[test]
    fn what_was_counted_for_another_window_is_not_added() {
        let (cap, yesterday, now) =
            (cap(1, Interval::Daily, "3"), at("2026-11-21T12:00:00Z"), at("2026-11-22T12:00:00Z"));
        let mut caps = ClickCaps::default();
        caps.count(&cap, &TimeZone::UTC, now);
        caps.restore(cap.id, Window::of(cap.interval, &TimeZone::UTC, yesterday), 3);
        assert_eq!(caps.used(cap.id, now), Some(0));
    }
}
