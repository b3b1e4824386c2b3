//! Suppression lists in the ledger.

use domain::ids::OfferId;
use domain::suppression::{Fingerprint, OnSuppressed, SuppressionCount, SuppressionKind};
use jiff::Timestamp;

use super::Book;
use crate::LedgerError;
use crate::database::{Database, Record, all, values};
use crate::suppressions::SuppressionBook;

/// What stands for all offers where a key needs a number.
const ALL_OFFERS: u32 = 0;

impl<D: Database> SuppressionBook for Book<D> {
    fn suppress(
        &self,
        offer_id: Option<OfferId>,
        kind: SuppressionKind,
        fingerprints: &[Fingerprint],
        action: OnSuppressed,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let sql = "-- suppress\n\
            INSERT INTO suppressions (fingerprint, offer_id, kind, action, created) VALUES (?1, ?2, ?3, ?4, ?5) \
            ON CONFLICT (fingerprint, offer_id) DO UPDATE SET action = excluded.action";
        let list = list(offer_id);
        let row = |it: &'_ Fingerprint| values![it.to_vec(), list, kind.name(), action.name(), now];
        let rows: Vec<_> = fingerprints.iter().map(row).collect();
        self.database.write(|session| session.execute_all(sql, &rows).map(drop))
    }

    fn unsuppress(
        &self,
        offer_id: Option<OfferId>,
        fingerprints: &[Fingerprint],
    ) -> Result<u64, LedgerError> {
        let sql = "-- unsuppress\nDELETE FROM suppressions WHERE fingerprint = ?1 AND offer_id = ?2";
        let rows: Vec<_> = fingerprints.iter().map(|it| values![it.to_vec(), list(offer_id)]).collect();
        self.database.write(|session| session.execute_all(sql, &rows))
    }

    fn count_suppressions(&self) -> Result<Vec<SuppressionCount>, LedgerError> {
        let sql = "-- count_suppressions\n\
            SELECT offer_id, kind, action, count(*) AS held FROM suppressions \
            GROUP BY offer_id, kind, action ORDER BY offer_id, kind, action";
        self.database.read(|session| all(session, sql, values![], read))
    }
}

fn list(offer_id: Option<OfferId>) -> u32 {
    offer_id.map_or(ALL_OFFERS, |id| id.0)
}

fn read(record: &Record) -> Result<SuppressionCount, LedgerError> {
    let row = record.of("suppressions");
    Ok(SuppressionCount {
        offer_id: Some(row.get("offer_id")?).filter(|id: &OfferId| id.0 != ALL_OFFERS),
        kind: row.parse("kind", |text| text.parse().ok())?,
        action: row.parse("action", |text| text.parse().ok())?,
        count: row.get("held")?,
    })
}
