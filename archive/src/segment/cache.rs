//! The segments opened last: a file handle and parsed metadata each (for 220,000 clicks about a third
//! of a megabyte). Bounded by number and by rows; the longest unused goes first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::ids::NodeNumber;
use domain::segment::Segment;

use crate::error::ArchiveError;

use super::SegmentReader;

/// Rows of all open segments together: their metadata is some 1.5 bytes a row, so 150 MB.
const ROWS_MAX: usize = 100_000_000;

/// What a segment's name is made from.
pub(crate) type Key = (NodeNumber, u64, u64, u32);

pub(crate) struct ReaderCache {
    max: usize,
    /// Longest unused first. Few enough to search.
    readers: Mutex<Vec<(Key, Arc<SegmentReader>)>>,
}

impl ReaderCache {
    pub fn new(max: usize) -> Self {
        Self { max, readers: Mutex::default() }
    }

    /// The reader of `segment`, by `open` where it is not here. Two askers may open it at once.
    pub fn get(
        &self,
        segment: &Segment,
        open: impl FnOnce() -> Result<SegmentReader, ArchiveError>,
    ) -> Result<Arc<SegmentReader>, ArchiveError> {
        let key = key(segment);
        if let Some(reader) = self.touch(key) {
            return Ok(reader);
        }
        let reader = Arc::new(open()?);
        let mut readers = self.lock();
        readers.retain(|(other, _)| *other != key);
        readers.push((key, Arc::clone(&reader)));
        let mut rows: usize = readers.iter().map(|(_, reader)| reader.rows()).sum();
        while readers.len() > self.max || (rows > ROWS_MAX && readers.len() > 1) {
            rows -= readers.remove(0).1.rows();
        }
        Ok(reader)
    }

    /// Closes the segment's file as soon as nobody reads it.
    pub fn forget(&self, segment: &Segment) {
        self.lock().retain(|(other, _)| *other != key(segment));
    }

    fn touch(&self, key: Key) -> Option<Arc<SegmentReader>> {
        let mut readers = self.lock();
        let index = readers.iter().rposition(|(other, _)| *other == key)?;
        readers[index..].rotate_left(1);
        readers.last().map(|(_, reader)| Arc::clone(reader))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Key, Arc<SegmentReader>)>> {
        // A cache is right whatever state a panic left it in.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What its name is made from.
pub(crate) fn key(segment: &Segment) -> Key {
    (segment.node, segment.first_seq, segment.last_seq, segment.generation)
}
