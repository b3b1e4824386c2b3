//! Proving a cube: its blocks are all of its segment's clicks, and every view is what they add up to.

use std::ops::Range;
use std::path::Path;

use domain::grouping::{Column, Groups, Measure, Source, Value};
use domain::report::Attribute;
use domain::segment::Segment;

use crate::error::ArchiveError;
use crate::segment::SegmentReader;

use super::make::count_rows;
use super::{Block, Cube, Run, Table, View};

/// Clicks of a group that are in the segment and not in the cube; below zero the other way round.
#[derive(Clone, Copy, Default)]
struct Difference(i64);

impl Measure for Difference {
    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }
}

/// Checks the cube at `path`, if there is one, against all of its segment's clicks.
pub(crate) fn verify(path: &Path, segment: &Segment, reader: &SegmentReader) -> Result<(), ArchiveError> {
    let Some(cube) = Cube::open(path, segment)? else { return Ok(()) };
    let damage = |reason: &str| ArchiveError::corrupt(path, 0, reason);
    let mut start = 0;
    for block in &cube.directory.blocks {
        let rows = rows_of(reader, start, block.run)?.ok_or_else(|| damage("a block of other clicks"))?;
        let (mut hours, mut behind) = (Vec::new(), rows.start);
        for hour in &block.hours {
            let hour = rows_of(reader, behind, *hour)?.ok_or_else(|| damage("an hour of other clicks"))?;
            behind = hour.end;
            hours.push(hour);
        }
        if behind != rows.end {
            return Err(damage("hours of fewer clicks than their block"));
        }
        for table in &block.tables {
            verify_table(&cube, reader, block, table, &rows, &hours)?;
        }
        start = rows.end;
    }
    if start == reader.rows() { Ok(()) } else { Err(damage("fewer clicks than its segment")) }
}

/// The rows of a run that begins at row `start`; none where it does not.
fn rows_of(reader: &SegmentReader, start: usize, run: Run) -> Result<Option<Range<usize>>, ArchiveError> {
    let (first, last) = (reader.row_of(run.first())?, reader.row_of(run.last())?);
    Ok(last.filter(|last| first == Some(start) && *last >= start).map(|last| start..last + 1))
}

fn verify_table(
    cube: &Cube,
    reader: &SegmentReader,
    block: &Block,
    table: &Table,
    rows: &Range<usize>,
    hours: &[Range<usize>],
) -> Result<(), ArchiveError> {
    let view = table.view();
    let columns: Result<Vec<_>, _> = table.columns.iter().map(|it| cube.column(*it, table.rows)).collect();
    let columns = columns?;
    let (counts, columns) = columns.split_last().expect("as wide as its view");
    let damage = |reason: String| {
        let names: Vec<_> = view.attributes.iter().map(|it| it.name()).collect();
        let (first, view) = (block.run.first(), names.join(", "));
        ArchiveError::corrupt(cube.path(), 0, format!("block of {first}, by {view}: {reason}"))
    };
    // Together they may have twice as many groups, and no more where both are right.
    let mut groups = Groups::new(view.width() - 1, usize::MAX);
    let hours: Vec<&Range<usize>> = hours.iter().collect();
    let one = |it: &mut Difference| it.0 += 1;
    let subtracted = count_rows(reader, view, rows, &hours, &mut groups, one, &|| false)
        .and_then(|()| subtract(&mut groups, columns, counts, table.rows as usize));
    let groups = match subtracted.and_then(|()| Ok(groups.finish()?)) {
        Err(ArchiveError::TooManyGroups(_)) => return Err(damage("other groups".to_owned())),
        groups => groups?,
    };
    match groups.first() {
        None => Ok(()),
        Some((values, Difference(more))) => {
            let (clicks, than) = (more.unsigned_abs(), if *more > 0 { "fewer" } else { "more" });
            Err(damage(format!("{clicks} clicks {than} of {} than there are", name_of(view, values))))
        }
    }
}

fn subtract(
    groups: &mut Groups<Difference>,
    columns: &[Column],
    counts: &Column,
    rows: usize,
) -> Result<(), ArchiveError> {
    let codes: Vec<_> = columns.iter().enumerate().map(|(at, it)| groups.codes(at, &it.values)).collect();
    let sources: Vec<_> = columns.iter().zip(&codes).map(|(it, to)| Source::By(&it.codes, to)).collect();
    let count = |row| match counts.values[counts.codes.get(row)] {
        Value::Id(count) => i64::from(count),
        Value::Text(_) => 0,
    };
    Ok(groups.add(0..rows, &sources, &[], |it, row| it.0 -= count(row))?)
}

/// How a group is told, without what may be its visitors'.
fn name_of(view: &View, values: &[Value]) -> String {
    let is_visitors = |it: Attribute| matches!(it, Attribute::SubId(_) | Attribute::ReferrerHost);
    let text = |value: &Value| match value {
        Value::Id(id) => id.to_string(),
        Value::Text(text) => text.to_string(),
    };
    let of_hour = values[..usize::from(view.is_hourly)].iter().map(|it| format!("hour {}", text(it)));
    let attributes = view.attributes.iter().zip(&values[usize::from(view.is_hourly)..]);
    let attributes = attributes.filter(|(it, _)| !is_visitors(**it));
    let attributes = attributes.map(|(it, value)| format!("{} {}", it.name(), text(value)));
    of_hour.chain(attributes).collect::<Vec<_>>().join(", ")
}
