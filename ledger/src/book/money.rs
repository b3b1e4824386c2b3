//! What every change of a conversion's worth writes: lines of money, and what is counted by.

use std::collections::BTreeMap;

use domain::adjustment::Worth;
use domain::conversion::Conversion;
use domain::entry::{Account, lines};
use domain::ids::OfferId;
use domain::status::ConversionStatus;
use jiff::Timestamp;

use crate::LedgerError;
use crate::database::{Session, values};

pub(super) const DAY_MICROS: i64 = 24 * 3_600_000_000;

/// A booking of a conversion: what it was worth before and is worth after.
pub(super) struct Booking<'c> {
    pub conversion: &'c Conversion,
    pub number: u32,
    pub before: Worth,
    pub after: Worth,
    pub effective: Timestamp,
    pub recorded_at: Timestamp,
}

impl<'c> Booking<'c> {
    /// The first booking of a conversion; none where it pays nobody.
    pub(super) fn recording(conversion: &'c Conversion) -> Option<Self> {
        conversion.standing.status.pays().then(|| Self {
            conversion,
            number: 0,
            before: Worth::NOTHING,
            after: conversion.standing.worth(),
            effective: conversion.conversion_date,
            recorded_at: conversion.recorded_at,
        })
    }
}

/// Writes the lines of these bookings.
pub(super) fn book(session: &mut dyn Session, bookings: &[Booking<'_>]) -> Result<(), LedgerError> {
    let sql = "-- book\n\
        INSERT INTO entries (offer_id, conversion_id, booking, account, party_id, currency, amount, effective, \
        recorded_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let rows = bookings.iter().flat_map(|it| {
        let Booking { conversion, number, effective, recorded_at, .. } = it;
        lines(it.before, it.after).map(|line| {
            let party_id = match line.account {
                Account::AdvertiserReceivable => conversion.advertiser_id.0,
                Account::AffiliatePayable => conversion.affiliate_id.0,
                Account::NetworkMargin => 0,
            };
            values![
                conversion.offer_id,
                conversion.id,
                *number,
                line.account.name(),
                party_id,
                conversion.currency.as_str(),
                line.amount,
                *effective,
                *recorded_at,
            ]
        })
    });
    session.execute_all(sql, &rows.collect::<Vec<_>>()).map(drop)
}

/// Changes of what lists are counted by, gathered so that each row is written once.
#[derive(Default)]
pub(super) struct Tally {
    counts: BTreeMap<(i64, OfferId, ConversionStatus), i64>,
}

impl Tally {
    /// A conversion as it stands is to be counted.
    pub(super) fn add(&mut self, conversion: &Conversion) {
        self.change(conversion, 1);
    }

    /// A conversion as it stood is no longer to be counted.
    pub(super) fn remove(&mut self, conversion: &Conversion) {
        self.change(conversion, -1);
    }

    fn change(&mut self, it: &Conversion, by: i64) {
        let happened = it.conversion_date.as_microsecond();
        let day = happened - happened.rem_euclid(DAY_MICROS);
        *self.counts.entry((day, it.offer_id, it.standing.status)).or_default() += by;
    }

    /// Adds what was gathered to what is kept.
    pub(super) fn write(self, session: &mut dyn Session) -> Result<(), LedgerError> {
        let sql = "-- write_counts\n\
            INSERT INTO conversion_counts (day, offer_id, status, conversions) VALUES (?1, ?2, ?3, ?4) \
            ON CONFLICT (day, offer_id, status) \
            DO UPDATE SET conversions = conversion_counts.conversions + excluded.conversions";
        let rows =
            self.counts.iter().filter(|(_, conversions)| **conversions != 0).map(
                |((day, offer, status), conversions)| values![*day, *offer, status.name(), *conversions],
            );
        session.execute_all(sql, &rows.collect::<Vec<_>>()).map(drop)
    }
}
