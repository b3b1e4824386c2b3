//! What grows old: segments are dropped, or lose their visitors' data, once their last click is old
//! enough. `docs/RETENTION.md` says what goes and what stays.

use std::sync::Arc;

use archive::Blank;
use domain::ids::ClickId;
use domain::segment::Segment;
use jiff::{SignedDuration, Timestamp};
use ledger::Old;

use crate::Upkeep;
use crate::upkeep::UpkeepError;

/// Days for which a reconciliation is kept: long enough to talk about it.
const RECONCILIATIONS_DAYS: i64 = 30;
/// Rows of reconciliations that are kept: some gigabytes.
const RECONCILIATION_ROWS_MAX: u64 = 10_000_000;
/// Rows dropped in one transaction: few enough that conversion calls wait only milliseconds.
const RECONCILIATION_ROWS_AT_ONCE: u32 = 2000;

impl Upkeep {
    /// Drops a segment, or blanks its visitors' data, if one is old enough.
    pub(crate) fn retain(&mut self, stop: &dyn Fn() -> bool) -> Result<bool, UpkeepError> {
        if let Some(before) = self.cutoff(self.settings.clicks_days)
            && let Some(segment) = self.first(|it| it.last_click < before)
        {
            self.swap(std::slice::from_ref(&segment), None)?;
            self.counters.dropped.inc();
            tracing::info!(segment = segment.name(), rows = segment.rows, "dropped, being old");
            return Ok(true);
        }
        if let Some(before) = self.cutoff(self.settings.visitor_days)
            && let Some(segment) = self.first(|it| it.last_click < before && !it.visitors_blanked)
        {
            self.rewrite(&[segment], Blank::Everybody, stop)?;
            self.counters.blanked.inc();
            return Ok(true);
        }
        Ok(false)
    }

    /// Drops a part of a reconciliation that nobody needs any more, if there is one.
    pub(crate) fn drop_reconciliations(&self) -> Result<bool, UpkeepError> {
        let ago = |days: i64| {
            let now = self.clock.now();
            now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::UNIX_EPOCH)
        };
        let old = Old {
            made_before: ago(RECONCILIATIONS_DAYS),
            begun_before: ago(1),
            rows_max: RECONCILIATION_ROWS_MAX,
        };
        Ok(self.ledger.drop_reconciliations(old, RECONCILIATION_ROWS_AT_ONCE)?)
    }

    /// The lowest id of a click that is not yet so many days old; none where nothing ever is.
    fn cutoff(&self, days: u32) -> Option<ClickId> {
        let age = SignedDuration::from_hours(24 * i64::from(days));
        (days > 0).then(|| self.clock.now().checked_sub(age).map(ClickId::first_at).ok()).flatten()
    }

    fn first(&self, wanted: impl Fn(&Segment) -> bool) -> Option<Arc<Segment>> {
        let segments = self.archive.segments();
        segments.iter().find(|it| wanted(it) && !self.is_spoiled(it)).map(Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use domain::click::Click;

    use super::*;
    use crate::{Clock, sample};

    /// A clock that shows so many days after the sample's clicks.
    struct DaysAfter(i64);

    impl Clock for DaysAfter {
        fn now(&self) -> Timestamp {
            let after = SignedDuration::from_hours(24 * self.0) + SignedDuration::from_secs(60);
            sample::click(0).date().checked_add(after).expect("in range")
        }
    }

    #[test]
    fn old_clicks_are_dropped_a_segment_at_a_time_and_stay_dropped() {
        let (mut product, folder) = sample::sealed(3, 30);
        product.upkeep.settings.clicks_days = 7;
        product.upkeep.clock = Arc::new(DaysAfter(6));
        assert!(!product.upkeep.retain(&|| false).expect("sound"));
        product.upkeep.clock = Arc::new(DaysAfter(7));
        for left in [2, 1, 0] {
            assert!(product.upkeep.retain(&|| false).expect("sound"));
            assert_eq!(product.app.archive.segments().len(), left);
        }
        assert!(!product.upkeep.retain(&|| false).expect("nothing left"));
        product.app.archive.remove_replaced().expect("removable");
        assert_eq!(sample::files(&folder, "segments"), 0);
        drop(product);
        let product = sample::open_in(folder.path());
        assert_eq!((product.app.archive.segments().len(), product.app.archive.recent_rows()), (0, 0));
    }

    #[test]
    fn visitors_data_is_blanked_once_and_counts_stay() {
        let (mut product, folder) = sample::sealed(2, 30);
        product.upkeep.settings.visitor_days = 7;
        product.upkeep.clock = Arc::new(DaysAfter(8));
        let counted = product.app.archive.reached(ClickId::MIN, ClickId::MAX).expect("readable");
        for _ in 0..2 {
            assert!(product.upkeep.retain(&|| false).expect("sound"));
        }
        assert!(!product.upkeep.retain(&|| false).expect("done before"));
        drop(product);
        let mut product = sample::open_in(folder.path());
        product.upkeep.settings.visitor_days = 7;
        product.upkeep.clock = Arc::new(DaysAfter(8));
        assert!(!product.upkeep.retain(&|| false).expect("done before the start"));
        let archive = &product.app.archive;
        assert_eq!(archive.reached(ClickId::MIN, ClickId::MAX).expect("readable"), counted);
        let before = sample::click(3);
        let blanked = Click { ip_address: None, user_agent: String::new(), ..before };
        assert_eq!(archive.find(blanked.id).expect("readable"), Some(blanked));
    }
}
