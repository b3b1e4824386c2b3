//! What tests of a use case begin with: an empty product on a temporary folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::click::Click;
use domain::ids::{ClickId, NodeNumber, OfferId};
use domain::money::Currency;
use domain::privacy::AddressPolicy;
use domain::retry::RetrySchedule;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ledger::Location;
use tempfile::TempDir;

use crate::{App, Chance, Clock, Opened, Parts, PlaceFiles, Settings, UpkeepSettings};

/// A clock that stands still, and chance that never changes.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

impl Chance for Still {
    fn draw(&self) -> u64 {
        0
    }
}

/// A product without its background work, and its folder.
pub(crate) struct Sample {
    pub(crate) app: Arc<App>,
    _folder: TempDir,
}

pub(crate) fn open() -> Sample {
    let folder = tempfile::tempdir().expect("a folder");
    Sample { app: open_in(folder.path()).app, _folder: folder }
}

/// A product on a folder, with its background work for the caller to run.
pub(crate) fn open_in(folder: &Path) -> Opened {
    let segments = folder.join("segments");
    std::fs::create_dir_all(&segments).expect("a folder");
    let parts = Parts {
        settings: Settings {
            node: NodeNumber::new(1).expect("in range"),
            zone: TimeZone::UTC,
            zone_name: "UTC".to_owned(),
            currency: Currency::USD,
            global_redirect: None,
            throw_out_seconds: 3600,
            cookieless: Duration::ZERO,
            pixel_calls_per_second: 200,
            pixel_allow_list: Vec::new(),
            conversions_only_from: Vec::new(),
            address_policy: AddressPolicy::Keep,
            cube_cache_bytes: 1 << 20,
            recent_bytes_max: 1 << 20,
            conversions_waiting_max: 1,
            questions_max: 2,
            report_conversions_bytes: 1 << 20,
            outbound: outbound::Options::default(),
            retry_schedule: RetrySchedule(Vec::new()),
            delivery_workers: 4,
            workers_per_receiver: 2,
            receiver_calls_per_second: 0,
        },
        clock: Arc::new(Still),
        chance: Arc::new(Still),
        ledger: Location::file(folder.join("ledger.sqlite")).open().expect("a ledger"),
        place_files: PlaceFiles::default(),
        journal: journal::Options {
            dir: folder.join("journal"),
            file_bytes: 1 << 16,
            pending_bytes_max: 1 << 14,
            spare_files_max: 1,
        },
        roll_after: Duration::from_secs(60),
        upkeep: UpkeepSettings::default(),
    };
    crate::open(parts, &segments).expect("opens")
}

/// The visitor's user agent and address of [`click`], as text.
pub(crate) const VISITOR: [&str; 2] = ["Mozilla/5.0 (somebody's own)", "203.0.113.77"];

/// The `number`th click: ids grow with it.
pub(crate) fn click(number: u64) -> Click {
    let id = (u128::from(1_768_470_131_000 + number) << 80) | (0x7001 << 64) | (0b10 << 62);
    Click {
        offer_id: OfferId(1),
        user_agent: VISITOR[0].to_owned(),
        ip_address: VISITOR[1].parse().ok(),
        ..Click::blank(ClickId::from_bytes(id.to_be_bytes()))
    }
}

/// Appends the clicks to the journal, durably.
pub(crate) fn append(app: &App, clicks: impl Iterator<Item = Click>) {
    for click in clicks {
        let seq = app.journal.append(|bytes| archive::record::encode(&click, bytes)).expect("room");
        app.journal.wait(seq).expect("durable");
    }
}

/// A product with so many segments of so many clicks each, and its folder.
pub(crate) fn sealed(segments: u64, rows: u64) -> (Opened, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    for file in 0..segments {
        let Opened { app, sealer, .. } = open_in(folder.path());
        append(&app, (file * rows..(file + 1) * rows).map(click));
        app.journal.roll();
        sealer.run(&|| app.archive.recent_rows() == 0);
    }
    (open_in(folder.path()), folder)
}

/// How many files there are in a folder of the data folder.
pub(crate) fn files(folder: &TempDir, name: &str) -> usize {
    std::fs::read_dir(folder.path().join(name)).expect("there").count()
}
