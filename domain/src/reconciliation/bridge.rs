//! The bridge: from their total to ours, a step for each class, by currency. Whatever is counted into a
//! total is taken back or added by exactly one step, so a bridge always adds up.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::RowClass;
use crate::money::{Amount, Currency, MICROS_PER_STEP};

crate::network::states! {
    /// A step of the bridge, in the order they are taken.
    Step {
        /// What all their rows add up to that can be read.
        TheirTotal = "their_total",
        /// They have it more than once.
        DuplicateThere = "duplicate_there",
        /// They have it, and we do not.
        MissingHere = "missing_here",
        /// One side dates it outside the range.
        OutsideRange = "outside_range",
        /// It cannot be read.
        Unreadable = "unreadable",
        /// The currencies differ.
        CurrencyDiffers = "currency_differs",
        /// The statuses differ.
        StatusDiffers = "status_differs",
        /// The amounts differ.
        AmountDiffers = "amount_differs",
        /// We have it, and they do not.
        MissingThere = "missing_there",
        /// Matched, with amounts that differ by no more than is tolerated.
        Matched = "matched",
        /// Matched, but dated outside the range here, by no more than is tolerated.
        MatchedNearby = "matched_nearby",
        /// What our conversions of the range add up to.
        OurTotal = "our_total",
    }
}

impl Step {
    /// The step of a row.
    pub fn of(class: RowClass, is_nearby: bool) -> Self {
        match class {
            RowClass::Matched if is_nearby => Self::MatchedNearby,
            RowClass::Matched => Self::Matched,
            RowClass::MissingHere => Self::MissingHere,
            RowClass::MissingThere => Self::MissingThere,
            RowClass::AmountDiffers => Self::AmountDiffers,
            RowClass::StatusDiffers => Self::StatusDiffers,
            RowClass::CurrencyDiffers => Self::CurrencyDiffers,
            RowClass::DuplicateThere => Self::DuplicateThere,
            RowClass::OutsideRange => Self::OutsideRange,
            RowClass::Unreadable => Self::Unreadable,
        }
    }

    /// The step in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::TheirTotal => "their total",
            Self::DuplicateThere => "in their file more than once",
            Self::MissingHere => "in their file and not here",
            Self::OutsideRange => "dated outside the range by one side",
            Self::Unreadable => "not readable in their file",
            Self::CurrencyDiffers => "in another currency here",
            Self::StatusDiffers => "with another status here",
            Self::AmountDiffers => "with another amount here",
            Self::MissingThere => "here and not in their file",
            Self::Matched => "matched, to within the tolerance",
            Self::MatchedNearby => "matched, but dated outside the range here, to within the tolerance",
            Self::OurTotal => "our total",
        }
    }
}

/// A sum of as many amounts as there may be: millionths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Total(i128);

impl Total {
    /// The same with an amount more.
    #[must_use]
    pub fn plus(self, amount: Amount) -> Self {
        Self(self.0 + i128::from(amount.micros()))
    }

    /// The same with an amount less.
    #[must_use]
    pub fn minus(self, amount: Amount) -> Self {
        Self(self.0 - i128::from(amount.micros()))
    }

    /// Millionths.
    pub fn micros(self) -> i128 {
        self.0
    }
}

impl fmt::Display for Total {
    /// As an amount prints.
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

/// A line of a bridge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BridgeLine {
    /// The currency of the bridge it belongs to.
    pub currency: Currency,
    /// The step.
    pub step: Step,
    /// How many rows it is about.
    pub rows: u64,
    /// What it adds; of the last step, what all others add up to.
    pub amount: Total,
}

/// A text that is no line of a bridge.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a line of a bridge")]
pub struct BadBridgeLine;

impl fmt::Display for BridgeLine {
    /// As it is kept: `USD their_total 3 66000000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.currency, self.step.name(), self.rows, self.amount.0)
    }
}

impl FromStr for BridgeLine {
    type Err = BadBridgeLine;

    fn from_str(text: &str) -> Result<Self, BadBridgeLine> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(BadBridgeLine);
        let line = Self {
            currency: word()?.parse().map_err(|_| BadBridgeLine)?,
            step: word()?.parse().map_err(|_| BadBridgeLine)?,
            rows: word()?.parse().map_err(|_| BadBridgeLine)?,
            amount: Total(word()?.parse().map_err(|_| BadBridgeLine)?),
        };
        if words.next().is_none() { Ok(line) } else { Err(BadBridgeLine) }
    }
}

/// A row as the bridge counts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// What it is.
    pub class: RowClass,
    /// Whether our date is outside the range by no more than is tolerated.
    pub is_nearby: bool,
    /// The currency it is counted under where neither side has an amount.
    pub currency: Currency,
    /// What they owe by it; none where they do not have it, or it cannot be read.
    pub theirs: Option<(Currency, Amount)>,
    /// What it is worth here; none where we do not have it in the range.
    pub ours: Option<(Currency, Amount)>,
}

/// The bridges of a reconciliation while its rows are counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bridges {
    steps: BTreeMap<(Currency, usize), (u64, Total)>,
}

impl Bridges {
    /// Counts a row.
    pub fn count(&mut self, row: &Counted) {
        let step = Step::of(row.class, row.is_nearby);
        if let Some((currency, amount)) = row.theirs {
            self.add(currency, Step::TheirTotal, 1, |it| it.plus(amount));
            self.add(currency, step, 1, |it| it.minus(amount));
        }
        if let Some((currency, amount)) = row.ours {
            // A row with both amounts in one currency is one row of its step.
            let again = row.theirs.is_some_and(|theirs| theirs.0 == currency);
            self.add(currency, step, u64::from(!again), |it| it.plus(amount));
            self.add(currency, Step::OurTotal, 1, |it| it.plus(amount));
        }
        if row.theirs.is_none() && row.ours.is_none() {
            self.add(row.currency, step, 1, |it| it);
        }
    }

    fn add(&mut self, currency: Currency, step: Step, rows: u64, sum: impl Fn(Total) -> Total) {
        let (counted, total) = self.steps.entry((currency, place(step))).or_default();
        *counted += rows;
        *total = sum(*total);
    }

    /// The bridges, one after the other: each begins with their total and ends with ours. Where nothing was
    /// counted there is one of nothing, in that currency.
    pub fn lines(&self, currency: Currency) -> Vec<BridgeLine> {
        let mut currencies: Vec<_> = self.steps.keys().map(|it| it.0).collect();
        currencies.dedup();
        if currencies.is_empty() {
            currencies.push(currency);
        }
        let line = |currency, step| {
            let found = self.steps.get(&(currency, place(step))).copied();
            let is_end = matches!(step, Step::TheirTotal | Step::OurTotal);
            let (rows, amount) = found.or(is_end.then(Default::default))?;
            Some(BridgeLine { currency, step, rows, amount })
        };
        let bridge = |currency| Step::ALL.iter().filter_map(move |step| line(currency, *step));
        currencies.into_iter().flat_map(bridge).collect()
    }
}

fn place(step: Step) -> usize {
    Step::ALL.iter().position(|it| *it == step).expect("one of all")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(text: &str) -> Currency {
        text.parse().expect("a currency")
    }

    #[test]
    fn a_total_prints_as_amounts_do_and_holds_what_they_cannot() {
        let amount = |text: &str| -> Amount { text.parse().expect("an amount") };
        let check = |total: Total, expected: &str| assert_eq!(total.to_string(), expected);
        check(Total::default(), "0.00");
        check(Total::default().minus(amount("0.0125")), "-0.0125");
        check(Total::default().plus(amount("1.125")), "1.125");
        let many = (0..1_000_000).fold(Total::default(), |total, _| total.plus(Amount::MAX));
        check(many, "1000000000000000.00");
    }

    #[test]
    fn a_bridge_of_nothing_has_both_its_ends() {
        let lines = Bridges::default().lines(Currency::USD);
        let steps: Vec<_> = lines.iter().map(|it| (it.step, it.rows, it.amount.micros())).collect();
        assert_eq!(steps, [(Step::TheirTotal, 0, 0), (Step::OurTotal, 0, 0)]);
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        for text in ["", "USD", "USD matched 1", "USD matched 1 2 3", "U matched 1 2", "USD nothing 1 2"] {
            assert_eq!(text.parse::<BridgeLine>(), Err(BadBridgeLine), "{text}");
        }
    }

    fn counted() -> impl Strategy<Value = Counted> {
        let side =
            || proptest::option::of((prop_oneof!["USD", "EUR", "GBP"], -1_000_000i64..1_000_000_000_000));
        let class = proptest::sample::select(RowClass::ALL.to_vec());
        (class, any::<bool>(), side(), side()).prop_map(|(class, is_nearby, theirs, ours)| {
            let read = |(code, steps): (String, i64)| {
                (currency(&code), Amount::from_micros(steps * MICROS_PER_STEP).expect("steps"))
            };
            let (theirs, ours) = (theirs.map(read), ours.map(read));
            Counted { class, is_nearby, currency: Currency::USD, theirs, ours }
        })
    }

    proptest! {
        #[test]
        fn every_bridge_adds_up_whatever_the_rows(rows in proptest::collection::vec(counted(), 0..60)) {
            let mut bridges = Bridges::default();
            for row in &rows {
                bridges.count(row);
            }
            let lines = bridges.lines(Currency::USD);
            for bridge in lines.chunk_by(|one, other| one.currency == other.currency) {
                let (first, rest) = bridge.split_first().expect("some lines");
                let (last, steps) = rest.split_last().expect("two ends");
                prop_assert_eq!((first.step, last.step), (Step::TheirTotal, Step::OurTotal));
                let sum = first.amount.micros() + steps.iter().map(|it| it.amount.micros()).sum::<i128>();
                prop_assert_eq!(sum, last.amount.micros());
                let total = |side: fn(&Counted) -> Option<(Currency, Amount)>| {
                    let amounts = rows.iter().filter_map(side).filter(|it| it.0 == first.currency);
                    amounts.map(|it| i128::from(it.1.micros())).sum::<i128>()
                };
                prop_assert_eq!(first.amount.micros(), total(|it| it.theirs));
                prop_assert_eq!(last.amount.micros(), total(|it| it.ours));
            }
            for line in lines {
                prop_assert_eq!(line.to_string().parse(), Ok(line));
            }
        }
    }
}
