//! A statement for a spreadsheet: a line of names, then a line for each of its lines.

use app::StatementLine;
use domain::statement::Statement;

use super::super::forms::Form;
use crate::Web;
use crate::csv_text::{text, write};

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

impl Form for Sheet {
    type Line = StatementLine;

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
