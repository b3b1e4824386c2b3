//! Which records are decided, and how. Asked by everyone who waits, so the common answer costs two plain loads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Failed, Seq};

/// Failures that follow each other without a success between them share a range, so this many means a disk that
/// comes and goes. Beyond it the two oldest are merged with all between them: to call a success of long ago a
/// failure is safe, the other way round is not.
const RANGES_MAX: usize = 64;

pub(crate) struct Outcomes {
    /// Everything up to here is decided.
    decided: AtomicU64,
    /// Everything decided after this one is a success.
    failed_last: AtomicU64,
    /// First and last number of what failed, in order.
    failed: Mutex<Vec<(Seq, Seq)>>,
}

impl Outcomes {
    /// Everything up to `decided` is durable.
    pub(crate) fn new(decided: Seq) -> Outcomes {
        Outcomes {
            decided: AtomicU64::new(decided),
            failed_last: AtomicU64::new(0),
            failed: Mutex::default(),
        }
    }

    pub(crate) fn decided(&self) -> Seq {
        self.decided.load(Ordering::Acquire)
    }

    pub(crate) fn of(&self, seq: Seq) -> Option<Result<(), Failed>> {
        if seq > self.decided() {
            return None;
        }
        if seq > self.failed_last.load(Ordering::Relaxed) {
            return Some(Ok(()));
        }
        let has_failed = self.failed().iter().any(|(first, last)| (*first..=*last).contains(&seq));
        Some(if has_failed { Err(Failed) } else { Ok(()) })
    }

    /// Everything undecided up to `last` is durable.
    pub(crate) fn succeed(&self, last: Seq) {
        self.decided.store(last, Ordering::Release);
    }

    /// Everything undecided up to `last` has failed.
    pub(crate) fn fail(&self, last: Seq) {
        let first = self.decided() + 1;
        if first > last {
            return;
        }
        let mut failed = self.failed();
        match failed.last_mut() {
            Some(range) if range.1 + 1 == first => range.1 = last,
            _ => failed.push((first, last)),
        }
        if failed.len() > RANGES_MAX {
            failed[0].1 = failed[1].1;
            failed.remove(1);
        }
        drop(failed);
        // The release below makes this visible to whoever sees the record as decided.
        self.failed_last.store(last, Ordering::Relaxed);
        self.decided.store(last, Ordering::Release);
    }

    fn failed(&self) -> MutexGuard<'_, Vec<(Seq, Seq)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_hears_its_own_outcome() {
        let outcomes = Outcomes::new(2);
        outcomes.succeed(4);
        outcomes.fail(6);
        outcomes.fail(6);
        outcomes.fail(7);
        outcomes.succeed(9);
        let answers: Vec<_> = (1..=10).map(|seq| outcomes.of(seq)).collect();
        let (good, bad) = (Some(Ok(())), Some(Err(Failed)));
        assert_eq!(answers, [good, good, good, good, bad, bad, bad, good, good, None]);
        assert_eq!(outcomes.failed().len(), 1);
    }

    #[test]
    fn a_forgotten_failure_is_never_called_a_success() {
        let outcomes = Outcomes::new(0);
        let rounds = 10 * RANGES_MAX as u64;
        for round in 0..rounds {
            outcomes.succeed(round * 2 + 1);
            outcomes.fail(round * 2 + 2);
        }
        assert_eq!(outcomes.failed().len(), RANGES_MAX);
        assert!((1..=rounds).all(|round| outcomes.of(round * 2) == Some(Err(Failed))));
        assert_eq!(outcomes.of(rounds * 2 - 1), Some(Ok(())));
    }
}
