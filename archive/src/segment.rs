//! A sealed file of clicks: Parquet, written for how we read it. One row group, sorted by id, small
//! pages with an index, so that one click costs one small page per column. The columns are one
//! table, in `columns`; the format for other readers: docs/formats-segments.md.

pub(crate) mod cache;
mod columns;
mod read;
mod verify;
mod write;

use domain::segment::Segment;
use parquet::file::metadata::KeyValue;

pub(crate) use read::SegmentReader;
pub(crate) use verify::{Counts, verify};
pub(crate) use write::write;

/// The version of the file format. It changes when a reader of the old one would be misled.
pub(crate) const FORMAT: u32 = 1;

/// Rows per page. One look-up decodes a page per column: smaller pages make it quicker and the
/// page index, kept in memory for cached segments, larger.
const PAGE_ROWS: usize = 512;

/// What a segment's file says about itself.
fn key_values(segment: &Segment) -> Vec<KeyValue> {
    [
        ("crumb.format", u64::from(segment.format)),
        ("crumb.node", u64::from(segment.node.get())),
        ("crumb.journal_file", segment.journal_file),
        ("crumb.first_seq", segment.first_seq),
        ("crumb.last_seq", segment.last_seq),
    ]
    .map(|(key, value)| KeyValue::new(key.to_owned(), value.to_string()))
    .into()
}
