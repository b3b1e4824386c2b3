//! Lists and counts. The table is a row of sources in the order of their ids: segments and blocks
//! of recents. Sources are skipped by their counts until the page begins; only then is read.

use std::ops::Range;
use std::sync::Arc;

use domain::archive_query::{ClickFilter, ClickPage};
use domain::click::Click;
use domain::ids::ClickId;
use domain::segment::Segment;

use crate::error::ArchiveError;
use crate::folder::Folder;
use crate::recents::{Block, RecentFile};
use crate::table::Archive;

impl Archive {
    /// How many clicks match, and of those, oldest first, up to `limit` after the first `offset`.
    /// The caller bounds `limit`: that many clicks are in memory at once.
    pub fn list(&self, filter: &ClickFilter, offset: u64, limit: usize) -> Result<ClickPage, ArchiveError> {
        let mut page = ClickPage::default();
        for source in self.sources(filter) {
            let matching = source.count(filter, &self.folder)?;
            let skip = offset.saturating_sub(page.total);
            let left = limit - page.clicks.len();
            if skip < matching && left > 0 {
                page.clicks.extend(source.read(filter, &self.folder, rows(skip), left)?);
            }
            page.total += matching;
        }
        Ok(page)
    }

    /// The first clicks that match, oldest first, `limit` at most. What comes after them is not looked at.
    pub fn first(&self, filter: &ClickFilter, limit: usize) -> Result<Vec<Click>, ArchiveError> {
        let mut clicks = Vec::new();
        for source in self.sources(filter) {
            let left = limit - clicks.len();
            if left == 0 {
                break;
            }
            clicks.extend(source.read(filter, &self.folder, 0, left)?);
        }
        Ok(clicks)
    }

    /// How many clicks match.
    pub fn count(&self, filter: &ClickFilter) -> Result<u64, ArchiveError> {
        self.sources(filter).iter().map(|source| source.count(filter, &self.folder)).sum()
    }

    /// The sources that may hold clicks of the filter's id range, as they are at one moment.
    pub(crate) fn sources(&self, filter: &ClickFilter) -> Vec<Source> {
        let (segments, recents) = {
            let state = self.read();
            let recents: Vec<_> = state.recents.files.iter().map(RecentFile::snapshot).collect();
            (Arc::clone(&state.segments), recents)
        };
        let segments = segments.iter().map(|segment| Source::Segment(Arc::clone(segment)));
        let blocks = recents.into_iter().flat_map(|recent| recent.into_blocks().map(Source::Recents));
        let mut sources: Vec<_> = segments
            .chain(blocks)
            .filter(|source| source.first_click() < filter.before && filter.from <= source.last_click())
            .collect();
        sources.sort_by_key(Source::first_click);
        sources
    }
}

/// A run of clicks in the order of their ids.
pub(crate) enum Source {
    Segment(Arc<Segment>),
    Recents(Arc<Block>),
}

impl Source {
    fn first_click(&self) -> ClickId {
        match self {
            Self::Segment(segment) => segment.first_click,
            Self::Recents(block) => block.first_click(),
        }
    }

    fn last_click(&self) -> ClickId {
        match self {
            Self::Segment(segment) => segment.last_click,
            Self::Recents(block) => block.last_click(),
        }
    }

    fn count(&self, filter: &ClickFilter, folder: &Folder) -> Result<u64, ArchiveError> {
        match self {
            Self::Recents(block) => Ok(block.count(filter)),
            Self::Segment(segment) => match catalogued_count(segment, filter) {
                Some(count) => Ok(count),
                None => Ok(runs_len(&folder.reader(segment)?.matching(filter)?) as u64),
            },
        }
    }

    fn read(
        &self,
        filter: &ClickFilter,
        folder: &Folder,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<Click>, ArchiveError> {
        match self {
            Self::Recents(block) => Ok(block.read(filter, skip, limit)),
            Self::Segment(segment) => {
                let reader = folder.reader(segment)?;
                reader.clicks(&page_of(&reader.matching(filter)?, skip, limit))
            }
        }
    }
}

/// How many of the segment's clicks match, where the catalogue can tell.
pub(crate) fn catalogued_count(segment: &Segment, filter: &ClickFilter) -> Option<u64> {
    let whole = filter.from <= segment.first_click && segment.last_click < filter.before;
    let of_offer = filter.offer_id.map(|id| segment.rows_of_offer(id));
    let of_affiliate = filter.affiliate_id.map(|id| segment.rows_of_affiliate(id));
    match (of_offer, of_affiliate) {
        (Some(0), _) | (_, Some(0)) => Some(0),
        (Some(_), Some(_)) => None,
        (Some(rows), None) | (None, Some(rows)) => whole.then_some(rows),
        (None, None) => whole.then_some(segment.rows),
    }
}

/// The rows of `runs` that are left after `skip`, up to `limit`.
pub(crate) fn page_of(runs: &[Range<usize>], mut skip: usize, mut limit: usize) -> Vec<Range<usize>> {
    let mut page = Vec::new();
    for run in runs {
        let start = run.start + skip.min(run.len());
        let end = run.end.min(start.saturating_add(limit));
        skip -= start - run.start;
        limit -= end - start;
        if start < end {
            page.push(start..end);
        }
    }
    page
}

/// How many rows `runs` are.
pub(crate) fn runs_len(runs: &[Range<usize>]) -> usize {
    runs.iter().map(ExactSizeIterator::len).sum()
}

pub(crate) fn rows(skip: u64) -> usize {
    usize::try_from(skip).expect("below the number of clicks in one source")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_runs_begins_and_ends_anywhere() {
        let runs = [3..5, 8..12];
        let check = |skip, limit, expected: &[Range<usize>]| {
            assert_eq!(page_of(&runs, skip, limit), expected, "{skip} {limit}");
        };
        check(0, usize::MAX, &runs);
        check(1, 2, &[4..5, 8..9]);
        check(2, 2, &runs[1..].iter().map(|run| run.start..run.start + 2).collect::<Vec<_>>());
        check(5, 9, &runs[1..].iter().map(|run| run.end - 1..run.end).collect::<Vec<_>>());
        check(6, 1, &[]);
        check(0, 0, &[]);
    }
}
