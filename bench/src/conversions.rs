//! Recording conversions over HTTP: distinct ones, half for clicks still in memory, half for clicks
//! in segments.

use std::sync::Arc;

use anyhow::{Context as _, ensure};

use crate::client::{Answer, get};
use crate::day::{Clicked, Loaded};
use crate::drive::{Work, drive};
use crate::report::{Figure, Report, Target};
use crate::server::Server;
use crate::statistics::{Latencies, Spread};

/// Advertisers' servers calling at the same time.
const CONNECTIONS: usize = 64;
/// Rounds of each kind, alternating.
const ROUNDS: usize = 4;
/// Calls of the single caller.
const ALONE: usize = 200;
/// At least, per second.
const RATE_MIN: f64 = 10_000.0;

/// Records `count` conversions and checks that each answered one is stored.
pub async fn measure(
    server: &Server,
    loaded: &Loaded,
    count: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let each = usize::try_from(count)? / 2;
    let accepted =
        |clicks: &[Clicked]| clicks.iter().filter(|it| it.is_accepted).copied().collect::<Vec<_>>();
    let (sealed, recent) = loaded.clicks.split_at(loaded.sealed);
    let mut answered = 0;
    let mut alone = Recording::of(server, spread_over(&accepted(&loaded.clicks), ALONE, 1));
    let mut kinds = [
        Kind::of("for recent clicks", &accepted(recent), each, server),
        Kind::of("for sealed clicks", &accepted(sealed), each, server),
    ];
    for round in 0..ROUNDS {
        for kind in &mut kinds {
            let Some(work) = kind.parts.get(round).filter(|work| !work.clicks.is_empty()) else { continue };
            let driven =
                drive(server.address, CONNECTIONS, work.clicks.len(), "recording conversions", work).await?;
            answered += driven.kept.len();
            kind.rates.push(driven.per_second());
            kind.latencies.push(driven.latencies);
        }
    }
    for kind in &kinds {
        if kind.rates.is_empty() {
            continue;
        }
        let rate = Spread::of(kind.rates.iter().copied());
        let mut figure = Figure::new("conversions", kind.name, "/s", rate.median).within(rate);
        figure.target = Some(Target::AtLeast(RATE_MIN));
        report.add(figure);
        for (name, share) in [("  p50", 0.5), ("  p99", 0.99)] {
            let spread = Spread::of(kind.latencies.iter().map(|it| it.ms(share)));
            report.add(Figure::new("conversions", name, "ms", spread.median).within(spread));
        }
    }
    // Clicks of the rounds before would be repeats with another unique id: new conversions all the same.
    Arc::get_mut(&mut alone).expect("nobody has it yet").prefix = "alone";
    let driven = drive(server.address, 1, alone.clicks.len(), "one caller", &alone).await?;
    answered += driven.kept.len();
    report.rate("conversions", "one connection", driven.per_second());
    report.latency("conversions", &driven.latencies);
    report.compare("conversions", answered as u64, server.conversion_rows().await?)
}

/// Conversions of one kind, in parts, and what was measured.
struct Kind {
    name: &'static str,
    parts: Vec<Arc<Recording>>,
    rates: Vec<f64>,
    latencies: Vec<Latencies>,
}

impl Kind {
    fn of(name: &'static str, clicks: &[Clicked], count: usize, server: &Server) -> Self {
        let picked = spread_over(clicks, count, 0);
        let part = picked.len().div_ceil(ROUNDS).max(1);
        let parts = picked.chunks(part).map(|clicks| Recording::of(server, clicks.to_vec())).collect();
        Self { name, parts, rates: Vec::new(), latencies: Vec::new() }
    }
}

/// Up to `count` of the clicks, evenly spread.
fn spread_over(clicks: &[Clicked], count: usize, first: usize) -> Vec<Clicked> {
    let step = (clicks.len() / count.max(1)).max(1);
    clicks.iter().skip(first).step_by(step).take(count).copied().collect()
}

struct Recording {
    clicks: Vec<Clicked>,
    key: String,
    prefix: &'static str,
}

impl Recording {
    fn of(server: &Server, clicks: Vec<Clicked>) -> Arc<Self> {
        Arc::new(Self { clicks, key: server.key.clone(), prefix: "order" })
    }
}

impl Work for Recording {
    type Kept = u64;

    fn write(&self, index: usize, request: &mut Vec<u8>) {
        let click = &self.clicks[index];
        write(click, &format!("{}-{}", self.prefix, click.id()), &self.key, request);
    }

    fn read(&self, _: usize, answer: &Answer<'_>) -> anyhow::Result<u64> {
        read(answer)
    }
}

/// Appends the call that records a conversion for a click.
pub fn write(click: &Clicked, unique_id: &str, key: &str, request: &mut Vec<u8>) {
    let (id, offer) = (click.id(), click.offer_id);
    let path = format!(
        "/api/2/conversion.json?click_id={id}&offer_id={offer}&unique_id={unique_id}&payout=18.00&revenue=22.00"
    );
    request.extend_from_slice(&get(&path, key));
}

/// The id of the conversion that such a call was answered with.
pub fn read(answer: &Answer<'_>) -> anyhow::Result<u64> {
    let answer = answer.json()?;
    ensure!(answer["request_status"] == "Success", "a conversion was answered {answer}");
    answer["conversion"]["conversion_id"].as_u64().context("conversion_id")
}
