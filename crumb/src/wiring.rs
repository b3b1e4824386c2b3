//! Building everything, top-down, and taking it down again in order: listeners, requests in flight,
//! journal, ledger. Since `kill -9` loses nothing that was answered, stopping is only tidiness.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use app::{App, Chance, Clock, Opened, Parts};
use tokio::sync::watch;
use web::server::Limits;
use web::tls::Tls;
use web::{Web, WebOptions};

use crate::config::Config;
use crate::folder::Folder;
use crate::open_files;
use crate::sockets::Sockets;

/// How often it is looked up whether another process has changed keys, network or files.
const REFRESH: Duration = Duration::from_millis(500);

/// How far upkeep steps back for visitors: on a core that is too busy for all it gets a tenth.
const UPKEEP_NICENESS: i32 = 10;
/// How far the sealer does: to a quarter, for what it cannot seal stays in memory.
const SEALER_NICENESS: i32 = 5;

/// A running server.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens for HTTPS.
    pub tls_address: Option<SocketAddr>,
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
    let tls_listen = config.tls_listen()?;
    let tls = tls_listen.map(|_| Tls::open(config.tls.certificate.clone(), config.tls.key.clone()));
    let tls = tls.transpose()?.map(Arc::new);
    let sockets = Sockets::open(config.server.listen, tls_listen, config.workers(), config.client_timeout())?;
    let connections = open_files::fit_connections(config.server.connections, config.postbacks.workers)?;
    let limits = Limits {
        connections_max: connections.div_ceil(config.workers()).max(1),
        head_timeout: config.client_timeout(),
    };
    let (address, tls_address) = sockets[0].addresses()?;
    let parts = parts(config, &folder, clock, chance)?;
    let Opened { app, sealer, upkeep, approver, conversion_writer, impression_writer, deliverer } =
        app::open(parts, &folder.segments())?;
    let public_url = Some(config.server.public_url.clone()).filter(|url| !url.is_empty());
    let web = Web::new(
        Arc::clone(&app),
        WebOptions {
            public_url,
            tracking_domains: config.tracking_domains()?,
            cookies: config.cookies()?,
            trusted_proxies: config.trusted_proxies()?,
            demo,
        },
    );

    let (stop, stopped) = watch::channel(false);
    let (tell, died) = mpsc::channel();
    let spawn = Spawn { stopped: stopped.clone(), tell };
    let mut workers = Vec::new();
    for (number, sockets) in sockets.into_iter().enumerate() {
        let (web, tls, stopped) = (web.clone(), tls.clone(), stopped.clone());
        workers.push(
            spawn.thread(&format!("worker-{number}"), move || serve(web, sockets, tls, limits, stopped))?,
        );
    }
    let refreshed = Arc::clone(&app);
    let until = stopped.clone();
    workers.push(spawn.thread("refresh", move || refresh(&refreshed, tls.as_deref(), until))?);
    let (kept, decided, mut delivered) = (stopped.clone(), stopped.clone(), stopped.clone());
    let background = vec![
        spawn.thread("conversions", move || conversion_writer.run())?,
        spawn.thread("deliveries", move || {
            runtime().block_on(deliverer.run(async move {
                let _ = delivered.wait_for(|stop| *stop).await;
            }));
        })?,
        spawn.thread("impressions", move || impression_writer.run())?,
        spawn.thread("approvals", move || approver.run(&|| *decided.borrow()))?,
        spawn.thread("sealer", move || {
            step_back(SEALER_NICENESS);
            sealer.run(&|| *stopped.borrow());
        })?,
        spawn.thread("upkeep", move || {
            step_back(UPKEEP_NICENESS);
            upkeep.run(&|| *kept.borrow());
        })?,
    ];
    Ok(Running { address, tls_address, app, stop, workers, background, died })
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
        ledger: config.ledger(folder).open()?,
        place_files: config.place_files(),
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

/// Lets other threads go first where cores are scarce.
fn step_back(niceness: i32) {
    // Nothing depends on it, and there are systems without.
    let _ = rustix::process::setpriority_process(None, niceness);
}

fn serve(
    web: Web,
    sockets: Sockets,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    runtime().block_on(async move {
        let listeners = sockets.into_listeners(tls).expect("listening sockets");
        let stop = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        web::server::serve(web, listeners, limits, stop).await;
    });
}

fn refresh(app: &App, tls: Option<&Tls>, mut stopped: watch::Receiver<bool>) {
    runtime().block_on(async {
        loop {
            if let Err(error) = app.refresh().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "keys and network could not be refreshed"
                );
            }
            if let Err(error) = tls.map_or(Ok(()), Tls::reload) {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "certificate or key has changed and cannot be used; the pair before stays"
                );
            }
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
    });
}
