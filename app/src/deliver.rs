//! Delivering: claim what is due, call its receivers, keep what came of it, on a thread of its own. A
//! delivery is claimed for longer than a call can take, and what a dead server had claimed is claimed again:
//! so each is called at least once, and its id tells the receiver when it is called again.

mod receivers;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use archive::Archive;
use domain::body_template::BodyTemplate;
use domain::click::Click;
use domain::delivery::{DeliveryId, Try, TryOutcome, mask};
use domain::ids::{ClickId, ConversionId, NodeNumber, PostbackId};
use domain::network::Network;
use domain::postback::{Postback, PostbackStatus, Receiver};
use domain::retry::{RetrySchedule, Step, step};
use domain::token_values::{TokenValues, is_of_click};
use domain::tokens::Token;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ledger::{Claim, Claimed, DueReceiver, Finished, Ledger};
use outbound::{Answer, Caller, RetryAfter};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::task::{self, JoinError, JoinSet};

use crate::compose::compose;
use crate::failure::blocking;
use crate::{Chance, Clock, Failure, Settings};
use receivers::{Ended, Limits, Receivers};

/// How often it is looked up what is due, where nobody says so: retries, other servers' conversions.
const SWEEP: Duration = Duration::from_millis(250);
/// The shortest time between two rounds with the ledger: calls that end within it share a commit.
const ROUND: Duration = Duration::from_millis(10);
/// How long after a failure of the ledger it is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Deliveries claimed in one transaction: few enough that conversion calls wait only milliseconds.
const CLAIMED_MAX: u32 = 512;
/// How often it is counted what waits.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// How long calls that are under way when the server stops may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How much longer than three calls a lease lasts: clocks of servers differ, and commits wait.
const LEASE_SPARE: SignedDuration = SignedDuration::from_secs(60);

/// What is counted.
#[derive(Clone, Default)]
pub(crate) struct DeliveryCounters {
    /// Deliveries that a receiver has taken.
    pub(crate) delivered: Counter,
    /// Tries that failed.
    pub(crate) failed_tries: Counter,
    /// Deliveries whose tries were used up.
    pub(crate) exhausted: Counter,
    /// Deliveries cancelled.
    pub(crate) cancelled: Counter,
    /// Rounds with the ledger that failed.
    pub(crate) failures: Counter,
    /// Calls under way.
    pub(crate) in_flight: Gauge,
    /// Deliveries due now or later.
    pub(crate) due: Gauge,
    /// Deliveries held.
    pub(crate) held: Gauge,
    /// How long the longest due delivery has been due, in seconds.
    pub(crate) lag: Gauge,
    /// Receivers left alone for a while.
    pub(crate) paused: Gauge,
}

/// How deliveries are made.
#[derive(Clone, Debug)]
pub(crate) struct DeliverySettings {
    pub(crate) node: NodeNumber,
    pub(crate) zone: TimeZone,
    pub(crate) schedule: RetrySchedule,
    /// Calls at the same time.
    pub(crate) workers: usize,
    /// Calls at the same time to one receiver.
    pub(crate) per_receiver: u32,
    /// Calls a second to one receiver; 0 for no limit.
    pub(crate) per_second: u32,
    /// The longest a call can take.
    pub(crate) call_timeout: Duration,
}

impl DeliverySettings {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            node: settings.node,
            zone: settings.zone.clone(),
            schedule: settings.retry_schedule.clone(),
            workers: settings.delivery_workers,
            per_receiver: settings.workers_per_receiver,
            per_second: settings.receiver_calls_per_second,
            call_timeout: settings.outbound.timeout,
        }
    }
}

/// Delivers what is due.
pub struct Deliverer {
    pub(crate) settings: DeliverySettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) archive: Arc<Archive>,
    pub(crate) network: Arc<ArcSwap<Network>>,
    pub(crate) caller: Caller,
    /// Told when something may be due.
    pub(crate) wake: Arc<Notify>,
    pub(crate) counters: DeliveryCounters,
}

/// What came of a delivery.
struct Delivered {
    /// How its receiver did; none where it was not called, since the postback is switched off, or for
    /// browsers now.
    ended: Option<Ended>,
    finished: Finished,
}

/// The state of a running [`Deliverer`].
struct Rounds {
    it: Arc<Deliverer>,
    receivers: Receivers,
    /// The version of the network whose rates are set.
    rates_of: Option<u64>,
    /// Whether what this server had claimed in its life before is due again.
    is_released: bool,
    /// When it was looked up what is due.
    looked_up: Option<Instant>,
    /// When it was counted what waits.
    counted: Option<Instant>,
    /// When the next delivery of each receiver is due, as far as was looked up.
    due: Vec<DueReceiver>,
    /// What is being called, or not yet kept: a lease that ran out meanwhile does not have it called again.
    unkept: HashSet<DeliveryId>,
    calls: JoinSet<Result<Delivered, Failure>>,
    /// What each call is for.
    calling: HashMap<task::Id, (Receiver, DeliveryId)>,
    /// What came of calls, not yet kept.
    finished: Vec<Finished>,
}

impl Deliverer {
    /// Delivers until `stop` resolves, then waits a moment for calls that are under way.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut rounds = Rounds::new(Arc::new(self));
        let mut stop = std::pin::pin!(stop);
        loop {
            let began = Instant::now();
            let pause = match rounds.round().await {
                Ok(()) => ROUND,
                Err(error) => {
                    rounds.it.counters.failures.inc();
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "a round of deliveries failed; it will be tried again");
                    RETRY
                }
            };
            let wait = async {
                rounds.wait().await;
                tokio::time::sleep(pause.saturating_sub(began.elapsed())).await;
            };
            tokio::select! {
                () = &mut stop => break,
                () = wait => {}
            }
        }
        rounds.stop().await;
    }
}

impl Rounds {
    fn new(it: Arc<Deliverer>) -> Self {
        let longest = it.settings.schedule.0.iter().max().copied().unwrap_or_default();
        let limits = Limits {
            in_flight_max: it.settings.per_receiver,
            per_second: it.settings.per_second,
            wait_max: Duration::try_from(longest).unwrap_or_default(),
        };
        Self {
            it,
            receivers: Receivers::new(limits),
            rates_of: None,
            is_released: false,
            looked_up: None,
            counted: None,
            due: Vec::new(),
            unkept: HashSet::new(),
            calls: JoinSet::new(),
            calling: HashMap::new(),
            finished: Vec::new(),
        }
    }

    /// Waits until a call has ended, something new may be due, or it is time to look.
    async fn wait(&mut self) {
        let it = Arc::clone(&self.it);
        tokio::select! {
            Some(ended) = self.calls.join_next_with_id() => self.end(ended),
            () = it.wake.notified() => self.looked_up = None,
            () = tokio::time::sleep(SWEEP) => {}
        }
    }

    /// One round: keeps what calls have come to, looks up what is due, claims it and calls.
    async fn round(&mut self) -> Result<(), Failure> {
        self.end_all();
        self.keep().await?;
        if !self.is_released {
            let (it, now) = (Arc::clone(&self.it), self.it.clock.now());
            let released = blocking(move || Ok(it.ledger.release_leases(it.settings.node, now)?)).await?;
            self.is_released = true;
            if released > 0 {
                tracing::info!(released, "deliveries that were under way when the server died are due again");
            }
        }
        if self.looked_up.is_none_or(|at| at.elapsed() >= SWEEP) {
            self.look_up().await?;
        }
        self.set_rates();
        self.claim().await?;
        self.count().await
    }

    /// Keeps what calls have come to. What cannot be kept now is kept later.
    async fn keep(&mut self) -> Result<(), Failure> {
        if self.finished.is_empty() {
            return Ok(());
        }
        let (it, finished) = (Arc::clone(&self.it), std::mem::take(&mut self.finished));
        let (kept, finished) = blocking(move || {
            let kept = it.ledger.finish_deliveries(&finished);
            Ok((kept, finished))
        })
        .await?;
        if let Err(error) = kept {
            self.finished = finished;
            return Err(error.into());
        }
        for it in &finished {
            self.unkept.remove(&it.id);
            self.it.counters.count(it);
        }
        Ok(())
    }

    async fn look_up(&mut self) -> Result<(), Failure> {
        let it = Arc::clone(&self.it);
        let looked_up = Instant::now();
        self.due = blocking(move || Ok(it.ledger.list_due_receivers()?)).await?;
        self.looked_up = Some(looked_up);
        self.receivers.forget_idle(looked_up);
        Ok(())
    }

    /// Sets the rates that postbacks ask for: of several to the same receiver the smallest.
    fn set_rates(&mut self) {
        let network = self.it.network.load();
        if self.rates_of == Some(network.version) {
            return;
        }
        let mut rates = HashMap::new();
        for postback in network.postbacks().filter(|it| it.status == PostbackStatus::Active) {
            if let Some(rate) = postback.calls_per_second {
                let smallest = rates.entry(Receiver::of(&postback.url)).or_insert(rate);
                *smallest = rate.min(*smallest);
            }
        }
        self.receivers.set_rates(rates);
        self.rates_of = Some(network.version);
    }

    /// Claims what is due, as much as there are workers for, and calls.
    async fn claim(&mut self) -> Result<(), Failure> {
        let (now, at) = (self.it.clock.now(), Instant::now());
        let mut free = u32::try_from(self.it.settings.workers.saturating_sub(self.calls.len()))
            .unwrap_or(u32::MAX)
            .min(CLAIMED_MAX);
        let mut wanted = Vec::new();
        // Those first that have waited longest: nobody is passed over for ever.
        self.due.sort_unstable_by_key(|it| it.next_try_at);
        for due in self.due.iter().take_while(|it| it.next_try_at <= now) {
            let room = self.receivers.room(due.receiver, at).min(free);
            if room > 0 {
                free -= room;
                wanted.push((due.receiver, room));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let lease_lasts = SignedDuration::try_from(self.it.settings.call_timeout * 3).unwrap_or(LEASE_SPARE);
        let until = now.saturating_add(lease_lasts + LEASE_SPARE).unwrap_or(Timestamp::MAX);
        let lease = self.it.chance.draw();
        let claim = Claim { node: self.it.settings.node, lease, until, wanted };
        let asked: HashMap<Receiver, u32> = claim.wanted.iter().copied().collect();
        let it = Arc::clone(&self.it);
        let claimed = blocking(move || Ok(it.ledger.claim_due(&claim, now)?)).await?;
        let mut got: HashMap<Receiver, u32> = HashMap::new();
        for claimed in claimed {
            *got.entry(claimed.delivery.receiver).or_default() += 1;
            self.call(lease, claimed);
        }
        // A receiver that had less than it was asked for has nothing due until it is looked up again.
        self.due
            .retain(|it| asked.get(&it.receiver).is_none_or(|asked| got.get(&it.receiver) == Some(asked)));
        Ok(())
    }

    fn call(&mut self, lease: u64, claimed: Claimed) {
        let (receiver, id) = (claimed.delivery.receiver, claimed.delivery.id);
        if !self.unkept.insert(id) {
            // Its lease ran out before what it came to was kept. That is kept as a try; the delivery is due
            // once more when this lease ends.
            return;
        }
        self.receivers.begin(receiver, Instant::now());
        self.it.counters.in_flight.inc();
        let it = Arc::clone(&self.it);
        let call = self.calls.spawn(async move { it.deliver(lease, claimed).await });
        self.calling.insert(call.id(), (receiver, id));
    }

    fn end_all(&mut self) {
        while let Some(ended) = self.calls.try_join_next_with_id() {
            self.end(ended);
        }
    }

    /// Notes what a call has come to. One that came to nothing stays claimed until its lease ends, and is
    /// then made anew.
    fn end(&mut self, ended: Result<(task::Id, Result<Delivered, Failure>), JoinError>) {
        self.it.counters.in_flight.dec();
        let (call, delivered) = match ended {
            Ok((call, delivered)) => (call, delivered),
            Err(error) => (error.id(), Err(Failure::Broken(error.into()))),
        };
        let Some((receiver, id)) = self.calling.remove(&call) else { return };
        match delivered {
            Ok(Delivered { ended: Some(ended), finished }) => {
                self.receivers.end(receiver, ended, Instant::now());
                self.finished.push(finished);
            }
            Ok(Delivered { ended: None, finished }) => {
                self.receivers.leave(receiver);
                self.finished.push(finished);
            }
            Err(error) => {
                self.receivers.leave(receiver);
                self.unkept.remove(&id);
                self.it.counters.failures.inc();
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, delivery = %id, "a delivery could not be made up; it will be tried again");
            }
        }
    }

    /// Counts what waits, now and then.
    async fn count(&mut self) -> Result<(), Failure> {
        if self.counted.is_some_and(|at| at.elapsed() < COUNT_EVERY) {
            return Ok(());
        }
        let it = Arc::clone(&self.it);
        let counts = blocking(move || Ok(it.ledger.count_deliveries()?)).await?;
        self.counted = Some(Instant::now());
        let counters = &self.it.counters;
        let now = self.it.clock.now();
        let oldest = self.due.iter().map(|it| it.next_try_at).min().unwrap_or(now);
        counters.due.set(gauge(counts.due));
        counters.held.set(gauge(counts.held));
        counters.lag.set(now.duration_since(oldest).as_secs().max(0));
        counters.paused.set(gauge(self.receivers.paused(Instant::now()) as u64));
        Ok(())
    }

    /// Waits for calls that are under way, and keeps what they have come to. The others are made again
    /// after the next start.
    async fn stop(mut self) {
        let all = async {
            while let Some(ended) = self.calls.join_next_with_id().await {
                self.end(ended);
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, all).await.is_err() {
            tracing::info!("deliveries are under way; they will be made again after the next start");
        }
        if let Err(error) = self.keep().await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "what the last calls came to could not be kept; they will be made again");
        }
    }
}

impl Deliverer {
    /// Calls the receiver of a delivery. Fails where what it tells of cannot be read: nobody is told
    /// anything wrong.
    async fn deliver(&self, lease: u64, claimed: Claimed) -> Result<Delivered, Failure> {
        let Claimed { delivery, conversion } = claimed;
        let (id, offer_id) = (delivery.id, delivery.offer_id);
        let Some(conversion) = conversion else {
            return Err(Failure::Broken("its conversion cannot be read; crumb verify names it".into()));
        };
        let Some(postback) = self.postback(id.postback_id).await? else {
            let finished = Finished { id, lease, offer_id, tried: None, step: Step::Cancelled };
            return Ok(Delivered { ended: None, finished });
        };
        let facts = self.facts(&postback, conversion.click_id, id.conversion_id).await?;
        let tried_at = self.clock.now();
        let values = TokenValues {
            conversion: &conversion,
            standing: delivery.standing,
            click: facts.click.as_ref(),
            address: &facts.address,
            zone: &self.settings.zone,
        };
        let call = compose(&postback, id, delivery.cause, delivery.caused_at, &values, tried_at);
        let url = mask(&call.url);
        let called = self.caller.call(call).await;
        let now = self.clock.now();
        let (outcome, wish) = match called.outcome {
            Ok(Answer { status, retry_after, body }) => {
                let answer = String::from_utf8_lossy(&body).into_owned();
                (TryOutcome::Answered { status, answer }, retry_after.map(|it| wait(it, now)))
            }
            Err(error) => {
                (TryOutcome::Failed { code: error.code().to_owned(), reason: error.to_string() }, None)
            }
        };
        let step = step(
            &outcome,
            &postback.success,
            &self.settings.schedule,
            delivery.round.saturating_add(1),
            now,
            wish,
            self.chance.draw(),
        );
        let ended = match step {
            Step::Delivered | Step::Cancelled => Ended::Well,
            Step::Again(_) | Step::Held => {
                Ended::Badly { wish: wish.and_then(|it| Duration::try_from(it).ok()) }
            }
        };
        let duration_ms = u32::try_from(called.duration.as_millis()).unwrap_or(u32::MAX);
        let tried = Some(Try { tried_at, url, outcome, duration_ms });
        Ok(Delivered { ended: Some(ended), finished: Finished { id, lease, offer_id, tried, step } })
    }

    /// The postback, if it is to be delivered. Another server may have made it, or switched it on, a moment
    /// ago: that nobody wants its deliveries is believed only of the ledger itself.
    async fn postback(&self, id: PostbackId) -> Result<Option<Arc<Postback>>, Failure> {
        let is_ours =
            |it: &Postback| it.status == PostbackStatus::Active && !it.postback_type.is_for_browsers();
        let known = self.network.load().postback(id).filter(|it| is_ours(it)).map(Arc::clone);
        if known.is_some() {
            return Ok(known);
        }
        let ledger = Arc::clone(&self.ledger);
        let found = blocking(move || Ok(ledger.find_postback(id)?)).await?;
        Ok(found.filter(is_ours).map(Arc::new))
    }

    /// What the tokens of a postback ask for beyond the conversion, as far as it is still kept.
    async fn facts(
        &self,
        postback: &Postback,
        click_id: ClickId,
        conversion_id: ConversionId,
    ) -> Result<Facts, Failure> {
        let body = postback.body.iter().flat_map(BodyTemplate::tokens);
        let tokens: Vec<Token> = postback.url.tokens().chain(body).collect();
        let mut facts = Facts::default();
        if tokens.iter().any(|it| is_of_click(*it)) {
            let archive = Arc::clone(&self.archive);
            facts.click = blocking(move || match archive.find_recent(click_id) {
                Some(click) => Ok(Some(click)),
                None => Ok(archive.find(click_id)?),
            })
            .await?;
        }
        if tokens.contains(&Token::ConversionIp) {
            let ledger = Arc::clone(&self.ledger);
            let attempts = blocking(move || Ok(ledger.list_attempts(&click_id.to_string())?)).await?;
            let own = attempts.into_iter().find(|it| it.conversion_id == Some(conversion_id));
            facts.address = own.map(|it| it.address).unwrap_or_default();
        }
        Ok(facts)
    }
}

/// What tokens ask for beyond the conversion.
#[derive(Default)]
struct Facts {
    click: Option<Click>,
    address: String,
}

fn wait(retry_after: RetryAfter, now: Timestamp) -> SignedDuration {
    match retry_after {
        RetryAfter::Seconds(seconds) => SignedDuration::from_secs(seconds.into()),
        RetryAfter::Date(date) => date.duration_since(now).max(SignedDuration::ZERO),
    }
}

fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl DeliveryCounters {
    fn count(&self, finished: &Finished) {
        match finished.step {
            Step::Delivered => self.delivered.inc(),
            Step::Cancelled => self.cancelled.inc(),
            Step::Again(_) => self.failed_tries.inc(),
            Step::Held => {
                self.failed_tries.inc();
                self.exhausted.inc()
            }
        };
    }
}
