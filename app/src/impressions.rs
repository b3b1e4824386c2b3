//! Impressions: counted in memory, written down once a second and at the end. A crash loses what was
//! counted since; no redirect and no money rests on it.

use std::collections::HashMap;
use std::mem;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::impression::{ImpressionKey, Impressions, quarter_of};
use domain::routing::{Link, Target};
use ledger::{Ledger, LedgerError};
use prometheus_client::metrics::counter::Counter;

use crate::App;

/// How often counts are written down.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Kinds counted in memory at most, a few megabytes: beyond that impressions of further kinds are lost.
const KINDS_MAX: usize = 65_536;
/// From so many kinds on they are written down at once.
const KINDS_FULL: usize = KINDS_MAX / 2;

type Counts = Arc<Mutex<HashMap<ImpressionKey, u64>>>;

/// Where impressions are counted.
pub(crate) struct ImpressionCounter {
    counts: Counts,
    write_now: SyncSender<()>,
    dropped: Counter,
}

/// Writes the counts down, on a thread of its own.
pub struct ImpressionWriter {
    ledger: Arc<dyn Ledger>,
    counts: Counts,
    write_now: Receiver<()>,
    dropped: Counter,
}

/// Both ends. `dropped` counts the impressions that had no room.
pub(crate) fn channel(ledger: Arc<dyn Ledger>, dropped: &Counter) -> (ImpressionCounter, ImpressionWriter) {
    let counts = Counts::default();
    let (sender, write_now) = mpsc::sync_channel(1);
    let counter =
        ImpressionCounter { counts: Arc::clone(&counts), write_now: sender, dropped: dropped.clone() };
    (counter, ImpressionWriter { ledger, counts, write_now, dropped: dropped.clone() })
}

impl ImpressionCounter {
    fn count(&self, key: ImpressionKey) {
        if add(&self.counts, [(key, 1)], &self.dropped) >= KINDS_FULL {
            // Full means that it is asked for already.
            let _ = self.write_now.try_send(());
        }
    }
}

/// Adds to the counts, as far as there is room. Returns how many kinds there are.
fn add(counts: &Counts, counted: impl IntoIterator<Item = (ImpressionKey, u64)>, dropped: &Counter) -> usize {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    for (key, count) in counted {
        if counts.len() < KINDS_MAX || counts.contains_key(&key) {
            *counts.entry(key).or_default() += count;
        } else {
            dropped.inc_by(count);
        }
    }
    counts.len()
}

impl ImpressionWriter {
    /// Writes until nobody can count any more. Blocks.
    pub fn run(self) {
        while self.write_now.recv_timeout(WRITE_EVERY) != Err(RecvTimeoutError::Disconnected) {
            if let Err(error) = self.write() {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "impressions could not be written; it will be tried again");
                // Whoever counts may ask at once, and the ledger is no better by then.
                std::thread::sleep(WRITE_EVERY);
            }
        }
        if let Err(error) = self.write() {
            tracing::error!(error = &error as &dyn std::error::Error, "the last impressions are lost");
        }
    }

    fn write(&self) -> Result<(), LedgerError> {
        let counts = mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return Ok(());
        }
        let counted: Vec<_> =
            counts.iter().map(|(key, count)| Impressions { key: *key, count: *count }).collect();
        let written = self.ledger.add_impressions(&counted);
        if written.is_err() {
            add(&self.counts, counts, &self.dropped);
        }
        written
    }
}

impl App {
    /// Counts an impression. One that cannot be attributed is not counted.
    pub fn count_impression(&self, link: Option<Link>) {
        let network = self.network.load();
        let now = self.clock.now();
        let Some(Ok(target)) = link.map(|link| Target::of(&network, link)) else { return };
        self.metrics.impressions.inc();
        self.impressions.count(ImpressionKey {
            quarter: quarter_of(now),
            offer_id: target.offer.id,
            affiliate_id: target.affiliate.id,
            campaign_id: target.campaign.map(|it| it.id),
            creative_id: target.creative_id,
        });
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::{AffiliateId, CreativeId, OfferId};
    use jiff::Timestamp;
    use ledger::Location;

    use super::*;

    fn kind(number: usize) -> ImpressionKey {
        ImpressionKey {
            quarter: Timestamp::UNIX_EPOCH,
            offer_id: OfferId(u32::try_from(number).expect("small")),
            affiliate_id: AffiliateId(1),
            campaign_id: None,
            creative_id: CreativeId(1),
        }
    }

    #[test]
    fn what_cannot_be_written_waits_and_is_counted_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        let ledger = Location::file(&path).open().expect("opens");
        let (counter, writer) = channel(Arc::clone(&ledger) as Arc<dyn Ledger>, &Counter::default());
        let meddler = rusqlite::Connection::open(&path).expect("opens");
        meddler.execute_batch("ALTER TABLE impressions RENAME TO away").expect("renamed");
        counter.count(kind(1));
        assert!(writer.write().is_err());
        meddler.execute_batch("ALTER TABLE away RENAME TO impressions").expect("renamed");
        counter.count(kind(1));
        drop(counter);
        writer.run();
        let mut found = Vec::new();
        let all = (Timestamp::MIN, Timestamp::MAX);
        ledger.list_impressions(all.0, all.1, &mut |it| found.push(it)).expect("listed");
        assert_eq!(found, [Impressions { key: kind(1), count: 2 }]);
    }

    #[test]
    fn kinds_beyond_the_room_are_dropped_and_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Location::file(folder.path().join("ledger.sqlite")).open().expect("opens");
        let dropped = Counter::default();
        let (counter, writer) = channel(ledger, &dropped);
        (0..KINDS_FULL - 1).for_each(|number| counter.count(kind(number)));
        assert!(writer.write_now.try_recv().is_err(), "there is room");
        (KINDS_FULL - 1..=KINDS_MAX).for_each(|number| counter.count(kind(number)));
        assert!(writer.write_now.try_recv().is_ok(), "asked to write at once");
        assert_eq!(dropped.get(), 1);
        counter.count(kind(0));
        assert_eq!(dropped.get(), 1, "what is counted goes on being counted");
    }
}
