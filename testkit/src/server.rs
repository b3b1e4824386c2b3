//! The real server, in this process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use app::{Chance as _, Clock as _, KeyTerms, create_key};
use crumb::chance::SystemChance;
use crumb::config::{Config, Overrides};
use crumb::wiring::{self, Running};
use domain::access::{Grant, Scope};
use domain::network_change::CreatePostback;
use domain::postback::{FireOn, Owner, Postback};
use domain::tokens::UrlTemplate;
use tempfile::TempDir;

use crate::{Client, ManualClock, Sample};

/// When a test begins, unless it says otherwise.
const BEGIN: &str = "2026-06-19T14:30:00Z";

/// A running server with its folder, clock, an admin's client and a sample network.
pub struct TestServer {
    /// Moves its time.
    pub clock: Arc<ManualClock>,
    /// An admin's client.
    pub client: Client,
    /// A small network to begin with.
    pub sample: Sample,
    config: Config,
    folder: TempDir,
    admin_key: String,
    running: Option<Running>,
}

impl TestServer {
    /// Starts a server with the default settings.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// Starts a server with settings of its own.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let overrides = Overrides { data: Some(folder.path().to_owned()), ..Overrides::default() };
        let mut config = Config::load(&overrides).expect("the defaults are valid");
        config.server.listen = "127.0.0.1:0".parse().expect("an address");
        config.server.workers = 1;
        config.journal.file_mib = 1;
        config.journal.pending_mib = 1;
        change(&mut config);
        let clock = Arc::new(ManualClock::at(BEGIN.parse().expect("a time")));
        let running = run(&config, &clock);
        let admin_key = make_key(&config, KeyTerms::of("admin", Grant::of(Scope::Admin)), &clock);
        let client = Client::new(format!("http://{}", running.address), admin_key.clone());
        let sample = Sample::make(&client);
        Self { clock, client, sample, config, folder, admin_key, running: Some(running) }
    }

    /// Stops the server and starts it again on the same folder.
    pub fn restart(&mut self) {
        self.restart_with(|_| {});
    }

    /// Stops the server and starts it again on the same folder with other settings.
    pub fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        if let Some(running) = self.running.take() {
            running.stop();
        }
        let running = run(&self.config, &self.clock);
        self.client = Client::new(format!("http://{}", running.address), self.admin_key.clone());
        self.running = Some(running);
    }

    /// Where it listens for HTTPS, when its settings say so.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.running.as_ref().and_then(|running| running.tls_address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("it runs until dropped").address
    }

    /// Fails the test when the books are not right.
    pub fn verify(&self) {
        let folder = self.config.existing_folder().expect("a data folder");
        let ledger = self.config.ledger(&folder).open().expect("a ledger");
        let mut findings = Vec::new();
        ledger.verify(&mut |finding| findings.push(finding)).expect("verified");
        assert!(findings.is_empty(), "{findings:?}");
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client with a new key, made as the command line makes it.
    pub fn client_with(&self, name: &str, grant: Grant) -> Client {
        self.client.with_key(&make_key(&self.config, KeyTerms::of(name, grant), &self.clock))
    }

    /// A client with a new key that works from these ranges of addresses only.
    pub fn client_from(&self, name: &str, grant: Grant, ranges: &[&str]) -> Client {
        let addresses = ranges.iter().map(|range| range.parse().expect("a range")).collect();
        let terms = KeyTerms { name, grant, addresses };
        self.client.with_key(&make_key(&self.config, terms, &self.clock))
    }

    /// Creates a postback of the sample's affiliate that is told of everything at once, but for what `change`
    /// says, and has the server know it.
    pub fn create_postback(&self, change: impl FnOnce(&mut CreatePostback)) -> Postback {
        let owner = Owner::Affiliate(self.sample.affiliate_id.parse().expect("a number"));
        let url = UrlTemplate::parse_called("https://partner.example/?id={click_id}").expect("a url");
        let mut create = CreatePostback { fire_on: FireOn::All, ..CreatePostback::new(owner, url) };
        change(&mut create);
        let folder = self.config.existing_folder().expect("a data folder");
        let ledger = self.config.ledger(&folder).open().expect("a ledger");
        let postback = ledger.create_postback(create, self.clock.now()).expect("made").expect("accepted");
        // Any change has the server look at the network anew.
        let any = [("affiliate_id", &*self.sample.affiliate_id), ("affiliate_status", "active")];
        self.client.post("update_affiliate", &any).success();
        postback
    }

    /// Records a conversion for a fresh click and returns its number.
    pub fn convert(&self, unique_id: &str) -> u64 {
        let click = self.client.click(&self.sample.link());
        let params = [("click_id", &*click), ("offer_id", &*self.sample.offer_id), ("unique_id", unique_id)];
        let recorded = self.client.get("conversion", &params).success();
        recorded["conversion"]["conversion_id"].as_u64().expect("a number")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

fn run(config: &Config, clock: &Arc<ManualClock>) -> Running {
    let clock = Arc::clone(clock);
    wiring::start(config, clock, Arc::new(SystemChance), false).expect("the server starts")
}

fn make_key(config: &Config, terms: KeyTerms<'_>, clock: &ManualClock) -> String {
    let folder = config.existing_folder().expect("a data folder");
    let ledger = config.ledger(&folder).open().expect("a ledger");
    let random = std::array::from_fn(|_| SystemChance.draw());
    create_key(&*ledger, terms, random, clock.now()).expect("a key").secret
}
