//! Durable redirects beside nginx: each server alone on one core, `wrk` on another, in rounds that
//! alternate so that a slow minute of the machine meets them all.

use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;

use crate::arguments::Arguments;
use crate::day::Day;
use crate::drive::spinner;
use crate::network::Template;
use crate::nginx::{Log, Nginx};
use crate::pace::{self, Prepared};
use crate::report::{Figure, Report, Target};
use crate::server::Server;
use crate::statistics::Spread;
use crate::tools::{Here, LOAD_CORE, sync};
use crate::wrk::{Measured, Wrk};

/// Before each round, in seconds.
pub const WARM_UP: u64 = 1;
/// How long the single visitor asks, in seconds.
const IDLE: u64 = 3;
/// Of nginx with an unbuffered log, at least.
const RATIO_MIN: f64 = 0.9;
/// For 99 of 100 clicks of a single visitor, in milliseconds.
const IDLE_MS_MAX: f64 = 0.6;
/// For 99 of 100 clicks at half load, in milliseconds.
const HALF_LOAD_MS_MAX: f64 = 3.0;

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contender {
    Crumb,
    Nginx(Log),
}

const CONTENDERS: [(Contender, &str); 4] = [
    (Contender::Crumb, "crumb, durable, all on, sealing on the same core"),
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
    let bench = Bench { folder, template, wrk: Wrk::of_clicks(folder, day)? };
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
    report
        .add(Figure::new("redirects", "  p99", "ms", idle.p99_ms()).with_target(Target::AtMost(IDLE_MS_MAX)));
    bench.half_load(arguments, rates[0].median, &Prepared::of(day), report).await
}

struct Bench<'b> {
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
                let server =
                    Server::start_from(self.template, &self.template.options(&folder).on_one_core())?;
                let warm_up = self.wrk.run(server.address, connections, WARM_UP)?;
                let measured = self.wrk.run(server.address, connections, seconds)?;
                let answers = warm_up.requests + measured.requests;
                check_rows("redirects", &server, answers, 0, 2 * connections, report).await?;
                server.kill()?;
                measured
            }
        };
        std::fs::remove_dir_all(&folder)?;
        // What one leaves for the disk must not slow the next.
        sync()?;
        Ok(measured)
    }

    /// Half of the rate just measured, by schedule.
    async fn half_load(
        &self,
        arguments: &Arguments,
        rate: f64,
        prepared: &Arc<Prepared>,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let (connections, seconds) = (arguments.connections, arguments.seconds);
        let folder = self.folder.join("redirects");
        let server = Server::start_from(self.template, &self.template.options(&folder).on_one_core())?;
        let warm_up = self.wrk.run(server.address, connections, WARM_UP)?;
        let progress = spinner("redirects at half load".to_owned());
        let here = Here::pinned(LOAD_CORE)?;
        let paced = pace::drive(server.address, connections, rate / 2.0, seconds, prepared).await?;
        drop(here);
        progress.finish_and_clear();
        let answers = warm_up.requests + paced.answers;
        check_rows("redirects at half load", &server, answers, 0, connections, report).await?;
        report.rate("redirects", "crumb, durable, all on, half load by schedule", paced.per_second);
        report.add(Figure::new("redirects", "  p50", "ms", paced.latencies.ms(0.5)));
        let p99 = Figure::new("redirects", "  p99", "ms", paced.latencies.ms(0.99));
        report.add(p99.with_target(Target::AtMost(HALF_LOAD_MS_MAX)));
        report.add(Figure::new(
            "redirects",
            "  p99 of how late the load was",
            "ms",
            paced.sent_late.ms(0.99),
        ));
        server.kill()?;
        std::fs::remove_dir_all(&folder)?;
        sync()
    }
}

/// Compares answers with rows, where `before` were there already. What was in flight when time was up
/// was answered too, but not counted.
pub async fn check_rows(
    what: &'static str,
    server: &Server,
    answers: u64,
    before: u64,
    in_flight_max: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let stored = server.click_rows().await? - before;
    let uncounted = stored.saturating_sub(answers);
    ensure!(
        stored >= answers && uncounted <= in_flight_max,
        "{answers} redirects were answered and {stored} clicks are stored"
    );
    report.checked(what, answers, stored, uncounted);
    let accepted = server.metric("crumb_clicks_accepted_total").await?;
    let refused = server.metric("crumb_clicks_refused_total").await?;
    ensure!(accepted > refused, "{refused} of {stored} clicks were refused: their countries were not known");
    Ok(())
}
