//! Finding a visitor's click by the id of their device, which no index holds: the newest clicks are
//! looked through, and only so many of them.

use domain::archive_query::ClickFilter;
use domain::click::Click;

use crate::error::ArchiveError;
use crate::folder::Folder;
use crate::list::{Source, catalogued_count};
use crate::table::Archive;

/// Clicks of one device that are read to see whether they are wanted. Each costs as much as a look-up
/// by id; somebody with more clicks than that is nobody's visitor.
const READ_MAX: usize = 100;

impl Archive {
    /// The newest matching click of the device that `is_wanted`, looked for among the newest `rows_max`
    /// clicks of the filter's id range and no further.
    pub fn find_newest_of_device(
        &self,
        filter: &ClickFilter,
        udid: &str,
        mut rows_max: usize,
        is_wanted: impl Fn(&Click) -> bool,
    ) -> Result<Option<Click>, ArchiveError> {
        let mut read_max = READ_MAX;
        for source in self.sources(filter).into_iter().rev() {
            if rows_max == 0 || read_max == 0 {
                return Ok(None);
            }
            for click in source.clicks_of_device(filter, &self.folder, udid, &mut rows_max, read_max)? {
                read_max -= 1;
                if is_wanted(&click) {
                    return Ok(Some(click));
                }
            }
        }
        Ok(None)
    }
}

impl Source {
    /// Up to `limit` of the device's matching clicks, newest first.
    fn clicks_of_device(
        &self,
        filter: &ClickFilter,
        folder: &Folder,
        udid: &str,
        rows_max: &mut usize,
        limit: usize,
    ) -> Result<Vec<Click>, ArchiveError> {
        match self {
            Self::Recents(block) => {
                let rows = block.rows_of_device(filter, udid, rows_max).into_iter().take(limit);
                Ok(rows.map(|row| block.record(row).to_click()).collect())
            }
            Self::Segment(segment) if catalogued_count(segment, filter) == Some(0) => Ok(Vec::new()),
            Self::Segment(segment) => {
                let reader = folder.reader(segment)?;
                let mut rows = reader.rows_of_device(filter, udid, rows_max)?;
                rows.truncate(limit);
                let rows: Vec<_> = rows.into_iter().rev().map(|row| row..row + 1).collect();
                let mut clicks = reader.clicks(&rows)?;
                clicks.reverse();
                Ok(clicks)
            }
        }
    }
}
