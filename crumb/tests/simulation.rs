//! Random sequences of all that touches money, on both databases, beside a model that is slow and obvious.
//! `SIMULATION_STEPS` says how long, `SIMULATION_SEED` which sequence.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crumb::config::{Config, DatabaseUrl, PrivateAddresses};
use outbound::AllowPrivate;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use testkit::{Answer, Client, Reaction, Received, Receiver, TestServer, until};

#[path = "../../ledger/tests/shared/schema.rs"]
mod schema;

/// Steps where nothing else is said.
const STEPS: u32 = 400;
/// Every so many steps all is compared.
const STEPS_PER_LOOK: u32 = 40;
const DAY_SECONDS: i64 = 86_400;
/// Where the test server's clock begins on its first day, in seconds.
const BEGIN_SECONDS: i64 = 14 * 3600 + 30 * 60;
/// As offers are made.
const SESSION_SECONDS: i64 = 720 * 3600;

struct Click {
    id: String,
    offer: usize,
    at: i64,
}

#[derive(Clone, PartialEq, Debug)]
struct Conversion {
    id: u64,
    click: usize,
    offer: usize,
    unique_id: String,
    /// The price, in cents, and what it was at recording.
    payout: i64,
    revenue: i64,
    first_payout: i64,
    first_revenue: i64,
    status: &'static str,
    recorded_at: i64,
    /// Its status and payout at recording, then after each change: what its affiliate is told.
    told: Vec<(&'static str, String)>,
}

impl Conversion {
    fn pays(&self) -> bool {
        matches!(self.status, "pending" | "approved")
    }

    /// It was recorded, or has changed.
    fn tell(&mut self) {
        self.told.push((self.status, money(self.worth().0)));
    }

    fn worth(&self) -> (i64, i64) {
        if self.pays() { (self.payout, self.revenue) } else { (0, 0) }
    }
}

struct Cap {
    id: String,
    limit: usize,
    refuses: bool,
    /// What each day has taken; a day is first counted when it is first asked about.
    taken: BTreeMap<i64, usize>,
}

struct Offer {
    id: String,
    link: String,
    is_active: bool,
    is_manual: bool,
    payout: i64,
    cap: Option<Cap>,
}

/// What a call is expected to be answered with.
#[derive(Debug)]
enum Expected {
    New { payout: i64, revenue: i64, status: &'static str },
    Same { conversion: usize, conflict: bool },
    Refused { status: u16, code: &'static str },
}

struct Call {
    click: usize,
    unique_id: String,
    payout: Option<i64>,
}

/// The server, and what it should know.
struct Simulation {
    server: TestServer,
    chance: StdRng,
    now: i64,
    offers: Vec<Offer>,
    clicks: Vec<Click>,
    conversions: Vec<Conversion>,
    made: u32,
    listener: Listener,
}

/// Whoever is told by postback, in a mood that changes.
struct Listener {
    receiver: Receiver,
    mood: Arc<AtomicU8>,
    /// The postback for what is recorded, and the one for what changes.
    recorded: u64,
    changed: u64,
}

const MOODS: u8 = 6;
const GOOD: u8 = 0;

impl Listener {
    fn start(server: &TestServer) -> Self {
        let mood = Arc::new(AtomicU8::new(GOOD));
        let reads = Arc::clone(&mood);
        let receiver = Receiver::reacting(move |_| match reads.load(Ordering::Relaxed) {
            1 => Reaction::Status(500),
            2 => Reaction::Hang,
            3 => Reaction::Close,
            4 => Reaction::Late(Duration::from_millis(200), 200),
            5 => Reaction::Answer(429, "Retry-After: 30\r\n".into(), "slowly".into()),
            _ => Reaction::Status(204),
        });
        let url = receiver.url("/?s={conversion_status}&p={payout}");
        let postback = |fire_on| {
            let params = [
                ("affiliate_id", &*server.sample.affiliate_id),
                ("offer_id", "0"),
                ("postback_url", &url),
                ("fire_on", fire_on),
            ];
            let made = server.client.post("affiliate_postback", &params).success();
            made["postback"]["postback_id"].as_u64().expect("a number")
        };
        Self { recorded: postback("conversion"), changed: postback("change"), receiver, mood }
    }
}

const REVENUE: i64 = 2200;

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

impl Simulation {
    fn new(server: TestServer, seed: u64) -> Self {
        let sample = server.sample.clone();
        let other = offer(&server.client, &sample.advertiser_id, &sample.affiliate_id);
        let own = Offer {
            id: sample.offer_id.clone(),
            link: sample.link(),
            is_active: true,
            is_manual: false,
            payout: 1800,
            cap: None,
        };
        let listener = Listener::start(&server);
        Self {
            listener,
            server,
            chance: StdRng::seed_from_u64(seed),
            now: BEGIN_SECONDS,
            offers: vec![own, other],
            clicks: Vec::new(),
            conversions: Vec::new(),
            made: 0,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.chance.random_range(0..bound)
    }

    fn client(&self) -> &Client {
        &self.server.client
    }

    fn step(&mut self) -> String {
        match self.below(100) {
            0..20 => self.click(),
            20..50 => self.convert_anew(),
            50..62 => self.repeat(),
            62..67 => self.same_transaction_of_another_click(),
            67..72 => self.convert_without_transaction(),
            72..86 => self.adjust(),
            86..90 => self.change_cap(),
            90..94 => self.change_offer(),
            94..97 => self.move_clock(),
            97 => self.change_mood(),
            _ => self.restart(),
        }
    }

    fn click(&mut self) -> String {
        let offer = self.below(2);
        if !self.offers[offer].is_active {
            return "a click on an offer that is paused is nobody's".into();
        }
        let id = self.client().click(&self.offers[offer].link);
        self.clicks.push(Click { id, offer, at: self.now });
        format!("click {} on offer {offer}", self.clicks.len() - 1)
    }

    fn any_click(&mut self) -> Option<usize> {
        // Mostly a late one: old clicks expire.
        let all = self.clicks.len();
        let late = all.min(20);
        (all > 0).then(|| all - 1 - self.below(late))
    }

    fn convert_anew(&mut self) -> String {
        let Some(click) = self.any_click() else { return "no click yet".into() };
        self.made += 1;
        let unique_id = format!("ORD-{}", self.made);
        // A payout of its own, so that a wrong sum names the culprit.
        let payout = (self.below(2) == 0).then(|| i64::from(self.made) * 100 + 7);
        self.call(&Call { click, unique_id, payout })
    }

    fn any_conversion(&mut self) -> Option<usize> {
        let all = self.conversions.len();
        (all > 0).then(|| self.below(all))
    }

    fn repeat(&mut self) -> String {
        let Some(at) = self.any_conversion() else { return "no conversion yet".into() };
        let Conversion { click, unique_id, .. } = self.conversions[at].clone();
        if unique_id.is_empty() {
            return "a call without a transaction is no repeat".into();
        }
        let payout = (self.below(3) == 0).then_some(123_456);
        self.call(&Call { click, unique_id, payout })
    }

    fn same_transaction_of_another_click(&mut self) -> String {
        let (Some(at), Some(click)) = (self.any_conversion(), self.any_click()) else {
            return "nothing yet".into();
        };
        let unique_id = self.conversions[at].unique_id.clone();
        self.call(&Call { click, unique_id, payout: None })
    }

    fn convert_without_transaction(&mut self) -> String {
        let Some(click) = self.any_click() else { return "no click yet".into() };
        self.call(&Call { click, unique_id: String::new(), payout: None })
    }

    /// Has the server and the model take a call, and compares what they say.
    fn call(&mut self, call: &Call) -> String {
        let offer = self.clicks[call.click].offer;
        let payout = call.payout.map(money);
        let mut params = vec![
            ("click_id", self.clicks[call.click].id.as_str()),
            ("offer_id", self.offers[offer].id.as_str()),
        ];
        if !call.unique_id.is_empty() {
            params.push(("unique_id", &call.unique_id));
        }
        params.extend(payout.as_ref().map(|payout| ("payout", payout.as_str())));
        let answer = self.client().get("conversion", &params);
        let expected = self.expect(call);
        let said = format!("{:?} of click {} pays {payout:?}: {expected:?}", call.unique_id, call.click);
        match expected {
            Expected::New { payout, revenue, status } => {
                let id = check(&answer, payout, revenue, status, &said);
                assert!(self.conversions.iter().all(|it| it.id != id), "{said}: {id} is another's");
                let mut conversion = Conversion {
                    id,
                    click: call.click,
                    offer,
                    unique_id: call.unique_id.clone(),
                    payout,
                    revenue,
                    first_payout: payout,
                    first_revenue: revenue,
                    status,
                    recorded_at: self.now,
                    told: Vec::new(),
                };
                conversion.tell();
                self.conversions.push(conversion);
            }
            Expected::Same { conversion, conflict } => {
                let first = &self.conversions[conversion];
                let (payout, revenue) = first.worth();
                assert_eq!(check(&answer, payout, revenue, first.status, &said), first.id, "{said}");
                assert_eq!(answer.json()["conversion"]["conflict"] == true, conflict, "{said}");
            }
            Expected::Refused { status, code } => {
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (status, code),
                    "{said}: {}",
                    answer.text
                );
            }
        }
        said
    }

    /// What the contract says of a call, in its order.
    fn expect(&mut self, call: &Call) -> Expected {
        let Click { offer, at, .. } = self.clicks[call.click];
        let refused = |status, code| Expected::Refused { status, code };
        let same = self
            .conversions
            .iter()
            .position(|it| it.offer == offer && !call.unique_id.is_empty() && it.unique_id == call.unique_id);
        if let Some(same) = same.filter(|it| self.conversions[*it].click == call.click) {
            let conflict = call.payout.is_some_and(|payout| payout != self.conversions[same].first_payout);
            return Expected::Same { conversion: same, conflict };
        }
        if !self.offers[offer].is_active {
            return refused(422, "offer_not_active");
        }
        if self.now - at > SESSION_SECONDS {
            return refused(422, "click_expired");
        }
        let has_converted = self.conversions.iter().any(|it| it.click == call.click);
        if same.is_some() || (call.unique_id.is_empty() && has_converted) {
            return refused(409, "duplicate_conversion");
        }
        let payout = call.payout.unwrap_or(self.offers[offer].payout);
        let is_manual = self.offers[offer].is_manual;
        let paid = if is_manual { "pending" } else { "approved" };
        let new = |status| {
            let status: &'static str = status;
            Expected::New { payout, revenue: REVENUE, status }
        };
        let day = self.now.div_euclid(DAY_SECONDS);
        let seen = self.conversions.iter().filter(|it| {
            it.offer == offer && it.recorded_at.div_euclid(DAY_SECONDS) == day && it.status != "ignored"
        });
        let seen = seen.count();
        let Some(cap) = &mut self.offers[offer].cap else { return new(paid) };
        let taken = cap.taken.entry(day).or_insert(seen);
        if *taken < cap.limit {
            *taken += 1;
            return new(paid);
        }
        if cap.refuses { refused(422, "cap_reached") } else { new("ignored") }
    }

    fn adjust(&mut self) -> String {
        let Some(at) = self.any_conversion() else { return "no conversion yet".into() };
        let id = self.conversions[at].id.to_string();
        let mut params = vec![("conversion_id", id.as_str())];
        let before = self.conversions[at].clone();
        let mut after = before.clone();
        let amount;
        if self.below(2) == 0 {
            let to = ["pending", "approved", "rejected", "reversed"][self.below(4)];
            params.push(("conversion_status", to));
            after.status = to;
        } else {
            let cents = i64::try_from(self.below(5000)).expect("small");
            amount = money(cents);
            params.push(("payout", &amount));
            after.payout = cents;
        }
        let answer = self.server.client.post("update_conversion", &params);
        let may = before.status == after.status
            || match before.status {
                "pending" => matches!(after.status, "approved" | "rejected"),
                "approved" => after.status != "approved",
                "rejected" | "reversed" => matches!(after.status, "pending" | "approved"),
                _ => false,
            };
        let said = format!("{params:?} of {before:?}");
        if may {
            let (payout, revenue) = after.worth();
            check(&answer, payout, revenue, after.status, &said);
            if after != before {
                after.tell();
            }
            self.conversions[at] = after;
        } else {
            assert_eq!((answer.status, answer.code().as_str()), (422, "status_not_allowed"), "{said}");
        }
        said
    }

    fn change_cap(&mut self) -> String {
        let offer = self.below(2);
        if let Some(cap) = self.offers[offer].cap.take() {
            if self.below(2) == 0 {
                let params = [("cap_id", cap.id.as_str()), ("cap_status", "deleted")];
                self.client().post("update_cap", &params).success();
                return format!("offer {offer} has no cap any more");
            }
            let limit = self.below(8);
            let params = [("cap_id", cap.id.as_str()), ("limit", &limit.to_string())];
            self.client().post("update_cap", &params).success();
            self.offers[offer].cap = Some(Cap { limit, ..cap });
            return format!("the cap of offer {offer} takes {limit}");
        }
        let (limit, refuses) = (self.below(8), self.below(2) == 0);
        let params = [
            ("offer_id", self.offers[offer].id.as_str()),
            ("cap_type", "conversion"),
            ("interval", "daily"),
            ("limit", &limit.to_string()),
            ("at_cap", if refuses { "refuse" } else { "neither" }),
        ];
        let id = self.client().post("cap", &params).success()["cap"]["cap_id"].to_string();
        self.offers[offer].cap = Some(Cap { id, limit, refuses, taken: BTreeMap::new() });
        format!("offer {offer} has a cap of {limit} a day, which refuses: {refuses}")
    }

    fn change_offer(&mut self) -> String {
        let offer = self.below(2);
        let Offer { id, is_active, is_manual, .. } = &self.offers[offer];
        let (id, is_active, is_manual) = (id.clone(), *is_active, *is_manual);
        let payout = 1000 + i64::try_from(self.below(2000)).expect("small");
        let (status, approval) = match self.below(3) {
            0 => (!is_active, is_manual),
            1 => (is_active, !is_manual),
            _ => (is_active, is_manual),
        };
        let params = [
            ("offer_id", id.as_str()),
            ("offer_status", if status { "active" } else { "paused" }),
            ("conversion_approval", if approval { "manual" } else { "auto" }),
            ("payout", &money(payout)),
        ];
        self.client().post("update_offer", &params).success();
        let offer = &mut self.offers[offer];
        (offer.is_active, offer.is_manual, offer.payout) = (status, approval, payout);
        format!("{params:?}")
    }

    fn move_clock(&mut self) -> String {
        let seconds = match self.below(10) {
            0 => 31 * DAY_SECONDS,
            1..4 => DAY_SECONDS,
            _ => i64::try_from(self.below(7200)).expect("small"),
        };
        self.server.clock.advance_seconds(seconds);
        self.now += seconds;
        format!("{seconds} seconds pass")
    }

    fn change_mood(&mut self) -> String {
        let mood = u8::try_from(self.below(MOODS.into())).expect("small");
        self.listener.mood.store(mood, Ordering::Relaxed);
        format!("the receiver's mood is {mood}")
    }

    fn restart(&mut self) -> String {
        self.server.restart();
        self.look();
        "the server starts again".into()
    }

    /// Has all be delivered to a receiver that takes everything, and compares what it was told.
    fn look_at_postbacks(&mut self) {
        self.listener.mood.store(GOOD, Ordering::Relaxed);
        let is_all_told = |client: &Client| {
            let due = [("delivery_status", "due"), ("row_limit", "1")];
            client.get("postback_deliveries", &due).success()["total_rows"] == 0
        };
        until("all is delivered", || {
            // What has failed is tried again when its time has come.
            self.server.clock.advance_seconds(60);
            self.now += 60;
            is_all_told(&self.server.client).then_some(())
        });
        let Listener { recorded, changed, ref receiver, .. } = self.listener;
        let mut expected = BTreeMap::new();
        for it in &self.conversions {
            for (booking, (status, payout)) in it.told.iter().enumerate() {
                let postback = if booking == 0 { recorded } else { changed };
                if (booking, *status) != (0, "ignored") {
                    expected.insert(
                        format!("{}-{booking}-{postback}", it.id),
                        ((*status).to_owned(), payout.clone()),
                    );
                }
            }
        }
        let value = |it: &Received, name: &str| it.query(name).expect("it is told").to_owned();
        let received = receiver.received();
        let told: BTreeMap<_, _> = received
            .iter()
            .map(|it| (it.delivery_id().to_owned(), (value(it, "s"), value(it, "p"))))
            .collect();
        assert_eq!(told, expected);
    }

    /// Compares everything there is.
    fn look(&mut self) {
        self.look_at_postbacks();
        let mut found = BTreeMap::new();
        let mut cursor = String::new();
        let always = [("start_date", "2020-01-01"), ("end_date", "2099-01-01"), ("row_limit", "50")];
        loop {
            let go_on = [("cursor", cursor.as_str()), ("row_limit", "50")];
            let params = if cursor.is_empty() { &always[..] } else { &go_on[..] };
            let page = self.client().get("conversions", params).success();
            assert_eq!(page["total_rows"], self.conversions.len());
            for row in page["conversions"].as_array().expect("a list") {
                let row = row["conversion"].clone();
                found.insert(row["conversion_id"].as_u64().expect("a number"), row);
            }
            let Some(next) = page["next_cursor"].as_str() else { break };
            next.clone_into(&mut cursor);
        }
        assert_eq!(found.len(), self.conversions.len());
        for it in &self.conversions {
            let row = &found[&it.id];
            let (payout, revenue) = it.worth();
            let told = [&row["payout"], &row["revenue"], &row["original_payout"]].map(Value::to_string);
            assert_eq!(told, [money(payout), money(revenue), money(it.first_payout)], "{it:?}");
            assert_eq!(row["original_revenue"].to_string(), money(it.first_revenue), "{it:?}");
            assert_eq!(
                (&row["conversion_status"], &row["unique_id"]),
                (&it.status.into(), &(*it.unique_id).into())
            );
            assert_eq!(row["click_id"], *self.clicks[it.click].id);
        }
        self.look_at_balances();
        self.server.verify();
    }

    /// An affiliate's balance is the sum of what its conversions are worth now, an advertiser's likewise.
    fn look_at_balances(&self) {
        let sample = &self.server.sample;
        let sums = self.conversions.iter().map(Conversion::worth);
        let (owed, due) = sums.fold((0, 0), |(owed, due), (payout, revenue)| (owed + payout, due + revenue));
        for (name, id, sum) in
            [("affiliate_id", &sample.affiliate_id, owed), ("advertiser_id", &sample.advertiser_id, due)]
        {
            let balances = self.client().get("balances", &[(name, id)]).success();
            let balance = balances["balances"].get(0).map_or("0.00".into(), |it| it["balance"].to_string());
            assert_eq!(balance, money(sum), "{name}");
        }
    }
}

fn offer(client: &Client, advertiser_id: &str, affiliate_id: &str) -> Offer {
    let url = "https://shop.example/?click={click_id}";
    let params = [
        ("offer_name", "Other"),
        ("advertiser_id", advertiser_id),
        ("offer_url", url),
        ("payout", "10.00"),
        ("revenue", "22.00"),
    ];
    let made = client.post("offer", &params).success();
    let (id, creative) = (made["offer"]["offer_id"].to_string(), made["offer"]["creative_id"].to_string());
    client.post("campaign", &[("offer_id", &id), ("affiliate_id", affiliate_id)]).success();
    let link = format!("/?a={affiliate_id}&c={creative}");
    Offer { id, link, is_active: true, is_manual: false, payout: 1000, cap: None }
}

/// Checks an answer with a conversion and returns its number.
fn check(answer: &Answer, payout: i64, revenue: i64, status: &str, said: &str) -> u64 {
    assert_eq!(answer.status, 200, "{said}: {}", answer.text);
    let conversion = &answer.json()["conversion"];
    let worth = if matches!(status, "pending" | "approved") { (payout, revenue) } else { (0, 0) };
    let told = (conversion["payout"].to_string(), conversion["revenue"].to_string());
    assert_eq!(told, (money(worth.0), money(worth.1)), "{said}: {}", answer.text);
    assert_eq!(conversion["conversion_status"], status, "{said}");
    conversion["conversion_id"].as_u64().expect("a number")
}

/// A number from the environment.
fn number<N: std::str::FromStr>(name: &str) -> Option<N> {
    let text = std::env::var_os(name)?.into_string().expect("a text");
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// A server whose postbacks reach this machine, and are given up on only after many tries.
fn start(change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.outbound.allow_private = PrivateAddresses(AllowPrivate::All);
        config.outbound.connect_timeout_seconds = 1;
        config.outbound.timeout_seconds = 1;
        // Nobody is left alone longer than that.
        config.postbacks.retry_schedule = ["1s"; 50].join(",");
        change(config);
    })
}

fn simulate(server: TestServer) {
    let steps = number("SIMULATION_STEPS").unwrap_or(STEPS);
    let seed = number("SIMULATION_SEED").unwrap_or_else(|| RandomState::new().hash_one("simulation"));
    #[expect(clippy::print_stderr, reason = "who repeats a failure needs it")]
    {
        eprintln!("{steps} steps of SIMULATION_SEED={seed}");
    }
    let mut simulation = Simulation::new(server, seed);
    for step in 1..=steps {
        let said = simulation.step();
        #[expect(clippy::print_stderr, reason = "what has led to a failure")]
        {
            eprintln!("{step}: {said}");
        }
        if step % STEPS_PER_LOOK == 0 {
            simulation.look();
        }
    }
    simulation.look();
    assert!(simulation.conversions.len() > steps as usize / 50, "hardly anything was recorded");
}

#[test]
fn whatever_happens_the_money_is_right_on_sqlite() {
    simulate(start(|_| {}));
}

#[test]
fn whatever_happens_the_money_is_right_on_postgresql() {
    let schema = schema::Schema::create();
    let url = DatabaseUrl(Some(schema.url().parse().expect("an address")));
    simulate(start(|config| config.database.url = url));
}
