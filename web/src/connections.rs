//! The connections of one runtime, bounded. At the bound those that have been quiet longest are asked
//! to leave, so that idle ones never keep new ones out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinSet};

/// The part of all connections that is asked to leave at once, as a divisor: looking for the quietest
/// looks at all of them, so it is not done for each.
const SHARE: usize = 16;
/// How long one that makes room may take to finish what it is at.
const ROOM_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one may take to finish what it is at when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections of one runtime.
pub(crate) struct Connections {
    max: usize,
    /// Grows with every request of this runtime: who shows a smaller number has been quiet longer.
    turn: Arc<AtomicU64>,
    tasks: JoinSet<()>,
    /// Those that nobody has asked to leave yet.
    staying: HashMap<Id, Staying>,
}

struct Staying {
    first_turn: u64,
    last_turn: Arc<AtomicU64>,
    leave: oneshot::Sender<Duration>,
}

/// A connection's sign of life.
#[derive(Clone)]
pub(crate) struct Pulse {
    turn: Arc<AtomicU64>,
    last_turn: Arc<AtomicU64>,
}

impl Pulse {
    /// There is a request, or the connection itself. Returns its turn.
    pub(crate) fn beat(&self) -> u64 {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.last_turn.store(turn, Ordering::Relaxed);
        turn
    }
}

/// Resolves when a connection is asked to leave, with the time it has to finish what it is at.
pub(crate) type Leave = oneshot::Receiver<Duration>;

impl Connections {
    /// None yet, and at most `max`.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, turn: Arc::default(), tasks: JoinSet::new(), staying: HashMap::new() }
    }

    /// Whether there is room for one more.
    pub(crate) fn has_room(&self) -> bool {
        self.tasks.len() < self.max
    }

    /// Takes up one more. Returns how many were asked to leave for it.
    pub(crate) fn add<F>(&mut self, attend: impl FnOnce(Pulse, Leave) -> F) -> usize
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let pulse = Pulse { turn: Arc::clone(&self.turn), last_turn: Arc::default() };
        let first_turn = pulse.beat();
        let (leave, asked) = oneshot::channel();
        let last_turn = Arc::clone(&pulse.last_turn);
        let id = self.tasks.spawn(attend(pulse, asked)).id();
        self.staying.insert(id, Staying { first_turn, last_turn, leave });
        if self.has_room() { 0 } else { self.make_room() }
    }

    /// Waits until one has ended; for ever while there is none.
    pub(crate) async fn ended(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => drop(self.staying.remove(&id)),
            Some(Err(error)) => drop(self.staying.remove(&error.id())),
            None => std::future::pending().await,
        }
    }

    /// Asks all to leave and waits until they have.
    pub(crate) async fn end(mut self) {
        for (_, staying) in self.staying.drain() {
            // It may have ended by itself.
            let _ = staying.leave.send(STOP_TIMEOUT);
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn make_room(&mut self) -> usize {
        let share = self.max.div_ceil(SHARE);
        let leaving = self.tasks.len() - self.staying.len();
        if leaving > share / 2 {
            return 0;
        }
        let mut quiet: Vec<_> =
            self.staying.iter().map(|(id, it)| (it.last_turn.load(Ordering::Relaxed), *id)).collect();
        if share < quiet.len() {
            quiet.select_nth_unstable(share);
            quiet.truncate(share);
        }
        for (last_turn, id) in &quiet {
            let Staying { first_turn, leave, .. } = self.staying.remove(id).expect("just seen");
            // One that has not yet sent a whole request has nothing to finish.
            let timeout = if *last_turn == first_turn { Duration::ZERO } else { ROOM_TIMEOUT };
            let _ = leave.send(timeout);
        }
        quiet.len()
    }
}

/// Serves a connection until it ends, or until it is asked to leave and has finished. One that breaks
/// is the client's affair.
pub(crate) fn attend(
    connection: impl GracefulConnection + Send,
    leave: Leave,
) -> impl Future<Output = ()> + Send {
    // In a box, so that the future holds it once: as its own argument and pinned it would be there twice.
    let mut connection = Box::pin(connection);
    async move {
        let timeout = tokio::select! {
            _ = &mut connection => return,
            timeout = leave => timeout.unwrap_or(STOP_TIMEOUT),
        };
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(timeout, connection).await;
    }
}
