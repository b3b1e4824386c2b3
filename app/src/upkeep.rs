//! What happens to segments after they were sealed, on a thread of its own: clicks are erased where
//! somebody asked for it (`erase`), grow old (`retain`), small segments become larger ones
//! (`compact`), and what their clicks add up to is written beside them (`cubes`). Each piece of work may be the last before a crash, and is then done again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use archive::{Archive, ArchiveError, Blank};
use domain::ids::NodeNumber;
use domain::segment::Segment;
use jiff::tz::TimeZone;
use journal::{Journal, JournalError};
use ledger::{Ledger, LedgerError};
use prometheus_client::metrics::counter::Counter;
use thiserror::Error;

use crate::Clock;
use crate::erase::Erasing;

/// How often it is looked up whether there is something to do.
const TURN: Duration = Duration::from_secs(1);
/// How long after a failure it is tried again: nothing here is urgent.
const RETRY: Duration = Duration::from_secs(30);
/// How often it is looked up whether to stop.
const STOP_TURN: Duration = Duration::from_millis(50);

/// How segments are kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct UpkeepSettings {
    /// Clicks of a segment up to which small ones are joined; 0 for never.
    pub segment_rows_max: u64,
    /// Days after which clicks are dropped; 0 for never.
    pub clicks_days: u32,
    /// Days after which visitors' data is blanked; 0 for never.
    pub visitor_days: u32,
}

/// What is counted.
#[derive(Clone, Default)]
pub(crate) struct UpkeepCounters {
    /// Segments that became part of a larger one.
    pub(crate) joined: Counter,
    /// Segments whose visitors' data was blanked with age.
    pub(crate) blanked: Counter,
    /// Segments dropped with age.
    pub(crate) dropped: Counter,
    /// Clicks whose visitor's data was erased.
    pub(crate) erased: Counter,
    /// Cubes made.
    pub(crate) cubes_made: Counter,
    /// Cubes found damaged, or made by another version.
    pub(crate) cubes_damaged: Counter,
    /// Pieces of work that failed.
    pub(crate) failures: Counter,
}

#[derive(Debug, Error)]
pub(crate) enum UpkeepError {
    #[error("the archive failed")]
    Archive(#[from] ArchiveError),
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("the journal failed")]
    Journal(#[from] JournalError),
}

/// Keeps segments as the operator wishes.
pub struct Upkeep {
    pub(crate) node: NodeNumber,
    pub(crate) settings: UpkeepSettings,
    /// The reporting zone.
    pub(crate) zone: TimeZone,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) archive: Arc<Archive>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) counters: UpkeepCounters,
    /// Names of segments that could not be rewritten or read; they are left alone until the next start.
    pub(crate) spoiled: HashSet<String>,
    /// The erasure that is under way.
    pub(crate) erasing: Option<Erasing>,
}

/// One kind of work: whether a piece of it was done.
type Work = fn(&mut Upkeep, &dyn Fn() -> bool) -> Result<bool, UpkeepError>;

impl Upkeep {
    /// Works until `stop` says so. Blocks.
    pub fn run(mut self, stop: &dyn Fn() -> bool) {
        while !stop() {
            let pause = self.turn(stop);
            let mut waited = Duration::ZERO;
            while waited < pause && !stop() {
                std::thread::park_timeout(STOP_TURN);
                waited += STOP_TURN;
            }
        }
    }

    /// Does a piece of each kind of work. Returns how long nothing needs to be done.
    fn turn(&mut self, stop: &dyn Fn() -> bool) -> Duration {
        let kinds: [(&str, Work); 6] = [
            ("erasing clicks", Self::erase),
            ("dropping old data", Self::retain),
            ("joining segments", Self::compact),
            ("making cubes", Self::make_cubes),
            ("dropping old reconciliations", |upkeep, _| upkeep.drop_reconciliations()),
            ("removing replaced segments", |upkeep, _| {
                Ok(upkeep.archive.remove_replaced().map(|_| false)?)
            }),
        ];
        let mut pause = TURN;
        for (what, work) in kinds {
            match work(self, stop) {
                Ok(true) => pause = pause.min(STOP_TURN),
                Ok(false) | Err(UpkeepError::Archive(ArchiveError::Stopped)) => {}
                Err(error) => {
                    self.counters.failures.inc();
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "{what} failed; it will be tried again");
                    pause = RETRY;
                }
            }
        }
        pause
    }

    /// Puts one segment in the place of `old`: writes it, swaps them in the catalogue, then for
    /// readers. The old files go when nobody reads them any more.
    pub(crate) fn rewrite(
        &mut self,
        old: &[Arc<Segment>],
        blank: Blank<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Segment, UpkeepError> {
        let written = self.archive.rewrite(old, blank, stop);
        if matches!(written, Err(ArchiveError::Corrupt { .. })) {
            self.spoiled.extend(old.iter().map(|segment| segment.name()));
        }
        let new = written?;
        self.swap(old, Some(&new))?;
        tracing::info!(segment = new.name(), rows = new.rows, from = old.len(), "rewritten");
        Ok(new)
    }

    /// Whether the segment could not be rewritten.
    pub(crate) fn is_spoiled(&self, segment: &Segment) -> bool {
        !self.spoiled.is_empty() && self.spoiled.contains(&segment.name())
    }

    /// Swaps segments in the catalogue, then for readers.
    pub(crate) fn swap(&self, old: &[Arc<Segment>], new: Option<&Segment>) -> Result<(), UpkeepError> {
        let catalogued: Vec<&Segment> = old.iter().map(Arc::as_ref).collect();
        self.ledger.replace_segments(&catalogued, new)?;
        self.archive.replace(old, new.cloned());
        Ok(())
    }
}
