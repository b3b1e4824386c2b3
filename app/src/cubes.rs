//! Making the cubes by which reports count clicks without reading them: one for each segment, the newest
//! first, cut at the days of the reporting zone. Without them reports say the same, only later.

use std::sync::Arc;

use archive::{ArchiveError, CubeState};
use domain::segment::Segment;

use crate::Upkeep;
use crate::upkeep::UpkeepError;

impl Upkeep {
    /// Makes the cube of a segment that has none, or one that cannot be used.
    pub(crate) fn make_cubes(&mut self, stop: &dyn Fn() -> bool) -> Result<bool, UpkeepError> {
        let Some((segment, state)) = self.without_cube() else { return Ok(false) };
        if let CubeState::Damaged(reason) = state {
            self.counters.cubes_damaged.inc();
            tracing::warn!(reason, "a cube cannot be used and is made anew");
        }
        let made = self.archive.make_cube(&segment, &self.zone, stop);
        if matches!(made, Err(ArchiveError::Corrupt { .. })) {
            self.spoiled.insert(segment.name());
        }
        made?;
        self.counters.cubes_made.inc();
        tracing::debug!(segment = segment.name(), "made its cube");
        Ok(true)
    }

    /// The newest segment without a cube as it should be, and what it has instead.
    fn without_cube(&self) -> Option<(Arc<Segment>, CubeState)> {
        let segments = self.archive.segments();
        let mut fit = segments.iter().rev().filter(|it| !self.is_spoiled(it));
        fit.find_map(|it| match self.archive.cube_state(it, &self.zone) {
            CubeState::Current => None,
            state => Some((Arc::clone(it), state)),
        })
    }
}

#[cfg(test)]
mod tests {
    use domain::report::{Attribute, ClickGrouping, periods};
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use crate::sample;

    #[test]
    fn every_segment_gets_a_cube_and_a_damaged_or_foreign_one_is_made_anew() {
        let (mut product, folder) = sample::sealed(3, 20);
        while product.upkeep.make_cubes(&|| false).expect("sound") {}
        assert_eq!(product.upkeep.counters.cubes_made.get(), 3);
        let cubes = || {
            let files = std::fs::read_dir(folder.path().join("segments")).expect("there");
            let paths = files.map(|it| it.expect("an entry").path());
            paths.filter(|it| it.extension().is_some_and(|it| it == "cube")).collect::<Vec<_>>()
        };
        assert_eq!(cubes().len(), 3);
        drop(product);

        std::fs::write(&cubes()[0], "no cube").expect("writable");
        std::fs::remove_file(&cubes()[1]).expect("removable");
        let mut product = sample::open_in(folder.path());
        let all = periods(Timestamp::UNIX_EPOCH, Timestamp::MAX, None, &TimeZone::UTC);
        let (attributes, filters) = (vec![Attribute::Offer], Vec::new());
        let by_offer = ClickGrouping { periods: all, attributes, filters, groups_max: 10 };
        let clicks = |product: &crate::Opened| {
            let groups = product.app.archive.group(&by_offer).expect("readable");
            groups.iter().map(|it| it.counts.total()).sum::<u64>()
        };
        assert_eq!(clicks(&product), 60, "without two cubes");
        while product.upkeep.make_cubes(&|| false).expect("sound") {}
        let counters = &product.upkeep.counters;
        assert_eq!((counters.cubes_made.get(), counters.cubes_damaged.get()), (2, 1));
        assert_eq!((cubes().len(), clicks(&product)), (3, 60));
        product.upkeep.zone = TimeZone::get("Asia/Kolkata").expect("a zone");
        while product.upkeep.make_cubes(&|| false).expect("sound") {}
        assert_eq!(product.upkeep.counters.cubes_made.get(), 5, "cut at other days");
    }

    #[test]
    fn a_segment_that_cannot_be_read_is_left_alone_and_the_others_get_their_cubes() {
        let (mut product, folder) = sample::sealed(2, 20);
        let newest = product.app.archive.segments()[1].name();
        let path = folder.path().join("segments").join(format!("{newest}.parquet"));
        let bytes = std::fs::read(&path).expect("there");
        std::fs::write(&path, vec![0; bytes.len()]).expect("writable");
        product.upkeep.make_cubes(&|| false).expect_err("damaged");
        assert!(product.upkeep.make_cubes(&|| false).expect("the other"));
        assert!(!product.upkeep.make_cubes(&|| false).expect("nothing left"));
        assert_eq!(product.upkeep.counters.cubes_made.get(), 1);
    }
}
