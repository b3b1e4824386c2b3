//! Which of many clicks a segment lacks, for whoever checks what rests on them.

use domain::ids::ClickId;
use domain::segment::Segment;

use crate::error::ArchiveError;
use crate::table::Archive;

impl Archive {
    /// Of these ids, in ascending order, those that the segment does not have. Reads all of its ids, past
    /// the cache; whoever asks for few asks for each.
    pub fn missing_from(&self, segment: &Segment, ids: &[ClickId]) -> Result<Vec<ClickId>, ArchiveError> {
        self.folder.open(segment)?.missing(ids)
    }
}
