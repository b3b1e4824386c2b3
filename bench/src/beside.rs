//! Redirects while the server does something else on the same core: each kind of work beside none, in
//! rounds that alternate.

use std::path::Path;

use anyhow::ensure;

use crate::arguments::Arguments;
use crate::day::Day;
use crate::drive::spinner;
use crate::generate::{self, Sample};
use crate::network::Template;
use crate::redirects::{WARM_UP, check_rows};
use crate::report::{Figure, Report, Target};
use crate::server::{Options, Server};
use crate::statistics::Spread;
use crate::tools::{SERVER_CORE, sync};
use crate::wrk::{Measured, Wrk};
use crate::{listing, tools};

/// Of the rate beside nothing, at least.
const RATIO_MIN: f64 = 0.75;
/// What a core's clicks fill of a journal file in a second, at most, in MiB.
const MIB_PER_SECOND: u64 = 16;
/// Journal files the clicks at rest came from: some 46,000 clicks each.
const SMALL_FILE_BYTES: u64 = 16 << 20;
/// Campaigns that are asked about: those of the busiest affiliates.
const CAMPAIGNS: usize = 400;

/// What the server does beside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Nothing,
    Sealing,
    Compaction,
    Questions,
}

const WORKS: [(Work, &str); 4] = [
    (Work::Nothing, "beside nothing"),
    (Work::Sealing, "beside sealing, each second"),
    (Work::Compaction, "beside compaction"),
    (Work::Questions, "beside one client's counts and lists by offer and affiliate"),
];

/// Measures all of them.
pub async fn measure(
    arguments: &Arguments,
    folder: &Path,
    template: &Template,
    day: &Day,
    sample: &mut Sample,
    report: &mut Report,
) -> anyhow::Result<()> {
    let base = folder.join("beside-base");
    template.copy_to(&base)?;
    // Small segments, so that there is something to join.
    generate::generate(&base, sample, arguments.clicks, SMALL_FILE_BYTES, generate::GAP_MS)?;
    let bench = Bench {
        arguments,
        folder: folder.join("beside"),
        base,
        template,
        clicks: Wrk::of_clicks(folder, day)?,
        questions: Wrk::prepare(folder, "questions", &questions(template), SERVER_CORE)?,
    };
    let mut rounds = WORKS.map(|_| Vec::new());
    for round in 1..=arguments.rounds {
        for ((work, name), measured) in WORKS.iter().zip(&mut rounds) {
            let progress = spinner(format!("redirects, round {round} of {}: {name}", arguments.rounds));
            measured.push(bench.round(*work, report).await?);
            progress.finish_and_clear();
        }
    }
    std::fs::remove_dir_all(&bench.base)?;
    for (index, (work, name)) in WORKS.iter().enumerate() {
        let rate = |index: usize| Spread::of(rounds[index].iter().map(|it| it.clicks.per_second()));
        let p99 = Spread::of(rounds[index].iter().map(|it| it.clicks.p99_ms()));
        let mut figure = Figure::new("beside", name, "/s", rate(index).median).within(rate(index));
        if *work != Work::Nothing {
            figure = figure.beside("÷ beside nothing", rate(index).median / rate(0).median);
            figure.target = Some(Target::RatioAtLeast(RATIO_MIN));
        }
        report.add(figure);
        report.add(Figure::new("beside", "  p99", "ms", p99.median).within(p99));
        add_questions(&rounds[index], report);
    }
    Ok(())
}

/// What a round found.
struct Round {
    clicks: Measured,
    questions: Option<Measured>,
}

/// How the questions fared, where there were any.
fn add_questions(rounds: &[Round], report: &mut Report) {
    let asked: Vec<_> = rounds.iter().filter_map(|round| round.questions).collect();
    if asked.is_empty() {
        return;
    }
    let rate = Spread::of(asked.iter().map(Measured::per_second));
    report.add(Figure::new("beside", "  questions answered meanwhile", "/s", rate.median).within(rate));
    let p50 = Spread::of(asked.iter().map(Measured::p50_ms));
    report.add(Figure::new("beside", "  p50 of a question", "ms", p50.median).within(p50));
}

struct Bench<'b> {
    arguments: &'b Arguments,
    folder: std::path::PathBuf,
    base: std::path::PathBuf,
    template: &'b Template,
    clicks: Wrk,
    questions: Wrk,
}

impl Bench<'_> {
    /// A fresh server on the same clicks, warmed up and measured, then gone with its files.
    async fn round(&self, work: Work, report: &mut Report) -> anyhow::Result<Round> {
        let Arguments { connections, seconds, clicks, .. } = *self.arguments;
        tools::output(std::process::Command::new("cp").arg("-r").arg(&self.base).arg(&self.folder))?;
        let options = self.options(work);
        let server = Server::start(&options, self.template.key().to_owned())?;
        // The journal's next file is filled; that is not to be measured. Compaction begins in the meantime.
        if work != Work::Compaction {
            server.settle().await?;
        }
        sync()?;
        let warm_up = self.clicks.run(server.address, connections, WARM_UP)?;
        let sealed = server.metric("crumb_segments_sealed_total").await?;
        let round = std::thread::scope(|scope| {
            let asking = (work == Work::Questions)
                .then(|| scope.spawn(|| self.questions.run(server.address, 1, seconds)));
            let clicks = self.clicks.run(server.address, connections, seconds)?;
            let questions = asking.map(|it| it.join().expect("it does not panic")).transpose()?;
            anyhow::Ok(Round { clicks, questions })
        })?;
        let sealed = server.metric("crumb_segments_sealed_total").await? - sealed;
        ensure!((sealed > 0) == (work == Work::Sealing), "{sealed} segments were sealed meanwhile");
        let joined = server.metric("crumb_segments_joined_total").await?;
        // On a core this busy joining steps back, and may not come to its end in a round.
        ensure!(joined == 0 || work == Work::Compaction, "{joined} segments were joined meanwhile");
        let answers = warm_up.requests + round.clicks.requests;
        check_rows("redirects beside other work", &server, answers, clicks, 2 * connections, report).await?;
        server.kill()?;
        std::fs::remove_dir_all(&self.folder)?;
        sync()?;
        Ok(round)
    }

    /// Where nothing is to be sealed, a journal file takes all clicks of a round.
    fn options(&self, work: Work) -> Options {
        let rows_max = if work == Work::Compaction { "4000000" } else { "0" };
        let options = self.template.options(&self.folder).on_one_core();
        let options = options.with("CRUMB_ARCHIVE__SEGMENT_ROWS_MAX", rows_max);
        if work == Work::Sealing {
            return options.with("CRUMB_ARCHIVE__SEAL_AFTER_SECONDS", "1");
        }
        let mib = (MIB_PER_SECOND * (self.arguments.seconds + 2 * WARM_UP)).clamp(64, 1024);
        options.with("CRUMB_JOURNAL__FILE_MIB", mib.to_string())
    }
}

/// Counts and lists over everything, by offer and affiliate: no sum the catalogue keeps answers them.
fn questions(template: &Template) -> String {
    let header = format!("X-Api-Key: {}", template.key());
    let line = |(index, campaign): (usize, &crate::network::Campaign)| {
        let rows = if index.is_multiple_of(2) { 1 } else { 100 };
        let path = listing::clicks(0, rows, Some(campaign.offer_id));
        format!("{path}&affiliate_id={}\t{header}\n", campaign.affiliate_id)
    };
    template.campaigns().iter().take(CAMPAIGNS).enumerate().map(line).collect()
}
