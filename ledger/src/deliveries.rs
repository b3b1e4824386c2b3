//! Deliveries: a queue by lease. They are rows of the transaction that caused them; who tries one claims it
//! for a while, and finishing demands that the lease is still its own. No transaction is open while a
//! receiver is called.

use domain::conversion::Conversion;
use domain::delivery::{Delivery, DeliveryId, DeliveryStatus, Try};
use domain::ids::{AffiliateId, ConversionId, NodeNumber, OfferId, PostbackId};
use domain::postback::Receiver;
use domain::retry::Step;
use jiff::Timestamp;

use crate::{LedgerError, Page};

/// A receiver with deliveries that are due now or later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DueReceiver {
    /// The receiver.
    pub receiver: Receiver,
    /// When its next delivery is due.
    pub next_try_at: Timestamp,
}

/// What a worker asks for.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The server that claims.
    pub node: NodeNumber,
    /// A number nobody else uses: the lease.
    pub lease: u64,
    /// When the lease ends.
    pub until: Timestamp,
    /// Of which receivers, and how many of each at most.
    pub wanted: Vec<(Receiver, u32)>,
}

/// A delivery that is the worker's to try, with what it tells of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// The delivery.
    pub delivery: Delivery,
    /// Its conversion as it is now; what is told is how it stood by the cause. None where it is damaged, which
    /// holds up no other delivery.
    pub conversion: Option<Conversion>,
}

/// What came of a delivery that was claimed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    /// The delivery.
    pub id: DeliveryId,
    /// The lease it was claimed by.
    pub lease: u64,
    /// The conversion's offer.
    pub offer_id: OfferId,
    /// The try; none where it was not even tried, because its postback is switched off.
    pub tried: Option<Try>,
    /// What becomes of it.
    pub step: Step,
}

/// Which deliveries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeliveryFilter {
    /// This one.
    pub id: Option<DeliveryId>,
    /// Of this conversion.
    pub conversion_id: Option<ConversionId>,
    /// Of this postback.
    pub postback_id: Option<PostbackId>,
    /// Of this affiliate's conversions.
    pub affiliate_id: Option<AffiliateId>,
    /// Only of postbacks that are this affiliate's own: what its key may see.
    pub own_of: Option<AffiliateId>,
    /// On this offer.
    pub offer_id: Option<OfferId>,
    /// Standing so.
    pub status: Option<DeliveryStatus>,
    /// Caused at or after this.
    pub from: Option<Timestamp>,
    /// Caused before this.
    pub until: Option<Timestamp>,
}

/// What a step of a replay did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replayed {
    /// How many deliveries are due again.
    pub replayed: u64,
    /// Where to go on; none where all have been looked at.
    pub next: Option<DeliveryId>,
}

/// How many deliveries wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeliveryCounts {
    /// Due now or later.
    pub due: u64,
    /// Held.
    pub held: u64,
}

/// The queue of deliveries, and the record of what became of them.
pub trait DeliveryBook {
    /// The receivers that have deliveries due now or later, with the moment of the next of each. A claimed
    /// one is due when its lease ends, and one that waits for an earlier cause no sooner than that is; while
    /// the earlier one is being tried it may be listed and not to be had.
    fn list_due_receivers(&self) -> Result<Vec<DueReceiver>, LedgerError>;

    /// Leases deliveries that are due at `now`, of each receiver those that have been due longest. Two claims
    /// never hold the same one. One whose conversion has an earlier due one for the same receiver waits for
    /// that one: causes of one conversion are told in their order.
    fn claim_due(&self, claim: &Claim, now: Timestamp) -> Result<Vec<Claimed>, LedgerError>;

    /// Keeps the tries, each once however often it is told of, and takes the next step of those deliveries
    /// whose lease is still theirs. Returns how many that were; of the others only the try is kept.
    fn finish_deliveries(&self, finished: &[Finished]) -> Result<u64, LedgerError>;

    /// Makes what a server has claimed due at once, if it is: for a server that has just started, whose
    /// leases can only be those of its life before.
    fn release_leases(&self, node: NodeNumber, now: Timestamp) -> Result<u64, LedgerError>;

    /// A page of deliveries in the order of their ids, and how many match in all.
    fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Delivery>, LedgerError>;

    /// The deliveries after `after` in the order of their ids, `limit` at most: for walks that miss none
    /// that was there when they began.
    fn list_deliveries_after(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError>;

    /// The deliveries that match in the order of their causes' dates and then ids, from after that place on,
    /// `limit` at most: for walks that miss none that was there when they began, and meet none twice.
    fn list_deliveries_by_cause(
        &self,
        filter: &DeliveryFilter,
        after: Option<(Timestamp, DeliveryId)>,
        limit: u32,
    ) -> Result<Vec<Delivery>, LedgerError>;

    /// The tries of each delivery, oldest first, in the order of the ids.
    fn list_tries(&self, ids: &[DeliveryId]) -> Result<Vec<Vec<Try>>, LedgerError>;

    /// Makes deliveries due again that match and are not due, in the order of their ids after `after`,
    /// looking at `limit` of them at most. A new round of tries begins; the tries so far stay. What is for
    /// browsers is left: the browser that it was handed to has gone.
    fn replay_deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Replayed, LedgerError>;

    /// How many deliveries a replay would make due.
    fn count_replayable(&self, filter: &DeliveryFilter) -> Result<u64, LedgerError>;

    /// How many deliveries wait.
    fn count_deliveries(&self) -> Result<DeliveryCounts, LedgerError>;
}
