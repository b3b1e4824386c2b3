//! How a recorded conversion changes: never by overwriting. A change is worked out here from where the
//! conversion stands; the ledger keeps it as a dated adjustment and books the difference.

use jiff::Timestamp;
use thiserror::Error;

use crate::ids::{BatchId, ConversionId, KeyId, OfferId};
use crate::money::Amount;
use crate::status::ConversionStatus;

/// What a conversion is worth to either side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Worth {
    /// What the affiliate gets.
    pub payout: Amount,
    /// What the advertiser owes.
    pub revenue: Amount,
}

impl Worth {
    /// Nothing to anybody.
    pub const NOTHING: Self = Self { payout: Amount::ZERO, revenue: Amount::ZERO };
}

/// Where a conversion stands: its status, and its price with every adjustment so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The status.
    pub status: ConversionStatus,
    /// The price, whether or not it is paid in this status.
    pub price: Worth,
}

impl Standing {
    /// What it is worth as it stands: its price while it pays, else nothing.
    pub fn worth(self) -> Worth {
        if self.status.pays() { self.price } else { Worth::NOTHING }
    }
}

/// What an amount becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amend {
    /// This.
    Set(Amount),
    /// So much more, or less.
    Add(Amount),
}

impl Amend {
    fn apply(self, amount: Amount) -> Result<Amount, Unadjustable> {
        let amended = match self {
            Self::Set(amount) => amount,
            Self::Add(more) => amount.plus(more),
        };
        match amended {
            it if it < Amount::ZERO => Err(Unadjustable::Negative),
            it if it > Amount::MAX => Err(Unadjustable::TooLarge),
            it => Ok(it),
        }
    }
}

/// A change somebody asks for. What is absent stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// The status it is to have.
    pub status: Option<ConversionStatus>,
    /// Its payout.
    pub payout: Option<Amend>,
    /// Its revenue.
    pub revenue: Option<Amend>,
}

/// Why a change cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Unadjustable {
    /// The status does not follow from the present one.
    #[error("a conversion that is {from} cannot become {to}")]
    Status {
        /// The present one.
        from: ConversionStatus,
        /// The one asked for.
        to: ConversionStatus,
    },
    /// An amount would fall below zero.
    #[error("an amount may not fall below zero")]
    Negative,
    /// An amount would be beyond [`Amount::MAX`].
    #[error("an amount may be at most 1000000000")]
    TooLarge,
}

/// Where the conversion stands after the change.
pub fn adjust(standing: Standing, change: &Change) -> Result<Standing, Unadjustable> {
    let status = change.status.unwrap_or(standing.status);
    if status != standing.status && !standing.status.may_become(status) {
        return Err(Unadjustable::Status { from: standing.status, to: status });
    }
    let amended = |amend: Option<Amend>, amount| amend.map_or(Ok(amount), |amend| amend.apply(amount));
    let Worth { payout, revenue } = standing.price;
    let price = Worth { payout: amended(change.payout, payout)?, revenue: amended(change.revenue, revenue)? };
    Ok(Standing { status, price })
}

/// Where a conversion stands once an adjustment is taken back that others may have followed: the status it
/// had before, if it still has the one it was given, and the price without that difference.
pub fn undo(standing: Standing, undone: &Adjustment) -> Result<Standing, Unadjustable> {
    let Adjustment { before, after, .. } = undone;
    let status = if standing.status == after.status { before.status } else { standing.status };
    let back = |amount: Amount, from: Amount, to: Amount| Amend::Add(from.minus(to)).apply(amount);
    let price = Worth {
        payout: back(standing.price.payout, before.price.payout, after.price.payout)?,
        revenue: back(standing.price.revenue, before.price.revenue, after.price.revenue)?,
    };
    Ok(Standing { status, price })
}

crate::network::states! {
    /// What made an adjustment.
    Cause {
        /// Somebody changed this conversion.
        Update = "update",
        /// Somebody changed all conversions of a kind.
        MassAdjustment = "mass_adjustment",
        /// A file brought it.
        Import = "import",
        /// Its offer approves after a while.
        AutoApproval = "auto_approval",
        /// A reconciliation was accepted.
        Reconciliation = "reconciliation",
        /// A batch was taken back.
        Undo = "undo",
    }
}

/// The date a change counts for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EffectiveDate {
    /// The day it is made.
    #[default]
    Today,
    /// The date of the conversion.
    ConversionDate,
    /// Another one.
    Custom(Timestamp),
}

impl EffectiveDate {
    /// The moment it means.
    pub fn at(self, now: Timestamp, conversion_date: Timestamp) -> Timestamp {
        match self {
            Self::Today => now,
            Self::ConversionDate => conversion_date,
            Self::Custom(at) => at,
        }
    }
}

/// A change as the ledger keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adjustment {
    /// The conversion.
    pub conversion_id: ConversionId,
    /// Its offer.
    pub offer_id: OfferId,
    /// The number of the booking, from 1; 0 is the conversion's recording.
    pub booking: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// The date it counts for.
    pub effective: Timestamp,
    /// The key it was made with; none where the server itself did it.
    pub key_id: Option<KeyId>,
    /// Who made it: the key's name, or the server.
    pub actor: String,
    /// Why, in words.
    pub note: String,
    /// What made it.
    pub cause: Cause,
    /// The batch it belongs to.
    pub batch_id: Option<BatchId>,
    /// Where the conversion stood.
    pub before: Standing,
    /// Where it stands since.
    pub after: Standing,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::KeyId;

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    fn standing(status: ConversionStatus) -> Standing {
        Standing { status, price: Worth { payout: amount("18"), revenue: amount("22") } }
    }

    fn adjustment(before: Standing, after: Standing) -> Adjustment {
        Adjustment {
            conversion_id: ConversionId(1),
            offer_id: OfferId(1),
            booking: 1,
            made_at: Timestamp::UNIX_EPOCH,
            effective: Timestamp::UNIX_EPOCH,
            key_id: Some(KeyId(1)),
            actor: "ops".into(),
            note: String::new(),
            cause: Cause::Update,
            batch_id: None,
            before,
            after,
        }
    }

    #[test]
    fn what_is_absent_stays() {
        let before = standing(ConversionStatus::Approved);
        assert_eq!(adjust(before, &Change::default()), Ok(before));
    }

    #[test]
    fn amounts_are_set_or_added_to_and_never_fall_below_zero() {
        let check = |amend, expected: Result<&str, Unadjustable>| {
            let change = Change { payout: Some(amend), ..Change::default() };
            let payout = adjust(standing(ConversionStatus::Pending), &change).map(|it| it.price.payout);
            assert_eq!(payout, expected.map(amount));
        };
        let less = |text| Amend::Add(Amount::ZERO.minus(amount(text)));
        check(Amend::Set(amount("3.5")), Ok("3.5"));
        check(Amend::Add(amount("3.5")), Ok("21.5"));
        check(less("18"), Ok("0"));
        check(less("18.0001"), Err(Unadjustable::Negative));
        check(Amend::Add(Amount::MAX), Err(Unadjustable::TooLarge));
    }

    #[test]
    fn a_status_that_pays_nobody_is_worth_nothing_and_keeps_its_price() {
        let rejected = Change { status: Some(ConversionStatus::Reversed), ..Change::default() };
        let after = adjust(standing(ConversionStatus::Approved), &rejected).expect("may");
        assert_eq!((after.worth(), after.price.payout), (Worth::NOTHING, amount("18")));
        let again = Change { status: Some(ConversionStatus::Approved), ..Change::default() };
        assert_eq!(adjust(after, &again), Ok(standing(ConversionStatus::Approved)));
    }

    #[test]
    fn a_status_that_does_not_follow_is_refused_with_both_names() {
        let change = Change { status: Some(ConversionStatus::Approved), ..Change::default() };
        let error = adjust(standing(ConversionStatus::Ignored), &change).expect_err("refused");
        assert_eq!(error.to_string(), "a conversion that is ignored cannot become approved");
    }

    #[test]
    fn an_effective_date_is_today_the_conversions_or_another() {
        let [now, then, other] = [3, 1, 2].map(|second| Timestamp::from_second(second).expect("in range"));
        assert_eq!(EffectiveDate::Today.at(now, then), now);
        assert_eq!(EffectiveDate::ConversionDate.at(now, then), then);
        assert_eq!(EffectiveDate::Custom(other).at(now, then), other);
    }

    fn any_standing() -> impl Strategy<Value = Standing> {
        let status = proptest::sample::select(ConversionStatus::ALL.to_vec());
        (status, 0i64..1000, 0i64..1000).prop_map(|(status, payout, revenue)| {
            let amount = |steps: i64| Amount::from_micros(steps * 100).expect("steps");
            Standing { status, price: Worth { payout: amount(payout), revenue: amount(revenue) } }
        })
    }

    proptest! {
        #[test]
        fn taking_back_the_last_adjustment_restores_what_was(before in any_standing(), after in any_standing()) {
            prop_assert_eq!(undo(after, &adjustment(before, after)), Ok(before));
        }

        #[test]
        fn taking_back_an_earlier_one_keeps_the_price_differences_of_the_later(
            first in any_standing(), second in any_standing(), third in any_standing(),
        ) {
            if let Ok(undone) = undo(third, &adjustment(first, second)) {
                let difference = |of: fn(Worth) -> Amount| {
                    of(third.price).minus(of(second.price)).plus(of(first.price))
                };
                prop_assert_eq!(undone.price.payout, difference(|it| it.payout));
                prop_assert_eq!(undone.price.revenue, difference(|it| it.revenue));
            }
        }
    }
}
