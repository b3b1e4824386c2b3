//! Making a cube from its segment, view by view, so that only one is in memory at a time.

use std::ops::Range;
use std::path::Path;

use domain::grouping::{Column, ColumnBuilder, Groups, Measure, Source, TooManyGroups, Value};
use domain::ids::ClickId;
use domain::report::{TimeUnit, periods};
use domain::segment::Segment;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::error::ArchiveError;
use crate::segment::SegmentReader;

use super::file::CubeWriter;
use super::{Block, Clicks, Directory, Run, Table, VIEWS, View};

/// Rows of a table, however many clicks the block has: half a million of ten attributes take some 100 MB
/// of memory while they are counted.
const TABLE_ROWS_MAX: u64 = 500_000;

/// Rows, and the lowest and the highest id of them.
pub(super) struct Part {
    pub run: Run,
    pub rows: Range<usize>,
}

/// Writes the cube of a segment to `path`, durably. Gives up where `stop` says so.
pub(crate) fn make(
    path: &Path,
    segment: &Segment,
    reader: &SegmentReader,
    zone: &TimeZone,
    stop: &dyn Fn() -> bool,
) -> Result<(), ArchiveError> {
    let mut file = CubeWriter::create(path)?;
    let mut blocks = Vec::new();
    for day in parts(reader, &(0..reader.rows()), TimeUnit::Day, zone)? {
        let hours = parts(reader, &day.rows, TimeUnit::Hour, zone)?;
        let mut tables = Vec::new();
        for (number, view) in (0..).zip(&VIEWS) {
            if let Some((columns, rows)) = table(reader, view, &day, &hours, stop)? {
                let columns = columns.iter().map(|it| file.add(it)).collect::<Result<_, _>>()?;
                tables.push(Table { view: number, rows, columns });
            }
        }
        blocks.push(Block { run: day.run, hours: hours.iter().map(|it| it.run).collect(), tables });
    }
    let directory = Directory {
        segment: segment.name(),
        rows: segment.rows,
        zone: zone.iana_name().unwrap_or_default().to_owned(),
        blocks,
    };
    file.finish(&directory)
}

/// The days or hours of `rows` that have clicks.
fn parts(
    reader: &SegmentReader,
    rows: &Range<usize>,
    unit: TimeUnit,
    zone: &TimeZone,
) -> Result<Vec<Part>, ArchiveError> {
    let Some(last) = rows.end.checked_sub(1).filter(|last| *last >= rows.start) else {
        return Ok(Vec::new());
    };
    let (from, last) = (reader.id_at(rows.start)?.time(), reader.id_at(last)?.time());
    let until = last.checked_add(1.millisecond()).unwrap_or(Timestamp::MAX);
    let (mut parts, mut start) = (Vec::new(), rows.start);
    for period in periods(from, until, Some(unit), zone) {
        let end = reader.rows_before(ClickId::first_at(period.until))?.clamp(start, rows.end);
        parts.extend(part(reader, start..end)?);
        start = end;
    }
    // Every row is in one of them, whatever the clocks do.
    parts.extend(part(reader, start..rows.end)?);
    Ok(parts)
}

fn part(reader: &SegmentReader, rows: Range<usize>) -> Result<Option<Part>, ArchiveError> {
    if rows.is_empty() {
        return Ok(None);
    }
    let run = Run::new(reader.id_at(rows.start)?, reader.id_at(rows.end - 1)?);
    Ok(Some(Part { run, rows }))
}

/// The columns of a view and how many rows they have; none where the view would save nothing.
fn table(
    reader: &SegmentReader,
    view: &View,
    day: &Part,
    hours: &[Part],
    stop: &dyn Fn() -> bool,
) -> Result<Option<(Vec<Column>, u32)>, ArchiveError> {
    let rows_max = (day.rows.len() as u64 * view.quarters / 4).min(TABLE_ROWS_MAX);
    let mut groups = Groups::new(view.width() - 1, usize::try_from(rows_max).expect("it is small"));
    let hours: Vec<&Range<usize>> = hours.iter().map(|it| &it.rows).collect();
    let add = |clicks: &mut Clicks| clicks.0 += 1;
    let counted = count_rows(reader, view, &day.rows, &hours, &mut groups, add, stop);
    let (mut columns, clicks) = match counted.and_then(|()| Ok(groups.table()?)) {
        Err(ArchiveError::TooManyGroups(TooManyGroups { .. })) => return Ok(None),
        table => table?,
    };
    let mut counts = ColumnBuilder::default();
    for clicks in &clicks {
        counts.push_id(u32::try_from(clicks.0).expect("fewer than a segment has"));
    }
    columns.push(counts.build());
    Ok(Some((columns, u32::try_from(clicks.len()).expect("no more than clicks"))))
}

/// Adds each of `rows` to its group in a view.
pub(super) fn count_rows<M: Measure>(
    reader: &SegmentReader,
    view: &View,
    rows: &Range<usize>,
    hours: &[&Range<usize>],
    groups: &mut Groups<M>,
    add: impl Fn(&mut M),
    stop: &dyn Fn() -> bool,
) -> Result<(), ArchiveError> {
    let mut count = |rows: &Range<usize>, hour: Option<u32>| {
        reader.scan(view.attributes, rows.clone(), |columns| {
            if stop() {
                return Err(ArchiveError::Stopped);
            }
            let hour = hour.map(|hour| groups.code(0, &Value::Id(hour)));
            let first = usize::from(hour.is_some());
            let codes = (first..).zip(columns).map(|(at, it)| groups.codes(at, &it.values));
            let codes: Vec<_> = codes.collect();
            let others = columns.iter().zip(&codes).map(|(it, to)| Source::By(&it.codes, to));
            let sources: Vec<Source<'_>> = hour.map(Source::Fixed).into_iter().chain(others).collect();
            Ok(groups.add(0..columns[0].codes.len(), &sources, &[], |measure, _| add(measure))?)
        })
    };
    if view.is_hourly {
        (0..).zip(hours).try_for_each(|(hour, rows)| count(rows, Some(hour)))
    } else {
        count(rows, None)
    }
}
