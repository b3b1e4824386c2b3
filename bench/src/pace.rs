//! Clicks that arrive by a schedule, whether those before have been answered or not, as visitors do.
//! Each one's latency counts from when it was due: a server that stalls makes all wait that were due
//! meanwhile, and each of them shows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::day::Day;
use crate::drive::Work as _;
use crate::statistics::{Latencies, float};
use crate::wrk;

/// Requests made before the first is sent, so that making them takes no time of the load.
pub struct Prepared(Vec<Vec<u8>>);

/// How the schedule was kept.
pub struct Paced {
    /// From when a click was due to its whole answer.
    pub latencies: Latencies,
    /// From when a click was due to when it was sent: later only where every connection was waiting,
    /// or where the load itself was slow.
    pub sent_late: Latencies,
    /// Clicks answered.
    pub answers: u64,
    /// Answers per second.
    pub per_second: f64,
}

impl Prepared {
    /// The clicks of a day that `wrk` sends too.
    pub fn of(day: &Day) -> Arc<Self> {
        let one = |index| {
            let mut request = Vec::new();
            day.write(index, &mut request);
            request
        };
        Arc::new(Self((0..wrk::CLICKS).map(one).collect()))
    }
}

/// When what is sent.
struct Schedule {
    begin: Instant,
    gap: Duration,
    count: u32,
    next: AtomicU32,
}

impl Schedule {
    /// The next click's number and when it is due.
    fn take(&self) -> Option<(usize, Instant)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.count).then(|| (index as usize, self.begin + self.gap * index))
    }
}

/// Sends clicks for `seconds` at a fixed rate over `connections`, whichever is free.
pub async fn drive(
    address: SocketAddr,
    connections: u64,
    per_second: f64,
    seconds: u64,
    prepared: &Arc<Prepared>,
) -> anyhow::Result<Paced> {
    let gap = Duration::from_secs_f64(1.0 / per_second);
    let count = u32::try_from(Duration::from_secs(seconds).as_nanos() / gap.as_nanos())?;
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let begin = Instant::now();
    let schedule = Arc::new(Schedule { begin, gap, count, next: AtomicU32::new(0) });
    let mut running = JoinSet::new();
    for connection in open {
        running.spawn(one_connection(connection, Arc::clone(&schedule), Arc::clone(prepared)));
    }
    let mut all = Vec::with_capacity(count as usize);
    while let Some(done) = running.join_next().await {
        all.extend(done.expect("a connection's task does not panic")?);
    }
    let (answers, took) = (all.len() as u64, begin.elapsed());
    Ok(Paced {
        latencies: Latencies::of(all.iter().map(|(took, _)| *took)),
        sent_late: Latencies::of(all.iter().map(|(_, late)| *late)),
        answers,
        per_second: float(answers) / took.as_secs_f64(),
    })
}

async fn one_connection(
    mut connection: Connection,
    schedule: Arc<Schedule>,
    prepared: Arc<Prepared>,
) -> anyhow::Result<Vec<(Duration, Duration)>> {
    let mut done = Vec::new();
    while let Some((index, due)) = schedule.take() {
        // Timers are a millisecond coarse. The load has a core to itself, so it looks at the clock.
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        let late = due.elapsed();
        let answer = connection.ask(&prepared.0[index % prepared.0.len()]).await?;
        ensure!(answer.status == 302, "a click was answered {}", answer.status);
        done.push((due.elapsed(), late));
    }
    Ok(done)
}
