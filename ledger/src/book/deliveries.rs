//! Deliveries in the ledger.

mod enqueue;

pub(super) use enqueue::{Enqueued, enqueue};

use std::collections::{BTreeMap, BTreeSet};

use domain::adjustment::{Standing, Worth};
use domain::delivery::{Delivery, DeliveryId, Try, TryOutcome};
use domain::ids::{ConversionId, NodeNumber, OfferId};
use domain::postback::{PostbackType, Receiver};
use domain::retry::Step;
use jiff::Timestamp;

use super::adjustments::page;
use super::conversions::read_conversion;
use super::filter::Where;
use super::{Book, raise_version};
use crate::database::{Database, FromValue, Record, Session, Value, all, single, values};
use crate::deliveries::{
    Claim, Claimed, DeliveryBook, DeliveryCounts, DeliveryFilter, DueReceiver, Finished, Replayed,
};
use crate::{LedgerError, Page};

impl From<Receiver> for Value<'_> {
    fn from(receiver: Receiver) -> Self {
        Self::Integer(receiver.0)
    }
}

impl FromValue for Receiver {
    fn from_value(value: &Value<'_>) -> Option<Self> {
        FromValue::from_value(value).map(Self)
    }
}

impl<D: Database> DeliveryBook for Book<D> {
    fn list_due_receivers(&self) -> Result<Vec<DueReceiver>, LedgerError> {
        // One step of the index for each receiver, however many deliveries it has.
        let sql = "-- list_due_receivers\n\
            WITH RECURSIVE walk (receiver) AS (\
            SELECT min(receiver) FROM deliveries WHERE status = 'due' \
            UNION ALL \
            SELECT (SELECT min(receiver) FROM deliveries WHERE status = 'due' AND receiver > walk.receiver) \
            FROM walk WHERE walk.receiver IS NOT NULL) \
            SELECT receiver, (SELECT min(next_try_at) FROM deliveries \
            WHERE status = 'due' AND deliveries.receiver = walk.receiver) AS next_try_at \
            FROM walk WHERE receiver IS NOT NULL";
        self.database.read(|session| {
            all(session, sql, values![], |record| {
                let row = record.of("deliveries");
                Ok(DueReceiver { receiver: row.get("receiver")?, next_try_at: row.get("next_try_at")? })
            })
        })
    }

    fn claim_due(&self, claim: &Claim, now: Timestamp) -> Result<Vec<Claimed>, LedgerError> {
        // A claim that finds nothing costs no commit.
        let first: Vec<_> = claim.wanted.iter().map(|(receiver, _)| (*receiver, 1)).collect();
        if first.is_empty() || self.database.read(|session| list_due(session, &first, now))?.is_empty() {
            return Ok(Vec::new());
        }
        self.database.write(|session| {
            raise_version(session, "deliveries")?;
            let due = list_due(session, &claim.wanted, now)?;
            let leased = lease(session, claim, &due, now)?;
            with_conversions(session, leased)
        })
    }

    fn finish_deliveries(&self, finished: &[Finished]) -> Result<u64, LedgerError> {
        if finished.is_empty() {
            return Ok(0);
        }
        let tries: Vec<_> = finished
            .iter()
            .filter_map(|it| Some(try_row(it.id, it.offer_id, it.lease.cast_signed(), it.tried.as_ref()?)))
            .collect();
        let steps: Vec<_> = finished.iter().map(step_row).collect();
        let again = finished.iter().filter(|it| matches!(it.step, Step::Again(_)));
        let again = again.map(|it| (it.offer_id, it.id.conversion_id));
        let sql = "-- finish_deliveries\n\
            UPDATE deliveries SET status = ?6, next_try_at = coalesce(?7, next_try_at), lease = NULL, \
            leased_by = NULL, tries = tries + ?8, round = round + ?8 \
            WHERE offer_id = ?1 AND conversion_id = ?2 AND booking = ?3 AND postback_id = ?4 AND lease = ?5";
        self.database.write(|session| {
            session.execute_all(INSERT_TRY, &tries)?;
            let still_leased = session.execute_all(sql, &steps)?;
            queue_behind(session, again.clone())?;
            Ok(still_leased)
        })
    }

    fn release_leases(&self, node: NodeNumber, now: Timestamp) -> Result<u64, LedgerError> {
        let sql = "-- release_leases\n\
            UPDATE deliveries SET next_try_at = ?2, lease = NULL, leased_by = NULL \
            WHERE status = 'due' AND leased_by = ?1";
        self.database.write(|session| session.execute(sql, values![node, now]))
    }

    fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Delivery>, LedgerError> {
        let order = "conversion_id, booking, postback_id";
        let wanted = matching(filter);
        self.database.read(|session| page(session, "deliveries", wanted, order, offset, limit, read_delivery))
    }

    fn list_deliveries_after(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError> {
        self.database.read(|session| list_after(session, matching(filter), after, limit))
    }

    fn list_deliveries_by_cause(
        &self,
        filter: &DeliveryFilter,
        after: Option<(Timestamp, DeliveryId)>,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError> {
        // Where the place is the later beginning, only from there on is looked: of two, the database may
        // take the other, and go through all that was walked before.
        let from = filter.from.filter(|from| after.is_none_or(|(caused_at, _)| caused_at < *from));
        let mut wanted = matching(&DeliveryFilter { from, ..filter.clone() });
        if let Some((caused_at, id)) = after {
            let caused_at = wanted.value(caused_at);
            let [conversion, booking, postback] =
                [wanted.value(id.conversion_id), wanted.value(id.booking), wanted.value(id.postback_id)];
            wanted.push(format!(
                "(caused_at, conversion_id, booking, postback_id) > ({caused_at}, {conversion}, {booking}, {postback})"
            ));
        }
        let conditions = wanted.sql();
        let limit = wanted.value(limit);
        let sql = format!(
            "-- list_deliveries_by_cause\n\
             SELECT * FROM deliveries {conditions} \
             ORDER BY caused_at, conversion_id, booking, postback_id LIMIT {limit}"
        );
        self.database.read(|session| all(session, &sql, wanted.values, read_delivery))
    }

    fn list_tries(&self, ids: &[DeliveryId]) -> Result<Vec<Vec<Try>>, LedgerError> {
        let sql = "-- list_tries\n\
            SELECT * FROM delivery_tries WHERE conversion_id = ?1 AND booking = ?2 AND postback_id = ?3 \
            ORDER BY tried_at, lease";
        let ids: Vec<_> =
            ids.iter().map(|it| values![it.conversion_id, it.booking, it.postback_id]).collect();
        let tries = self.database.read(|session| session.query_all(sql, &ids))?;
        tries.iter().map(|records| records.iter().map(read_try).collect()).collect()
    }

    fn replay_deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Replayed, LedgerError> {
        let sql = "-- replay_deliveries\n\
            UPDATE deliveries SET status = 'due', next_try_at = ?5, round = 0 WHERE offer_id = ?1 \
            AND conversion_id = ?2 AND booking = ?3 AND postback_id = ?4 AND status <> 'due'";
        self.database.write(|session| {
            let found = list_after(session, replayable(filter), after, limit)?;
            let rows: Vec<_> = found
                .iter()
                .map(|it| values![it.offer_id, it.id.conversion_id, it.id.booking, it.id.postback_id, now])
                .collect();
            let next = found.last().filter(|_| found.len() >= limit as usize).map(|it| it.id);
            Ok(Replayed { replayed: session.execute_all(sql, &rows)?, next })
        })
    }

    fn count_replayable(&self, filter: &DeliveryFilter) -> Result<u64, LedgerError> {
        let wanted = replayable(filter);
        let sql = format!("-- count_replayable\nSELECT count(*) FROM deliveries {}", wanted.sql());
        self.database.read(|session| single(session, &sql, wanted.values))
    }

    fn count_deliveries(&self) -> Result<DeliveryCounts, LedgerError> {
        let due = "-- count_due\nSELECT count(*) FROM deliveries WHERE status = 'due'";
        let held = "-- count_held\nSELECT count(*) FROM deliveries WHERE status = 'held'";
        self.database.read(|session| {
            Ok(DeliveryCounts {
                due: single(session, due, values![])?,
                held: single(session, held, values![])?,
            })
        })
    }
}

/// The deliveries that may be claimed, of each receiver those that have been due longest. The plus has the
/// earlier causes found by their conversion, which has few, instead of by their receiver.
fn list_due(
    session: &mut dyn Session,
    wanted: &[(Receiver, u32)],
    now: Timestamp,
) -> Result<Vec<Delivery>, LedgerError> {
    let sql = "-- list_due\n\
        SELECT * FROM deliveries WHERE status = 'due' AND receiver = ?1 AND next_try_at <= ?2 \
        AND NOT EXISTS (SELECT 1 FROM deliveries AS earlier WHERE earlier.offer_id = deliveries.offer_id \
        AND earlier.conversion_id = deliveries.conversion_id AND earlier.booking < deliveries.booking \
        AND +earlier.receiver = deliveries.receiver AND earlier.status = 'due') \
        ORDER BY next_try_at, conversion_id, booking LIMIT ?3";
    let wanted: Vec<_> = wanted.iter().map(|(receiver, limit)| values![*receiver, now, *limit]).collect();
    let due = session.query_all(sql, &wanted)?;
    due.iter().flatten().map(read_delivery).collect()
}

/// Leases those that are still due: one whose lease had run out may have been finished all the same.
fn lease(
    session: &mut dyn Session,
    claim: &Claim,
    due: &[Delivery],
    now: Timestamp,
) -> Result<Vec<Delivery>, LedgerError> {
    let sql = "-- lease\n\
        UPDATE deliveries SET next_try_at = ?5, lease = ?6, leased_by = ?7 WHERE offer_id = ?1 \
        AND conversion_id = ?2 AND booking = ?3 AND postback_id = ?4 AND status = 'due' AND next_try_at <= ?8";
    let lease = claim.lease.cast_signed();
    let rows: Vec<_> = due
        .iter()
        .map(|Delivery { id, offer_id, .. }| {
            values![
                *offer_id,
                id.conversion_id,
                id.booking,
                id.postback_id,
                claim.until,
                lease,
                claim.node,
                now
            ]
        })
        .collect();
    let all = session.execute_all(sql, &rows)? == rows.len() as u64;
    let sql = "-- leased\n\
        SELECT 1 FROM deliveries WHERE offer_id = ?1 AND conversion_id = ?2 AND booking = ?3 AND postback_id = ?4 \
        AND lease = ?5";
    let mut leased = Vec::with_capacity(due.len());
    for it in due {
        let key = values![it.offer_id, it.id.conversion_id, it.id.booking, it.id.postback_id, lease];
        if all || !session.query(sql, key)?.is_empty() {
            leased.push(Delivery { next_try_at: claim.until, ..it.clone() });
        }
    }
    Ok(leased)
}

fn with_conversions(session: &mut dyn Session, leased: Vec<Delivery>) -> Result<Vec<Claimed>, LedgerError> {
    let sql = "-- with_conversions\nSELECT * FROM conversions WHERE conversion_id = ?1";
    let ids: BTreeSet<_> = leased.iter().map(|it| it.id.conversion_id).collect();
    let ids: Vec<_> = ids.into_iter().map(|id| values![id]).collect();
    let found = session.query_all(sql, &ids)?;
    let read = found.iter().flatten().filter_map(|record| read_conversion(record).ok());
    let conversions: BTreeMap<_, _> = read.map(|it| (it.id, it)).collect();
    let conversion = |it: &Delivery| conversions.get(&it.id.conversion_id).cloned();
    Ok(leased.into_iter().map(|it| Claimed { conversion: conversion(&it), delivery: it }).collect())
}

/// Has the deliveries of these conversions wait as long as an earlier one to the same receiver does: they
/// could not be claimed before. What is being tried is left alone, and what waits for that. The coalesce has
/// them found by their conversion, as the plus does.
pub(super) fn queue_behind(
    session: &mut dyn Session,
    conversions: impl Iterator<Item = (OfferId, ConversionId)>,
) -> Result<(), LedgerError> {
    let conversions: BTreeSet<_> = conversions.collect();
    let earliest = "(SELECT max(earlier.next_try_at) FROM deliveries AS earlier \
        WHERE earlier.offer_id = deliveries.offer_id AND earlier.conversion_id = deliveries.conversion_id \
        AND earlier.booking < deliveries.booking AND +earlier.receiver = deliveries.receiver \
        AND earlier.status = 'due' AND earlier.lease IS NULL)";
    let sql = format!(
        "-- queue_behind\n\
         UPDATE deliveries SET next_try_at = {earliest} WHERE offer_id = ?1 AND conversion_id = ?2 \
         AND coalesce(status, '') = 'due' AND lease IS NULL AND next_try_at < {earliest}"
    );
    let rows: Vec<_> = conversions.into_iter().map(|(offer, id)| values![offer, id]).collect();
    session.execute_all(&sql, &rows).map(drop)
}

/// What a filter asks of rows. A status stands in the text, since only then its own index can serve it.
fn matching(filter: &DeliveryFilter) -> Where {
    let mut wanted = Where::default();
    if let Some(id) = filter.id {
        wanted.and("conversion_id =", id.conversion_id);
        wanted.and("booking =", id.booking);
        wanted.and("postback_id =", id.postback_id);
    }
    wanted.and_some("conversion_id =", filter.conversion_id);
    wanted.and_some("postback_id =", filter.postback_id);
    wanted.and_some("affiliate_id =", filter.affiliate_id);
    wanted.and_some("offer_id =", filter.offer_id);
    wanted.and_some("caused_at >=", filter.from);
    wanted.and_some("caused_at <", filter.until);
    if let Some(status) = filter.status {
        wanted.push(format!("status = '{}'", status.name()));
    }
    if let Some(affiliate_id) = filter.own_of {
        let place = wanted.value(affiliate_id);
        wanted
            .push(format!("postback_id IN (SELECT postback_id FROM postbacks WHERE affiliate_id = {place})"));
    }
    wanted
}

/// The same, of those that can be made due: a browser that was handed one has left.
fn replayable(filter: &DeliveryFilter) -> Where {
    let mut wanted = matching(filter);
    wanted.push("status <> 'due'".to_owned());
    let server = wanted.value(PostbackType::Server.name());
    wanted.push(format!("postback_id IN (SELECT postback_id FROM postbacks WHERE postback_type = {server})"));
    wanted
}

fn list_after(
    session: &mut dyn Session,
    mut wanted: Where,
    after: Option<DeliveryId>,
    limit: u32,
) -> Result<Vec<Delivery>, LedgerError> {
    if let Some(id) = after {
        let [conversion, booking, postback] =
            [wanted.value(id.conversion_id), wanted.value(id.booking), wanted.value(id.postback_id)];
        wanted.push(format!("(conversion_id, booking, postback_id) > ({conversion}, {booking}, {postback})"));
    }
    let conditions = wanted.sql();
    let limit = wanted.value(limit);
    let sql = format!(
        "-- list_after\n\
         SELECT * FROM deliveries {conditions} ORDER BY conversion_id, booking, postback_id LIMIT {limit}"
    );
    all(session, &sql, wanted.values, read_delivery)
}

/// A try that is told of twice is one.
const INSERT_TRY: &str = "-- insert_try\n\
    INSERT INTO delivery_tries (offer_id, conversion_id, booking, postback_id, tried_at, lease, url, http_status, \
    error_code, error, answer, duration_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
    ON CONFLICT (conversion_id, booking, postback_id, tried_at, lease, offer_id) DO NOTHING";

fn try_row(id: DeliveryId, offer_id: OfferId, lease: i64, tried: &Try) -> Vec<Value<'_>> {
    let (http_status, error_code, error, answer) = match &tried.outcome {
        TryOutcome::Answered { status, answer } => (Some(*status), None, "", answer.as_str()),
        TryOutcome::Failed { code, reason } => (None, Some(code), reason.as_str(), ""),
        TryOutcome::HandedOut => (None, None, "", ""),
    };
    values![
        offer_id,
        id.conversion_id,
        id.booking,
        id.postback_id,
        tried.tried_at,
        lease,
        &tried.url,
        http_status,
        error_code,
        error,
        answer,
        tried.duration_ms,
    ]
}

fn step_row(it: &Finished) -> Vec<Value<'_>> {
    let next_try_at = if let Step::Again(at) = it.step { Some(at) } else { None };
    values![
        it.offer_id,
        it.id.conversion_id,
        it.id.booking,
        it.id.postback_id,
        it.lease.cast_signed(),
        it.step.status().name(),
        next_try_at,
        u32::from(it.tried.is_some()),
    ]
}

fn read_delivery(record: &Record) -> Result<Delivery, LedgerError> {
    let row = record.of("deliveries");
    Ok(Delivery {
        offer_id: row.get("offer_id")?,
        id: DeliveryId {
            conversion_id: row.get("conversion_id")?,
            booking: row.get("booking")?,
            postback_id: row.get("postback_id")?,
        },
        affiliate_id: row.get("affiliate_id")?,
        receiver: row.get("receiver")?,
        cause: row.parse("cause", |text| text.parse().ok())?,
        standing: Standing {
            status: row.parse("conversion_status", |text| text.parse().ok())?,
            price: Worth { payout: row.get("payout")?, revenue: row.get("revenue")? },
        },
        caused_at: row.get("caused_at")?,
        status: row.parse("status", |text| text.parse().ok())?,
        next_try_at: row.get("next_try_at")?,
        tries: row.get("tries")?,
        round: row.get("round")?,
    })
}

fn read_try(record: &Record) -> Result<Try, LedgerError> {
    let row = record.of("delivery_tries");
    Ok(Try {
        tried_at: row.get("tried_at")?,
        url: row.get("url")?,
        outcome: match (row.get("http_status")?, row.get("error_code")?) {
            (Some(status), None) => TryOutcome::Answered { status, answer: row.get("answer")? },
            (None, Some(code)) => TryOutcome::Failed { code, reason: row.get("error")? },
            (None, None) => TryOutcome::HandedOut,
            (Some(_), Some(_)) => return Err(row.corrupt("error_code")),
        },
        duration_ms: row.get("duration_ms")?,
    })
}
