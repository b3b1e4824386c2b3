//! `crumb replay`

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::Place;
use super::api::with_api;

/// Have deliveries made again: those that are held, or others by their state.
///
/// Each keeps its id, so that a receiver can tell a repeat. Works with and without a running server; they are
/// delivered while one runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  crumb replay --postback 7 --dry-run\n  \
                        crumb replay --affiliate 12 --from 2026-11-01 --to 2026-11-03 --status delivered\n  \
                        crumb replay --all")]
pub struct Replay {
    #[command(flatten)]
    place: Place,
    /// Only this delivery
    #[arg(long, value_name = "ID")]
    delivery: Option<String>,
    /// Only of this conversion
    #[arg(long, value_name = "ID")]
    conversion: Option<u64>,
    /// Only of this postback or webhook
    #[arg(long, value_name = "ID")]
    postback: Option<u32>,
    /// Only of this affiliate's conversions
    #[arg(long, value_name = "ID")]
    affiliate: Option<u32>,
    /// Only on this offer
    #[arg(long, value_name = "ID")]
    offer: Option<u32>,
    /// held, delivered or cancelled [default: held]
    #[arg(long)]
    status: Option<String>,
    /// Only caused on this day or at this time, or later
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Only caused on this day or before this time
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// All that are held
    #[arg(long)]
    all: bool,
    /// Only count them
    #[arg(long)]
    dry_run: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Replay {
    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let query = self.query();
        let (matched, replayed) = with_api(&self.place, "replay", |api| {
            let step = |more: &[(&str, String)]| -> anyhow::Result<Value> {
                let query = [&query[..], more].concat();
                Ok(api.post("replay_deliveries", &query, FORM)?["replay"].take())
            };
            let foreseen = step(&[("dry_run", "true".to_owned())])?;
            let matched = foreseen["matched"].as_u64().context("the server's answer has no count")?;
            if self.dry_run {
                return Ok((matched, 0));
            }
            let progress = ProgressBar::new(matched).with_message("making due");
            progress.set_style(ProgressStyle::with_template("{msg} {pos}/{len} {wide_bar} {eta}")?);
            let (mut replayed, mut cursor) = (0, None::<String>);
            loop {
                let more = cursor.map(|cursor| ("cursor", cursor));
                let done = step(more.as_slice())?;
                replayed += done["replayed"].as_u64().context("the server's answer has no count")?;
                progress.set_position(replayed);
                cursor = done["cursor"].as_str().map(str::to_owned);
                if cursor.is_none() {
                    break;
                }
            }
            progress.finish_and_clear();
            Ok((matched, replayed))
        })?;
        if self.json {
            println!("{}", serde_json::json!({ "matched": matched, "replayed": replayed }));
        } else if self.dry_run {
            println!("{matched} deliveries would be made again");
        } else {
            println!("{replayed} deliveries are due again");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let number = |number: Option<u32>| number.map(|it| it.to_string());
        let fields = [
            ("delivery_id", self.delivery.clone()),
            ("conversion_id", self.conversion.map(|it| it.to_string())),
            ("postback_id", number(self.postback)),
            ("affiliate_id", number(self.affiliate)),
            ("offer_id", number(self.offer)),
            ("delivery_status", self.status.clone()),
            ("start_date", self.from.clone()),
            ("end_date", self.to.clone()),
            ("all", self.all.then(|| "true".to_owned())),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// An empty form: the query says everything.
const FORM: (&str, &[u8]) = ("application/x-www-form-urlencoded", b"");
