//! Conversions and attempts in the ledger.

mod list;
pub(super) mod record;

pub(super) use list::matching;

use domain::adjustment::{Standing, Worth};
use domain::click::Country;
use domain::conversion::{Conversion, Price};
use domain::conversion_query::{ConversionFilter, ConversionPage, ConversionQuery};
use domain::ids::{ClickId, ConversionId, EventId, OfferId, PriceRuleId};
use domain::network::DEFAULT_EVENT;
use domain::pricing::PriceSource;
use jiff::Timestamp;

use super::Book;
use crate::LedgerError;
use crate::conversions::{
    Attempt, AttemptKey, ConversionBook, ConversionKey, KeptAttempt, Recorded, Submission,
};
use crate::database::{Database, Record, Session, Value, all, one, values};

impl<D: Database> ConversionBook for Book<D> {
    fn record_conversions(
        &self,
        submissions: &[Submission],
    ) -> Result<Vec<Result<Recorded, LedgerError>>, LedgerError> {
        let record = |batch| self.database.write(|session| record::record(session, batch));
        match record(submissions) {
            Ok(recorded) => Ok(recorded.into_iter().map(Ok).collect()),
            Err(error @ (LedgerError::Unavailable(_) | LedgerError::Full)) => Err(error),
            // One of them fails by an error of its own: alone, none spoils its neighbours.
            Err(_) if submissions.len() > 1 => {
                let alone = |one| record(one).map(|mut recorded| recorded.remove(0));
                Ok(submissions.chunks(1).map(alone).collect())
            }
            Err(error) => Ok(vec![Err(error)]),
        }
    }

    fn record_attempt(&self, attempt: &Attempt) -> Result<(), LedgerError> {
        let row = [attempt_row(attempt)];
        self.database.write(|session| session.execute_all(INSERT_ATTEMPT, &row).map(drop))
    }

    fn list_attempts(&self, click_id: &str) -> Result<Vec<Attempt>, LedgerError> {
        let sql = "-- list_attempts\nSELECT * FROM attempts WHERE click_id = ?1 ORDER BY attempt_id";
        self.database.read(|session| all(session, sql, values![click_id], read_attempt))
    }

    fn list_attempts_by(&self, key: &AttemptKey, limit: u32) -> Result<Vec<KeptAttempt>, LedgerError> {
        let (wanted, mut values) = match key {
            AttemptKey::Id(id) => ("attempt_id = ?1", values![*id]),
            AttemptKey::Click(id) => (
                "click_id IN (?1, ?2, ?3) AND click_id <> ''",
                values![id, id.to_ascii_lowercase(), id.to_ascii_uppercase()],
            ),
            AttemptKey::UniqueId(id) => ("unique_id = ?1 AND unique_id <> ''", values![id]),
        };
        values.push(limit.into());
        // The plus keeps them from being looked through in their order instead of being found.
        let sql = format!(
            "-- list_attempts_by\nSELECT * FROM attempts WHERE {wanted} ORDER BY +attempt_id LIMIT ?{}",
            values.len()
        );
        self.database.read(|session| all(session, &sql, values, read_kept_attempt))
    }

    fn list_conversions_by(&self, key: &ConversionKey, limit: u32) -> Result<Vec<Conversion>, LedgerError> {
        let (wanted, mut values) = match key {
            ConversionKey::Click(id) => ("click_id = ?1", values![*id]),
            // Every conversion has the call that it came from: that is what is found by its transaction.
            ConversionKey::UniqueId(id) => (
                "conversion_id IN (SELECT conversion_id FROM attempts \
                 WHERE unique_id = ?1 AND unique_id <> '' AND outcome = 'recorded')",
                values![id],
            ),
            ConversionKey::OrderId(id) => ("order_id = ?1 AND order_id <> ''", values![id]),
        };
        values.push(limit.into());
        let sql = format!(
            "-- list_conversions_by\nSELECT * FROM conversions WHERE {wanted} ORDER BY +conversion_id LIMIT ?{}",
            values.len()
        );
        self.database.read(|session| all(session, &sql, values, read_conversion))
    }

    fn find_conversion(&self, id: ConversionId) -> Result<Option<Conversion>, LedgerError> {
        let sql = "-- find_conversion\nSELECT * FROM conversions WHERE conversion_id = ?1";
        self.database.read(|session| one(session, sql, values![id], read_conversion))
    }

    fn find_conversions_of(&self, clicks: &[ClickId]) -> Result<Vec<Option<ConversionId>>, LedgerError> {
        self.database
            .read(|session| firsts_on_clicks(session, clicks.iter().map(|click| (*click, DEFAULT_EVENT))))
    }

    fn list_conversions_after(
        &self,
        filter: &ConversionFilter,
        after: Option<(Timestamp, ConversionId)>,
        limit: u32,
    ) -> Result<Vec<Conversion>, LedgerError> {
        self.database.read(|session| list::list_after(session, filter, after, limit))
    }

    fn list_conversions(&self, query: &ConversionQuery) -> Result<ConversionPage, LedgerError> {
        self.database.read(|session| list::list_conversions(session, query))
    }
}

/// For each click and event the first conversion, in their order.
fn firsts_on_clicks(
    session: &mut dyn Session,
    keys: impl Iterator<Item = (ClickId, EventId)>,
) -> Result<Vec<Option<ConversionId>>, LedgerError> {
    let sql = "-- firsts_on_clicks\n\
        SELECT min(conversion_id) AS first FROM conversions WHERE click_id = ?1 AND event_id = ?2";
    let keys: Vec<_> = keys.map(|(click, event)| values![click, event]).collect();
    let first = |found: Vec<Record>| match found.first() {
        Some(record) => record.of("conversions").get("first"),
        None => Ok(None),
    };
    session.query_all(sql, &keys)?.into_iter().map(first).collect()
}

const INSERT_ATTEMPT: &str = "-- insert_attempt\n\
    INSERT INTO attempts (offer_id, received_at, key_id, click_id, unique_id, outcome, reason, conversion_id, raw, \
    door, address, event_id, batch_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

fn attempt_row(attempt: &Attempt) -> Vec<Value<'_>> {
    values![
        attempt.offer_id.map_or(0, |id| id.0),
        attempt.received_at,
        attempt.key_id,
        &attempt.click_id,
        &attempt.unique_id,
        &attempt.outcome,
        &attempt.reason,
        attempt.conversion_id,
        &attempt.raw,
        attempt.door.name(),
        &attempt.address,
        attempt.event_id,
        attempt.batch_id,
    ]
}

pub(super) fn read_attempt(record: &Record) -> Result<Attempt, LedgerError> {
    let row = record.of("attempts");
    Ok(Attempt {
        offer_id: Some(row.get("offer_id")?).filter(|id| *id != OfferId(0)),
        received_at: row.get("received_at")?,
        key_id: row.get("key_id")?,
        click_id: row.get("click_id")?,
        unique_id: row.get("unique_id")?,
        outcome: row.get("outcome")?,
        reason: row.get("reason")?,
        conversion_id: row.get("conversion_id")?,
        raw: row.get("raw")?,
        door: row.parse("door", |text| text.parse().ok())?,
        address: row.get("address")?,
        event_id: row.get("event_id")?,
        batch_id: row.get("batch_id")?,
    })
}

fn read_kept_attempt(record: &Record) -> Result<KeptAttempt, LedgerError> {
    Ok(KeptAttempt { id: record.of("attempts").get("attempt_id")?, attempt: read_attempt(record)? })
}

pub(super) fn read_conversion(record: &Record) -> Result<Conversion, LedgerError> {
    let row = record.of("conversions");
    let source = |scope, rule, version| -> Result<PriceSource, LedgerError> {
        let rule: Option<PriceRuleId> = row.get(rule)?;
        let version: Option<u32> = row.get(version)?;
        let scope = row.parse(scope, |text| text.parse().ok())?;
        Ok(PriceSource { scope, rule: rule.zip(version) })
    };
    Ok(Conversion {
        id: row.get("conversion_id")?,
        offer_id: row.get("offer_id")?,
        advertiser_id: row.get("advertiser_id")?,
        affiliate_id: row.get("affiliate_id")?,
        campaign_id: row.get("campaign_id")?,
        creative_id: row.get("creative_id")?,
        click_id: row.get("click_id")?,
        event_id: row.get("event_id")?,
        door: row.parse("door", |text| text.parse().ok())?,
        batch_id: row.get("batch_id")?,
        unique_id: row.get("unique_id")?,
        order_id: row.get("order_id")?,
        adv: [row.get("adv1")?, row.get("adv2")?, row.get("adv3")?, row.get("adv4")?, row.get("adv5")?],
        sub_ids: [
            row.get("sub_id_1")?,
            row.get("sub_id_2")?,
            row.get("sub_id_3")?,
            row.get("sub_id_4")?,
            row.get("sub_id_5")?,
        ],
        country: row.parse("country", |text| {
            if text.is_empty() { Some(Country::UNKNOWN) } else { Country::new(text) }
        })?,
        device: row.parse("device", |text| text.parse().ok())?,
        os: row.get("os")?,
        browser: row.get("browser")?,
        referrer_host: row.get("referrer_host")?,
        disposition: row.parse("disposition", |text| text.parse().ok())?,
        currency: row.parse("currency", |text| text.parse().ok())?,
        exchange_rate: row.get("exchange_rate")?,
        price: Price {
            payout: row.get("original_payout")?,
            payout_source: source("payout_scope", "payout_rule_id", "payout_rule_version")?,
            revenue: row.get("original_revenue")?,
            revenue_source: source("revenue_scope", "revenue_rule_id", "revenue_rule_version")?,
            amount: row.get("amount")?,
        },
        cap_id: row.get("cap_id")?,
        standing: Standing {
            status: row.parse("status", |text| text.parse().ok())?,
            price: Worth { payout: row.get("price_payout")?, revenue: row.get("price_revenue")? },
        },
        adjustments: row.get("adjustments")?,
        details: row.get("details")?,
        approve_at: row.get("approve_at")?,
        approved_at: row.get("approved_at")?,
        conversion_date: row.get("conversion_date")?,
        recorded_at: row.get("recorded_at")?,
        last_updated: row.get("last_updated")?,
    })
}
