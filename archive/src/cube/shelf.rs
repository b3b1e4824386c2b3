//! Which cubes there are, as far as anybody has asked, and the columns of them that were read last.
//! Columns are bounded by their bytes, and what does not fit is read again.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::grouping::Column;
use domain::segment::Segment;
use jiff::tz::TimeZone;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::error::ArchiveError;
use crate::segment::SegmentReader;
use crate::segment::cache::{Key, key};

use super::{Block, Cube, Table, make};

/// What the cache makes room for at first: tens of thousands are a year's.
const COLUMNS_EXPECTED: usize = 4096;
/// What a column in memory takes beside its values and codes, about.
const COLUMN_BYTES: u64 = 200;

/// Whether a segment has a cube that is used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CubeState {
    /// It has one, cut at the days of the zone.
    Current,
    /// It has one, cut at the days of another zone: it answers less than it could.
    OfAnotherZone,
    /// It has none.
    Missing,
    /// There is a file that is not its cube, and not used: why.
    Damaged(String),
}

/// What is known of a segment's cube.
enum Known {
    Sound(Arc<Opened>),
    Damaged(String),
}

/// A cube in use.
pub(crate) struct Opened {
    pub cube: Cube,
    /// No other ever opened has this number.
    number: u64,
}

/// A cube by its number, and of it block, table and column.
type ColumnKey = (u64, usize, usize, usize);

#[derive(Clone)]
struct Bytes;

impl Weighter<ColumnKey, Arc<Column>> for Bytes {
    fn weight(&self, _: &ColumnKey, column: &Arc<Column>) -> u64 {
        COLUMN_BYTES + column.bytes() as u64
    }
}

/// The cubes of a folder.
pub(crate) struct Cubes {
    dir: PathBuf,
    /// One for each segment asked about.
    known: Mutex<HashMap<Key, Known>>,
    columns: Cache<ColumnKey, Arc<Column>, Bytes>,
    opened: AtomicU64,
}

impl Cubes {
    /// At most so many bytes of columns stay in memory.
    pub fn new(dir: PathBuf, bytes_max: u64) -> Self {
        let columns = Cache::with_weighter(COLUMNS_EXPECTED, bytes_max, Bytes);
        Self { dir, known: Mutex::default(), columns, opened: AtomicU64::new(0) }
    }

    /// Where the segment's cube is, if it has one.
    pub fn path(&self, segment: &Segment) -> PathBuf {
        self.dir.join(format!("{}.cube", segment.name()))
    }

    /// The segment's cube, if it has one that can be used.
    pub fn find(&self, segment: &Segment) -> Option<Arc<Opened>> {
        let key = key(segment);
        if let Some(known) = self.lock().get(&key) {
            return if let Known::Sound(opened) = known { Some(Arc::clone(opened)) } else { None };
        }
        let known = match Cube::open(&self.path(segment), segment) {
            Ok(Some(cube)) => Known::Sound(self.number(cube)),
            Err(error @ ArchiveError::Corrupt { .. }) => Known::Damaged(error.to_string()),
            // There may be one soon.
            Ok(None) | Err(_) => return None,
        };
        let mut all = self.lock();
        match all.entry(key).or_insert(known) {
            Known::Sound(opened) => Some(Arc::clone(opened)),
            Known::Damaged(_) => None,
        }
    }

    /// What is known of the segment's cube.
    pub fn state(&self, segment: &Segment, zone: &TimeZone) -> CubeState {
        if let Some(opened) = self.find(segment) {
            let is_current = opened.cube.directory.zone == zone.iana_name().unwrap_or_default();
            return if is_current { CubeState::Current } else { CubeState::OfAnotherZone };
        }
        match self.lock().get(&key(segment)) {
            Some(Known::Damaged(reason)) => CubeState::Damaged(reason.clone()),
            _ => CubeState::Missing,
        }
    }

    /// Some columns of a block's table; none where they are not what was written. Then the cube is not used
    /// any more.
    pub fn columns(
        &self,
        opened: &Opened,
        segment: &Segment,
        (block, table): (usize, usize),
        columns: impl Iterator<Item = usize>,
    ) -> Option<Vec<Arc<Column>>> {
        let Table { rows, columns: stored, .. } = &opened.cube.directory.blocks[block].tables[table];
        let column = |column: usize| {
            let key = (opened.number, block, table, column);
            if let Some(found) = self.columns.get(&key) {
                return Ok(found);
            }
            let read = Arc::new(opened.cube.column(stored[column], *rows)?);
            self.columns.insert(key, Arc::clone(&read));
            Ok(read)
        };
        columns
            .map(column)
            .collect::<Result<_, ArchiveError>>()
            .inspect_err(|error| {
                // What cannot be opened now, as there are too many open files, may be opened later.
                if matches!(error, ArchiveError::Corrupt { .. }) {
                    self.spoil(segment, opened, error);
                }
            })
            .ok()
    }

    /// Writes the segment's cube, durably, in place of what may be there.
    pub fn make(
        &self,
        segment: &Segment,
        reader: &SegmentReader,
        zone: &TimeZone,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), ArchiveError> {
        let path = self.path(segment);
        let tmp = path.with_added_extension("tmp");
        let written = || -> Result<(), ArchiveError> {
            make(&tmp, segment, reader, zone, stop)?;
            fs::rename(&tmp, &path)?;
            Ok(File::open(&self.dir)?.sync_all()?)
        };
        written().inspect_err(|_| {
            // Gives the room back to a full disk; what cannot be removed now is an orphan later.
            fs::remove_file(&tmp).ok();
        })?;
        self.forget(segment);
        Ok(())
    }

    /// Frees what is in memory of the segment's cube.
    pub fn forget(&self, segment: &Segment) {
        if let Some(Known::Sound(opened)) = self.lock().remove(&key(segment)) {
            self.columns.retain(|(number, ..), _| *number != opened.number);
        }
    }

    fn spoil(&self, segment: &Segment, spoiled: &Opened, error: &ArchiveError) {
        let mut all = self.lock();
        // It may have been made anew meanwhile.
        if let Some(Known::Sound(opened)) = all.get(&key(segment))
            && opened.number == spoiled.number
        {
            all.insert(key(segment), Known::Damaged(error.to_string()));
        }
    }

    fn number(&self, cube: Cube) -> Arc<Opened> {
        Arc::new(Opened { cube, number: self.opened.fetch_add(1, Ordering::Relaxed) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        // What is known is right whatever state a panic left it in.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of columns in memory.
    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        self.columns.weight()
    }
}

impl Opened {
    /// The cube's blocks.
    pub fn blocks(&self) -> &[Block] {
        &self.cube.directory.blocks
    }
}
