//! `crumb explain`

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use serde_json::Value;

use super::Place;
use super::api::with_api;

/// Explain what became of a click, a call, a conversion or a delivery, or why nothing did.
///
/// Tells what was recorded then: the link, the rules tried in the versions of then, every call with its reason,
/// what decided the price, the lines of money, the postbacks with every try. Works with and without a running
/// server.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crumb explain 019ee03c-2aa0-7001-8000-00c0ffeec0de     a click\n  \
                  crumb explain 1042                                     a conversion\n  \
                  crumb explain 1042-0-7                                 a delivery\n  \
                  crumb explain --unique-id ORD-98765 --offer 12         why is there no conversion?\n  \
                  crumb explain --url 'https://trk.example/p.ashx?o=12&r=019e…&t=ORD-98765'\n\n\
                  Exit code: 0 explained, 1 nothing is known under that, 2 it could not be looked up",
    group(ArgGroup::new("asked").required(true).multiple(true).args(["id", "unique_id", "order_id", "attempt", "url", "conversion"]))
)]
pub struct Explain {
    #[command(flatten)]
    place: Place,
    /// A click's id, a conversion's number, or a delivery's id
    #[arg(value_name = "ID", conflicts_with_all = ["unique_id", "order_id", "attempt", "url", "conversion"])]
    id: Option<String>,
    /// The advertiser's transaction
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["attempt", "url", "conversion"])]
    unique_id: Option<String>,
    /// The advertiser's order reference
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["attempt", "url", "conversion"])]
    order_id: Option<String>,
    /// Only on this offer
    #[arg(long, value_name = "ID", conflicts_with_all = ["attempt", "url", "conversion"])]
    offer: Option<u32>,
    /// A conversion call, by its number
    #[arg(long, value_name = "ID", conflicts_with_all = ["url", "conversion"])]
    attempt: Option<u64>,
    /// A conversion call as it was made, or a postback as it arrived
    #[arg(long, conflicts_with = "conversion")]
    url: Option<String>,
    /// A conversion's number
    #[arg(long, value_name = "ID")]
    conversion: Option<u64>,
    /// Whether that conversion is on this invoice, or why it is not
    #[arg(long, value_name = "ID", requires = "conversion", visible_alias = "statement")]
    invoice: Option<u64>,
    /// As the affiliate may see it
    #[arg(long)]
    hide_revenue: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    #[expect(clippy::print_stderr, reason = "the one line that tells the user why there is nothing")]
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let query = self.query();
        match with_api(&self.place, "explain", |api| api.get("explain", &query))? {
            Ok(answer) if self.json => println!("{answer}"),
            Ok(answer) => print!("{}", text(&answer)),
            Err(why) => {
                eprintln!("crumb: {why}");
                return Ok(ExitCode::from(1));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let number = |id: Option<u64>| id.map(|id| id.to_string());
        let all = [
            (self.id.as_deref().map_or("click_id", kind), self.id.clone()),
            ("unique_id", self.unique_id.clone()),
            ("order_id", self.order_id.clone()),
            ("offer_id", self.offer.map(|id| id.to_string())),
            ("attempt_id", number(self.attempt)),
            ("url", self.url.clone()),
            ("conversion_id", number(self.conversion)),
            ("invoice_id", number(self.invoice)),
            ("hide_revenue", self.hide_revenue.then(|| "true".to_owned())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// What an id is of, by its form.
fn kind(id: &str) -> &'static str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<_> = id.split('-').collect();
    match parts[..] {
        [number] if is_number(number) => "conversion_id",
        [a, b, c] if [a, b, c].into_iter().all(is_number) => "delivery_id",
        _ if id.contains('?') => "url",
        _ => "click_id",
    }
}

/// The answer as text. What others wrote in it is printed without what would steer a terminal.
fn text(answer: &Value) -> String {
    let mut text = format!("{}\n", answer["summary"].as_str().unwrap_or_default());
    for step in answer["steps"].as_array().into_iter().flatten() {
        writeln!(text, "\n{}", step["title"].as_str().unwrap_or_default()).expect("writing to a string");
        for line in step["lines"].as_array().into_iter().flatten() {
            let line = line.as_str().unwrap_or_default().replace('\n', " ");
            writeln!(text, "  {line}").expect("writing to a string");
        }
    }
    text.replace(|c: char| c.is_control() && c != '\n', "?")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_id_is_of_is_told_by_its_form() {
        for (id, expected) in [
            ("1042", "conversion_id"),
            ("1042-0-7", "delivery_id"),
            ("019ee03c-2aa0-7001-8000-00c0ffeec0de", "click_id"),
            ("1042-0", "click_id"),
            ("1042-0-x", "click_id"),
            ("", "click_id"),
            ("https://trk.example/p.ashx?r=1", "url"),
        ] {
            assert_eq!(kind(id), expected, "{id}");
        }
    }

    #[test]
    fn nothing_that_others_wrote_steers_the_terminal() {
        let answer = json!({
            "summary": "Conversion 1.\u{1b}[2J",
            "steps": [{ "title": "Click 1", "lines": ["unique_id a\nb\u{7}"] }],
        });
        assert_eq!(text(&answer), "Conversion 1.?[2J\n\nClick 1\n  unique_id a b?\n");
    }
}
