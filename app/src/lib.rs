//! What Crumb does. A use case is a file named for what it does; each asks first whether its caller
//! may. Blocking parts (`journal`, `archive`, `ledger`) become async here and nowhere else.

mod accept_reconciliation;
mod adjust_conversion;
mod adjust_conversions;
mod administer;
mod agents;
mod approve;
mod authenticate;
mod chance;
mod click_caps;
mod clock;
mod close_statement;
mod compact;
mod compose;
mod conversion_writer;
mod cubes;
mod delimited;
mod deliver;
mod erase;
mod explain;
mod export;
mod facts;
mod failure;
mod fingerprints;
mod import_columns;
mod import_conversions;
mod import_pieces;
mod impressions;
mod keys;
mod lane;
mod list_adjustments;
mod list_balances;
mod list_batches;
mod list_changes;
mod list_clicks;
mod list_conversions;
mod list_deliveries;
mod list_entries;
mod list_network;
mod list_postbacks;
mod list_prices;
mod list_statements;
pub mod metrics;
mod network;
mod nodes;
mod open;
mod parties;
mod pixel_limit;
mod places;
mod read_reconciliation;
mod read_statement;
mod reconcile;
mod record_click;
mod record_conversion;
mod record_conversions;
mod record_pixel;
mod record_server_click;
mod retain;
mod run_report;
#[cfg(test)]
mod sample;
mod seal;
mod sequence;
mod set_postbacks;
mod set_prices;
mod sink;
mod suppress;
mod test_postback;
mod undo_batch;
mod upkeep;
mod verify;
mod visitors;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use archive::Archive;
use domain::ids::NodeNumber;
use domain::money::Currency;
use domain::network::Network;
use domain::privacy::AddressPolicy;
use domain::retry::RetrySchedule;
use domain::tokens::UrlTemplate;
use ipnet::IpNet;
use jiff::tz::TimeZone;
use journal::Journal;
use ledger::{Key, KeyHash, Ledger};
use tokio::sync::Semaphore;

pub use accept_reconciliation::{AcceptReconciliation, AcceptReconciliationError, AcceptedReconciliation};
pub use adjust_conversion::{AdjustConversion, AdjustConversionError, AdjustedConversion, WhichConversion};
pub use adjust_conversions::{
    ADJUSTED_MAX, AdjustConversionsError, AdjustedMany, Foreseen, Left, Tally, Totals,
};
pub use administer::ChangeError;
pub use approve::Approver;
pub use chance::Chance;
pub use clock::Clock;
pub use close_statement::CloseStatementError;
pub use conversion_writer::ConversionWriter;
pub use deliver::Deliverer;
pub use explain::{
    Chapter, Explain, ExplainError, Explained, ExplainedAttempt, ExplainedConversion,
    ROWS_MAX as EXPLAIN_ROWS_MAX, Routing, RoutingStep,
};
pub use export::{Export, ExportError, ExportKind, ExportQuestion, Portion};
pub use failure::Failure;
pub use import_conversions::{
    ImportConversions, ImportError, Imported, ImportedRow, ROWS_MAX as IMPORT_ROWS_MAX, RowOutcome, RowReason,
};
pub use import_pieces::{Piece, pieces};
pub use impressions::ImpressionWriter;
pub use keys::{CreateKeyError, KeyTerms, NewKey, create_key};
pub use lane::Lane;
pub use ledger::{
    AdjustmentFilter, Batch, ChangeFilter, DeliveryFilter, EntryFilter, NotClosed, Page, ReconciliationRow,
    StatementFilter, StatementLine,
};
pub use list_adjustments::AdjustmentList;
pub use list_balances::{BalanceRow, ListBalances};
pub use list_changes::{ChangeList, ChangeRow, Since};
pub use list_clicks::{ClickList, ClickRow, ListClicks};
pub use list_conversions::{ConversionList, ConversionRow};
pub use list_deliveries::{DeliveryList, DeliveryRow, DeliveryStart, Replay};
pub use list_statements::{StatementList, StatementRow};
pub use nodes::own_segments;
pub use open::{OpenError, Opened, Parts, open};
pub use places::{PlaceFileError, PlaceFiles};
pub use read_reconciliation::{ReconciliationRows, ReconciliationView};
pub use read_statement::StatementLines;
pub use reconcile::{
    ColumnMap, DATE_TOLERANCE_HOURS_MAX, RECONCILED_MAX, Reconcile, ReconcileError, UPLOAD_BYTES_MAX, Upload,
};
pub use record_click::{NotSent, Remember, Sent, Visit};
pub use record_conversion::{RecordConversionError, RecordedConversion, SentCall};
pub use record_pixel::{HandedOut, PixelCall, RecordedPixel};
pub use record_server_click::{RecordClickError, ServerClick};
pub use run_report::{Report, ReportError, default_metrics};
pub use seal::Sealer;
pub use suppress::{BadValues, Suppressed};
pub use test_postback::{CalledTest, PostbackTest, TestPostback, TestPostbackError, TestedPostback};
pub use undo_batch::UndoBatchError;
pub use upkeep::{Upkeep, UpkeepSettings};
pub use verify::{Listener, Unchecked, Verified, Verify, VerifyError};
pub use visitors::{OFFER_COOKIE, VISITOR_COOKIE};

/// What the operator has set, as far as the use cases care.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which node this is.
    pub node: NodeNumber,
    /// The zone dates are read and printed in.
    pub zone: TimeZone,
    /// The IANA name of that zone.
    pub zone_name: String,
    /// The currency of a new offer that names none.
    pub currency: Currency,
    /// Where refused clicks go; none means the built-in page.
    pub global_redirect: Option<UrlTemplate>,
    /// The same visitor again within so many seconds is a duplicate, where the offer says nothing else.
    pub throw_out_seconds: u32,
    /// How long visitors without cookies are known by address and agent; zero means they are not.
    pub cookieless: Duration,
    /// Calls of `p.ashx` that one address may make a second; 0 for no limit.
    pub pixel_calls_per_second: u32,
    /// Addresses to which that limit does not apply.
    pub pixel_allow_list: Vec<IpNet>,
    /// The only addresses that may call `p.ashx`; none means all.
    pub conversions_only_from: Vec<IpNet>,
    /// How much of a visitor's address is kept.
    pub address_policy: AddressPolicy,
    /// Cubes kept in memory, in bytes; what does not fit is read for each report.
    pub cube_cache_bytes: u64,
    /// Recents kept in memory, in bytes; beyond that clicks wait (503) until some are sealed.
    pub recent_bytes_max: u64,
    /// Conversion calls that may wait for the ledger.
    pub conversions_waiting_max: usize,
    /// Questions answered at the same time; further ones wait for a moment, then are told to retry.
    pub questions_max: usize,
    /// Memory for conversions that reports have read, in bytes.
    pub report_conversions_bytes: u64,
    /// How strangers are called.
    pub outbound: outbound::Options,
    /// How long to wait after each failed try of a delivery.
    pub retry_schedule: RetrySchedule,
    /// Deliveries tried at the same time.
    pub delivery_workers: usize,
    /// Of those, to one receiver.
    pub workers_per_receiver: u32,
    /// Calls a second to one receiver, where its postbacks say nothing else; 0 for no limit.
    pub receiver_calls_per_second: u32,
}

/// The running product, shared by every request.
pub struct App {
    settings: Settings,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    journal: Arc<Journal>,
    archive: Arc<Archive>,
    ledger: Arc<dyn Ledger>,
    places: Arc<places::Places>,
    agents: agents::Agents,
    lanes: Arc<lane::Lanes>,
    sequence: Mutex<sequence::Sequence>,
    network: Arc<ArcSwap<Network>>,
    network_refresh: tokio::sync::Mutex<()>,
    keys: ArcSwap<HashMap<KeyHash, Key>>,
    keys_version: std::sync::atomic::AtomicU64,
    conversions: conversion_writer::Queue,
    facts: Arc<facts::Facts>,
    impressions: impressions::ImpressionCounter,
    questions: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
    imports: Arc<Semaphore>,
    reconciliations: Arc<Semaphore>,
    /// Where files are kept while they come.
    scratch: PathBuf,
    tests: Arc<Semaphore>,
    pixel_limit: pixel_limit::PixelLimit,
    device_search: Arc<Semaphore>,
    metrics: metrics::Metrics,
    stopping: AtomicBool,
}

impl App {
    /// What the operator has set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The counters.
    pub fn metrics(&self) -> &metrics::Metrics {
        &self.metrics
    }

    /// The network as it stands.
    pub fn network(&self) -> Arc<Network> {
        self.network.load_full()
    }

    /// The time, for what a surface itself must date.
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Whether clicks can be made durable, and will still be in a moment.
    pub fn is_healthy(&self) -> bool {
        self.journal.is_available() && !self.stopping.load(Ordering::Relaxed)
    }

    /// From now on the product calls itself unhealthy, so that nobody sends it more.
    pub fn announce_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}
