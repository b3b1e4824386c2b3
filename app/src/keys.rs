//! Making keys: 256 random bits behind a visible prefix, shown once, kept as a hash.

use std::fmt::Write as _;

use domain::access::{BadGrant, Grant};
use ipnet::IpNet;
use jiff::Timestamp;
use ledger::{CreateKey, KeyBook, LedgerError};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// What every key begins with, so that a leaked one is recognised for what it is.
const PREFIX: &str = "crumb_";
/// How much of a key stays visible in lists: enough to tell keys apart, of 64 digits far too little to guess.
const VISIBLE: usize = PREFIX.len() + 6;

/// What a key is to be.
pub struct KeyTerms<'k> {
    /// What it will be known by.
    pub name: &'k str,
    /// What it permits.
    pub grant: Grant,
    /// Where it works; empty means everywhere.
    pub addresses: Vec<IpNet>,
}

impl<'k> KeyTerms<'k> {
    /// A key of that name that works everywhere.
    pub fn of(name: &'k str, grant: Grant) -> Self {
        Self { name, grant, addresses: Vec::new() }
    }
}

/// A key that was just made. Nobody can show its secret again.
pub struct NewKey {
    /// The key itself.
    pub secret: String,
}

/// Why no key was made.
#[derive(Debug, Error)]
pub enum CreateKeyError {
    /// The name is taken.
    #[error("there is a key named {0} already; names are never used twice")]
    NameTaken(String),
    /// The name cannot be used.
    #[error("a key's name has 1 to 100 characters")]
    BadName,
    /// The combination makes no sense.
    #[error(transparent)]
    BadGrant(#[from] BadGrant),
    /// The ledger failed.
    #[error("the key could not be stored")]
    Ledger(#[from] LedgerError),
}

/// Makes a key from 256 random bits.
pub fn create_key(
    book: &dyn KeyBook,
    key: KeyTerms<'_>,
    random: [u64; 4],
    now: Timestamp,
) -> Result<NewKey, CreateKeyError> {
    let KeyTerms { name, grant, addresses } = key;
    let grant = grant.check()?;
    if !(1..=100).contains(&name.chars().count()) {
        return Err(CreateKeyError::BadName);
    }
    let mut secret = PREFIX.to_owned();
    for word in random {
        write!(secret, "{word:016x}").expect("writing to a string");
    }
    let key = CreateKey {
        name: name.to_owned(),
        hash: Sha256::digest(secret.as_bytes()).into(),
        prefix: secret[..VISIBLE].to_owned(),
        grant,
        addresses,
    };
    match book.create_key(&key, now)? {
        Some(_) => Ok(NewKey { secret }),
        None => Err(CreateKeyError::NameTaken(name.to_owned())),
    }
}
