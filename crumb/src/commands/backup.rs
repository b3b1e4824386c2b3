//! `crumb backup`

use std::path::PathBuf;
use std::process::ExitCode;

use app::Clock as _;
use clap::Args;
use serde_json::json;

use super::{Place, copied_or_damaged};
use crate::backup::{Progress, Taken, Wanted, take};
use crate::clock::SystemClock;

/// Copy ledger, journal and segments to a new folder, from which crumb restore makes a data folder. Works while a
/// server runs on the data, and holds nobody up: every click and conversion answered before is in it.
///
/// Segments share the disk's room with the data where the backup is on the same disk; copy it elsewhere then.
///
/// Exits with 0 when the backup is there, 1 when something in the data is damaged, 2 when it could not run. There
/// is no folder DIR then.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  crumb backup /backup/crumb-2026-11-23 --data /var/lib/crumb\n  \
                  crumb backup /backup/crumb-2026-11-24 --data /var/lib/crumb --since /backup/crumb-2026-11-23")]
pub struct Backup {
    /// The folder to make; one that is there must be empty
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    place: Place,
    /// An earlier backup on the same disk as DIR: segments that are in it take no more room
    #[arg(long, value_name = "OLD")]
    since: Option<PathBuf>,
    /// Leave out the ledger, which is in a database and was dumped before
    #[arg(long)]
    without_ledger: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        copied_or_damaged(self.copy())
    }

    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    fn copy(&self) -> anyhow::Result<()> {
        let config = self.place.load(None)?;
        let wanted =
            Wanted { target: &self.dir, since: self.since.as_deref(), without_ledger: self.without_ledger };
        let Taken { manifest, shared_bytes } =
            take(&config, &wanted, SystemClock.now(), &mut Progress::new())?;
        let (bytes, files, segments) = (manifest.bytes(), manifest.files.len(), manifest.segments);
        if self.json {
            let report = json!({
                "backup": self.dir,
                "made": manifest.made,
                "has_ledger": manifest.has_ledger,
                "segments": segments,
                "files": files,
                "bytes": bytes,
                "shared_bytes": shared_bytes,
            });
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!(
                "{}: {files} files, {bytes} bytes, of which {shared_bytes} share the room of files elsewhere",
                self.dir.display()
            );
        }
        Ok(())
    }
}
