//! `crumb check`

use std::process::ExitCode;

use anyhow::Context as _;
use archive::Archive;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::Place;
use crate::config::Config;
use crate::folder::Folder;

/// Check settings and data folder, changing nothing. Works while a server runs on the same data.
///
/// Exits with 0 when all is well and 1 when something is damaged.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crumb check --config crumb.toml\n  crumb check --data /var/lib/crumb --json"
)]
pub struct Check {
    #[command(flatten)]
    place: Place,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at: what it is, and what is wrong with it.
type Finding = (String, Option<String>);

impl Check {
    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.place.load(None)?;
        let mut findings: Vec<Finding> = vec![("settings".to_owned(), None)];
        match config.existing_folder() {
            Ok(folder) => findings.extend(data(&config, &folder)?),
            Err(_) if !config.data.dir.exists() => {
                findings.push((format!("data folder {} (not there yet)", config.data.dir.display()), None));
            }
            Err(error) => findings.push(("data folder".to_owned(), Some(format!("{error:#}")))),
        }
        let sound = findings.iter().all(|(_, problem)| problem.is_none());
        if self.json {
            let rows: Vec<_> = findings
                .iter()
                .map(|(what, problem)| json!({ "checked": what, "problem": problem }))
                .collect();
            println!("{}", serde_json::to_string_pretty(&json!({ "sound": sound, "checks": rows }))?);
        } else {
            for (what, problem) in &findings {
                match problem {
                    None => println!("ok       {what}"),
                    Some(problem) => println!("DAMAGED  {what}: {problem}"),
                }
            }
        }
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn data(config: &Config, folder: &Folder) -> anyhow::Result<Vec<Finding>> {
    let location = config.ledger(folder);
    let mut findings = match location.check() {
        Ok(true) => vec![("ledger".to_owned(), None)],
        Ok(false) => return Ok(vec![("ledger (not there yet)".to_owned(), None)]),
        Err(error) => {
            return Ok(vec![("ledger".to_owned(), Some(format!("{:#}", anyhow::Error::from(error))))]);
        }
    };
    findings.push(journal(folder));
    let (ledger, node) = (location.open()?, config.settings()?.node);
    let catalogue =
        || app::own_segments(&*ledger, node, &folder.segments()).context("the catalogue cannot be read");
    let segments = catalogue()?;
    let progress = ProgressBar::new(segments.len() as u64);
    progress.set_style(ProgressStyle::with_template("segments {pos}/{len} {wide_bar} {eta}")?);
    let options = archive::Options { dir: folder.segments(), metadata_cache_max: 1, cube_cache_bytes: 0 };
    let archive = Archive::open(options, Vec::new())?;
    for segment in &segments {
        let problem =
            archive.verify_segment(segment).err().map(|error| format!("{:#}", anyhow::Error::from(error)));
        // A running server may have put another in its place meanwhile.
        if problem.is_none() || catalogue()?.contains(segment) {
            findings.push((format!("segment {} ({} clicks)", segment.name(), segment.rows), problem));
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(findings)
}

fn journal(folder: &Folder) -> Finding {
    match journal::inspect(&folder.journal()) {
        Ok(report) => (format!("journal ({} files, {} records)", report.files, report.records), None),
        Err(error) => ("journal".to_owned(), Some(format!("{:#}", anyhow::Error::from(error)))),
    }
}
