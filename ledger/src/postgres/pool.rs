//! A bounded number of connections, lent and given back.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connection::Connection;
use super::url::PostgresUrl;
use crate::LedgerError;

/// How long to wait for a connection that another gives back: as long as SQLite's writers wait.
const WAIT_MAX: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Pool {
    url: PostgresUrl,
    max: usize,
    wait: Duration,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    /// Those lent and those idle.
    open: usize,
}

impl Pool {
    pub(super) fn new(url: &PostgresUrl, max: usize) -> Self {
        Self { url: url.clone(), max, wait: WAIT_MAX, state: Mutex::default(), freed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends a connection: one that is idle, else a new one, else the next that is given back.
    pub(super) fn take(&self) -> Result<Lease<'_>, LedgerError> {
        let busy = |state: &mut State| state.idle.is_empty() && state.open >= self.max;
        let waited = self.freed.wait_timeout_while(self.state(), self.wait, busy);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() && busy(&mut state) {
            return Err(LedgerError::Unavailable("all connections to the server are in use".to_owned()));
        }
        let idle = state.idle.pop();
        if idle.is_none() {
            state.open += 1;
        }
        drop(state);
        let mut lease = Lease { pool: self, fresh: idle.is_none(), connection: idle, given_back: false };
        if lease.fresh {
            lease.connection = Some(Connection::open(&self.url)?);
        }
        Ok(lease)
    }
}

/// A lent connection. Dropped without being given back, it is closed.
pub(super) struct Lease<'p> {
    pool: &'p Pool,
    connection: Option<Connection>,
    fresh: bool,
    given_back: bool,
}

impl Lease<'_> {
    pub(super) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("there until given back")
    }

    /// Whether it was made for this lease.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Gives it back for others to use: no transaction is open on it.
    pub(super) fn give_back(mut self) {
        let connection = self.connection.take();
        self.pool.state().idle.extend(connection);
        self.pool.freed.notify_one();
        self.given_back = true;
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if !self.given_back {
            self.pool.state().open -= 1;
            self.pool.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    #[test]
    fn a_pool_lends_only_so_many_and_the_next_waits_for_one_that_is_given_back() {
        let schema = Schema::create();
        let url = schema.url().parse().expect("an address");
        let mut pool = Pool { wait: Duration::ZERO, ..Pool::new(&url, 2) };
        let (first, second) = (pool.take().expect("one"), pool.take().expect("another"));
        assert!(first.is_fresh() && second.is_fresh());
        assert!(matches!(pool.take().err(), Some(LedgerError::Unavailable(_))));
        first.give_back();
        let again = pool.take().expect("the first");
        assert!(!again.is_fresh());
        // One that is not given back makes room for a new one.
        drop(second);
        let other = pool.take().expect("a third");
        assert!(other.is_fresh());
        drop((again, other));
        pool.wait = WAIT_MAX;
        let lent = [pool.take().expect("one"), pool.take().expect("another")];
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.take().map(|lease| lease.is_fresh()));
            lent.into_iter().for_each(Lease::give_back);
            assert!(!waiting.join().expect("no panic").expect("one was given back"));
        });
    }

    #[test]
    fn whom_no_server_lets_in_is_told_so_and_takes_no_place() {
        let url = "postgres://u:s3cret@127.0.0.1:1/d".parse().expect("an address");
        let pool = Pool { wait: Duration::ZERO, ..Pool::new(&url, 1) };
        for _ in 0..3 {
            let error = pool.take().err().expect("nobody listens there");
            assert!(matches!(&error, LedgerError::Unavailable(text) if text.contains("refused")), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
