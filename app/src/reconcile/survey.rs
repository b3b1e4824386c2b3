//! The first look at an advertiser's file: its header, what its columns look like, and so how its rows are
//! read.

use std::io;

use archive::ArchiveError;
use domain::conversion_request::BadParameter;
use domain::time::Zone;
use jiff::tz::TimeZone;
use ledger::LedgerError;

use super::amounts::Marks;
use super::columns::{Columns, Field};
use super::dates::{Form, Orders, Range};
use super::rows::each_row;
use super::text::Text;
use super::theirs::Reading;
use super::upload::unavailable;
use super::{RECONCILED_MAX, Reconcile};
use crate::Failure;
use crate::delimited::separator_by;

/// Why a file is gone through no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// What was looked for is found.
    Enough,
    /// It cannot be used.
    Bad(BadParameter),
    /// It could not be done.
    Failure(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failure(unavailable(error))
    }
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<ArchiveError> for Stop {
    fn from(error: ArchiveError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// A file, and how its rows are read.
pub(super) struct Surveyed {
    pub(super) text: Text,
    pub(super) separator: u8,
    pub(super) reading: Reading,
    /// What was decided about it.
    pub(super) remarks: Vec<String>,
}

impl Surveyed {
    /// Looks at a file.
    pub(super) fn of(text: Text, ask: &Reconcile, zone: &TimeZone) -> Result<Self, Stop> {
        let separator = separator(&text, ask)?;
        let columns = header(&text, separator, ask)?;
        let their_zone = ask.time_zone.as_ref().map_or(zone, Zone::rules).clone();
        let range = (ask.start.start(&their_zone), ask.end.end(&their_zone));
        let seen = Seen::look(&text, separator, &columns, &their_zone, range)?;
        let mut remarks: Vec<_> = text.remark().into_iter().collect();
        remarks.push(columns.remark());
        let (amount, remark) = seen.amounts.decide(columns.label(Field::Amount));
        remarks.extend(remark);
        let (payout, remark) = seen.payouts.decide(columns.label(Field::Payout));
        remarks.extend(remark.filter(|_| columns.place(Field::Payout).is_some()));
        let (order, remark) = seen.dates.decide(columns.label(Field::Date));
        let date = if let Some(format) = &ask.date_format {
            Form::Named(format.clone())
        } else {
            remarks.extend(remark);
            Form::Found(order)
        };
        if columns.place(Field::Date).is_none() {
            remarks.push("the file has no dates, so that only ours tell what is in the range".to_owned());
        }
        let reading = Reading { columns, amount, payout, date, zone: their_zone, currency: ask.currency };
        Ok(Self { text, separator, reading, remarks })
    }
}

fn separator(text: &Text, ask: &Reconcile) -> Result<u8, Stop> {
    let mut start = String::new();
    text.blocks()?.next(&mut start)?;
    Ok(separator_by(start.as_bytes(), |name| ask.map.knows(name)))
}

fn header(text: &Text, separator: u8, ask: &Reconcile) -> Result<Columns, Stop> {
    let mut header = Err(BadParameter::invalid("header", "the file is empty"));
    let read = each_row(text, separator, 0, &mut |_, record| {
        header = match record {
            Ok(record) => Columns::read(record, &ask.map),
            Err(broken) => Err(BadParameter::invalid("header", broken.text())),
        };
        Err(Stop::Enough)
    });
    match read {
        Ok(()) | Err(Stop::Enough) => header.map_err(Stop::Bad),
        Err(stop) => Err(stop),
    }
}

/// What was seen of the columns.
#[derive(Default)]
struct Seen {
    amounts: Marks,
    payouts: Marks,
    dates: Orders,
}

impl Seen {
    fn look(
        text: &Text,
        separator: u8,
        columns: &Columns,
        zone: &TimeZone,
        range: Range,
    ) -> Result<Self, Stop> {
        let (mut seen, mut rows) = (Self::default(), 0);
        each_row(text, separator, columns.len(), &mut |_, record| {
            rows += 1;
            // The first record is the header.
            if rows > RECONCILED_MAX + 1 {
                let problem = format!("at most {RECONCILED_MAX} rows in one file");
                return Err(Stop::Bad(BadParameter::invalid("body", problem)));
            }
            let Some(record) = record.ok().filter(|it| rows > 1 && it.len() == columns.len()) else {
                return Ok(());
            };
            let value = |field| {
                let value = columns.place(field).and_then(|place| record.get(place));
                String::from_utf8_lossy(value.unwrap_or_default())
            };
            seen.amounts.look(&value(Field::Amount));
            seen.payouts.look(&value(Field::Payout));
            seen.dates.look(&value(Field::Date), zone, range);
            Ok(())
        })?;
        Ok(seen)
    }
}
