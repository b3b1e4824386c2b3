//! Writing a segment's file: column after column, from records that are all in memory. The same
//! records give the same bytes.

use std::path::Path;
use std::sync::Arc;

use domain::ids::ClickId;
use domain::segment::Segment;
use parquet::data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType};
use parquet::data_type::{DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};

use crate::checked_file::CheckedWriter;
use crate::error::ArchiveError;
use crate::record::Record;

use super::columns::{Values, columns, properties, schema};
use super::{PAGE_ROWS, key_values};

/// Writes `records` to `path`, durably. Returns the file's length and the content of its checksum
/// file.
pub(crate) fn write(
    path: &Path,
    segment: &Segment,
    records: &[Record<'_>],
) -> Result<(u64, Vec<u8>), ArchiveError> {
    let file = CheckedWriter::create(path)?;
    let file =
        write_columns(file, segment, records).map_err(|error| ArchiveError::from_parquet(error, path))?;
    Ok(file.finish()?)
}

fn write_columns(
    file: CheckedWriter,
    segment: &Segment,
    records: &[Record<'_>],
) -> Result<CheckedWriter, ParquetError> {
    let properties = properties(segment.format).set_key_value_metadata(Some(key_values(segment))).build();
    let mut file = SerializedFileWriter::new(file, schema(segment.format), Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for column in columns(segment.format) {
        let mut writer = group.next_column()?.expect("the schema has a column for each of ours");
        for page in records.chunks(PAGE_ROWS) {
            write_page(&mut writer, &column.values, page)?;
        }
        writer.close()?;
    }
    group.close()?;
    file.into_inner()
}

fn write_page(
    writer: &mut SerializedColumnWriter<'_>,
    values: &Values,
    records: &[Record<'_>],
) -> Result<(), ParquetError> {
    match values {
        Values::Id => write_values::<FixedLenByteArrayType>(writer, records, |it| Some(bytes_of(it.id()))),
        Values::OtherId { get, .. } => {
            write_values::<FixedLenByteArrayType>(writer, records, |it| get(it).map(bytes_of))
        }
        Values::Date => write_values::<Int64Type>(writer, records, |it| Some(it.id().unix_ms())),
        Values::Number { get, .. } => {
            write_values::<Int32Type>(writer, records, |it| get(it).map(u32::cast_signed))
        }
        Values::Text { get, .. } => {
            write_values::<ByteArrayType>(writer, records, |it| Some(ByteArray::from(get(it))))
        }
        Values::Named { get, .. } => write_values::<ByteArrayType>(writer, records, |it| {
            get(it).map(|name| ByteArray::from(name.into_bytes()))
        }),
    }
}

fn bytes_of(id: ClickId) -> FixedLenByteArray {
    id.to_bytes().to_vec().into()
}

fn write_values<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    records: &[Record<'_>],
    get: impl Fn(&Record<'_>) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let mut present = Vec::with_capacity(records.len());
    let mut values = Vec::with_capacity(records.len());
    for record in records {
        let value = get(record);
        present.push(i16::from(value.is_some()));
        values.extend(value);
    }
    writer.typed::<T>().write_batch(&values, Some(&present), None)?;
    Ok(())
}
