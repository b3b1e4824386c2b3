//! Rows as Parquet, a group of them at a time in memory. Its directory stands at the end of the file, so what was
//! interrupted is begun again.

use std::io::Read;
use std::sync::Arc;

use anyhow::Context as _;
use app::ExportKind;
use jiff::Timestamp;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;
use web::{ExportColumn, ExportType, export_columns};

use super::form::{Form, Part, each_row};
use super::target::{Kept, Target};

/// Rows of a group: some tens of megabytes of clicks.
const GROUP_ROWS: usize = 20_000;
/// Digits that a decimal has at most: what 64 bits hold.
const DECIMAL_DIGITS: i32 = 18;

/// A Parquet file that is being written.
pub(super) struct RowGroups {
    file: SerializedFileWriter<Target>,
    columns: Vec<(&'static ExportColumn, Values)>,
    rows: usize,
}

/// The values of a column in the group at hand.
enum Values {
    Integers(Vec<Option<i64>>),
    Booleans(Vec<Option<bool>>),
    Texts(Vec<Option<ByteArray>>),
}

impl RowGroups {
    /// A file of that kind without rows.
    pub fn new(target: Target, kind: ExportKind) -> anyhow::Result<Self> {
        let columns = export_columns(kind);
        let fields = columns.iter().map(definition).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder(kind.name()).with_fields(fields).build()?;
        let properties = WriterProperties::builder()
            .set_created_by("crumb".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()));
        let file = SerializedFileWriter::new(target, Arc::new(schema), Arc::new(properties.build()))?;
        let columns = columns.iter().map(|column| (column, Values::none(column.holds))).collect();
        Ok(Self { file, columns, rows: 0 })
    }

    fn add(&mut self, row: &Value) -> anyhow::Result<()> {
        for (column, values) in &mut self.columns {
            let added = values.add(column.holds, &row[column.name]);
            added.with_context(|| {
                format!("the server's answer has no {} of ours: {}", column.name, row[column.name])
            })?;
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS { Ok(self.write_group()?) } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        self.rows = 0;
        let mut group = self.file.next_row_group()?;
        for (_, values) in &mut self.columns {
            let mut writer = group.next_column()?.expect("the schema has a column for each of ours");
            values.write(&mut writer)?;
            writer.close()?;
        }
        group.close().map(drop)
    }
}

impl Form for RowGroups {
    fn copy(&mut self, answer: &mut dyn Read, part: &mut Part<'_>) -> anyhow::Result<()> {
        each_row(answer, part, &mut |row| self.add(row))
    }

    fn keep(&mut self, _: &Kept) -> anyhow::Result<()> {
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.file.into_inner()?.finish()
    }
}

fn definition(column: &ExportColumn) -> Result<TypePtr, ParquetError> {
    let (physical, logical, scale) = match column.holds {
        ExportType::Integer => (Physical::INT64, None, 0),
        ExportType::Decimal { scale } => {
            (Physical::INT64, Some(LogicalType::decimal(scale, DECIMAL_DIGITS)), scale)
        }
        ExportType::Boolean => (Physical::BOOLEAN, None, 0),
        ExportType::Date => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS)), 0),
        ExportType::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String), 0),
    };
    let is_decimal = matches!(column.holds, ExportType::Decimal { .. });
    let definition = Type::primitive_type_builder(column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .with_precision(if is_decimal { DECIMAL_DIGITS } else { -1 })
        .with_scale(if is_decimal { scale } else { -1 });
    definition.build().map(Arc::new)
}

impl Values {
    fn none(holds: ExportType) -> Self {
        match holds {
            ExportType::Integer | ExportType::Decimal { .. } | ExportType::Date => Self::Integers(Vec::new()),
            ExportType::Boolean => Self::Booleans(Vec::new()),
            ExportType::Text => Self::Texts(Vec::new()),
        }
    }

    /// Adds a value. None where it is not what the column holds.
    fn add(&mut self, holds: ExportType, value: &Value) -> Option<()> {
        match self {
            Self::Integers(values) => values.push(integer(holds, value)?),
            Self::Booleans(values) => {
                values.push(if value.is_null() { None } else { Some(value.as_bool()?) });
            }
            Self::Texts(values) => values.push(match value {
                Value::Null => None,
                Value::String(text) => Some(text.as_str().into()),
                other => Some(other.to_string().as_str().into()),
            }),
        }
        Some(())
    }

    /// Writes what there is, and is empty then.
    fn write(&mut self, writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        match self {
            Self::Integers(values) => write::<Int64Type>(values, writer),
            Self::Booleans(values) => write::<BoolType>(values, writer),
            Self::Texts(values) => write::<ByteArrayType>(values, writer),
        }
    }
}

fn write<T: DataType>(
    values: &mut Vec<Option<T::T>>,
    writer: &mut SerializedColumnWriter<'_>,
) -> Result<(), ParquetError> {
    let levels: Vec<_> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<_> = values.drain(..).flatten().collect();
    writer.typed::<T>().write_batch(&values, Some(&levels), None).map(drop)
}

/// What is kept as a whole number: inner none where there is no value, outer where it is something else.
fn integer(holds: ExportType, value: &Value) -> Option<Option<i64>> {
    match (holds, value) {
        (_, Value::Null) => Some(None),
        (ExportType::Integer, value) => value.as_i64().map(Some),
        (ExportType::Decimal { scale }, Value::Number(number)) => steps(number.as_str(), scale).map(Some),
        (ExportType::Date, Value::String(text)) => {
            text.parse::<Timestamp>().ok().map(|at| Some(at.as_microsecond()))
        }
        _ => None,
    }
}

/// A plain decimal number in steps of so many decimals.
fn steps(text: &str, scale: i32) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let missing = usize::try_from(scale).ok()?.checked_sub(decimals.len())?;
    let all = format!("{whole}{decimals}{}", "0".repeat(missing));
    let is_plain = !whole.is_empty() && all.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| all.parse::<i64>().ok()).flatten().map(|steps| sign * steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_kept_to_its_last_digit() {
        for (text, scale, expected) in [
            ("18.00", 4, Some(180_000)),
            ("-18.5", 4, Some(-185_000)),
            ("0.0125", 4, Some(125)),
            ("7", 4, Some(70_000)),
            ("-0.0001", 4, Some(-1)),
            ("1.0823456789", 10, Some(10_823_456_789)),
            ("1000000000.00", 4, Some(10_000_000_000_000)),
            ("0.00001", 4, None),
            ("1e3", 4, None),
            ("", 4, None),
            ("-", 4, None),
            ("99999999999999999999", 4, None),
        ] {
            assert_eq!(steps(text, scale), expected, "{text}");
        }
    }
}
