//! Writing a segment's file, column after column: here from records that are all in memory, in
//! `rewrite` from other segments. The same records give the same bytes.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use domain::ids::ClickId;
use domain::segment::Segment;
use parquet::data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType};
use parquet::data_type::{DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};

use crate::checked_file::CheckedWriter;
use crate::error::ArchiveError;
use crate::record::Record;

use super::columns::{Column, Values, columns, properties, schema};
use super::{PAGE_ROWS, key_values};

/// Writes `records` to `path`, durably. Returns the file's length and the content of its checksum
/// file.
pub(crate) fn write(
    path: &Path,
    segment: &Segment,
    records: &[Record<'_>],
) -> Result<(u64, Vec<u8>), ArchiveError> {
    write_columns(path, segment, |_, column, writer| {
        let mut pages = records.chunks(PAGE_ROWS);
        written_to(path, pages.try_for_each(|page| write_page(writer, &column.values, page)))
    })
}

/// Writes a file whose columns `write_column` writes, each told by its place and itself.
pub(super) fn write_columns(
    path: &Path,
    segment: &Segment,
    mut write_column: impl FnMut(usize, &Column, &mut SerializedColumnWriter<'_>) -> Result<(), ArchiveError>,
) -> Result<(u64, Vec<u8>), ArchiveError> {
    let file = CheckedWriter::create(path)?;
    let properties = properties(segment.format).set_key_value_metadata(Some(key_values(segment))).build();
    let file = SerializedFileWriter::new(file, schema(segment.format), Arc::new(properties));
    let mut file = written_to(path, file)?;
    let mut group = written_to(path, file.next_row_group())?;
    for (index, column) in columns(segment.format).iter().enumerate() {
        let writer = written_to(path, group.next_column())?;
        let mut writer = writer.expect("the schema has a column for each of ours");
        write_column(index, column, &mut writer)?;
        written_to(path, writer.close())?;
    }
    written_to(path, group.close())?;
    Ok(written_to(path, file.into_inner())?.finish()?)
}

/// The error of writing to `path`.
pub(super) fn written_to<T>(path: &Path, written: Result<T, ParquetError>) -> Result<T, ArchiveError> {
    written.map_err(|error| ArchiveError::from_parquet(error, path))
}

fn write_page(
    writer: &mut SerializedColumnWriter<'_>,
    values: &Values,
    records: &[Record<'_>],
) -> Result<(), ParquetError> {
    match values {
        Values::Id => write_bytes::<FixedLenByteArrayType>(writer, records, |it, out| {
            out.extend_from_slice(&it.id().to_bytes());
            true
        }),
        Values::OtherId { get, .. } => write_bytes::<FixedLenByteArrayType>(writer, records, |it, out| {
            get(it).map(|id| out.extend_from_slice(&id.to_bytes())).is_some()
        }),
        Values::Date => write_values::<Int64Type>(writer, records, |it| Some(it.id().unix_ms())),
        Values::Number { get, .. } => {
            write_values::<Int32Type>(writer, records, |it| get(it).map(u32::cast_signed))
        }
        Values::Text { get, .. } => write_bytes::<ByteArrayType>(writer, records, |it, out| {
            out.extend_from_slice(get(it).as_bytes());
            true
        }),
        Values::Named { add, .. } => write_bytes::<ByteArrayType>(writer, records, add),
    }
}

/// Writes a text a row, as far as `add` has one. The texts of a page are one allocation: sealing runs
/// beside the redirects, and a page has hundreds.
fn write_bytes<T: DataType<T: From<ByteArray>>>(
    writer: &mut SerializedColumnWriter<'_>,
    records: &[Record<'_>],
    add: impl Fn(&Record<'_>, &mut Vec<u8>) -> bool,
) -> Result<(), ParquetError> {
    let mut texts = Vec::new();
    let mut ends = Vec::with_capacity(records.len());
    for record in records {
        let has_one = add(record, &mut texts);
        ends.push((has_one, texts.len()));
    }
    let (texts, mut start) = (Bytes::from(texts), 0);
    let rows = ends.into_iter().map(|(has_one, end)| {
        let text = texts.slice(start..end);
        start = end;
        has_one.then(|| T::T::from(ByteArray::from(text)))
    });
    write_optional::<T>(writer, rows)
}

pub(super) fn bytes_of(id: ClickId) -> FixedLenByteArray {
    id.to_bytes().to_vec().into()
}

fn write_values<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    records: &[Record<'_>],
    get: impl Fn(&Record<'_>) -> Option<T::T>,
) -> Result<(), ParquetError> {
    write_optional::<T>(writer, records.iter().map(get))
}

/// Writes one value a row, as far as the row has one.
pub(super) fn write_optional<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    rows: impl ExactSizeIterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let mut present = Vec::with_capacity(rows.len());
    let mut values = Vec::with_capacity(rows.len());
    for value in rows {
        present.push(i16::from(value.is_some()));
        values.extend(value);
    }
    writer.typed::<T>().write_batch(&values, Some(&present), None)?;
    Ok(())
}
