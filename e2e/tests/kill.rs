//! `kill -9` under load: what was answered is there afterwards, exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use e2e::{Client, Connection, Network, Server, click_pages, conversion_pages};

/// After how many answers each round's server is killed: at once, early, and while files are sealed.
const ROUNDS: [usize; 10] = [1, 5000, 40, 3400, 333, 9000, 7, 6200, 900, 4000];
const WORKERS: usize = 6;
/// Every so many clicks one converts.
const CLICKS_PER_CONVERSION: usize = 3;
/// Every so many clicks, one of the last round is also looked up by its id.
const CLICKS_PER_LOOK: usize = 10;
/// All that there is, in whole years.
const ALWAYS: &str = "start_date=2020-01-01&end_date=2099-01-01";

/// What was answered, over all rounds.
#[derive(Default)]
struct Answered {
    clicks: BTreeSet<String>,
    /// Conversion ids by unique id.
    conversions: BTreeMap<String, u64>,
    /// Calls whose answer never came: unique id and click.
    unheard: Vec<(String, String)>,
}

/// A visitor and a shop, until the server is gone. Tells after every answer.
struct Worker<'w> {
    name: String,
    address: SocketAddr,
    network: &'w Network,
    key: String,
    answered: &'w Mutex<Answered>,
    tell: Sender<()>,
}

impl Worker<'_> {
    fn run(self) -> std::io::Result<()> {
        let mut connection = Connection::open(self.address)?;
        for number in 1.. {
            let answer = connection.get(&format!("{}&s1={}-{number}", self.network.link, self.name))?;
            assert_eq!(answer.status, 302);
            let click_id = answer.click_id().expect("the landing page is told the click id");
            self.heard(|answered| assert!(answered.clicks.insert(click_id.clone()), "an id twice"));
            if number % CLICKS_PER_CONVERSION == 0 {
                self.convert(&mut connection, number, click_id)?;
            }
        }
        Ok(())
    }

    fn convert(&self, connection: &mut Connection, number: usize, click_id: String) -> std::io::Result<()> {
        let unique_id = format!("{}-{number}", self.name);
        let call = call(self.network, &click_id, &unique_id);
        let key = format!("X-Api-Key: {}\r\n", self.key);
        match connection.request("GET", &format!("/api/2/{call}"), &key) {
            Ok(answer) => {
                let id = answer.success()["conversion"]["conversion_id"].as_u64().expect("a number");
                self.heard(|answered| assert_eq!(answered.conversions.insert(unique_id, id), None));
                Ok(())
            }
            Err(gone) => {
                self.answered.lock().expect("no worker panics").unheard.push((unique_id, click_id));
                Err(gone)
            }
        }
    }

    fn heard(&self, note: impl FnOnce(&mut Answered)) {
        note(&mut self.answered.lock().expect("no worker panics"));
        // Once enough was heard, nobody listens.
        let _ = self.tell.send(());
    }
}

fn call(network: &Network, click_id: &str, unique_id: &str) -> String {
    format!("conversion.json?click_id={click_id}&offer_id={}&unique_id={unique_id}", network.offer_id)
}

/// Has the workers click and convert, and kills the server after so many answers.
fn load_and_kill(server: &mut Server, network: &Network, round: usize, answered: &Mutex<Answered>) {
    let (tell, told) = channel();
    let (address, key) = (server.address(), server.api().key().to_owned());
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (name, key, tell) = (format!("r{round}w{worker}"), key.clone(), tell.clone());
            let worker = Worker { name, address, network, key, answered, tell };
            // The server's end is the worker's end.
            scope.spawn(move || worker.run().expect_err("the server was killed"));
        }
        drop(tell);
        for _ in 0..ROUNDS[round] {
            told.recv().expect("the workers work");
        }
        server.kill();
    });
}

fn everything_answered_is_there_exactly_once(api: &Client, answered: &Answered) {
    let clicks = click_pages(api, ALWAYS, 10_000);
    let ids: BTreeSet<_> = clicks.iter().map(|click| click["click_id"].as_str().expect("an id")).collect();
    let lost: Vec<_> = answered.clicks.iter().filter(|id| !ids.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "{} clicks are lost: {lost:?}", lost.len());
    for id in answered.clicks.iter().rev().step_by(CLICKS_PER_LOOK).take(100) {
        api.click(id);
    }

    let mut found = BTreeMap::new();
    for conversion in conversion_pages(api, ALWAYS) {
        let unique_id = conversion["unique_id"].as_str().expect("a text").to_owned();
        let id = conversion["conversion_id"].as_u64().expect("a number");
        assert_eq!(found.insert(unique_id.clone(), id), None, "{unique_id} is there twice");
    }
    for (unique_id, id) in &answered.conversions {
        assert_eq!(found.get(unique_id), Some(id), "{unique_id}");
    }
    let converted = clicks.iter().filter(|click| click["converted"] == true).count();
    assert_eq!(converted, found.len(), "a conversion and its click agree");
}

#[test]
fn what_was_answered_survives_ten_kills_exactly_once() {
    let settings = [
        ("JOURNAL__FILE_MIB", "1"),
        ("JOURNAL__PENDING_MIB", "1"),
        ("ARCHIVE__SEAL_AFTER_SECONDS", "1"),
        ("LOG__LEVEL", "warn"),
    ];
    let mut server = Server::start_with(&settings);
    let network = Network::make(&server.api());
    let answered = Mutex::new(Answered::default());
    for round in 0..ROUNDS.len() {
        load_and_kill(&mut server, &network, round, &answered);
        server.start_again();
        let mut answered = answered.lock().expect("no worker panics");
        // Whoever heard no answer asks again, and it is one conversion whether or not it had been recorded.
        for (unique_id, click_id) in std::mem::take(&mut answered.unheard) {
            let body = server.api().get(&call(&network, &click_id, &unique_id)).success();
            let id = body["conversion"]["conversion_id"].as_u64().expect("a number");
            assert_eq!(answered.conversions.insert(unique_id, id), None);
        }
        everything_answered_is_there_exactly_once(&server.api(), &answered);
    }
    assert!(
        std::fs::read_dir(server.data().join("segments")).expect("a folder").count() > 2,
        "nothing was sealed"
    );
    let stopped = server.stop();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    let check = server.command(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
}
