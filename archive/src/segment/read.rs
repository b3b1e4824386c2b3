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
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::page_index::RowGroupPageIndex;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{Length as _, SerializedPageReader};

use crate::checked_file::CheckedFile;
use crate::error::ArchiveError;
use crate::reached::Reached;

use super::columns::{
    AFFILIATE_ID, CAMPAIGN_ID, CLICK_ID, Column, DISPOSITION, OFFER_ID, REDIRECT_OFFER_ID, UDID, Values,
    columns, schema,
};
use super::{CHUNK_ROWS, FORMAT, key_values};

/// An open segment with its parsed metadata.
pub(crate) struct SegmentReader {
    file: Arc<CheckedFile>,
    metadata: ParquetMetaData,
    pages: RowGroupPageIndex,
    columns: &'static [Column],
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
        let fits = (1..=FORMAT).contains(&segment.format)
            && file.len() == segment.file_bytes
            && about.key_value_metadata() == Some(&key_values(segment))
            && about.schema() == schema(segment.format).as_ref()
            && metadata.num_row_groups() == 1
            && u64::try_from(about.num_rows()) == Ok(segment.rows);
        if !fits {
            return Err(ArchiveError::corrupt(path, 0, "not the segment of the catalogue"));
        }
        let rows = usize::try_from(segment.rows).expect("counted while they were in memory");
        let pages = metadata.page_index_for_row_group(0);
        Ok(Self { file: Arc::new(file), metadata, pages, columns: columns(segment.format), rows })
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

    /// The row of a click, if it is here.
    pub fn row_of(&self, id: ClickId) -> Result<Option<usize>, ArchiveError> {
        Ok(self.position(id)?.ok())
    }

    /// Reads `rows` of a column, from the first on; none where the format has no such column.
    pub fn values<T: DataType>(
        &self,
        column: usize,
        rows: &Range<usize>,
    ) -> Result<Option<ColumnValues<'_, T>>, ArchiveError> {
        let Some(column) = self.columns.get(column).map(|_| column) else { return Ok(None) };
        let read = || {
            let mut reader = self.column_reader::<T>(column, slice::from_ref(rows))?;
            reader.skip_records(rows.start)?;
            Ok(reader)
        };
        let reader = read().map_err(|error| ArchiveError::from_parquet(error, self.path()))?;
        Ok(Some(ColumnValues { segment: self, column, reader }))
    }

    /// The click, if it is here.
    pub fn find(&self, id: ClickId) -> Result<Option<Click>, ArchiveError> {
        let Some(row) = self.row_of(id)? else { return Ok(None) };
        let mut clicks = [Click::blank(id)];
        self.fill(&mut clicks, slice::from_ref(&(row..row + 1)))?;
        let [click] = clicks;
        Ok(Some(click))
    }

    /// The rows that match, in order.
    pub fn matching(&self, filter: &ClickFilter) -> Result<Vec<Range<usize>>, ArchiveError> {
        let Range { start, end } = self.within(filter)?;
        if start == end {
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

    /// The rows in the filter's id range.
    fn within(&self, filter: &ClickFilter) -> Result<Range<usize>, ArchiveError> {
        self.between(filter.from, filter.before)
    }

    /// The rows from `from` on and before `before`.
    pub fn between(&self, from: ClickId, before: ClickId) -> Result<Range<usize>, ArchiveError> {
        let (start, end) = (self.rows_before(from)?, self.rows_before(before)?);
        Ok(start..end.max(start))
    }

    /// How many clicks come before `id`.
    pub fn rows_before(&self, id: ClickId) -> Result<usize, ArchiveError> {
        Ok(self.position(id)?.unwrap_or_else(|row| row))
    }

    /// The id of a row there is.
    pub fn id_at(&self, row: usize) -> Result<ClickId, ArchiveError> {
        let ids = self.ids(slice::from_ref(&(row..row + 1)))?;
        ids.first().copied().ok_or_else(|| self.damage("not a click id"))
    }

    /// Counts the clicks in the filter's id range that reached an offer.
    pub fn add_reached(&self, filter: &ClickFilter, reached: &mut Reached) -> Result<(), ArchiveError> {
        let Range { start, end } = self.within(filter)?;
        for first in (start..end).step_by(CHUNK_ROWS) {
            let rows = first..end.min(first + CHUNK_ROWS);
            let rows = slice::from_ref(&rows);
            let (offers, _) = self.read_column::<Int32Type>(OFFER_ID, rows)?;
            let (dispositions, _) = self.read_column::<ByteArrayType>(DISPOSITION, rows)?;
            let campaigns = self.optional_numbers(CAMPAIGN_ID, rows)?;
            let redirects = self.optional_numbers(REDIRECT_OFFER_ID, rows)?;
            for (row, offer_id) in offers.into_iter().enumerate() {
                let disposition = str_of(&dispositions[row]).and_then(|name| name.parse().ok());
                let disposition = disposition.ok_or_else(|| self.damage("a bad disposition"))?;
                reached.add(disposition, offer_id.cast_unsigned(), campaigns[row], redirects[row]);
            }
        }
        Ok(())
    }

    /// Of the newest `rows_max` rows in the filter's id range, those that match and have the device id,
    /// newest first; `rows_max` becomes what is left of it.
    pub fn rows_of_device(
        &self,
        filter: &ClickFilter,
        udid: &str,
        rows_max: &mut usize,
    ) -> Result<Vec<usize>, ArchiveError> {
        let Range { start, end } = self.within(filter)?;
        let oldest = start.max(end.saturating_sub(*rows_max));
        *rows_max -= end - oldest;
        let mut found = Vec::new();
        // Whole chunks at a time, however the matching rows lie in them.
        for first in (oldest..end).step_by(CHUNK_ROWS) {
            let chunk = first..end.min(first + CHUNK_ROWS);
            let offers = self.wanted(OFFER_ID, filter.offer_id.map(|id| id.0), chunk.clone())?;
            let wanted = |row: usize| offers.as_ref().is_none_or(|of_offer| of_offer[row]);
            if !(0..chunk.len()).any(wanted) {
                continue;
            }
            let (udids, _) = self.read_column::<ByteArrayType>(UDID, slice::from_ref(&chunk))?;
            let of_device = udids.iter().enumerate().filter(|(_, value)| value.data() == udid.as_bytes());
            found.extend(of_device.filter(|(row, _)| wanted(*row)).map(|(row, _)| first + row));
        }
        found.reverse();
        Ok(found)
    }

    /// The numbers in `rows` of a column that not every row, nor every format, has.
    fn optional_numbers(
        &self,
        column: usize,
        rows: &[Range<usize>],
    ) -> Result<Vec<Option<u32>>, ArchiveError> {
        if column >= self.columns.len() {
            return Ok(vec![None; rows.iter().map(ExactSizeIterator::len).sum()]);
        }
        let (values, present) = self.read_column::<Int32Type>(column, rows)?;
        let mut values = values.into_iter().map(i32::cast_unsigned);
        Ok(present.into_iter().map(|level| if level > 0 { values.next() } else { None }).collect())
    }

    /// The clicks of `rows`, which are in order.
    pub fn clicks(&self, rows: &[Range<usize>]) -> Result<Vec<Click>, ArchiveError> {
        let mut clicks: Vec<Click> = self.ids(rows)?.into_iter().map(Click::blank).collect();
        self.fill(&mut clicks, rows)?;
        Ok(clicks)
    }

    /// Of `ids`, which ascend, those that are not here.
    pub fn missing(&self, ids: &[ClickId]) -> Result<Vec<ClickId>, ArchiveError> {
        let (mut missing, mut wanted) = (Vec::new(), ids.iter().copied().peekable());
        for start in (0..self.rows).step_by(CHUNK_ROWS) {
            let rows = start..self.rows.min(start + CHUNK_ROWS);
            for id in self.ids(slice::from_ref(&rows))? {
                missing.extend(std::iter::from_fn(|| wanted.next_if(|it| *it < id)));
                while wanted.next_if_eq(&id).is_some() {}
            }
        }
        missing.extend(wanted);
        Ok(missing)
    }

    /// The row of `id`, or the row before which it would stand.
    fn position(&self, id: ClickId) -> Result<Result<usize, usize>, ArchiveError> {
        let id_bytes = id.to_bytes();
        let Some(ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(index)) = self.pages.column_index(CLICK_ID) else {
            return Err(self.damage("no index of click ids"));
        };
        let locations = self.page_locations(CLICK_ID)?;
        let page = partition_point(locations.len(), |page| index.max_value(page) < Some(&id_bytes[..]));
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
        ids.iter().map(|bytes| id_of(bytes).ok_or_else(|| self.damage("not a click id"))).collect()
    }

    /// Sets all fields but the id of `clicks`, which stand in `rows`. What the format has no column
    /// for stays blank.
    fn fill(&self, clicks: &mut [Click], rows: &[Range<usize>]) -> Result<(), ArchiveError> {
        for (index, column) in self.columns.iter().enumerate() {
            match column.values {
                Values::Id | Values::Date => {}
                Values::OtherId { set, .. } => {
                    self.set_values::<FixedLenByteArrayType>(index, rows, clicks, |click, id| {
                        set(click, id_of(&id)?);
                        Some(())
                    })?;
                }
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
                done.ok_or_else(|| self.damage(&format!("a bad value in {}", self.columns[column].name)))?;
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

    pub fn damage(&self, reason: &str) -> ArchiveError {
        ArchiveError::corrupt(self.path(), 0, reason)
    }
}

/// A column that is read row by row.
pub(crate) struct ColumnValues<'s, T: DataType> {
    segment: &'s SegmentReader,
    column: usize,
    reader: ColumnReaderImpl<T>,
}

impl<T: DataType> ColumnValues<'_, T> {
    /// The next `rows` rows' values, as far as they have one.
    pub fn next(&mut self, rows: usize) -> Result<impl Iterator<Item = Option<T::T>>, ArchiveError> {
        let (mut values, mut levels) = (Vec::with_capacity(rows), Vec::new());
        let read = self.reader.read_records(rows, Some(&mut levels), None, &mut values);
        let (done, ..) = read.map_err(|error| ArchiveError::from_parquet(error, self.segment.path()))?;
        let present = levels.iter().filter(|&&level| level > 0).count();
        let expected = if levels.is_empty() { rows } else { present };
        if done != rows || values.len() != expected {
            let name = self.segment.columns[self.column].name;
            return Err(self.segment.damage(&format!("the column {name} ends too early")));
        }
        let mut values = values.into_iter();
        // A column that every row has knows no levels.
        let has_value = move |row| levels.get(row).is_none_or(|&level| level > 0);
        Ok((0..rows).map(move |row| if has_value(row) { values.next() } else { None }))
    }
}

/// The first of `0..len` for which `before` is not true; it is true for all those before that.
fn partition_point(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
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

fn id_of(bytes: &FixedLenByteArray) -> Option<ClickId> {
    bytes.data().try_into().ok().map(ClickId::from_bytes)
}

pub(super) fn str_of(bytes: &ByteArray) -> Option<&str> {
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
