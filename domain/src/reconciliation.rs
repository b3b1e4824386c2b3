//! Reconciliation: an advertiser's list of conversions beside ours. Which class a pair belongs to stands
//! here; which rows are pairs is decided in [`pairing`], what leads from their total to ours in [`bridge`],
//! and why a row is what it is in [`reason`].

pub mod bridge;
pub mod pairing;
pub mod reason;

use crate::money::{Amount, Currency};
use crate::status::ConversionStatus;

crate::network::states! {
    /// What a row of either side is. Each is exactly one of these.
    RowClass {
        /// Both sides have it, and say the same.
        Matched = "matched",
        /// They have it, and we do not.
        MissingHere = "missing_here",
        /// We have it, and they do not.
        MissingThere = "missing_there",
        /// The amounts are not the same.
        AmountDiffers = "amount_differs",
        /// One side pays and the other does not, or not yet.
        StatusDiffers = "status_differs",
        /// The amounts are in different currencies.
        CurrencyDiffers = "currency_differs",
        /// It is in their list more than once.
        DuplicateThere = "duplicate_there",
        /// One side dates it outside the range that is asked about.
        OutsideRange = "outside_range",
        /// It cannot be read.
        Unreadable = "unreadable",
    }
}

impl RowClass {
    /// Whether such a row can be accepted: the other classes name no change of ours.
    pub fn is_acceptable(self) -> bool {
        matches!(self, Self::MissingHere | Self::MissingThere | Self::AmountDiffers | Self::StatusDiffers)
    }
}

/// Where a date lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the range that is asked about.
    Inside,
    /// Outside, by no more than is tolerated.
    Near,
    /// Outside.
    Outside,
}

/// A row of theirs, as far as it is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TheirSide {
    /// What they say they owe.
    pub amount: Amount,
    /// Its currency, where they say.
    pub currency: Option<Currency>,
    /// How it stands, where they say.
    pub status: Option<ConversionStatus>,
    /// Where their date lies; inside where they have none.
    pub place: Place,
}

/// A conversion of ours, as far as it is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OurSide {
    /// What it is worth to the advertiser.
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
    /// How it stands.
    pub status: ConversionStatus,
    /// Where its date lies.
    pub place: Place,
}

/// What a pair is. Where it differs in several ways, the first of: range, currency, status, amount.
pub fn classify(theirs: &TheirSide, ours: &OurSide, tolerance: Amount) -> RowClass {
    if theirs.place == Place::Outside || ours.place == Place::Outside {
        RowClass::OutsideRange
    } else if theirs.currency.is_some_and(|it| it != ours.currency) {
        RowClass::CurrencyDiffers
    } else if theirs.status.is_some_and(|it| !agree(it, ours.status)) {
        RowClass::StatusDiffers
    } else if apart(theirs.amount, ours.amount) > tolerance {
        RowClass::AmountDiffers
    } else {
        RowClass::Matched
    }
}

/// What a conversion of ours is that they do not have: nothing is missing where neither side pays.
pub fn classify_alone(ours: ConversionStatus) -> RowClass {
    if ours.pays() { RowClass::MissingThere } else { RowClass::Matched }
}

/// Whether two statuses say the same. Those that pay nobody do: a sale that they have cancelled may have
/// been rejected here, or reversed.
pub fn agree(theirs: ConversionStatus, ours: ConversionStatus) -> bool {
    theirs == ours || !(theirs.pays() || ours.pays())
}

/// How far apart two amounts are.
pub fn apart(one: Amount, other: Amount) -> Amount {
    if one > other { one.minus(other) } else { other.minus(one) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConversionStatus::{Approved, Ignored, Pending, Rejected, Reversed};

    const EUR: &str = "EUR";

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    fn theirs(text: &str, status: Option<ConversionStatus>) -> TheirSide {
        TheirSide { amount: amount(text), currency: Some(Currency::USD), status, place: Place::Inside }
    }

    fn ours(text: &str, status: ConversionStatus) -> OurSide {
        OurSide { amount: amount(text), currency: Currency::USD, status, place: Place::Inside }
    }

    #[test]
    fn a_pair_is_what_it_differs_in_first() {
        use RowClass::{AmountDiffers, CurrencyDiffers, Matched, OutsideRange, StatusDiffers};
        let check = |theirs: TheirSide, ours: OurSide, expected| {
            assert_eq!(classify(&theirs, &ours, amount("0.01")), expected, "{theirs:?} {ours:?}");
        };
        check(theirs("22", Some(Approved)), ours("22", Approved), Matched);
        check(theirs("22.01", Some(Approved)), ours("22", Approved), Matched);
        check(theirs("21.99", None), ours("22", Approved), Matched);
        check(theirs("22.0101", Some(Approved)), ours("22", Approved), AmountDiffers);
        check(theirs("22", None), ours("0", Rejected), AmountDiffers);
        check(theirs("22", Some(Approved)), ours("22", Pending), StatusDiffers);
        check(theirs("22", Some(Approved)), ours("0", Ignored), StatusDiffers);
        check(theirs("0", Some(Reversed)), ours("22", Approved), StatusDiffers);
        let eur = Some(EUR.parse().expect("a currency"));
        let abroad = |it: TheirSide| TheirSide { currency: eur, ..it };
        check(abroad(theirs("9", Some(Reversed))), ours("22", Approved), CurrencyDiffers);
        let nowhere = TheirSide { currency: None, ..theirs("22", None) };
        check(nowhere, ours("22", Approved), Matched);
        let near = OurSide { place: Place::Near, ..ours("22", Approved) };
        check(theirs("22", None), near, Matched);
        let outside = OurSide { place: Place::Outside, ..ours("22", Approved) };
        check(abroad(theirs("9", None)), outside, OutsideRange);
        let late = TheirSide { place: Place::Outside, ..theirs("22", None) };
        check(late, ours("22", Approved), OutsideRange);
    }

    #[test]
    fn what_pays_nobody_on_either_side_is_agreed_on() {
        for status in [Rejected, Reversed, Ignored] {
            assert_eq!(classify_alone(status), RowClass::Matched);
            for other in [Rejected, Reversed, Ignored] {
                assert!(agree(status, other));
            }
            for paying in [Pending, Approved] {
                assert!(!agree(status, paying) && !agree(paying, status));
            }
        }
        assert!(!agree(Pending, Approved));
        assert_eq!(classify_alone(Pending), RowClass::MissingThere);
    }

    #[test]
    fn only_what_would_change_something_of_ours_can_be_accepted() {
        let acceptable: Vec<_> = RowClass::ALL.iter().filter(|it| it.is_acceptable()).collect();
        let names: Vec<_> = acceptable.into_iter().map(|it| it.name()).collect();
        assert_eq!(names, ["missing_here", "missing_there", "amount_differs", "status_differs"]);
    }
}
