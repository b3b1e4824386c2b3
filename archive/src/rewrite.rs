//! Turning segments into one other: fewer, larger ones, the format of today, without visitors' data.
//! Written first, catalogued by the caller, then shown to readers in place of the old ones, whose
//! files go when nobody reads them any more. A crash in between leaves files that the catalogue does
//! not name; they are removed at the start.

use std::sync::{Arc, PoisonError};

use domain::archive_query::ClickFilter;
use domain::ids::ClickId;
use domain::segment::{ReachedRows, Segment};

use crate::error::ArchiveError;
use crate::reached::Reached;
use crate::segment::{self, Blank, FORMAT, SegmentReader};
use crate::table::{Archive, by_first_click};

impl Archive {
    /// Writes the clicks of `old`, neighbouring segments of one node in their order and at least one,
    /// as one segment, durably, and reads it back whole. Readers do not see it until
    /// [`Archive::replace`]. Idempotent: done again, it writes the same file. Gives up with
    /// [`ArchiveError::Stopped`] soon after `stop` says so.
    ///
    /// Takes a few megabytes of memory, whatever the segments' size.
    pub fn rewrite(
        &self,
        old: &[Arc<Segment>],
        blank: Blank<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Segment, ArchiveError> {
        let readers: Vec<SegmentReader> =
            old.iter().map(|segment| self.folder.open(segment)).collect::<Result<_, _>>()?;
        let mut new = joined(old, &readers)?;
        new.visitors_blanked |= matches!(blank, Blank::Everybody);
        new.file_bytes =
            self.folder.write(&new, |path| segment::rewrite(path, &new, &readers, blank, stop))?;
        // The old ones will be gone: from here on it must be right.
        self.folder.verify(&new)?;
        Ok(new)
    }

    /// Shows readers `new`, written and catalogued, in place of `old`, or nothing in their place. Done
    /// again, it changes nothing. The files stay until [`Archive::remove_replaced`].
    pub fn replace(&self, old: &[Arc<Segment>], new: Option<Segment>) {
        let new = new.map(Arc::new);
        let is_old = |segment: &Segment| old.iter().any(|old| old.name() == segment.name());
        let is_new = |segment: &Segment| new.as_ref().is_some_and(|new| new.name() == segment.name());
        let mut state = self.write();
        let segments = Arc::clone(&state.segments);
        let (replaced, kept): (Vec<_>, Vec<_>) =
            segments.iter().filter(|it| !is_new(it)).map(Arc::clone).partition(|it| is_old(it));
        state.segments = by_first_click(kept.into_iter().chain(new.iter().map(Arc::clone)));
        drop(state);
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner).extend(replaced);
    }

    /// Removes the files of replaced segments that nobody reads any more. Returns how many segments
    /// are still read.
    pub fn remove_replaced(&self) -> Result<usize, ArchiveError> {
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        let mut index = 0;
        while let Some(segment) = replaced.get(index) {
            // Readers never see it again, so whoever holds it has done so for a while.
            if Arc::strong_count(segment) == 1 {
                self.folder.remove(segment)?;
                replaced.swap_remove(index);
            } else {
                index += 1;
            }
        }
        Ok(replaced.len())
    }

    /// The segment a click is in, if it is in one.
    pub fn segment_of(&self, id: ClickId) -> Result<Option<Arc<Segment>>, ArchiveError> {
        let Some(segment) = self.read().segment_with(id) else { return Ok(None) };
        let row = self.folder.reader(&segment)?.row_of(id)?;
        Ok(row.map(|_| segment))
    }
}

/// The segment that holds the clicks of all `old` ones, as far as it is known before it is written.
fn joined(old: &[Arc<Segment>], readers: &[SegmentReader]) -> Result<Segment, ArchiveError> {
    let (first, last) = (&old[0], &old[old.len() - 1]);
    Ok(Segment {
        node: first.node,
        journal_file: last.journal_file,
        first_seq: first.first_seq,
        last_seq: last.last_seq,
        // Above all of theirs, so its name is a new one.
        generation: old.iter().map(|it| it.generation).max().unwrap_or_default() + 1,
        visitors_blanked: old.iter().all(|it| it.visitors_blanked),
        format: FORMAT,
        rows: old.iter().map(|it| it.rows).sum(),
        file_bytes: 0,
        first_click: first.first_click,
        last_click: last.last_click,
        rows_by_offer: sum(old.iter().flat_map(|it| &it.rows_by_offer)),
        rows_by_affiliate: sum(old.iter().flat_map(|it| &it.rows_by_affiliate)),
        reached: Some(reached(old, readers)?),
    })
}

fn reached(old: &[Arc<Segment>], readers: &[SegmentReader]) -> Result<ReachedRows, ArchiveError> {
    let all = ClickFilter { from: ClickId::MIN, before: ClickId::MAX, offer_id: None, affiliate_id: None };
    let mut reached = Reached::default();
    for (segment, reader) in old.iter().zip(readers) {
        match &segment.reached {
            Some(rows) => reached.add_rows(rows),
            None => reader.add_reached(&all, &mut reached)?,
        }
    }
    Ok(reached.to_rows())
}

fn sum<'c, Id: Ord + Copy + 'c>(counts: impl Iterator<Item = &'c (Id, u64)>) -> Vec<(Id, u64)> {
    let mut sums = std::collections::BTreeMap::new();
    counts.for_each(|(id, rows)| *sums.entry(*id).or_default() += rows);
    sums.into_iter().collect()
}
