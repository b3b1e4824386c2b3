//! Those who are told: HTTP servers, each at a loopback address of its own, all on one port and on one thread
//! beside the load. They know what an address is to answer, and keep what has arrived when.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use domain::delivery::DeliveryId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Longest head read, in bytes: a call is a few hundred.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Connections that wait to be accepted, for all together: one turned away would come back a second later.
const WAITING_MAX: u32 = 4096;
/// Receivers with the same third byte of their address: each of them has another fourth one, from 1 on.
const BLOCK: u16 = 250;
/// The first two bytes of all their addresses.
const NETWORK: [u8; 2] = [127, 1];

/// How a receiver answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// With 200.
    Takes,
    /// With 500, but each so many-th call with 200: one that takes nothing at all is soon left alone, and what
    /// it is to be told stays due.
    TakesOneIn(u32),
    /// With 500.
    Refuses,
    /// Never.
    Hangs,
}

/// A call that has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// What it delivers.
    pub id: DeliveryId,
    /// Whom it has reached.
    pub receiver: u16,
    /// When the conversion call that caused it was sent, on the clock of [`Receivers::now`].
    pub caused: Duration,
    /// When it was there, on that clock.
    pub arrived: Duration,
}

/// Running receivers; they end when dropped.
pub struct Receivers {
    /// How many there are.
    pub count: u16,
    port: u16,
    seen: Arc<Seen>,
    // Both are there until dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Seen {
    begun: Instant,
    receivers: Vec<One>,
    connections: AtomicU64,
    arrivals: Mutex<Vec<Arrival>>,
}

struct One {
    manner: Manner,
    calls: AtomicU32,
}

impl Receivers {
    /// Starts `count` of them, each in its manner.
    pub fn start(count: u16, manner: impl Fn(u16) -> Manner) -> anyhow::Result<Self> {
        rlimit::increase_nofile_limit(u64::MAX)?;
        let one = |receiver| One { manner: manner(receiver), calls: AtomicU32::new(0) };
        let seen = Arc::new(Seen {
            begun: Instant::now(),
            receivers: (0..count).map(one).collect(),
            connections: AtomicU64::new(0),
            arrivals: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
        let listener = {
            let _entered = runtime.enter();
            socket.listen(WAITING_MAX)?
        };
        let (port, (stop, stopped)) = (listener.local_addr()?.port(), oneshot::channel());
        let theirs = Arc::clone(&seen);
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, theirs) => {}
                    // Its sender is dropped, or says so: it is over.
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { count, port, seen, stop: Some(stop), thread: Some(thread) })
    }

    /// The time that arrivals are told in.
    pub fn now(&self) -> Duration {
        self.seen.begun.elapsed()
    }

    /// Where a conversion is to be told of to one of them.
    pub fn url(&self, receiver: u16) -> String {
        let address = SocketAddr::from((address_of(receiver), self.port));
        format!("http://{address}/?{MOMENT}={{unique_id}}&c={{conversion_id}}&p={{payout}}")
    }

    /// The unique id of conversion number `index`, sent now.
    pub fn unique_id(&self, index: usize) -> String {
        unique_id(self.now(), index)
    }

    /// Calls that have arrived.
    pub fn arrivals(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.seen.arrivals()
    }

    /// Connections that were opened.
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // One that has panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Seen {
    fn arrivals(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a call by its head, and says what is answered; none: nothing.
    fn call(&self, receiver: u16, head: &str) -> anyhow::Result<Option<&'static [u8]>> {
        const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        const REFUSED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
        let arrived = self.begun.elapsed();
        let arrival = arrival(receiver, arrived, head).with_context(|| format!("a call with {head}"))?;
        self.arrivals().push(arrival);
        let one = self.receivers.get(usize::from(receiver)).context("a receiver that is none")?;
        let calls = one.calls.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(match one.manner {
            Manner::Takes => Some(TAKEN),
            Manner::TakesOneIn(number) if calls.is_multiple_of(number) => Some(TAKEN),
            Manner::TakesOneIn(_) | Manner::Refuses => Some(REFUSED),
            Manner::Hangs => None,
        })
    }
}

/// The parameter that has the unique id, the query's first.
const MOMENT: &str = "u";

/// The moment, in microseconds, and the number that makes it distinct.
fn unique_id(sent: Duration, index: usize) -> String {
    format!("{}-{index}", sent.as_micros())
}

fn arrival(receiver: u16, arrived: Duration, head: &str) -> Option<Arrival> {
    let (_, query) = head.split_once('?')?;
    let (micros, _) = query.strip_prefix(MOMENT)?.strip_prefix('=')?.split_once('-')?;
    let caused = Duration::from_micros(micros.parse().ok()?);
    let id = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("x-crumb-delivery").then(|| value.trim())
    })?;
    Some(Arrival { id: id.parse().ok()?, receiver, caused, arrived })
}

fn address_of(receiver: u16) -> Ipv4Addr {
    let (block, place) = (receiver / BLOCK, receiver % BLOCK);
    let small = |number: u16| u8::try_from(number).expect("there are not that many receivers");
    Ipv4Addr::new(NETWORK[0], NETWORK[1], small(block), small(place + 1))
}

fn receiver_at(address: IpAddr) -> Option<u16> {
    let IpAddr::V4(address) = address else { return None };
    let [first, second, block, place] = address.octets();
    let receiver = || Some(u16::from(block) * BLOCK + u16::from(place.checked_sub(1)?));
    if [first, second] == NETWORK { receiver() } else { None }
}

async fn accept(listener: TcpListener, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    loop {
        // A connection that has gone again before it was accepted is none.
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        seen.connections.fetch_add(1, Ordering::Relaxed);
        connections.spawn(serve(stream, Arc::clone(&seen)));
    }
}

/// Answers the calls of a connection until it ends. What is no call ends it too, and is missed in the counts.
async fn serve(mut stream: TcpStream, seen: Arc<Seen>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let receiver = receiver_at(stream.local_addr()?.ip()).context("an address that is no receiver's")?;
    let mut buffer = Vec::with_capacity(1024);
    while buffer.len() < HEAD_BYTES_MAX && stream.read_buf(&mut buffer).await? > 0 {
        if !buffer.ends_with(b"\r\n\r\n") {
            continue;
        }
        if let Some(answer) = seen.call(receiver, str::from_utf8(&buffer)?)? {
            stream.write_all(answer).await?;
        }
        buffer.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::ids::{ConversionId, PostbackId};

    use super::*;
    use crate::client::Connection;

    async fn call(receivers: &Receivers, receiver: u16, caused: Duration) -> u16 {
        let url = receivers.url(receiver).replace("{unique_id}", &unique_id(caused, 3));
        let (host, path) = url.strip_prefix("http://").and_then(|it| it.split_once('/')).expect("a URL");
        let mut connection = Connection::open(host.parse().expect("an address")).await.expect("it listens");
        let request =
            format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nX-Crumb-Delivery: 42-0-{receiver}\r\n\r\n");
        connection.ask(request.as_bytes()).await.expect("it answers").status
    }

    #[tokio::test]
    async fn each_address_answers_in_its_manner_and_what_arrives_is_kept() {
        let manners = [Manner::Takes, Manner::Refuses, Manner::TakesOneIn(2)];
        let receivers = Receivers::start(752, |it| manners[usize::from(it) % 3]).expect("started");
        let caused = Duration::from_micros(1_234_567);
        let mut answers = Vec::new();
        for receiver in [0, 1, 2, 2, 249, 250, 751] {
            answers.push(call(&receivers, receiver, caused).await);
        }
        assert_eq!(answers, [200, 500, 500, 200, 200, 500, 500]);
        assert_eq!(receivers.connections(), 7);
        let arrivals = receivers.arrivals().clone();
        assert_eq!(arrivals.iter().map(|it| it.receiver).collect::<Vec<_>>(), [0, 1, 2, 2, 249, 250, 751]);
        let last = arrivals.last().expect("there are seven");
        let id = DeliveryId { conversion_id: ConversionId(42), booking: 0, postback_id: PostbackId(751) };
        assert_eq!((last.id, last.caused), (id, caused));
        assert!(last.arrived <= receivers.now());
    }

    #[tokio::test]
    async fn one_that_hangs_keeps_what_arrives_and_says_nothing() {
        let receivers = Receivers::start(1, |_| Manner::Hangs).expect("started");
        tokio::select! {
            status = call(&receivers, 0, Duration::ZERO) => panic!("answered {status}"),
            () = async { while receivers.arrivals().is_empty() { tokio::task::yield_now().await } } => {}
        }
    }

    #[test]
    fn what_is_no_call_is_no_arrival() {
        let check = |head: &str| assert!(arrival(0, Duration::ZERO, head).is_none(), "{head}");
        check("GET / HTTP/1.1\r\nx-crumb-delivery: 1-0-1\r\n\r\n");
        check("GET /?u=12-1 HTTP/1.1\r\n\r\n");
        check("GET /?u=soon-1 HTTP/1.1\r\nx-crumb-delivery: 1-0-1\r\n\r\n");
        check("GET /?u=12-1 HTTP/1.1\r\nx-crumb-delivery: 1-0\r\n\r\n");
    }
}
