//! Running `wrk`, pinned to the load's core.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::day::Day;
use crate::statistics::float;
use crate::tools::{LOAD_CORE, output, pinned};

/// What draws the requests.
const SCRIPT: &str = include_str!("../data/links.lua");
/// Prepared clicks; after the last comes the first again.
pub const CLICKS: usize = 20_000;

/// A prepared load.
pub struct Wrk {
    script: PathBuf,
    requests: PathBuf,
    core: usize,
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
    /// Prepares the clicks of a day, to come from the load's core.
    pub fn of_clicks(folder: &Path, day: &Day) -> anyhow::Result<Self> {
        let mut lines = String::new();
        for index in 0..CLICKS {
            let visit = day.visit(index);
            lines.push_str(&visit.path);
            for (name, value) in visit.headers() {
                write!(lines, "\t{name}: {value}").expect("writing to a string");
            }
            lines.push('\n');
        }
        Self::prepare(folder, "clicks", &lines, LOAD_CORE)
    }

    /// Prepares requests, a line each: the path, then headers, with tabs between.
    pub fn prepare(folder: &Path, name: &str, lines: &str, core: usize) -> anyhow::Result<Self> {
        let (script, requests) = (folder.join("links.lua"), folder.join(format!("{name}.txt")));
        std::fs::write(&script, SCRIPT)?;
        std::fs::write(&requests, lines)?;
        Ok(Self { script, requests, core })
    }

    /// Asks for `seconds` over `connections`. Any error or answer of 400 and above voids the run.
    pub fn run(&self, address: SocketAddr, connections: u64, seconds: u64) -> anyhow::Result<Measured> {
        let mut command = pinned("wrk", Some(self.core));
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
