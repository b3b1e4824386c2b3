//! Click caps in force: counted under the lock that mints click ids, so that each click is either
//! counted live or found in the archive, and none twice.

use std::sync::Arc;
use std::time::Duration;

use archive::Archive;
use domain::caps::{Cap, Window};
use domain::ids::{CapId, ClickId};
use domain::network::Network;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use crate::failure::blocking;
use crate::sequence::Sequence;
use crate::{App, Failure};

/// How long a new cap waits for the clicks that were minted before it.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// A cap that is counted from now on, and what is to be looked up: the clicks before it in its window.
struct Starting {
    cap: Arc<Cap>,
    window: Window,
}

impl App {
    /// How many clicks a cap has taken in its present window.
    pub fn cap_used(&self, cap_id: CapId) -> u64 {
        let now = self.clock.now();
        self.sequence().caps.used(cap_id, now).unwrap_or(0)
    }

    /// Begins to count for the caps of `network` that are not counted yet, before it comes into force.
    pub(crate) async fn count_caps(&self, network: &Network) -> Result<(), Failure> {
        let (starting, before, last_seq) = {
            let mut sequence = self.sequence();
            let starting = start(&mut sequence, network, &self.settings.zone, self.clock.now());
            (starting, sequence.mint.next_floor(), self.journal.last_seq())
        };
        if starting.is_empty() {
            return Ok(());
        }
        self.settled(last_seq).await?;
        let archive = Arc::clone(&self.archive);
        let used = blocking(move || Ok(look_up(&archive, starting, before)?)).await?;
        restore(&mut self.sequence(), used);
        Ok(())
    }

    /// Waits until every record up to `seq` is durable and readable, or has failed.
    async fn settled(&self, seq: journal::Seq) -> Result<(), Failure> {
        let until = Instant::now() + SETTLED_WITHIN;
        while seq > 0 && self.journal.outcome(seq).is_none() {
            if Instant::now() >= until {
                return Err(Failure::Unavailable("clicks could not be made durable".into()));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

/// Counts for all caps of `network`, before the first click: what [`App::count_caps`] does while running.
pub(crate) fn open(
    sequence: &mut Sequence,
    network: &Network,
    zone: &TimeZone,
    archive: &Archive,
    now: Timestamp,
) -> Result<(), archive::ArchiveError> {
    let starting = start(sequence, network, zone, now);
    let used = look_up(archive, starting, ClickId::MAX)?;
    restore(sequence, used);
    Ok(())
}

fn start(sequence: &mut Sequence, network: &Network, zone: &TimeZone, now: Timestamp) -> Vec<Starting> {
    sequence.caps.retain(|id| network.cap(id).is_some_and(|cap| cap.is_for_clicks()));
    let mut starting = Vec::new();
    for cap in network.caps().filter(|cap| cap.is_for_clicks()) {
        let own = network.offer(cap.offer_id).and_then(|offer| offer.zone.as_ref());
        let zone = own.map_or(zone, |own| own.rules());
        if !sequence.caps.counts(cap, zone) {
            sequence.caps.count(cap, zone, now);
            let window = sequence.caps.window(cap.id).expect("it has just begun to count");
            starting.push(Starting { cap: Arc::clone(cap), window });
        }
    }
    starting
}

/// How many clicks each cap's window has seen `before` counting began.
fn look_up(
    archive: &Archive,
    mut starting: Vec<Starting>,
    before: ClickId,
) -> Result<Vec<(CapId, Window, u64)>, archive::ArchiveError> {
    let mut used = Vec::with_capacity(starting.len());
    // Caps of one window are looked up together.
    starting.sort_by_key(|it| it.window.from);
    for same in starting.chunk_by(|a, b| a.window.from == b.window.from) {
        let window = same[0].window;
        let reached = archive.reached(ClickId::first_at(window.from), before)?;
        for Starting { cap, window } in same {
            let count = match cap.campaign_id {
                Some(id) => reached.by_campaign.get(&id),
                None => reached.by_offer.get(&cap.offer_id),
            };
            used.push((cap.id, *window, count.copied().unwrap_or(0)));
        }
    }
    Ok(used)
}

fn restore(sequence: &mut Sequence, used: Vec<(CapId, Window, u64)>) {
    for (cap_id, window, used) in used {
        sequence.caps.restore(cap_id, window, used);
    }
}
