//! The catalogue of segments in SQLite.

use domain::ids::{AffiliateId, CampaignId, NodeNumber, OfferId};
use domain::segment::{ReachedRows, Segment};
use rusqlite::{Transaction, named_params};

use super::row::{Row, signed, unsigned};
use super::{SqliteLedger, backend};
use crate::LedgerError;
use crate::segments::SegmentCatalogue;

impl SegmentCatalogue for SqliteLedger {
    fn record_segment(&self, segment: &Segment) -> Result<(), LedgerError> {
        self.write(|tx| insert(tx, segment).map(drop))
    }

    fn replace_segments(&self, old: &[&Segment], new: Option<&Segment>) -> Result<(), LedgerError> {
        self.write(|tx| {
            let mut gone = 0;
            for segment in old {
                gone += delete(tx, segment)?;
            }
            let done_before = gone == 0 && new.map_or(Ok(true), |new| is_there(tx, new))?;
            if done_before {
                return Ok(());
            }
            let entered = gone == old.len() && new.map_or(Ok(1), |new| insert(tx, new))? == 1;
            let row = || old.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ");
            let missing = || LedgerError::Corrupt { table: "segments", column: "first_seq", row: row() };
            entered.then_some(()).ok_or_else(missing)
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

/// How many rows that made: none where its first record is in one already.
fn insert(tx: &Transaction<'_>, segment: &Segment) -> Result<usize, LedgerError> {
    let sql = "-- record_segment\n\
        INSERT INTO segments (node, first_seq, last_seq, journal_file, generation, visitors_blanked, format, \
        rows, file_bytes, first_click, last_click, rows_by_offer, rows_by_affiliate, reached_by_offer, \
        reached_by_campaign) \
        VALUES (:node, :first_seq, :last_seq, :journal_file, :generation, :visitors_blanked, :format, \
        :rows, :file_bytes, :first_click, :last_click, :rows_by_offer, :rows_by_affiliate, :reached_by_offer, \
        :reached_by_campaign) \
        ON CONFLICT (node, first_seq) DO NOTHING";
    let reached = segment.reached.as_ref();
    let values = named_params! {
        ":node": segment.node.get(),
        ":first_seq": signed(segment.first_seq),
        ":last_seq": signed(segment.last_seq),
        ":journal_file": signed(segment.journal_file),
        ":generation": segment.generation,
        ":visitors_blanked": segment.visitors_blanked,
        ":format": segment.format,
        ":rows": signed(segment.rows),
        ":file_bytes": signed(segment.file_bytes),
        ":first_click": segment.first_click.to_bytes(),
        ":last_click": segment.last_click.to_bytes(),
        ":rows_by_offer": pack(&segment.rows_by_offer, |id| id.0),
        ":rows_by_affiliate": pack(&segment.rows_by_affiliate, |id| id.0),
        ":reached_by_offer": reached.map(|it| pack(&it.by_offer, |id| id.0)),
        ":reached_by_campaign": reached.map(|it| pack(&it.by_campaign, |id| id.0)),
    };
    tx.execute(sql, values).map_err(backend)
}

/// How many rows that were: one or none.
fn delete(tx: &Transaction<'_>, segment: &Segment) -> Result<usize, LedgerError> {
    let sql = "-- replace_segments\n\
        DELETE FROM segments WHERE node = ?1 AND first_seq = ?2 AND last_seq = ?3 AND generation = ?4";
    tx.execute(sql, params_of(segment)).map_err(backend)
}

fn is_there(tx: &Transaction<'_>, segment: &Segment) -> Result<bool, LedgerError> {
    let sql = "-- replace_segments\n\
        SELECT count(*) FROM segments WHERE node = ?1 AND first_seq = ?2 AND last_seq = ?3 AND generation = ?4";
    tx.query_row(sql, params_of(segment), |row| row.get::<_, i64>(0)).map_err(backend).map(|rows| rows > 0)
}

/// What a segment's name is made from.
fn params_of(segment: &Segment) -> impl rusqlite::Params {
    (segment.node.get(), signed(segment.first_seq), signed(segment.last_seq), segment.generation)
}

fn read(row: &rusqlite::Row<'_>) -> Result<Segment, LedgerError> {
    let row = Row::new("segments", row);
    let reached_by_offer = counts(&row, "reached_by_offer", OfferId)?;
    let reached_by_campaign = counts(&row, "reached_by_campaign", CampaignId)?;
    let reached = reached_by_offer.zip(reached_by_campaign);
    Ok(Segment {
        node: NodeNumber::new(row.get("node")?).ok_or_else(|| row.corrupt("node"))?,
        journal_file: unsigned(row.get("journal_file")?),
        first_seq: unsigned(row.get("first_seq")?),
        last_seq: unsigned(row.get("last_seq")?),
        generation: row.get("generation")?,
        visitors_blanked: row.get("visitors_blanked")?,
        format: row.get("format")?,
        rows: unsigned(row.get("rows")?),
        file_bytes: unsigned(row.get("file_bytes")?),
        first_click: row.click_id("first_click")?,
        last_click: row.click_id("last_click")?,
        rows_by_offer: counts(&row, "rows_by_offer", OfferId)?.unwrap_or_default(),
        rows_by_affiliate: counts(&row, "rows_by_affiliate", AffiliateId)?.unwrap_or_default(),
        reached: reached.map(|(by_offer, by_campaign)| ReachedRows { by_offer, by_campaign }),
    })
}

/// A column of counts; none where it is null.
fn counts<Id>(
    row: &Row<'_, '_>,
    column: &'static str,
    id: impl Fn(u32) -> Id,
) -> Result<Option<Vec<(Id, u64)>>, LedgerError> {
    let blob: Option<Vec<u8>> = row.get(column)?;
    let unpack = |blob: Vec<u8>| unpack(&blob, id).ok_or_else(|| row.corrupt(column));
    blob.map(unpack).transpose()
}

fn pack<Id: Copy>(counts: &[(Id, u64)], number: impl Fn(Id) -> u32) -> Vec<u8> {
    let pair = |(id, rows): &(Id, u64)| [&number(*id).to_le_bytes()[..], &rows.to_le_bytes()].concat();
    counts.iter().flat_map(pair).collect()
}

fn unpack<Id>(blob: &[u8], id: impl Fn(u32) -> Id) -> Option<Vec<(Id, u64)>> {
    let (pairs, rest) = blob.as_chunks::<12>();
    let counts = pairs.iter().map(|pair| {
        let (number, rows) = pair.split_at(4);
        let number = u32::from_le_bytes(number.try_into().expect("4 bytes"));
        (id(number), u64::from_le_bytes(rows.try_into().expect("8 bytes")))
    });
    rest.is_empty().then(|| counts.collect())
}
