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
