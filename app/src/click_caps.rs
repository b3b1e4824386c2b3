//! Click caps in force: counted under the lock that mints click ids, so that each click is either
//! counted live or found in the archive, and none twice.

use std::sync::Arc;
use std::time::Duration;

use archive::{Archive, ArchiveError};
use domain::caps::{Cap, Window};
use domain::ids::{CapId, ClickId};
use domain::network::Network;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::failure::blocking;
use crate::sequence::Sequence;
use crate::{App, Failure};

/// How long a new cap waits for the clicks that were minted before it.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

impl App {
    /// How many clicks a cap has taken in its present window.
    pub(crate) fn clicks_taken(&self, cap_id: CapId) -> u64 {
        let (network, now) = (self.network.load(), self.clock.now());
        let cap = network.cap(cap_id);
        cap.and_then(|cap| self.sequence().caps.used(cap, now)).unwrap_or(0)
    }

    /// Begins to count for the caps of `network` that are not counted yet, before it comes into force.
    pub(crate) async fn count_caps(&self, network: &Network) -> Result<(), Failure> {
        let (begun, before) = {
            let sequence = &mut *self.sequence();
            let begun = sequence.caps.arrange(network, &self.settings.zone, self.clock.now());
            (begun, sequence.mint.next_floor())
        };
        if begun.is_empty() {
            return Ok(());
        }
        // Every click below the floor was queued under the lock that was just held.
        self.settled(self.journal.last_seq()).await?;
        let archive = Arc::clone(&self.archive);
        let used = blocking(move || Ok(look_up(&archive, begun, before)?)).await?;
        restore(&mut self.sequence(), &used);
        Ok(())
    }

    /// Waits until every record up to `seq` is durable and readable, or has failed.
    async fn settled(&self, seq: journal::Seq) -> Result<(), Failure> {
        let journal = Arc::clone(&self.journal);
        let settled = blocking(move || Ok(journal.wait(seq)));
        let late = |_| Failure::Unavailable("clicks could not be made durable in time".into());
        // A failed record is settled too: it is no click.
        let (Ok(()) | Err(journal::Failed)) =
            tokio::time::timeout(SETTLED_WITHIN, settled).await.map_err(late)??;
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
) -> Result<(), ArchiveError> {
    let begun = sequence.caps.arrange(network, zone, now);
    restore(sequence, &look_up(archive, begun, ClickId::MAX)?);
    Ok(())
}

/// How many clicks each cap's window has seen `before` counting began.
fn look_up(
    archive: &Archive,
    mut begun: Vec<(Arc<Cap>, Window)>,
    before: ClickId,
) -> Result<Vec<(Arc<Cap>, Window, u64)>, ArchiveError> {
    let mut used = Vec::with_capacity(begun.len());
    // Caps of one window are looked up together.
    begun.sort_by_key(|(_, window)| window.from);
    for same in begun.chunk_by(|(_, a), (_, b)| a.from == b.from) {
        let reached = archive.reached(ClickId::first_at(same[0].1.from), before)?;
        for (cap, window) in same {
            let count = match cap.campaign_id {
                Some(id) => reached.by_campaign.get(&id),
                None => reached.by_offer.get(&cap.offer_id),
            };
            used.push((Arc::clone(cap), *window, count.copied().unwrap_or(0)));
        }
    }
    Ok(used)
}

fn restore(sequence: &mut Sequence, used: &[(Arc<Cap>, Window, u64)]) {
    for (cap, window, used) in used {
        sequence.caps.restore(cap, *window, *used);
    }
}
