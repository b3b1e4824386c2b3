//! Schema versions. Forward only; the same numbers on both databases.

use crate::LedgerError;
use crate::database::{Record, values};

use super::connection::Connection;
use super::errors::is_other_schema;
use super::url::PostgresUrl;

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_core.sql"),
    include_str!("../../migrations/postgres/0002_segments.sql"),
    include_str!("../../migrations/postgres/0003_impressions.sql"),
    include_str!("../../migrations/postgres/0004_targeting.sql"),
    include_str!("../../migrations/postgres/0005_money.sql"),
    include_str!("../../migrations/postgres/0006_postbacks.sql"),
    include_str!("../../migrations/postgres/0007_answers.sql"),
];

/// What the program calls itself in its schema.
const APPLICATION: &str = "crumb";

/// The oldest server that runs every statement we have.
const SERVER_VERSION_MIN: i64 = 140_000;

/// Brings the schema up to date, in one transaction. Of several processes one does it, "crmb" being
/// their lock, and the others wait.
pub(super) fn migrate(connection: &mut Connection, url: &PostgresUrl) -> Result<(), LedgerError> {
    check_server(connection)?;
    if version(connection, url)? == known() {
        return Ok(());
    }
    // Held until this connection closes. Only a transaction begun under it surely sees the schema as it
    // then is: names that were not there are remembered until the next one begins.
    connection.run_for_long("SET lock_timeout = 0; SELECT pg_advisory_lock(1668443490)")?;
    connection.run("BEGIN")?;
    let from = version(connection, url)?;
    for (number, sql) in (1_i64..).zip(MIGRATIONS).skip_while(|(number, _)| *number <= from) {
        connection.run_for_long(sql)?;
        let note = if number == 1 {
            format!(
                "CREATE TABLE schema_version (application TEXT NOT NULL, version BIGINT NOT NULL); \
                 INSERT INTO schema_version VALUES ('{APPLICATION}', 1)"
            )
        } else {
            format!("UPDATE schema_version SET version = {number}")
        };
        connection.run(&note)?;
    }
    connection.run_for_long("COMMIT")
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("a handful")
}

/// The schema version of a ledger, 0 where there is none.
pub(super) fn version(connection: &mut Connection, url: &PostgresUrl) -> Result<i64, LedgerError> {
    let foreign = || LedgerError::Foreign(url.to_string());
    let sql = "-- version\n\
        SELECT CAST(to_regclass('schema_version') IS NOT NULL AS INTEGER) AS versioned, \
        CAST(coalesce(to_regclass('versions'), to_regclass('offers'), to_regclass('conversions')) IS NOT NULL \
        AS INTEGER) AS others";
    match (number(connection, sql, "versioned")?, number(connection, sql, "others")?) {
        (Some(0), Some(0)) => return Ok(0),
        (Some(0), _) => return Err(foreign()),
        _ => {}
    }
    let sql = format!("-- version\nSELECT version FROM schema_version WHERE application = '{APPLICATION}'");
    let found = match number(connection, &sql, "version") {
        Err(error) if is_other_schema(&error) => return Err(foreign()),
        found => found?.ok_or_else(foreign)?,
    };
    if found > known() { Err(LedgerError::TooNew { found, known: known() }) } else { Ok(found) }
}

/// A server that is too old, or keeps no Unicode, is told at once and not by its first odd statement.
fn check_server(connection: &mut Connection) -> Result<(), LedgerError> {
    let sql = "-- check_server\n\
        SELECT CAST(current_setting('server_version_num') AS BIGINT) AS version, \
        CAST(current_setting('server_encoding') = 'UTF8' AS INTEGER) AS unicode";
    if number(connection, sql, "version")?.is_none_or(|version| version < SERVER_VERSION_MIN) {
        return Err(LedgerError::Unfit("PostgreSQL 14 or later is needed".to_owned()));
    }
    if number(connection, sql, "unicode")? != Some(1) {
        return Err(LedgerError::Unfit("its encoding must be UTF8".to_owned()));
    }
    Ok(())
}

fn number(connection: &mut Connection, sql: &str, column: &'static str) -> Result<Option<i64>, LedgerError> {
    let records = connection.query_all(sql, &[values![]])?.pop().unwrap_or_default();
    records.first().map(|record: &Record| record.of("schema_version").get(column)).transpose()
}
