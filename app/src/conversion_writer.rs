//! The queue in front of the ledger: calls that arrive while a commit is under way share the next
//! one, and each hears its own outcome.

use std::sync::Arc;

use ledger::{Ledger, LedgerError, Recorded, Submission};
use tokio::sync::{mpsc, oneshot};

use crate::Failure;

/// Calls in one commit at most: enough to hide the fsync, few enough to answer within milliseconds.
const BATCH_MAX: usize = 256;

type Answer = oneshot::Sender<Result<Recorded, Failure>>;

/// The waiting calls, bounded.
pub(crate) struct Queue(mpsc::Sender<(Submission, Answer)>);

impl Queue {
    /// Records a call and waits for its commit.
    pub(crate) async fn record(&self, submission: Submission) -> Result<Recorded, Failure> {
        let (answer, outcome) = oneshot::channel();
        self.0.try_send((submission, answer)).map_err(|_| Failure::Overloaded)?;
        outcome.await.map_err(|closed| Failure::Unavailable(closed.into()))?
    }
}

/// Takes calls from the queue and records them, on a thread of its own.
pub struct ConversionWriter {
    ledger: Arc<dyn Ledger>,
    waiting: mpsc::Receiver<(Submission, Answer)>,
}

pub(crate) fn channel(ledger: Arc<dyn Ledger>, waiting_max: usize) -> (Queue, ConversionWriter) {
    let (sender, waiting) = mpsc::channel(waiting_max);
    (Queue(sender), ConversionWriter { ledger, waiting })
}

impl ConversionWriter {
    /// Records until nobody can send any more. Blocks.
    pub fn run(mut self) {
        let mut waiting = Vec::with_capacity(BATCH_MAX);
        while self.waiting.blocking_recv_many(&mut waiting, BATCH_MAX) > 0 {
            let (submissions, answers): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
            match self.ledger.record_conversions(&submissions) {
                Ok(outcomes) => outcomes.into_iter().zip(answers).for_each(|(outcome, answer)| {
                    // Whoever hung up will ask again and get the original.
                    let _ = answer.send(outcome.map_err(Failure::from));
                }),
                Err(error) => refuse(&error, answers),
            }
        }
    }
}

fn refuse(error: &LedgerError, answers: Vec<Answer>) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        calls = answers.len(),
        "a commit failed; nothing of it was recorded"
    );
    for answer in answers {
        let _ = answer.send(Err(Failure::Unavailable(error.to_string().into())));
    }
}
