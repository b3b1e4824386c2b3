//! Running `wrk`, pinned to the load's core.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::day::{Day, Visit};
use crate::statistics::float;
use crate::tools::{LOAD_CORE, output, pinned};

/// What draws the requests.
const SCRIPT: &str = include_str!("../data/links.lua");
/// Prepared requests; after the last comes the first again.
const REQUESTS: usize = 20_000;

/// A prepared load.
pub struct Wrk {
    script: PathBuf,
    requests: PathBuf,
}

/// What `wrk` measured.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Measured {
    /// Whole answers.
    pub requests: u64,
    micros: u64,
    p50_us: u64,
    p99_us: u64,
    errors: u64,
}

impl Wrk {
    /// Prepares the clicks of a day.
    pub fn prepare(folder: &Path, day: &Day) -> anyhow::Result<Self> {
        let line = |index| {
            let Visit { path, user_agent, referrer, .. } = day.visit(index);
            format!("{path}\t{user_agent}\t{referrer}\n")
        };
        let (script, requests) = (folder.join("links.lua"), folder.join("links.txt"));
        std::fs::write(&script, SCRIPT)?;
        std::fs::write(&requests, (0..REQUESTS).map(line).collect::<String>())?;
        Ok(Self { script, requests })
    }

    /// Asks for `seconds` over `connections`. Any error or answer of 400 and above voids the run.
    pub fn run(&self, address: SocketAddr, connections: u64, seconds: u64) -> anyhow::Result<Measured> {
        let mut command = pinned("wrk", Some(LOAD_CORE));
        command.args(["--threads", "1", "--connections", &connections.to_string()]);
        command.arg("--duration").arg(format!("{seconds}s")).arg("--script").arg(&self.script);
        command.arg(format!("http://{address}/")).arg("--").arg(&self.requests);
        let text = output(&mut command)?;
        let measured = text.lines().find_map(|line| line.strip_prefix("measured "));
        let measured: Measured = serde_json::from_str(measured.with_context(|| format!("wrk said {text}"))?)?;
        ensure!(measured.errors == 0 && measured.requests > 0, "wrk met errors: {text}");
        Ok(measured)
    }
}

impl Measured {
    /// Answers per second.
    pub fn per_second(&self) -> f64 {
        float(self.requests) / float(self.micros) * 1e6
    }

    /// The median latency, in milliseconds.
    pub fn p50_ms(&self) -> f64 {
        float(self.p50_us) / 1e3
    }

    /// The latency 99 of 100 answers stay under, in milliseconds.
    pub fn p99_ms(&self) -> f64 {
        float(self.p99_us) / 1e3
    }
}
