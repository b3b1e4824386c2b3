//! `crumb restore`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Place, copied_or_damaged};
use crate::backup::{Progress, restore};

/// Make a data folder of a backup. The folder must not be there yet, or be empty; every byte is checked before and
/// after it is copied.
///
/// Exits with 0 when the folder is there, 1 when the backup is damaged or unfinished, 2 when it could not run. There
/// is no folder then.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  crumb restore /backup/crumb-2026-11-23 --data /var/lib/crumb")]
pub struct Restore {
    /// The backup
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        copied_or_damaged(self.copy())
    }

    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    fn copy(&self) -> anyhow::Result<()> {
        let config = self.place.load(None)?;
        let manifest = restore(&config, &self.dir, &mut Progress::new())?;
        let (data, made) = (&config.data.dir, &manifest.made);
        if self.json {
            let report = json!({
                "data": data,
                "backup_made": made,
                "files": manifest.files.len(),
                "bytes": manifest.bytes(),
            });
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            let shown = data.display();
            println!("{shown} is as it was on {made}, by crumb {}, node {}", manifest.crumb, manifest.node);
            println!("next, prove it:   crumb verify --data {shown}");
            println!("then go on:       crumb serve --data {shown}");
        }
        Ok(())
    }
}
