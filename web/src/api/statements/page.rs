//! A statement as a plain page to print, which needs nothing from elsewhere.

use std::fmt::Write as _;

use app::{StatementLine, StatementRow};
use domain::statement::Party;

use super::super::forms::Form;
use super::super::paper::{STYLE, escape};
use super::last_moment;
use crate::Web;

pub(super) struct Page {
    web: Web,
    row: StatementRow,
}

impl Page {
    pub(super) fn new(web: Web, row: StatementRow) -> Self {
        Self { web, row }
    }

    /// `Affiliate 7: MediaBridge Partners`.
    fn party(&self) -> String {
        let kind = match self.row.statement.party {
            Party::Affiliate(id) => format!("Affiliate {id}"),
            Party::Advertiser(id) => format!("Advertiser {id}"),
        };
        format!("{kind}: {}", escape(&self.row.party_name))
    }
}

impl Form for Page {
    type Line = StatementLine;

    fn head(&self) -> Vec<u8> {
        let statement = &self.row.statement;
        let begin = statement.from.map_or("the beginning".to_owned(), |it| self.web.date(it));
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>Invoice {id}</title>\
             <style>{STYLE}</style></head>\n<body><h1>Invoice {id}</h1>\n\
             <dl><dt>For</dt><dd>{party}</dd><dt>Date</dt><dd>{date}</dd>\
             <dt>Period</dt><dd>{begin} to {end}</dd><dt>Time zone</dt><dd>{zone}</dd>\
             <dt>Total</dt><dd>{total} {currency}</dd></dl>\n\
             <table><thead><tr><th>Date</th><th>Conversion</th><th>Converted</th><th>Offer</th>\
             <th>Transaction</th><th>Note</th><th class=\"n\">{currency}</th></tr></thead><tbody>\n",
            id = statement.id,
            party = self.party(),
            date = self.web.date(statement.closed_at),
            end = self.web.date(last_moment(statement)),
            zone = escape(&self.web.app.settings().zone_name),
            total = statement.total,
            currency = statement.currency,
        )
        .into_bytes()
    }

    fn lines(&self, lines: Vec<StatementLine>) -> Vec<u8> {
        let mut html = String::new();
        for line in lines {
            writeln!(
                html,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>",
                self.web.date(line.entry.effective),
                line.entry.conversion_id,
                self.web.date(line.conversion_date),
                line.entry.offer_id,
                escape(&line.unique_id),
                escape(&line.note),
                self.row.statement.party.reads(line.entry.line.amount),
            )
            .expect("writing to a string");
        }
        html.into_bytes()
    }

    fn tail(&self) -> Vec<u8> {
        let statement = &self.row.statement;
        format!(
            "</tbody><tfoot><tr><td colspan=\"6\">{} lines</td><td class=\"n\">{}</td></tr></tfoot></table></body></html>\n",
            statement.lines, statement.total
        )
        .into_bytes()
    }
}
