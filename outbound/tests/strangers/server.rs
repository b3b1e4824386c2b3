//! Servers on 127.0.0.1 that say, byte for byte, what a test has them say.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outbound::{AllowPrivate, Answer, Call, CallError, Called, Caller, Method, Options, Resolve};

/// A server; each connection has a thread and goes by the same script.
pub struct Server {
    pub port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(script: impl Fn(&mut Peer<TcpStream>) + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1:0", |stream| stream, script)
    }

    /// A server at this address that speaks through what `wrap` makes of a connection.
    pub fn on<S: Read + Write>(
        address: &str,
        wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
        script: impl Fn(&mut Peer<S>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (count, record) = (Arc::clone(&connections), Arc::clone(&requests));
        let script = Arc::new((wrap, script));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let (script, record) = (Arc::clone(&script), Arc::clone(&record));
                std::thread::spawn(move || {
                    let stream = BufReader::new(script.0(stream.expect("a connection")));
                    script.1(&mut Peer { stream, record });
                });
            }
        });
        Self { port, connections, requests }
    }

    /// Answers every request with these bytes.
    pub fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |peer| while peer.request().is_some() && peer.say(&bytes) {})
    }

    /// Answers the first request of each connection with these bytes and closes.
    pub fn answering_once(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |peer| {
            peer.request();
            peer.say(&bytes);
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// All that was asked, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("not poisoned").clone()
    }
}

/// Who is on the other side.
pub struct Peer<S> {
    stream: BufReader<S>,
    record: Arc<Mutex<Vec<String>>>,
}

impl<S: Read + Write> Peer<S> {
    /// The next request, head and body; none when the other side has closed.
    pub fn request(&mut self) -> Option<String> {
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut request).ok()? == 0 {
                return None;
            }
        }
        let length =
            request.lines().find_map(|it| it.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).ok()?;
        request.push_str(&String::from_utf8_lossy(&body));
        self.record.lock().expect("not poisoned").push(request.clone());
        Some(request)
    }

    /// Whether the other side still takes it.
    pub fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).and_then(|()| self.stream.get_mut().flush()).is_ok()
    }

    /// Returns when the other side has closed.
    pub fn wait_for_close(&mut self) {
        let _ = std::io::copy(&mut self.stream, &mut std::io::sink());
    }

    /// Lets so much time pass, or less if the other side closes; says whether it is still there.
    pub fn pause(&mut self, time: Duration) -> bool
    where
        S: Timed,
    {
        self.stream.get_mut().read_for(time);
        let closed = matches!(self.stream.fill_buf(), Ok([]));
        !closed
    }

    pub fn stream(&mut self) -> &mut S {
        self.stream.get_mut()
    }
}

/// A connection whose reads can end after a while.
pub trait Timed {
    fn read_for(&mut self, time: Duration);
}

impl Timed for TcpStream {
    fn read_for(&mut self, time: Duration) {
        self.set_read_timeout(Some(time)).expect("a time limit");
    }
}

/// 127.0.0.0/8 and nothing else beside the public addresses; short times.
pub fn options() -> Options {
    Options {
        allow_private: AllowPrivate::Networks(vec!["127.0.0.0/8".parse().expect("a network")]),
        connect_timeout: Duration::from_secs(20),
        timeout: Duration::from_secs(30),
        ..Options::default()
    }
}

/// Waits for no answer longer than a moment.
pub fn impatient() -> Options {
    Options { timeout: Duration::from_millis(300), ..options() }
}

pub fn caller() -> Caller {
    Caller::new(options()).expect("a caller")
}

/// A caller to whom every name has these addresses.
pub fn resolving(options: Options, addresses: &[&str]) -> Caller {
    let addresses: Vec<IpAddr> = addresses.iter().map(|it| it.parse().expect("an address")).collect();
    let resolver: Arc<dyn Resolve> = Arc::new(move |_: &str| Ok(addresses.clone()));
    Caller::with_resolver(options, resolver).expect("a caller")
}

pub fn get_call(url: impl Into<String>) -> Call {
    Call { method: Method::Get, url: url.into(), headers: Vec::new(), body: None }
}

pub async fn get(caller: &Caller, url: impl Into<String>) -> Result<Answer, CallError> {
    let Called { outcome, .. } = caller.call(get_call(url)).await;
    outcome
}
