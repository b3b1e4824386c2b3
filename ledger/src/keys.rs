//! API keys. Only the hash of a key is kept.

use domain::access::{Caller, Grant};
use domain::ids::KeyId;
use ipnet::IpNet;
use jiff::Timestamp;

use crate::LedgerError;

/// The SHA-256 hash of a key.
pub type KeyHash = [u8; 32];

/// A key to be made.
#[derive(Clone, Debug)]
pub struct CreateKey {
    /// Its name, unique for ever.
    pub name: String,
    /// The hash of its secret.
    pub hash: KeyHash,
    /// The visible beginning of it.
    pub prefix: String,
    /// What it permits.
    pub grant: Grant,
    /// Where it works; empty means everywhere.
    pub addresses: Vec<IpNet>,
}

/// A key on record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Who calls with it, and what that permits.
    pub caller: Caller,
    /// The hash of its secret.
    pub hash: KeyHash,
    /// The visible beginning of it.
    pub prefix: String,
    /// Where it works; empty means everywhere.
    pub addresses: Vec<IpNet>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// The keys.
pub trait KeyBook {
    /// Makes a key. `None` when the name is taken, by a revoked key also: names in the records stay
    /// unambiguous.
    fn create_key(&self, key: &CreateKey, now: Timestamp) -> Result<Option<KeyId>, LedgerError>;

    /// Revokes the key of that name. `false` when there is none. Idempotent.
    fn revoke_key(&self, name: &str, now: Timestamp) -> Result<bool, LedgerError>;

    /// All keys, revoked ones too, by number.
    fn list_keys(&self) -> Result<Vec<Key>, LedgerError>;

    /// The key with that hash, revoked or not.
    fn find_key(&self, hash: &KeyHash) -> Result<Option<Key>, LedgerError>;

    /// Grows whenever a key is made or revoked, by any process.
    fn keys_version(&self) -> Result<u64, LedgerError>;
}
