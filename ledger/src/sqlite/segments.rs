//! The catalogue of segments in SQLite.

use domain::ids::{AffiliateId, NodeNumber, OfferId};
use domain::segment::Segment;
use rusqlite::named_params;

use super::row::{Row, signed, unsigned};
use super::{SqliteLedger, backend};
use crate::LedgerError;
use crate::segments::SegmentCatalogue;

impl SegmentCatalogue for SqliteLedger {
    fn record_segment(&self, segment: &Segment) -> Result<(), LedgerError> {
        let sql = "-- record_segment\n\
            INSERT INTO segments (node, first_seq, last_seq, journal_file, format, rows, file_bytes, \
            first_click, last_click, rows_by_offer, rows_by_affiliate) \
            VALUES (:node, :first_seq, :last_seq, :journal_file, :format, :rows, :file_bytes, \
            :first_click, :last_click, :rows_by_offer, :rows_by_affiliate) \
            ON CONFLICT (node, first_seq) DO NOTHING";
        self.write(|tx| {
            let values = named_params! {
                ":node": segment.node.get(),
                ":first_seq": signed(segment.first_seq),
                ":last_seq": signed(segment.last_seq),
                ":journal_file": signed(segment.journal_file),
                ":format": segment.format,
                ":rows": signed(segment.rows),
                ":file_bytes": signed(segment.file_bytes),
                ":first_click": segment.first_click.to_bytes(),
                ":last_click": segment.last_click.to_bytes(),
                ":rows_by_offer": pack(segment.rows_by_offer.iter().map(|(id, rows)| (id.0, *rows))),
                ":rows_by_affiliate": pack(segment.rows_by_affiliate.iter().map(|(id, rows)| (id.0, *rows))),
            };
            tx.execute(sql, values).map_err(backend).map(drop)
        })
    }

    fn list_segments(&self) -> Result<Vec<Segment>, LedgerError> {
        let reader = self.reader()?;
        let sql = "-- list_segments\nSELECT * FROM segments ORDER BY first_click";
        let mut statement = reader.prepare_cached(sql).map_err(backend)?;
        let mut rows = statement.query(()).map_err(backend)?;
        let mut segments = Vec::new();
        while let Some(row) = rows.next().map_err(backend)? {
            segments.push(read(row)?);
        }
        Ok(segments)
    }
}

fn read(row: &rusqlite::Row<'_>) -> Result<Segment, LedgerError> {
    let row = Row::new("segments", row);
    let counts = |column| {
        let blob: Vec<u8> = row.get(column)?;
        unpack(&blob).ok_or_else(|| row.corrupt(column))
    };
    Ok(Segment {
        node: NodeNumber::new(row.get("node")?).ok_or_else(|| row.corrupt("node"))?,
        journal_file: unsigned(row.get("journal_file")?),
        first_seq: unsigned(row.get("first_seq")?),
        last_seq: unsigned(row.get("last_seq")?),
        format: row.get("format")?,
        rows: unsigned(row.get("rows")?),
        file_bytes: unsigned(row.get("file_bytes")?),
        first_click: row.click_id("first_click")?,
        last_click: row.click_id("last_click")?,
        rows_by_offer: counts("rows_by_offer")?.into_iter().map(|(id, rows)| (OfferId(id), rows)).collect(),
        rows_by_affiliate: counts("rows_by_affiliate")?
            .into_iter()
            .map(|(id, rows)| (AffiliateId(id), rows))
            .collect(),
    })
}

fn pack(counts: impl Iterator<Item = (u32, u64)>) -> Vec<u8> {
    counts.flat_map(|(id, rows)| id.to_le_bytes().into_iter().chain(rows.to_le_bytes())).collect()
}

fn unpack(blob: &[u8]) -> Option<Vec<(u32, u64)>> {
    let (pairs, rest) = blob.as_chunks::<12>();
    let counts = pairs.iter().map(|pair| {
        let (id, rows) = pair.split_at(4);
        (
            u32::from_le_bytes(id.try_into().expect("4 bytes")),
            u64::from_le_bytes(rows.try_into().expect("8 bytes")),
        )
    });
    rest.is_empty().then(|| counts.collect())
}
