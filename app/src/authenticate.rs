//! Who calls: from a key's secret to what it permits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::access::Caller;
use ledger::Key;
use sha2::{Digest, Sha256};

use crate::failure::blocking;
use crate::{App, Failure};

/// Longer texts are no key of ours and are not hashed.
const KEY_BYTES_MAX: usize = 200;

impl App {
    /// The caller whose key this is; none when there is no such key, or it is revoked. A key that
    /// another process has just made is known at once, one it has revoked is refused within a second. A key
    /// that works from some addresses only permits nothing from others.
    pub async fn authenticate(&self, secret: &str, address: IpAddr) -> Result<Option<Caller>, Failure> {
        if secret.len() > KEY_BYTES_MAX {
            return Ok(None);
        }
        let hash = Sha256::digest(secret.as_bytes()).into();
        if let Some(key) = self.keys.load().get(&hash) {
            return caller(key, address);
        }
        let ledger = Arc::clone(&self.ledger);
        let key = blocking(move || Ok(ledger.find_key(&hash)?)).await?;
        key.map_or(Ok(None), |key| caller(&key, address))
    }

    /// Looks whether another process has changed the keys, the network or the files about addresses, and takes that up. Called
    /// about once a second.
    pub async fn refresh(&self) -> Result<(), Failure> {
        let ledger = Arc::clone(&self.ledger);
        let (keys, network) =
            blocking(move || Ok((ledger.keys_version()?, ledger.network_version()?))).await?;
        if keys != self.keys_version.load(Ordering::Acquire) {
            let ledger = Arc::clone(&self.ledger);
            let all = blocking(move || Ok(ledger.list_keys()?)).await?;
            let by_hash: HashMap<_, _> = all.into_iter().map(|key| (key.hash, key)).collect();
            self.keys.store(Arc::new(by_hash));
            self.keys_version.store(keys, Ordering::Release);
        }
        self.reload_network(network).await?;
        let places = Arc::clone(&self.places);
        blocking(move || {
            if let Err(error) = places.reload() {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "a file about addresses has changed and cannot be read; the one before stays"
                );
            }
            Ok(())
        })
        .await
    }
}

fn caller(key: &Key, address: IpAddr) -> Result<Option<Caller>, Failure> {
    if key.revoked.is_some() {
        return Ok(None);
    }
    let works_here = key.addresses.is_empty() || key.addresses.iter().any(|range| range.contains(&address));
    if works_here { Ok(Some(key.caller.clone())) } else { Err(Failure::NotPermitted) }
}
