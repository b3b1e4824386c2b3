//! Approving by itself: pending conversions of offers that say so are approved when their time has
//! come, on a thread of its own. What fails is done at the next turn: a conversion stays due until
//! somebody has decided about it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::network::Network;
use ledger::{Ledger, LedgerError};
use prometheus_client::metrics::counter::Counter;

use crate::Clock;

/// How often it is looked up whether some are due.
const TURN: Duration = Duration::from_secs(1);
/// How long after a failure it is tried again: rarely enough that a log stays readable.
const RETRY: Duration = Duration::from_secs(5);
/// How often it is looked up whether to stop.
const STOP_TURN: Duration = Duration::from_millis(50);
/// Conversions approved in one transaction: few enough that conversion calls wait only milliseconds.
const BATCH: u32 = 500;

/// Approves what is due.
pub struct Approver {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ledger: Arc<dyn Ledger>,
    /// Whose postbacks tell of it.
    pub(crate) network: Arc<ArcSwap<Network>>,
    pub(crate) approved: Counter,
    pub(crate) failures: Counter,
}

impl Approver {
    /// Approves until `stop` says so. Blocks.
    pub fn run(self, stop: &dyn Fn() -> bool) {
        while !stop() {
            let pause = match self.approve(stop) {
                Ok(()) => TURN,
                Err(error) => {
                    self.failures.inc();
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "approving what is due failed; it will be tried again");
                    RETRY
                }
            };
            let mut waited = Duration::ZERO;
            while waited < pause && !stop() {
                std::thread::park_timeout(STOP_TURN);
                waited += STOP_TURN;
            }
        }
    }

    /// Approves until nothing is due.
    fn approve(&self, stop: &dyn Fn() -> bool) -> Result<(), LedgerError> {
        while !stop() {
            let approved = self.ledger.approve_due(&self.network.load(), self.clock.now(), BATCH)?;
            self.approved.inc_by(approved);
            if approved < u64::from(BATCH) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::sample;

    #[test]
    fn a_failure_is_counted_and_a_stop_does_not_wait_for_the_next_try() {
        let folder = tempfile::tempdir().expect("a folder");
        let opened = sample::open_in(folder.path());
        let meddler = rusqlite::Connection::open(folder.path().join("ledger.sqlite")).expect("opens");
        meddler.execute_batch("ALTER TABLE conversions RENAME TO away").expect("renamed");
        let (failures, stopped) = (opened.approver.failures.clone(), AtomicBool::new(false));
        let began = std::time::Instant::now();
        std::thread::scope(|threads| {
            threads.spawn(|| opened.approver.run(&|| stopped.load(Ordering::Acquire)));
            while failures.get() == 0 {
                std::thread::yield_now();
            }
            stopped.store(true, Ordering::Release);
        });
        assert!(began.elapsed() < super::RETRY);
        assert_eq!(opened.app.metrics().approval_failures.get(), 1);
    }
}
