//! The segments opened last: a file handle and parsed metadata each (for 220,000 clicks about a
//! quarter of a megabyte). Bounded by number; the longest unused goes first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::ids::NodeNumber;
use domain::segment::Segment;

use crate::error::ArchiveError;

use super::SegmentReader;

/// What a segment's name is made from.
type Key = (NodeNumber, u64, u64);

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
        let key = (segment.node, segment.first_seq, segment.last_seq);
        if let Some(reader) = self.touch(key) {
            return Ok(reader);
        }
        let reader = Arc::new(open()?);
        let mut readers = self.lock();
        readers.retain(|(other, _)| *other != key);
        readers.push((key, Arc::clone(&reader)));
        if readers.len() > self.max {
            readers.remove(0);
        }
        Ok(reader)
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
