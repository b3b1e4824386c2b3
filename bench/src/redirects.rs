//! Durable redirects beside nginx: each server alone on one core, `wrk` on another, in rounds that
//! alternate so that a slow minute of the machine meets them all.

use std::path::Path;

use anyhow::ensure;

use crate::arguments::Arguments;
use crate::day::Day;
use crate::drive::spinner;
use crate::network::Template;
use crate::nginx::{Log, Nginx};
use crate::report::{Figure, Report, Target};
use crate::server::{Options, Server};
use crate::statistics::Spread;
use crate::tools::{SERVER_CORE, output};
use crate::wrk::{Measured, Wrk};

/// Before each round, in seconds.
const WARM_UP: u64 = 1;
/// How long the single visitor asks, in seconds.
const IDLE: u64 = 3;
/// Of nginx with an unbuffered log, at least.
const RATIO_MIN: f64 = 0.9;

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contender {
    Crumb,
    Nginx(Log),
}

const CONTENDERS: [(Contender, &str); 4] = [
    (Contender::Crumb, "crumb, durable, sealing on the same core"),
    (Contender::Nginx(Log::Off), "nginx, no log"),
    (Contender::Nginx(Log::Buffered), "nginx, buffered log, no sync"),
    (Contender::Nginx(Log::Unbuffered), "nginx, unbuffered log, no sync"),
];

/// Measures all contenders.
pub async fn measure(
    arguments: &Arguments,
    folder: &Path,
    template: &Template,
    day: &Day,
    report: &mut Report,
) -> anyhow::Result<()> {
    let bench = Bench { arguments, folder, template, wrk: Wrk::prepare(folder, day)? };
    let mut rounds = CONTENDERS.map(|_| Vec::new());
    for round in 1..=arguments.rounds {
        for ((contender, name), measured) in CONTENDERS.iter().zip(&mut rounds) {
            let progress = spinner(format!("redirects, round {round} of {}: {name}", arguments.rounds));
            measured.push(bench.round(*contender, arguments.connections, arguments.seconds, report).await?);
            progress.finish_and_clear();
        }
    }
    let rates = rounds.each_ref().map(|rounds| Spread::of(rounds.iter().map(Measured::per_second)));
    for (index, (contender, name)) in CONTENDERS.iter().enumerate() {
        let mut figure = Figure::new("redirects", name, "/s", rates[index].median).within(rates[index]);
        if let Contender::Nginx(log) = contender {
            figure = figure.beside("crumb ÷ this", rates[0].median / rates[index].median);
            figure.target = (*log == Log::Unbuffered).then_some(Target::RatioAtLeast(RATIO_MIN));
        }
        report.add(figure);
        let p50 = Spread::of(rounds[index].iter().map(Measured::p50_ms));
        report.add(Figure::new("redirects", "  p50", "ms", p50.median).within(p50));
        let p99 = Spread::of(rounds[index].iter().map(Measured::p99_ms));
        report.add(Figure::new("redirects", "  p99", "ms", p99.median).within(p99));
    }
    let progress = spinner("redirects, one visitor at a time".to_owned());
    let idle = bench.round(Contender::Crumb, 1, IDLE, report).await?;
    progress.finish_and_clear();
    report.add(Figure::new("redirects", "crumb, durable, one connection", "/s", idle.per_second()));
    report.add(Figure::new("redirects", "  p50", "ms", idle.p50_ms()));
    report.add(Figure::new("redirects", "  p99", "ms", idle.p99_ms()));
    Ok(())
}

struct Bench<'b> {
    arguments: &'b Arguments,
    folder: &'b Path,
    template: &'b Template,
    wrk: Wrk,
}

impl Bench<'_> {
    /// A fresh server, warmed up and measured, then gone with its files.
    async fn round(
        &self,
        contender: Contender,
        connections: u64,
        seconds: u64,
        report: &mut Report,
    ) -> anyhow::Result<Measured> {
        let folder = self.folder.join("redirects");
        let measured = match contender {
            Contender::Nginx(log) => {
                let nginx = Nginx::start(&folder, log)?;
                self.wrk.run(nginx.address, connections, WARM_UP)?;
                self.wrk.run(nginx.address, connections, seconds)?
            }
            Contender::Crumb => {
                let server = Server::start_from(self.template, &self.options(&folder))?;
                let warm_up = self.wrk.run(server.address, connections, WARM_UP)?;
                let measured = self.wrk.run(server.address, connections, seconds)?;
                let (answers, stored) = (warm_up.requests + measured.requests, server.click_rows().await?);
                // What is in flight when wrk's time is up was answered too, but not counted.
                let uncounted = stored.saturating_sub(answers);
                ensure!(
                    stored >= answers && uncounted <= 2 * connections,
                    "{answers} redirects were answered and {stored} clicks are stored"
                );
                report.checked("redirects", answers, stored, uncounted);
                server.kill()?;
                measured
            }
        };
        std::fs::remove_dir_all(&folder)?;
        // What one leaves for the disk must not slow the next.
        output(&mut std::process::Command::new("sync"))?;
        Ok(measured)
    }

    fn options(&self, folder: &Path) -> Options {
        let mut options = Options::new(&self.arguments.crumb, folder);
        options.core = Some(SERVER_CORE);
        options.settings.push(("CRUMB_SERVER__WORKERS", "1"));
        options
    }
}
