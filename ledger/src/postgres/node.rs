//! A node's number, held by a lock of a session that stays open for it. A server that is gone loses its
//! session, and with it the number.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::ids::NodeNumber;

use super::connection::Connection;
use super::url::PostgresUrl;
use crate::LedgerError;
use crate::database::{Record, values};

/// How long a number that is in use is waited for: a process that was killed is soon known to be gone.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How often it is asked for while waiting.
const TURN: Duration = Duration::from_millis(50);
/// How long nobody looks again whether the session lives. Two servers with one number are found out
/// within that time of it being possible.
const KEPT_FOR: Duration = Duration::from_secs(2);
/// How long nobody tries again to get the number back.
const LOST_FOR: Duration = Duration::from_millis(250);

/// The number of this process, once it has one.
#[derive(Debug, Default)]
pub(super) struct Node(Mutex<Option<Held>>);

#[derive(Debug)]
struct Held {
    node: NodeNumber,
    /// None while it is lost: nothing is done until it is held again.
    session: Option<Connection>,
    looked: Instant,
}

impl Node {
    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the number, waiting a little for one in use.
    pub(super) fn hold(&self, node: NodeNumber, url: &PostgresUrl) -> Result<(), LedgerError> {
        let mut held = self.held();
        let began = Instant::now();
        let mut session = Connection::open(url)?;
        while !lock(&mut session, node)? {
            if began.elapsed() >= WAIT_MAX {
                return Err(LedgerError::NodeInUse(node.get()));
            }
            std::thread::sleep(TURN);
        }
        *held = Some(Held { node, session: Some(session), looked: Instant::now() });
        Ok(())
    }

    /// Makes sure that the number, where there is one, is still ours.
    pub(super) fn keep(&self, url: &PostgresUrl) -> Result<(), LedgerError> {
        let mut held = self.held();
        let Some(held) = held.as_mut() else { return Ok(()) };
        let fresh_for = if held.session.is_some() { KEPT_FOR } else { LOST_FOR };
        if held.looked.elapsed() >= fresh_for {
            held.look(url);
            held.looked = Instant::now();
        }
        let lost =
            || LedgerError::Unavailable(format!("node number {} is not held at the moment", held.node.get()));
        held.session.is_some().then_some(()).ok_or_else(lost)
    }
}

impl Held {
    fn look(&mut self, url: &PostgresUrl) {
        if self.session.as_mut().is_some_and(|session| session.run("SELECT 1").is_ok()) {
            return;
        }
        self.session = None;
        let Ok(mut session) = Connection::open(url) else { return };
        if lock(&mut session, self.node).unwrap_or(false) {
            self.session = Some(session);
        }
    }
}

/// Whether the lock of that number in this ledger, which is known by a table of its own, is now ours.
fn lock(session: &mut Connection, node: NodeNumber) -> Result<bool, LedgerError> {
    let sql = "-- hold_node\n\
        SELECT CAST(pg_try_advisory_lock(CAST(CAST('versions' AS regclass) AS oid)::int4, ?1) AS INTEGER) AS held";
    let answers = session.query_all(sql, &[values![node]])?;
    let held = |record: &Record| record.of("versions").get("held");
    answers.first().and_then(|records| records.first()).map_or(Ok(false), held)
}
