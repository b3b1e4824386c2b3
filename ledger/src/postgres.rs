//! The driver of PostgreSQL: bounded pools of connections, one for those who write and one for those
//! who only read. Writers run at READ COMMITTED: who must not interleave takes a turn or raises a version
//! first. A transaction that lost a race all the same is run again.

mod connection;
mod errors;
mod migrations;
mod node;
mod pool;
#[cfg(test)]
mod tests;
mod tls;
mod url;
mod value;

pub use url::{BadPostgresUrl, PostgresUrl};

use std::convert::Infallible;

use domain::ids::{NodeNumber, OfferId};

use crate::LedgerError;
use crate::database::{Database, Record, Session, Value, values};
use connection::Connection;
use node::Node;
use pool::{Lease, Pool};

/// Transactions that write at the same time. The recording of conversions is one; sealing, upkeep and
/// administration are the others.
const WRITERS_MAX: usize = 4;
/// Transactions that read at the same time: as many as questions are answered at once, by default.
const READERS_MAX: usize = 8;
/// How often a transaction that lost a race is run again.
const RACES_MAX: usize = 5;

/// A database on a PostgreSQL server.
#[derive(Debug)]
pub(crate) struct Postgres {
    url: PostgresUrl,
    node: Node,
    writers: Pool,
    readers: Pool,
}

impl Postgres {
    /// Connects, and brings the schema up to date.
    pub(crate) fn open(url: &PostgresUrl) -> Result<Self, LedgerError> {
        migrations::migrate(&mut Connection::open(url)?, url)?;
        Ok(Self {
            url: url.clone(),
            node: Node::default(),
            writers: Pool::new(url, WRITERS_MAX),
            readers: Pool::new(url, READERS_MAX),
        })
    }

    /// Connects, and checks that this program knows the schema. False: there is none yet.
    pub(crate) fn check(url: &PostgresUrl) -> Result<bool, LedgerError> {
        Ok(migrations::version(&mut Connection::open(url)?, url)? > 0)
    }

    /// A connection of the pool with a transaction begun. One that has died since its last use is not
    /// the database's failure: the next one is tried, until a fresh one fails.
    fn begin<'p>(&self, pool: &'p Pool, sql: &str) -> Result<Lease<'p>, LedgerError> {
        self.node.keep(&self.url)?;
        loop {
            let mut lease = pool.take()?;
            match lease.connection().run(sql) {
                Ok(()) => return Ok(lease),
                Err(LedgerError::Unavailable(_)) if !lease.is_fresh() => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Database for Postgres {
    fn decide<T, R>(
        &self,
        mut work: impl FnMut(&mut dyn Session) -> Result<Result<T, R>, LedgerError>,
    ) -> Result<Result<T, R>, LedgerError> {
        for _ in 0..RACES_MAX {
            let lease = self.begin(&self.writers, "BEGIN ISOLATION LEVEL READ COMMITTED")?;
            match end(lease, &mut work) {
                Err(error) if errors::is_lost_race(&error) => {}
                decided => return decided,
            }
        }
        let lease = self.begin(&self.writers, "BEGIN ISOLATION LEVEL READ COMMITTED")?;
        end(lease, &mut work).map_err(errors::lost_for_good)
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let lease = self.begin(&self.readers, begin)?;
        match end(lease, |session| work(session).map(Ok::<T, Infallible>))? {
            Ok(found) => Ok(found),
            Err(never) => match never {},
        }
    }

    /// The server is told to give up what rows were. What it keeps elsewhere (archives of its log,
    /// replicas, backups) is not ours.
    fn scrub(&self, tables: &[&str]) -> Result<(), LedgerError> {
        self.node.keep(&self.url)?;
        let mut connection = Connection::open(&self.url)?;
        tables.iter().try_for_each(|table| connection.run_for_long(&format!("VACUUM {table}")))
    }

    fn hold_node(&self, node: NodeNumber) -> Result<(), LedgerError> {
        self.node.hold(node, &self.url)
    }
}

/// Runs `work` in the transaction that was begun, and ends it: committed when it accepts, else rolled
/// back.
fn end<T, R>(
    mut lease: Lease<'_>,
    work: impl FnOnce(&mut dyn Session) -> Result<Result<T, R>, LedgerError>,
) -> Result<Result<T, R>, LedgerError> {
    let mut open = Open { connection: lease.connection(), failed: false };
    let decided = work(&mut open);
    if open.failed && decided.is_ok() {
        // The server would answer its COMMIT by rolling back.
        return Err(LedgerError::Backend("a statement failed, and its transaction went on".into()));
    }
    match &decided {
        Ok(Ok(_)) => lease.connection().run("COMMIT")?,
        Ok(Err(_)) => lease.connection().run("ROLLBACK")?,
        // The error that is told is the first one. A connection that cannot go on is dropped.
        Err(_) if lease.connection().start_over().is_err() => return decided,
        Err(_) => {}
    }
    lease.give_back();
    decided
}

/// A connection with a transaction open on it.
struct Open<'c> {
    connection: &'c mut Connection,
    /// Whether a statement has failed: the transaction can only be rolled back.
    failed: bool,
}

impl Session for Open<'_> {
    fn each(
        &mut self,
        sql: &str,
        values: Vec<Value<'_>>,
        row: &mut dyn FnMut(&Record) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        self.connection.each(sql, &values, row).inspect_err(|_| self.failed = true)
    }

    fn query_all(&mut self, sql: &str, values: &[Vec<Value<'_>>]) -> Result<Vec<Vec<Record>>, LedgerError> {
        self.connection.query_all(sql, values).inspect_err(|_| self.failed = true)
    }

    fn execute_all(&mut self, sql: &str, values: &[Vec<Value<'_>>]) -> Result<u64, LedgerError> {
        self.connection.execute_all(sql, values).inspect_err(|_| self.failed = true)
    }

    /// A row lock for each offer, taken in ascending order: whoever waits holds only lower ones.
    fn take_turns(&mut self, offers: &[OfferId]) -> Result<(), LedgerError> {
        let mut offers = offers.to_vec();
        offers.sort_unstable();
        offers.dedup();
        let rows: Vec<_> = offers.into_iter().map(|offer| values![offer]).collect();
        let enter =
            "-- take_turns\nINSERT INTO turns (offer_id) VALUES (?1) ON CONFLICT (offer_id) DO NOTHING";
        let lock = "-- take_turns\nSELECT offer_id FROM turns WHERE offer_id = ?1 FOR UPDATE";
        self.execute_all(enter, &rows)?;
        self.query_all(lock, &rows).map(drop)
    }
}
