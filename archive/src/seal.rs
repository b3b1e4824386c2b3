//! Turning a journal file's recents into a segment. Written first, catalogued by the caller, then
//! published: after a crash in between the file is an orphan and is written again.

use std::sync::Arc;

use domain::ids::NodeNumber;
use domain::segment::Segment;

use crate::error::ArchiveError;
use crate::recents::Block;
use crate::record::Record;
use crate::segment::{self, Counts, FORMAT};
use crate::table::Archive;

impl Archive {
    /// Writes the recents of a completed journal file as a segment, durably; from then on nothing
    /// can be pushed to that file. `None` where it has no recents. Readers do not see the segment
    /// until [`Archive::publish`]. Idempotent: done again, it writes the same file.
    ///
    /// Takes about 250 bytes of memory per click beside the recents themselves.
    pub fn write_segment(&self, node: NodeNumber, file: u64) -> Result<Option<Segment>, ArchiveError> {
        let Some(closed) = self.close_file(file) else { return Ok(None) };
        let records: Vec<Record<'_>> = closed.blocks.iter().flat_map(|block| block.records()).collect();
        let mut counts = Counts::default();
        for record in &records {
            counts.add(record);
        }
        let (Some(first_click), Some(last_click)) = (counts.first_click, counts.last_click) else {
            return Ok(None);
        };
        let mut segment = Segment {
            node,
            journal_file: file,
            first_seq: closed.first_seq,
            last_seq: closed.last_seq,
            generation: 0,
            visitors_blanked: false,
            format: FORMAT,
            rows: records.len() as u64,
            file_bytes: 0,
            first_click,
            last_click,
            rows_by_offer: counts.by_offer(),
            rows_by_affiliate: counts.by_affiliate(),
            reached: Some(counts.reached()),
        };
        segment.file_bytes = self.folder.write(&segment, |path| segment::write(path, &segment, &records))?;
        Ok(Some(segment))
    }

    /// Reads all of a segment: checksums, order, and the sums of the catalogue.
    pub fn verify_segment(&self, segment: &Segment) -> Result<(), ArchiveError> {
        self.folder.verify(segment)
    }

    /// Removes what a crash left behind: half-written files, and files of segments that were never
    /// catalogued, or are not any more. Returns their names. Only for the start, before the first segment is written.
    pub fn remove_orphans(&self) -> Result<Vec<String>, ArchiveError> {
        self.folder.remove_orphans(&self.segments())
    }

    fn close_file(&self, file: u64) -> Option<ClosedFile> {
        let mut state = self.write();
        let recent = state.recents.files.iter_mut().find(|recent| recent.file == file)?;
        recent.closed = true;
        let (first_seq, last_seq) = (recent.first_seq, recent.last_seq);
        Some(ClosedFile { first_seq, last_seq, blocks: recent.snapshot().into_blocks().collect() })
    }
}

/// All recents of a journal file.
struct ClosedFile {
    first_seq: u64,
    last_seq: u64,
    blocks: Vec<Arc<Block>>,
}
