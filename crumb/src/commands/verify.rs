//! `crumb verify`

use std::process::ExitCode;
use std::time::Duration;

use app::{Clock as _, Listener, Unchecked, Verified, Verify as Verifying};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use ledger::Finding;
use serde_json::{Value, json};

use super::Place;
use crate::clock::SystemClock;

/// Findings that JSON lists; the rest is only counted.
const LISTED_MAX: usize = 10_000;
/// How often the progress of what has no known end is drawn.
const DRAW: Duration = Duration::from_millis(200);

/// Prove the books: sums, links, counts and histories, and that every click is where it should be. Works
/// while a server runs on the same data.
///
/// Exits with 0 when all is right, 1 when something is wrong, 2 when it could not run.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crumb verify --data /var/lib/crumb\n  crumb verify --config crumb.toml --json"
)]
pub struct Verify {
    #[command(flatten)]
    place: Place,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Draws how far it is, and tells or keeps what is wrong.
struct Reporter {
    json: bool,
    bar: ProgressBar,
    findings: u64,
    listed: Vec<Value>,
}

impl Listener for Reporter {
    fn begin(&mut self, what: &'static str, steps: u64) {
        self.bar.finish_and_clear();
        self.bar = if steps > 0 { ProgressBar::new(steps) } else { ProgressBar::new_spinner() };
        let template =
            if steps > 0 { "{msg} {pos}/{len} {wide_bar} {eta}" } else { "{spinner} {msg} {elapsed}" };
        self.bar.set_style(ProgressStyle::with_template(template).expect("a known template"));
        self.bar.set_message(what);
        self.bar.enable_steady_tick(DRAW);
    }

    fn step(&mut self) {
        self.bar.inc(1);
    }

    fn found(&mut self, finding: Finding) {
        self.findings += 1;
        let Finding { check, row, problem } = finding;
        if !self.json {
            #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
            self.bar.suspend(|| println!("WRONG    {check}: {row}: {problem}"));
        } else if self.listed.len() < LISTED_MAX {
            self.listed.push(json!({ "check": check, "row": row, "problem": problem }));
        }
    }
}

impl Verify {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.place.load(None)?;
        let folder = config.existing_folder()?;
        let location = config.ledger(&folder);
        anyhow::ensure!(location.check()?, "the ledger is not there yet");
        let ledger = location.open()?;
        let mut reporter =
            Reporter { json: self.json, bar: ProgressBar::hidden(), findings: 0, listed: Vec::new() };
        let verifying = Verifying {
            ledger: &*ledger,
            segments: &folder.segments(),
            node: config.settings()?.node,
            clicks_days: config.upkeep().clicks_days,
            now: SystemClock.now(),
        };
        let verified = verifying.run(&mut reporter)?;
        reporter.bar.finish_and_clear();
        let Reporter { findings, listed, .. } = reporter;
        self.print(verified, findings, &listed)?;
        Ok(if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    fn print(&self, verified: Verified, findings: u64, listed: &[Value]) -> anyhow::Result<()> {
        let Verified { rows, segments, clicks, unchecked } = verified;
        let Unchecked { not_sealed, dropped, elsewhere, unreadable } = unchecked;
        if self.json {
            let report = json!({
                "sound": findings == 0,
                "rows": rows,
                "segments": segments,
                "clicks": clicks,
                "clicks_unchecked": {
                    "not_sealed": not_sealed,
                    "dropped": dropped,
                    "elsewhere": elsewhere,
                    "unreadable": unreadable,
                },
                "total_findings": findings,
                "findings": listed,
            });
            println!("{}", serde_json::to_string_pretty(&report)?);
            return Ok(());
        }
        println!("verified {rows} rows, {segments} segments, the clicks of {clicks} conversions");
        for (count, why) in [
            (not_sealed, "not in a segment yet"),
            (dropped, "older than clicks are kept"),
            (elsewhere, "on another node"),
            (unreadable, "in a segment that cannot be read"),
        ] {
            if count > 0 {
                println!("not checked: the clicks of {count} conversions, {why}");
            }
        }
        println!("{}", if findings == 0 { "all is right".to_owned() } else { format!("{findings} wrong") });
        Ok(())
    }
}
