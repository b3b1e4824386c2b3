//! A statement for a spreadsheet: a line of names, then a line for each of its lines.

use app::StatementLine;
use domain::statement::Statement;

use super::Form;
use crate::Web;

const COLUMNS: [&str; 10] = [
    "invoice_id",
    "conversion_id",
    "adjustment",
    "offer_id",
    "conversion_date",
    "effective_date",
    "unique_id",
    "amount",
    "currency",
    "note",
];

/// What a cell begins with that a spreadsheet takes for a formula.
const FORMULA_STARTS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

pub(super) struct Sheet {
    web: Web,
    statement: Statement,
}

impl Sheet {
    pub(super) fn new(web: Web, statement: Statement) -> Self {
        Self { web, statement }
    }

    fn cells(&self, line: StatementLine) -> [String; 10] {
        [
            self.statement.id.to_string(),
            line.entry.conversion_id.to_string(),
            line.entry.booking.to_string(),
            line.entry.offer_id.to_string(),
            self.web.date(line.conversion_date),
            self.web.date(line.entry.effective),
            text(line.unique_id),
            self.statement.party.reads(line.entry.line.amount).to_string(),
            self.statement.currency.to_string(),
            text(line.note),
        ]
    }
}

/// A text of somebody else's: never a formula. Numbers and dates are ours and stay as they are.
fn text(text: String) -> String {
    if text.starts_with(FORMULA_STARTS) { format!("'{text}") } else { text }
}

fn write<'c>(rows: impl Iterator<Item = impl IntoIterator<Item = impl AsRef<[u8]> + 'c>>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("writing to memory");
    }
    writer.into_inner().expect("writing to memory")
}

impl Form for Sheet {
    fn head(&self) -> Vec<u8> {
        write(std::iter::once(COLUMNS))
    }

    fn lines(&self, lines: Vec<StatementLine>) -> Vec<u8> {
        write(lines.into_iter().map(|line| self.cells(line)))
    }

    fn tail(&self) -> Vec<u8> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_taken_for_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(text(formula.to_owned()), format!("'{formula}"));
        }
        for harmless in ["ORD-1", "", "a=b", "'=1"] {
            assert_eq!(text(harmless.to_owned()), harmless);
        }
    }
}
