//! Delimited text cut into records: separators, quotes, lines. What the columns mean is the matter of
//! [`crate::import_columns`].

use csv::{ByteRecord, Reader, ReaderBuilder};

/// What may stand between two values.
pub(crate) const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// What some programs begin a file with, to say that it is UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The records of a text, in their order. Lines without anything are none.
pub(crate) struct Records<'t> {
    text: &'t [u8],
    separator: u8,
    reader: Reader<&'t [u8]>,
    /// Up to where lines are counted, and how many ended there.
    counted: usize,
    lines: u64,
}

/// A record.
#[derive(Debug)]
pub(crate) struct Record<'t> {
    /// The line it begins on, from 1.
    pub(crate) line: u64,
    /// Where it begins in the text.
    pub(crate) begin: usize,
    /// As it stands in the text.
    pub(crate) raw: &'t [u8],
    /// Whether every quote in it is closed.
    pub(crate) is_closed: bool,
    /// Its values, without their quotes.
    pub(crate) values: ByteRecord,
}

impl<'t> Records<'t> {
    pub(crate) fn of(text: &'t [u8], separator: u8) -> Self {
        Self::within(without_bom(text), separator)
    }

    /// The records of a part of a text.
    pub(crate) fn within(text: &'t [u8], separator: u8) -> Self {
        let mut reader = ReaderBuilder::new();
        let reader = reader.has_headers(false).flexible(true).delimiter(separator).from_reader(text);
        Self { text, separator, reader, counted: 0, lines: 0 }
    }
}

impl<'t> Iterator for Records<'t> {
    type Item = Record<'t>;

    fn next(&mut self) -> Option<Record<'t>> {
        let mut values = ByteRecord::new();
        let is_there = self.reader.read_byte_record(&mut values);
        if !is_there.expect("memory can be read, and records may have any length") {
            return None;
        }
        let at = |byte: u64| usize::try_from(byte).unwrap_or(self.text.len()).min(self.text.len());
        let begin = at(values.position().map_or(0, csv::Position::byte));
        let end = at(self.reader.position().byte());
        let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        // Empty lines before it, or the rest of a line end, belong to the record for the reader.
        let skipped = self.text[begin..end].iter().take_while(is_line_end).count();
        let trailing = self.text[begin + skipped..end].iter().rev().take_while(is_line_end).count();
        let raw = &self.text[begin + skipped..end - trailing];
        self.lines += line_ends(&self.text[self.counted..begin + skipped]);
        self.counted = begin + skipped;
        let (line, is_closed) = (self.lines + 1, is_closed(raw, self.separator));
        Some(Record { line, begin: begin + skipped, raw, is_closed, values })
    }
}

/// The separator by which a text's first record has most values that are known; the comma where none is.
pub(crate) fn separator_by(text: &[u8], is_known: impl Fn(&[u8]) -> bool) -> u8 {
    let known = |separator: &u8| {
        let first = Records::of(text, *separator).next();
        first.map_or(0, |it| it.values.iter().filter(|value| is_known(value)).count())
    };
    // Of several that have as many the last would be taken.
    SEPARATORS.into_iter().rev().max_by_key(known).unwrap_or(SEPARATORS[0])
}

/// The text itself, without what says how it is encoded.
pub(crate) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(BOM).unwrap_or(text)
}

pub(crate) fn line_ends(text: &[u8]) -> u64 {
    let lone_return = text.windows(2).filter(|pair| pair[0] == b'\r' && pair[1] != b'\n').count();
    let last_return = usize::from(text.last() == Some(&b'\r'));
    (text.split(|byte| *byte == b'\n').skip(1).count() + lone_return + last_return) as u64
}

/// Whether no quote is open at the end: the reader takes the end of the text for its end.
fn is_closed(raw: &[u8], separator: u8) -> bool {
    #[derive(PartialEq)]
    enum Within {
        Beginning,
        Plain,
        Quotes,
        /// A quote inside quotes: their end, or the first of two that stand for one.
        QuoteInQuotes,
    }
    let step = |within, byte: &u8| match (within, *byte) {
        (Within::Beginning | Within::QuoteInQuotes, b'"') | (Within::Quotes, 0..b'"' | b'#'..) => {
            Within::Quotes
        }
        (Within::Quotes, b'"') => Within::QuoteInQuotes,
        (_, byte) if byte == separator => Within::Beginning,
        _ => Within::Plain,
    };
    raw.iter().fold(Within::Beginning, step) != Within::Quotes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &[u8], separator: u8) -> Vec<(u64, Vec<String>, bool)> {
        let values = |it: &Record<'_>| {
            it.values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
        };
        Records::of(text, separator).map(|it| (it.line, values(&it), it.is_closed)).collect()
    }

    fn lines(text: &str) -> Vec<u64> {
        records(text.as_bytes(), b',').into_iter().map(|it| it.0).collect()
    }

    #[test]
    fn a_record_is_told_by_the_line_it_begins_on() {
        assert_eq!(lines("a,b\nc,d\ne,f"), [1, 2, 3]);
        assert_eq!(lines("a,b\r\nc,d\r\ne,f\r\n"), [1, 2, 3]);
        assert_eq!(lines("a,b\rc,d\re,f\r"), [1, 2, 3]);
        assert_eq!(lines("\n\na,b\n\n\r\nc,d\n\n"), [3, 6]);
        assert_eq!(lines("a,\"b\nb\r\nb\"\nc,d"), [1, 4]);
        assert_eq!(lines(""), Vec::<u64>::new());
        assert_eq!(lines("\n\n"), Vec::<u64>::new());
    }

    #[test]
    fn quotes_hold_separators_line_ends_and_quotes() {
        let check = |text: &str, expected: &[&str]| {
            let found = records(text.as_bytes(), b',');
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(
                (found[0].1.clone(), found[0].2),
                (expected.iter().map(|it| (*it).to_owned()).collect(), true)
            );
        };
        check("\"a,b\",c", &["a,b", "c"]);
        check("\"a\nb\",c", &["a\nb", "c"]);
        check("\"a \"\"b\"\"\",\"\"", &["a \"b\"", ""]);
        check("a\"b,c", &["a\"b", "c"]);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_seen() {
        for (text, expected) in [
            ("a,\"b", false),
            ("a,\"b\"", true),
            ("a,\"b\"\"", false),
            ("a,\"b\nc,d\n", false),
            ("a,b\"", true),
            ("\"\"\"\"", true),
            ("\"", false),
        ] {
            let last = records(text.as_bytes(), b',').pop().expect("a record");
            assert_eq!(last.2, expected, "{text:?}");
        }
    }

    #[test]
    fn every_separator_separates_and_a_bom_is_no_part_of_the_first_value() {
        for separator in SEPARATORS {
            let text = format!("\u{feff}a{0}\"b{0}\"\n", char::from(separator));
            let expected = vec!["a".to_owned(), format!("b{}", char::from(separator))];
            assert_eq!(records(text.as_bytes(), separator), [(1, expected, true)]);
        }
    }

    #[test]
    fn the_raw_records_make_the_same_file_again() {
        let text = b"a,b\r\n\"x\n\"\"y\",z\n\n1,2";
        let raw: Vec<_> = Records::of(text, b',').map(|it| it.raw).collect();
        assert_eq!(raw, [&b"a,b"[..], b"\"x\n\"\"y\",z", b"1,2"]);
        assert_eq!(records(&raw.join(&b'\n'), b',').len(), 3);
    }
}
