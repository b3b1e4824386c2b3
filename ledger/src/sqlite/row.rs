//! Reading columns into domain types. A value this program never writes is damage, named by table,
//! column and row.

use domain::ids::ClickId;
use domain::money::Amount;
use jiff::Timestamp;
use rusqlite::types::FromSql;

use super::backend;
use crate::LedgerError;

/// A row being read, with what is needed to name it.
pub(super) struct Row<'r, 's> {
    table: &'static str,
    row: &'r rusqlite::Row<'s>,
}

impl<'r, 's> Row<'r, 's> {
    pub(super) fn new(table: &'static str, row: &'r rusqlite::Row<'s>) -> Self {
        Self { table, row }
    }

    /// The damage report for a column of this row. Every table's first column is its key.
    pub(super) fn corrupt(&self, column: &'static str) -> LedgerError {
        let row = self.row.get_ref(0).map_or_else(|_| "?".to_owned(), |key| format!("{key:?}"));
        LedgerError::Corrupt { table: self.table, column, row }
    }

    pub(super) fn get<T: FromSql>(&self, column: &'static str) -> Result<T, LedgerError> {
        self.row.get(column).map_err(|error| match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => self.corrupt(column),
            other => backend(other),
        })
    }

    /// A text read by `parse`.
    pub(super) fn parse<T>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, LedgerError> {
        let text: String = self.get(column)?;
        parse(&text).ok_or_else(|| self.corrupt(column))
    }

    /// A text read by `parse`, where there is one.
    pub(super) fn parse_optional<T>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, LedgerError> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| parse(&text).ok_or_else(|| self.corrupt(column))).transpose()
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, LedgerError> {
        Timestamp::from_microsecond(self.get(column)?).map_err(|_| self.corrupt(column))
    }

    pub(super) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, LedgerError> {
        self.get::<Option<i64>>(column)?
            .map(|micros| Timestamp::from_microsecond(micros).map_err(|_| self.corrupt(column)))
            .transpose()
    }

    pub(super) fn amount(&self, column: &'static str) -> Result<Amount, LedgerError> {
        Amount::from_micros(self.get(column)?).ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn optional_amount(&self, column: &'static str) -> Result<Option<Amount>, LedgerError> {
        self.get::<Option<i64>>(column)?
            .map(|micros| Amount::from_micros(micros).ok_or_else(|| self.corrupt(column)))
            .transpose()
    }

    pub(super) fn click_id(&self, column: &'static str) -> Result<ClickId, LedgerError> {
        self.get::<[u8; 16]>(column).map(ClickId::from_bytes)
    }
}

/// A conversion's or attempt's number, from SQLite's signed integers.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).expect("row numbers are positive")
}

/// A number for SQLite's signed integers.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
