//! The columns of a file of conversions: which header sets there are, and what a row says by them.

use csv::ByteRecord;
use domain::conversion_request::{BadParameter, Parameters};
use domain::money::Amount;
use domain::placeholder::is_placeholder;
use domain::status::ConversionStatus;
use domain::suppression::SuppressionKind;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::delimited::{Record, separator_by};

/// What a problem with the header is told by.
const HEADER: &str = "header";
/// The most columns: as many as a call has parameters.
pub(crate) const COLUMNS_MAX: usize = 256;
/// The largest row, in bytes: as large as the body of one call.
pub(crate) const ROW_BYTES_MAX: usize = 64 * 1024;
/// As much of a column's name as is repeated to whoever sent it, in characters.
const NAME_CHARS_MAX: usize = 60;

const CONVERSION_ID: &str = "conversion_id";
const TRANSACTION_ID: &str = "transaction_id";
const STATUS: &str = "conversion_status";
/// What a file says instead of an event to mean the default one.
const BASE_EVENT: &str = "0";

/// The columns: as they are headed, and the parameter of a conversion call each stands for.
const COLUMNS: [(&str, &str); 38] = [
    ("click_id", "click_id"),
    ("offer_id", "offer_id"),
    ("conversion_date", "conversion_date"),
    ("payout", "payout"),
    ("revenue", "revenue"),
    ("unique_id", "unique_id"),
    ("order_id", "order_id"),
    ("amount", "amount"),
    ("sale_amount", "amount"),
    ("adv1", "adv1"),
    ("adv2", "adv2"),
    ("adv3", "adv3"),
    ("adv4", "adv4"),
    ("adv5", "adv5"),
    ("event", "event_id"),
    ("event_id", "event_id"),
    (STATUS, STATUS),
    ("status", STATUS),
    (TRANSACTION_ID, TRANSACTION_ID),
    (CONVERSION_ID, CONVERSION_ID),
    ("u", "u"),
    ("email", "email"),
    ("phone", "phone"),
    ("ip_address", "ip_address"),
    ("ect", "ect"),
    ("ecst", "ecst"),
    ("ectx", "ectx"),
    ("ecsh", "ecsh"),
    ("ecd", "ecd"),
    ("ecv", "ecv"),
    ("ecc", "ecc"),
    ("eccu", "eccu"),
    ("ecco", "ecco"),
    ("ecrg", "ecrg"),
    ("ecsk", "ecsk"),
    ("ecqu", "ecqu"),
    ("ecpr", "ecpr"),
    ("ecld", "ecld"),
];

/// A column that is understood.
type Column = (&'static str, &'static str);

/// What the first record of a file says about all others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// The columns in their order; none is one that is left out.
    columns: Vec<Option<Column>>,
}

/// The separator by which a text's header names most columns that are understood; the comma where none does.
pub(crate) fn separator(text: &[u8]) -> u8 {
    separator_by(text, |name| column(name).is_some())
}

fn column(name: &[u8]) -> Option<Column> {
    let name = name.trim_ascii();
    COLUMNS.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
}

impl Header {
    /// Reads a file's first record; an error names what is missing, double or unknown.
    pub(crate) fn read(record: &Record<'_>, ignore_unknown: bool) -> Result<Self, BadParameter> {
        let bad = |problem: String| Err(BadParameter::invalid(HEADER, problem));
        if !record.is_closed {
            return bad("a quote in it is never closed".to_owned());
        }
        if record.values.len() > COLUMNS_MAX {
            return bad(format!("at most {COLUMNS_MAX} columns"));
        }
        let columns: Vec<_> = record.values.iter().map(column).collect();
        for (index, (_, parameter)) in columns.iter().enumerate().filter_map(|(at, it)| Some((at, (*it)?))) {
            let same = |it: &&Option<Column>| it.is_some_and(|it| it.1 == parameter);
            if let Some((first, _)) = columns[..index].iter().find(same).copied().flatten() {
                return bad(format!(
                    "{} and {first} are the same column twice",
                    shown(&record.values[index])
                ));
            }
        }
        let unknown: Vec<_> =
            record.values.iter().zip(&columns).filter(|(_, it)| it.is_none()).map(|it| shown(it.0)).collect();
        let header = Self { columns };
        header.check_sets()?;
        if !unknown.is_empty() && !ignore_unknown {
            let unknown = unknown.join(", ");
            return bad(format!("unknown columns: {unknown}; with ignore_unknown=true they are left out"));
        }
        Ok(header)
    }

    fn has(&self, parameter: &str) -> bool {
        self.columns.iter().flatten().any(|it| it.1 == parameter)
    }

    /// Whether rows may name a conversion to be changed.
    fn changes(&self) -> bool {
        self.has(CONVERSION_ID) && ["payout", "revenue", STATUS].into_iter().any(|it| self.has(it))
    }

    /// Whether rows may be conversions to be recorded.
    fn records(&self) -> bool {
        self.missing().is_empty()
    }

    /// Whether a row may leave out the offer, and means its click's then.
    fn names_clicks_only(&self) -> bool {
        self.has(TRANSACTION_ID) && !self.has("click_id")
    }

    /// What a header lacks by which conversions are recorded.
    fn missing(&self) -> Vec<&'static str> {
        let required: &[_] = if self.names_clicks_only() {
            &[TRANSACTION_ID, "event_id"]
        } else {
            &["click_id", "offer_id", "conversion_date"]
        };
        required.iter().copied().filter(|it| !self.has(it)).collect()
    }

    fn check_sets(&self) -> Result<(), BadParameter> {
        if self.changes() || self.records() {
            return Ok(());
        }
        let problem = if self.has(CONVERSION_ID) {
            "beside conversion_id, payout, revenue or conversion_status is missing".to_owned()
        } else {
            let missing = self.missing().join(", ");
            format!(
                "missing {missing}: a file has click_id, offer_id and conversion_date, or transaction_id and \
                 event_id, or conversion_id and what is to change"
            )
        };
        Err(BadParameter::invalid(HEADER, problem))
    }

    /// Reads a record; an error says in words why it cannot be read.
    pub(crate) fn row(&self, record: &Record<'_>) -> Result<Row<'_>, String> {
        if !record.is_closed {
            return Err("a quote in it is never closed".to_owned());
        }
        if record.raw.len() > ROW_BYTES_MAX {
            return Err(format!("more than {ROW_BYTES_MAX} bytes"));
        }
        if record.values.len() != self.columns.len() {
            let (found, expected) = (record.values.len(), self.columns.len());
            return Err(format!("{found} values, and the header has {expected} columns"));
        }
        let row = Row { header: self, values: texts(&record.values).ok_or("not UTF-8")?, offer_id: None };
        if row.conversion_id().is_none() && !self.records() {
            return Err("conversion_id is required".to_owned());
        }
        Ok(row)
    }
}

fn texts(values: &ByteRecord) -> Option<Vec<String>> {
    let text = |value| Some(std::str::from_utf8(value).ok()?.trim().to_owned());
    values.iter().map(text).collect()
}

/// A column's name, for whoever sent it.
pub(crate) fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    if name.is_empty() { "(no name)".to_owned() } else { name }
}

/// A row: its values, under the names of conversion calls.
#[derive(Debug)]
pub(crate) struct Row<'h> {
    header: &'h Header,
    values: Vec<String>,
    /// The offer it means without naming it.
    offer_id: Option<String>,
}

impl Row<'_> {
    fn value(&self, parameter: &str) -> Option<&str> {
        let columns = self.header.columns.iter().zip(&self.values);
        let (_, value) =
            columns.into_iter().find(|(column, _)| column.is_some_and(|it| it.1 == parameter))?;
        let is_base_event = parameter == "event_id" && value == BASE_EVENT && self.header.names_clicks_only();
        Some(value.as_str()).filter(|value| !value.is_empty() && !is_base_event)
    }

    /// The value of a column that conversion calls know nothing of.
    fn own(&self, parameter: &str) -> Option<&str> {
        self.value(parameter).filter(|value| !is_placeholder(value))
    }

    /// The conversion it is about to change.
    pub(crate) fn conversion_id(&self) -> Option<&str> {
        self.own(CONVERSION_ID)
    }

    /// The word for how the conversion stands.
    pub(crate) fn status_word(&self) -> &str {
        self.own(STATUS).unwrap_or_default()
    }

    /// How the conversion is to stand.
    pub(crate) fn status(&self) -> Result<Option<ConversionStatus>, BadParameter> {
        let read =
            |word| ConversionStatus::of_word(word).map_err(|error| BadParameter::invalid(STATUS, error));
        self.own(STATUS).map(read).transpose()
    }

    pub(crate) fn amount(&self, parameter: &str) -> Result<Option<Amount>, BadParameter> {
        let read = |value: &str| value.parse().map_err(|error| BadParameter::invalid(parameter, error));
        self.own(parameter).map(read).transpose()
    }

    /// The click it names, where it means that click's offer.
    pub(crate) fn click_without_offer(&self) -> Option<&str> {
        let is_named = self.own("offer_id").is_some() || !self.header.names_clicks_only();
        if is_named { None } else { self.own(TRANSACTION_ID) }
    }

    /// The same row, about that offer.
    pub(crate) fn with_offer(self, offer_id: String) -> Self {
        Self { offer_id: Some(offer_id), ..self }
    }

    /// Whether it says when the conversion happened.
    pub(crate) fn is_dated(&self) -> bool {
        self.own("conversion_date").is_some()
    }

    /// The row as its attempt keeps it: without what suppression lists know people by.
    pub(crate) fn raw(&self) -> String {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let is_kept = |parameter: &str| SuppressionKind::ALL.iter().all(|kind| kind.name() != parameter);
        let named =
            self.header.columns.iter().zip(&self.values).filter_map(|(it, value)| Some(((*it)?, value)));
        let kept = named.filter(|((_, parameter), value)| is_kept(parameter) && !value.is_empty());
        kept.map(|((name, _), value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&")
    }

    /// A problem, told by the column as the file heads it.
    pub(crate) fn told(&self, bad: &BadParameter) -> String {
        let columns = self.header.columns.iter().flatten();
        let name = columns.into_iter().find(|it| it.1 == bad.parameter).map(|it| it.0.to_owned());
        BadParameter { parameter: name.unwrap_or_else(|| bad.parameter.clone()), ..bad.clone() }.message()
    }
}

impl Parameters for Row<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let implied = self.offer_id.as_deref().filter(|_| name == "offer_id");
        // A status word of a file is read as a status, and names no event.
        implied.or_else(|| self.value(name).filter(|_| name != STATUS && name != CONVERSION_ID))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delimited::Records;

    fn header(text: &str) -> Result<Header, String> {
        let record = Records::of(text.as_bytes(), separator(text.as_bytes())).next().expect("a record");
        Header::read(&record, false).map_err(|bad| bad.message())
    }

    #[test]
    fn the_known_sets_are_read_in_any_order_and_case_by_every_separator() {
        for text in [
            "click_id,offer_id,conversion_date",
            "Conversion_Date;OFFER_ID;click_id",
            "\u{feff}click_id\tconversion_date\toffer_id\tpayout",
            " click_id , offer_id , conversion_date , event , conversion_status , adv5 ",
            "\"click_id\";\"offer_id\";\"conversion_date\"",
            "transaction_id,event_id,payout,revenue,sale_amount",
            "event,transaction_id",
            "conversion_id,payout,revenue,sale_amount",
            "status,conversion_id",
            "click_id,offer_id,conversion_date,transaction_id,order_id,amount,unique_id,email,ecsk",
            "conversion_id,click_id,payout",
        ] {
            let read = header(text);
            assert!(read.as_ref().is_ok_and(|it| it.columns.iter().all(Option::is_some)), "{text}: {read:?}");
        }
    }

    #[test]
    fn any_other_header_is_refused_with_what_is_wrong() {
        let check = |text: &str, problem: &str| {
            let refused = header(text).expect_err(text);
            assert!(refused.starts_with(&format!("header: {problem}")), "{text}: {refused}");
        };
        check("click_id,offer_id,payout", "missing conversion_date: ");
        check("payout,revenue", "missing click_id, offer_id, conversion_date: ");
        check("transaction_id,payout", "missing event_id: ");
        check("conversion_id,sale_amount", "beside conversion_id, payout, revenue or conversion_status is ");
        check("a,b,c", "missing click_id, offer_id, conversion_date: ");
        check(
            "click_id,offer_id,conversion_date,Click_ID",
            "Click_ID and click_id are the same column twice",
        );
        check("conversion_id,payout,amount,sale_amount", "sale_amount and amount are the same column twice");
        check(
            "click_id,offer_id,conversion_date,foo,",
            "unknown columns: foo, (no name); with ignore_unknown",
        );
        check("conversion_id,\"payout", "a quote in it is never closed");
        check(&format!("conversion_id,payout{}", ",x".repeat(255)), "at most 256 columns");
    }

    #[test]
    fn unknown_columns_can_be_left_out() {
        let text = b"conversion_id;foo;payout;foo";
        let record = Records::of(text, separator(text)).next().expect("a record");
        let header = Header::read(&record, true).expect("left out");
        assert_eq!(header.columns.iter().flatten().count(), 2);
    }

    fn with_row<T>(text: &[u8], check: impl FnOnce(Result<Row<'_>, String>) -> T) -> T {
        let mut records = Records::of(text, separator(text));
        let header = Header::read(&records.next().expect("a header"), false).expect("a known one");
        check(header.row(&records.next().expect("a row")))
    }

    #[test]
    fn a_row_that_cannot_be_read_says_why() {
        let check = |text: &[u8], expected: &str| {
            with_row(text, |row| assert_eq!(row.expect_err("unreadable"), expected));
        };
        check(b"conversion_id,payout\n1", "1 values, and the header has 2 columns");
        check(b"conversion_id,payout\n1,2,3", "3 values, and the header has 2 columns");
        check(b"conversion_id,payout\n1,\xff", "not UTF-8");
        check(b"conversion_id,payout\n,2", "conversion_id is required");
        check(b"conversion_id,payout\n1,\"2", "a quote in it is never closed");
        let large = [b"conversion_id,payout\n1,".to_vec(), vec![b'2'; 64 * 1024]].concat();
        check(&large, "more than 65536 bytes");
    }

    #[test]
    fn values_stand_under_the_names_of_calls() {
        let text = b"click_id;offer_id;conversion_date;sale_amount;event;status;transaction_id\n\
                     c ; 1 ;2026-01-01;9.5;sale;paid;ORD-1";
        with_row(text, |row| {
            let row = row.expect("readable");
            let found = ["click_id", "offer_id", "amount", "event_id", "transaction_id", "status", STATUS];
            let found = found.map(|name| row.get(name).unwrap_or("-"));
            assert_eq!(found, ["c", "1", "9.5", "sale", "ORD-1", "-", "-"]);
            assert_eq!((row.status(), row.status_word()), (Ok(Some(ConversionStatus::Approved)), "paid"));
            assert_eq!((row.click_without_offer(), row.is_dated()), (None, true));
            assert_eq!(row.told(&BadParameter::invalid("amount", "x")), "sale_amount: x");
        });
    }

    #[test]
    fn a_row_that_names_only_its_click_means_its_offer_and_event_zero_is_the_default_one() {
        with_row(b"transaction_id,event_id,payout\nabc,0,{payout}", |row| {
            let row = row.expect("readable");
            assert_eq!((row.click_without_offer(), row.get("event_id")), (Some("abc"), None));
            assert_eq!(row.amount("payout"), Ok(None), "a placeholder");
            assert_eq!(row.with_offer("7".to_owned()).get("offer_id"), Some("7"));
        });
        with_row(b"transaction_id,event_id,offer_id\nabc,2,8", |row| {
            let row = row.expect("readable");
            assert_eq!((row.click_without_offer(), row.get("event_id")), (None, Some("2")));
        });
    }

    #[test]
    fn what_is_kept_of_a_row_names_nobody() {
        let text = b"click_id,offer_id,conversion_date,email,phone,ip_address,adv1\nc,1,,a@example.org,123456,192.0.2.1,x y";
        let raw = with_row(text, |row| row.expect("readable").raw());
        assert_eq!(raw, "click_id=c&offer_id=1&adv1=x%20y");
    }
}
