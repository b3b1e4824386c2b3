//! Dates as the API reads and prints them. Inside everything is a UTC [`Timestamp`]; a time zone
//! appears only here, where a person's date is read or printed.

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};
use thiserror::Error;

/// A date as somebody wrote it: a whole day, or a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DateInput {
    /// A day without a time.
    Day(Date),
    /// A moment, and how finely it was given.
    Moment {
        /// The moment, in UTC.
        at: Timestamp,
        /// Whether a fraction of a second was given.
        fraction: bool,
    },
}

/// A time zone with its IANA name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// A text that names no time zone.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not an IANA time zone: use a name such as America/New_York")]
pub struct BadZone;

impl Zone {
    /// Its IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the clocks there show, and when.
    pub fn rules(&self) -> &TimeZone {
        &self.rules
    }
}

impl FromStr for Zone {
    type Err = BadZone;

    fn from_str(text: &str) -> Result<Self, BadZone> {
        let rules = TimeZone::get(text).map_err(|_| BadZone)?;
        let name = rules.iana_name().ok_or(BadZone)?.to_owned();
        Ok(Self { name, rules })
    }
}

/// Why a text is not a date.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "not a date: use YYYY-MM-DD, YYYY-MM-DD HH:MM:SS (or with T, a fraction, Z or an offset), \
     or MM/DD/YYYY[ HH:MM:SS]"
)]
pub struct BadDate;

/// The years accepted, so that no later sum can leave the range of a timestamp.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=9990;

impl DateInput {
    /// Reads a date. Without an offset it is read in `zone`.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, BadDate> {
        let text = text.trim();
        let (day, rest) = text.split_at_checked(10).ok_or(BadDate)?;
        let day = parse_day(day).ok_or(BadDate)?;
        if rest.is_empty() {
            return Ok(Self::Day(day));
        }
        let rest = rest.strip_prefix(['T', 't', ' ']).ok_or(BadDate)?;
        let (at, fraction) = parse_moment(day, rest, zone).ok_or(BadDate)?;
        Ok(Self::Moment { at, fraction })
    }

    /// The first moment of it: a day begins at its midnight in `zone`.
    pub fn start(self, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Day(day) => midnight(day, zone),
            Self::Moment { at, .. } => at,
        }
    }

    /// The first moment after it, so that a range ending with it is half-open: a day covers the
    /// whole day, a moment given to the second covers that second.
    pub fn end(self, zone: &TimeZone) -> Timestamp {
        let (start, width): (Timestamp, Span) = match self {
            Self::Day(day) => return midnight(day.tomorrow().unwrap_or(Date::MAX), zone),
            Self::Moment { at, fraction: false } => (at, 1.second()),
            Self::Moment { at, fraction: true } => (at, 1.microsecond()),
        };
        start.checked_add(width).unwrap_or(Timestamp::MAX)
    }
}

/// Prints a moment the API's way, in `zone`: `YYYY-MM-DD HH:MM:SS`.
pub fn print(at: Timestamp, zone: &TimeZone) -> String {
    let local = zone.to_datetime(at);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        local.year(),
        local.month(),
        local.day(),
        local.hour(),
        local.minute(),
        local.second()
    )
}

/// The moment a day begins in `zone`. Where midnight is skipped, the first moment there is.
pub fn midnight(day: Date, zone: &TimeZone) -> Timestamp {
    resolve(day.to_datetime(Time::midnight()), zone).unwrap_or(Timestamp::MAX)
}

fn resolve(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(local).compatible().ok()
}

fn parse_day(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let (year, month, day) = match (bytes[2], bytes[4], bytes[5], bytes[7]) {
        (_, b'-', _, b'-') => (text.get(..4)?, text.get(5..7)?, text.get(8..)?),
        (b'/', _, b'/', _) => (text.get(6..)?, text.get(..2)?, text.get(3..5)?),
        _ => return None,
    };
    let year = number(year, 4)?;
    let date = Date::new(
        i16::try_from(year).ok()?,
        number(month, 2)?.try_into().ok()?,
        number(day, 2)?.try_into().ok()?,
    );
    date.ok().filter(|date| YEARS.contains(&date.year()))
}

/// `HH:MM:SS[.fraction][Z|±HH[:]MM|±HH]`, on `day`.
fn parse_moment(day: Date, text: &str, zone: &TimeZone) -> Option<(Timestamp, bool)> {
    let (clock, rest) = text.split_at_checked(8)?;
    let bytes = clock.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let [hour, minute, second] =
        [clock.get(..2)?, clock.get(3..5)?, clock.get(6..)?].map(|part| number(part, 2));
    let (nanos, fraction, rest) = parse_fraction(rest)?;
    let time =
        Time::new(hour?.try_into().ok()?, minute?.try_into().ok()?, second?.try_into().ok()?, nanos).ok()?;
    let local = day.to_datetime(time);
    let at =
        if rest.is_empty() { resolve(local, zone)? } else { parse_offset(rest)?.to_timestamp(local).ok()? };
    Some((at, fraction))
}

fn parse_fraction(text: &str) -> Option<(i32, bool, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, false, text)) };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let value: i32 = rest[..digits].parse().ok()?;
    let scale = 10_i32.pow(u32::try_from(9 - digits).expect("at most eight"));
    Some((value * scale, true, &rest[digits..]))
}

fn parse_offset(text: &str) -> Option<Offset> {
    if matches!(text, "Z" | "z") {
        return Some(Offset::UTC);
    }
    // A `+` that was not percent-encoded in a query string arrives as a space.
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+" | " ", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.len() {
        2 => (number(rest, 2)?, 0),
        4 => (number(rest.get(..2)?, 2)?, number(rest.get(2..)?, 2)?),
        5 if rest.as_bytes()[2] == b':' => (number(rest.get(..2)?, 2)?, number(rest.get(3..)?, 2)?),
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

fn number(text: &str, digits: usize) -> Option<i32> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a known zone")
    }

    #[test]
    fn every_documented_form_is_read() {
        let check = |text: &str, name: &str, start: &str, end: &str| {
            let zone = zone(name);
            let input = DateInput::parse(text, &zone).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(input.start(&zone).to_string(), start, "{text}");
            assert_eq!(input.end(&zone).to_string(), end, "{text}");
        };
        check("2026-06-19", "UTC", "2026-06-19T00:00:00Z", "2026-06-20T00:00:00Z");
        check("06/19/2026", "UTC", "2026-06-19T00:00:00Z", "2026-06-20T00:00:00Z");
        check("2026-06-19", "America/New_York", "2026-06-19T04:00:00Z", "2026-06-20T04:00:00Z");
        // The day the clocks go forward has 23 hours.
        check("2026-03-08", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z");
        check("2026-06-19 14:30:00", "UTC", "2026-06-19T14:30:00Z", "2026-06-19T14:30:01Z");
        check("2026-06-19T14:30:00", "Asia/Kolkata", "2026-06-19T09:00:00Z", "2026-06-19T09:00:01Z");
        check("06/19/2026 14:30:00", "UTC", "2026-06-19T14:30:00Z", "2026-06-19T14:30:01Z");
        check("2026-06-19T14:30:00Z", "Asia/Kolkata", "2026-06-19T14:30:00Z", "2026-06-19T14:30:01Z");
        check("2026-06-19T14:30:00+02:00", "UTC", "2026-06-19T12:30:00Z", "2026-06-19T12:30:01Z");
        check("2026-06-19T14:30:00 02:00", "UTC", "2026-06-19T12:30:00Z", "2026-06-19T12:30:01Z");
        check("2026-06-19 14:30:00-0530", "UTC", "2026-06-19T20:00:00Z", "2026-06-19T20:00:01Z");
        check("2026-06-19 14:30:00.25", "UTC", "2026-06-19T14:30:00.25Z", "2026-06-19T14:30:00.250001Z");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "2026",
            "2026-6-19",
            "19-06-2026",
            "01-31-2016",
            "2026-02-30",
            "2026-13-01",
            "2026/06/19",
            "13/01/2026",
            "2026-06-19 25:00:00",
            "2026-06-19 14:30",
            "2026-06-19 14:30:00.",
            "2026-06-19 14:30:00X",
            "2026-06-19 14:30:00+25:00",
            "2026-06-19 14:30:60",
            "1766000000",
            "0000-01-01",
            "9999-12-31",
            "1969-12-31",
            "2026-06-1é",
            "é026-06-19",
            "tomorrow",
            "２０２６-06-19",
        ] {
            assert_eq!(DateInput::parse(text, &TimeZone::UTC), Err(BadDate), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back_to_the_second(seconds in 0i64..250_000_000_000) {
            let at = Timestamp::from_second(seconds).expect("in range");
            let input = DateInput::parse(&print(at, &TimeZone::UTC), &TimeZone::UTC);
            prop_assert_eq!(input, Ok(DateInput::Moment { at, fraction: false }));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,40}") {
            let _ = DateInput::parse(&text, &TimeZone::UTC);
        }
    }
}
