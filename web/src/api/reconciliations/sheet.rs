//! A reconciliation for a spreadsheet: a line of names, then a line for each of its rows.

use app::ReconciliationRow;
use domain::money::Amount;
use domain::status::ConversionStatus;
use jiff::Timestamp;

use super::super::forms::Form;
use crate::Web;
use crate::csv_text::{text, write};

const COLUMNS: [&str; 17] = [
    "line",
    "class",
    "reason",
    "conversion_id",
    "unique_id",
    "their_amount",
    "our_amount",
    "their_status",
    "our_status",
    "reason_code",
    "order_id",
    "click_id",
    "their_currency",
    "our_currency",
    "their_date",
    "our_date",
    "their_payout",
];

pub(super) struct Sheet {
    web: Web,
}

impl Sheet {
    pub(super) fn new(web: Web) -> Self {
        Self { web }
    }

    fn cells(&self, row: ReconciliationRow) -> [String; 17] {
        let amount = |amount: Option<Amount>| printed(amount);
        let status = |status: Option<ConversionStatus>| printed(status.map(ConversionStatus::name));
        let date = |at: Option<Timestamp>| printed(at.map(|it| self.web.date(it)));
        [
            printed(row.line),
            row.class.name().to_owned(),
            text(row.reason),
            printed(row.conversion_id),
            text(row.unique_id),
            amount(row.their_amount),
            amount(row.our_amount),
            status(row.their_status),
            status(row.our_status),
            row.code,
            text(row.order_id),
            text(row.click_id),
            printed(row.their_currency),
            printed(row.our_currency),
            date(row.their_date),
            date(row.our_date),
            amount(row.their_payout),
        ]
    }
}

fn printed(value: Option<impl ToString>) -> String {
    value.map(|it| it.to_string()).unwrap_or_default()
}

impl Form for Sheet {
    type Line = ReconciliationRow;

    fn head(&self) -> Vec<u8> {
        write(std::iter::once(COLUMNS))
    }

    fn lines(&self, lines: Vec<ReconciliationRow>) -> Vec<u8> {
        write(lines.into_iter().map(|line| self.cells(line)))
    }

    fn tail(&self) -> Vec<u8> {
        Vec::new()
    }
}
