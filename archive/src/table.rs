//! Recents and segments as one table. What readers see changes only here, under one lock: a click
//! is at every moment in exactly one of the two. Reading it: `list`; turning recents into a
//! segment: `seal`; segments into others: `rewrite`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use domain::click::Click;
use domain::ids::ClickId;
use domain::segment::Segment;

use crate::error::ArchiveError;
use crate::folder::Folder;
use crate::recents::{RecentFile, Recents};
use crate::record::{self, Record};

/// How an archive is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of segment files. It is there, and nobody else writes to it.
    pub dir: PathBuf,
    /// How many segments are kept open with their page index in memory: about a quarter of a
    /// megabyte each.
    pub metadata_cache_max: usize,
    /// How many bytes of cubes stay in memory; what does not fit is read each time.
    pub cube_cache_bytes: u64,
}

/// All clicks of a node. Its methods block; share it behind an `Arc`.
pub struct Archive {
    pub(crate) folder: Folder,
    state: RwLock<State>,
    /// Segments readers do not see any more, whose files are still there.
    pub(crate) replaced: Mutex<Vec<Arc<Segment>>>,
}

/// What readers see.
pub(crate) struct State {
    /// By first click.
    pub segments: Arc<[Arc<Segment>]>,
    pub recents: Recents,
    /// The highest id in either.
    last_click: Option<ClickId>,
}

impl Archive {
    /// An archive of the catalogued segments and no recents yet. Checks that every file is there
    /// with its catalogued size, not what is in it: for that, [`Archive::verify_segment`].
    pub fn open(options: Options, catalogue: Vec<Segment>) -> Result<Self, ArchiveError> {
        let folder = Folder::new(options);
        for segment in &catalogue {
            folder.check_present(segment)?;
        }
        let last_click = catalogue.iter().map(|segment| segment.last_click).max();
        let segments = by_first_click(catalogue.into_iter().map(Arc::new));
        let state = State { segments, recents: Recents::default(), last_click };
        Ok(Self { folder, state: RwLock::new(state), replaced: Mutex::default() })
    }

    /// Adds what the journal has committed: the records of one of its files with their numbers.
    /// Ids, record numbers and file numbers grow; where one does not, or a record holds no click,
    /// that is an error, and of the batch only the records before it are added.
    pub fn push_recents<'a>(
        &self,
        file: u64,
        records: impl Iterator<Item = (u64, &'a [u8])>,
    ) -> Result<(), ArchiveError> {
        let mut state = self.write();
        for (seq, bytes) in records {
            state.push_recent(file, seq, bytes)?;
        }
        Ok(())
    }

    /// The click, if it is a recent. Asks memory only.
    pub fn find_recent(&self, id: ClickId) -> Option<Click> {
        // Copied under the lock, decoded after it.
        let bytes = self.read().recents.find(id)?.to_vec();
        Some(record::decode(&bytes).expect("checked when it was pushed"))
    }

    /// The click, if it is anywhere.
    pub fn find(&self, id: ClickId) -> Result<Option<Click>, ArchiveError> {
        let (bytes, segment) = {
            let state = self.read();
            (state.recents.find(id).map(<[u8]>::to_vec), state.segment_with(id))
        };
        if let Some(bytes) = bytes {
            return Ok(Some(record::decode(&bytes).expect("checked when it was pushed")));
        }
        segment.map_or(Ok(None), |segment| self.folder.reader(&segment)?.find(id))
    }

    /// The highest id there is.
    pub fn last_click(&self) -> Option<ClickId> {
        self.read().last_click
    }

    /// The journal files with recents, oldest first.
    pub fn recent_files(&self) -> Vec<u64> {
        self.read().recents.files.iter().map(|recent| recent.file).collect()
    }

    /// How many recents there are.
    pub fn recent_rows(&self) -> u64 {
        self.read().recents.files.iter().map(|recent| recent.rows).sum()
    }

    /// The memory the recents take.
    pub fn recent_bytes(&self) -> u64 {
        self.read().recents.files.iter().map(|recent| recent.bytes).sum()
    }

    /// The segments readers see, by first click.
    pub fn segments(&self) -> Arc<[Arc<Segment>]> {
        Arc::clone(&self.read().segments)
    }

    /// Shows readers a written and catalogued segment in place of its journal file's recents. Done
    /// again, it changes nothing.
    pub fn publish(&self, segment: Segment) {
        let (file, last_seq, name) = (segment.journal_file, segment.last_seq, segment.name());
        let mut state = self.write();
        state.last_click = state.last_click.max(Some(segment.last_click));
        let others = state.segments.iter().filter(|other| other.name() != name).map(Arc::clone);
        state.segments = by_first_click(others.chain([Arc::new(segment)]));
        let is_sealed = |recent: &mut RecentFile| recent.file == file && recent.last_seq <= last_seq;
        let sealed: Vec<RecentFile> = state.recents.files.extract_if(.., is_sealed).collect();
        // Freeing tens of megabytes takes a while, and every click waits for this lock.
        drop(state);
        drop(sealed);
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("nothing panics under this lock")
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("nothing panics under this lock")
    }
}

impl State {
    fn push_recent(&mut self, file: u64, seq: u64, bytes: &[u8]) -> Result<(), ArchiveError> {
        let record = Record::parse(bytes).map_err(|reason| ArchiveError::Record { file, seq, reason })?;
        let id = record.id();
        if self.last_click >= Some(id) {
            return Err(ArchiveError::OutOfOrder { file, seq });
        }
        self.recents.open_file(file, seq)?.push(seq, &record, bytes);
        self.last_click = Some(id);
        Ok(())
    }

    /// The segment whose range `id` lies in. Segments do not overlap.
    pub(crate) fn segment_with(&self, id: ClickId) -> Option<Arc<Segment>> {
        let after = self.segments.partition_point(|segment| segment.first_click <= id);
        let segment = self.segments[..after].last()?;
        (id <= segment.last_click).then(|| Arc::clone(segment))
    }
}

pub(crate) fn by_first_click(segments: impl Iterator<Item = Arc<Segment>>) -> Arc<[Arc<Segment>]> {
    let mut segments: Vec<_> = segments.collect();
    segments.sort_by_key(|segment| segment.first_click);
    segments.into()
}
