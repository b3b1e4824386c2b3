//! Double entry: whatever a conversion is worth stands on three lines whose sum is zero. A line is never
//! changed; what changes later is a new booking of three lines more.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use thiserror::Error;

use crate::adjustment::Worth;
use crate::ids::{ConversionId, OfferId, StatementId};
use crate::money::{Amount, Currency};

crate::network::states! {
    /// Where a line stands.
    Account {
        /// What an advertiser owes the network: positive.
        AdvertiserReceivable = "advertiser_receivable",
        /// What the network owes an affiliate: negative.
        AffiliatePayable = "affiliate_payable",
        /// What stays with the network: negative where it earns, positive where it loses.
        NetworkMargin = "network_margin",
    }
}

/// One line of a booking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// Where it stands.
    pub account: Account,
    /// How much, in the conversion's currency; a booking's lines add up to nothing.
    pub amount: Amount,
}

/// The lines that bring the books from what a conversion was worth to what it is worth.
pub fn lines(before: Worth, after: Worth) -> [Line; 3] {
    let revenue = after.revenue.minus(before.revenue);
    let payout = after.payout.minus(before.payout);
    [
        Line { account: Account::AdvertiserReceivable, amount: revenue },
        Line { account: Account::AffiliatePayable, amount: Amount::ZERO.minus(payout) },
        Line { account: Account::NetworkMargin, amount: payout.minus(revenue) },
    ]
}

/// What tells a line from all others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryId {
    /// The conversion.
    pub conversion_id: ConversionId,
    /// Which of its bookings: 0 is its recording, others are its adjustments by number.
    pub booking: u32,
    /// Where it stands.
    pub account: Account,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.conversion_id, self.booking, self.account.name())
    }
}

/// A text that is no line's id.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a line: it is two numbers and an account, such as 1042-0-affiliate_payable")]
pub struct NotAnEntryId;

impl FromStr for EntryId {
    type Err = NotAnEntryId;

    fn from_str(text: &str) -> Result<Self, NotAnEntryId> {
        let mut parts = text.splitn(3, '-');
        let mut number = || parts.next().filter(|it| it.bytes().all(|b| b.is_ascii_digit()));
        let (conversion_id, booking) = (number(), number());
        let mut read = || {
            Some(Self {
                conversion_id: conversion_id?.parse().ok()?,
                booking: booking?.parse().ok()?,
                account: parts.next()?.parse().ok()?,
            })
        };
        read().ok_or(NotAnEntryId)
    }
}

/// A line as the ledger keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The conversion.
    pub conversion_id: ConversionId,
    /// Which of its bookings: 0 is its recording, others are its adjustments by number.
    pub booking: u32,
    /// The offer.
    pub offer_id: OfferId,
    /// Where it stands, and how much.
    pub line: Line,
    /// The number of the advertiser or affiliate; 0 for the network itself.
    pub party_id: u32,
    /// The currency.
    pub currency: Currency,
    /// The date it counts for.
    pub effective: Timestamp,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// The statement it is on.
    pub statement_id: Option<StatementId>,
}

impl Entry {
    /// What tells it from all others.
    pub fn id(&self) -> EntryId {
        EntryId { conversion_id: self.conversion_id, booking: self.booking, account: self.line.account }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lines_id_is_read_as_it_prints_and_nothing_else_is() {
        for account in Account::ALL {
            let id = EntryId { conversion_id: ConversionId(1042), booking: 3, account: *account };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for text in [
            "",
            "1",
            "1-0",
            "1-0-",
            "1-0-cash",
            "x-0-network_margin",
            "1--network_margin",
            "+1-0-network_margin",
        ] {
            assert_eq!(text.parse::<EntryId>(), Err(NotAnEntryId), "{text}");
        }
    }

    fn worth(payout: i64, revenue: i64) -> Worth {
        let amount = |steps: i64| Amount::from_micros(steps * 100).expect("steps");
        Worth { payout: amount(payout), revenue: amount(revenue) }
    }

    proptest! {
        #[test]
        fn a_bookings_lines_add_up_to_nothing_and_many_bookings_to_the_last_worth(
            worths in proptest::collection::vec((0i64..10_000_000, 0i64..10_000_000), 1..8),
        ) {
            let (mut owed, mut due) = (Amount::ZERO, Amount::ZERO);
            let mut before = Worth::NOTHING;
            for (payout, revenue) in worths {
                let after = worth(payout, revenue);
                let booked = lines(before, after);
                prop_assert_eq!(booked.iter().map(|it| it.amount.micros()).sum::<i64>(), 0);
                due = due.plus(booked[0].amount);
                owed = owed.minus(booked[1].amount);
                prop_assert_eq!(Worth { payout: owed, revenue: due }, after);
                before = after;
            }
        }
    }
}
