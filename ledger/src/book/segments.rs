//! The catalogue of segments in the ledger.

use domain::ids::{AffiliateId, CampaignId, OfferId};
use domain::segment::{ReachedRows, Segment};

use super::Book;
use crate::LedgerError;
use crate::database::{Database, Record, Row, Session, Value, all, single, values};
use crate::segments::SegmentCatalogue;

impl<D: Database> SegmentCatalogue for Book<D> {
    fn record_segment(&self, segment: &Segment) -> Result<(), LedgerError> {
        self.database.write(|session| insert(session, segment).map(drop))
    }

    fn replace_segments(&self, old: &[&Segment], new: Option<&Segment>) -> Result<(), LedgerError> {
        self.database.write(|session| {
            let gone = delete(session, old)?;
            let done_before = gone == 0 && new.map_or(Ok(true), |new| is_there(session, new))?;
            if done_before {
                return Ok(());
            }
            let entered = gone == old.len() as u64 && new.map_or(Ok(1), |new| insert(session, new))? == 1;
            let row = || old.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ");
            let missing = || LedgerError::Corrupt { table: "segments", column: "first_seq", row: row() };
            entered.then_some(()).ok_or_else(missing)
        })
    }

    fn list_segments(&self) -> Result<Vec<Segment>, LedgerError> {
        let sql = "-- list_segments\nSELECT * FROM segments ORDER BY first_click";
        self.database.read(|session| all(session, sql, values![], read))
    }
}

/// Has the catalogue name exactly these segments.
pub(crate) fn set(session: &mut dyn Session, segments: &[Segment]) -> Result<(), LedgerError> {
    session.execute("-- set_segments\nDELETE FROM segments", values![])?;
    segments.iter().try_for_each(|segment| insert(session, segment).map(drop))
}

/// How many rows that made: none where its first record is in one already.
fn insert(session: &mut dyn Session, segment: &Segment) -> Result<u64, LedgerError> {
    let sql = "-- record_segment\n\
        INSERT INTO segments (node, first_seq, last_seq, journal_file, generation, visitors_blanked, format, \
        rows, file_bytes, first_click, last_click, rows_by_offer, rows_by_affiliate, reached_by_offer, \
        reached_by_campaign) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
        ON CONFLICT (node, first_seq) DO NOTHING";
    let reached = segment.reached.as_ref();
    let values = values![
        segment.node,
        segment.first_seq,
        segment.last_seq,
        segment.journal_file,
        segment.generation,
        segment.visitors_blanked,
        segment.format,
        segment.rows,
        segment.file_bytes,
        segment.first_click,
        segment.last_click,
        pack(&segment.rows_by_offer, |id| id.0),
        pack(&segment.rows_by_affiliate, |id| id.0),
        reached.map(|it| pack(&it.by_offer, |id| id.0)),
        reached.map(|it| pack(&it.by_campaign, |id| id.0)),
    ];
    session.execute(sql, values)
}

/// How many rows those were.
fn delete(session: &mut dyn Session, segments: &[&Segment]) -> Result<u64, LedgerError> {
    let sql = "-- replace_segments\n\
        DELETE FROM segments WHERE node = ?1 AND first_seq = ?2 AND last_seq = ?3 AND generation = ?4";
    let names: Vec<_> = segments.iter().map(|segment| name(segment)).collect();
    session.execute_all(sql, &names)
}

fn is_there(session: &mut dyn Session, segment: &Segment) -> Result<bool, LedgerError> {
    let sql = "-- replace_segments\n\
        SELECT count(*) FROM segments WHERE node = ?1 AND first_seq = ?2 AND last_seq = ?3 AND generation = ?4";
    single::<u64>(session, sql, name(segment)).map(|rows| rows > 0)
}

/// What a segment's name is made from.
fn name(segment: &Segment) -> Vec<Value<'static>> {
    values![segment.node, segment.first_seq, segment.last_seq, segment.generation]
}

fn read(record: &Record) -> Result<Segment, LedgerError> {
    let row = record.of("segments");
    let reached_by_offer = counts(&row, "reached_by_offer", OfferId)?;
    let reached_by_campaign = counts(&row, "reached_by_campaign", CampaignId)?;
    let reached = reached_by_offer.zip(reached_by_campaign);
    Ok(Segment {
        node: row.get("node")?,
        journal_file: row.get("journal_file")?,
        first_seq: row.get("first_seq")?,
        last_seq: row.get("last_seq")?,
        generation: row.get("generation")?,
        visitors_blanked: row.get("visitors_blanked")?,
        format: row.get("format")?,
        rows: row.get("rows")?,
        file_bytes: row.get("file_bytes")?,
        first_click: row.get("first_click")?,
        last_click: row.get("last_click")?,
        rows_by_offer: counts(&row, "rows_by_offer", OfferId)?.unwrap_or_default(),
        rows_by_affiliate: counts(&row, "rows_by_affiliate", AffiliateId)?.unwrap_or_default(),
        reached: reached.map(|(by_offer, by_campaign)| ReachedRows { by_offer, by_campaign }),
    })
}

/// A column of counts; none where it is null.
fn counts<Id>(
    row: &Row<'_>,
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
