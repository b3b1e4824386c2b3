//! Adjustments and lines of money in the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use domain::adjustment::{Adjustment, Cause, Change, EffectiveDate, Standing, Worth, adjust};
use domain::conversion::Conversion;
use domain::conversion_query::ConversionFilter;
use domain::entry::{Entry, EntryId, Line};
use domain::ids::{ConversionId, EventId, OfferId, StatementId};
use domain::network::Network;
use domain::postback::fired;
use domain::statement::Party;
use domain::status::ConversionStatus;
use jiff::Timestamp;

use super::Book;
use super::batches::hold;
use super::changes::{Step, number};
use super::conversions::{matching, read_conversion};
use super::deliveries::{Enqueued, enqueue, queue_behind};
use super::filter::Where;
use super::money::{Booking, Tally, book};
use super::statements::conversions_of;
use crate::adjustments::{
    Adjusted, AdjustmentBook, AdjustmentFilter, Author, EntryFilter, NotAdjusted, Order,
};
use crate::database::{Database, Record, Row, Session, Value, all, single, values};
use crate::{LedgerError, Page};

type Outcomes = Vec<Result<Adjusted, NotAdjusted>>;

impl<D: Database> AdjustmentBook for Book<D> {
    fn adjust_conversions(
        &self,
        ids: &[ConversionId],
        order: &Order,
        now: Timestamp,
    ) -> Result<Outcomes, LedgerError> {
        self.database.write(|session| adjust_all(session, ids, order, now))
    }

    fn preview_adjustments(
        &self,
        ids: &[ConversionId],
        order: &Order,
        now: Timestamp,
    ) -> Result<Outcomes, LedgerError> {
        // What is rejected is rolled back.
        let preview = |session: &mut dyn Session| adjust_all(session, ids, order, now).map(Err);
        match self.database.decide::<Infallible, _>(preview)? {
            Err(outcomes) => Ok(outcomes),
            Ok(never) => match never {},
        }
    }

    fn approve_due(&self, network: &Arc<Network>, now: Timestamp, limit: u32) -> Result<u64, LedgerError> {
        let order = Order {
            change: Change { status: Some(ConversionStatus::Approved), ..Change::default() },
            effective: EffectiveDate::Today,
            refuse_if_stated: false,
            author: Author { key_id: None, name: "crumb".into() },
            note: "approved after the offer's delay".into(),
            cause: Cause::AutoApproval,
            batch_id: None,
            tells: Some(Arc::clone(network)),
        };
        self.database.write(|session| {
            let sql = "-- approve_due\n\
                SELECT conversion_id FROM conversions WHERE approve_at <= ?1 ORDER BY approve_at LIMIT ?2";
            let due = all(session, sql, values![now, limit], conversion_id)?;
            let mut present = Present::load(session, &due)?;
            let mut approved = 0;
            for id in due {
                // Somebody may have decided between the question and this turn.
                let still =
                    present.conversions.get(&id).filter(|it| it.approve_at.is_some_and(|at| at <= now));
                if let Some(Ok(standing)) = still.map(|it| adjust(it.standing, &order.change)) {
                    present.stand(id, standing, &order, now);
                    approved += 1;
                }
            }
            present.write(session)?;
            Ok(approved)
        })
    }

    fn list_conversion_ids(
        &self,
        filter: &ConversionFilter,
        after: ConversionId,
        limit: u32,
    ) -> Result<Vec<ConversionId>, LedgerError> {
        let mut wanted = matching(filter);
        wanted.and("conversion_id >", after);
        let conditions = wanted.sql();
        let limit = wanted.value(limit);
        let sql = format!(
            "-- list_conversion_ids\n\
             SELECT conversion_id FROM conversions {conditions} ORDER BY conversion_id LIMIT {limit}"
        );
        self.database.read(|session| all(session, &sql, wanted.values, conversion_id))
    }

    fn find_by_unique_id(
        &self,
        offer_id: OfferId,
        unique_id: &str,
        event_id: Option<EventId>,
    ) -> Result<Vec<ConversionId>, LedgerError> {
        let sql = "-- find_by_unique_id\n\
            SELECT conversion_id FROM conversions WHERE offer_id = ?1 AND unique_id = ?2 AND unique_id <> '' \
            AND (?3 = 0 OR event_id = ?3) ORDER BY conversion_id";
        let event = event_id.map_or(0, |it| it.0);
        self.database.read(|session| all(session, sql, values![offer_id, unique_id, event], conversion_id))
    }

    fn list_adjustments(
        &self,
        filter: &AdjustmentFilter,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Adjustment>, LedgerError> {
        let mut wanted = Where::default();
        wanted.and_some("conversion_id =", filter.conversion_id);
        wanted.and_some("offer_id =", filter.offer_id);
        wanted.and_some("batch_id =", filter.batch_id);
        wanted.and_some("made_at >=", filter.from);
        wanted.and_some("made_at <", filter.until);
        if let Some(affiliate_id) = filter.affiliate_id {
            let place = wanted.value(affiliate_id);
            wanted.push(format!(
                "EXISTS (SELECT 1 FROM conversions WHERE conversions.offer_id = adjustments.offer_id \
                 AND conversions.conversion_id = adjustments.conversion_id AND affiliate_id = {place})"
            ));
        }
        let order = "made_at, conversion_id, booking";
        self.database
            .read(|session| page(session, "adjustments", wanted, order, offset, limit, read_adjustment))
    }

    fn list_entries_after(
        &self,
        filter: &EntryFilter,
        after: Option<EntryId>,
        limit: u32,
    ) -> Result<Vec<Entry>, LedgerError> {
        let mut wanted = matching_entries(filter);
        if let Some(id) = after {
            let [conversion, booking, account] =
                [wanted.value(id.conversion_id), wanted.value(id.booking), wanted.value(id.account.name())];
            wanted.push(format!("(conversion_id, booking, account) > ({conversion}, {booking}, {account})"));
        }
        let conditions = wanted.sql();
        let limit = wanted.value(limit);
        let sql = format!(
            "-- list_entries_after\n\
             SELECT * FROM entries {conditions} ORDER BY conversion_id, booking, account LIMIT {limit}"
        );
        self.database.read(|session| all(session, &sql, wanted.values, read_entry))
    }

    fn list_entries(
        &self,
        filter: &EntryFilter,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Entry>, LedgerError> {
        let mut wanted = matching_entries(filter);
        if let Some(party) = filter.party {
            let place = wanted.value(party.id());
            wanted.push(format!("conversion_id IN ({})", conversions_of(party, &place)));
        }
        let order = "conversion_id, booking, account";
        self.database.read(|session| page(session, "entries", wanted, order, offset, limit, read_entry))
    }
}

/// What a filter asks of lines. A walk goes through them in their order; who wants a page of a party's finds
/// them by way of its conversions.
fn matching_entries(filter: &EntryFilter) -> Where {
    let mut wanted = Where::default();
    wanted.and_some("conversion_id =", filter.conversion_id);
    wanted.and_some("offer_id =", filter.offer_id);
    wanted.and_some("account =", filter.party.map(|it| it.account().name()));
    wanted.and_some("party_id =", filter.party.map(Party::id));
    wanted.and_some("statement_id =", filter.statement_id);
    wanted.and_some("effective >=", filter.from);
    wanted.and_some("effective <", filter.until);
    wanted
}

/// A page of a table's rows that match, and how many do.
pub(super) fn page<T>(
    session: &mut dyn Session,
    table: &str,
    mut wanted: Where,
    order: &str,
    offset: u64,
    limit: u32,
    read: crate::database::Read<T>,
) -> Result<Page<T>, LedgerError> {
    let conditions = wanted.sql();
    let sql = format!("-- count_{table}\nSELECT count(*) FROM {table} {conditions}");
    let total = single(session, &sql, wanted.values.clone())?;
    let (limit, offset) = (wanted.value(limit), wanted.value(offset));
    let sql = format!(
        "-- page_{table}\nSELECT * FROM {table} {conditions} ORDER BY {order} LIMIT {limit} OFFSET {offset}"
    );
    Ok(Page { total, rows: all(session, &sql, wanted.values, read)? })
}

/// Adjusts these conversions in their order; one that comes twice is adjusted twice.
pub(super) fn adjust_all(
    session: &mut dyn Session,
    ids: &[ConversionId],
    order: &Order,
    now: Timestamp,
) -> Result<Outcomes, LedgerError> {
    hold(session, order.batch_id)?;
    let mut present = Present::load(session, ids)?;
    let mut outcomes = Vec::with_capacity(ids.len());
    for id in ids {
        outcomes.push(match present.conversions.get(id) {
            None => Err(NotAdjusted::NotFound),
            Some(conversion) => match stated(session, conversion, order)? {
                Some(statement) => Err(NotAdjusted::Stated(statement)),
                None => match adjust(conversion.standing, &order.change) {
                    Ok(standing) => Ok(present.stand(*id, standing, order, now)),
                    Err(problem) => Err(NotAdjusted::Unadjustable(problem)),
                },
            },
        });
    }
    present.write(session)?;
    Ok(outcomes)
}

/// The statement that a conversion is on, where the order asks.
fn stated(
    session: &mut dyn Session,
    conversion: &Conversion,
    order: &Order,
) -> Result<Option<StatementId>, LedgerError> {
    if !order.refuse_if_stated {
        return Ok(None);
    }
    let sql = "-- stated\nSELECT coalesce(min(statement_id), 0) FROM entries \
        WHERE offer_id = ?1 AND conversion_id = ?2 AND statement_id IS NOT NULL";
    let first: u64 = single(session, sql, values![conversion.offer_id, conversion.id])?;
    Ok((first > 0).then_some(StatementId(first)))
}

/// Conversions being changed, and what is to be written of that.
#[derive(Default)]
pub(super) struct Present {
    pub(super) conversions: BTreeMap<ConversionId, Conversion>,
    adjustments: Vec<Adjustment>,
    enqueued: Vec<Enqueued>,
    tally: Tally,
}

impl Present {
    /// The conversions as they stand, on which it is this session's turn.
    pub(super) fn load(session: &mut dyn Session, ids: &[ConversionId]) -> Result<Self, LedgerError> {
        let ids: Vec<_> = ids.iter().collect::<BTreeSet<_>>().into_iter().map(|id| values![*id]).collect();
        let sql = "-- offers_of\nSELECT offer_id FROM conversions WHERE conversion_id = ?1";
        let mut offers = BTreeSet::new();
        for record in session.query_all(sql, &ids)?.into_iter().flatten() {
            offers.insert(record.of("conversions").get::<OfferId>("offer_id")?);
        }
        session.take_turns(&offers.into_iter().collect::<Vec<_>>())?;
        let sql = "-- present\nSELECT * FROM conversions WHERE conversion_id = ?1";
        let mut present = Self::default();
        for record in session.query_all(sql, &ids)?.into_iter().flatten() {
            let conversion = read_conversion(&record)?;
            present.conversions.insert(conversion.id, conversion);
        }
        Ok(present)
    }

    /// Has a conversion stand anew, and told of as the order says, if it does not stand so already.
    pub(super) fn stand(
        &mut self,
        id: ConversionId,
        standing: Standing,
        order: &Order,
        now: Timestamp,
    ) -> Adjusted {
        let conversion = self.conversions.get_mut(&id).expect("it was found");
        if conversion.standing == standing {
            return Adjusted { conversion: conversion.clone(), adjustment: None };
        }
        self.tally.remove(conversion);
        let before = conversion.standing;
        if standing.status != before.status {
            conversion.approve_at = None;
        }
        if standing.status == ConversionStatus::Approved {
            conversion.approved_at = conversion.approved_at.or(Some(now));
        }
        conversion.standing = standing;
        conversion.adjustments += 1;
        conversion.last_updated = now.max(conversion.last_updated);
        self.tally.add(conversion);
        let adjustment = Adjustment {
            conversion_id: id,
            offer_id: conversion.offer_id,
            booking: conversion.adjustments,
            made_at: now,
            effective: order.effective.at(now, conversion.conversion_date),
            key_id: order.author.key_id,
            actor: order.author.name.clone(),
            note: order.note.clone(),
            cause: order.cause,
            batch_id: order.batch_id,
            before,
            after: standing,
        };
        self.adjustments.push(adjustment.clone());
        let adjusted = Adjusted { conversion: conversion.clone(), adjustment: Some(adjustment) };
        if let Some(network) = &order.tells {
            self.tell(id, Some(before), network, now);
        }
        adjusted
    }

    /// Has postbacks tell how a conversion stands since its last adjustment. `before` is how it stood when
    /// they were last told, and none where it is only now told of as recorded.
    pub(super) fn tell(
        &mut self,
        id: ConversionId,
        before: Option<Standing>,
        network: &Network,
        now: Timestamp,
    ) {
        let conversion = &self.conversions[&id];
        let fired = fired(network, conversion, before, false);
        let enqueued = |it| Enqueued::new(conversion, conversion.adjustments, before, it, now);
        self.enqueued.extend(fired.iter().map(|it| enqueued(it)));
    }

    /// Writes what has changed. Nothing comes after it in its transaction.
    pub(super) fn write(self, session: &mut dyn Session) -> Result<(), LedgerError> {
        let steps = self.write_unnumbered(session)?;
        number(session, &steps)
    }

    /// Writes what has changed, but for its place among the changes, which whoever goes on writing gives it
    /// in the end.
    pub(super) fn write_unnumbered(self, session: &mut dyn Session) -> Result<Vec<Step>, LedgerError> {
        let changed: BTreeSet<_> = self.adjustments.iter().map(|it| it.conversion_id).collect();
        let mut enqueued: BTreeMap<_, u64> = BTreeMap::new();
        for it in &self.enqueued {
            *enqueued.entry(it.delivery.id.conversion_id).or_default() += 1;
        }
        let row = |id| standing_row(&self.conversions[id], enqueued.get(id).copied().unwrap_or(0));
        let rows: Vec<_> = changed.iter().map(row).collect();
        session.execute_all(UPDATE_STANDING, &rows)?;
        let rows: Vec<_> = self.adjustments.iter().map(adjustment_row).collect();
        session.execute_all(INSERT_ADJUSTMENT, &rows)?;
        let bookings: Vec<_> = self
            .adjustments
            .iter()
            .filter(|it| it.before.worth() != it.after.worth())
            .map(|it| Booking {
                conversion: &self.conversions[&it.conversion_id],
                number: it.booking,
                before: it.before.worth(),
                after: it.after.worth(),
                effective: it.effective,
                recorded_at: it.made_at,
            })
            .collect();
        book(session, &bookings)?;
        enqueue(session, &self.enqueued)?;
        let told = self.enqueued.iter().map(|it| (it.delivery.offer_id, it.delivery.id.conversion_id));
        queue_behind(session, told)?;
        self.tally.write(session)?;
        Ok(self.adjustments.iter().map(Step::adjustment).collect())
    }
}

const UPDATE_STANDING: &str = "-- update_standing\n\
    UPDATE conversions SET status = ?3, price_payout = ?4, price_revenue = ?5, payout = ?6, revenue = ?7, \
    adjustments = ?8, approve_at = ?9, last_updated = ?10, deliveries = deliveries + ?11, \
    approved_at = ?12 \
    WHERE offer_id = ?1 AND conversion_id = ?2";

fn standing_row(it: &Conversion, enqueued: u64) -> Vec<Value<'_>> {
    let Standing { status, price } = it.standing;
    values![
        it.offer_id,
        it.id,
        status.name(),
        price.payout,
        price.revenue,
        it.payout(),
        it.revenue(),
        it.adjustments,
        it.approve_at,
        it.last_updated,
        enqueued,
        it.approved_at,
    ]
}

const INSERT_ADJUSTMENT: &str = "-- insert_adjustment\n\
    INSERT INTO adjustments (offer_id, conversion_id, booking, made_at, effective, key_id, actor, note, cause, \
    batch_id, from_status, from_payout, from_revenue, to_status, to_payout, to_revenue) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

fn adjustment_row(it: &Adjustment) -> Vec<Value<'_>> {
    values![
        it.offer_id,
        it.conversion_id,
        it.booking,
        it.made_at,
        it.effective,
        it.key_id,
        &it.actor,
        &it.note,
        it.cause.name(),
        it.batch_id,
        it.before.status.name(),
        it.before.price.payout,
        it.before.price.revenue,
        it.after.status.name(),
        it.after.price.payout,
        it.after.price.revenue,
    ]
}

pub(super) fn conversion_id(record: &Record) -> Result<ConversionId, LedgerError> {
    record.of("conversions").get("conversion_id")
}

pub(super) fn read_adjustment(record: &Record) -> Result<Adjustment, LedgerError> {
    let row = record.of("adjustments");
    let standing = |status, payout, revenue| -> Result<Standing, LedgerError> {
        let price = Worth { payout: row.get(payout)?, revenue: row.get(revenue)? };
        Ok(Standing { status: read_status(row, status)?, price })
    };
    Ok(Adjustment {
        conversion_id: row.get("conversion_id")?,
        offer_id: row.get("offer_id")?,
        booking: row.get("booking")?,
        made_at: row.get("made_at")?,
        effective: row.get("effective")?,
        key_id: row.get("key_id")?,
        actor: row.get("actor")?,
        note: row.get("note")?,
        cause: row.parse("cause", |text| text.parse().ok())?,
        batch_id: row.get("batch_id")?,
        before: standing("from_status", "from_payout", "from_revenue")?,
        after: standing("to_status", "to_payout", "to_revenue")?,
    })
}

fn read_status(row: Row<'_>, column: &'static str) -> Result<ConversionStatus, LedgerError> {
    row.parse(column, |text| text.parse().ok())
}

pub(super) fn read_entry(record: &Record) -> Result<Entry, LedgerError> {
    let row = record.of("entries");
    Ok(Entry {
        conversion_id: row.get("conversion_id")?,
        booking: row.get("booking")?,
        offer_id: row.get("offer_id")?,
        line: Line { account: row.parse("account", |text| text.parse().ok())?, amount: row.get("amount")? },
        party_id: row.get("party_id")?,
        currency: row.parse("currency", |text| text.parse().ok())?,
        effective: row.get("effective")?,
        recorded_at: row.get("recorded_at")?,
        statement_id: row.get("statement_id")?,
    })
}
