//! A statement as a plain page to print, which needs nothing from elsewhere.

use std::fmt::Write as _;

use app::{StatementLine, StatementRow};
use domain::statement::Party;

use super::{Form, last_moment};
use crate::Web;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;color:#111;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    h1{font-size:1.5rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1rem}dt{color:#555}dd{margin:0}\
    table{width:100%;border-collapse:collapse;margin-top:1rem}th,td{padding:.25rem .5rem;text-align:left;\
    border-bottom:1px solid #ccc;vertical-align:top;overflow-wrap:anywhere}.n{text-align:right;white-space:nowrap}\
    tfoot td{font-weight:bold;border-bottom:0}thead{display:table-header-group}tr{break-inside:avoid}\
    @media print{body{max-width:none;margin:0;padding:0;font-size:10pt}@page{margin:15mm}}";

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

/// The text as HTML shows it, and nothing more.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

impl Form for Page {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            escape("<a href=\"x\" id='y'>&</a>"),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;&lt;/a&gt;"
        );
    }
}
