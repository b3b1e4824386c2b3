//! Impressions in SQLite. No campaign is 0: a key's columns hold no NULL.

use domain::ids::{AffiliateId, CampaignId, CreativeId, OfferId};
use domain::impression::{ImpressionKey, Impressions};
use jiff::Timestamp;
use rusqlite::params;

use super::row::{Row, signed, unsigned};
use super::{SqliteLedger, backend};
use crate::LedgerError;
use crate::impressions::ImpressionBook;

impl ImpressionBook for SqliteLedger {
    fn add_impressions(&self, counted: &[Impressions]) -> Result<(), LedgerError> {
        let sql = "-- add_impressions\n\
            INSERT INTO impressions (offer_id, hour, affiliate_id, campaign_id, creative_id, count) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
            ON CONFLICT (offer_id, hour, affiliate_id, campaign_id, creative_id) \
            DO UPDATE SET count = count + excluded.count";
        self.write(|tx| {
            let mut statement = tx.prepare_cached(sql).map_err(backend)?;
            for Impressions { key, count } in counted {
                let values = params![
                    key.offer_id.0,
                    key.hour.as_microsecond(),
                    key.affiliate_id.0,
                    key.campaign_id.map_or(0, |id| id.0),
                    key.creative_id.0,
                    signed(*count),
                ];
                statement.execute(values).map_err(backend)?;
            }
            Ok(())
        })
    }

    fn list_impressions(
        &self,
        from: Timestamp,
        until: Timestamp,
        row: &mut dyn FnMut(Impressions),
    ) -> Result<(), LedgerError> {
        let sql = "-- list_impressions\n\
            SELECT * FROM impressions WHERE hour >= ?1 AND hour < ?2 ORDER BY hour";
        let reader = self.reader()?;
        let mut statement = reader.prepare_cached(sql).map_err(backend)?;
        let mut rows =
            statement.query(params![from.as_microsecond(), until.as_microsecond()]).map_err(backend)?;
        while let Some(found) = rows.next().map_err(backend)? {
            row(read(found)?);
        }
        Ok(())
    }
}

fn read(row: &rusqlite::Row<'_>) -> Result<Impressions, LedgerError> {
    let row = Row::new("impressions", row);
    let key = ImpressionKey {
        hour: row.time("hour")?,
        offer_id: OfferId(row.get("offer_id")?),
        affiliate_id: AffiliateId(row.get("affiliate_id")?),
        campaign_id: Some(row.get("campaign_id")?).filter(|id| *id != 0).map(CampaignId),
        creative_id: CreativeId(row.get("creative_id")?),
    };
    Ok(Impressions { key, count: unsigned(row.get("count")?) })
}
