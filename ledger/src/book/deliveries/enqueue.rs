//! Writing deliveries with what causes them, in its transaction.

use domain::adjustment::Standing;
use domain::conversion::Conversion;
use domain::delivery::{Delivery, DeliveryCause, DeliveryId, DeliveryStatus, Try, TryOutcome, mask};
use domain::postback::{Postback, Receiver};
use jiff::{Timestamp, ToSpan};

use super::{INSERT_TRY, try_row};
use crate::LedgerError;
use crate::database::{Session, Value, values};

/// The lease of what is delivered without ever being claimed.
const NO_LEASE: i64 = 0;

/// A delivery that is new.
pub(in crate::book) struct Enqueued {
    pub(in crate::book) delivery: Delivery,
    /// How the buyer's browser was told, where it is: then it is delivered already.
    handed_out: Option<Try>,
}

impl Enqueued {
    /// What a booking of a conversion, by which it stands as it does now, has a postback tell.
    pub(in crate::book) fn new(
        conversion: &Conversion,
        booking: u32,
        before: Option<Standing>,
        postback: &Postback,
        caused_at: Timestamp,
    ) -> Self {
        let handed_out = postback.postback_type.is_for_browsers().then(|| Try {
            tried_at: caused_at,
            url: mask(postback.url.as_str()),
            outcome: TryOutcome::HandedOut,
            duration_ms: 0,
        });
        let tries = u32::from(handed_out.is_some());
        let delay = i64::from(postback.delay_seconds).seconds();
        let delivery = Delivery {
            id: DeliveryId { conversion_id: conversion.id, booking, postback_id: postback.id },
            offer_id: conversion.offer_id,
            affiliate_id: conversion.affiliate_id,
            receiver: Receiver::of(&postback.url),
            cause: DeliveryCause::of(before, conversion.standing),
            standing: conversion.standing,
            caused_at,
            status: if handed_out.is_some() { DeliveryStatus::Delivered } else { DeliveryStatus::Due },
            next_try_at: caused_at.saturating_add(delay).unwrap_or(Timestamp::MAX),
            tries,
            round: tries,
        };
        Self { delivery, handed_out }
    }
}

/// Writes new deliveries.
pub(in crate::book) fn enqueue(session: &mut dyn Session, enqueued: &[Enqueued]) -> Result<(), LedgerError> {
    let rows: Vec<_> = enqueued.iter().map(|it| delivery_row(&it.delivery)).collect();
    session.execute_all(INSERT_DELIVERY, &rows)?;
    let tries = enqueued.iter().filter_map(|Enqueued { delivery, handed_out }| {
        Some(try_row(delivery.id, delivery.offer_id, NO_LEASE, handed_out.as_ref()?))
    });
    session.execute_all(INSERT_TRY, &tries.collect::<Vec<_>>()).map(drop)
}

const INSERT_DELIVERY: &str = "-- insert_delivery\n\
    INSERT INTO deliveries (offer_id, conversion_id, booking, postback_id, affiliate_id, receiver, cause, \
    conversion_status, payout, revenue, caused_at, status, next_try_at, tries, round) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

fn delivery_row(it: &Delivery) -> Vec<Value<'_>> {
    values![
        it.offer_id,
        it.id.conversion_id,
        it.id.booking,
        it.id.postback_id,
        it.affiliate_id,
        it.receiver,
        it.cause.name(),
        it.standing.status.name(),
        it.standing.price.payout,
        it.standing.price.revenue,
        it.caused_at,
        it.status.name(),
        it.next_try_at,
        it.tries,
        it.round,
    ]
}
