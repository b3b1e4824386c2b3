//! Batches in the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use domain::adjustment::{Cause, Change, EffectiveDate, Standing, Unadjustable, undo};
use domain::conversion::Conversion;
use domain::ids::{BatchId, ConversionId};
use domain::network::Network;
use domain::status::ConversionStatus;
use jiff::Timestamp;

use super::Book;
use super::adjustments::{Present, conversion_id, page, read_adjustment};
use super::conversions::{read_conversion, record};
use super::filter::Where;
use crate::adjustments::{Author, Order};
use crate::batches::{Batch, BatchBook, BatchType, Undone};
use crate::conversions::{Recorded, Submission};
use crate::database::{Database, Record, Session, all, one, single, values};
use crate::{LedgerError, Page};

/// A batch with how much it did.
const BATCHES: &str = "(SELECT batches.*, \
    (SELECT count(*) FROM conversions WHERE conversions.batch_id = batches.batch_id) AS conversions, \
    (SELECT count(*) FROM adjustments WHERE adjustments.batch_id = batches.batch_id) AS adjustments \
    FROM batches) AS counted";

impl<D: Database> BatchBook for Book<D> {
    fn create_batch(
        &self,
        batch_type: BatchType,
        author: &Author,
        note: &str,
        now: Timestamp,
    ) -> Result<BatchId, LedgerError> {
        self.database.write(|session| create(session, batch_type, author, note, now))
    }

    fn find_batch(&self, id: BatchId) -> Result<Option<Batch>, LedgerError> {
        let sql = format!("-- find_batch\nSELECT * FROM {BATCHES} WHERE batch_id = ?1");
        self.database.read(|session| one(session, &sql, values![id], read_batch))
    }

    fn list_batches(&self, offset: u64, limit: u32) -> Result<Page<Batch>, LedgerError> {
        self.database.read(|session| {
            let total = single(session, "-- count_batches\nSELECT count(*) FROM batches", values![])?;
            let sql =
                format!("-- list_batches\nSELECT * FROM {BATCHES} ORDER BY batch_id DESC LIMIT ?1 OFFSET ?2");
            Ok(Page { total, rows: all(session, &sql, values![limit, offset], read_batch)? })
        })
    }

    fn undo_batch(
        &self,
        id: BatchId,
        author: &Author,
        network: &Arc<Network>,
        now: Timestamp,
    ) -> Result<Undone, LedgerError> {
        let done = self.database.decide(|session| {
            let sql = "-- undo_batch\n\
                UPDATE batches SET undone_at = ?2, undone_by = ?3 WHERE batch_id = ?1 AND undone_at IS NULL";
            if session.execute(sql, values![id, now, &author.name])? == 0 {
                let sql = "-- batch_exists\nSELECT count(*) FROM batches WHERE batch_id = ?1";
                let there: u64 = single(session, sql, values![id])?;
                return Ok(Err(if there == 0 { Undone::NotFound } else { Undone::Already }));
            }
            take_back(session, id, author, network, now)
        })?;
        Ok(match done {
            Ok(adjustments) => Undone::Done(adjustments),
            Err(undone) => undone,
        })
    }

    fn preview_conversions(
        &self,
        submissions: &[Submission],
    ) -> Result<Vec<Result<Recorded, LedgerError>>, LedgerError> {
        // What is rejected is rolled back.
        let preview = |session: &mut dyn Session| record::record(session, submissions).map(Err);
        match self.database.decide::<Infallible, _>(preview)? {
            Err(recorded) => Ok(recorded.into_iter().map(|it| Ok(unnumbered(it))).collect()),
            Ok(never) => match never {},
        }
    }

    fn list_batch_conversions(
        &self,
        id: BatchId,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Conversion>, LedgerError> {
        let mut wanted = Where::default();
        wanted.and("batch_id =", id);
        self.database.read(|session| {
            page(session, "conversions", wanted, "conversion_id", offset, limit, read_conversion)
        })
    }
}

/// Begins a batch.
pub(super) fn create(
    session: &mut dyn Session,
    batch_type: BatchType,
    author: &Author,
    note: &str,
    now: Timestamp,
) -> Result<BatchId, LedgerError> {
    let sql = "-- create_batch\n\
        INSERT INTO batches (batch_type, made_at, key_id, actor, note) VALUES (?1, ?2, ?3, ?4, ?5) \
        RETURNING batch_id";
    let key = author.key_id.map_or(0, |it| it.0);
    single(session, sql, values![batch_type.name(), now, key, &author.name, note]).map(BatchId)
}

/// Keeps batches from being taken back until the session's end: whoever takes one back waits for all that
/// it did, and whatever still comes for it finds it taken back. Before any turn, as there.
pub(super) fn hold(
    session: &mut dyn Session,
    batches: impl IntoIterator<Item = BatchId>,
) -> Result<(), LedgerError> {
    let sql = "-- hold\nUPDATE batches SET note = note WHERE batch_id = ?1 AND undone_at IS NULL";
    for id in batches.into_iter().collect::<BTreeSet<_>>() {
        if session.execute(sql, values![id])? == 0 {
            return Err(LedgerError::BatchUndone(id));
        }
    }
    Ok(())
}

/// A number that was rolled back is nobody's.
fn unnumbered(recorded: Recorded) -> Recorded {
    match recorded {
        Recorded::New(conversion) => Recorded::New(Conversion { id: ConversionId(0), ..conversion }),
        other => other,
    }
}

/// Takes back what a batch did: its adjustments, the last first, then its recordings. Each conversion is
/// told of once.
fn take_back(
    session: &mut dyn Session,
    id: BatchId,
    author: &Author,
    network: &Network,
    now: Timestamp,
) -> Result<Result<u64, Undone>, LedgerError> {
    let sql = "-- batch_adjustments\n\
        SELECT * FROM adjustments WHERE batch_id = ?1 ORDER BY conversion_id, booking DESC";
    let adjustments = all(session, sql, values![id], read_adjustment)?;
    let sql = "-- batch_conversions\nSELECT conversion_id FROM conversions WHERE batch_id = ?1 ORDER BY conversion_id";
    let recorded = all(session, sql, values![id], conversion_id)?;
    let touched: Vec<_> =
        adjustments.iter().map(|it| it.conversion_id).chain(recorded.iter().copied()).collect();
    let mut present = Present::load(session, &touched)?;
    let order = Order {
        change: Change::default(),
        effective: EffectiveDate::Today,
        refuse_if_stated: false,
        author: author.clone(),
        note: format!("batch {id} was taken back"),
        cause: Cause::Undo,
        batch_id: None,
        tells: None,
    };
    let before: BTreeMap<_, _> = present.conversions.iter().map(|(id, it)| (*id, it.standing)).collect();
    let mut made = 0;
    let mut stand = |present: &mut Present, conversion_id, standing: Result<Standing, Unadjustable>| {
        let standing = standing.map_err(|problem| Undone::Blocked(conversion_id, problem))?;
        made += u64::from(present.stand(conversion_id, standing, &order, now).adjustment.is_some());
        Ok(())
    };
    for undone in &adjustments {
        let standing = present.conversions[&undone.conversion_id].standing;
        if let Err(blocked) = stand(&mut present, undone.conversion_id, undo(standing, undone)) {
            return Ok(Err(blocked));
        }
    }
    for conversion_id in recorded {
        let standing = present.conversions[&conversion_id].standing;
        let status = match standing.status {
            ConversionStatus::Approved => ConversionStatus::Reversed,
            ConversionStatus::Pending => ConversionStatus::Rejected,
            unpaid => unpaid,
        };
        if let Err(blocked) = stand(&mut present, conversion_id, Ok(Standing { status, ..standing })) {
            return Ok(Err(blocked));
        }
    }
    // A conversion may have been changed several times; what counts is where it stands in the end.
    for (conversion_id, before) in before {
        present.tell(conversion_id, Some(before), network, now);
    }
    present.write(session)?;
    Ok(Ok(made))
}

fn read_batch(record: &Record) -> Result<Batch, LedgerError> {
    let row = record.of("batches");
    let key: u32 = row.get("key_id")?;
    let undone_at: Option<Timestamp> = row.get("undone_at")?;
    let undone_by: Option<String> = row.get("undone_by")?;
    Ok(Batch {
        id: row.get("batch_id")?,
        batch_type: row
            .parse("batch_type", |text| BatchType::ALL.into_iter().find(|it| it.name() == text))?,
        made_at: row.get("made_at")?,
        author: Author { key_id: (key > 0).then_some(domain::ids::KeyId(key)), name: row.get("actor")? },
        note: row.get("note")?,
        conversions: row.get("conversions")?,
        adjustments: row.get("adjustments")?,
        undone: undone_at.zip(undone_by),
    })
}
