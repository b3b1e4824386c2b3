//! Impressions in the ledger. No campaign is 0: a key's columns hold no NULL.

use domain::ids::CampaignId;
use domain::impression::{ImpressionKey, Impressions};
use jiff::Timestamp;

use super::Book;
use crate::LedgerError;
use crate::database::{Database, Record, Value, values};
use crate::impressions::ImpressionBook;

impl<D: Database> ImpressionBook for Book<D> {
    fn add_impressions(&self, counted: &[Impressions]) -> Result<(), LedgerError> {
        let sql = "-- add_impressions\n\
            INSERT INTO impressions (offer_id, quarter, affiliate_id, campaign_id, creative_id, count) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
            ON CONFLICT (offer_id, quarter, affiliate_id, campaign_id, creative_id) \
            DO UPDATE SET count = impressions.count + excluded.count";
        // In the order of their keys: two servers that count the same kinds then wait for each other in turn.
        let mut counted: Vec<&Impressions> = counted.iter().collect();
        counted.sort_unstable_by_key(|it| it.key);
        let rows: Vec<_> = counted.into_iter().map(row).collect();
        self.database.write(|session| session.execute_all(sql, &rows).map(drop))
    }

    fn list_impressions(
        &self,
        from: Timestamp,
        until: Timestamp,
        row: &mut dyn FnMut(Impressions),
    ) -> Result<(), LedgerError> {
        let sql = "-- list_impressions\n\
            SELECT * FROM impressions WHERE quarter >= ?1 AND quarter < ?2 ORDER BY quarter";
        self.database.read(|session| {
            session.each(sql, values![from, until], &mut |record| {
                row(read(record)?);
                Ok(())
            })
        })
    }
}

fn row(Impressions { key, count }: &Impressions) -> Vec<Value<'static>> {
    let campaign_id = key.campaign_id.map_or(0, |id| id.0);
    values![key.offer_id, key.quarter, key.affiliate_id, campaign_id, key.creative_id, *count]
}

fn read(record: &Record) -> Result<Impressions, LedgerError> {
    let row = record.of("impressions");
    let key = ImpressionKey {
        quarter: row.get("quarter")?,
        offer_id: row.get("offer_id")?,
        affiliate_id: row.get("affiliate_id")?,
        campaign_id: Some(row.get("campaign_id")?).filter(|id| *id != CampaignId(0)),
        creative_id: row.get("creative_id")?,
    };
    Ok(Impressions { key, count: row.get("count")? })
}
