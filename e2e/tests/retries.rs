//! Sales reported again and again, in any order, by many callers at once, while the server is killed: each is
//! one conversion, none is lost, and the sums are exact. `RETRIES` says how many calls.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use e2e::{Chance, Connection, Database, Network, Server, conversion_pages};

/// Calls where nothing else is said.
const CALLS: u64 = 12_000;
const CALLERS: u64 = 64;
/// Each sale is reported so often on average.
const CALLS_PER_SALE: u64 = 10;
/// The sales are of so many clicks.
const CLICKS: usize = 500;
/// The server is killed so often.
const KILLS: u64 = 4;
/// Rows that are compared one by one; of more only counts and sums are.
const COMPARED_MAX: u64 = 50_000;

/// All that callers know and share.
struct Trial {
    clicks: Vec<String>,
    offer_id: u64,
    key: String,
    sales: u64,
    /// Calls that were answered.
    answered: AtomicU64,
    /// The conversion each sale was answered with.
    conversions: Mutex<BTreeMap<u64, u64>>,
    is_over: AtomicBool,
}

/// A sale's own payout, in ten-thousandths, so that a wrong sum names it.
fn payout(sale: u64) -> u64 {
    10_000 + sale
}

fn money(steps: u64) -> String {
    format!("{}.{:04}", steps / 10_000, steps % 10_000)
}

/// An amount as it prints, in ten-thousandths.
fn steps(amount: &str) -> u64 {
    let (units, decimals) = amount.split_once('.').expect("an amount with decimals");
    format!("{units}{decimals:0<4}").parse().expect("an amount")
}

impl Trial {
    /// Reports sales by chance until the server is gone or all is over.
    fn report(&self, address: SocketAddr, mut chance: Chance) -> std::io::Result<()> {
        let mut connection = Connection::open(address)?;
        let key = format!("X-Api-Key: {}\r\n", self.key);
        while !self.is_over.load(Ordering::Relaxed) {
            let sale = chance.below(self.sales);
            let id = self.ask(&mut connection, &key, sale)?;
            self.heard(sale, id);
        }
        Ok(())
    }

    fn ask(&self, connection: &mut Connection, key: &str, sale: u64) -> std::io::Result<u64> {
        let click = &self.clicks[usize::try_from(sale).expect("small") % self.clicks.len()];
        let (offer_id, payout) = (self.offer_id, money(payout(sale)));
        let call = format!(
            "/api/2/conversion.json?click_id={click}&offer_id={offer_id}&unique_id=ORD-{sale}&payout={payout}"
        );
        let answer = connection.request("GET", &call, key)?.success();
        Ok(answer["conversion"]["conversion_id"].as_u64().expect("a number"))
    }

    fn heard(&self, sale: u64, id: u64) {
        let first = *self.conversions.lock().expect("no caller panics").entry(sale).or_insert(id);
        assert_eq!(first, id, "sale {sale} was answered with two conversions");
        self.answered.fetch_add(1, Ordering::Relaxed);
    }
}

fn try_on(settings: &[(&'static str, &'static str)]) {
    let calls = std::env::var_os("RETRIES")
        .map_or(CALLS, |text| text.to_string_lossy().parse().expect("RETRIES is a number of calls"));
    let mut server = Server::start_with(settings);
    let network = Network::make(&server.api());
    let trial = Trial {
        clicks: (0..CLICKS).map(|_| server.click(&network.link)).collect(),
        offer_id: network.offer_id,
        key: server.api().key().to_owned(),
        sales: calls / CALLS_PER_SALE,
        answered: AtomicU64::new(0),
        conversions: Mutex::default(),
        is_over: AtomicBool::new(false),
    };
    for round in 0..=KILLS {
        let enough = calls * (round + 1) / (KILLS + 1);
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let (trial, address) = (&trial, server.address());
                    scope.spawn(move || trial.report(address, Chance::new(round * CALLERS + caller)))
                })
                .collect();
            e2e::until("enough calls are answered", || {
                (trial.answered.load(Ordering::Relaxed) >= enough).then_some(())
            });
            if round < KILLS {
                server.kill();
            } else {
                trial.is_over.store(true, Ordering::Relaxed);
            }
            let ended = callers.into_iter().map(|it| it.join().expect("no caller panics"));
            let gone = ended.filter(Result::is_err).count();
            assert!(round < KILLS || gone == 0, "{gone} callers were not answered");
        });
        if round < KILLS {
            server.start_again();
        }
    }
    compare(&server, &network, &trial);
    let verified = server.command(&["verify"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

/// What is on record against what was answered. A sale that nobody was answered on may be there or not: it is
/// reported once more first.
fn compare(server: &Server, network: &Network, trial: &Trial) {
    let mut connection = server.connect();
    let key = format!("X-Api-Key: {}\r\n", trial.key);
    for sale in 0..trial.sales {
        let known = trial.conversions.lock().expect("no caller panics").contains_key(&sale);
        if !known {
            let id = trial.ask(&mut connection, &key, sale).expect("an answer");
            trial.heard(sale, id);
        }
    }
    let api = server.api();
    let always = "start_date=2020-01-01&end_date=2099-01-01";
    let listed = api.get(&format!("conversions.json?{always}&row_limit=1")).success();
    assert_eq!(listed["total_rows"].as_u64(), Some(trial.sales));
    let owed: u64 = (0..trial.sales).map(payout).sum();
    let balances = api.get(&format!("balances.json?affiliate_id={}", network.affiliate_id)).success();
    let balance = balances["balances"][0]["balance"].to_string();
    assert_eq!(steps(&balance), owed, "{balance} is owed, not {}", money(owed));
    if trial.sales > COMPARED_MAX {
        return;
    }
    let answered = trial.conversions.lock().expect("no caller panics");
    let mut found = BTreeMap::new();
    for row in conversion_pages(&api, always) {
        let unique_id = row["unique_id"].as_str().expect("a text");
        let sale: u64 = unique_id.trim_start_matches("ORD-").parse().expect("a sale's number");
        let id = row["conversion_id"].as_u64().expect("a number");
        assert_eq!(found.insert(sale, id), None, "{unique_id} is there twice");
        assert_eq!(steps(&row["payout"].to_string()), payout(sale), "{unique_id}");
    }
    assert_eq!(found, *answered);
}

#[test]
fn a_sale_reported_again_and_again_is_one_conversion_on_sqlite() {
    try_on(&[]);
}

#[test]
fn a_sale_reported_again_and_again_is_one_conversion_on_postgresql() {
    let database = Database::create();
    try_on(&[("DATABASE__URL", database.url())]);
}
