//! `bench`: measures the real `crumb` binary over HTTP on this machine, beside nginx where there is
//! a peer. What each figure means: `docs/benchmarks.md`.

mod addresses;
mod agents;
mod arguments;
mod beside;
mod books;
mod client;
mod conversions;
mod cubes;
mod day;
mod deliveries;
mod drive;
mod generate;
mod listing;
mod lookups;
mod network;
mod nginx;
mod pace;
mod receivers;
mod redirects;
mod report;
mod restart;
mod scale;
mod server;
mod statistics;
mod storage;
mod tools;
mod walk;
mod wrk;
mod zipf;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;

use crate::arguments::{Arguments, Part};
use crate::day::Day;
use crate::generate::Sample;
use crate::network::Template;
use crate::report::Report;
use crate::server::Server;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the one line that tells why the run is void")]
            {
                eprintln!("bench: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("crumb-bench-").tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(arguments, folder.path()))?;
    report.print();
    if let Some(file) = &arguments.json {
        std::fs::write(file, report.json()?).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

async fn measure(arguments: &Arguments, folder: &Path) -> anyhow::Result<Report> {
    let mut report = Report::of_this_machine(arguments);
    let country_file = arguments.country_file()?;
    if arguments.wants(Part::Redirects) {
        tools::require(&["nginx"])?;
    }
    if [Part::Redirects, Part::Beside, Part::Scale].into_iter().any(|part| arguments.wants(part)) {
        tools::require(&["wrk", "taskset"])?;
    }
    if arguments.wants(Part::Books) {
        // A thread of its own: a ledger waits for its database, which no runtime's thread may.
        let books =
            std::thread::scope(|scope| scope.spawn(|| books::measure(arguments, folder, &mut report)).join());
        books.map_err(|_| anyhow::anyhow!("the books part has panicked"))??;
    }
    if arguments.only == [Part::Books] {
        return Ok(report);
    }
    let template = Template::make(&arguments.crumb, &country_file, &folder.join("template")).await?;
    let day = Arc::new(Day::new(template.campaigns()));
    if arguments.wants(Part::Redirects) {
        redirects::measure(arguments, folder, &template, &day, &mut report).await?;
    }
    if [Part::Conversions, Part::Lookups, Part::Storage].into_iter().any(|part| arguments.wants(part)) {
        measure_a_day(arguments, folder, &template, &day, &mut report).await?;
    }
    if arguments.wants(Part::Restart) {
        restart::measure(arguments, folder, &template, &day, &mut report).await?;
    }
    if arguments.wants(Part::Deliveries) {
        deliveries::measure(arguments, folder, &template, &mut report).await?;
    }
    if [Part::Beside, Part::Cubes, Part::Scale].into_iter().any(|part| arguments.wants(part)) {
        measure_generated(arguments, folder, &template, &day, &mut report).await?;
    }
    Ok(report)
}

/// The day is loaded once; conversions and look-ups ask the same server about it.
async fn measure_a_day(
    arguments: &Arguments,
    folder: &Path,
    template: &Template,
    day: &Arc<Day>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let folder = folder.join("day");
    let server = Server::start_from(template, &template.options(&folder))?;
    let loaded = day::load(&server, day, arguments.clicks, report).await?;
    if arguments.wants(Part::Storage) {
        storage::measure(&folder, &loaded, report)?;
    }
    if arguments.wants(Part::Conversions) {
        conversions::measure(&server, &loaded, arguments.conversions, report).await?;
    }
    if arguments.wants(Part::Lookups) {
        lookups::measure(&server, &loaded, report).await?;
        walk::measure(&server, &loaded, report).await?;
    }
    Ok(())
}

/// Clicks made without HTTP are like those that a server has recorded once.
async fn measure_generated(
    arguments: &Arguments,
    folder: &Path,
    template: &Template,
    day: &Arc<Day>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut sample = Sample::record(template, day, &folder.join("sample")).await?;
    if arguments.wants(Part::Beside) {
        beside::measure(arguments, folder, template, day, &mut sample, report).await?;
    }
    if arguments.wants(Part::Cubes) {
        cubes::measure(arguments, folder, template, &mut sample, report)?;
    }
    if arguments.wants(Part::Scale) {
        scale::measure(arguments, folder, template, day, &mut sample, report).await?;
    }
    Ok(())
}
