//! `crumb lint-url`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use domain::body_template::{BodyTemplate, BodyType};
use domain::example::Example;
use domain::lint::warnings;
use domain::token_values::TokenValues;
use domain::tokens::{Token, UrlTemplate};
use jiff::tz::TimeZone;
use outbound::{AllowPrivate, check_url};
use serde_json::{Value, json};

/// Look at a postback's URL before it is saved: its tokens, what it would call, and what may be wrong with it. Needs
/// no data folder.
///
/// Exits with 0 when it can be saved, 1 when it cannot.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  crumb lint-url 'https://aff.example/in?c={click_id}&p=#price#'\n  \
                        crumb lint-url https://aff.example/in --body-type json --body '{\"id\": \"{tid}\", \"p\": {payout}}' --json")]
pub struct LintUrl {
    /// The URL, as it is to be saved
    url: String,
    /// What the body is, where one is sent
    #[arg(long, value_enum, requires = "body")]
    body_type: Option<BodyKind>,
    /// The body, as it is to be saved [default type: json]
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum BodyKind {
    /// A form
    Form,
    /// JSON
    Json,
}

/// What was found.
#[derive(Default)]
struct Found {
    tokens: Vec<Token>,
    url: Option<String>,
    body: Option<String>,
    warnings: Vec<String>,
    errors: Vec<String>,
}

impl LintUrl {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (example, zone) = (Example::default(), TimeZone::UTC);
        let values = example.values(&zone);
        let found = self.look(&values);
        if self.json {
            print_json(&found, &values)?;
        } else {
            print(&found, &values);
        }
        Ok(if found.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn look(&self, values: &TokenValues<'_>) -> Found {
        let mut found = Found::default();
        let url = UrlTemplate::parse_called(&self.url);
        let url = url.map_err(|error| found.errors.push(format!("URL: {error}"))).ok();
        let body = self.body.as_ref().and_then(|text| {
            let body_type = match self.body_type {
                Some(BodyKind::Form) => BodyType::Form,
                Some(BodyKind::Json) | None => BodyType::Json,
            };
            let body = BodyTemplate::parse(text, body_type);
            body.map_err(|error| found.errors.push(format!("body: {error}"))).ok()
        });
        if let Some(url) = &url {
            let called = url.expand(|token| values.get(token));
            // What the settings of a server allow is not known here.
            if let Err(problem) = check_url(&called, &AllowPrivate::All) {
                found.errors.push(format!("URL: {problem}"));
            } else if let Err(problem) = check_url(&called, &AllowPrivate::No) {
                let unless = "refused unless the setting outbound.allow_private allows it";
                found.warnings.push(format!("{problem}: {unless}"));
            }
            found.url = Some(called);
            found.warnings.extend(warnings(url, body.as_ref()).iter().map(ToString::to_string));
        }
        if let Some(body) = &body {
            let text = body.expand(|token| values.get(token));
            if body.body_type() == BodyType::Json
                && let Err(error) = serde_json::from_str::<Value>(&text)
            {
                found.errors.push(format!("body: not JSON: {error}"));
            }
            found.body = Some(text);
        }
        let of_body = body.iter().flat_map(BodyTemplate::tokens);
        for token in url.iter().flat_map(UrlTemplate::tokens).chain(of_body) {
            if !found.tokens.contains(&token) {
                found.tokens.push(token);
            }
        }
        found
    }
}

#[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
fn print_json(found: &Found, values: &TokenValues<'_>) -> anyhow::Result<()> {
    let token = |token: &Token| json!({ "token": token.name(), "meaning": token.meaning(), "sample": values.get(*token) });
    let told = json!({
        "tokens": found.tokens.iter().map(token).collect::<Vec<_>>(),
        "url": found.url,
        "body": found.body,
        "warnings": found.warnings,
        "errors": found.errors,
    });
    println!("{}", serde_json::to_string_pretty(&told)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
fn print(found: &Found, values: &TokenValues<'_>) {
    for token in &found.tokens {
        println!("token    {:<18} {} (sample: {})", token.name(), token.meaning(), values.get(*token));
    }
    for (what, text) in [("url", &found.url), ("body", &found.body)] {
        if let Some(text) = text {
            println!("{what:<8} {text}");
        }
    }
    for warning in &found.warnings {
        println!("warning  {warning}");
    }
    for error in &found.errors {
        println!("ERROR    {error}");
    }
}
