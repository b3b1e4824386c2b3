//! What the books need of a database: values, rows, a session to run statements in, transactions. The
//! books' SQL is written once, against this; [`crate::sqlite`] and [`crate::postgres`] carry it out.
//!
//! A text of SQL is the same for all: `?1`-style placeholders, integers of 64 bits, and nothing that
//! only one of them knows. An aggregate of integers that may come out wider is cast back to BIGINT.

use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;

use domain::ids::{
    AdvertiserId, AffiliateId, AttemptId, BatchId, CampaignId, CapId, ChangeId, ClickId, ConversionId,
    CreativeId, EventId, KeyId, LandingPageId, NodeNumber, OfferId, PostbackId, PriceRuleId,
    ReconciliationId, RuleId, StatementId,
};
use domain::money::{Amount, ExchangeRate};
use jiff::Timestamp;

use crate::LedgerError;

/// A value of a column or a placeholder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value<'v> {
    Null,
    Integer(i64),
    Text(Cow<'v, str>),
    Blob(Cow<'v, [u8]>),
}

/// A list of values for the placeholders of a statement, in their order.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::database::Value::from($value)),*] };
}
pub(crate) use values;

/// A text as every database can keep it: a PostgreSQL text has no U+0000, so its picture stands in.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{2400}")) } else { Cow::Borrowed(text) }
}

/// A number for the signed integers of databases.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(storable(text))
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        match storable(&text) {
            Cow::Borrowed(_) => Self::Text(Cow::Owned(text)),
            Cow::Owned(kept) => Self::Text(Cow::Owned(kept)),
        }
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(bytes: &'v [u8]) -> Self {
        Self::Blob(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(Cow::Owned(bytes))
    }
}

impl From<ClickId> for Value<'_> {
    fn from(id: ClickId) -> Self {
        Self::from(id.to_bytes().to_vec())
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(signed(number))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Integer(time.as_microsecond())
    }
}

impl From<Amount> for Value<'_> {
    fn from(amount: Amount) -> Self {
        Self::Integer(amount.micros())
    }
}

impl From<ExchangeRate> for Value<'_> {
    fn from(rate: ExchangeRate) -> Self {
        Self::Integer(rate.steps())
    }
}

impl From<NodeNumber> for Value<'_> {
    fn from(node: NodeNumber) -> Self {
        Self::from(node.get())
    }
}

impl<'v, T: Into<Value<'v>>> From<Option<T>> for Value<'v> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What a column can be read as. None: the value is none of these.
pub(crate) trait FromValue: Sized {
    fn from_value(value: &Value<'_>) -> Option<Self>;
}

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl From<$type> for Value<'_> {
            fn from(number: $type) -> Self {
                Self::Integer(i64::from(number))
            }
        }

        impl FromValue for $type {
            fn from_value(value: &Value<'_>) -> Option<Self> {
                i64::from_value(value).and_then(|number| number.try_into().ok())
            }
        }
    )+};
}
integers!(u8, u16, u32);

macro_rules! ids {
    ($($id:ident),+) => {$(
        impl From<$id> for Value<'_> {
            fn from(id: $id) -> Self {
                Self::from(id.0)
            }
        }

        impl FromValue for $id {
            fn from_value(value: &Value<'_>) -> Option<Self> {
                FromValue::from_value(value).map(Self)
            }
        }
    )+};
}
ids!(
    AdvertiserId,
    AffiliateId,
    AttemptId,
    BatchId,
    CampaignId,
    CapId,
    ChangeId,
    ConversionId,
    CreativeId,
    EventId,
    KeyId,
    LandingPageId,
    OfferId,
    PostbackId,
    PriceRuleId,
    ReconciliationId,
    RuleId,
    StatementId
);

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(is: bool) -> Self {
        Self::Integer(is.into())
    }
}

impl FromValue for i64 {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        if let Value::Integer(number) = value { Some(*number) } else { None }
    }
}

impl FromValue for u64 {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        i64::from_value(value).and_then(|number| number.try_into().ok())
    }
}

impl FromValue for bool {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl FromValue for String {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.to_string()) } else { None }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        if let Value::Blob(bytes) = value { Some(bytes.to_vec()) } else { None }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        if let Value::Blob(bytes) = value { bytes.as_ref().try_into().ok() } else { None }
    }
}

impl FromValue for Timestamp {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        i64::from_value(value).and_then(|micros| Self::from_microsecond(micros).ok())
    }
}

impl FromValue for Amount {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        i64::from_value(value).and_then(Self::from_micros)
    }
}

impl FromValue for ClickId {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        FromValue::from_value(value).map(Self::from_bytes)
    }
}

impl FromValue for ExchangeRate {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        i64::from_value(value).and_then(Self::from_steps)
    }
}

impl FromValue for NodeNumber {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        FromValue::from_value(value).and_then(Self::new)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

/// The names of a statement's columns, shared by all its rows.
pub(crate) type Columns = Arc<[String]>;

/// A row as the database gave it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    columns: Columns,
    values: Vec<Value<'static>>,
    /// Where the next column is looked for first: they are mostly read in their order.
    next: Cell<usize>,
}

impl Record {
    pub(crate) fn new(columns: &Columns, values: Vec<Value<'static>>) -> Self {
        Self { columns: Arc::clone(columns), values, next: Cell::new(0) }
    }

    /// The row as one of that table, which is what damage in it is named by.
    pub(crate) fn of(&self, table: &'static str) -> Row<'_> {
        Row { table, record: self }
    }

    fn value(&self, column: &str) -> Option<&Value<'static>> {
        let next = self.next.get();
        let positions = (next..self.columns.len()).chain(0..next.min(self.columns.len()));
        let position = positions.into_iter().find(|it| self.columns[*it] == column)?;
        self.next.set(position + 1);
        self.values.get(position)
    }
}

/// Reading columns into domain types. A value this program never writes is damage, named by table,
/// column and row.
#[derive(Clone, Copy)]
pub(crate) struct Row<'r> {
    table: &'static str,
    record: &'r Record,
}

impl Row<'_> {
    /// The damage report for a column of this row. Every table's first column is its key, or begins it.
    pub(crate) fn corrupt(&self, column: &'static str) -> LedgerError {
        let row = self.record.values.first().map_or_else(|| "?".to_owned(), |key| format!("{key:?}"));
        LedgerError::Corrupt { table: self.table, column, row }
    }

    pub(crate) fn get<T: FromValue>(&self, column: &'static str) -> Result<T, LedgerError> {
        self.record.value(column).and_then(T::from_value).ok_or_else(|| self.corrupt(column))
    }

    /// A text read by `parse`.
    pub(crate) fn parse<T>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, LedgerError> {
        self.parse_optional(column, parse)?.ok_or_else(|| self.corrupt(column))
    }

    /// A text read by `parse`, where there is one.
    pub(crate) fn parse_optional<T>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, LedgerError> {
        match self.record.value(column) {
            Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => parse(text).map(Some).ok_or_else(|| self.corrupt(column)),
            _ => Err(self.corrupt(column)),
        }
    }
}

/// How a row becomes what it stands for.
pub(crate) type Read<T> = fn(&Record) -> Result<T, LedgerError>;

/// An open transaction, or a consistent read: everything it sees is of one moment.
pub(crate) trait Session {
    /// Hands over each row as it comes; memory does not grow with their number.
    fn each(
        &mut self,
        sql: &str,
        values: Vec<Value<'_>>,
        row: &mut dyn FnMut(&Record) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError>;

    /// The same statement for each list of values, in their order: the rows each gave.
    fn query_all(&mut self, sql: &str, values: &[Vec<Value<'_>>]) -> Result<Vec<Vec<Record>>, LedgerError>;

    /// The same statement for each list of values, in their order: how many rows that changed.
    fn execute_all(&mut self, sql: &str, values: &[Vec<Value<'_>>]) -> Result<u64, LedgerError>;

    /// Waits until it is this session's turn on all these offers, and keeps it until its end. Whoever
    /// records or changes money of an offer takes its turn first, and reads what it decides on after.
    fn take_turns(&mut self, offers: &[OfferId]) -> Result<(), LedgerError>;

    /// All rows of a statement.
    fn query(&mut self, sql: &str, values: Vec<Value<'_>>) -> Result<Vec<Record>, LedgerError> {
        Ok(self.query_all(sql, &[values])?.pop().unwrap_or_default())
    }

    /// How many rows a statement changed.
    fn execute(&mut self, sql: &str, values: Vec<Value<'_>>) -> Result<u64, LedgerError> {
        self.execute_all(sql, &[values])
    }
}

/// All rows of a statement, read.
pub(crate) fn all<T>(
    session: &mut dyn Session,
    sql: &str,
    values: Vec<Value<'_>>,
    read: Read<T>,
) -> Result<Vec<T>, LedgerError> {
    let mut found = Vec::new();
    session.each(sql, values, &mut |record| {
        found.push(read(record)?);
        Ok(())
    })?;
    Ok(found)
}

/// The row of a statement that has one at most, read.
pub(crate) fn one<T>(
    session: &mut dyn Session,
    sql: &str,
    values: Vec<Value<'_>>,
    read: Read<T>,
) -> Result<Option<T>, LedgerError> {
    Ok(all(session, sql, values, read)?.pop())
}

/// The only value of a statement that always has one.
pub(crate) fn single<T: FromValue>(
    session: &mut dyn Session,
    sql: &str,
    values: Vec<Value<'_>>,
) -> Result<T, LedgerError> {
    let record = session.query(sql, values)?.pop();
    let value = record.as_ref().and_then(|record| record.values.first());
    let wrong = || LedgerError::Backend(format!("{}: no such value", name(sql)).into());
    value.and_then(T::from_value).ok_or_else(wrong)
}

/// The name that a text of SQL begins with.
fn name(sql: &str) -> &str {
    sql.lines().next().unwrap_or_default().trim_start_matches("-- ")
}

/// A database that keeps the books.
pub(crate) trait Database: Send + Sync {
    /// Runs `work` in one transaction: committed when it accepts, rolled back when it rejects or fails.
    /// It is run again when it lost a race with another, so it decides by what it reads alone.
    fn decide<T, R>(
        &self,
        work: impl FnMut(&mut dyn Session) -> Result<Result<T, R>, LedgerError>,
    ) -> Result<Result<T, R>, LedgerError>;

    /// Runs `work`, which only reads, on one moment.
    fn read<T>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError>;

    /// Makes sure that what was deleted from these tables, or overwritten there, is given up by the
    /// database's own files as well.
    fn scrub(&self, tables: &[&str]) -> Result<(), LedgerError>;

    /// Holds a node's number for as long as this database is open.
    fn hold_node(&self, node: NodeNumber) -> Result<(), LedgerError>;

    /// The numbers that others hold or have held.
    fn list_other_nodes(&self, own: NodeNumber) -> Result<Vec<NodeNumber>, LedgerError>;

    /// Runs `work` in one transaction, committed when it succeeds. It is run again when it lost a race.
    fn write<T>(
        &self,
        mut work: impl FnMut(&mut dyn Session) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        match self.decide(|session| work(session).map(Ok::<T, Infallible>))? {
            Ok(done) => Ok(done),
            Err(never) => match never {},
        }
    }
}
