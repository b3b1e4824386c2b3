//! Reading a segment's file: where an id stands, which rows match, and the clicks of given rows.
//! Every read goes to single pages through the page index.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::{iter, slice};

use domain::archive_query::ClickFilter;
use domain::click::Click;
use domain::ids::ClickId;
use domain::segment::Segment;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FixedLenByteArrayType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::page_index::RowGroupPageIndex;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{Length as _, SerializedPageReader};

use crate::checked_file::CheckedFile;
use crate::error::ArchiveError;

use super::columns::{AFFILIATE_ID, CLICK_ID, COLUMNS, OFFER_ID, Values, schema};
use super::{FORMAT, key_values};

/// An open segment with its parsed metadata.
pub(crate) struct SegmentReader {
    file: Arc<CheckedFile>,
    metadata: ParquetMetaData,
    pages: RowGroupPageIndex,
    rows: usize,
}

impl SegmentReader {
    /// Opens the segment's file at `path` and checks that it is that segment's.
    pub fn open(path: &Path, sums_path: &Path, segment: &Segment) -> Result<Self, ArchiveError> {
        let file = CheckedFile::open(path, sums_path)?;
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(&file)
            .map_err(|error| ArchiveError::from_parquet(error, path))?;
        let about = metadata.file_metadata();
        let fits = segment.format == FORMAT
            && file.len() == segment.file_bytes
            && about.key_value_metadata() == Some(&key_values(segment))
            && about.schema() == schema().as_ref()
            && metadata.num_row_groups() == 1
            && u64::try_from(about.num_rows()) == Ok(segment.rows);
        if !fits {
            return Err(ArchiveError::corrupt(path, 0, "not the segment of the catalogue"));
        }
        let rows = usize::try_from(segment.rows).expect("counted while they were in memory");
        let pages = metadata.page_index_for_row_group(0);
        Ok(Self { file: Arc::new(file), metadata, pages, rows })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The file underneath.
    pub fn file(&self) -> &CheckedFile {
        &self.file
    }

    /// The click, if it is here.
    pub fn find(&self, id: ClickId) -> Result<Option<Click>, ArchiveError> {
        let Ok(row) = self.position(id)? else { return Ok(None) };
        let mut clicks = [Click::blank(id)];
        self.fill(&mut clicks, slice::from_ref(&(row..row + 1)))?;
        let [click] = clicks;
        Ok(Some(click))
    }

    /// The rows that match, in order.
    pub fn matching(&self, filter: &ClickFilter) -> Result<Vec<Range<usize>>, ArchiveError> {
        let start = self.position(filter.from)?.unwrap_or_else(|row| row);
        let end = self.position(filter.before)?.unwrap_or_else(|row| row);
        if start >= end {
            return Ok(Vec::new());
        }
        let offers = self.wanted(OFFER_ID, filter.offer_id.map(|id| id.0), start..end)?;
        let affiliates = self.wanted(AFFILIATE_ID, filter.affiliate_id.map(|id| id.0), start..end)?;
        Ok(match (offers, affiliates) {
            (None, None) => iter::once(start..end).collect(),
            (Some(one), None) | (None, Some(one)) => runs(start, one.into_iter()),
            (Some(one), Some(other)) => runs(start, one.into_iter().zip(other).map(|(a, b)| a && b)),
        })
    }

    /// The clicks of `rows`, which are in order.
    pub fn clicks(&self, rows: &[Range<usize>]) -> Result<Vec<Click>, ArchiveError> {
        let mut clicks: Vec<Click> = self.ids(rows)?.into_iter().map(Click::blank).collect();
        self.fill(&mut clicks, rows)?;
        Ok(clicks)
    }

    /// The row of `id`, or the row before which it would stand.
    fn position(&self, id: ClickId) -> Result<Result<usize, usize>, ArchiveError> {
        let id_bytes = id.to_bytes();
        let Some(ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(index)) = self.pages.column_index(CLICK_ID) else {
            return Err(self.damage("no index of click ids"));
        };
        let locations = self.page_locations(CLICK_ID)?;
        let page = index.max_values_iter().take_while(|max| *max < Some(&id_bytes[..])).count();
        let Some(location) = locations.get(page) else { return Ok(Err(self.rows)) };
        let start = first_row(location);
        let end = locations.get(page + 1).map_or(self.rows, first_row);
        let found = self.ids(slice::from_ref(&(start..end)))?.binary_search(&id);
        Ok(found.map(|row| start + row).map_err(|row| start + row))
    }

    /// For each of `rows`, whether the column has the value; `None` where every value will do.
    fn wanted(
        &self,
        column: usize,
        value: Option<u32>,
        rows: Range<usize>,
    ) -> Result<Option<Vec<bool>>, ArchiveError> {
        let Some(value) = value else { return Ok(None) };
        let (values, _) = self.read_column::<Int32Type>(column, slice::from_ref(&rows))?;
        Ok(Some(values.into_iter().map(|it| it.cast_unsigned() == value).collect()))
    }

    fn ids(&self, rows: &[Range<usize>]) -> Result<Vec<ClickId>, ArchiveError> {
        let (ids, _) = self.read_column::<FixedLenByteArrayType>(CLICK_ID, rows)?;
        let id = |bytes: &[u8]| bytes.try_into().map(ClickId::from_bytes);
        ids.iter().map(|bytes| id(bytes.data()).map_err(|_| self.damage("not a click id"))).collect()
    }

    /// Sets all fields but the id of `clicks`, which stand in `rows`.
    fn fill(&self, clicks: &mut [Click], rows: &[Range<usize>]) -> Result<(), ArchiveError> {
        for (index, column) in COLUMNS.iter().enumerate() {
            match column.values {
                Values::Id | Values::Date => {}
                Values::Number { set, .. } => {
                    self.set_values::<Int32Type>(index, rows, clicks, |click, number| {
                        set(click, number.cast_unsigned());
                        Some(())
                    })?;
                }
                Values::Text { set, .. } => {
                    self.set_values::<ByteArrayType>(index, rows, clicks, |click, text| {
                        set(click, str_of(&text)?.to_owned());
                        Some(())
                    })?;
                }
                Values::Named { set, .. } => {
                    self.set_values::<ByteArrayType>(index, rows, clicks, |click, name| {
                        set(click, str_of(&name)?)
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Gives each click its value of the column, where it has one.
    fn set_values<T: DataType>(
        &self,
        column: usize,
        rows: &[Range<usize>],
        clicks: &mut [Click],
        set: impl Fn(&mut Click, T::T) -> Option<()>,
    ) -> Result<(), ArchiveError> {
        let (values, present) = self.read_column::<T>(column, rows)?;
        let mut values = values.into_iter();
        for (row, click) in clicks.iter_mut().enumerate() {
            // A column that every row has knows no levels.
            if present.get(row).is_none_or(|&level| level > 0) {
                let done = values.next().and_then(|value| set(click, value));
                done.ok_or_else(|| self.damage(&format!("a bad value in {}", COLUMNS[column].name)))?;
            }
        }
        Ok(())
    }

    /// The values of a column in `rows`, and for an optional column a level per row: 1 where it
    /// has a value.
    pub fn read_column<T: DataType>(
        &self,
        column: usize,
        rows: &[Range<usize>],
    ) -> Result<(Vec<T::T>, Vec<i16>), ArchiveError> {
        let total = rows.iter().map(ExactSizeIterator::len).sum();
        let (mut values, mut levels) = (Vec::with_capacity(total), Vec::new());
        let mut read = || -> Result<usize, ParquetError> {
            let mut reader = self.column_reader::<T>(column, rows)?;
            let (mut at, mut done) = (0, 0);
            for range in rows {
                reader.skip_records(range.start - at)?;
                done += reader.read_records(range.len(), Some(&mut levels), None, &mut values)?.0;
                at = range.end;
            }
            Ok(done)
        };
        match read() {
            Ok(done) if done == total => Ok((values, levels)),
            Ok(_) => Err(self.damage("a column ends too early")),
            Err(error) => Err(ArchiveError::from_parquet(error, self.path())),
        }
    }

    /// A reader of the column that knows of the pages from the first of `rows` to the last.
    fn column_reader<T: DataType>(
        &self,
        column: usize,
        rows: &[Range<usize>],
    ) -> Result<ColumnReaderImpl<T>, ParquetError> {
        let chunk = self.metadata.row_group(0).column(column);
        let locations = needed_pages(self.page_locations(column)?, rows);
        let pages = SerializedPageReader::new(Arc::clone(&self.file), chunk, self.rows, Some(locations))?;
        Ok(ColumnReaderImpl::new(chunk.column_descr_ptr(), Box::new(pages)))
    }

    fn page_locations(&self, column: usize) -> Result<&[PageLocation], ArchiveError> {
        let locations = self.pages.page_locations(column).ok_or_else(|| self.damage("no page index"))?;
        Ok(locations)
    }

    fn damage(&self, reason: &str) -> ArchiveError {
        ArchiveError::corrupt(self.path(), 0, reason)
    }
}

/// The locations a page reader needs to find `rows`. The first page of all stands for all those
/// before the first needed one, as a page without a successor stands for all rows up to the next:
/// it is skipped unread, and tells the reader where a dictionary ends. One page more than needed
/// says where the last one ends.
fn needed_pages(all: &[PageLocation], rows: &[Range<usize>]) -> Vec<PageLocation> {
    let (start, end) = match rows {
        [] => (0, 0),
        [first, ..] => (first.start, rows[rows.len() - 1].end),
    };
    let first = all.partition_point(|page| first_row(page) <= start).saturating_sub(1);
    let last = all.partition_point(|page| first_row(page) < end);
    let leading = if first == 0 { &[] } else { &all[..1] };
    [leading, &all[first..all.len().min(last + 1).max(first)]].concat()
}

fn first_row(page: &PageLocation) -> usize {
    usize::try_from(page.first_row_index).expect("a row is not negative")
}

/// The ranges of rows, from `start` on, that are wanted.
fn runs(start: usize, wanted: impl Iterator<Item = bool>) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (row, _) in (start..).zip(wanted).filter(|(_, wanted)| *wanted) {
        match runs.last_mut() {
            Some(run) if run.end == row => run.end += 1,
            _ => runs.push(row..row + 1),
        }
    }
    runs
}

fn str_of(bytes: &ByteArray) -> Option<&str> {
    str::from_utf8(bytes.data()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_needed_pages_and_their_two_landmarks_are_known_to_a_reader() {
        let page = |row| PageLocation { offset: 0, compressed_page_size: 0, first_row_index: row };
        let all = [0, 10, 20, 30, 40].map(page);
        let check = |rows: &[Range<usize>], expected: &[i64]| {
            let needed: Vec<i64> = needed_pages(&all, rows).iter().map(|it| it.first_row_index).collect();
            assert_eq!(needed, expected, "{rows:?}");
        };
        let one = slice::from_ref;
        check(one(&(0..1)), &[0, 10]);
        check(one(&(10..11)), &[0, 10, 20]);
        check(one(&(29..30)), &[0, 20, 30]);
        check(one(&(29..31)), &[0, 20, 30, 40]);
        check(one(&(49..50)), &[0, 40]);
        check(&[15..16, 33..34], &[0, 10, 20, 30, 40]);
        check(&[], &[0]);
    }

    #[test]
    fn wanted_rows_next_to_each_other_are_one_run() {
        let wanted = [true, true, false, true, false, false, true].into_iter();
        assert_eq!(runs(7, wanted), [7..9, 10..11, 13..14]);
    }
}
