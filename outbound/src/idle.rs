//! Connections that wait to be used again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::target::Receiver;

/// At most `connections_max` of them, for all receivers together: the one that has waited longest goes first. What has
/// waited for `timeout` is not used again, and closed when the next call looks.
pub(crate) struct Idle {
    connections_max: usize,
    timeout: Duration,
    /// In the order in which they came. Looking through a thousand costs a tenth of a new connection.
    waiting: Mutex<VecDeque<Waiting>>,
}

struct Waiting {
    receiver: Receiver,
    connection: Connection,
    since: Instant,
}

impl Idle {
    pub fn new(connections_max: usize, timeout: Duration) -> Self {
        Self { connections_max, timeout, waiting: Mutex::default() }
    }

    /// The connection to this receiver that was used last: the likeliest to be open still.
    pub fn take(&self, receiver: &Receiver) -> Option<Connection> {
        let mut waiting = self.fresh();
        let position = waiting.iter().rposition(|it| it.receiver == *receiver)?;
        waiting.remove(position).map(|it| it.connection)
    }

    pub fn put(&self, receiver: Receiver, connection: Connection) {
        let mut waiting = self.fresh();
        waiting.push_back(Waiting { receiver, connection, since: Instant::now() });
        while waiting.len() > self.connections_max {
            waiting.pop_front();
        }
    }

    fn fresh(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.front().is_some_and(|it| it.since.elapsed() >= self.timeout) {
            waiting.pop_front();
        }
        waiting
    }
}
