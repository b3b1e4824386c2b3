//! Sealing: a completed journal file becomes a segment. Write the file, enter it in the catalogue,
//! show it to readers, drop the journal file; each step may be the last before a crash, and doing
//! all of them again changes nothing.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use archive::{Archive, ArchiveError};
use domain::ids::NodeNumber;
use journal::{FileNumber, Journal, JournalError};
use ledger::{Ledger, LedgerError};
use prometheus_client::metrics::counter::Counter;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// How long after a failure sealing is tried again: soon enough that memory does not fill, rarely
/// enough that a full disk's log stays readable.
const RETRY: Duration = Duration::from_secs(5);

#[derive(Debug, Error)]
enum SealError {
    #[error("writing the segment failed")]
    Archive(#[from] ArchiveError),
    #[error("entering the segment failed")]
    Ledger(#[from] LedgerError),
    #[error("dropping the journal file failed")]
    Journal(#[from] JournalError),
}

/// Seals journal files, one after the other, on a thread of its own.
pub struct Sealer {
    pub(crate) node: NodeNumber,
    pub(crate) journal: Arc<Journal>,
    pub(crate) archive: Arc<Archive>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) completed: mpsc::Receiver<FileNumber>,
    /// A file with clicks is completed at least this often.
    pub(crate) roll_after: Duration,
    pub(crate) sealed: Counter,
    pub(crate) failures: Counter,
}

impl Sealer {
    /// Seals until `stop` says so. Blocks.
    pub fn run(self, stop: &dyn Fn() -> bool) {
        // Looks up this often whether to stop; the roll is timed by counting.
        const TURN: Duration = Duration::from_millis(100);
        let mut since_roll = Duration::ZERO;
        while !stop() {
            match self.completed.recv_timeout(TURN) {
                Ok(file) => {
                    since_roll = Duration::ZERO;
                    self.seal_until_done(file, stop);
                }
                Err(RecvTimeoutError::Timeout) => {
                    since_roll += TURN;
                    if since_roll >= self.roll_after {
                        since_roll = Duration::ZERO;
                        self.journal.roll();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn seal_until_done(&self, file: FileNumber, stop: &dyn Fn() -> bool) {
        while let Err(error) = self.seal(file) {
            self.failures.inc();
            tracing::error!(
                file,
                error = &error as &dyn std::error::Error,
                "sealing failed; it will be tried again"
            );
            let mut waited = Duration::ZERO;
            while waited < RETRY {
                if stop() {
                    return;
                }
                let turn = Duration::from_millis(50);
                std::thread::park_timeout(turn);
                waited += turn;
            }
        }
    }

    fn seal(&self, file: FileNumber) -> Result<(), SealError> {
        if let Some(segment) = self.archive.write_segment(self.node, file)? {
            self.ledger.record_segment(&segment)?;
            let (name, rows) = (segment.name(), segment.rows);
            self.archive.publish(segment);
            self.sealed.inc();
            tracing::info!(segment = name, rows, "sealed");
        }
        self.journal.drop_file(file)?;
        Ok(())
    }
}
