//! Building everything, top-down, and taking it down again in order: listeners, requests in flight,
//! journal, ledger. Since `kill -9` loses nothing that was answered, stopping is only tidiness.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use app::{App, Chance, Clock, Opened, Parts};
use ledger::sqlite::SqliteLedger;
use socket2::{Domain, Socket, Type};
use tokio::sync::watch;
use web::{Web, WebOptions};

use crate::config::Config;
use crate::folder::Folder;

/// Connections the system holds until a worker accepts them.
const BACKLOG: i32 = 4096;
/// How often it is looked up whether another process has changed keys or network.
const REFRESH: Duration = Duration::from_millis(500);

/// A running server.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it does.
    pub app: Arc<App>,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
    died: mpsc::Receiver<String>,
}

/// Starts a server: opens the data folder, replays the journal, then listens.
pub fn start(
    config: &Config,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    demo: bool,
) -> anyhow::Result<Running> {
    let folder = Folder::open(&config.data.dir)?;
    let listeners = listen(config.server.listen, config.workers())?;
    let address = listeners[0].local_addr()?;
    let parts = parts(config, &folder, clock, chance)?;
    let Opened { app, sealer, upkeep, conversion_writer } = app::open(parts, &folder.segments())?;
    let public_url = Some(config.server.public_url.clone()).filter(|url| !url.is_empty());
    let web = Web::new(
        Arc::clone(&app),
        WebOptions { public_url, trusted_proxies: config.trusted_proxies()?, demo },
    );

    let (stop, stopped) = watch::channel(false);
    let (tell, died) = mpsc::channel();
    let spawn = Spawn { stopped: stopped.clone(), tell };
    let mut workers = Vec::new();
    for (number, listener) in listeners.into_iter().enumerate() {
        let (web, stopped) = (web.clone(), stopped.clone());
        workers.push(spawn.thread(&format!("worker-{number}"), move || serve(web, listener, stopped))?);
    }
    let refreshed = Arc::clone(&app);
    let until = stopped.clone();
    workers.push(spawn.thread("refresh", move || refresh(&refreshed, until))?);
    let kept = stopped.clone();
    let background = vec![
        spawn.thread("conversions", move || conversion_writer.run())?,
        spawn.thread("sealer", move || sealer.run(&|| *stopped.borrow()))?,
        spawn.thread("upkeep", move || upkeep.run(&|| *kept.borrow()))?,
    ];
    Ok(Running { address, app, stop, workers, background, died })
}

/// What a product on that folder is made of.
pub fn parts(
    config: &Config,
    folder: &Folder,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
) -> anyhow::Result<Parts> {
    Ok(Parts {
        settings: config.settings()?,
        clock,
        chance,
        ledger: Arc::new(SqliteLedger::open(&folder.ledger())?),
        country_file: config.country_file(),
        journal: config.journal(folder.journal()),
        roll_after: config.roll_after(),
        upkeep: config.upkeep(),
    })
}

/// Starts named threads that report when they end by surprise.
struct Spawn {
    stopped: watch::Receiver<bool>,
    tell: mpsc::Sender<String>,
}

impl Spawn {
    fn thread(&self, name: &str, run: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
        let (stopped, tell, named) = (self.stopped.clone(), self.tell.clone(), name.to_owned());
        let watched = move || {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            if ended.is_err() || !*stopped.borrow() {
                // Nobody listens only when the process is going down already.
                let _ = tell.send(named);
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(watched).context("a thread cannot be started")
    }
}

impl Running {
    /// Waits for a signal to stop, or for a part to die by surprise: its name is then the error.
    pub fn wait(&self, signal: impl Future<Output = ()>) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut signal = std::pin::pin!(signal);
            loop {
                tokio::select! {
                    () = &mut signal => return Ok(()),
                    () = tokio::time::sleep(REFRESH) => {
                        if let Ok(name) = self.died.try_recv() {
                            anyhow::bail!("the thread {name} died; see the log");
                        }
                    }
                }
            }
        })
    }

    /// Stops accepting, finishes what is in flight, flushes, and returns.
    pub fn stop(self) {
        let Self { app, stop, workers, background, .. } = self;
        app.announce_stop();
        let _ = stop.send(true);
        join(workers);
        // The last one to hold it: now nobody can submit a conversion any more.
        drop(app);
        join(background);
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        // Panics were caught and told inside.
        let _ = thread.join();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built")
}

fn serve(web: Web, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
    runtime().block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
        let stop = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        web::server::serve(web, listener, stop).await;
    });
}

fn refresh(app: &App, mut stopped: watch::Receiver<bool>) {
    runtime().block_on(async {
        loop {
            if let Err(error) = app.refresh().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "keys and network could not be refreshed"
                );
            }
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
    });
}

/// One listener a worker, all on the same address: the system spreads the connections.
fn listen(address: SocketAddr, workers: usize) -> anyhow::Result<Vec<TcpListener>> {
    let bind = |address: SocketAddr, share: bool| -> std::io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(share)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    // Shared ports are shared with strangers too: without this, a second server would take half the requests.
    drop(bind(address, false).with_context(|| format!("cannot listen on {address}"))?);
    let first = bind(address, true).with_context(|| format!("cannot listen on {address}"))?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(bind(address, true).with_context(|| format!("cannot listen on {address}"))?);
    }
    Ok(listeners)
}
