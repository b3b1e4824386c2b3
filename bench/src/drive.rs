//! Driving a known number of requests over some connections, each taking the next one as soon as
//! it has its answer, and keeping what was answered and how long it took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use crate::client::{Answer, Connection};
use crate::statistics::{Latencies, float};

/// What to ask, by number, and what to keep of the answer. An error ends the run.
pub trait Work: Send + Sync + 'static {
    /// What is kept of an answer.
    type Kept: Send + 'static;
    /// Appends the request of that number.
    fn write(&self, index: usize, request: &mut Vec<u8>);
    /// Reads its answer.
    fn read(&self, index: usize, answer: &Answer<'_>) -> anyhow::Result<Self::Kept>;
}

/// What a drive found.
pub struct Driven<T> {
    /// What was kept, by number.
    pub kept: Vec<T>,
    /// How long each answer took.
    pub latencies: Latencies,
    /// From the first request to the last answer.
    pub took: Duration,
}

impl<T> Driven<T> {
    /// Answers per second.
    pub fn per_second(&self) -> f64 {
        float(self.kept.len() as u64) / self.took.as_secs_f64()
    }
}

/// Sends `count` requests over `connections` connections.
pub async fn drive<W: Work>(
    address: SocketAddr,
    connections: usize,
    count: usize,
    what: &'static str,
    work: &Arc<W>,
) -> anyhow::Result<Driven<W::Kept>> {
    let next = Arc::new(AtomicUsize::new(0));
    let progress = bar(count, what);
    let mut open = Vec::new();
    for _ in 0..connections.min(count) {
        open.push(Connection::open(address).await?);
    }
    let mut running = JoinSet::new();
    let start = Instant::now();
    for connection in open {
        let (work, next, progress) = (Arc::clone(work), Arc::clone(&next), progress.clone());
        running.spawn(one_connection(connection, count, work, next, progress));
    }
    let mut all = Vec::with_capacity(count);
    while let Some(done) = running.join_next().await {
        all.extend(done.expect("a connection's task does not panic").context(what)?);
    }
    let took = start.elapsed();
    progress.finish_and_clear();
    all.sort_unstable_by_key(|(index, ..)| *index);
    let latencies = Latencies::of(all.iter().map(|(_, took, _)| *took));
    Ok(Driven { kept: all.into_iter().map(|(.., kept)| kept).collect(), latencies, took })
}

async fn one_connection<W: Work>(
    mut connection: Connection,
    count: usize,
    work: Arc<W>,
    next: Arc<AtomicUsize>,
    progress: ProgressBar,
) -> anyhow::Result<Vec<(usize, Duration, W::Kept)>> {
    let (mut done, mut request) = (Vec::new(), Vec::new());
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            return Ok(done);
        }
        request.clear();
        work.write(index, &mut request);
        let asked = Instant::now();
        let answer = connection.ask(&request).await?;
        let took = asked.elapsed();
        done.push((index, took, work.read(index, &answer)?));
        if index.is_multiple_of(1024) {
            progress.set_position(index as u64);
        }
    }
}

/// Progress on stderr.
pub fn bar(count: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:24} {bar:30} {pos}/{len} {per_sec}").expect("it is valid");
    ProgressBar::new(count as u64).with_style(style).with_message(what)
}

/// A line of progress without a known length, on stderr.
pub fn spinner(what: String) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}
