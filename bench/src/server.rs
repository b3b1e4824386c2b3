//! A running `crumb serve` on a data folder, killed when dropped.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::client::{Connection, get};
use crate::listing;
use crate::network::Template;
use crate::statistics::float;
use crate::tools::{SERVER_CORE, output, pinned};

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `crumb` binary.
    pub binary: PathBuf,
    /// Its data folder.
    pub folder: PathBuf,
    /// The only core it may use.
    core: Option<usize>,
    /// Settings, as `CRUMB_SECTION__KEY`.
    settings: Vec<(&'static str, OsString)>,
}

impl Options {
    /// A server with the defaults.
    pub fn new(binary: &Path, folder: &Path) -> Self {
        Self { binary: binary.to_owned(), folder: folder.to_owned(), core: None, settings: Vec::new() }
    }

    /// With a setting.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<OsString>) -> Self {
        self.settings.push((key, value.into()));
        self
    }

    /// With one worker, on the server's core alone.
    #[must_use]
    pub fn on_one_core(mut self) -> Self {
        self.core = Some(SERVER_CORE);
        self.with("CRUMB_SERVER__WORKERS", "1")
    }
}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// A key that may do everything.
    pub key: String,
    /// From its start to the line that says it listens.
    pub started_in: Duration,
    child: Child,
    // Open as long as the server runs, or its next line would end it.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Copies the template's network to a fresh folder and starts on it.
    pub fn start_from(template: &Template, options: &Options) -> anyhow::Result<Self> {
        template.copy_to(&options.folder)?;
        Self::start(options, template.key().to_owned())
    }

    /// Starts on the folder as it is; returns once the server listens.
    pub fn start(options: &Options, key: String) -> anyhow::Result<Self> {
        let log = options.folder.with_extension("log");
        let mut command = pinned(&options.binary, options.core);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&options.folder);
        command
            .envs(options.settings.iter().map(|(key, value)| (key, value)))
            .env("CRUMB_LOG__LEVEL", "warn");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let begun = Instant::now();
        let mut child = command.spawn().with_context(|| format!("starting {}", options.binary.display()))?;
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let started_in = begun.elapsed();
        let Some(address) = line.trim().strip_prefix("listening on http://") else {
            let _ = child.kill();
            let _ = child.wait();
            bail!("crumb serve did not start: {line}{}", std::fs::read_to_string(log)?);
        };
        Ok(Self { address: address.parse()?, key, started_in, child, _stdout: stdout })
    }

    /// Stops in good order.
    pub fn stop(mut self) -> anyhow::Result<()> {
        // The shell has its own: the program of that name is not on every machine.
        let signal = format!("kill -TERM {}", self.child.id());
        output(Command::new("sh").args(["-c", &signal]))?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { bail!("crumb serve ended with {status}") }
    }

    /// Kills it, as a power cut would.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The memory it takes beyond the system's page cache, in MB.
    pub fn memory_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("RssAnon")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(float(kib) * 1024.0 / 1e6)
    }

    /// The value of a counter or gauge.
    pub async fn metric(&self, name: &str) -> anyhow::Result<u64> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.ask(&get("/metrics", &self.key)).await?;
        let text = str::from_utf8(answer.body)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.with_context(|| format!("no metric {name}"))?.parse().context("a metric's value")
    }

    /// Waits until nothing is left to seal, and says how many clicks are in no segment.
    pub async fn settle(&self) -> anyhow::Result<u64> {
        /// A segment is written in well under this.
        const QUIET: Duration = Duration::from_secs(2);
        let (mut last, mut since) = (self.metric("crumb_recent_clicks").await?, Instant::now());
        while since.elapsed() < QUIET {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = self.metric("crumb_recent_clicks").await?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(last)
    }

    /// All clicks there are, as Get Click counts them.
    pub async fn click_rows(&self) -> anyhow::Result<u64> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.get_json(&listing::clicks(0, 1, None), &self.key).await?;
        answer["response"]["total_rows"].as_u64().context("total_rows")
    }

    /// All conversions there are, as Get Conversions counts them.
    pub async fn conversion_rows(&self) -> anyhow::Result<u64> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.get_json(&listing::conversions(), &self.key).await?;
        answer["total_rows"].as_u64().context("total_rows")
    }

    /// All deliveries of that status, as the list of deliveries counts them.
    pub async fn delivery_rows(&self, status: &str) -> anyhow::Result<u64> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.get_json(&listing::deliveries(status), &self.key).await?;
        answer["total_rows"].as_u64().context("total_rows")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing to do for one that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
