//! Telling affiliates: how many deliveries a second, how soon after their cause while some receivers are in
//! trouble, and what those take that nobody wants.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::arguments::Arguments;
use crate::client::Answer;
use crate::conversions;
use crate::day::{self, Clicked, Day};
use crate::drive::{Driven, Work, drive, spinner};
use crate::network::{AFFILIATES, CAMPAIGNS_EACH, Template, make_postbacks};
use crate::pace;
use crate::receivers::{Arrival, Manner, Receivers};
use crate::report::{Figure, Report, Target};
use crate::server::{Options, Server};
use crate::statistics::{Latencies, Spread, float};
use crate::tools::sync;

/// Clicks that conversions are recorded for: eight of each affiliate.
const CLICKS: usize = 40_000;
/// Advertisers' servers calling at the same time.
const CONNECTIONS: usize = 64;
/// Receivers when all is well.
const RECEIVERS: u16 = 64;
/// Deliveries a second, at least.
const RATE_MIN: f64 = 5_000.0;
/// Receivers when some are in trouble, and when deliveries are to be held.
const MANY_RECEIVERS: u16 = 1_000;
/// Conversions a second then, for so many seconds.
const PACED_RATE: f64 = 1_000.0;
const PACED_SECONDS: u64 = 10;
/// From the conversion call to the arrival, for 99 of 100 deliveries, in milliseconds.
const LATENCY_MS_MAX: f64 = 1_000.0;
/// Where deliveries are to be held, receivers take one call in so many: fewer than those failures in a row
/// after which one is left alone.
const TAKEN_ONE_IN: u32 = 6;
/// One wait, the shortest that leaves a try to come back by the clock; a second try follows, and no third.
const RETRY_SCHEDULE: &str = "1s";
/// When nothing has arrived for so long, nothing more will: longer than a receiver is left alone.
const QUIET: Duration = Duration::from_secs(75);
/// How often it is looked whether all is there.
const LOOK: Duration = Duration::from_millis(20);

/// Measures all three.
pub async fn measure(
    arguments: &Arguments,
    folder: &Path,
    template: &Template,
    report: &mut Report,
) -> anyhow::Result<()> {
    let bench = Bench { folder, template, day: Arc::new(Day::in_turn(template.campaigns())) };
    bench.throughput(arguments.rounds, report).await?;
    bench.latency(report).await?;
    bench.memory(arguments.held, report).await
}

struct Bench<'b> {
    folder: &'b Path,
    template: &'b Template,
    day: Arc<Day>,
}

impl Bench<'_> {
    /// Two deliveries for each conversion, recorded as fast as they can be.
    async fn throughput(&self, rounds: u64, report: &mut Report) -> anyhow::Result<()> {
        let it = self.start(self.options("told"), RECEIVERS, |_| Manner::Takes, report).await?;
        let mut alone = Vec::new();
        for _ in 0..rounds {
            alone.push(it.record(it.clicks.len(), "nobody is told").await?.per_second());
        }
        it.make_postbacks(self.template, &["conversion", "approval"]).await?;
        let mut told = Vec::new();
        for _ in 0..rounds {
            told.push(it.round(2).await?);
        }
        add_rates(&told, &Spread::of(alone), report);
        let distinct = it.receivers.arrivals().iter().map(|it| it.id).collect::<HashSet<_>>().len() as u64;
        let calls = float(it.receivers.arrivals().len() as u64) / float(it.receivers.connections());
        report.add(Figure::new("deliveries", "  calls over one connection", "", calls));
        let conversions: u64 = told.iter().map(|it| it.conversions).sum();
        report.compare("deliveries received, two for each conversion", 2 * conversions, distinct)?;
        // The last ones have arrived, and are not yet noted.
        it.metric_becomes("crumb_deliveries_delivered_total", distinct).await?;
        let stored = it.server.delivery_rows("delivered").await?;
        report.compare("deliveries stored as delivered", distinct, stored)?;
        it.end()
    }

    /// From the cause to the arrival, while some receivers hang and others fail.
    async fn latency(&self, report: &mut Report) -> anyhow::Result<()> {
        let it = self.start(self.options("trouble"), MANY_RECEIVERS, in_trouble, report).await?;
        it.make_postbacks(self.template, &["conversion"]).await?;
        let progress = spinner("conversions by schedule, some receivers in trouble".to_owned());
        let (connections, work) = (CONNECTIONS as u64, it.telling());
        let paced = pace::drive(it.server.address, connections, PACED_RATE, PACED_SECONDS, &work).await?;
        let is_well = |receiver| in_trouble(receiver) == Manner::Takes;
        let caused = paced.kept.iter().filter(|receiver| is_well(**receiver)).count();
        it.arrive(caused, |arrival| is_well(arrival.receiver)).await?;
        progress.finish_and_clear();
        let arrivals = it.receivers.arrivals().clone();
        let well: Vec<_> = arrivals.iter().filter(|it| is_well(it.receiver)).collect();
        let distinct: HashSet<_> = well.iter().map(|it| it.id).collect();
        let share = float(distinct.len() as u64) / float(caused as u64) * 100.0;
        let latencies = Latencies::of(well.iter().map(|it| it.arrived.saturating_sub(it.caused)));
        let name = "arrived at 800 receivers, beside 100 that hang and 100 that fail";
        report.add(Figure::new("deliveries", name, "%", share));
        report.add(Figure::new("deliveries", "  p50 from the cause to the arrival", "ms", latencies.ms(0.5)));
        let p99 = Figure::new("deliveries", "  p99", "ms", latencies.ms(0.99));
        report.add(p99.with_target(Target::AtMost(LATENCY_MS_MAX)));
        report.add(Figure::new("deliveries", "  the longest", "ms", latencies.ms(1.0)));
        report.rate("deliveries", "  conversions meanwhile, by schedule", paced.per_second);
        report.latency("deliveries", &paced.latencies);
        report.compare("conversions told of", paced.answers, it.server.conversion_rows().await?)?;
        it.end()
    }

    /// What the server takes for deliveries that are held, and how soon it is back.
    async fn memory(&self, held: u64, report: &mut Report) -> anyhow::Result<()> {
        let manner = |_| Manner::TakesOneIn(TAKEN_ONE_IN);
        let options = self.options("held").with("CRUMB_POSTBACKS__RETRY_SCHEDULE", RETRY_SCHEDULE);
        let mut it = self.start(options, MANY_RECEIVERS, manner, report).await?;
        it.make_postbacks(self.template, &["conversion"]).await?;
        // Neither what many changes of the network leave, nor caches and buffers that the first ones fill, is
        // what a delivery costs.
        it = it.started_again(self.template)?;
        let few = it.hold(held / 10).await?;
        let before = it.settled_memory_mb().await?;
        let all = few + it.hold(held - held / 10).await?;
        let after = it.settled_memory_mb().await?;
        report.add(Figure::new("deliveries", &format!("memory with {few} held"), "MB", before));
        report.add(Figure::new("deliveries", &format!("memory with {all} held"), "MB", after));
        let each = (after - before) * 1e6 / float(all - few);
        report.add(Figure::new("deliveries", "  for each one held", "B", each));
        it = it.started_again(self.template)?;
        let started_in = it.server.started_in.as_secs_f64();
        report.add(Figure::new("deliveries", "  start after a kill", "s", started_in));
        report.compare("deliveries held after a kill", all, it.server.delivery_rows("held").await?)?;
        it.end()
    }

    fn options(&self, name: &str) -> Options {
        self.template.options(&self.folder.join(name)).with("CRUMB_OUTBOUND__ALLOW_PRIVATE", "true")
    }

    /// A server with clicks and nobody to tell yet, and running receivers.
    async fn start(
        &self,
        options: Options,
        receivers: u16,
        manner: impl Fn(u16) -> Manner,
        report: &mut Report,
    ) -> anyhow::Result<Running> {
        let server = Server::start_from(self.template, &options)?;
        let clicks = drive(server.address, day::CONNECTIONS, CLICKS, "loading clicks", &self.day).await?.kept;
        report.compare("clicks to be told of", CLICKS as u64, server.click_rows().await?)?;
        let told =
            |(number, click): (usize, Clicked)| (click, receiver_of(number % AFFILIATES as usize, receivers));
        let clicks = clicks.into_iter().enumerate().filter(|(_, it)| it.is_accepted).map(told).collect();
        let receivers = Arc::new(Receivers::start(receivers, manner)?);
        Ok(Running { server, options, clicks: Arc::new(clicks), receivers })
    }
}

/// The server that tells, and those who are told.
struct Running {
    server: Server,
    options: Options,
    /// Clicks that conversions can be recorded for, and whom they are told to.
    clicks: Arc<Vec<(Clicked, u16)>>,
    receivers: Arc<Receivers>,
}

/// Conversions recorded one after the other, and their deliveries until the last has arrived.
struct Round {
    conversions: u64,
    conversions_per_second: f64,
    per_second: f64,
    /// Of those that arrived after the last conversion was answered, where they were more than what is
    /// always under way.
    drained_per_second: Option<f64>,
}

impl Running {
    /// Gives each affiliate a postback for each of these causes, all to one receiver.
    async fn make_postbacks(&self, template: &Template, causes: &[&'static str]) -> anyhow::Result<()> {
        let campaigns = template.campaigns();
        let affiliates = campaigns.chunks(CAMPAIGNS_EACH as usize).map(|own| own[0].affiliate_id);
        let postbacks = affiliates.enumerate().flat_map(|(number, affiliate)| {
            let url = self.receivers.url(receiver_of(number, self.receivers.count));
            causes.iter().map(move |cause| (affiliate, url.clone(), *cause))
        });
        make_postbacks(&self.server, postbacks).await
    }

    fn telling(&self) -> Arc<Telling> {
        let (clicks, receivers) = (Arc::clone(&self.clicks), Arc::clone(&self.receivers));
        Arc::new(Telling { clicks, receivers, key: self.server.key.clone() })
    }

    async fn record(&self, count: usize, what: &'static str) -> anyhow::Result<Driven<u16>> {
        drive(self.server.address, CONNECTIONS, count, what, &self.telling()).await
    }

    /// Records a conversion for each click, and waits for `each` deliveries of every one.
    async fn round(&self, each: usize) -> anyhow::Result<Round> {
        let (before, began) = (self.receivers.arrivals().len(), self.receivers.now());
        let driven = self.record(self.clicks.len(), "conversions to tell of").await?;
        let recorded = self.receivers.now();
        let count = each * driven.kept.len();
        self.arrive(before + count, |_| true).await?;
        let arrivals = self.receivers.arrivals();
        let times = || arrivals[before..].iter().map(|it| it.arrived);
        let last = times().max().unwrap_or(recorded);
        let rate = |count: usize, from, until: Duration| {
            float(count as u64) / until.saturating_sub(from).as_secs_f64()
        };
        let drained = times().filter(|at| *at > recorded).count();
        let is_drain = drained > count / 20;
        Ok(Round {
            conversions: driven.kept.len() as u64,
            conversions_per_second: driven.per_second(),
            per_second: rate(count, began, last),
            drained_per_second: is_drain.then(|| rate(drained, recorded, last)),
        })
    }

    /// Waits until so many such calls have arrived, or none has for long.
    async fn arrive(&self, count: usize, is_wanted: impl Fn(&Arrival) -> bool) -> anyhow::Result<()> {
        let arrived =
            || async { Ok(self.receivers.arrivals().iter().filter(|it| is_wanted(it)).count() as u64) };
        becomes(count as u64, arrived).await.map(drop)
    }

    /// Records conversions until about `held` more deliveries are held; says how many more are.
    async fn hold(&self, held: u64) -> anyhow::Result<u64> {
        let one_in = u64::from(TAKEN_ONE_IN);
        // Each is tried twice, and held where it was refused both times.
        let count = held * one_in * one_in / ((one_in - 1) * (one_in - 1));
        let held_before = self.server.metric("crumb_deliveries_exhausted_total").await?;
        let ended_before = self.ended().await?;
        self.record(usize::try_from(count)?, "conversions to be held").await?;
        let progress = spinner("waiting for deliveries to be held".to_owned());
        let ended = becomes(ended_before + count, || self.ended()).await? - ended_before;
        progress.finish_and_clear();
        ensure!(ended == count, "{ended} of {count} deliveries came to an end");
        Ok(self.server.metric("crumb_deliveries_exhausted_total").await? - held_before)
    }

    /// Deliveries that this server has tried for the last time.
    async fn ended(&self) -> anyhow::Result<u64> {
        let taken = self.server.metric("crumb_deliveries_delivered_total").await?;
        Ok(taken + self.server.metric("crumb_deliveries_exhausted_total").await?)
    }

    /// The server's memory once it gives nothing back any more.
    async fn settled_memory_mb(&self) -> anyhow::Result<f64> {
        /// Memory is given back in well under this.
        const QUIET: Duration = Duration::from_secs(5);
        const MB_LESS: f64 = 1.0;
        let (mut least, mut since) = (self.server.memory_mb()?, Instant::now());
        while since.elapsed() < QUIET {
            tokio::time::sleep(LOOK).await;
            let now = self.server.memory_mb()?;
            if now < least - MB_LESS {
                (least, since) = (now, Instant::now());
            }
        }
        Ok(least)
    }

    /// The same on a new server after a kill.
    fn started_again(self, template: &Template) -> anyhow::Result<Self> {
        self.server.kill()?;
        let server = Server::start(&self.options, template.key().to_owned())?;
        Ok(Self { server, ..self })
    }

    async fn metric_becomes(&self, name: &str, value: u64) -> anyhow::Result<()> {
        becomes(value, || self.server.metric(name)).await.map(drop)
    }

    /// The end of it and of its files.
    fn end(self) -> anyhow::Result<()> {
        self.server.kill()?;
        std::fs::remove_dir_all(&self.options.folder)?;
        sync()
    }
}

/// Waits until a number that grows is at least `value`, or has not changed for long; says what it is then.
async fn becomes<F: Future<Output = anyhow::Result<u64>>>(
    value: u64,
    number: impl Fn() -> F,
) -> anyhow::Result<u64> {
    let (mut last, mut since) = (number().await?, Instant::now());
    while last < value && since.elapsed() < QUIET {
        tokio::time::sleep(LOOK).await;
        let now = number().await?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(last)
}

/// What the rounds with somebody to tell came to.
fn add_rates(rounds: &[Round], alone: &Spread, report: &mut Report) {
    let rate = Spread::of(rounds.iter().map(|it| it.per_second));
    let figure = Figure::new("deliveries", "two for each conversion", "/s", rate.median).within(rate);
    report.add(figure.with_target(Target::AtLeast(RATE_MIN)));
    let conversions = Spread::of(rounds.iter().map(|it| it.conversions_per_second));
    let figure = Figure::new("deliveries", "  conversions meanwhile", "/s", conversions.median);
    let ratio = conversions.median / alone.median;
    report.add(figure.within(conversions).beside("÷ with nobody to tell", ratio));
    let drains: Vec<_> = rounds.iter().filter_map(|it| it.drained_per_second).collect();
    if !drains.is_empty() {
        let drain = Spread::of(drains);
        let name = "  after the last conversion";
        report.add(Figure::new("deliveries", name, "/s", drain.median).within(drain));
    }
}

/// Conversions, over all clicks again and again, whose unique ids have the moment they were sent. What is kept
/// is whom they are told to.
struct Telling {
    clicks: Arc<Vec<(Clicked, u16)>>,
    receivers: Arc<Receivers>,
    key: String,
}

impl Work for Telling {
    type Kept = u16;

    fn write(&self, index: usize, request: &mut Vec<u8>) {
        let (click, _) = &self.clicks[index % self.clicks.len()];
        conversions::write(click, &self.receivers.unique_id(index), &self.key, request);
    }

    fn read(&self, index: usize, answer: &Answer<'_>) -> anyhow::Result<u16> {
        conversions::read(answer)?;
        Ok(self.clicks[index % self.clicks.len()].1)
    }
}

/// Whom an affiliate is told at: all receivers get equally many.
fn receiver_of(affiliate: usize, receivers: u16) -> u16 {
    u16::try_from(affiliate % usize::from(receivers)).expect("it is less than their number")
}

/// Of each ten one hangs and one fails.
fn in_trouble(receiver: u16) -> Manner {
    match receiver % 10 {
        3 => Manner::Hangs,
        7 => Manner::Refuses,
        _ => Manner::Takes,
    }
}
