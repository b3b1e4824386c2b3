//! Clicks that are in the journal and in no segment yet, as the journal's own records with a small
//! index. Grouped by journal file, so that one file's clicks give way to its segment.

use std::ops::Range;
use std::sync::Arc;

use domain::archive_query::ClickFilter;
use domain::click::Click;
use domain::ids::ClickId;

use crate::error::ArchiveError;
use crate::record::{Head, Record};

/// Rows after which a block is frozen. Readers copy the unfrozen rest under the lock: with 256
/// rows of 300 bytes that is 75 KiB, a few microseconds.
const BLOCK_ROWS: usize = 256;
/// Bytes after which a block is frozen, where clicks are long: bounds that copy too.
const BLOCK_BYTES: usize = 256 * 1024;

/// What is asked about most often, and where the record begins. 28 bytes.
#[derive(Clone, Copy)]
struct Row {
    id: ClickId,
    offer_id: u32,
    affiliate_id: u32,
    start: u32,
}

/// A run of clicks in the order of their ids.
#[derive(Clone, Default)]
pub(crate) struct Block {
    rows: Vec<Row>,
    /// The records, end to end.
    arena: Vec<u8>,
}

impl Block {
    /// The lowest id. Blocks are empty only before their first row.
    pub fn first_click(&self) -> ClickId {
        self.rows.first().expect("a block readers see has rows").id
    }

    /// The highest id.
    pub fn last_click(&self) -> ClickId {
        self.rows.last().expect("a block readers see has rows").id
    }

    fn push(&mut self, record: &Record<'_>, bytes: &[u8]) {
        let start = u32::try_from(self.arena.len()).expect("a block is frozen long before");
        let (offer_id, affiliate_id) = (record.first.offer_id, record.first.affiliate_id);
        self.rows.push(Row { id: record.id(), offer_id, affiliate_id, start });
        self.arena.extend_from_slice(bytes);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BLOCK_ROWS || self.arena.len() >= BLOCK_BYTES
    }

    /// The record of the `index`th row.
    fn bytes(&self, index: usize) -> &[u8] {
        let end = self.rows.get(index + 1).map_or(self.arena.len(), |next| next.start as usize);
        &self.arena[self.rows[index].start as usize..end]
    }

    /// The record of the `index`th row, read.
    pub fn record(&self, index: usize) -> Record<'_> {
        Record::parse(self.bytes(index)).expect("checked when it was pushed")
    }

    /// What the record of the `index`th row begins with.
    pub fn head(&self, index: usize) -> Head {
        Head::of_parsed(self.bytes(index))
    }

    /// All records, in order.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.rows.len()).map(|index| self.record(index))
    }

    fn find(&self, id: ClickId) -> Option<&[u8]> {
        self.rows.binary_search_by_key(&id, |row| row.id).ok().map(|index| self.bytes(index))
    }

    /// The rows in the filter's id range.
    pub fn within(&self, filter: &ClickFilter) -> Range<usize> {
        self.between(filter.from, filter.before)
    }

    /// The rows from `from` on and before `before`.
    pub fn between(&self, from: ClickId, before: ClickId) -> Range<usize> {
        let start = self.rows.partition_point(|row| row.id < from);
        let end = self.rows.partition_point(|row| row.id < before);
        start..end.max(start)
    }

    fn matching(&self, filter: &ClickFilter) -> impl Iterator<Item = usize> {
        self.within(filter).filter(move |&index| {
            let row = &self.rows[index];
            filter.offer_id.is_none_or(|id| id.0 == row.offer_id)
                && filter.affiliate_id.is_none_or(|id| id.0 == row.affiliate_id)
        })
    }

    /// Of the newest `rows_max` rows in the filter's id range, those that match and have the device id,
    /// newest first; `rows_max` becomes what is left of it.
    pub fn rows_of_device(&self, filter: &ClickFilter, udid: &str, rows_max: &mut usize) -> Vec<usize> {
        let within = self.within(filter);
        let oldest = within.start.max(within.end.saturating_sub(*rows_max));
        *rows_max -= within.end - oldest;
        let mut found: Vec<_> = self.matching(filter).filter(|index| *index >= oldest).collect();
        found.retain(|index| self.record(*index).first.udid == udid);
        found.reverse();
        found
    }

    /// How many clicks match.
    pub fn count(&self, filter: &ClickFilter) -> u64 {
        let plain = filter.offer_id.is_none() && filter.affiliate_id.is_none();
        let rows = if plain { self.within(filter).len() } else { self.matching(filter).count() };
        rows as u64
    }

    /// Up to `limit` of the matching clicks, after `skip` of them.
    pub fn read(&self, filter: &ClickFilter, skip: usize, limit: usize) -> Vec<Click> {
        self.matching(filter).skip(skip).take(limit).map(|index| self.record(index).to_click()).collect()
    }
}

/// The clicks of one journal file.
pub(crate) struct RecentFile {
    pub file: u64,
    pub first_seq: u64,
    pub last_seq: u64,
    pub rows: u64,
    pub bytes: u64,
    /// Being sealed: nothing may be added, or the segment would miss it.
    pub closed: bool,
    blocks: Arc<Vec<Arc<Block>>>,
    tail: Block,
}

impl RecentFile {
    pub fn new(file: u64, first_seq: u64) -> Self {
        Self {
            file,
            first_seq,
            last_seq: first_seq,
            rows: 0,
            bytes: 0,
            closed: false,
            blocks: Arc::default(),
            tail: Block::default(),
        }
    }

    /// Adds a record whose id is known to be above those before it.
    pub fn push(&mut self, seq: u64, record: &Record<'_>, bytes: &[u8]) {
        self.tail.push(record, bytes);
        self.last_seq = seq;
        self.rows += 1;
        self.bytes += (size_of::<Row>() + bytes.len()) as u64;
        if self.tail.is_full() {
            self.freeze();
        }
    }

    fn freeze(&mut self) {
        let mut block = std::mem::take(&mut self.tail);
        block.rows.shrink_to_fit();
        block.arena.shrink_to_fit();
        // Copies the list of blocks, not the blocks, and only while a reader holds it.
        Arc::make_mut(&mut self.blocks).push(Arc::new(block));
    }

    /// The record of a click, if it is here.
    pub fn find(&self, id: ClickId) -> Option<&[u8]> {
        let index = self.blocks.partition_point(|block| block.last_click() < id);
        self.blocks.get(index).map_or(&self.tail, Arc::as_ref).find(id)
    }

    /// Everything pushed so far. Cheap enough to be called under the lock.
    pub fn snapshot(&self) -> RecentSnapshot {
        RecentSnapshot { blocks: Arc::clone(&self.blocks), tail: self.tail.clone() }
    }
}

/// The clicks a journal file had at one moment.
pub(crate) struct RecentSnapshot {
    blocks: Arc<Vec<Arc<Block>>>,
    tail: Block,
}

impl RecentSnapshot {
    /// The blocks that are not empty, in order.
    pub fn into_blocks(self) -> impl Iterator<Item = Arc<Block>> {
        let frozen = (0..self.blocks.len()).map(move |index| Arc::clone(&self.blocks[index]));
        frozen.chain((!self.tail.rows.is_empty()).then(|| Arc::new(self.tail)))
    }
}

/// The recents of all journal files, oldest file first.
#[derive(Default)]
pub(crate) struct Recents {
    pub files: Vec<RecentFile>,
}

impl Recents {
    /// The file to which the record `seq` of `file` may be added: the newest, or a newer one.
    pub fn open_file(&mut self, file: u64, seq: u64) -> Result<&mut RecentFile, ArchiveError> {
        let newest = self.files.last().map(|newest| newest.file);
        if newest.is_none_or(|newest| newest < file) {
            self.files.push(RecentFile::new(file, seq));
        }
        let last = self.files.last_mut().expect("one was just pushed if none was there");
        let in_order = last.file == file && !last.closed && (last.rows == 0 || last.last_seq < seq);
        if in_order { Ok(last) } else { Err(ArchiveError::OutOfOrder { file, seq }) }
    }

    pub fn find(&self, id: ClickId) -> Option<&[u8]> {
        self.files.iter().find_map(|file| file.find(id))
    }
}
