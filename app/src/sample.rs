//! What tests of a use case begin with: an empty product on a temporary folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::NodeNumber;
use domain::money::Currency;
use domain::privacy::AddressPolicy;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ledger::sqlite::SqliteLedger;
use tempfile::TempDir;

use crate::{App, Chance, Clock, Opened, Parts, PlaceFiles, Settings};

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
            throw_out: Duration::from_secs(3600),
            cookieless: Duration::ZERO,
            address_policy: AddressPolicy::Keep,
            recent_bytes_max: 1 << 20,
            conversions_waiting_max: 1,
            questions_max: 2,
        },
        clock: Arc::new(Still),
        chance: Arc::new(Still),
        ledger: Arc::new(SqliteLedger::open(&folder.join("ledger.sqlite")).expect("a ledger")),
        place_files: PlaceFiles::default(),
        journal: journal::Options {
            dir: folder.join("journal"),
            file_bytes: 1 << 16,
            pending_bytes_max: 1 << 14,
            spare_files_max: 1,
        },
        roll_after: Duration::from_secs(60),
    };
    crate::open(parts, &segments).expect("opens")
}
