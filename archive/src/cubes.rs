//! The cubes of segments: which there are, making and checking them. What they are: `cube`.

use domain::segment::Segment;
use jiff::tz::TimeZone;

use crate::cube::CubeState;
use crate::error::ArchiveError;
use crate::table::Archive;

impl Archive {
    /// Whether the segment has a cube, cut at the days of `zone`.
    pub fn cube_state(&self, segment: &Segment, zone: &TimeZone) -> CubeState {
        self.folder.cubes.state(segment, zone)
    }

    /// Makes the segment's cube, durably, in place of one that may be there; from then on questions use it.
    /// Idempotent: done again, it writes the same file. Gives up with [`ArchiveError::Stopped`] soon after
    /// `stop` says so.
    ///
    /// Takes up to some hundred megabytes of memory, whatever the segment's size.
    pub fn make_cube(
        &self,
        segment: &Segment,
        zone: &TimeZone,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), ArchiveError> {
        self.folder.cubes.make(segment, &self.folder.open(segment)?, zone, stop)
    }

    /// Checks the segment's cube, if it has one: that all of it is what was written, and that every view
    /// is what the clicks add up to.
    pub fn verify_cube(&self, segment: &Segment) -> Result<(), ArchiveError> {
        self.folder.verify_cube(segment)
    }
}
