//! A row of an advertiser's file: what it says, or why that cannot be read.

use std::borrow::Cow;

use csv::ByteRecord;
use domain::conversion_request::{CLICK_ID_CHARS_MAX, TEXT_CHARS_MAX};
use domain::ids::{ClickId, ConversionId};
use domain::money::{Amount, Currency};
use domain::placeholder::is_placeholder;
use domain::reconciliation::pairing::Keys;
use domain::status::ConversionStatus;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::amounts::{self, Mark};
use super::columns::{Columns, Field};
use super::dates::{self, Form};
use super::rows::Broken;

/// How the rows of a file are read.
pub(crate) struct Reading {
    pub(crate) columns: Columns,
    pub(crate) amount: Mark,
    pub(crate) payout: Mark,
    pub(crate) date: Form,
    pub(crate) zone: TimeZone,
    /// The currency of amounts that name none, where that is said.
    pub(crate) currency: Option<Currency>,
}

/// What names a row, as far as it can be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Names {
    pub(crate) conversion_id: Option<ConversionId>,
    /// Whether there is one that is no number.
    pub(crate) is_number_malformed: bool,
    pub(crate) unique_id: String,
    pub(crate) order_id: String,
    pub(crate) click_text: String,
}

/// What a row says that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Said {
    /// What they owe: their amount while the row pays.
    pub(crate) owed: Amount,
    pub(crate) payout: Option<Amount>,
    pub(crate) status: Option<ConversionStatus>,
    pub(crate) currency: Option<Currency>,
    pub(crate) date: Option<Timestamp>,
}

/// A row of theirs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TheirRow {
    pub(crate) line: u64,
    pub(crate) names: Names,
    pub(crate) said: Result<Said, String>,
}

impl Names {
    /// What it is recognised by.
    pub(crate) fn keys(&self) -> Keys<'_> {
        Keys {
            conversion_id: self.conversion_id,
            unique_id: &self.unique_id,
            order_id: &self.order_id,
            click_id: self.click_id(),
        }
    }

    /// The click, where its id can be one.
    pub(crate) fn click_id(&self) -> Option<ClickId> {
        self.click_text.parse().ok()
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Reading {
    /// Reads a record.
    pub(crate) fn row(&self, line: u64, record: Result<&ByteRecord, Broken>) -> TheirRow {
        let record = match record {
            Ok(record) => record,
            Err(broken) => return TheirRow { line, names: Names::default(), said: Err(broken.text()) },
        };
        let (found, expected) = (record.len(), self.columns.len());
        if found != expected {
            // Of a row that breaks off all but the last value is whole.
            let whole = if found < expected { found.saturating_sub(1) } else { 0 };
            let problem = format!("{found} values, and the header has {expected} columns");
            return TheirRow { line, names: self.names(record, whole), said: Err(problem) };
        }
        let names = self.names(record, expected);
        let said = self.check_names(&names).and_then(|()| self.said(record));
        TheirRow { line, names, said }
    }

    /// A field's value, if it is among so many first ones.
    fn value<'r>(&self, record: &'r ByteRecord, field: Field, whole: usize) -> Cow<'r, str> {
        let place = self.columns.place(field).filter(|place| *place < whole);
        let value = place.and_then(|place| record.get(place)).unwrap_or_default();
        match String::from_utf8_lossy(value) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        }
    }

    fn names(&self, record: &ByteRecord, whole: usize) -> Names {
        let text = |field, chars_max: usize| -> String {
            let value = self.value(record, field, whole);
            if is_placeholder(&value) { String::new() } else { value.chars().take(chars_max).collect() }
        };
        let number = text(Field::ConversionId, TEXT_CHARS_MAX);
        let conversion_id = number.parse().ok();
        let transaction = text(Field::TransactionId, TEXT_CHARS_MAX);
        let mut names = Names {
            conversion_id,
            is_number_malformed: conversion_id.is_none() && !number.is_empty(),
            unique_id: text(Field::UniqueId, TEXT_CHARS_MAX),
            order_id: text(Field::OrderId, TEXT_CHARS_MAX),
            // One character more than a click id may have, so that it stays none.
            click_text: text(Field::ClickId, CLICK_ID_CHARS_MAX + 1),
        };
        // Beside a click it is a transaction; alone it may be either.
        if self.columns.place(Field::ClickId).is_none() && transaction.parse::<ClickId>().is_ok() {
            names.click_text.clone_from(&transaction);
        }
        if names.unique_id.is_empty() {
            names.unique_id = transaction;
        }
        names
    }

    /// Columns that have changed places show in what names a row.
    fn check_names(&self, names: &Names) -> Result<(), String> {
        if names.is_empty() {
            return Err("nothing in it tells which conversion it is about".to_owned());
        }
        let unique = if self.columns.place(Field::UniqueId).is_some() {
            Field::UniqueId
        } else {
            Field::TransactionId
        };
        let fields = [
            (unique, &names.unique_id),
            (Field::OrderId, &names.order_id),
            (Field::ClickId, &names.click_text),
        ];
        match fields.into_iter().find(|(_, value)| dates::is_date(value)) {
            None => Ok(()),
            Some((field, value)) => {
                let label = self.columns.label(field);
                Err(format!("{label}: {value} is a date; are columns in each other's place?"))
            }
        }
    }

    fn said(&self, record: &ByteRecord) -> Result<Said, String> {
        let value = |field| self.value(record, field, self.columns.len());
        let told = |field: Field, problem: String| {
            let problem: String = problem.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect();
            format!("{}: {problem}", self.columns.label(field))
        };
        let word = value(Field::Status);
        let status = (!word.is_empty()).then(|| ConversionStatus::of_word(&word)).transpose();
        let status = status.map_err(|_| told(Field::Status, format!("{word} is no status that is known")))?;
        let is_owed = status.is_none_or(ConversionStatus::pays);
        let amount = value(Field::Amount);
        let (amount, attached) = if amount.is_empty() && !is_owed {
            (Amount::ZERO, None)
        } else {
            amounts::read(&amount, self.amount).map_err(|problem| told(Field::Amount, problem))?
        };
        let payout = value(Field::Payout);
        let payout = (!payout.is_empty()).then(|| amounts::read(&payout, self.payout)).transpose();
        let payout = payout.map_err(|problem| told(Field::Payout, problem))?.map(|it| it.0);
        let code = value(Field::Currency);
        let named = (!code.is_empty()).then(|| code.parse::<Currency>()).transpose();
        let named = named.map_err(|_| told(Field::Currency, format!("{code} is no currency")))?;
        let date = value(Field::Date);
        let date = match &*date {
            "" => None,
            text => {
                let read = dates::read(text, &self.date, &self.zone);
                let read = read
                    .ok_or_else(|| told(Field::Date, format!("{text} is not a date as this file has them")));
                Some(read?.start(&self.zone))
            }
        };
        let owed = if is_owed { amount } else { Amount::ZERO };
        Ok(Said { owed, payout, status, currency: named.or(attached).or(self.currency), date })
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::ColumnMap;
    use super::*;
    use crate::reconcile::dates::Order;

    const CLICK: &str = "01978a2e-7000-7001-8000-000000000001";

    fn read(header: &str, row: &str) -> TheirRow {
        let record = |text: &str| ByteRecord::from(text.split(',').collect::<Vec<_>>());
        let columns = Columns::read(&record(header), &ColumnMap::default()).expect("usable");
        let reading = Reading {
            columns,
            amount: Mark::Point,
            payout: Mark::Point,
            date: Form::Found(Order::MonthFirst),
            zone: TimeZone::UTC,
            currency: None,
        };
        reading.row(7, Ok(&record(row)))
    }

    fn problem(header: &str, row: &str) -> String {
        read(header, row).said.expect_err(row)
    }

    #[test]
    fn a_row_says_what_is_owed_as_it_stands() {
        let header = "order_id,amount,status,currency,date,payout";
        let row = read(header, "A, 22.5 ,confirmed,eur,06/19/2026 14:30,18");
        assert_eq!((row.line, &*row.names.order_id), (7, "A"));
        let said = row.said.expect("readable");
        assert_eq!((said.owed.to_string(), said.status), ("22.50".into(), Some(ConversionStatus::Approved)));
        assert_eq!(said.payout.map(|it| it.to_string()), Some("18.00".into()));
        assert_eq!(said.currency.map(|it| it.to_string()), Some("EUR".into()));
        assert_eq!(said.date.map(|it| it.to_string()), Some("2026-06-19T14:30:00Z".into()));
        for (row, owed) in
            [("A,22.5,cancelled,,,", "0.00"), ("A,,refunded,,,", "0.00"), ("A,-3,,,,", "-3.00")]
        {
            assert_eq!(read(header, row).said.expect("readable").owed.to_string(), owed, "{row}");
        }
    }

    #[test]
    fn a_transaction_is_a_click_only_where_it_can_be_one_and_no_other_column_is() {
        let names = |header, row: &str| read(header, row).names;
        let alone = names("transaction_id,amount", &format!("{CLICK},1"));
        assert_eq!((&*alone.click_text, &*alone.unique_id), (CLICK, CLICK));
        let text = names("transaction_id,amount", "ORD-1,1");
        assert_eq!((&*text.click_text, &*text.unique_id), ("", "ORD-1"));
        let beside = names("transaction_id,click_id,amount", &format!("{CLICK},x,1"));
        assert_eq!((&*beside.click_text, &*beside.unique_id), ("x", CLICK));
        let both = names("unique_id,transaction_id,amount", "A,B,1");
        assert_eq!(&*both.unique_id, "A");
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_column() {
        let header = "Order ID,Amount,status,currency,date";
        let check = |row: &str, expected: &str| assert_eq!(problem(header, row), expected, "{row}");
        check("A,1e5,,,", "Amount: 1e5: scientific notation, in which digits may be lost");
        check("A,,,,", "Amount: no amount");
        check("A,1,perhaps,,", "status: perhaps is no status that is known");
        check("A,1,,dollars,", "currency: dollars is no currency");
        check("A,1,,,ORD-1", "date: ORD-1 is not a date as this file has them");
        check(",1,,,", "nothing in it tells which conversion it is about");
        check("TRANSACTION_ID,1,,,", "nothing in it tells which conversion it is about");
        check("2026-06-19,1,,,", "Order ID: 2026-06-19 is a date; are columns in each other's place?");
        check("A,1,,", "4 values, and the header has 5 columns");
        check("A,1,,,,", "6 values, and the header has 5 columns");
    }

    #[test]
    fn a_row_that_breaks_off_still_names_its_conversion_by_what_is_whole() {
        let header = "order_id,unique_id,amount";
        assert_eq!(read(header, "ORD-1,U-1").names.order_id, "ORD-1");
        assert_eq!(read(header, "ORD-1,U-1").names.unique_id, "");
        assert!(read(header, "ORD-1").names.is_empty());
        assert!(read(header, "ORD-1,U-1,1,2").names.is_empty());
        assert_eq!(read("conversion_id,amount", "7,1").names.conversion_id, Some(ConversionId(7)));
        assert!(read("conversion_id,amount", "x7,1").names.is_number_malformed);
    }
}
