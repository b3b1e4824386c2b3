//! The records of an advertiser's file, one by one, whatever is wrong with some of them. Memory does not grow
//! with the file.

use std::io;

use csv::ByteRecord;

use super::text::Text;
use crate::delimited::{Record, Records, line_ends};
use crate::import_columns::ROW_BYTES_MAX;

/// Text held at a time: many times the largest row.
const BLOCK_BYTES: usize = 1024 * 1024;

/// What is wrong with a record of which only its first line is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// A quote in it is never closed, or not before many other rows.
    OpenQuote,
    /// It is larger than any row.
    TooLong,
}

impl Broken {
    pub(crate) fn text(self) -> String {
        match self {
            Self::OpenQuote => "a quote in it is never closed".to_owned(),
            Self::TooLong => format!("more than {ROW_BYTES_MAX} bytes"),
        }
    }
}

/// Takes each record, with the line it begins on.
pub(crate) type TakeRow<'r, E> = &'r mut dyn FnMut(u64, Result<&ByteRecord, Broken>) -> Result<(), E>;

/// A part of a text whose records are being taken.
struct Part<'t> {
    text: &'t str,
    /// The line that it begins on.
    line: u64,
    separator: u8,
    /// How many values a record has; 0 where nobody knows.
    columns: usize,
    is_last: bool,
}

/// How far a part was taken.
struct Reached {
    bytes: usize,
    line: u64,
    /// Whether the rest of the line is no record's.
    is_within_line: bool,
}

/// Hands over the records of a text. A quote that would swallow other rows spoils its own line only: what
/// follows is read as if it were not there.
pub(crate) fn each_row<E: From<io::Error>>(
    text: &Text,
    separator: u8,
    columns: usize,
    row: TakeRow<'_, E>,
) -> Result<(), E> {
    let mut blocks = text.blocks()?;
    let (mut held, mut line, mut is_last, mut is_within_line) = (String::new(), 1, false, false);
    loop {
        while held.len() < BLOCK_BYTES && !is_last {
            is_last = blocks.next(&mut held)?;
        }
        if is_within_line {
            let end = held.find(['\r', '\n']).unwrap_or(held.len());
            is_within_line = end == held.len() && !is_last;
            held.drain(..end);
            if is_within_line {
                continue;
            }
        }
        let part = Part { text: &held, line, separator, columns, is_last };
        let reached = part.each(row)?;
        (line, is_within_line) = (reached.line, reached.is_within_line);
        held.drain(..reached.bytes);
        if is_last && held.is_empty() {
            return Ok(());
        }
    }
}

impl Part<'_> {
    fn each<E>(&self, row: TakeRow<'_, E>) -> Result<Reached, E> {
        let (mut from, mut line) = (0, self.line);
        'records: loop {
            let rest = &self.text.as_bytes()[from..];
            let mut records = Records::within(rest, self.separator).peekable();
            while let Some(record) = records.next() {
                let at = line + record.line - 1;
                let is_over = self.is_last || records.peek().is_some();
                if !is_over && record.raw.len() <= ROW_BYTES_MAX {
                    // It may go on in the next part.
                    return Ok(Reached { bytes: from + record.begin, line: at, is_within_line: false });
                }
                let Some(broken) = self.broken(&record) else {
                    row(at, Ok(&record.values))?;
                    continue;
                };
                row(at, Err(broken))?;
                let begin = from + record.begin;
                let Some(end) = record.raw.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                    let bytes = begin + record.raw.len();
                    if is_over {
                        continue;
                    }
                    return Ok(Reached { bytes, line: at, is_within_line: true });
                };
                // The line end itself belongs to what follows, where it is an empty line.
                from = begin + end;
                line = at;
                continue 'records;
            }
            let bytes = self.text.len();
            return Ok(Reached { bytes, line: line + line_ends(rest), is_within_line: false });
        }
    }

    /// What is wrong with the bounds of a record.
    fn broken(&self, record: &Record<'_>) -> Option<Broken> {
        let has_lines = record.raw.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        let is_other = self.columns > 0 && record.values.len() != self.columns;
        if !record.is_closed || has_lines && (is_other || record.raw.len() > ROW_BYTES_MAX) {
            Some(Broken::OpenQuote)
        } else {
            (record.raw.len() > ROW_BYTES_MAX).then_some(Broken::TooLong)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Each record by its line and first value, or by what is wrong with it.
    fn rows(text: &str, columns: usize) -> Vec<(u64, String)> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        let text = Text::open(file).expect("readable");
        let mut found = Vec::new();
        each_row::<io::Error>(&text, b',', columns, &mut |line, row| {
            let first = |it: &ByteRecord| String::from_utf8_lossy(it.get(0).unwrap_or_default()).into_owned();
            found.push((line, row.map_or_else(Broken::text, first)));
            Ok(())
        })
        .expect("readable");
        found
    }

    fn check(text: &str, expected: &[(u64, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect();
        assert_eq!(rows(text, 2), expected, "{text:?}");
    }

    const OPEN: &str = "a quote in it is never closed";

    #[test]
    fn records_are_handed_over_by_their_lines() {
        check("", &[]);
        check("a,1\nb,2", &[(1, "a"), (2, "b")]);
        check("a,1\r\n\r\nb,2\r\n", &[(1, "a"), (3, "b")]);
        check("\"a\nz\",1\nb,2\n", &[(1, "a\nz"), (3, "b")]);
        check("a,1\rb,2\r", &[(1, "a"), (2, "b")]);
    }

    #[test]
    fn an_open_quote_spoils_its_own_line_only() {
        check("a,1\n\"b,2\nc,3\nd,4\n", &[(1, "a"), (2, OPEN), (3, "c"), (4, "d")]);
        check("a,1\nb,\"2", &[(1, "a"), (2, OPEN)]);
        check("a,1\n\"b,2\nc\",3,4\nd,5\n", &[(1, "a"), (2, OPEN), (3, "c\""), (4, "d")]);
        let many: String = (0..20_000).map(|_| "row,1\n").collect();
        let found = rows(&format!("a,1\n\"b,2\n{many}c,\"x\"\n"), 2);
        assert_eq!((found.len(), found[1].1.as_str(), found[20_002].0), (20_003, OPEN, 20_003));
    }

    #[test]
    fn a_row_that_is_too_long_is_one_row_however_long() {
        for length in [ROW_BYTES_MAX + 1, 5 * BLOCK_BYTES / 2] {
            let text = format!("a,1\nb,{}\nc,3\n", "x".repeat(length));
            assert_eq!(rows(&text, 2).iter().map(|it| it.0).collect::<Vec<_>>(), [1, 2, 3], "{length}");
            assert_eq!(rows(&text, 2)[1].1, Broken::TooLong.text());
        }
        let text = format!("a,1\nb,{}", "x".repeat(3 * BLOCK_BYTES));
        assert_eq!(rows(&text, 2).len(), 2);
    }

    #[test]
    fn rows_keep_their_lines_over_many_blocks() {
        let lines: Vec<_> = (1..=200_000).map(|line| format!("{line},x\r\n")).collect();
        let text = lines.concat();
        assert!(text.len() > BLOCK_BYTES);
        let found = rows(&text, 2);
        assert_eq!(found.len(), 200_000);
        assert!(found.iter().all(|(line, value)| line.to_string() == *value));
    }
}
