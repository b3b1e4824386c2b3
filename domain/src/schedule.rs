//! The hours in which an offer takes clicks: `mon-fri 09:00-18:00; sat 10:00-14:00`, on the clock
//! of the offer's time zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use thiserror::Error;

/// Minutes of a day, and of a week.
const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
/// Parts one schedule may have: three for each day of the week.
const PARTS_MAX: usize = 21;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Hours of the week.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// As it was written, in lower case.
    text: String,
    /// From minute to minute of the week, Monday first; the end is not included and lies up to a day after the week.
    open: Vec<(u32, u32)>,
}

/// A text that is no schedule.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?} is no part of a schedule: use days and hours such as mon-fri 09:00-18:00, parts separated by ;"
)]
pub struct BadSchedule(pub String);

impl Schedule {
    /// Whether it is open at this time of the clock on the wall.
    pub fn is_open(&self, at: DateTime) -> bool {
        let day = u32::try_from(at.weekday().to_monday_zero_offset()).expect("0 to 6");
        let time = u32::try_from(i32::from(at.hour()) * 60 + i32::from(at.minute())).expect("not negative");
        let minute = day * DAY + time;
        // An interval over midnight on Sunday ends on Monday.
        self.open.iter().any(|&(from, to)| [minute, minute + WEEK].iter().any(|it| (from..to).contains(it)))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        let text = text.trim().to_ascii_lowercase();
        let parts: Vec<&str> = text.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
        if parts.is_empty() || parts.len() > PARTS_MAX {
            return Err(BadSchedule(text));
        }
        let mut open = Vec::new();
        for part in &parts {
            read_part(part, &mut open).ok_or_else(|| BadSchedule((*part).to_owned()))?;
        }
        Ok(Self { text: parts.join("; "), open })
    }
}

/// `mon-fri 09:00-18:00`, or days alone for all of their hours.
fn read_part(part: &str, open: &mut Vec<(u32, u32)>) -> Option<()> {
    let (days, hours) = part.split_once(' ').unwrap_or((part, "00:00-24:00"));
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let (first, last) = (weekday(first)?, weekday(last)?);
    let (from, to) = hours.trim().split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    if from == to || from == DAY {
        return None;
    }
    // Hours that end before they begin go over midnight.
    let length = if to > from { to - from } else { DAY + to - from };
    let count = (last + 7 - first) % 7 + 1;
    for day in (first..).take(count) {
        let start = u32::try_from(day % 7).expect("0 to 6") * DAY + from;
        open.push((start, start + length));
    }
    Some(())
}

fn weekday(name: &str) -> Option<usize> {
    DAYS.iter().position(|day| *day == name.trim())
}

/// `09:00` up to `24:00`, in minutes.
fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two = |digits: &str| digits.parse::<u32>().ok().filter(|_| digits.len() == 2);
    let (hour, minute) = (two(hour)?, two(minute)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn it_is_open_in_its_hours_and_closed_in_all_others() {
        // 2026-11-16 was a Monday.
        let check = |schedule: &str, day: i8, hour: i8, minute: i8, expected: bool| {
            let at = date(2026, 11, 15 + day).at(hour, minute, 59, 0);
            assert_eq!(schedule.parse::<Schedule>().expect("valid").is_open(at), expected, "{schedule} {at}");
        };
        let office = "Mon-Fri 09:00-18:00; sat 10:00-14:00";
        check(office, 1, 9, 0, true);
        check(office, 1, 8, 59, false);
        check(office, 5, 17, 59, true);
        check(office, 5, 18, 0, false);
        check(office, 6, 13, 59, true);
        check(office, 7, 12, 0, false);
        check("sun", 7, 23, 59, true);
        check("sun", 1, 0, 0, false);
        let night = "sat-sun 22:00-02:00";
        check(night, 6, 21, 59, false);
        check(night, 6, 22, 0, true);
        check(night, 7, 1, 59, true);
        check(night, 7, 2, 0, false);
        check(night, 7, 23, 0, true);
        check(night, 1, 1, 59, true);
        check(night, 1, 2, 0, false);
        check("fri-mon 00:00-24:00", 7, 3, 0, true);
        check("fri-mon 00:00-24:00", 2, 3, 0, false);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            ";",
            "monday",
            "mon 9-18",
            "mon 09:00",
            "mon 09:00-09:00",
            "mon 24:00-02:00",
            "mon 09:60-10:00",
        ] {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
        let error = "mon; tuesday".parse::<Schedule>().expect_err("refused");
        assert!(error.to_string().starts_with("\"tuesday\" is no part"), "{error}");
    }

    #[test]
    fn it_prints_what_it_reads() {
        let schedule: Schedule = "MON-FRI 09:00-18:00 ;sat".parse().expect("valid");
        assert_eq!(schedule.to_string(), "mon-fri 09:00-18:00; sat");
        assert_eq!(schedule.to_string().parse(), Ok(schedule));
    }
}
