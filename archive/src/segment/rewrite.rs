//! Writing a segment from others, column by column and page by page: whatever their size, the memory
//! is bounded. On the way visitors' data can be blanked.

use std::ops::Range;
use std::path::Path;

use domain::click::Click;
use domain::ids::ClickId;
use domain::segment::Segment;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FixedLenByteArrayType};
use parquet::data_type::{Int32Type, Int64Type};
use parquet::file::writer::SerializedColumnWriter;

use crate::error::ArchiveError;
use crate::record::Record;

use super::PAGE_ROWS;
use super::columns::{Blanked, Column, Values};
use super::read::SegmentReader;
use super::write::{bytes_of, write_columns, write_optional, written_to};

/// Whose visitor's data is blanked.
#[derive(Clone, Copy, Debug)]
pub enum Blank<'a> {
    /// Nobody's.
    Nobody,
    /// That of the visitors of these clicks, as far as they are there.
    These(&'a [ClickId]),
    /// Everybody's.
    Everybody,
}

/// One of the segments that are read.
struct Input<'a> {
    reader: &'a SegmentReader,
    /// The rows to be erased, in order.
    erased: Vec<usize>,
}

/// Writes the clicks of `readers`, which follow each other, to `path`, durably. Returns the file's
/// length and the content of its checksum file. Gives up where `stop` says so.
pub(crate) fn rewrite(
    path: &Path,
    segment: &Segment,
    readers: &[SegmentReader],
    blank: Blank<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<(u64, Vec<u8>), ArchiveError> {
    let inputs: Vec<Input<'_>> =
        readers.iter().map(|reader| Input::new(reader, blank)).collect::<Result<_, _>>()?;
    let everybody = matches!(blank, Blank::Everybody);
    let blank = Click::blank(ClickId::MIN);
    let blank = Record::from(&blank);
    write_columns(path, segment, |index, column, writer| {
        let pump = Pump { path, inputs: &inputs, index, column, everybody, stop };
        match &column.values {
            Values::Id => pump.run::<FixedLenByteArrayType>(writer, None),
            Values::Date => pump.run::<Int64Type>(writer, None),
            Values::OtherId { get, .. } => {
                pump.run::<FixedLenByteArrayType>(writer, get(&blank).map(bytes_of).as_ref())
            }
            Values::Number { get, .. } => {
                pump.run::<Int32Type>(writer, get(&blank).map(u32::cast_signed).as_ref())
            }
            Values::Text { get, .. } => {
                pump.run::<ByteArrayType>(writer, Some(&ByteArray::from(get(&blank))))
            }
            Values::Named { add, .. } => {
                let mut name = Vec::new();
                let name = add(&blank, &mut name).then(|| ByteArray::from(name));
                pump.run::<ByteArrayType>(writer, name.as_ref())
            }
        }
    })
}

impl<'a> Input<'a> {
    fn new(reader: &'a SegmentReader, blank: Blank<'_>) -> Result<Self, ArchiveError> {
        let mut erased = Vec::new();
        if let Blank::These(clicks) = blank {
            for id in clicks {
                erased.extend(reader.row_of(*id)?);
            }
        }
        erased.sort_unstable();
        Ok(Self { reader, erased })
    }

    /// Which of `rows` are to be erased, counted from the first of them.
    fn erased_in(&self, rows: &Range<usize>) -> impl Iterator<Item = usize> {
        let [start, end] = [rows.start, rows.end];
        let first = self.erased.partition_point(|row| *row < start);
        self.erased[first..].iter().take_while(move |row| **row < end).map(move |row| row - start)
    }
}

/// A column on its way from the inputs to the writer.
struct Pump<'a> {
    path: &'a Path,
    inputs: &'a [Input<'a>],
    index: usize,
    column: &'a Column,
    everybody: bool,
    stop: &'a dyn Fn() -> bool,
}

impl Pump<'_> {
    /// `blank` is what a row has that is blanked, or that an earlier format has no column for.
    fn run<T: DataType>(
        &self,
        writer: &mut SerializedColumnWriter<'_>,
        blank: Option<&T::T>,
    ) -> Result<(), ArchiveError> {
        let blank = blank.cloned();
        let mut page: Vec<Option<T::T>> = Vec::with_capacity(PAGE_ROWS);
        for input in self.inputs {
            let (rows, mut start) = (input.reader.rows(), 0);
            let mut values = input.reader.values::<T>(self.index, &(0..rows))?;
            while start < rows {
                if (self.stop)() {
                    return Err(ArchiveError::Stopped);
                }
                // Pages are filled across inputs, so they are as they would be in one segment.
                let part = start..rows.min(start + PAGE_ROWS - page.len());
                start = part.end;
                let before = page.len();
                match &mut values {
                    Some(values) if !self.blanks_everybody() => {
                        page.extend(values.next(part.len())?);
                        if self.column.blanked != Blanked::Never {
                            input.erased_in(&part).for_each(|row| page[before + row].clone_from(&blank));
                        }
                    }
                    _ => page.resize(before + part.len(), blank.clone()),
                }
                if page.len() == PAGE_ROWS {
                    self.write::<T>(writer, &mut page)?;
                }
            }
        }
        self.write::<T>(writer, &mut page)
    }

    fn blanks_everybody(&self) -> bool {
        self.everybody && self.column.blanked == Blanked::Always
    }

    fn write<T: DataType>(
        &self,
        writer: &mut SerializedColumnWriter<'_>,
        page: &mut Vec<Option<T::T>>,
    ) -> Result<(), ArchiveError> {
        written_to(self.path, write_optional::<T>(writer, page.drain(..)))
    }
}
