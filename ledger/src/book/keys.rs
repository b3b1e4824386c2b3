//! Keys in the ledger.

use domain::access::{Caller, Grant};
use domain::ids::KeyId;
use jiff::Timestamp;

use super::{Book, raise_version};
use crate::LedgerError;
use crate::database::{Database, Record, all, one, single, values};
use crate::keys::{CreateKey, Key, KeyBook, KeyHash};

impl<D: Database> KeyBook for Book<D> {
    fn create_key(&self, key: &CreateKey, now: Timestamp) -> Result<Option<KeyId>, LedgerError> {
        let created = self.database.decide(|session| {
            raise_version(session, "keys")?;
            let taken = "-- create_key\nSELECT key_id FROM keys WHERE name = ?1";
            if !session.query(taken, values![&key.name])?.is_empty() {
                return Ok(Err(()));
            }
            let sql = "-- create_key\n\
                INSERT INTO keys (name, hash, prefix, scope, offer_id, advertiser_id, affiliate_id, may_override, \
                may_backfill, addresses, created) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING key_id";
            let values = values![
                &key.name,
                &key.hash[..],
                &key.prefix,
                key.grant.scope.name(),
                key.grant.offer_id,
                key.grant.advertiser_id,
                key.grant.affiliate_id,
                key.grant.may_override,
                key.grant.may_backfill,
                key.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                now,
            ];
            single(session, sql, values).map(Ok)
        })?;
        Ok(created.ok())
    }

    fn revoke_key(&self, name: &str, now: Timestamp) -> Result<bool, LedgerError> {
        self.database.write(|session| {
            raise_version(session, "keys")?;
            let sql = "-- revoke_key\nUPDATE keys SET revoked = coalesce(revoked, ?2) WHERE name = ?1";
            Ok(session.execute(sql, values![name, now])? > 0)
        })
    }

    fn list_keys(&self) -> Result<Vec<Key>, LedgerError> {
        let sql = "-- list_keys\nSELECT * FROM keys ORDER BY key_id";
        self.database.read(|session| all(session, sql, values![], read))
    }

    fn find_key(&self, hash: &KeyHash) -> Result<Option<Key>, LedgerError> {
        let sql = "-- find_key\nSELECT * FROM keys WHERE hash = ?1";
        self.database.read(|session| one(session, sql, values![&hash[..]], read))
    }

    fn keys_version(&self) -> Result<u64, LedgerError> {
        self.version("keys")
    }
}

fn read(record: &Record) -> Result<Key, LedgerError> {
    let row = record.of("keys");
    let grant = Grant {
        scope: row.parse("scope", |text| text.parse().ok())?,
        offer_id: row.get("offer_id")?,
        advertiser_id: row.get("advertiser_id")?,
        affiliate_id: row.get("affiliate_id")?,
        may_override: row.get("may_override")?,
        may_backfill: row.get("may_backfill")?,
    };
    Ok(Key {
        caller: Caller { key_id: row.get("key_id")?, name: row.get("name")?, grant },
        hash: row.get("hash")?,
        prefix: row.get("prefix")?,
        addresses: row
            .parse("addresses", |text| text.split_whitespace().map(|range| range.parse().ok()).collect())?,
        created: row.get("created")?,
        revoked: row.get("revoked")?,
    })
}
