//! Requests that arrive by a schedule, whether those before have been answered or not, as visitors' clicks do.
//! Each one's latency counts from when it was due: a server that stalls makes all wait that were due
//! meanwhile, and each of them shows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinSet;

use crate::client::{Answer, Connection};
use crate::day::Day;
use crate::drive::Work;
use crate::statistics::{Latencies, float};
use crate::wrk;

/// How coarse timers are.
const TIMER: Duration = Duration::from_millis(1);

/// Requests made before the first is sent, so that making them takes no time of the load.
pub struct Prepared(Vec<Vec<u8>>);

/// How the schedule was kept.
pub struct Paced<T> {
    /// What was kept of the answers, in no order.
    pub kept: Vec<T>,
    /// From when a request was due to its whole answer.
    pub latencies: Latencies,
    /// From when a request was due to when it was sent: later only where every connection was waiting,
    /// or where the load itself was slow.
    pub sent_late: Latencies,
    /// Requests answered.
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

impl Work for Prepared {
    type Kept = ();

    fn write(&self, index: usize, request: &mut Vec<u8>) {
        request.extend_from_slice(&self.0[index % self.0.len()]);
    }

    fn read(&self, _: usize, answer: &Answer<'_>) -> anyhow::Result<()> {
        ensure!(answer.status == 302, "a click was answered {}", answer.status);
        Ok(())
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
    /// The next request's number and when it is due.
    fn take(&self) -> Option<(usize, Instant)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.count).then(|| (index as usize, self.begin + self.gap * index))
    }

    /// Waits for a request to be due. Where they come faster than timers tell, the load has a core to itself
    /// and looks at the clock; slower ones leave it to others.
    async fn wait(&self, due: Instant) {
        if self.gap >= TIMER {
            tokio::time::sleep_until(due.into()).await;
        }
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
    }
}

/// Sends requests for `seconds` at a fixed rate over `connections`, whichever is free.
pub async fn drive<W: Work>(
    address: SocketAddr,
    connections: u64,
    per_second: f64,
    seconds: u64,
    work: &Arc<W>,
) -> anyhow::Result<Paced<W::Kept>> {
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
        running.spawn(one_connection(connection, Arc::clone(&schedule), Arc::clone(work)));
    }
    let mut all = Vec::with_capacity(count as usize);
    while let Some(done) = running.join_next().await {
        all.extend(done.expect("a connection's task does not panic")?);
    }
    let (answers, took) = (all.len() as u64, begin.elapsed());
    Ok(Paced {
        latencies: Latencies::of(all.iter().map(|(took, ..)| *took)),
        sent_late: Latencies::of(all.iter().map(|(_, late, _)| *late)),
        answers,
        per_second: float(answers) / took.as_secs_f64(),
        kept: all.into_iter().map(|(.., kept)| kept).collect(),
    })
}

async fn one_connection<W: Work>(
    mut connection: Connection,
    schedule: Arc<Schedule>,
    work: Arc<W>,
) -> anyhow::Result<Vec<(Duration, Duration, W::Kept)>> {
    let (mut done, mut request) = (Vec::new(), Vec::new());
    while let Some((index, due)) = schedule.take() {
        schedule.wait(due).await;
        let late = due.elapsed();
        request.clear();
        work.write(index, &mut request);
        let answer = connection.ask(&request).await?;
        let kept = work.read(index, &answer)?;
        done.push((due.elapsed(), late, kept));
    }
    Ok(done)
}
