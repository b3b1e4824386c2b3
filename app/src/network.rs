//! The network in memory: an immutable snapshot, swapped whole when the ledger's has changed.

use std::sync::Arc;

use domain::network::Network;

use crate::failure::blocking;
use crate::{App, Failure};

impl App {
    /// Sees to it that the snapshot is at least of `version`. Many changes at once share a reload.
    pub(crate) async fn reload_network(&self, version: u64) -> Result<(), Failure> {
        if self.network.load().version >= version {
            return Ok(());
        }
        let _one_at_a_time = self.network_refresh.lock().await;
        if self.network.load().version >= version {
            return Ok(());
        }
        let ledger = Arc::clone(&self.ledger);
        let network = blocking(move || Ok(Network::new(ledger.load_network()?))).await?;
        self.count_caps(&network).await?;
        self.network.store(Arc::new(network));
        Ok(())
    }
}
