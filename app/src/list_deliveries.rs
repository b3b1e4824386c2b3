//! Deliveries with their tries, and making them due again.

use std::sync::Arc;

use domain::access::Caller;
use domain::delivery::{Delivery, DeliveryId, Try};
use domain::network::Network;
use domain::postback::Postback;
use ledger::{DeliveryFilter, Ledger, Replayed};

use crate::failure::blocking;
use crate::{App, Failure};

/// Deliveries that one step of a replay looks at: a transaction of well under a second.
const REPLAYED_MAX: u32 = 10_000;

/// Where a page begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryStart {
    /// At this row.
    Row(u64),
    /// After this delivery.
    After(DeliveryId),
}

/// A delivery with what is told beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryRow {
    /// The delivery.
    pub delivery: Delivery,
    /// Its tries, oldest first.
    pub tries: Vec<Try>,
    /// Its postback as it is now.
    pub postback: Option<Arc<Postback>>,
}

/// A page of deliveries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryList {
    /// All matches, before paging.
    pub total: u64,
    /// The page, by delivery id.
    pub rows: Vec<DeliveryRow>,
}

/// What a replay did, or would do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replay {
    /// So many would be due again.
    Foreseen(u64),
    /// What this step made due, and where the next begins.
    Done(Replayed),
}

impl App {
    /// Lists deliveries by their ids: for an affiliate those of its own postbacks.
    pub async fn list_deliveries(
        &self,
        caller: &Caller,
        mut filter: DeliveryFilter,
        start: DeliveryStart,
        limit: u32,
    ) -> Result<DeliveryList, Failure> {
        let view = caller.may_read()?;
        filter.affiliate_id = view.affiliate(filter.affiliate_id)?;
        filter.own_of = view.affiliate_id;
        let _turn = self.turn().await?;
        let (ledger, network) = (Arc::clone(&self.ledger), self.network.load_full());
        blocking(move || {
            let (offset, of_page) = match start {
                DeliveryStart::Row(offset) => (offset, limit),
                DeliveryStart::After(_) => (0, 0),
            };
            let page = ledger.list_deliveries(&filter, offset, of_page)?;
            let deliveries = match start {
                DeliveryStart::Row(_) => page.rows,
                DeliveryStart::After(id) => ledger.list_deliveries_after(&filter, Some(id), limit)?,
            };
            Ok(DeliveryList { total: page.total, rows: with_tries(&*ledger, deliveries, &network)? })
        })
        .await
    }

    /// Makes deliveries due again that match and are not due, from after `after` on, one step at a time; or
    /// only counts them.
    pub async fn replay_deliveries(
        &self,
        caller: &Caller,
        filter: DeliveryFilter,
        after: Option<DeliveryId>,
        is_dry_run: bool,
    ) -> Result<Replay, Failure> {
        caller.may_administer()?;
        let _turn = self.turn().await?;
        let (ledger, now) = (Arc::clone(&self.ledger), self.clock.now());
        blocking(move || {
            Ok(if is_dry_run {
                Replay::Foreseen(ledger.count_replayable(&filter)?)
            } else {
                Replay::Done(ledger.replay_deliveries(&filter, after, REPLAYED_MAX, now)?)
            })
        })
        .await
    }
}

/// Deliveries with their tries and their postbacks.
pub(crate) fn with_tries(
    ledger: &dyn Ledger,
    deliveries: Vec<Delivery>,
    network: &Network,
) -> Result<Vec<DeliveryRow>, Failure> {
    let ids: Vec<_> = deliveries.iter().map(|it| it.id).collect();
    let tries = ledger.list_tries(&ids)?;
    let row = |(delivery, tries): (Delivery, Vec<Try>)| {
        let postback = network.postback(delivery.id.postback_id).map(Arc::clone);
        DeliveryRow { delivery, tries, postback }
    };
    Ok(deliveries.into_iter().zip(tries).map(row).collect())
}
