//! A long file of conversions cut into pieces, each a file of its own that can be imported.

use crate::delimited::{Records, line_ends, without_bom};
use crate::import_columns::{ROW_BYTES_MAX, separator};

/// A piece of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The line of the whole file that follows the header here.
    pub first_line: u64,
    /// How many rows it has.
    pub rows: usize,
    /// The header, and the rows as they stand in the file.
    pub text: Vec<u8>,
}

/// Cuts a file into pieces of at most so many rows, and of little more than so many bytes. The first has the
/// header alone: it tells whether that can be used.
pub fn pieces(text: &[u8], rows_max: usize, bytes_max: usize) -> impl Iterator<Item = Piece> {
    let text = without_bom(text);
    let mut records = Records::of(text, separator(text)).peekable();
    let (mut header, mut after_header) = (Vec::new(), 1);
    if let Some(first) = records.next() {
        // No header is as long as this, and one whose quotes are open would be the whole file.
        header = first.raw[..first.raw.len().min(ROW_BYTES_MAX)].to_vec();
        header.push(b'\n');
        after_header = first.line + line_ends(first.raw) + 1;
    }
    let alone = Piece { first_line: after_header, rows: 0, text: header.clone() };
    let following = std::iter::from_fn(move || {
        let first = records.next()?;
        let (first_line, begin) = (first.line, first.begin);
        let mut last = first;
        let mut rows = 1;
        // A row that is too long is cut off where that is certain, and its quotes are open then.
        while last.raw.len() <= ROW_BYTES_MAX && rows < rows_max && last.begin - begin < bytes_max {
            let Some(next) = records.next() else { break };
            last = next;
            rows += 1;
        }
        let end = last.begin + last.raw.len().min(ROW_BYTES_MAX + 1);
        Some(Piece { first_line, rows, text: [&header, &text[begin..end]].concat() })
    });
    std::iter::once(alone).chain(following)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, rows_max: usize) -> Vec<(u64, usize, String)> {
        let pieces = pieces(text.as_bytes(), rows_max, 1000);
        pieces.map(|it| (it.first_line, it.rows, String::from_utf8(it.text).expect("UTF-8"))).collect()
    }

    #[test]
    fn each_piece_begins_with_the_header_and_knows_its_lines() {
        let text = "\u{feff}payout;conversion_id\r\n1;2\r\n\r\n\"3\n\";4\r\n5;6";
        let header = "payout;conversion_id\n";
        let expected = [
            (2, 0, header.to_owned()),
            (2, 2, format!("{header}1;2\r\n\r\n\"3\n\";4")),
            (6, 1, format!("{header}5;6")),
        ];
        assert_eq!(cut(text, 2), expected);
    }

    #[test]
    fn a_file_without_rows_is_its_header_and_one_of_nothing_is_empty() {
        assert_eq!(cut("conversion_id,payout", 2), [(2, 0, "conversion_id,payout\n".to_owned())]);
        assert_eq!(cut("", 2), [(1, 0, String::new())]);
    }

    #[test]
    fn a_piece_ends_when_it_is_long_enough_and_after_a_row_that_is_too_long() {
        let rows = "1,2345678\n".repeat(300);
        let found = cut(&format!("conversion_id,payout\n{rows}"), 5000);
        assert_eq!(found.iter().map(|it| it.1).collect::<Vec<_>>(), [0, 101, 101, 98]);
        let long = format!("conversion_id,payout\n1,\"{}\"\n3,4\n", "x".repeat(100_000));
        let found = cut(&long, 5000);
        assert_eq!(found.iter().map(|it| (it.0, it.1)).collect::<Vec<_>>(), [(2, 0), (2, 1), (3, 1)]);
        assert!(found.iter().all(|it| it.2.len() < 70_000));
    }
}
