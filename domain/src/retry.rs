//! When a delivery is tried again, and what becomes of it after a try.

use jiff::{SignedDuration, Timestamp};

use crate::delivery::{DeliveryStatus, TryOutcome};
use crate::postback::SuccessRule;

/// The longest time a receiver may ask to be left alone (`Retry-After`): a day.
pub const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(24);
/// The status by which a receiver wants no more of it.
const GONE: u16 = 410;
/// The largest part of a wait that is added to it by chance, in percent: receivers that come back are not
/// met by everybody at the same moment.
const JITTER_PERCENT: i128 = 10;

/// How long to wait after each failed try: the first after the first, and so on. With n waits there are
/// n + 1 tries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetrySchedule(pub Vec<SignedDuration>);

/// What becomes of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Its receiver has taken it.
    Delivered,
    /// It is tried again then.
    Again(Timestamp),
    /// Its tries are used up.
    Held,
    /// Its receiver wants no more of it, or its postback is switched off.
    Cancelled,
}

impl Step {
    /// Where the delivery then stands.
    pub fn status(self) -> DeliveryStatus {
        match self {
            Self::Delivered => DeliveryStatus::Delivered,
            Self::Again(_) => DeliveryStatus::Due,
            Self::Held => DeliveryStatus::Held,
            Self::Cancelled => DeliveryStatus::Cancelled,
        }
    }
}

/// What a try means for its delivery. `round` counts the tries of this round, this one included; `chance`
/// is random bits; `retry_after` what the receiver asked for.
pub fn step(
    outcome: &TryOutcome,
    success: &SuccessRule,
    schedule: &RetrySchedule,
    round: u32,
    now: Timestamp,
    retry_after: Option<SignedDuration>,
    chance: u64,
) -> Step {
    match outcome {
        TryOutcome::HandedOut => Step::Delivered,
        TryOutcome::Answered { status, answer } if success.is_success(*status, answer.as_bytes()) => {
            Step::Delivered
        }
        TryOutcome::Answered { status: GONE, .. } => Step::Cancelled,
        TryOutcome::Answered { .. } | TryOutcome::Failed { .. } => {
            let place = usize::try_from(round.max(1) - 1).unwrap_or(usize::MAX);
            let Some(wait) = schedule.0.get(place) else { return Step::Held };
            let wait = with_jitter(*wait, chance).max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
            Step::Again(now.saturating_add(wait).unwrap_or(Timestamp::MAX))
        }
    }
}

fn with_jitter(wait: SignedDuration, chance: u64) -> SignedDuration {
    let most = wait.as_nanos() * JITTER_PERCENT / 100;
    let more = most * i128::from(chance >> 32) / i128::from(u32::MAX);
    SignedDuration::from_nanos_i128(wait.as_nanos() + more)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn schedule(seconds: &[i64]) -> RetrySchedule {
        RetrySchedule(seconds.iter().map(|it| SignedDuration::from_secs(*it)).collect())
    }

    fn answered(status: u16) -> TryOutcome {
        TryOutcome::Answered { status, answer: "gone away".to_owned() }
    }

    fn failed() -> TryOutcome {
        TryOutcome::Failed { code: "timed_out".to_owned(), reason: "no answer in time".to_owned() }
    }

    fn rule(codes: &str, text: Option<&str>) -> SuccessRule {
        let codes = SuccessRule::parse_codes(codes).expect("codes");
        SuccessRule { codes, text: text.map(str::to_owned) }
    }

    /// The wait that a step says, in seconds.
    fn wait(step: Step) -> Option<i64> {
        match step {
            Step::Again(at) => Some(at.duration_since(NOW).as_secs()),
            Step::Delivered | Step::Held | Step::Cancelled => None,
        }
    }

    #[test]
    fn the_first_rule_that_applies_decides() {
        let check = |outcome: &TryOutcome, rule: &SuccessRule, expected: Step| {
            assert_eq!(step(outcome, rule, &schedule(&[]), 1, NOW, None, 0), expected, "{outcome:?}");
        };
        check(&TryOutcome::HandedOut, &rule("500", None), Step::Delivered);
        check(&answered(204), &rule("", None), Step::Delivered);
        check(&answered(410), &rule("", None), Step::Cancelled);
        check(&answered(410), &rule("410", None), Step::Delivered);
        check(&answered(410), &rule("410", Some("ok")), Step::Cancelled);
        check(&answered(200), &rule("", Some("ok")), Step::Held);
        check(&answered(200), &rule("", Some("gone")), Step::Delivered);
        check(&answered(302), &rule("", None), Step::Held);
        check(&failed(), &rule("", None), Step::Held);
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_up_to_a_day_and_never_for_less() {
        let with = |asked: i64| {
            let asked = Some(SignedDuration::from_secs(asked));
            wait(step(&answered(429), &rule("", None), &schedule(&[60]), 1, NOW, asked, 0))
        };
        assert_eq!(
            [with(-5), with(10), with(61), with(86_400)],
            [Some(60), Some(60), Some(61), Some(86_400)]
        );
        assert_eq!([with(86_401), with(i64::MAX)], [Some(86_400); 2]);
        // It does not bring back what is used up.
        let asked = Some(SignedDuration::from_secs(5));
        assert_eq!(step(&answered(429), &rule("", None), &schedule(&[60]), 2, NOW, asked, 0), Step::Held);
    }

    #[test]
    fn time_does_not_run_over() {
        let end = step(&failed(), &rule("", None), &schedule(&[60]), 1, Timestamp::MAX, None, 0);
        assert_eq!(end, Step::Again(Timestamp::MAX));
    }

    #[test]
    fn every_step_has_its_status() {
        let found = [Step::Delivered, Step::Again(NOW), Step::Held, Step::Cancelled].map(Step::status);
        assert_eq!(&found[..1], [DeliveryStatus::Delivered]);
        assert_eq!(&found[1..], [DeliveryStatus::Due, DeliveryStatus::Held, DeliveryStatus::Cancelled]);
    }

    proptest! {
        #[test]
        fn a_delivery_that_always_fails_is_held_after_one_try_more_than_there_are_waits(
            waits in proptest::collection::vec(0..2_592_000_i64, 0..50),
            chance: u64,
        ) {
            let (schedule, success) = (schedule(&waits), rule("", None));
            let steps = (1..=52).map(|round| step(&failed(), &success, &schedule, round, NOW, None, chance));
            let steps: Vec<_> = steps.collect();
            let again = steps.iter().take_while(|it| matches!(it, Step::Again(_))).count();
            prop_assert_eq!(again, waits.len());
            prop_assert!(steps[again..].iter().all(|it| *it == Step::Held));
        }

        #[test]
        fn chance_adds_up_to_a_tenth(seconds in 0..2_592_000_i64, chance: u64, status in 400..600_u16) {
            prop_assume!(status != GONE);
            let step = step(&answered(status), &rule("", None), &schedule(&[seconds]), 1, NOW, None, chance);
            let Step::Again(at) = step else { panic!("{step:?}") };
            let waited = at.duration_since(NOW);
            let least = SignedDuration::from_secs(seconds);
            prop_assert!(waited >= least && waited.as_nanos() <= least.as_nanos() * 11 / 10);
        }
    }

    #[test]
    fn chance_reaches_both_ends() {
        let ends = [0, u64::MAX].map(|it| with_jitter(SignedDuration::from_secs(100), it).as_secs());
        assert_eq!(ends, [100, 110]);
    }
}
