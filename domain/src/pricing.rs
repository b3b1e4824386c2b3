//! What a conversion pays and earns. Nearest scope first: the call's own amounts where the caller
//! may override, then the campaign, then the offer. Rounding happens here, once.

use thiserror::Error;

use crate::money::{Amount, MICROS_PER_STEP};

/// How a payout or a revenue is worked out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PriceType {
    /// A fixed amount for each conversion (`cpa`).
    Cpa,
    /// A percentage of the sale amount (`revshare`): 70 means 70 %.
    Revshare,
}

impl PriceType {
    /// Its name in the API and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpa => "cpa",
            Self::Revshare => "revshare",
        }
    }

    /// Reads a name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Cpa, Self::Revshare].into_iter().find(|it| it.name().eq_ignore_ascii_case(name))
    }
}

/// One side of a price: a type and its number (an amount, or a percentage).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How the number is to be read.
    pub price_type: PriceType,
    /// An amount, or a percentage.
    pub number: Amount,
}

/// The scope whose price decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PriceScope {
    /// The call carried the amount itself.
    Call,
    /// The campaign's price.
    Campaign,
    /// The offer's price.
    Offer,
}

impl PriceScope {
    /// Its name in the API and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Campaign => "campaign",
            Self::Offer => "offer",
        }
    }

    /// The scope of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Call, Self::Campaign, Self::Offer].into_iter().find(|it| it.name() == name)
    }
}

/// Why no price could be worked out.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PriceError {
    /// A percentage applies and the call carries no sale amount.
    #[error("an amount is required, because the price is a percentage of it")]
    AmountRequired,
    /// The result is beyond [`Amount::MAX`].
    #[error("the price is too large")]
    TooLarge,
}

/// Works out one side of the price. `given` is the call's own amount (already permitted),
/// `campaign` the campaign's number where it has one; it is read in the offer's price type.
pub fn price(
    given: Option<Amount>,
    campaign: Option<Amount>,
    offer: Rate,
    sale: Option<Amount>,
) -> Result<(Amount, PriceScope), PriceError> {
    match (given, campaign) {
        (Some(amount), _) => Ok((amount, PriceScope::Call)),
        (None, Some(number)) => Ok((apply(Rate { number, ..offer }, sale)?, PriceScope::Campaign)),
        (None, None) => Ok((apply(offer, sale)?, PriceScope::Offer)),
    }
}

fn apply(rate: Rate, sale: Option<Amount>) -> Result<Amount, PriceError> {
    match rate.price_type {
        PriceType::Cpa => Ok(rate.number),
        PriceType::Revshare => percentage(sale.ok_or(PriceError::AmountRequired)?, rate.number),
    }
}

/// `percent` % of `base`, half-even to four decimals.
fn percentage(base: Amount, percent: Amount) -> Result<Amount, PriceError> {
    // base and percent are both in millionths; a step is 100 of them, and 100 % is the whole.
    const DIVISOR: i128 = 1_000_000 * 100 * MICROS_PER_STEP as i128;
    let product = i128::from(base.micros()) * i128::from(percent.micros());
    let (steps, rest) = (product.div_euclid(DIVISOR), product.rem_euclid(DIVISOR));
    let up = match (rest * 2).cmp(&DIVISOR) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => steps % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    let micros = (steps + i128::from(up)) * i128::from(MICROS_PER_STEP);
    let amount = i64::try_from(micros).ok().and_then(Amount::from_micros).ok_or(PriceError::TooLarge)?;
    if amount > Amount::MAX { Err(PriceError::TooLarge) } else { Ok(amount) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::{Decimal, RoundingStrategy};

    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    #[test]
    fn the_nearest_scope_prices() {
        let cpa = Rate { price_type: PriceType::Cpa, number: amount("10") };
        let check = |given: Option<&str>, campaign: Option<&str>, expected: (&str, PriceScope)| {
            let priced = price(given.map(amount), campaign.map(amount), cpa, None);
            assert_eq!(priced, Ok((amount(expected.0), expected.1)));
        };
        check(None, None, ("10", PriceScope::Offer));
        check(None, Some("12"), ("12", PriceScope::Campaign));
        check(Some("0"), Some("12"), ("0", PriceScope::Call));
    }

    #[test]
    fn a_percentage_is_rounded_half_even_to_four_decimals() {
        for (base, percent, expected) in [
            ("100", "70", "70"),
            ("0.0001", "50", "0"),
            ("0.0003", "50", "0.0002"),
            ("0.0005", "50", "0.0002"),
            ("33.33", "33.33", "11.1089"),
            ("19.99", "12.5", "2.4988"),
        ] {
            assert_eq!(
                percentage(amount(base), amount(percent)),
                Ok(amount(expected)),
                "{percent} % of {base}"
            );
        }
    }

    #[test]
    fn a_percentage_needs_its_base_and_has_a_bound() {
        let rate = Rate { price_type: PriceType::Revshare, number: amount("70") };
        assert_eq!(price(None, None, rate, None), Err(PriceError::AmountRequired));
        assert_eq!(percentage(Amount::MAX, amount("200")), Err(PriceError::TooLarge));
    }

    proptest! {
        #[test]
        fn a_percentage_equals_the_decimal_sum(base in 0i64..1_000_000_000_000, percent in 0i64..2_000_000) {
            let base = Amount::from_micros(base * 100).expect("steps");
            let percent = Amount::from_micros(percent * 100).expect("steps");
            let exact = (base.to_decimal() * percent.to_decimal() / Decimal::from(100))
                .round_dp_with_strategy(4, RoundingStrategy::MidpointNearestEven);
            match percentage(base, percent) {
                Ok(amount) => prop_assert_eq!(amount.to_decimal().normalize(), exact.normalize()),
                Err(_) => prop_assert!(exact > Amount::MAX.to_decimal()),
            }
        }
    }
}
