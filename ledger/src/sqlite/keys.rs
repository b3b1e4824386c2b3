//! Keys in SQLite.

use domain::access::{Caller, Grant};
use domain::ids::{AdvertiserId, AffiliateId, KeyId, OfferId};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::network::{raise_version, version};
use super::row::Row;
use super::{SqliteLedger, backend};
use crate::LedgerError;
use crate::keys::{CreateKey, Key, KeyBook, KeyHash};

impl KeyBook for SqliteLedger {
    fn create_key(&self, key: &CreateKey, now: Timestamp) -> Result<Option<KeyId>, LedgerError> {
        self.write(|tx| {
            let taken = "-- create_key\nSELECT 1 FROM keys WHERE name = ?1";
            if tx.query_row(taken, [&key.name], |_| Ok(())).optional().map_err(backend)?.is_some() {
                return Ok(None);
            }
            let sql = "-- create_key\n\
                INSERT INTO keys (name, hash, prefix, scope, offer_id, advertiser_id, affiliate_id, may_override, created) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
            let values = params![
                key.name,
                key.hash,
                key.prefix,
                key.grant.scope.name(),
                key.grant.offer_id.map(|id| id.0),
                key.grant.advertiser_id.map(|id| id.0),
                key.grant.affiliate_id.map(|id| id.0),
                key.grant.may_override,
                now.as_microsecond(),
            ];
            tx.execute(sql, values).map_err(backend)?;
            let id = u32::try_from(tx.last_insert_rowid()).map_err(|_| LedgerError::Full)?;
            raise_version(tx, "keys")?;
            Ok(Some(KeyId(id)))
        })
    }

    fn revoke_key(&self, name: &str, now: Timestamp) -> Result<bool, LedgerError> {
        self.write(|tx| {
            let sql = "-- revoke_key\nUPDATE keys SET revoked = coalesce(revoked, ?2) WHERE name = ?1";
            let found = tx.execute(sql, params![name, now.as_microsecond()]).map_err(backend)? > 0;
            raise_version(tx, "keys")?;
            Ok(found)
        })
    }

    fn list_keys(&self) -> Result<Vec<Key>, LedgerError> {
        let reader = self.reader()?;
        let mut statement =
            reader.prepare_cached("-- list_keys\nSELECT * FROM keys ORDER BY key_id").map_err(backend)?;
        let mut rows = statement.query(()).map_err(backend)?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next().map_err(backend)? {
            keys.push(read(row)?);
        }
        Ok(keys)
    }

    fn find_key(&self, hash: &KeyHash) -> Result<Option<Key>, LedgerError> {
        let reader = self.reader()?;
        let mut statement =
            reader.prepare_cached("-- find_key\nSELECT * FROM keys WHERE hash = ?1").map_err(backend)?;
        let mut rows = statement.query([hash]).map_err(backend)?;
        rows.next().map_err(backend)?.map(read).transpose()
    }

    fn keys_version(&self) -> Result<u64, LedgerError> {
        version(&*self.reader()?, "keys")
    }
}

fn read(row: &rusqlite::Row<'_>) -> Result<Key, LedgerError> {
    let row = Row::new("keys", row);
    let grant = Grant {
        scope: row.parse("scope", |text| text.parse().ok())?,
        offer_id: row.get::<Option<u32>>("offer_id")?.map(OfferId),
        advertiser_id: row.get::<Option<u32>>("advertiser_id")?.map(AdvertiserId),
        affiliate_id: row.get::<Option<u32>>("affiliate_id")?.map(AffiliateId),
        may_override: row.get("may_override")?,
    };
    Ok(Key {
        caller: Caller { key_id: KeyId(row.get("key_id")?), name: row.get("name")?, grant },
        hash: row.get("hash")?,
        prefix: row.get("prefix")?,
        created: row.time("created")?,
        revoked: row.optional_time("revoked")?,
    })
}
