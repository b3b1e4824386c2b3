//! What was explained, as a plain page to print.

use std::fmt::Write as _;

use app::{Chapter, Explained};

use super::super::paper::{STYLE, escape};

/// The page. `date` is when it was asked for, in the zone of all dates on it.
pub(super) fn page(explained: &Explained, date: &str, zone: &str) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Explained</title>\
         <style>{STYLE}</style></head>\n<body><h1>What is on record</h1>\n<p>{}</p>\n",
        escape(&explained.summary)
    );
    for Chapter { title, lines } in &explained.chapters {
        write!(html, "<h2>{}</h2>\n<ul>", escape(title)).expect("writing to a string");
        for line in lines {
            write!(html, "<li>{}</li>", escape(line)).expect("writing to a string");
        }
        html.push_str("</ul>\n");
    }
    writeln!(html, "<p class=\"m\">As of {}; dates are {}.</p></body></html>", escape(date), escape(zone))
        .expect("writing to a string");
    html
}
