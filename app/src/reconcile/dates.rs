//! Dates as people write them: ISO, or day and month in either order, which the whole column tells; or in a
//! format that is named.

use domain::time::DateInput;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// The longest date, in bytes.
const DATE_BYTES_MAX: usize = 60;

/// Whether the day or the month comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    DayFirst,
    MonthFirst,
}

/// How dates are read.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// In a format of `strftime`.
    Named(String),
    /// As they are found.
    Found(Order),
}

/// What a column of dates says about the order of day and month.
#[derive(Default)]
pub(crate) struct Orders {
    day_first: u64,
    month_first: u64,
    /// Of the dates that can be read either way, how many are then in the range.
    in_range: [u64; 2],
    either: Option<String>,
}

/// A range of moments: from the first to before the second.
pub(crate) type Range = (Timestamp, Timestamp);

impl Orders {
    /// Looks at a date.
    pub(crate) fn look(&mut self, text: &str, zone: &TimeZone, range: Range) {
        let Some(Written { numbers: [first, second, _], kind: Kind::DayOrMonth, .. }) = Written::of(text)
        else {
            return;
        };
        match (first, second) {
            (13.., 13..) => {}
            (13.., _) => self.day_first += 1,
            (_, 13..) => self.month_first += 1,
            _ if first == second => {}
            _ => {
                let is_in = |order| {
                    let at = found(text, order, zone).map(|it| it.start(zone));
                    u64::from(at.is_some_and(|at| range.0 <= at && at < range.1))
                };
                self.in_range[0] += is_in(Order::DayFirst);
                self.in_range[1] += is_in(Order::MonthFirst);
                self.either.get_or_insert_with(|| text.trim().to_owned());
            }
        }
    }

    /// The column's order, and what should be said of it.
    pub(crate) fn decide(&self, column: &str) -> (Order, Option<String>) {
        let Self { day_first, month_first, in_range: [days, months], either } = self;
        let words = |order| match order {
            Order::DayFirst => "day before month",
            Order::MonthFirst => "month before day",
        };
        if day_first != month_first {
            let order = if day_first > month_first { Order::DayFirst } else { Order::MonthFirst };
            let is_mixed = *day_first > 0 && *month_first > 0;
            let most = if is_mixed { ", as most have it; some have it otherwise" } else { "" };
            return (order, Some(format!("dates in {column} were read with the {}{most}", words(order))));
        }
        let Some(either) = either else { return (Order::MonthFirst, None) };
        let order = if days > months { Order::DayFirst } else { Order::MonthFirst };
        let why = if days == months {
            "no date tells, so say date_format if that is wrong"
        } else {
            "since more of them are in the range then"
        };
        let words = words(order);
        (
            order,
            Some(format!("dates in {column} such as {either} are ambiguous; read with the {words}: {why}")),
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    YearFirst,
    /// Points are between day, month and year.
    DayFirst,
    DayOrMonth,
}

/// A date as it is written.
struct Written<'t> {
    numbers: [u16; 3],
    kind: Kind,
    rest: &'t str,
}

impl<'t> Written<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let text = text.trim();
        if text.len() > DATE_BYTES_MAX {
            return None;
        }
        let mut rest = text;
        let mut number = |end: &[char]| {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let value: u16 = rest.get(..digits)?.parse().ok().filter(|_| digits <= 4)?;
            rest = &rest[digits..];
            let separator = rest.chars().next();
            if !end.is_empty() {
                rest = rest.strip_prefix(end)?;
            }
            Some((value, digits, separator))
        };
        let separators = ['-', '/', '.'];
        let (first, digits, separator) = number(&separators)?;
        let (second, _, other) = number(&separators)?;
        let (third, last_digits, _) = number(&[])?;
        let kind = match (digits, separator) {
            _ if separator != other => return None,
            (4, _) => Kind::YearFirst,
            (1..=2, Some('.')) => Kind::DayFirst,
            (1..=2, _) => Kind::DayOrMonth,
            _ => return None,
        };
        let year = if kind == Kind::YearFirst { digits } else { last_digits };
        let third = if year == 2 && kind != Kind::YearFirst { 2000 + third } else { third };
        matches!(year, 2 | 4).then_some(Self { numbers: [first, second, third], kind, rest })
    }

    fn day(&self, order: Order) -> Option<Date> {
        let [first, second, third] = self.numbers;
        let (year, month, day) = match (self.kind, order) {
            (Kind::YearFirst, _) => (first, second, third),
            (Kind::DayFirst, _) | (Kind::DayOrMonth, Order::DayFirst) => (third, second, first),
            (Kind::DayOrMonth, Order::MonthFirst) => (third, first, second),
        };
        Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    }
}

/// Whether a text is a date and nothing else could be meant: what no id looks like.
pub(crate) fn is_date(text: &str) -> bool {
    let Some(written) = Written::of(text) else { return false };
    let is_day = |order| written.day(order).is_some_and(|it| (1990..2100).contains(&it.year()));
    (is_day(Order::DayFirst) || is_day(Order::MonthFirst)) && clock(written.rest).is_some()
}

/// Reads a date; without an offset it is one of `zone`.
pub(crate) fn read(text: &str, form: &Form, zone: &TimeZone) -> Option<DateInput> {
    match form {
        Form::Named(format) => named(text.trim(), format, zone),
        Form::Found(order) => found(text, *order, zone),
    }
}

/// Whether a format can be used at all.
pub(crate) fn is_format(format: &str) -> bool {
    let sample = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    let written = strtime::format(format, &sample);
    written.is_ok_and(|written| named(&written, format, &TimeZone::UTC).is_some())
}

fn named(text: &str, format: &str, zone: &TimeZone) -> Option<DateInput> {
    let broken = strtime::parse(format, text).ok()?;
    let day = broken.to_date().ok().filter(|it| (1970..=9990).contains(&it.year()))?;
    if broken.hour().is_none() {
        return Some(DateInput::Day(day));
    }
    let local = day.to_datetime(broken.to_time().ok()?);
    let at = match broken.offset() {
        Some(offset) => offset.to_timestamp(local).ok()?,
        None => zone.to_ambiguous_timestamp(local).compatible().ok()?,
    };
    Some(DateInput::Moment { at, fraction: false })
}

fn found(text: &str, order: Order, zone: &TimeZone) -> Option<DateInput> {
    let written = Written::of(text)?;
    let day = written.day(order)?;
    DateInput::parse(&format!("{day}{}", clock(written.rest)?), zone).ok()
}

/// A time of day in the form that dates of the API have; empty where there is none.
fn clock(text: &str) -> Option<String> {
    let text = text.strip_prefix([',', 'T', 't']).unwrap_or(text).trim();
    if text.is_empty() {
        return Some(String::new());
    }
    let (hour, rest) = text.split_once(':')?;
    let (minute, rest) = rest.split_at_checked(2)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => rest.split_at_checked(2)?,
        None => ("00", rest),
    };
    let mut hour: u8 = hour.parse().ok().filter(|_| hour.len() <= 2)?;
    let upper = rest.trim().to_ascii_uppercase();
    let rest = match &*upper {
        "AM" | "PM" if !(1..=12).contains(&hour) => return None,
        "AM" => {
            hour %= 12;
            ""
        }
        "PM" => {
            hour = hour % 12 + 12;
            ""
        }
        "UTC" | "GMT" => "Z",
        rest => rest,
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(minute) && is_number(second)).then(|| format!(" {hour:02}:{minute}:{second}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, form: &Form, zone: &str) -> String {
        let zone = TimeZone::get(zone).expect("a zone");
        read(text, form, &zone).map_or_else(|| "-".to_owned(), |it| it.start(&zone).to_string())
    }

    #[test]
    fn dates_are_read_as_people_write_them() {
        let found = |order, text: &str| at(text, &Form::Found(order), "UTC");
        for (text, expected) in [
            ("2026-06-19", "2026-06-19T00:00:00Z"),
            ("2026/6/9", "2026-06-09T00:00:00Z"),
            ("2026-06-19T14:30:00.25Z", "2026-06-19T14:30:00.25Z"),
            ("2026-06-19 14:30", "2026-06-19T14:30:00Z"),
            ("2026-06-19 14:30:05+02:00", "2026-06-19T12:30:05Z"),
            ("2026-06-19 14:30:05 UTC", "2026-06-19T14:30:05Z"),
            ("19.06.2026", "2026-06-19T00:00:00Z"),
            ("19.6.26 9:05", "2026-06-19T09:05:00Z"),
            ("6/9/2026 2:30 PM", "2026-06-09T14:30:00Z"),
            ("06/09/2026 12:00 am", "2026-06-09T00:00:00Z"),
            ("06/09/2026, 12:00:01 PM", "2026-06-09T12:00:01Z"),
        ] {
            assert_eq!(found(Order::MonthFirst, text), expected, "{text}");
        }
        assert_eq!(found(Order::DayFirst, "6/9/2026"), "2026-09-06T00:00:00Z");
        let local = at("2026-06-19 20:00", &Form::Found(Order::MonthFirst), "America/New_York");
        assert_eq!(local, "2026-06-20T00:00:00Z");
        for text in [
            "",
            "x",
            "ORD-1",
            "19/06/2026",
            "2026-02-30",
            "2026-06-19 25:00",
            "1/2",
            "1/2-2026",
            "13:30",
            "6/9/126",
            "06/09/2026 13:00 PM",
        ] {
            assert_eq!(found(Order::MonthFirst, text), "-", "{text}");
        }
    }

    #[test]
    fn a_format_that_is_named_is_the_only_one() {
        let form = Form::Named("%d %b %Y %H:%M".to_owned());
        assert_eq!(at("19 Jun 2026 14:30", &form, "Asia/Kolkata"), "2026-06-19T09:00:00Z");
        assert_eq!(at("2026-06-19", &form, "UTC"), "-");
        assert_eq!(at("19/06/2026", &Form::Named("%d/%m/%Y".to_owned()), "UTC"), "2026-06-19T00:00:00Z");
        assert!(is_format("%d/%m/%Y") && is_format("%Y%m%d %H%M%S"));
        for format in ["%", "%H:%M", "nothing", "%Q!"] {
            assert!(!is_format(format), "{format}");
        }
    }

    fn decide(column: &[&str]) -> (Order, String) {
        let range = ("2026-06-01", "2026-07-01");
        let midnight =
            |text: &str| DateInput::parse(text, &TimeZone::UTC).expect("a date").start(&TimeZone::UTC);
        let mut orders = Orders::default();
        for text in column {
            orders.look(text, &TimeZone::UTC, (midnight(range.0), midnight(range.1)));
        }
        let (order, remark) = orders.decide("date");
        (order, remark.unwrap_or_default())
    }

    #[test]
    fn the_whole_column_tells_its_order() {
        let check = |column: &[&str], order, says: &str| {
            let (found, remark) = decide(column);
            assert_eq!((found, remark.contains(says)), (order, true), "{column:?}: {remark}");
        };
        check(&["03/04/2026", "19/06/2026"], Order::DayFirst, "day before month");
        check(&["03/04/2026", "06/19/2026"], Order::MonthFirst, "month before day");
        check(&["19/06/2026", "18/06/2026", "06/19/2026"], Order::DayFirst, "as most have it");
        check(&["05/06/2026"], Order::DayFirst, "since more of them are in the range");
        check(&["03/04/2026"], Order::MonthFirst, "say date_format");
        check(&["2026-06-19", "x"], Order::MonthFirst, "");
    }

    #[test]
    fn a_date_is_told_from_an_id() {
        for text in ["2026-06-19", "19/06/2026", "06/19/2026 14:30", "19.06.2026"] {
            assert!(is_date(text), "{text}");
        }
        for text in ["20260619", "ORD-1", "1-2-3", "2026-06-19-7", "1.2.3", "12-11-2500", "0196f0c0"] {
            assert!(!is_date(text), "{text}");
        }
    }
}
