//! Exact money: integer millionths of a currency unit inside, decimals at the edges. No floats.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use thiserror::Error;

/// Millionths in one unit.
const MICROS: i64 = 1_000_000;
/// Amounts carry at most four decimals, so their micros are multiples of this.
pub const MICROS_PER_STEP: i64 = 100;

/// A currency: three upper-case letters (ISO 4217).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The US dollar, the default.
    pub const USD: Self = Self(*b"USD");

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three ASCII letters")
    }
}

/// A text that is no currency code.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a currency: use three letters as in ISO 4217, such as USD")]
pub struct BadCurrency;

impl FromStr for Currency {
    type Err = BadCurrency;

    fn from_str(text: &str) -> Result<Self, BadCurrency> {
        match *text.as_bytes() {
            [a, b, c] if text.bytes().all(|b| b.is_ascii_alphabetic()) => {
                Ok(Self([a, b, c].map(|b| b.to_ascii_uppercase())))
            }
            _ => Err(BadCurrency),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount without its currency (the offer's): millionths, in steps of a ten-thousandth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Amount(i64);

/// Why a text or number is not an amount.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadAmount {
    /// Not a plain decimal number.
    #[error("not an amount: use a plain decimal number such as 18.00")]
    NotANumber,
    /// Less than zero.
    #[error("an amount may not be negative")]
    Negative,
    /// More than four decimals.
    #[error("an amount has at most four decimals")]
    TooPrecise,
    /// Above [`Amount::MAX`].
    #[error("an amount may be at most 1000000000")]
    TooLarge,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// A thousand million: far above any payout, and far from overflow even when many are added.
    pub const MAX: Self = Self(1_000_000_000 * MICROS);

    /// An amount of `micros` millionths, if it is a whole number of ten-thousandths.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (micros % MICROS_PER_STEP == 0).then_some(Self(micros))
    }

    /// Millionths.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// The sum. Differences may be negative; sums of a few amounts are far from overflow.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, which may be negative.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Reads an amount that may be negative: a difference.
    pub fn parse_difference(text: &str) -> Result<Self, BadAmount> {
        match text.strip_prefix('-') {
            Some(positive) => positive.parse().map(|amount| Self::ZERO.minus(amount)),
            None => text.parse(),
        }
    }

    /// As a decimal number.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.0 / MICROS_PER_STEP, 4)
    }
}

impl FromStr for Amount {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'));
        let decimal: Decimal = plain.then(|| text.parse().ok()).flatten().ok_or(BadAmount::NotANumber)?;
        if decimal.is_sign_negative() && !decimal.is_zero() {
            return Err(BadAmount::Negative);
        }
        let decimal = decimal.normalize();
        if decimal.scale() > 4 {
            return Err(BadAmount::TooPrecise);
        }
        if decimal > Self::MAX.to_decimal() {
            return Err(BadAmount::TooLarge);
        }
        let steps = decimal.checked_mul(Decimal::from(10_000)).ok_or(BadAmount::TooLarge)?;
        let steps = i64::try_from(steps).map_err(|_| BadAmount::NotANumber)?;
        Ok(Self(steps * MICROS_PER_STEP))
    }
}

impl fmt::Display for Amount {
    /// Two decimals, or as many as the amount has, at most four: `18.00`, `0.0125`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Sum(self.0.into()).fmt(f)
    }
}

/// The sum of any number of amounts, in millionths. It prints as an amount does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Sum(pub i128);

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let steps = self.0.unsigned_abs() / u128::from(MICROS_PER_STEP.unsigned_abs());
        let (units, rest) = (steps / 10_000, steps % 10_000);
        match (rest % 100, rest % 10) {
            (0, _) => write!(f, "{sign}{units}.{:02}", rest / 100),
            (_, 0) => write!(f, "{sign}{units}.{:03}", rest / 10),
            _ => write!(f, "{sign}{units}.{rest:04}"),
        }
    }
}

/// What one unit of a currency costs in another: ten decimals, up to a million.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExchangeRate(i64);

/// A text that is no exchange rate.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not an exchange rate: use a plain decimal number above 0 with at most ten decimals, up to 1000000")]
pub struct BadExchangeRate;

impl ExchangeRate {
    /// One for one.
    pub const ONE: Self = Self(10_000_000_000);
    const MAX: Self = Self(1_000_000 * Self::ONE.0);

    /// A rate of so many ten-thousand-millionths.
    pub fn from_steps(steps: i64) -> Option<Self> {
        (1..=Self::MAX.0).contains(&steps).then_some(Self(steps))
    }

    /// Ten-thousand-millionths.
    pub fn steps(self) -> i64 {
        self.0
    }
}

impl FromStr for ExchangeRate {
    type Err = BadExchangeRate;

    fn from_str(text: &str) -> Result<Self, BadExchangeRate> {
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let decimal: Decimal = plain.then(|| text.parse().ok()).flatten().ok_or(BadExchangeRate)?;
        let steps = decimal.checked_mul(Decimal::from(Self::ONE.0)).ok_or(BadExchangeRate)?.normalize();
        if steps.scale() > 0 {
            return Err(BadExchangeRate);
        }
        i64::try_from(steps).ok().and_then(Self::from_steps).ok_or(BadExchangeRate)
    }
}

impl fmt::Display for ExchangeRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal::new(self.0, 10).normalize().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_print_with_two_to_four_decimals() {
        for (text, printed) in [
            ("18", "18.00"),
            ("18.0", "18.00"),
            ("18.00", "18.00"),
            ("0.0125", "0.0125"),
            ("0.1", "0.10"),
            ("1.125", "1.125"),
            ("1.1250000", "1.125"),
            ("0", "0.00"),
            ("-0", "0.00"),
            ("1000000000", "1000000000.00"),
        ] {
            assert_eq!(text.parse::<Amount>().map(|it| it.to_string()), Ok(printed.to_owned()), "{text}");
        }
    }

    #[test]
    fn exchange_rates_are_exact_or_refused() {
        for text in ["1", "0.0000000001", "1.0842", "1000000"] {
            assert_eq!(text.parse::<ExchangeRate>().map(|it| it.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("1.50".parse::<ExchangeRate>().map(|it| it.to_string()), Ok("1.5".to_owned()));
        for text in ["0", "-1", "", "x", "1e3", "0.00000000001", "1000000.1", "99999999999999999999999999"] {
            assert_eq!(text.parse::<ExchangeRate>(), Err(BadExchangeRate), "{text}");
        }
    }

    #[test]
    fn a_difference_may_be_negative() {
        assert_eq!(Amount::parse_difference("-2.5").map(|it| it.to_string()), Ok("-2.50".to_owned()));
        assert_eq!(Amount::parse_difference("2.5").map(|it| it.to_string()), Ok("2.50".to_owned()));
        assert_eq!(Amount::parse_difference("--2.5"), Err(BadAmount::Negative));
    }

    #[test]
    fn what_is_no_amount_is_refused_with_the_reason() {
        use BadAmount::{Negative, NotANumber, TooLarge, TooPrecise};
        for (text, reason) in [
            ("", NotANumber),
            ("abc", NotANumber),
            ("1e5", NotANumber),
            ("NaN", NotANumber),
            ("1,000", NotANumber),
            ("+1", NotANumber),
            (" 1", NotANumber),
            ("1_000", NotANumber),
            ("0x10", NotANumber),
            ("1.2.3", NotANumber),
            ("--1", NotANumber),
            ("-1", Negative),
            ("-0.0001", Negative),
            ("0.00001", TooPrecise),
            ("1000000000.0001", TooLarge),
            ("99999999999999999999", TooLarge),
        ] {
            assert_eq!(text.parse::<Amount>(), Err(reason), "{text}");
        }
    }

    #[test]
    fn a_number_too_long_for_a_decimal_is_refused() {
        assert!("9".repeat(60).parse::<Amount>().is_err());
        assert!(format!("0.{}", "1".repeat(60)).parse::<Amount>().is_err());
    }

    proptest! {
        #[test]
        fn amounts_round_trip_as_text(steps in 0i64..10_000_000_000_000) {
            let amount = Amount::from_micros(steps * MICROS_PER_STEP).expect("a whole number of steps");
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
        }
    }
}
