//! The queue in front of the ledger: calls that arrive while a commit is under way share the next
//! one, and each hears its own outcome.

use std::sync::Arc;

use ledger::{Attempt, Ledger, LedgerError, Recorded, Submission};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::Failure;

/// Calls in one commit at most: enough to hide the fsync, few enough to answer within milliseconds.
const BATCH_MAX: usize = 256;

/// What waits for the ledger.
enum Waiting {
    /// A call to be judged, and who waits for it.
    Call(Box<Submission>, Answer<Recorded>),
    /// The attempt of a call that cannot be judged, and who waits for it.
    Attempt(Box<Attempt>, Answer<()>),
}

type Answer<T> = oneshot::Sender<Result<T, Failure>>;

/// The waiting calls, bounded.
pub(crate) struct Queue(mpsc::Sender<Waiting>);

impl Queue {
    /// Records a call and waits for its commit.
    pub(crate) async fn record(&self, submission: Submission) -> Result<Recorded, Failure> {
        self.wait_for(|answer| Waiting::Call(Box::new(submission), answer)).await
    }

    /// Keeps an attempt and waits for its commit.
    pub(crate) async fn keep(&self, attempt: Attempt) -> Result<(), Failure> {
        self.wait_for(|answer| Waiting::Attempt(Box::new(attempt), answer)).await
    }

    async fn wait_for<T>(&self, waiting: impl FnOnce(Answer<T>) -> Waiting) -> Result<T, Failure> {
        let (answer, outcome) = oneshot::channel();
        self.0.try_send(waiting(answer)).map_err(|_| Failure::Overloaded)?;
        outcome.await.map_err(|closed| Failure::Unavailable(closed.into()))?
    }
}

/// Takes calls from the queue and records them, on a thread of its own.
pub struct ConversionWriter {
    ledger: Arc<dyn Ledger>,
    /// Told when something was recorded: its postbacks are due.
    wake: Arc<Notify>,
    waiting: mpsc::Receiver<Waiting>,
}

pub(crate) fn channel(
    ledger: Arc<dyn Ledger>,
    wake: Arc<Notify>,
    waiting_max: usize,
) -> (Queue, ConversionWriter) {
    let (sender, waiting) = mpsc::channel(waiting_max);
    (Queue(sender), ConversionWriter { ledger, wake, waiting })
}

impl ConversionWriter {
    /// Records until nobody can send any more. Blocks.
    pub fn run(mut self) {
        let mut waiting = Vec::with_capacity(BATCH_MAX);
        while self.waiting.blocking_recv_many(&mut waiting, BATCH_MAX) > 0 {
            let (mut submissions, mut answers, mut attempts) = (Vec::new(), Vec::new(), Vec::new());
            for one in waiting.drain(..) {
                match one {
                    Waiting::Call(submission, answer) => {
                        submissions.push(*submission);
                        answers.push(answer);
                    }
                    Waiting::Attempt(attempt, answer) => attempts.push((*attempt, answer)),
                }
            }
            self.record(&submissions, answers);
            for (attempt, answer) in attempts {
                // Whoever hung up will ask again.
                let _ = answer.send(self.ledger.record_attempt(&attempt).map_err(Failure::from));
            }
        }
    }

    fn record(&self, submissions: &[Submission], answers: Vec<Answer<Recorded>>) {
        if submissions.is_empty() {
            return;
        }
        match self.ledger.record_conversions(submissions) {
            Ok(outcomes) => {
                self.wake.notify_one();
                for (outcome, answer) in outcomes.into_iter().zip(answers) {
                    // Whoever hung up will ask again and get the original.
                    let _ = answer.send(outcome.map_err(Failure::from));
                }
            }
            Err(error) => refuse(&error, answers),
        }
    }
}

fn refuse(error: &LedgerError, answers: Vec<Answer<Recorded>>) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        calls = answers.len(),
        "a commit failed; nothing of it was recorded"
    );
    for answer in answers {
        let _ = answer.send(Err(Failure::Unavailable(error.to_string().into())));
    }
}
