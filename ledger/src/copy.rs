//! A copy of a ledger in a file of its own, whose catalogue can still be brought up to date before it is
//! finished: the files that go with it are copied later than it was.

use std::path::Path;

use domain::segment::Segment;

use crate::LedgerError;
use crate::book::segments;
use crate::database::Database as _;
use crate::sqlite::Sqlite;

/// A copy that is not finished yet. Dropped, it is a ledger, but maybe not a durable one.
#[derive(Debug)]
pub struct LedgerCopy(Sqlite);

impl LedgerCopy {
    /// A ledger in a new file that holds nothing yet, to keep a catalogue in.
    pub fn empty(path: &Path) -> Result<Self, LedgerError> {
        Self::open(path)
    }

    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        Sqlite::open(path).map(Self)
    }

    /// Has its catalogue name exactly these segments.
    pub fn set_segments(&self, segments: &[Segment]) -> Result<(), LedgerError> {
        self.0.write(|session| segments::set(session, segments))
    }

    /// Makes it one durable file, without a log beside it.
    pub fn finish(self) -> Result<(), LedgerError> {
        self.0.finish()
    }
}
