//! Opening a data folder: ledger, archive and journal, with what the journal still holds made
//! readable before the first request.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use arc_swap::ArcSwap;
use archive::{Archive, ArchiveError};
use domain::caps::ClickCaps;
use domain::ids::{ClickIdMint, NodeNumber};
use domain::network::Network;
use domain::segment::Segment;
use journal::JournalError;
use ledger::{Ledger, LedgerError};
use outbound::Caller;
use thiserror::Error;
use tokio::sync::{Notify, Semaphore};

use crate::agents::Agents;
use crate::deliver::DeliverySettings;
use crate::facts::Facts;
use crate::nodes::own_segments;
use crate::pixel_limit::PixelLimit;
use crate::places::{PlaceFileError, PlaceFiles, Places};
use crate::sequence::Sequence;
use crate::visitors::Footprints;
use crate::{
    App, Approver, Chance, Clock, ConversionWriter, Deliverer, ImpressionWriter, Sealer, Settings, Upkeep,
    UpkeepSettings,
};
use crate::{click_caps, conversion_writer, impressions, lane, metrics, sink};

/// Segments whose page index stays in memory, some 0.7 MB each: more than a hundred million clicks have.
const METADATA_CACHE_MAX: usize = 1024;

/// Statements sent at the same time, however slowly they are taken: each holds a reader of the ledger.
const DOWNLOADS_MAX: usize = 4;

/// Files taken and reconciled, and reconciliations accepted, at the same time: each may hold some hundred megabytes of
/// disk, and of memory what names a million rows.
const RECONCILIATIONS_MAX: usize = 2;

/// Postbacks tried out at the same time: each may hold a connection for as long as a call may take.
const TESTS_MAX: usize = 4;

/// What a running product is made of.
pub struct Parts {
    /// What the operator has set.
    pub settings: Settings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
    /// The book.
    pub ledger: Arc<dyn Ledger>,
    /// Files in MaxMind's format that tell of addresses.
    pub place_files: PlaceFiles,
    /// How the journal is kept, and where.
    pub journal: journal::Options,
    /// A journal file with clicks is completed, and then sealed, at least this often.
    pub roll_after: Duration,
    /// How segments are kept.
    pub upkeep: UpkeepSettings,
}

/// Why a data folder could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The journal.
    #[error("the journal cannot be opened")]
    Journal(#[from] JournalError),
    /// The archive.
    #[error("the archive cannot be opened")]
    Archive(#[from] ArchiveError),
    /// A file about addresses.
    #[error(transparent)]
    Places(#[from] PlaceFileError),
    /// What receivers of postbacks are called with.
    #[error("receivers of postbacks cannot be called")]
    Outbound(#[from] outbound::SetUpError),
    /// A thread.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// The ledger.
    #[error("the ledger cannot be opened")]
    Ledger(#[from] LedgerError),
    /// The journal was replaced by another, or an older copy of itself.
    #[error(
        "the journal is behind the archive: its next record would be {next_seq}, and records up to \
         {last_sealed} are sealed; restore the journal folder that belongs to this ledger"
    )]
    JournalBehind {
        /// The last record in a segment.
        last_sealed: u64,
        /// The number the journal would give its next record.
        next_seq: u64,
    },
}

/// A running product and its background work, which the caller runs.
pub struct Opened {
    /// Shared by every request.
    pub app: Arc<App>,
    /// Seals journal files.
    pub sealer: Sealer,
    /// Keeps segments.
    pub upkeep: Upkeep,
    /// Approves conversions whose time has come.
    pub approver: Approver,
    /// Records conversions.
    pub conversion_writer: ConversionWriter,
    /// Writes impressions down.
    pub impression_writer: ImpressionWriter,
    /// Delivers postbacks.
    pub deliverer: Deliverer,
}

/// Opens everything and replays what the journal holds. `segments` is the archive's folder.
pub fn open(parts: Parts, segments: &Path) -> Result<Opened, OpenError> {
    let Parts { settings, clock, chance, ledger, place_files, journal, roll_after, upkeep } = parts;
    let agents = Agents::new().map_err(OpenError::Thread)?;
    let places = Arc::new(Places::open(place_files)?);
    let mut opened = journal::Opened::open(journal)?;
    // After the journal: a server on the same folder is the plainer reason.
    ledger.hold_node(settings.node)?;
    let catalogue = own_segments(&*ledger, settings.node, segments)?;
    let sealed = last_sealed(&catalogue, settings.node);
    let options = archive::Options {
        dir: segments.to_owned(),
        metadata_cache_max: METADATA_CACHE_MAX,
        cube_cache_bytes: settings.cube_cache_bytes,
    };
    let archive = Arc::new(Archive::open(options, catalogue)?);
    for orphan in archive.remove_orphans()? {
        tracing::warn!(
            file = orphan,
            "removed a segment's file that the catalogue does not name; a crash has left it"
        );
    }
    let unsealed = replay(&mut opened, &archive, sealed)?;

    let lanes = Arc::new(lane::Lanes::default());
    let (to_sealer, completed) = mpsc::channel();
    for file in unsealed {
        to_sealer.send(file).expect("its receiver is here");
    }
    let (readable, woken) = (Arc::clone(&archive), Arc::clone(&lanes));
    let sink = sink::Sink { archive: readable, lanes: woken, completed: to_sealer, is_incomplete: false };
    let journal = Arc::new(opened.start(Box::new(sink))?);
    let metrics = metrics::Metrics::default();
    let sealer = Sealer {
        node: settings.node,
        journal: Arc::clone(&journal),
        archive: Arc::clone(&archive),
        ledger: Arc::clone(&ledger),
        completed,
        roll_after,
        sealed: metrics.segments_sealed.clone(),
        failures: metrics.seal_failures.clone(),
    };
    let upkeep = Upkeep {
        node: settings.node,
        settings: upkeep,
        zone: settings.zone.clone(),
        clock: Arc::clone(&clock),
        journal: Arc::clone(&journal),
        archive: Arc::clone(&archive),
        ledger: Arc::clone(&ledger),
        counters: metrics.upkeep.clone(),
        spoiled: HashSet::new(),
        erasing: None,
    };
    let network = Arc::new(ArcSwap::from_pointee(Network::new(ledger.load_network()?)));
    let approver = Approver {
        clock: Arc::clone(&clock),
        ledger: Arc::clone(&ledger),
        network: Arc::clone(&network),
        approved: metrics.conversions_approved.clone(),
        failures: metrics.approval_failures.clone(),
    };
    let wake = Arc::new(Notify::new());
    let (conversions, conversion_writer) =
        conversion_writer::channel(Arc::clone(&ledger), Arc::clone(&wake), settings.conversions_waiting_max);
    let (impressions, impression_writer) =
        impressions::channel(Arc::clone(&ledger), &metrics.impressions_dropped);
    let mut sequence = Sequence {
        mint: ClickIdMint::after(settings.node, archive.last_click()),
        caps: ClickCaps::default(),
        footprints: Footprints::new(settings.cookieless),
    };
    if sequence.footprints.is_on() {
        sequence.footprints.restore(&archive, &network.load(), clock.now())?;
    }
    click_caps::open(&mut sequence, &network.load(), &settings.zone, &archive, clock.now())?;
    let deliverer = Deliverer {
        settings: DeliverySettings::of(&settings),
        clock: Arc::clone(&clock),
        chance: Arc::clone(&chance),
        ledger: Arc::clone(&ledger),
        archive: Arc::clone(&archive),
        network: Arc::clone(&network),
        caller: Caller::new(settings.outbound.clone())?,
        wake,
        counters: metrics.deliveries.clone(),
    };
    let app = App {
        clock,
        chance,
        journal,
        places,
        agents,
        lanes,
        sequence: Mutex::new(sequence),
        network,
        network_refresh: tokio::sync::Mutex::default(),
        keys: ArcSwap::from_pointee(HashMap::new()),
        keys_version: 0.into(),
        conversions,
        impressions,
        facts: Arc::new(Facts::new(settings.report_conversions_bytes)),
        questions: Arc::new(Semaphore::new(settings.questions_max)),
        downloads: Arc::new(Semaphore::new(DOWNLOADS_MAX)),
        imports: Arc::new(Semaphore::new(1)),
        reconciliations: Arc::new(Semaphore::new(RECONCILIATIONS_MAX)),
        scratch: segments.to_owned(),
        tests: Arc::new(Semaphore::new(TESTS_MAX)),
        pixel_limit: PixelLimit::new(settings.pixel_calls_per_second, settings.pixel_allow_list.clone()),
        device_search: Arc::new(Semaphore::new(1)),
        metrics,
        stopping: false.into(),
        archive,
        ledger,
        settings,
    };
    let app = Arc::new(app);
    Ok(Opened { app, sealer, upkeep, approver, conversion_writer, impression_writer, deliverer })
}

/// Up to where this node's journal is sealed.
#[derive(Clone, Copy)]
struct Sealed {
    /// Files are sealed in their order, so every file up to this one is sealed, or had no clicks.
    file: u64,
    last_seq: u64,
}

fn last_sealed(catalogue: &[Segment], node: NodeNumber) -> Option<Sealed> {
    let own = catalogue.iter().filter(|it| it.node == node);
    let sealed = own.map(|it| Sealed { file: it.journal_file, last_seq: it.last_seq });
    sealed.max_by_key(|it| it.last_seq)
}

/// Makes every journalled click that is in no segment readable. Returns the files there are, oldest
/// first: those to be sealed, and those whose drop a crash has prevented.
fn replay(
    opened: &mut journal::Opened,
    archive: &Archive,
    sealed: Option<Sealed>,
) -> Result<BTreeSet<u64>, OpenError> {
    let mut files = BTreeSet::new();
    let mut failed = None;
    let replayed = opened.replay(
        |file| {
            files.insert(file);
            sealed.is_none_or(|sealed| sealed.file < file)
        },
        |file, seq, record| {
            if failed.is_none() {
                failed = archive.push_recents(file, std::iter::once((seq, record))).err();
            }
        },
    )?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    // A journal that begins anew would number its records as sealed ones are numbered.
    if let Some(sealed) = sealed.filter(|sealed| sealed.last_seq >= replayed.next_seq) {
        return Err(OpenError::JournalBehind { last_sealed: sealed.last_seq, next_seq: replayed.next_seq });
    }
    if let Some(torn) = &replayed.torn {
        tracing::warn!(
            file = torn.file,
            offset = torn.offset,
            bytes = torn.bytes,
            "cut off an unfinished write at the journal's end; nothing in it was ever acknowledged"
        );
    }
    for file in &replayed.missing {
        tracing::error!(file, "a journal file is missing; clicks in it that were not sealed are lost");
    }
    let clicks: u64 = replayed.files.iter().map(|it| it.records).sum();
    tracing::info!(files = replayed.files.len(), clicks, "replayed the journal");
    Ok(files)
}
