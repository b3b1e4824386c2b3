//! Erasures in the ledger.

use std::collections::HashSet;

use domain::ids::{ClickId, ConversionId};
use jiff::Timestamp;

use super::{Book, raise_version};
use crate::LedgerError;
use crate::database::{Database, Session, Value, all, values};
use crate::erasures::ErasureBook;

impl<D: Database> ErasureBook for Book<D> {
    fn request_erasures(&self, clicks: &[ClickId], now: Timestamp) -> Result<(), LedgerError> {
        let sql = "-- request_erasures\n\
            INSERT INTO erasures (click_id, requested) VALUES (?1, ?2) \
            ON CONFLICT (click_id) DO UPDATE SET requested = excluded.requested, done = NULL";
        let rows: Vec<_> = in_order(clicks).map(|click| values![click, now]).collect();
        self.database.write(|session| session.execute_all(sql, &rows).map(drop))
    }

    fn list_erasures(&self) -> Result<Vec<ClickId>, LedgerError> {
        let sql = "-- list_erasures\nSELECT click_id FROM erasures WHERE done IS NULL ORDER BY click_id";
        self.database
            .read(|session| all(session, sql, values![], |record| record.of("erasures").get("click_id")))
    }

    fn erase_visitors(&self, clicks: &[ClickId]) -> Result<(), LedgerError> {
        let conversions = "-- erase_visitors\n\
            UPDATE conversions SET sub_id_1 = '', sub_id_2 = '', sub_id_3 = '', sub_id_4 = '', sub_id_5 = '', \
            adv1 = '', adv2 = '', adv3 = '', adv4 = '', adv5 = '', referrer_host = '' WHERE click_id = ?1";
        let raw = "-- erase_visitors\nUPDATE attempts SET raw = '' WHERE offer_id = ?1 AND attempt_id = ?2";
        let tries = "-- erase_visitors\n\
            UPDATE delivery_tries SET url = '', error = '', answer = '' \
            WHERE conversion_id IN (SELECT conversion_id FROM conversions WHERE click_id = ?1)";
        let attempts = self.database.read(|session| attempts_of(session, clicks))?;
        let clicks: Vec<_> = in_order(clicks).map(|click| values![click]).collect();
        self.database.write(|session| {
            session.execute_all(conversions, &clicks)?;
            session.execute_all(tries, &clicks)?;
            session.execute_all(raw, &attempts)?;
            raise_version(session, "erasures")
        })?;
        self.database.scrub(&["conversions", "attempts", "delivery_tries"])
    }

    fn finish_erasures(&self, clicks: &[ClickId], now: Timestamp) -> Result<(), LedgerError> {
        let sql = "-- finish_erasures\nUPDATE erasures SET done = ?2 WHERE click_id = ?1";
        let rows: Vec<_> = in_order(clicks).map(|click| values![click, now]).collect();
        self.database.write(|session| session.execute_all(sql, &rows).map(drop))
    }
}

/// Whoever writes the same rows at the same time does it in the same order, and waits in turn.
fn in_order(clicks: &[ClickId]) -> impl Iterator<Item = ClickId> {
    let mut clicks = clicks.to_vec();
    clicks.sort_unstable();
    clicks.into_iter()
}

/// The offer and number of each attempt that names one of the clicks, or belongs to one of their
/// conversions. They are not indexed by click, so this reads all of them, while others write.
fn attempts_of(
    session: &mut dyn Session,
    clicks: &[ClickId],
) -> Result<Vec<Vec<Value<'static>>>, LedgerError> {
    let sql = "-- attempts_of\nSELECT conversion_id FROM conversions WHERE click_id = ?1";
    let rows: Vec<_> = clicks.iter().map(|click| values![*click]).collect();
    let mut conversions = HashSet::new();
    for record in session.query_all(sql, &rows)?.iter().flatten() {
        conversions.insert(record.of("conversions").get::<ConversionId>("conversion_id")?);
    }
    let clicks: HashSet<ClickId> = clicks.iter().copied().collect();
    let sql = "-- attempts_of\n\
        SELECT attempt_id, offer_id, click_id, conversion_id FROM attempts WHERE raw <> ''";
    let mut attempts = Vec::new();
    session.each(sql, values![], &mut |record| {
        let row = record.of("attempts");
        let (attempt, offer): (u64, u32) = (row.get("attempt_id")?, row.get("offer_id")?);
        let (click, conversion): (String, Option<ConversionId>) =
            (row.get("click_id")?, row.get("conversion_id")?);
        let names_one = || click.trim().parse().is_ok_and(|click| clicks.contains(&click));
        if conversion.is_some_and(|id| conversions.contains(&id)) || names_one() {
            attempts.push(values![offer, attempt]);
        }
        Ok(())
    })?;
    Ok(attempts)
}
