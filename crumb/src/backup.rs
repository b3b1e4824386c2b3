//! Backups of a data folder: taking one beside a running server, and making a data folder of one. What is half
//! done lies in a folder of another name with a mark in it, so that nothing half is ever taken for something.

mod files;
mod manifest;
mod partial;
mod restore;
mod take;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use journal::JournalError;
use ledger::LedgerError;

pub(crate) use restore::restore;
pub(crate) use take::{Taken, Wanted, take};

/// How often the progress is drawn.
const DRAW: Duration = Duration::from_millis(200);
/// The ledger's file, in a backup and in the data folder.
const LEDGER: &str = "ledger.sqlite";
/// What the ledger in a database has of this folder: a ledger with nothing but a catalogue.
const CATALOGUE: &str = "catalogue.sqlite";
const JOURNAL: &str = "journal";
const SEGMENTS: &str = "segments";

/// What is to be copied, or was, is not as it should be.
#[derive(Debug)]
pub(crate) struct Damaged(String);

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Damaged {}

/// Whether it failed as something is damaged, and not for another reason.
pub(crate) fn is_damage(error: &anyhow::Error) -> bool {
    let journal =
        |it: &JournalError| matches!(it, JournalError::Corrupt { .. } | JournalError::Foreign { .. });
    error.chain().any(|cause| {
        cause.is::<Damaged>()
            || cause.downcast_ref().is_some_and(journal)
            || matches!(cause.downcast_ref(), Some(LedgerError::Corrupt { .. }))
    })
}

/// Says what keeps a folder from being a server's: that it is a backup, or half of something.
pub(crate) fn refuse_copies(folder: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        !folder.join(partial::UNFINISHED).exists(),
        "{} is an unfinished backup or restore; it can be removed",
        folder.display()
    );
    anyhow::ensure!(
        !folder.join(manifest::NAME).exists(),
        "{} is a backup; crumb restore makes a data folder of it",
        folder.display()
    );
    Ok(())
}

/// Draws how far it is, where somebody watches.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Begins something of so many bytes, or another measure.
    fn begin(&mut self, what: &'static str, bytes: u64) {
        self.0.finish_and_clear();
        self.0 = ProgressBar::new(bytes);
        let style = ProgressStyle::with_template("{msg} {percent}% {wide_bar} {eta}");
        self.0.set_style(style.expect("a known template"));
        self.0.set_message(what);
        self.0.enable_steady_tick(DRAW);
    }

    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn reach(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Where a path that may not be there yet would really be.
fn real(path: &Path) -> anyhow::Result<PathBuf> {
    let name = path.file_name().with_context(|| format!("{} is no name of a folder", path.display()))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = parent.canonicalize().with_context(|| format!("the folder {}", parent.display()))?;
    Ok(parent.join(name))
}

/// Refuses to put a copy of a folder into that folder.
fn refuse_inside(target: &Path, source: &Path) -> anyhow::Result<()> {
    let source_real = source.canonicalize().with_context(|| format!("the folder {}", source.display()))?;
    anyhow::ensure!(
        !real(target)?.starts_with(source_real),
        "{} is in {}, of which it would be a copy",
        target.display(),
        source.display()
    );
    Ok(())
}
