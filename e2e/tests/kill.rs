//! `kill -9` at arbitrary moments, many times over: what was answered is there afterwards, exactly once.
//! `KILL_ROUNDS` says how many times, `KILL_SEED` at which moments.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use e2e::{Chance, Connection, Network, Server, click_pages, conversion_pages};

/// How often the server is killed where nothing else is said.
const ROUNDS: u64 = 200;
/// Every so many rounds all is compared; after each of the others, counts and some answers are.
const ROUNDS_PER_LOOK: u64 = 20;
const WORKERS: usize = 6;
/// Every so many clicks one converts.
const CLICKS_PER_CONVERSION: usize = 3;
/// So many clicks and conversions of a round are asked for one by one after it.
const ASKED_AGAIN: usize = 10;
/// At most 2 to this power answers are waited for before the kill.
const ANSWERS_POWER: u64 = 13;
/// Longer than a start with its replay takes, and a stop.
const LIFECYCLE_US: u64 = 30_000;
/// The start of all that there is, in whole years.
const BEGINNING: &str = "2020-01-01";

/// When the server is killed.
#[derive(Clone, Copy)]
enum Moment {
    /// While it starts, maybe before it listens.
    Starting(Duration),
    /// After so many answers, with the next ones under way and files being sealed.
    Answering(u64),
    /// After so many answers, while it stops because it was asked to.
    Stopping(u64, Duration),
}

impl Moment {
    fn any(chance: &mut Chance) -> Self {
        match chance.below(6) {
            0 | 1 => Self::Starting(Duration::from_micros(chance.below(LIFECYCLE_US))),
            2 => Self::Stopping(
                chance.of_any_size(ANSWERS_POWER),
                Duration::from_micros(chance.below(LIFECYCLE_US)),
            ),
            _ => Self::Answering(chance.of_any_size(ANSWERS_POWER)),
        }
    }
}

/// What was answered, over all rounds.
#[derive(Default)]
struct Answered {
    /// In the order of the answers.
    clicks: Vec<String>,
    /// Conversion ids by unique id.
    conversions: BTreeMap<String, u64>,
    /// Calls since the last kill: unique id and click.
    converted: Vec<(String, String)>,
    /// Calls whose answer never came: unique id and click.
    unheard: Vec<(String, String)>,
}

/// A visitor and a shop, until the server is gone. Tells after every answer.
struct Worker<'w> {
    name: String,
    address: SocketAddr,
    network: &'w Network,
    key: String,
    /// Long ones fill journal files sooner, so that some are being sealed at any moment.
    headers: String,
    answered: &'w Mutex<Answered>,
    tell: Sender<()>,
}

impl Worker<'_> {
    fn run(self) -> std::io::Result<()> {
        let mut connection = Connection::open(self.address)?;
        for number in 1.. {
            let link = format!("{}&s1={}-{number}", self.network.link, self.name);
            let answer = connection.request("GET", &link, &self.headers)?;
            assert_eq!(answer.status, 302);
            let click_id = answer.click_id().expect("the landing page is told the click id");
            self.heard(|answered| answered.clicks.push(click_id.clone()));
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
                self.heard(|answered| {
                    answered.converted.push((unique_id.clone(), click_id));
                    assert_eq!(answered.conversions.insert(unique_id, id), None);
                });
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

/// A server that is killed again and again, and all that was ever answered or seen.
struct Trial {
    server: Server,
    network: Network,
    answered: Mutex<Answered>,
    /// Every click a list has shown, and the date of the last.
    seen: BTreeSet<String>,
    seen_until: String,
    /// How many clicks there were after the last kill.
    counted: u64,
}

impl Trial {
    fn start() -> Self {
        let server = Server::start_with(&[
            ("JOURNAL__FILE_MIB", "1"),
            ("JOURNAL__PENDING_MIB", "1"),
            ("ARCHIVE__SEAL_AFTER_SECONDS", "1"),
            ("LOG__LEVEL", "warn"),
        ]);
        let network = Network::make(&server.api());
        Self {
            server,
            network,
            answered: Mutex::default(),
            seen: BTreeSet::new(),
            seen_until: BEGINNING.to_owned(),
            counted: 0,
        }
    }

    fn answered(&mut self) -> &mut Answered {
        self.answered.get_mut().expect("no worker panics")
    }

    /// Kills the server at that moment and starts it again.
    fn round(&mut self, round: u64, moment: Moment) {
        let answered_before = self.answered().clicks.len();
        self.answered().converted.clear();
        match moment {
            Moment::Starting(after) => {
                self.server.kill();
                self.server.start_and_kill(after);
            }
            Moment::Answering(answers) => self.load(round, answers, Server::kill),
            Moment::Stopping(answers, after) => self.load(round, answers, |server| {
                server.process().ask_to_end();
                std::thread::park_timeout(after);
                server.kill();
            }),
        }
        self.server.start_again();
        self.ask_again();
        self.count(answered_before);
        self.look_at_some(answered_before);
    }

    /// Has the workers click and convert, and ends the server after so many answers.
    fn load(&mut self, round: u64, answers: u64, end: impl FnOnce(&mut Server)) {
        let (tell, told) = channel();
        let (address, key) = (self.server.address(), self.server.api().key().to_owned());
        std::thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (name, key, tell) = (format!("r{round}w{worker}"), key.clone(), tell.clone());
                let headers =
                    format!("User-Agent: {}\r\nReferer: {}\r\n", "u".repeat(1000), "r".repeat(2000));
                let headers = if worker % 2 == 0 { headers } else { String::new() };
                let (network, answered) = (&self.network, &self.answered);
                let worker = Worker { name, address, network, key, headers, answered, tell };
                // The server's end is the worker's end.
                scope.spawn(move || worker.run().expect_err("the server was killed"));
            }
            drop(tell);
            for _ in 0..answers {
                told.recv().expect("the workers work");
            }
            end(&mut self.server);
        });
    }

    /// Whoever heard no answer asks again, and so do some who did: it is one conversion, whether or not it had
    /// been recorded.
    fn ask_again(&mut self) {
        let api = self.server.api();
        let network = self.network.clone();
        let convert = |unique_id: &str, click_id: &str| {
            let body = api.get(&call(&network, click_id, unique_id)).success();
            body["conversion"]["conversion_id"].as_u64().expect("a number")
        };
        let answered = self.answered();
        for (unique_id, click_id) in answered.converted.iter().rev().take(ASKED_AGAIN) {
            assert_eq!(answered.conversions[unique_id], convert(unique_id, click_id), "{unique_id}");
        }
        for (unique_id, click_id) in std::mem::take(&mut answered.unheard) {
            let id = convert(&unique_id, &click_id);
            assert_eq!(answered.conversions.insert(unique_id, id), None);
        }
    }

    /// Every answer of the round has become a click, and nothing else has but what was never answered.
    fn count(&mut self, answered_before: usize) {
        let question = format!("click.json?start_date={BEGINNING}&end_date=2099-01-01&row_limit=1");
        let body = self.server.api().get(&question).success();
        let counted = body["response"]["total_rows"].as_u64().expect("a number");
        let at_least = self.counted + (self.answered().clicks.len() - answered_before) as u64;
        let at_most = at_least + WORKERS as u64;
        assert!((at_least..=at_most).contains(&counted), "{counted} clicks, not {at_least} to {at_most}");
        self.counted = counted;
    }

    fn look_at_some(&mut self, answered_before: usize) {
        let api = self.server.api();
        let clicks = &self.answered().clicks[answered_before..];
        let (first, last) = (clicks.iter().take(ASKED_AGAIN), clicks.iter().rev().take(ASKED_AGAIN));
        first.chain(last).for_each(|id| _ = api.click(id));
    }

    /// Compares all that has come since the last time.
    fn look_at_all(&mut self) {
        let api = self.server.api();
        let since = format!("start_date={}&end_date=2099-01-01", self.seen_until.replace(' ', "T"));
        let clicks = click_pages(&api, &since, 10_000);
        let text = |click: &serde_json::Value, name: &str| click[name].as_str().expect("a text").to_owned();
        self.seen_until = clicks.last().map_or_else(|| self.seen_until.clone(), |it| text(it, "click_date"));
        self.seen.extend(clicks.iter().map(|click| text(click, "click_id")));
        assert_eq!(self.counted, self.seen.len() as u64, "the count and the list agree");
        let answered = self.answered.get_mut().expect("no worker panics");
        let ids: BTreeSet<_> = answered.clicks.iter().collect();
        assert_eq!(ids.len(), answered.clicks.len(), "no id was given twice");
        let lost: Vec<_> = ids.into_iter().filter(|id| !self.seen.contains(*id)).collect();
        assert!(lost.is_empty(), "{} clicks are lost: {lost:?}", lost.len());

        let mut found = BTreeMap::new();
        for conversion in conversion_pages(&api, &since) {
            let id = conversion["conversion_id"].as_u64().expect("a number");
            let unique_id = text(&conversion, "unique_id");
            assert_eq!(found.insert(unique_id.clone(), id), None, "{unique_id} is there twice");
            assert_eq!(answered.conversions.get(&unique_id), Some(&id), "{unique_id}");
        }
        if since.contains(BEGINNING) {
            assert_eq!(found, answered.conversions);
            let converted = clicks.iter().filter(|click| click["converted"] == true).count();
            assert_eq!(converted, found.len(), "a conversion and its click agree");
        }
        let verified = self.server.command(&["verify"]);
        assert_eq!(verified.code, Some(0), "{verified:?}");
    }
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().expect("a text");
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn what_was_answered_survives_every_kill_exactly_once() {
    let rounds = number("KILL_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("KILL_SEED").unwrap_or_else(|| RandomState::new().hash_one("kill"));
    #[expect(clippy::print_stderr, reason = "who repeats a failure needs it")]
    {
        eprintln!("{rounds} rounds; the moments are those of KILL_SEED={seed}");
    }
    let mut chance = Chance::new(seed);
    let mut trial = Trial::start();
    for round in 1..=rounds {
        trial.round(round, Moment::any(&mut chance));
        if round % ROUNDS_PER_LOOK == 0 {
            trial.look_at_all();
        }
    }
    BEGINNING.clone_into(&mut trial.seen_until);
    trial.look_at_all();
    let (recent, all) = (trial.server.metric("crumb_recent_clicks"), trial.answered().clicks.len() as u64);
    assert!(recent < all / 2, "hardly anything was sealed: {recent} of {all} clicks are in no segment");
    let stopped = trial.server.stop();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    let check = trial.server.command(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
}
