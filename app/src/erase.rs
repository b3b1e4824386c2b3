//! Erasing the visitors' data of clicks that somebody asked for, in the ledger's book of erasures. It
//! leaves segments first, then the ledger, then the journal's used files; only when it is gone from
//! all of them the request counts as done. After a crash all of it is done again.

use std::collections::BTreeMap;
use std::sync::Arc;

use archive::Blank;
use domain::ids::ClickId;
use domain::segment::Segment;
use journal::FileNumber;

use crate::Upkeep;
use crate::upkeep::UpkeepError;

/// Clicks erased together: each adds a look-up, and their conversions share a transaction.
const CLICKS_MAX: usize = 10_000;

/// Clicks whose visitors' data is blanked, though used files may still hold it.
pub(crate) struct Erasing {
    clicks: Vec<ClickId>,
    /// Journal files below this one may hold it.
    fence: FileNumber,
}

impl Upkeep {
    /// Does what can be done now of the erasures asked for.
    pub(crate) fn erase(&mut self, stop: &dyn Fn() -> bool) -> Result<bool, UpkeepError> {
        match self.erasing.take() {
            None => self.blank(stop),
            Some(erasing) => self.finish(erasing),
        }
    }

    fn blank(&mut self, stop: &dyn Fn() -> bool) -> Result<bool, UpkeepError> {
        let mut clicks = self.own_clicks(self.ledger.list_erasures()?)?;
        clicks.truncate(CLICKS_MAX);
        if clicks.is_empty() {
            return Ok(false);
        }
        if clicks.iter().any(|id| self.archive.find_recent(*id).is_some()) {
            // Soon the sealer will have put them into a segment.
            self.journal.roll();
            return Ok(true);
        }
        for segment in self.segments_of(&clicks)?.into_values() {
            self.rewrite(&[segment], Blank::These(&clicks), stop)?;
        }
        self.ledger.erase_visitors(&clicks)?;
        self.erasing = Some(Erasing { fence: self.journal.purge()?, clicks });
        Ok(true)
    }

    fn segments_of(&self, clicks: &[ClickId]) -> Result<BTreeMap<ClickId, Arc<Segment>>, UpkeepError> {
        let mut segments = BTreeMap::new();
        for id in clicks {
            let segment = self.archive.segment_of(*id)?;
            segments.extend(segment.map(|segment| (segment.first_click, segment)));
        }
        Ok(segments)
    }

    fn finish(&mut self, erasing: Erasing) -> Result<bool, UpkeepError> {
        let still_read = self.archive.remove_replaced()? > 0;
        if still_read || self.journal.oldest_file().is_some_and(|oldest| oldest < erasing.fence) {
            self.erasing = Some(erasing);
            return Ok(true);
        }
        self.ledger.finish_erasures(&erasing.clicks, self.clock.now())?;
        self.counters.erased.inc_by(erasing.clicks.len() as u64);
        tracing::info!(clicks = erasing.clicks.len(), "erased the visitors' data of clicks");
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use domain::click::Click;
    use tempfile::TempDir;

    use super::*;
    use crate::sample::{self, VISITOR};
    use crate::{App, Opened, Sealer};

    /// The click to be erased: with an address, an agent and a sub id that are nobody else's.
    fn visitor() -> Click {
        let mut click = sample::click(20);
        click.sub_ids[0] = SUB_ID.to_owned();
        click
    }

    const SUB_ID: &str = "somebody's own sub id";

    /// Seals and erases until nothing is left to be erased.
    fn erase_all(app: &App, sealer: Sealer, upkeep: &mut Upkeep) {
        let erased = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| sealer.run(&|| erased.load(std::sync::atomic::Ordering::Acquire)));
            while !app.ledger.list_erasures().expect("listed").is_empty() {
                upkeep.erase(&|| false).expect("sound");
                std::thread::yield_now();
            }
            erased.store(true, std::sync::atomic::Ordering::Release);
        });
    }

    /// The files of the data folder that hold the visitor's user agent, sub id, or address as text or bytes.
    fn traces(folder: &TempDir) -> Vec<String> {
        let address = [203, 0, 113, 77];
        let needles = [VISITOR[0].as_bytes(), VISITOR[1].as_bytes(), SUB_ID.as_bytes(), &address];
        let mut found = Vec::new();
        for folder in ["", "journal", "segments"].map(|name| folder.path().join(name)) {
            for entry in std::fs::read_dir(folder).expect("there") {
                let path = entry.expect("an entry").path();
                let Ok(bytes) = std::fs::read(&path) else { continue };
                if needles.iter().any(|needle| bytes.windows(needle.len()).any(|it| it == *needle)) {
                    found.push(path.display().to_string());
                }
            }
        }
        found
    }

    #[test]
    fn an_erased_visitor_leaves_no_trace_in_any_file_and_its_click_stays() {
        for sealed_before in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let other =
                |number| Click { user_agent: "other".into(), ip_address: None, ..sample::click(number) };
            let Opened { app, sealer, upkeep, .. } = sample::open_in(folder.path());
            sample::append(&app, (0..20).map(other).chain([visitor()]));
            let (mut sealer, mut upkeep) = (sealer, upkeep);
            if sealed_before {
                app.journal.roll();
                sealer.run(&|| app.archive.recent_rows() == 0);
                drop((app, upkeep));
                // The file that held it may be the one in use now.
                let opened = sample::open_in(folder.path());
                sample::append(&opened.app, (21..23).map(other));
                (sealer, upkeep) = (opened.sealer, opened.upkeep);
                check(&folder, &opened.app, sealer, upkeep, other);
            } else {
                check(&folder, &app, sealer, upkeep, other);
            }
        }
    }

    fn check(folder: &TempDir, app: &App, sealer: Sealer, mut upkeep: Upkeep, other: impl Fn(u64) -> Click) {
        let visitor = visitor();
        let is_sealed = !app.archive.segments().is_empty();
        while upkeep.make_cubes(&|| false).expect("sound") {}
        assert_eq!(traces(folder).iter().any(|it| it.contains(".cube")), is_sealed);
        assert_ne!(traces(folder), Vec::<String>::new());
        app.ledger.request_erasures(&[visitor.id], visitor.date()).expect("asked");
        erase_all(app, sealer, &mut upkeep);
        assert_eq!(traces(folder), Vec::<String>::new());
        while upkeep.make_cubes(&|| false).expect("sound") {}
        assert_eq!(traces(folder), Vec::<String>::new());
        let sub_ids = <[String; 5]>::default();
        let blank = Click { user_agent: String::new(), ip_address: None, sub_ids, ..visitor };
        assert_eq!(app.archive.find(blank.id).expect("readable"), Some(blank));
        for number in 0..20 {
            let click = other(number);
            assert_eq!(app.archive.find(click.id).expect("readable"), Some(click));
        }
    }
}
