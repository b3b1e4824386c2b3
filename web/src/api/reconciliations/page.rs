//! A reconciliation as a plain page to print: the bridge, what was decided about the file, and the rows that
//! differ.

use std::fmt::Write as _;

use app::{ReconciliationRow, ReconciliationView};

use super::super::forms::Form;
use super::super::paper::{STYLE, escape};
use super::last_moment;
use crate::Web;

pub(super) struct Page {
    web: Web,
    found: ReconciliationView,
}

impl Page {
    pub(super) fn new(web: Web, found: ReconciliationView) -> Self {
        Self { web, found }
    }

    /// A table for each currency.
    fn bridges(&self) -> String {
        let mut html = String::new();
        let lines = &self.found.reconciliation.reconciled.bridge;
        for bridge in lines.chunk_by(|one, other| one.currency == other.currency) {
            let currency = bridge[0].currency;
            writeln!(
                html,
                "<table><thead><tr><th>Step</th><th class=\"n\">Rows</th><th class=\"n\">{currency}</th></tr></thead><tbody>"
            )
            .expect("writing to a string");
            for line in bridge {
                let (text, rows, amount) = (line.step.text(), line.rows, line.amount);
                writeln!(
                    html,
                    "<tr><td>{text}</td><td class=\"n\">{rows}</td><td class=\"n\">{amount}</td></tr>"
                )
                .expect("writing to a string");
            }
            html.push_str("</tbody></table>\n");
        }
        html
    }
}

impl Form for Page {
    type Line = ReconciliationRow;

    fn head(&self) -> Vec<u8> {
        let it = &self.found.reconciliation;
        let remarks = it.reconciled.remarks.iter().map(|text| format!("<li>{}</li>", escape(text)));
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>Reconciliation {id}</title>\
             <style>{STYLE}</style></head>\n<body><h1>Reconciliation {id}</h1>\n\
             <dl><dt>With</dt><dd>Advertiser {advertiser_id}: {name}</dd><dt>Period</dt><dd>{begin} to {end}</dd>\
             <dt>Time zone</dt><dd>{zone}</dd><dt>Made</dt><dd>{date} by {by}</dd><dt>File</dt><dd>{note}</dd>\
             <dt>Rows</dt><dd>{rows}</dd></dl>\n{bridges}<ul>{remarks}</ul>\n\
             <table><thead><tr><th class=\"n\">Line</th><th>What</th><th>Transaction</th><th class=\"n\">Conversion</th>\
             <th class=\"n\">Theirs</th><th class=\"n\">Ours</th><th>Why</th></tr></thead><tbody>\n",
            id = it.id,
            advertiser_id = it.begun.advertiser_id,
            name = escape(&self.found.advertiser_name),
            begin = self.web.date(it.begun.from),
            end = self.web.date(last_moment(it.begun.until)),
            zone = escape(&self.web.app.settings().zone_name),
            date = self.web.date(it.made_at),
            by = escape(&it.begun.author.name),
            note = escape(&it.begun.note),
            rows = it.reconciled.rows,
            bridges = self.bridges(),
            remarks = remarks.collect::<String>(),
        )
        .into_bytes()
    }

    fn lines(&self, lines: Vec<ReconciliationRow>) -> Vec<u8> {
        let mut html = String::new();
        let number = |value: Option<u64>| value.map(|it| it.to_string()).unwrap_or_default();
        for row in lines {
            let named = [&row.unique_id, &row.order_id, &row.click_id].into_iter().find(|it| !it.is_empty());
            writeln!(
                html,
                "<tr><td class=\"n\">{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td><td>{}</td></tr>",
                number(row.line),
                row.class.name().replace('_', " "),
                escape(named.map_or("", String::as_str)),
                number(row.conversion_id.map(|it| it.0)),
                row.their_amount.map(|it| it.to_string()).unwrap_or_default(),
                row.our_amount.map(|it| it.to_string()).unwrap_or_default(),
                escape(&row.reason),
            )
            .expect("writing to a string");
        }
        html.into_bytes()
    }

    fn tail(&self) -> Vec<u8> {
        b"</tbody></table></body></html>\n".to_vec()
    }
}
