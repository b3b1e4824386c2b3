//! Amounts as people write them: with either decimal mark, grouped, with a currency attached. Which mark a
//! column has is decided by all of it.

use domain::money::{Amount, BadAmount, Currency};

/// What stands before the decimals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    Point,
    Comma,
}

impl Mark {
    fn character(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Comma => "comma",
        }
    }
}

/// What a column of amounts says about its decimal mark.
#[derive(Default)]
pub(crate) struct Marks {
    points: u64,
    commas: u64,
    /// An amount that can be read either way.
    either: Option<String>,
}

impl Marks {
    /// Looks at an amount.
    pub(crate) fn look(&mut self, text: &str) {
        let Ok(written) = Written::of(text) else { return };
        let digits = &written.digits;
        let count = |mark: char| digits.matches(mark).count();
        match (count('.'), count(',')) {
            (0, 0) => {}
            (1.., 1..) => match digits.rfind(['.', ',']).map(|at| digits.as_bytes()[at]) {
                Some(b',') => self.commas += 1,
                _ => self.points += 1,
            },
            (2.., _) => self.commas += 1,
            (_, 2..) => self.points += 1,
            (points, _) => {
                let (before, after) = digits.split_once(['.', ',']).unwrap_or((digits, ""));
                let may_group = after.len() == 3 && (1..=3).contains(&before.len()) && before != "0";
                if may_group {
                    self.either.get_or_insert_with(|| text.trim().to_owned());
                } else if points == 1 {
                    self.points += 1;
                } else {
                    self.commas += 1;
                }
            }
        }
    }

    /// The column's mark, and what should be said of it.
    pub(crate) fn decide(&self, column: &str) -> (Mark, Option<String>) {
        let Self { points, commas, either } = self;
        let mark = if commas > points { Mark::Comma } else { Mark::Point };
        let name = mark.name();
        let remark = match (points, commas, either) {
            (0, 0, Some(either)) => Some(format!(
                "no amount in {column} tells its decimal mark; amounts such as {either} were read with a decimal {name}"
            )),
            (1.., 1.., _) => Some(format!(
                "amounts in {column} have both decimal marks; all were read with a decimal {name}, as most have it"
            )),
            (0, 1.., _) => Some(format!("amounts in {column} have a decimal {name}")),
            _ => None,
        };
        (mark, remark)
    }
}

/// An amount as it is written, without what surrounds its digits.
struct Written {
    is_negative: bool,
    /// Digits and marks.
    digits: String,
    currency: Option<Currency>,
}

const NOT_A_NUMBER: &str = "not an amount";

impl Written {
    fn of(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let (text, is_bracketed) = match text.strip_prefix('(').and_then(|it| it.strip_suffix(')')) {
            Some(within) => (within, true),
            None => (text, false),
        };
        let is_digit = |c: char| c.is_ascii_digit();
        let first = text.find(|c: char| is_digit(c) || matches!(c, '.' | ',')).ok_or(NOT_A_NUMBER)?;
        let last = text.rfind(is_digit).ok_or(NOT_A_NUMBER)?;
        if last < first {
            return Err(NOT_A_NUMBER);
        }
        let (before, digits, after) = (&text[..first], &text[first..=last], &text[last + 1..]);
        let is_exponent = |c: char| matches!(c, 'e' | 'E');
        if digits.contains(is_exponent) {
            return Err("scientific notation, in which digits may be lost");
        }
        let mut is_negative = is_bracketed;
        let mut currency = None;
        for around in [before, after] {
            let mut around = around.trim();
            for sign in ['-', '\u{2212}', '+'] {
                let without = around.strip_prefix(sign).or_else(|| around.strip_suffix(sign));
                if let Some(without) = without {
                    is_negative |= sign != '+';
                    around = without.trim();
                }
            }
            currency = currency.or(attached(around)?);
        }
        let is_space = |c: char| c.is_whitespace() || matches!(c, '\'' | '\u{2019}');
        let digits: String = digits.chars().filter(|c| !is_space(*c)).collect();
        if digits.chars().any(|c| !is_digit(c) && !matches!(c, '.' | ',')) {
            return Err(NOT_A_NUMBER);
        }
        Ok(Self { is_negative, digits, currency })
    }
}

/// The currency that a sign or code beside an amount names, as far as it names one.
fn attached(text: &str) -> Result<Option<Currency>, &'static str> {
    match text {
        "" | "$" | "¥" | "kr" | "kr." | "zł" | "₹" => Ok(None),
        "€" => Ok("EUR".parse().ok()),
        "£" => Ok("GBP".parse().ok()),
        code => code.parse().map(Some).map_err(|_| NOT_A_NUMBER),
    }
}

/// Reads an amount, which may be negative, and the currency attached to it.
pub(crate) fn read(text: &str, mark: Mark) -> Result<(Amount, Option<Currency>), String> {
    let problem = |problem: &str| format!("{}: {problem}", text.trim());
    if text.trim().is_empty() {
        return Err("no amount".to_owned());
    }
    let Written { is_negative, digits, currency } = Written::of(text).map_err(problem)?;
    let (whole, decimals) = digits.split_once(mark.character()).unwrap_or((&digits, ""));
    let not_so = || problem(&format!("not an amount with a decimal {}", mark.name()));
    if decimals.contains(['.', ',']) || !is_grouped(whole) {
        return Err(not_so());
    }
    let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
    let plain = format!(
        "{}.{}",
        if whole.is_empty() { "0" } else { &whole },
        if decimals.is_empty() { "0" } else { decimals }
    );
    let amount: Amount = plain.parse().map_err(|bad: BadAmount| problem(&bad.to_string()))?;
    Ok((if is_negative { Amount::ZERO.minus(amount) } else { amount }, currency))
}

/// Whether the marks in the whole part only group it: three digits at its end, two or three before.
fn is_grouped(whole: &str) -> bool {
    let mut groups = whole.split(['.', ',']);
    let first = groups.next().unwrap_or_default();
    let rest: Vec<_> = groups.collect();
    let Some((last, between)) = rest.split_last() else { return true };
    (1..=3).contains(&first.len()) && last.len() == 3 && between.iter().all(|it| (2..=3).contains(&it.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(mark: Mark, text: &str) -> Result<String, String> {
        read(text, mark).map(|(amount, currency)| {
            currency.map_or_else(|| amount.to_string(), |currency| format!("{amount} {currency}"))
        })
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (mark, text, expected) in [
            (Mark::Point, "22", "22.00"),
            (Mark::Point, " 1,234.56 ", "1234.56"),
            (Mark::Point, "12,34,567.5", "1234567.50"),
            (Mark::Point, "$22.50", "22.50"),
            (Mark::Point, "USD 22.50", "22.50 USD"),
            (Mark::Point, "22.50 eur", "22.50 EUR"),
            (Mark::Point, "-£1.00", "-1.00 GBP"),
            (Mark::Point, "(1,000.00)", "-1000.00"),
            (Mark::Point, "22.00-", "-22.00"),
            (Mark::Point, "1'234.50", "1234.50"),
            (Mark::Point, ".5", "0.50"),
            (Mark::Comma, "1.234,56", "1234.56"),
            (Mark::Comma, "12,5", "12.50"),
            (Mark::Comma, "1\u{a0}234,5 €", "1234.50 EUR"),
            (Mark::Comma, "1 234", "1234.00"),
            (Mark::Comma, "1.234", "1234.00"),
        ] {
            assert_eq!(with(mark, text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_says_so() {
        for (text, expected) in [
            ("", "no amount"),
            ("abc", "abc: not an amount"),
            ("2026-06-19", "2026-06-19: not an amount"),
            ("1.2E+03", "1.2E+03: scientific notation, in which digits may be lost"),
            ("1e5", "1e5: scientific notation, in which digits may be lost"),
            ("12,5", "12,5: not an amount with a decimal point"),
            ("1.2.3", "1.2.3: not an amount with a decimal point"),
            ("1.23456", "1.23456: an amount has at most four decimals"),
            ("2000000000", "2000000000: an amount may be at most 1000000000"),
            ("22 of them", "22 of them: not an amount"),
            ("--", "--: not an amount"),
        ] {
            assert_eq!(with(Mark::Point, text), Err(expected.to_owned()), "{text}");
        }
        assert!(with(Mark::Point, &"9".repeat(80)).is_err());
    }

    fn decide(column: &[&str]) -> (Mark, String) {
        let mut marks = Marks::default();
        for text in column {
            marks.look(text);
        }
        let (mark, remark) = marks.decide("amount");
        (mark, remark.unwrap_or_default())
    }

    #[test]
    fn the_whole_column_tells_its_mark() {
        let check = |column: &[&str], mark, says: &str| {
            let (found, remark) = decide(column);
            assert_eq!((found, remark.contains(says)), (mark, true), "{column:?}: {remark}");
        };
        check(&["1.234", "12,5"], Mark::Comma, "decimal comma");
        check(&["1.234,56"], Mark::Comma, "decimal comma");
        check(&["1,234.56", "1,234"], Mark::Point, "");
        check(&["1.234.567"], Mark::Comma, "decimal comma");
        check(&["0.125"], Mark::Point, "");
        check(&["1,234"], Mark::Point, "no amount in amount tells");
        check(&["12.5", "12.75", "3,5"], Mark::Point, "both decimal marks");
        check(&["22", "18"], Mark::Point, "");
        check(&["abc", "1e5"], Mark::Point, "");
    }
}
