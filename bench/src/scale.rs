//! What a hundred million clicks cost, beside a million and none: starting, memory, questions,
//! redirects. One server each, all at the same time but asked in turns, so that a slow minute of the
//! machine meets them all.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use domain::ids::ClickId;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::arguments::Arguments;
use crate::client::{Connection, get};
use crate::day::Day;
use crate::drive::spinner;
use crate::generate::{self, Sample};
use crate::listing;
use crate::network::Template;
use crate::redirects::{WARM_UP, check_rows};
use crate::report::{Figure, Report, Target};
use crate::server::Server;
use crate::statistics::{Latencies, Spread, float};
use crate::tools::{output, sync};
use crate::wrk::{Measured, Wrk};

/// What the full size is compared with.
const SMALL: u64 = 1_000_000;
/// Times each server is started.
const STARTS: usize = 3;
/// Turns of questions.
const TURNS: usize = 5;
/// Clicks looked up in each.
const LOOKUPS: usize = 1000;
/// Pages asked for in each.
const PAGES: usize = 100;
/// Rows of a page.
const ROWS: u64 = 100;
/// Before anything is measured, one click in so many is looked up, so that each segment has been.
const WARM_EVERY: usize = 100_000;
/// A click takes less, with its share of everything.
const BYTES_EACH: u64 = 120;
/// For 99 of 100 look-ups, in milliseconds.
const LOOKUP_MS_MAX: f64 = 1.0;
/// For 99 of 100 pages, in milliseconds.
const PAGE_MS_MAX: f64 = 50.0;
/// Beyond the system's page cache, in MB.
const MEMORY_MB_MAX: f64 = 300.0;
/// Of an empty server's redirects, at least.
const RATE_MIN: f64 = 0.9;
/// Of what an operation costs with a million clicks, at most.
const COST_MAX: f64 = 1.2;
/// Which clicks are asked for is the same every time.
const SEED: u64 = 11;

/// Measures everything.
pub async fn measure(
    arguments: &Arguments,
    folder: &Path,
    template: &Template,
    day: &Day,
    sample: &mut Sample,
    report: &mut Report,
) -> anyhow::Result<()> {
    let full = arguments.scale_clicks;
    require_room(folder, (full + SMALL) * BYTES_EACH)?;
    let mut sites = Vec::new();
    for clicks in [0, SMALL.min(full), full] {
        let site = folder.join(format!("scale-{}", sites.len()));
        sites.push(Site::make(&site, template, sample, clicks, report).await?);
    }
    sync()?;
    let [empty, small, full] = &mut sites[..] else { unreachable!("three were made") };
    ask(small, full, report).await?;
    for site in [&*small, &*full] {
        add_memory(site, site.clicks == arguments.scale_clicks, report)?;
    }
    redirects(arguments, &Wrk::of_clicks(folder, day)?, [empty, small, full], report).await
}

/// A server with some clicks.
struct Site {
    name: String,
    clicks: u64,
    folder: std::path::PathBuf,
    server: Server,
    lookups: Vec<Duration>,
    pages: Vec<Duration>,
}

impl Site {
    async fn make(
        folder: &Path,
        template: &Template,
        sample: &mut Sample,
        clicks: u64,
        report: &mut Report,
    ) -> anyhow::Result<Self> {
        template.copy_to(folder)?;
        let name = format!("with {clicks} clicks");
        if clicks > 0 {
            let begun = Instant::now();
            generate::generate(folder, sample, clicks, generate::FILE_BYTES, generate::GAP_MS)?;
            let rate = float(clicks) / begun.elapsed().as_secs_f64();
            report.rate("scale", &format!("{name}: generated and sealed, without HTTP"), rate);
            let bytes = float(generate::segment_bytes(folder)?) / float(clicks);
            report.add(Figure::new("scale", "  each click in segments", "B", bytes));
        }
        let options = template.options(folder).on_one_core();
        let start = || Server::start(&options, template.key().to_owned());
        let mut seconds = Vec::new();
        for _ in 1..STARTS {
            let server = start()?;
            seconds.push(server.started_in.as_secs_f64());
            server.stop()?;
        }
        let server = start()?;
        seconds.push(server.started_in.as_secs_f64());
        let spread = Spread::of(seconds);
        report.add(Figure::new("scale", &format!("{name}: start"), "s", spread.median).within(spread));
        report.compare("clicks generated", clicks, server.click_rows().await?)?;
        let folder = folder.to_owned();
        Ok(Self { name, clicks, folder, server, lookups: Vec::new(), pages: Vec::new() })
    }

    /// Looks up clicks by their ids.
    async fn look_up(&mut self, indexes: impl Iterator<Item = u64>) -> anyhow::Result<Vec<Duration>> {
        let (mut connection, mut took) = (Connection::open(self.server.address).await?, Vec::new());
        for index in indexes {
            let id = click_id(index).to_string();
            let request = get(&format!("/api/2/click.json?click_id={id}"), &self.server.key);
            let asked = Instant::now();
            let answer = connection.ask(&request).await?;
            took.push(asked.elapsed());
            let found = answer.json()?;
            ensure!(found["response"]["clicks"][0]["click_id"] == *id, "{id} was not found: {found}");
        }
        Ok(took)
    }

    /// Asks for pages that begin anywhere.
    async fn page(&mut self, offsets: impl Iterator<Item = u64>) -> anyhow::Result<Vec<Duration>> {
        let (mut connection, mut took) = (Connection::open(self.server.address).await?, Vec::new());
        for offset in offsets {
            let path = listing::clicks(usize::try_from(offset)?, usize::try_from(ROWS)?, None);
            let request = get(&path, &self.server.key);
            let asked = Instant::now();
            let answer = connection.ask(&request).await?;
            took.push(asked.elapsed());
            let response = &answer.json()?["response"];
            let id = click_id(offset).to_string();
            ensure!(response["total_rows"] == self.clicks, "{path}: {} rows", response["total_rows"]);
            ensure!(response["clicks"][0]["click_id"] == *id, "{path} does not begin with {id}");
        }
        Ok(took)
    }
}

fn click_id(index: u64) -> ClickId {
    generate::click_id(index, generate::GAP_MS)
}

/// Questions to the small and the full server, in turns.
async fn ask(small: &mut Site, full: &mut Site, report: &mut Report) -> anyhow::Result<()> {
    let progress = spinner("questions".to_owned());
    let mut random = SmallRng::seed_from_u64(SEED);
    for site in [&mut *small, &mut *full] {
        let first = site.look_up((0..site.clicks).step_by(WARM_EVERY)).await?;
        let name = format!("{}: click by id, the first in its part of a segment, p99", site.name);
        report.add(Figure::new("scale", &name, "ms", Latencies::of(first).ms(0.99)));
    }
    for _ in 0..TURNS {
        for site in [&mut *small, &mut *full] {
            let clicks: Vec<_> = (0..LOOKUPS).map(|_| random.random_range(0..site.clicks)).collect();
            let took = site.look_up(clicks.into_iter()).await?;
            site.lookups.extend(took);
            let last = site.clicks.saturating_sub(ROWS);
            let offsets: Vec<_> = (0..PAGES).map(|_| random.random_range(0..=last)).collect();
            let took = site.page(offsets.into_iter()).await?;
            site.pages.extend(took);
        }
    }
    let inside = find(full, &mut random)?;
    progress.finish_and_clear();
    add_questions(small, full, &inside, report);
    Ok(())
}

/// Looks clicks up in the archive itself, in this process.
fn find(site: &Site, random: &mut SmallRng) -> anyhow::Result<Latencies> {
    let archive = generate::open_archive(&site.folder, 0)?;
    for index in (0..site.clicks).step_by(WARM_EVERY) {
        archive.find(click_id(index))?.context("a click that was generated")?;
    }
    let mut took = Vec::new();
    for _ in 0..TURNS * LOOKUPS {
        let id = click_id(random.random_range(0..site.clicks));
        let asked = Instant::now();
        let found = archive.find(id)?;
        took.push(asked.elapsed());
        ensure!(found.is_some_and(|click| click.id == id), "{id} was not found");
    }
    Ok(Latencies::of(took))
}

fn add_questions(small: &Site, full: &Site, inside: &Latencies, report: &mut Report) {
    let kinds = [
        ("click by id, over HTTP", &small.lookups, &full.lookups, LOOKUP_MS_MAX),
        ("page of 100 with its total, anywhere", &small.pages, &full.pages, PAGE_MS_MAX),
    ];
    for (what, of_small, of_full, ms_max) in kinds {
        let [of_small, of_full] = [of_small, of_full].map(|all| Latencies::of(all.iter().copied()));
        for (site, latencies) in [(small, &of_small), (full, &of_full)] {
            let name = format!("{}: {what}, p50", site.name);
            let mut p50 = Figure::new("scale", &name, "ms", latencies.ms(0.5));
            let mut p99 = Figure::new("scale", "  p99", "ms", latencies.ms(0.99));
            if std::ptr::eq(site, full) {
                p50 = p50.beside("÷ with few", of_full.ms(0.5) / of_small.ms(0.5));
                p50.target = Some(Target::RatioAtMost(COST_MAX));
                p99.target = Some(Target::AtMost(ms_max));
            }
            report.add(p50);
            report.add(p99);
        }
    }
    let name = format!("{}: click by id, in the archive itself, p50", full.name);
    report.add(Figure::new("scale", &name, "ms", inside.ms(0.5)));
    let p99 = Figure::new("scale", "  p99", "ms", inside.ms(0.99));
    report.add(p99.with_target(Target::AtMost(LOOKUP_MS_MAX)));
}

fn add_memory(site: &Site, is_full: bool, report: &mut Report) -> anyhow::Result<()> {
    let name = format!("{}: memory beyond the page cache, after the questions", site.name);
    let mut figure = Figure::new("scale", &name, "MB", site.server.memory_mb()?);
    figure.target = is_full.then_some(Target::AtMost(MEMORY_MB_MAX));
    report.add(figure);
    Ok(())
}

/// Redirects of each server in turns; the others wait.
async fn redirects(
    arguments: &Arguments,
    wrk: &Wrk,
    sites: [&mut Site; 3],
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut rounds = sites.each_ref().map(|_| Vec::new());
    let mut answers = [0; 3];
    for round in 1..=arguments.rounds {
        for (index, site) in sites.iter().enumerate() {
            let progress =
                spinner(format!("redirects, round {round} of {}: {}", arguments.rounds, site.name));
            // What is sealed for one must not slow the next.
            site.server.settle().await?;
            sync()?;
            let address = site.server.address;
            let warm_up = wrk.run(address, arguments.connections, WARM_UP)?;
            let measured = wrk.run(address, arguments.connections, arguments.seconds)?;
            site.server.settle().await?;
            progress.finish_and_clear();
            answers[index] += warm_up.requests + measured.requests;
            rounds[index].push(measured);
        }
    }
    let rates = rounds.each_ref().map(|rounds| Spread::of(rounds.iter().map(Measured::per_second)));
    for (index, site) in sites.iter().enumerate() {
        let in_flight = 2 * arguments.connections * arguments.rounds;
        check_rows(
            "redirects with many clicks",
            &site.server,
            answers[index],
            site.clicks,
            in_flight,
            report,
        )
        .await?;
        let name = format!("{}: redirects", site.name);
        let mut figure = Figure::new("scale", &name, "/s", rates[index].median).within(rates[index]);
        if index == 2 {
            figure = figure.beside("÷ empty", rates[2].median / rates[0].median);
            figure.target = Some(Target::RatioAtLeast(RATE_MIN));
        }
        report.add(figure);
    }
    // What a redirect takes of the server's core.
    let micros = rates.map(|rate| 1e6 / rate.median);
    let cost = Figure::new("scale", "  the core's time for each, full", "µs", micros[2]);
    let cost = cost.beside("÷ with few", micros[2] / micros[1]);
    report.add(cost.with_target(Target::RatioAtMost(COST_MAX)));
    Ok(())
}

/// Makes sure that the disk has room.
fn require_room(folder: &Path, bytes: u64) -> anyhow::Result<()> {
    let mut df = std::process::Command::new("df");
    let text = output(df.args(["--output=avail", "--block-size=1"]).arg(folder))?;
    let free: u64 = text.lines().nth(1).context("what df says")?.trim().parse()?;
    ensure!(
        free >= bytes,
        "{} MB are needed in {}, and {} MB are free",
        bytes / 1_000_000,
        folder.display(),
        free / 1_000_000
    );
    Ok(())
}
