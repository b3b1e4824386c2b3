//! Waiting for the journal. A lane belongs to one runtime: the journal wakes each lane once per
//! batch, and the lane wakes its own waiters without leaving its thread. Waking every request from
//! the journal's thread would cost a system call each.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use journal::{Failed, Journal, Seq};
use tokio::sync::Notify;

/// The lanes there are, for the journal to wake.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<Vec<Arc<Notify>>>);

impl Lanes {
    /// Something was decided: every lane looks for itself.
    pub(crate) fn wake(&self) {
        for lane in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            lane.notify_one();
        }
    }
}

/// One runtime's way of waiting for the journal. Its [`Lane::relay`] must be running there.
pub struct Lane {
    journal: Arc<Journal>,
    decided: Arc<Notify>,
    waiting: Mutex<VecDeque<(Seq, Waker)>>,
}

impl Lane {
    pub(crate) fn new(journal: Arc<Journal>, lanes: &Lanes) -> Self {
        let decided = Arc::new(Notify::new());
        lanes.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&decided));
        Self { journal, decided, waiting: Mutex::default() }
    }

    /// Wakes those whose record is decided, each time the journal has got further. Never ends.
    pub async fn relay(&self) {
        loop {
            self.decided.notified().await;
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while waiting.front().is_some_and(|(seq, _)| self.journal.outcome(*seq).is_some()) {
                let (_, waker) = waiting.pop_front().expect("looked at");
                waker.wake();
            }
        }
    }

    /// Waits until the record is durable, or has failed.
    pub(crate) async fn durable(&self, seq: Seq) -> Result<(), Failed> {
        poll_fn(|context| {
            if let Some(outcome) = self.journal.outcome(seq) {
                return Poll::Ready(outcome);
            }
            self.waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back((seq, context.waker().clone()));
            // Decided in between, the relay may have looked already.
            self.journal.outcome(seq).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl crate::App {
    /// A lane for one runtime, which runs its relay.
    pub fn lane(&self) -> Lane {
        Lane::new(Arc::clone(&self.journal), &self.lanes)
    }
}
