//! A sealed file of clicks: Parquet, written for how we read it. One row group, sorted by id, small
//! pages with an index, so that one click costs one small page per column. The columns are one
//! table, in `columns`; the format for other readers: docs/formats-segments.md.

pub(crate) mod cache;
mod columns;
mod read;
mod rewrite;
mod scan;
mod verify;
mod write;

use domain::segment::Segment;
use parquet::file::metadata::KeyValue;

pub(crate) use read::SegmentReader;
pub use rewrite::Blank;
pub(crate) use rewrite::rewrite;
pub(crate) use scan::hosts_of;
pub(crate) use verify::{Counts, verify};
pub(crate) use write::write;

/// The version of the file format that is written; all earlier ones are read. It changes when a
/// reader of the old one would be misled.
pub(crate) const FORMAT: u32 = 2;

/// Rows per page. One look-up decodes a page per column: smaller pages make it quicker and the
/// page index, kept in memory for cached segments, larger.
const PAGE_ROWS: usize = 512;

/// Rows decoded at a time where all of a file is read: bounds the memory.
pub(crate) const CHUNK_ROWS: usize = 8192;

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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use domain::archive_query::ClickFilter;
    use domain::click::Click;
    use domain::ids::{ClickId, NodeNumber, OfferId};

    use super::*;
    use crate::reached::Reached;
    use crate::record::Record;

    #[test]
    fn a_segment_of_format_1_is_read_and_rewritten_without_what_came_later() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, sums_path) = (folder.path().join("it.parquet"), folder.path().join("it.crc"));
        let click = |number: u128| Click {
            offer_id: OfferId(3),
            sub_ids: std::array::from_fn(|index| format!("{index} of {number}")),
            ..Click::blank(ClickId::from_bytes(number.to_be_bytes()))
        };
        let clicks: Vec<Click> = (1..=600).map(click).collect();
        let later = |click: &Click| Click { asn: Some(7), os: "iOS".to_owned(), ..click.clone() };
        let written: Vec<Click> = clicks.iter().map(later).collect();
        let mut segment = Segment {
            node: NodeNumber::new(1).expect("in range"),
            journal_file: 1,
            first_seq: 1,
            last_seq: 600,
            generation: 0,
            visitors_blanked: false,
            format: 1,
            rows: 600,
            file_bytes: 0,
            first_click: clicks[0].id,
            last_click: clicks[599].id,
            rows_by_offer: Vec::new(),
            rows_by_affiliate: Vec::new(),
            reached: None,
        };
        let records: Vec<Record<'_>> = written.iter().map(Record::from).collect();
        let (file_bytes, sums) = write(&path, &segment, &records).expect("writable");
        segment.file_bytes = file_bytes;
        std::fs::write(&sums_path, sums).expect("writable");

        let reader = SegmentReader::open(&path, &sums_path, &segment).expect("known");
        assert_eq!(reader.clicks(std::slice::from_ref(&(0..600))).expect("readable"), clicks);
        assert_eq!(reader.find(clicks[7].id).expect("readable").as_ref(), Some(&clicks[7]));
        let all =
            ClickFilter { from: ClickId::MIN, before: ClickId::MAX, offer_id: None, affiliate_id: None };
        let mut reached = Reached::default();
        reader.add_reached(&all, &mut reached).expect("readable");
        assert_eq!(reached.by_offer, HashMap::from([(OfferId(3), 600)]));

        let (upgraded, upgraded_sums) = (folder.path().join("2.parquet"), folder.path().join("2.crc"));
        let mut second = Segment { format: 2, generation: 1, ..segment.clone() };
        let (file_bytes, sums) =
            rewrite(&upgraded, &second, &[reader], Blank::Nobody, &|| false).expect("writable");
        std::fs::write(&upgraded_sums, sums).expect("writable");
        second.file_bytes = file_bytes;
        let reader = SegmentReader::open(&upgraded, &upgraded_sums, &second).expect("known");
        assert_eq!(reader.clicks(std::slice::from_ref(&(0..600))).expect("readable"), clicks);

        for format in [0, 2, 3] {
            let other = Segment { format, ..segment.clone() };
            assert!(SegmentReader::open(&path, &sums_path, &other).is_err(), "{format}");
        }
    }
}
