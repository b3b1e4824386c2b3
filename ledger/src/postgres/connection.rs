//! One connection to the server, with a small runtime of its own: whoever asks drives it while waiting
//! for the answer, and no other thread is there.

use std::collections::HashMap;
use std::fmt;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Row, Statement};

use super::errors::{not_connected, sort};
use super::tls;
use super::url::PostgresUrl;
use super::value::{Placed, record};
use crate::LedgerError;
use crate::database::{Columns, Record, Value};

/// How long an answer may take: far beyond every statement the ledger has. Who waits longer has lost the
/// server.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Statements prepared on a connection: more than the ledger has, but for pages, whose conditions vary.
const STATEMENTS_MAX: usize = 256;
/// Statements under way at once: enough that a batch of conversions goes in one round trip.
const PIPELINED_MAX: usize = 256;

/// What every connection is told first. A server that gets no sign of life from us gives our locks away,
/// and nobody waits for ever. What is committed is on disk, whatever the database's own default.
const SET_UP: &str = "\
    SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '60s'; \
    SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; \
    SET client_min_messages = warning; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

pub(super) struct Connection {
    client: Client,
    /// Prepared statements with the names of their columns, by our text.
    statements: HashMap<String, (Statement, Columns)>,
    /// None only while it is dropped.
    runtime: Option<Runtime>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn open(url: &PostgresUrl) -> Result<Self, LedgerError> {
        let unavailable = |error: std::io::Error| LedgerError::Unavailable(error.to_string());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
        let connecting = url.config.connect(tls::connector(&url.trust)?);
        let (client, driver) =
            within(&runtime, ANSWER_MAX, connecting).map_err(|it| it.or_else(not_connected))?;
        // It ends with an error only when the connection does, which whoever asks next is told.
        runtime.spawn(async move { drop(driver.await) });
        let mut connection = Self { client, statements: HashMap::new(), runtime: Some(runtime) };
        connection.run(SET_UP)?;
        Ok(connection)
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("there until dropped")
    }

    fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, LedgerError> {
        within(self.runtime(), ANSWER_MAX, answer).map_err(|it| it.or_else(sort))
    }

    /// Runs statements without values.
    pub(super) fn run(&mut self, sql: &str) -> Result<(), LedgerError> {
        self.wait(self.client.batch_execute(sql))
    }

    /// Runs a statement however long it takes.
    pub(super) fn run_for_long(&mut self, sql: &str) -> Result<(), LedgerError> {
        self.runtime().block_on(self.client.batch_execute(sql)).map_err(sort)
    }

    /// Leaves a transaction in which something has failed. What was prepared may have been it.
    pub(super) fn start_over(&mut self) -> Result<(), LedgerError> {
        self.statements.clear();
        self.run("ROLLBACK")
    }

    fn statement(&mut self, sql: &str) -> Result<(Statement, Columns), LedgerError> {
        if let Some((statement, columns)) = self.statements.get(sql) {
            return Ok((statement.clone(), Columns::clone(columns)));
        }
        // Our texts have no question mark but for placeholders.
        let statement = self.wait(self.client.prepare(&sql.replace('?', "$")))?;
        let columns: Columns = statement.columns().iter().map(|it| it.name().to_owned()).collect();
        if self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), (statement.clone(), Columns::clone(&columns)));
        Ok((statement, columns))
    }

    pub(super) fn each(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        row: &mut dyn FnMut(&Record) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let (statement, columns) = self.statement(sql)?;
        let mut rows = pin!(self.wait(self.client.query_raw(&statement, values.iter().map(Placed)))?);
        // The server waits while a row is looked at, once the little that is under way has come.
        while let Some(found) = self.wait(async { rows.next().await.transpose() })? {
            row(&record(&columns, &found)?)?;
        }
        Ok(())
    }

    pub(super) fn query_all(
        &mut self,
        sql: &str,
        values: &[Vec<Value<'_>>],
    ) -> Result<Vec<Vec<Record>>, LedgerError> {
        let (statement, columns) = self.statement(sql)?;
        let query = async |values: &Vec<Value<'_>>| -> Result<Vec<Row>, tokio_postgres::Error> {
            let rows = self.client.query_raw(&statement, values.iter().map(Placed)).await?;
            rows.collect::<Vec<_>>().await.into_iter().collect()
        };
        let mut answers = Vec::with_capacity(values.len());
        for values in values.chunks(PIPELINED_MAX) {
            for rows in self.wait(pipelined(values.iter().map(query)))? {
                answers.push(rows.iter().map(|row| record(&columns, row)).collect::<Result<_, _>>()?);
            }
        }
        Ok(answers)
    }

    pub(super) fn execute_all(&mut self, sql: &str, values: &[Vec<Value<'_>>]) -> Result<u64, LedgerError> {
        let (statement, _) = self.statement(sql)?;
        let execute = async |values: &Vec<Value<'_>>| {
            self.client.execute_raw(&statement, values.iter().map(Placed)).await
        };
        let mut changed = 0;
        for values in values.chunks(PIPELINED_MAX) {
            changed += self.wait(pipelined(values.iter().map(execute)))?.into_iter().sum::<u64>();
        }
        Ok(changed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Waits for nothing, so it may happen on any thread.
        self.runtime.take().expect("there until dropped").shutdown_background();
    }
}

/// Why there is no answer.
enum NoAnswer {
    TooLate,
    Failed(tokio_postgres::Error),
}

impl NoAnswer {
    fn or_else(self, sort: fn(tokio_postgres::Error) -> LedgerError) -> LedgerError {
        match self {
            Self::TooLate => LedgerError::Unavailable("the server does not answer".to_owned()),
            Self::Failed(error) => sort(error),
        }
    }
}

fn within<T>(
    runtime: &Runtime,
    time: Duration,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, NoAnswer> {
    match runtime.block_on(async { tokio::time::timeout(time, answer).await }) {
        Ok(answer) => answer.map_err(NoAnswer::Failed),
        Err(_) => Err(NoAnswer::TooLate),
    }
}

/// All answers, in the order of the questions, which are all sent before the first one is waited for. The
/// first failure is the answer, once all have been heard.
async fn pipelined<T, E>(
    questions: impl Iterator<Item = impl Future<Output = Result<T, E>>>,
) -> Result<Vec<T>, E> {
    let mut questions: Vec<_> = questions.map(|it| (Box::pin(it), None)).collect();
    // The client sends when it is first polled.
    std::future::poll_fn(|cx| {
        for (question, answer) in &mut questions {
            if let Poll::Ready(early) = Pin::new(question).poll(cx) {
                *answer = Some(early);
            }
        }
        Poll::Ready(())
    })
    .await;
    let mut answers = Vec::with_capacity(questions.len());
    for (question, early) in questions {
        answers.push(match early {
            Some(answer) => answer,
            None => question.await,
        });
    }
    answers.into_iter().collect()
}
