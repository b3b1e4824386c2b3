//! How much each receiver is called: a bounded share of the workers, a rate, and a pause while it fails. A
//! receiver that is paused loses nothing and uses up no tries; its deliveries stay due.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use domain::postback::Receiver;

/// Calls at the same time to a receiver that has not yet answered well, or no longer does: one that hangs
/// can take no more of the workers than this.
const UNPROVEN_MAX: u32 = 2;
/// Failures in a row after which a receiver is left alone for a while: more than the tries of a few
/// deliveries that are wrong in themselves.
const FAILURES_MAX: u32 = 10;
/// How long it is left alone first. When it fails again after that, twice as long.
const PAUSE: Duration = Duration::from_secs(1);
/// How long it is left alone at most, and no longer than deliveries themselves wait: one that has recovered
/// is noticed within a minute.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How much receivers may be called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Calls at the same time to one receiver.
    pub(crate) in_flight_max: u32,
    /// Calls a second to one receiver; 0 for no limit.
    pub(crate) per_second: u32,
    /// The longest time that deliveries wait by themselves.
    pub(crate) wait_max: Duration,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// The receiver has taken it, or wants no more of that postback.
    Well,
    /// It has not.
    Badly {
        /// How long it wants to be left alone (`Retry-After`).
        wish: Option<Duration>,
    },
}

/// What is known of the receivers that are being called.
#[derive(Debug)]
pub(crate) struct Receivers {
    limits: Limits,
    /// Receivers with a rate of their own.
    rates: HashMap<Receiver, u32>,
    states: HashMap<Receiver, State>,
}

#[derive(Debug)]
struct State {
    in_flight: u32,
    /// Calls at the same time it has proven to answer well.
    proven: u32,
    failures: u32,
    paused_until: Option<Instant>,
    pause: Duration,
    bucket: Bucket,
}

/// A second's calls, filled up with time.
#[derive(Debug)]
struct Bucket {
    calls: f64,
    filled_at: Instant,
}

impl Receivers {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, rates: HashMap::new(), states: HashMap::new() }
    }

    /// Sets the receivers that have a rate of their own.
    pub(crate) fn set_rates(&mut self, rates: HashMap<Receiver, u32>) {
        self.rates = rates;
    }

    /// How many more calls a receiver may get at this moment.
    pub(crate) fn room(&mut self, receiver: Receiver, now: Instant) -> u32 {
        let rate = self.rate(receiver);
        let Limits { in_flight_max, .. } = self.limits;
        let Some(state) = self.states.get_mut(&receiver) else {
            return UNPROVEN_MAX.min(in_flight_max).min(if rate == 0 { u32::MAX } else { rate });
        };
        let at_once = match state.paused_until {
            Some(until) if now < until => return 0,
            Some(_) => UNPROVEN_MAX.min(in_flight_max),
            None => state.proven.min(in_flight_max),
        };
        at_once.saturating_sub(state.in_flight).min(state.bucket.calls(rate, now))
    }

    /// A call begins.
    pub(crate) fn begin(&mut self, receiver: Receiver, now: Instant) {
        let rate = self.rate(receiver);
        let state = self.states.entry(receiver).or_insert_with(|| State::new(rate, now));
        state.in_flight += 1;
        state.bucket.calls(rate, now);
        state.bucket.calls -= 1.0;
    }

    /// A call has ended: well, or not, and then perhaps with the wish to be left alone for a while.
    pub(crate) fn end(&mut self, receiver: Receiver, ended: Ended, now: Instant) {
        let pause_max = self.limits.wait_max.clamp(PAUSE, PAUSE_MAX);
        let Some(state) = self.states.get_mut(&receiver) else { return };
        state.in_flight = state.in_flight.saturating_sub(1);
        if ended == Ended::Well {
            state.proven = state.proven.saturating_mul(2).min(self.limits.in_flight_max).max(UNPROVEN_MAX);
            (state.failures, state.paused_until, state.pause) = (0, None, PAUSE);
            return;
        }
        state.proven = UNPROVEN_MAX;
        state.failures = state.failures.saturating_add(1);
        let is_tried_again = state.paused_until.is_none_or(|until| until <= now);
        if state.failures >= FAILURES_MAX && is_tried_again {
            state.paused_until = Some(now + state.pause);
            state.pause = (state.pause * 2).min(pause_max);
        }
        if let Ended::Badly { wish: Some(wish) } = ended {
            let until = now + wish.min(pause_max);
            state.paused_until = Some(state.paused_until.map_or(until, |it| it.max(until)));
        }
    }

    /// A call that was begun has turned out not to be needed.
    pub(crate) fn leave(&mut self, receiver: Receiver) {
        if let Some(state) = self.states.get_mut(&receiver) {
            state.in_flight = state.in_flight.saturating_sub(1);
            state.bucket.calls += 1.0;
        }
    }

    /// How many receivers are left alone at this moment.
    pub(crate) fn paused(&self, now: Instant) -> usize {
        self.states.values().filter(|it| it.paused_until.is_some_and(|until| now < until)).count()
    }

    /// Forgets receivers that nothing is to be remembered of.
    pub(crate) fn forget_idle(&mut self, now: Instant) {
        self.states.retain(|_, it| {
            let is_resting = it.in_flight == 0 && it.failures == 0;
            !is_resting || now.duration_since(it.bucket.filled_at) < PAUSE_MAX
        });
    }

    fn rate(&self, receiver: Receiver) -> u32 {
        let own = self.rates.get(&receiver).copied();
        match (own, self.limits.per_second) {
            (Some(own), 0) => own,
            (Some(own), all) => own.min(all),
            (None, all) => all,
        }
    }
}

impl State {
    fn new(rate: u32, now: Instant) -> Self {
        let bucket = Bucket { calls: f64::from(rate), filled_at: now };
        Self { in_flight: 0, proven: UNPROVEN_MAX, failures: 0, paused_until: None, pause: PAUSE, bucket }
    }
}

impl Bucket {
    /// Fills up, and tells how many whole calls there are; 0 a second is no limit.
    fn calls(&mut self, rate: u32, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.filled_at);
        self.filled_at = self.filled_at.max(now);
        if rate == 0 {
            self.calls = 0.0;
            return u32::MAX;
        }
        let rate = f64::from(rate);
        self.calls = (self.calls + since.as_secs_f64() * rate).min(rate);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the rate, a u32")]
        let whole = self.calls.max(0.0) as u32;
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Receiver = Receiver(1);
    const OTHER: Receiver = Receiver(2);
    const BADLY: Ended = Ended::Badly { wish: None };

    fn receivers(in_flight_max: u32, per_second: u32) -> Receivers {
        Receivers::new(Limits { in_flight_max, per_second, wait_max: PAUSE_MAX * 2 })
    }

    /// Begins as many calls as there is room for.
    fn fill(receivers: &mut Receivers, receiver: Receiver, now: Instant) -> u32 {
        let room = receivers.room(receiver, now);
        (0..room).for_each(|_| receivers.begin(receiver, now));
        room
    }

    fn fail(receivers: &mut Receivers, times: u32, now: Instant) {
        for _ in 0..times {
            receivers.begin(ONE, now);
            receivers.end(ONE, BADLY, now);
        }
    }

    #[test]
    fn one_that_hangs_takes_two_workers_and_one_that_answers_gets_its_share() {
        let (mut receivers, now) = (receivers(16, 0), Instant::now());
        assert_eq!((fill(&mut receivers, ONE, now), fill(&mut receivers, ONE, now)), (2, 0));
        let mut in_flight = 2;
        for expected in [4, 8, 16, 16] {
            receivers.end(ONE, Ended::Well, now);
            in_flight -= 1;
            in_flight += fill(&mut receivers, ONE, now);
            assert_eq!(in_flight, expected);
        }
        assert_eq!(fill(&mut receivers, OTHER, now), 2, "each has its own share");
        receivers.end(ONE, BADLY, now);
        assert_eq!(receivers.room(ONE, now), 0, "15 are under way, and 2 may be");
    }

    #[test]
    fn one_that_keeps_failing_is_left_alone_longer_and_longer_and_tried_by_two_calls() {
        let (mut receivers, mut now) = (receivers(16, 0), Instant::now());
        fail(&mut receivers, FAILURES_MAX - 1, now);
        assert_eq!(receivers.room(ONE, now), UNPROVEN_MAX);
        fail(&mut receivers, 1, now);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(receivers.paused(now), 1);
            now += Duration::from_millis(pause * 1000 - 1);
            assert_eq!(receivers.room(ONE, now), 0, "{pause}");
            now += Duration::from_millis(1);
            assert_eq!((fill(&mut receivers, ONE, now), fill(&mut receivers, ONE, now)), (2, 0), "{pause}");
            (0..2).for_each(|_| receivers.end(ONE, BADLY, now));
        }
        now += PAUSE_MAX;
        receivers.begin(ONE, now);
        receivers.end(ONE, Ended::Well, now);
        assert_eq!((receivers.room(ONE, now), receivers.paused(now)), (UNPROVEN_MAX * 2, 0));
        fail(&mut receivers, FAILURES_MAX, now);
        assert_eq!(receivers.room(ONE, now + PAUSE), UNPROVEN_MAX, "the first pause again");
    }

    #[test]
    fn calls_that_were_under_way_when_it_was_paused_do_not_lengthen_the_pause() {
        let (mut receivers, now) = (receivers(64, 0), Instant::now());
        for _ in 0..5 {
            receivers.begin(ONE, now);
            receivers.end(ONE, Ended::Well, now);
        }
        assert_eq!(fill(&mut receivers, ONE, now), 64);
        (0..64).for_each(|_| receivers.end(ONE, BADLY, now));
        assert_eq!(receivers.room(ONE, now + PAUSE), UNPROVEN_MAX);
    }

    #[test]
    fn nobody_is_left_alone_longer_than_deliveries_wait() {
        let limits = Limits { in_flight_max: 16, per_second: 0, wait_max: Duration::from_secs(3) };
        let (mut receivers, mut now) = (Receivers::new(limits), Instant::now());
        fail(&mut receivers, FAILURES_MAX, now);
        for pause in [1, 2, 3, 3] {
            now += Duration::from_secs(pause);
            assert_eq!(receivers.paused(now), 0, "{pause}");
            fail(&mut receivers, 1, now);
            assert_eq!(receivers.paused(now), 1);
        }
    }

    #[test]
    fn one_that_wishes_to_be_left_alone_is_but_a_minute_at_most() {
        for (wish, pause_ms) in [(5, 5_000), (3600, 60_000)] {
            let (mut receivers, now) = (receivers(16, 0), Instant::now());
            receivers.begin(ONE, now);
            receivers.end(ONE, Ended::Badly { wish: Some(Duration::from_secs(wish)) }, now);
            assert_eq!(receivers.room(ONE, now + Duration::from_millis(pause_ms - 1)), 0);
            assert_eq!(receivers.room(ONE, now + Duration::from_millis(pause_ms)), UNPROVEN_MAX);
        }
    }

    #[test]
    fn a_rate_is_kept_and_a_rate_of_its_own_is_too() {
        for (all, own, per_second) in [(10, None, 10), (0, Some(5), 5), (10, Some(5), 5), (3, Some(5), 3)] {
            let (mut receivers, began) = (receivers(100_000, all), Instant::now());
            receivers.set_rates(own.map(|own| (ONE, own)).into_iter().collect());
            let mut calls = 0;
            for millis in 0..10_000 {
                let now = began + Duration::from_millis(millis);
                let filled = fill(&mut receivers, ONE, now);
                (0..filled).for_each(|_| receivers.end(ONE, Ended::Well, now));
                calls += filled;
            }
            let most = per_second * 11;
            assert!((per_second * 10..=most).contains(&calls), "{calls} of {per_second} a second");
        }
    }

    #[test]
    fn what_was_not_needed_is_given_back() {
        let (mut receivers, now) = (receivers(16, 2), Instant::now());
        assert_eq!(fill(&mut receivers, ONE, now), 2);
        receivers.leave(ONE);
        assert_eq!(receivers.room(ONE, now), 1);
    }

    #[test]
    fn idle_ones_are_forgotten_and_failing_ones_are_not() {
        let (mut receivers, now) = (receivers(16, 0), Instant::now());
        receivers.begin(OTHER, now);
        receivers.end(OTHER, Ended::Well, now);
        fail(&mut receivers, 1, now);
        receivers.forget_idle(now);
        assert_eq!(receivers.states.len(), 2);
        receivers.forget_idle(now + PAUSE_MAX);
        assert_eq!(receivers.states.keys().collect::<Vec<_>>(), [&ONE]);
    }
}
