//! Reconciliations in the ledger.

use std::convert::Infallible;

use domain::adjustment::adjust;
use domain::ids::{BatchId, KeyId, ReconciliationId};
use domain::reconciliation::RowClass;
use jiff::Timestamp;

use super::Book;
use super::adjustments::Present;
use super::batches::{create, hold};
use super::filter::Where;
use crate::adjustments::{Adjusted, Author, NotAdjusted, Order};
use crate::batches::BatchType;
use crate::database::{Database, Record, Session, Value, all, one, single, values};
use crate::reconciliations::{
    Accepting, BeginReconciliation, Old, Reconciled, Reconciliation, ReconciliationBook, ReconciliationRow,
    Taken, Taking,
};
use crate::{LedgerError, Page};

impl<D: Database> ReconciliationBook for Book<D> {
    fn begin_reconciliation(
        &self,
        begin: &BeginReconciliation,
        now: Timestamp,
    ) -> Result<ReconciliationId, LedgerError> {
        let sql = "-- begin_reconciliation\n\
            INSERT INTO reconciliations (advertiser_id, starts, until, made_at, key_id, actor, note, is_complete, \
            rows, counts, bridge, remarks) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, '', '', '') \
            RETURNING reconciliation_id";
        let BeginReconciliation { advertiser_id, from, until, author, note } = begin;
        let key = author.key_id.map_or(0, |it| it.0);
        self.database.write(|session| {
            let values = values![*advertiser_id, *from, *until, now, key, &author.name, note];
            single(session, sql, values).map(ReconciliationId)
        })
    }

    fn add_reconciliation_rows(
        &self,
        id: ReconciliationId,
        rows: &[ReconciliationRow],
    ) -> Result<(), LedgerError> {
        let values: Vec<_> = rows.iter().map(|it| row_values(id, it)).collect();
        self.database.write(|session| session.execute_all(INSERT_ROW, &values).map(drop))
    }

    fn finish_reconciliation(
        &self,
        id: ReconciliationId,
        reconciled: &Reconciled,
    ) -> Result<(), LedgerError> {
        let Reconciled { rows, counts, bridge, remarks } = reconciled;
        let counts: Vec<_> = counts.iter().map(|(class, rows)| format!("{}={rows}", class.name())).collect();
        let bridge: Vec<_> = bridge.iter().map(ToString::to_string).collect();
        let remarks: Vec<_> = remarks.iter().map(|it| it.replace('\n', " ")).collect();
        let (counts, bridge, remarks) = (counts.join(" "), bridge.join("\n"), remarks.join("\n"));
        let sql = "-- finish_reconciliation\n\
            UPDATE reconciliations SET is_complete = 1, rows = ?2, counts = ?3, bridge = ?4, remarks = ?5 \
            WHERE reconciliation_id = ?1 AND is_complete = 0";
        self.database
            .write(|session| session.execute(sql, values![id, *rows, &counts, &bridge, &remarks]).map(drop))
    }

    fn find_reconciliation(&self, id: ReconciliationId) -> Result<Option<Reconciliation>, LedgerError> {
        let sql = "-- find_reconciliation\n\
            SELECT * FROM reconciliations WHERE reconciliation_id = ?1 AND is_complete = 1";
        self.database.read(|session| one(session, sql, values![id], read_reconciliation))
    }

    fn list_reconciliation_rows(
        &self,
        id: ReconciliationId,
        classes: &[RowClass],
        offset: u64,
        limit: u32,
    ) -> Result<Page<ReconciliationRow>, LedgerError> {
        let sql = "-- counts\nSELECT * FROM reconciliations WHERE reconciliation_id = ?1 AND is_complete = 1";
        self.database.read(|session| {
            let found = one(session, sql, values![id], read_reconciliation)?;
            let counts = found.map(|it| it.reconciled.counts).unwrap_or_default();
            let wanted = |class: &RowClass| classes.is_empty() || classes.contains(class);
            let total = counts.iter().filter(|it| wanted(&it.0)).map(|it| it.1).sum();
            // Without a filter positions are without gaps, and nothing is to be skipped.
            let (after, skip) = if classes.is_empty() { (offset, 0) } else { (0, offset) };
            Ok(Page { total, rows: rows(session, id, classes, after, skip, limit)? })
        })
    }

    fn next_reconciliation_rows(
        &self,
        id: ReconciliationId,
        classes: &[RowClass],
        after: u64,
        limit: u32,
    ) -> Result<Vec<ReconciliationRow>, LedgerError> {
        self.database.read(|session| rows(session, id, classes, after, 0, limit))
    }

    fn accept_reconciliation(
        &self,
        id: ReconciliationId,
        author: &Author,
        note: &str,
        now: Timestamp,
    ) -> Result<Accepting, LedgerError> {
        let done = self.database.decide(|session| {
            let batch_id = create(session, BatchType::Reconciliation, author, note, now)?;
            let sql = "-- accept_reconciliation\n\
                UPDATE reconciliations SET batch_id = ?2 \
                WHERE reconciliation_id = ?1 AND is_complete = 1 AND batch_id IS NULL";
            if session.execute(sql, values![id, batch_id])? == 1 {
                return Ok(Ok(Accepting::Begun(batch_id)));
            }
            let sql = "-- accepted_by\n\
                SELECT batch_id FROM reconciliations WHERE reconciliation_id = ?1 AND is_complete = 1";
            let batch_id = |record: &Record| record.of("reconciliations").get::<Option<BatchId>>("batch_id");
            let earlier = one(session, sql, values![id], batch_id)?.flatten();
            // Rejected, so that no batch is left behind.
            Ok(Err(earlier.map_or(Accepting::NotFound, Accepting::Already)))
        })?;
        Ok(done.unwrap_or_else(|why| why))
    }

    fn take_theirs(
        &self,
        takings: &[Taking],
        order: &Order,
        now: Timestamp,
    ) -> Result<Vec<Taken>, LedgerError> {
        self.database.write(|session| take_theirs(session, takings, order, now))
    }

    fn preview_taking(
        &self,
        takings: &[Taking],
        order: &Order,
        now: Timestamp,
    ) -> Result<Vec<Taken>, LedgerError> {
        // What is rejected is rolled back.
        let preview = |session: &mut dyn Session| take_theirs(session, takings, order, now).map(Err);
        match self.database.decide::<Infallible, _>(preview)? {
            Err(taken) => Ok(taken),
            Ok(never) => match never {},
        }
    }

    fn drop_reconciliations(&self, old: Old, limit: u32) -> Result<bool, LedgerError> {
        let sql = "-- kept\n\
            SELECT reconciliation_id, made_at, is_complete, rows FROM reconciliations \
            ORDER BY reconciliation_id DESC";
        let kept = self.database.read(|session| all(session, sql, values![], read_kept))?;
        let mut rows = 0;
        let mut is_old = |it: &&Kept| {
            rows += it.rows;
            let before = if it.is_complete { old.made_before } else { old.begun_before };
            it.made_at < before || rows > old.rows_max
        };
        let Some(Kept { id, .. }) = kept.iter().find(|it| is_old(it)).copied() else { return Ok(false) };
        self.database.write(|session| drop_part(session, id, limit))?;
        Ok(true)
    }
}

/// A reconciliation, as far as it may be old.
#[derive(Clone, Copy)]
struct Kept {
    id: ReconciliationId,
    made_at: Timestamp,
    is_complete: bool,
    rows: u64,
}

/// Removes the first rows of a reconciliation, and it with its last ones.
fn drop_part(session: &mut dyn Session, id: ReconciliationId, limit: u32) -> Result<(), LedgerError> {
    let sql = "-- drop_rows\n\
        DELETE FROM reconciliation_rows WHERE reconciliation_id = ?1 AND position < ?2 + \
        (SELECT coalesce(min(position), 0) FROM reconciliation_rows WHERE reconciliation_id = ?1)";
    session.execute(sql, values![id, limit])?;
    let sql = "-- drop_reconciliation\n\
        DELETE FROM reconciliations WHERE reconciliation_id = ?1 AND NOT EXISTS \
        (SELECT 1 FROM reconciliation_rows WHERE reconciliation_id = ?1)";
    session.execute(sql, values![id]).map(drop)
}

fn take_theirs(
    session: &mut dyn Session,
    takings: &[Taking],
    order: &Order,
    now: Timestamp,
) -> Result<Vec<Taken>, LedgerError> {
    hold(session, order.batch_id)?;
    let ids: Vec<_> = takings.iter().map(|it| it.conversion_id).collect();
    let mut present = Present::load(session, &ids)?;
    let taken = takings.iter().map(|taking| take(&mut present, taking, order, now)).collect();
    present.write(session)?;
    Ok(taken)
}

fn take(present: &mut Present, taking: &Taking, order: &Order, now: Timestamp) -> Taken {
    let id = taking.conversion_id;
    let Some(conversion) = present.conversions.get(&id) else {
        return Taken::NotAdjusted(NotAdjusted::NotFound);
    };
    if conversion.adjustments != taking.adjustments {
        return Taken::ChangedSince;
    }
    let before = conversion.standing;
    // All of it or nothing: how far it goes is known before the first step.
    let steps: Result<Vec<_>, _> = taking
        .changes
        .iter()
        .scan(before, |standing, change| {
            let next = adjust(*standing, change);
            *standing = next.unwrap_or(*standing);
            Some(next)
        })
        .collect();
    let steps = match steps {
        Ok(steps) => steps,
        Err(why) => return Taken::NotAdjusted(NotAdjusted::Unadjustable(why)),
    };
    let quiet = Order { tells: None, ..order.clone() };
    let adjusted = steps.into_iter().map(|standing| present.stand(id, standing, &quiet, now));
    let adjusted: Vec<Adjusted> = adjusted.filter(|it| it.adjustment.is_some()).collect();
    if let Some(network) = order.tells.as_ref().filter(|_| !adjusted.is_empty()) {
        present.tell(id, Some(before), network, now);
    }
    Taken::Adjusted(adjusted)
}

const INSERT_ROW: &str = "-- insert_reconciliation_row\n\
    INSERT INTO reconciliation_rows (reconciliation_id, position, line, class, code, reason, conversion_id, \
    adjustments, unique_id, order_id, click_id, their_amount, their_payout, their_status, their_currency, \
    their_date, our_amount, our_status, our_currency, our_date) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";

fn row_values(id: ReconciliationId, it: &ReconciliationRow) -> Vec<Value<'_>> {
    values![
        id,
        it.position,
        it.line,
        it.class.name(),
        &it.code,
        &it.reason,
        it.conversion_id,
        it.adjustments,
        &it.unique_id,
        &it.order_id,
        &it.click_id,
        it.their_amount,
        it.their_payout,
        it.their_status.map(domain::status::ConversionStatus::name),
        it.their_currency.map(|it| it.to_string()),
        it.their_date,
        it.our_amount,
        it.our_status.map(domain::status::ConversionStatus::name),
        it.our_currency.map(|it| it.to_string()),
        it.our_date,
    ]
}

fn rows(
    session: &mut dyn Session,
    id: ReconciliationId,
    classes: &[RowClass],
    after: u64,
    skip: u64,
    limit: u32,
) -> Result<Vec<ReconciliationRow>, LedgerError> {
    let mut wanted = Where::default();
    wanted.and("reconciliation_id =", id);
    wanted.and("position >", after);
    if !classes.is_empty() {
        let places: Vec<_> = classes.iter().map(|it| wanted.value(it.name())).collect();
        wanted.push(format!("class IN ({})", places.join(", ")));
    }
    let conditions = wanted.sql();
    let (limit, skip) = (wanted.value(limit), wanted.value(skip));
    let sql = format!(
        "-- reconciliation_rows\n\
         SELECT * FROM reconciliation_rows {conditions} ORDER BY position LIMIT {limit} OFFSET {skip}"
    );
    all(session, &sql, wanted.values, read_row)
}

fn read_kept(record: &Record) -> Result<Kept, LedgerError> {
    let row = record.of("reconciliations");
    Ok(Kept {
        id: row.get("reconciliation_id")?,
        made_at: row.get("made_at")?,
        is_complete: row.get("is_complete")?,
        rows: row.get("rows")?,
    })
}

fn read_reconciliation(record: &Record) -> Result<Reconciliation, LedgerError> {
    let row = record.of("reconciliations");
    let key: u32 = row.get("key_id")?;
    let count = |text: &str| {
        let (class, rows) = text.split_once('=')?;
        Some((class.parse().ok()?, rows.parse().ok()?))
    };
    let remarks: String = row.get("remarks")?;
    Ok(Reconciliation {
        id: row.get("reconciliation_id")?,
        begun: BeginReconciliation {
            advertiser_id: row.get("advertiser_id")?,
            from: row.get("starts")?,
            until: row.get("until")?,
            author: Author { key_id: (key > 0).then_some(KeyId(key)), name: row.get("actor")? },
            note: row.get("note")?,
        },
        made_at: row.get("made_at")?,
        reconciled: Reconciled {
            rows: row.get("rows")?,
            counts: row.parse("counts", |text| text.split_whitespace().map(count).collect())?,
            bridge: row.parse("bridge", |text| text.lines().map(|line| line.parse().ok()).collect())?,
            remarks: remarks.lines().map(str::to_owned).collect(),
        },
        batch_id: row.get("batch_id")?,
    })
}

fn read_row(record: &Record) -> Result<ReconciliationRow, LedgerError> {
    let row = record.of("reconciliation_rows");
    Ok(ReconciliationRow {
        position: row.get("position")?,
        line: row.get("line")?,
        class: row.parse("class", |text| text.parse().ok())?,
        code: row.get("code")?,
        reason: row.get("reason")?,
        conversion_id: row.get("conversion_id")?,
        adjustments: row.get("adjustments")?,
        unique_id: row.get("unique_id")?,
        order_id: row.get("order_id")?,
        click_id: row.get("click_id")?,
        their_amount: row.get("their_amount")?,
        their_payout: row.get("their_payout")?,
        their_status: row.parse_optional("their_status", |text| text.parse().ok())?,
        their_currency: row.parse_optional("their_currency", |text| text.parse().ok())?,
        their_date: row.get("their_date")?,
        our_amount: row.get("our_amount")?,
        our_status: row.parse_optional("our_status", |text| text.parse().ok())?,
        our_currency: row.parse_optional("our_currency", |text| text.parse().ok())?,
        our_date: row.get("our_date")?,
    })
}
