//! Data folders of many clicks, made without HTTP: records go through the real journal, its files are
//! sealed by the real archive and entered in the real ledger, as a server does it. The server that then
//! opens the folder finds nothing else than after a long life.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use archive::{Archive, record};
use domain::click::Click;
use domain::ids::{ClickId, ClickIdMint, NodeNumber};
use indicatif::ProgressBar;
use jiff::Timestamp;
use journal::{Batch, FileNumber, Journal};
use ledger::{Ledger, Location};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::day::{self, Day};
use crate::drive::{bar, drive};
use crate::network::Template;
use crate::server::Server;

/// Clicks that a real server records first; the others are like them.
const SAMPLE: usize = 100_000;
/// The server's own, by default.
const NODE: u16 = 1;
/// Of a journal file, as by default.
pub const FILE_BYTES: u64 = 64 << 20;
/// Records between two looks at whether they are durable: two batches fit into the journal's queue.
const BATCH: u64 = 16_384;
/// Completed files wait for the sealer up to this; beyond it sealing has stopped.
const RECENT_BYTES_MAX: u64 = 1 << 30;
/// The first click comes in the first milliseconds of 2025.
const FIRST_MS: u64 = 1_735_689_600_000;
/// A click in so many milliseconds: a million a day.
pub const GAP_MS: u64 = 86;
/// Every click's choices follow from this and its number.
const SEED: u64 = 1 << 40;

/// Clicks as a real server has recorded them, to make others like them.
pub struct Sample(Vec<Click>);

impl Sample {
    /// Records the first clicks of a day with a server on `folder`, and reads them from its journal.
    pub async fn record(template: &Template, day: &Arc<Day>, folder: &Path) -> anyhow::Result<Self> {
        let server = Server::start_from(template, &template.options(folder))?;
        drive(server.address, day::CONNECTIONS, SAMPLE, "recording a sample", day).await?;
        server.stop()?;
        let mut clicks = Vec::with_capacity(SAMPLE);
        let mut opened = journal::Opened::open(journal_options(folder, FILE_BYTES))?;
        opened.replay(|_| true, |_, _, bytes| clicks.push(record::decode(bytes)))?;
        let clicks = clicks.into_iter().collect::<Result<Vec<_>, _>>().context("a record of the sample")?;
        ensure!(clicks.len() == SAMPLE, "a sample of {} clicks", clicks.len());
        std::fs::remove_dir_all(folder)?;
        Ok(Self(clicks))
    }

    /// Click number `index`: one of the sample, at its own time and with its own `s2`.
    fn click(&mut self, index: u64, gap_ms: u64) -> &Click {
        let mut random = SmallRng::seed_from_u64(SEED + index);
        let which = random.random_range(0..self.0.len());
        let click = &mut self.0[which];
        click.id = click_id(index, gap_ms);
        click.sub_ids[1].clear();
        write!(click.sub_ids[1], "{:032x}", random.random::<u128>()).expect("writing to a string");
        click
    }
}

/// The id of generated click number `index`, where one comes in so many milliseconds.
pub fn click_id(index: u64, gap_ms: u64) -> ClickId {
    let random: u64 = SmallRng::seed_from_u64(!index).random();
    let ms = FIRST_MS + index * gap_ms + (random >> 48) % gap_ms;
    let time = Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    ClickIdMint::after(node(), None).mint(time, random)
}

/// Adds `count` sealed clicks to a data folder that has a ledger and no clicks, a segment for each journal
/// file of `file_bytes`, and a click in each `gap_ms`.
pub fn generate(
    folder: &Path,
    sample: &mut Sample,
    count: u64,
    file_bytes: u64,
    gap_ms: u64,
) -> anyhow::Result<()> {
    let ledger = Location::file(folder.join("ledger.sqlite")).open()?;
    let archive = Arc::new(open_archive(folder, 0)?);
    let mut opened = journal::Opened::open(journal_options(folder, file_bytes))?;
    let replayed = opened.replay(|_| true, |_, _, _| ())?;
    ensure!(replayed.next_seq == 1, "the folder has clicks already");
    let (completed, to_seal) = mpsc::sync_channel(1);
    let sink = Sink { archive: Arc::clone(&archive), completed: Mutex::new(completed) };
    let journal = opened.start(Box::new(sink))?;
    let sealer = Sealer { archive: &archive, ledger: &*ledger, journal: &journal, to_seal };
    let progress = bar(usize::try_from(count)?, "generating clicks");
    let done = thread::scope(|scope| {
        let appending = scope.spawn(|| append(&journal, &archive, sample, count, gap_ms));
        sealer.run(count, &progress, || appending.is_finished())?;
        appending.join().expect("appending does not panic")
    });
    progress.finish_and_clear();
    done
}

/// The archive of a data folder, as a server would open it that keeps so many bytes of cubes in memory.
pub fn open_archive(folder: &Path, cube_cache_bytes: u64) -> anyhow::Result<Archive> {
    /// As many as a server keeps.
    const METADATA_CACHE_MAX: usize = 1024;
    let ledger = Location::file(folder.join("ledger.sqlite")).open()?;
    let options = archive::Options {
        dir: folder.join("segments"),
        metadata_cache_max: METADATA_CACHE_MAX,
        cube_cache_bytes,
    };
    Ok(Archive::open(options, ledger.list_segments()?)?)
}

/// The bytes of everything in the folder of segments.
pub fn segment_bytes(folder: &Path) -> anyhow::Result<u64> {
    let files = std::fs::read_dir(folder.join("segments"))?;
    files.map(|file| Ok(file?.metadata()?.len())).sum()
}

fn journal_options(folder: &Path, file_bytes: u64) -> journal::Options {
    let (dir, pending_bytes_max) = (folder.join("journal"), 16 << 20);
    journal::Options { dir, file_bytes, pending_bytes_max, spare_files_max: 2 }
}

fn node() -> NodeNumber {
    NodeNumber::new(NODE).expect("it is small")
}

/// Queues the records of all clicks, and at the end completes the last file.
fn append(
    journal: &Journal,
    archive: &Archive,
    sample: &mut Sample,
    count: u64,
    gap_ms: u64,
) -> anyhow::Result<()> {
    let (mut before, mut last) = (None, None);
    for index in 0..count {
        last = Some(journal.append(|bytes| record::encode(sample.click(index, gap_ms), bytes))?);
        if (index + 1).is_multiple_of(BATCH) {
            if let Some(seq) = before {
                journal.wait(seq)?;
            }
            before = last;
            ensure!(archive.recent_bytes() <= RECENT_BYTES_MAX, "sealing has stopped");
        }
    }
    if let Some(seq) = last {
        journal.wait(seq)?;
    }
    journal.roll();
    Ok(())
}

/// Makes durable clicks readable, as a server's does.
struct Sink {
    archive: Arc<Archive>,
    completed: Mutex<SyncSender<FileNumber>>,
}

impl journal::Sink for Sink {
    fn committed(&mut self, batch: &Batch<'_>) {
        self.archive.push_recents(batch.file, batch.records()).expect("records in the order of their ids");
    }

    fn rolled(&mut self, file: FileNumber) {
        // Waits for the sealer, or memory would fill. One that has failed is told by others.
        let _ = self.completed.get_mut().expect("nobody else has it").send(file);
    }

    fn progressed(&mut self) {}
}

/// Turns completed journal files into segments, as a server's does.
struct Sealer<'s> {
    archive: &'s Archive,
    ledger: &'s dyn Ledger,
    journal: &'s Journal,
    to_seal: Receiver<FileNumber>,
}

impl Sealer<'_> {
    /// Seals until `count` clicks are in segments. Once it has failed, nobody waits for it any more.
    fn run(self, count: u64, progress: &ProgressBar, is_appended: impl Fn() -> bool) -> anyhow::Result<()> {
        /// What the journal needs at most to complete its last file.
        const LAST_FILE: Duration = Duration::from_secs(30);
        let mut sealed = 0;
        while sealed < count {
            match self.to_seal.recv_timeout(LAST_FILE) {
                Ok(file) => sealed += self.seal(file)?,
                // An error of its own is told by whoever joins it.
                Err(_) if is_appended() => return Ok(()),
                Err(_) => ensure!(self.journal.is_available(), "{:?}", self.journal.stats().last_error),
            }
            progress.set_position(sealed);
        }
        Ok(())
    }

    fn seal(&self, file: FileNumber) -> anyhow::Result<u64> {
        let Some(segment) = self.archive.write_segment(node(), file)? else { bail!("file {file} is empty") };
        self.ledger.record_segment(&segment)?;
        let rows = segment.rows;
        self.archive.publish(segment);
        self.journal.drop_file(file)?;
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_generated_is_found_and_its_journal_goes_on_behind_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("segments")).expect("writable");
        let mut sample = Sample(vec![Click::blank(ClickId::MIN); 3]);
        generate(folder.path(), &mut sample, 20_000, FILE_BYTES, GAP_MS).expect("generated");
        let archive = open_archive(folder.path(), 0).expect("it opens");
        assert_eq!(archive.segments().iter().map(|it| it.rows).sum::<u64>(), 20_000);
        for index in [0, 1, 19_999] {
            let found = archive.find(click_id(index, GAP_MS)).expect("readable").expect("there");
            assert_eq!(&found, sample.click(index, GAP_MS));
        }
        let mut opened = journal::Opened::open(journal_options(folder.path(), FILE_BYTES)).expect("it opens");
        assert_eq!(opened.replay(|_| true, |_, _, _| ()).expect("readable").next_seq, 20_001);
        assert!(generate(folder.path(), &mut sample, 1, FILE_BYTES, GAP_MS).is_err(), "once only");
    }

    #[test]
    fn ids_grow() {
        assert!((0..10_000).all(|index| click_id(index, GAP_MS) < click_id(index + 1, GAP_MS)));
    }
}
