//! Values on their way to the server and back.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use bytes::BytesMut;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::LedgerError;
use crate::database::{Columns, Record, Value};

type Failed = Box<dyn Error + Sync + Send>;

/// A value for a placeholder. The client prints placeholders into its debug log, so this prints nothing.
pub(super) struct Placed<'v>(pub(super) &'v Value<'v>);

impl fmt::Debug for Placed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl ToSql for Placed<'_> {
    fn to_sql(&self, column: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            // What a placeholder stands beside decides its width.
            Value::Integer(number) if *column == Type::INT4 => i32::try_from(*number)?.to_sql(column, out),
            Value::Integer(number) => checked(number, column, out),
            Value::Text(text) => checked(&text.as_ref(), column, out),
            Value::Blob(bytes) => checked(&bytes.as_ref(), column, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn checked<T: ToSql>(value: &T, column: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
    if T::accepts(column) { value.to_sql(column, out) } else { Err(format!("a value for a {column}").into()) }
}

/// A value of a column.
struct Found(Value<'static>);

impl<'r> FromSql<'r> for Found {
    fn from_sql(column: &Type, raw: &'r [u8]) -> Result<Self, Failed> {
        Ok(Self(match *column {
            Type::INT8 => Value::Integer(i64::from_sql(column, raw)?),
            Type::INT4 => Value::Integer(i32::from_sql(column, raw)?.into()),
            Type::BYTEA => Value::Blob(Cow::Owned(raw.to_vec())),
            _ if <String as FromSql>::accepts(column) => {
                Value::Text(Cow::Owned(String::from_sql(column, raw)?))
            }
            _ => return Err(format!("a column of type {column}").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failed> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

pub(super) fn record(columns: &Columns, row: &Row) -> Result<Record, LedgerError> {
    let value = |column| row.try_get::<_, Found>(column).map(|found| found.0);
    let values = (0..columns.len()).map(value).collect::<Result<_, _>>().map_err(super::errors::sort)?;
    Ok(Record::new(columns, values))
}
