//! A receiver of postbacks on 127.0.0.1: keeps what it was sent, and answers as its test says.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest a test waits for what it expects.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest body it reads.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// When its head had come.
    pub at: Instant,
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Received {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The delivery's id.
    pub fn delivery_id(&self) -> &str {
        self.header("x-crumb-delivery").expect("every delivery says its id")
    }

    /// The value of a parameter of the query, as it came.
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(it, _)| *it == name).map(|it| it.1)
    }
}

/// What a receiver does with a request.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status, these header lines (each ending with CR LF) and this body.
    Answer(u16, String, String),
    /// Answers with this status, so much later.
    Late(Duration, u16),
    /// Never answers, and keeps the connection.
    Hang,
    /// Closes the connection without an answer.
    Close,
}

struct Shared {
    received: Mutex<Vec<Received>>,
    changed: Condvar,
    stopped: AtomicBool,
    react: Box<dyn Fn(&Received) -> Reaction + Send + Sync>,
}

/// The receiver. It stops when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One that answers everything with 200.
    pub fn start() -> Self {
        Self::reacting(|_| Reaction::Status(200))
    }

    /// One that reacts as told.
    pub fn reacting(react: impl Fn(&Received) -> Reaction + Send + Sync + 'static) -> Self {
        Self::listening_on("127.0.0.1:0".parse().expect("an address"), react)
    }

    /// One on an address of its own; `0.0.0.0` makes it a thousand receivers, one on each `127.0.x.y`.
    pub fn listening_on(
        address: SocketAddr,
        react: impl Fn(&Received) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
            react: Box::new(react),
        });
        let serving = Arc::clone(&shared);
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.stopped.load(Ordering::Acquire) {
                    return;
                }
                let serving = Arc::clone(&serving);
                // A client that breaks off is what tests are about.
                std::thread::spawn(move || drop(serving.serve(&stream)));
            }
        });
        Self { address, shared, listening: Some(listening) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL of it, with this path and query.
    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// What it was sent so far, in the order it came.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received().clone()
    }

    /// Forgets what it was sent.
    pub fn forget(&self) {
        self.shared.received().clear();
    }

    /// Waits until it was sent so many requests, and returns them all.
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        self.wait_until(|received| received.len() >= count)
    }

    /// Waits until what it was sent is as wanted, and returns it.
    pub fn wait_until(&self, wanted: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let received = self.shared.received();
        let waited = self.shared.changed.wait_timeout_while(received, PATIENCE, |it| !wanted(it));
        let (received, timeout) = waited.expect("nobody panics with it");
        assert!(!timeout.timed_out(), "only these came: {received:#?}");
        received.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.changed.notify_all();
        // Wakes the one that accepts.
        let port = self.address.port();
        let _ = TcpStream::connect(("127.0.0.1", port));
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

impl Shared {
    fn received(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().expect("nobody panics with it")
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = read(&mut reader)? {
            let reaction = (self.react)(&request);
            self.received().push(request);
            self.changed.notify_all();
            let (status, headers, body) = match reaction {
                Reaction::Status(status) => (status, String::new(), String::new()),
                Reaction::Answer(status, headers, body) => (status, headers, body),
                Reaction::Late(time, status) => {
                    self.pause(time);
                    (status, String::new(), String::new())
                }
                Reaction::Hang => {
                    self.pause(PATIENCE * 10);
                    return Ok(());
                }
                Reaction::Close => return stream.shutdown(Shutdown::Both),
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
            (&mut &*stream).write_all(answer.as_bytes())?;
        }
        Ok(())
    }

    /// Waits so long, or until the receiver stops.
    fn pause(&self, time: Duration) {
        let is_running = |_: &mut Vec<Received>| !self.stopped.load(Ordering::Acquire);
        drop(self.changed.wait_timeout_while(self.received(), time, is_running));
    }
}

/// The next request of a connection; none at its end.
fn read(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Received>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let at = Instant::now();
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0).min(BODY_BYTES_MAX);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(Received { at, method, target, headers, body }))
}
