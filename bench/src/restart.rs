//! Starting after a kill while every click is still in the journal only.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::arguments::Arguments;
use crate::day::{self, Day};
use crate::network::Template;
use crate::report::{Figure, Report, Target};
use crate::server::{Options, Server};
use crate::statistics::Spread;

/// Kills; the figure is the median.
const ROUNDS: usize = 3;
/// At most, in seconds.
const SECONDS_MAX: f64 = 2.0;
/// How long the journal's folder does not grow once its spare files are made.
const QUIET: Duration = Duration::from_secs(1);

/// Loads the clicks, then kills and starts again.
pub async fn measure(
    arguments: &Arguments,
    folder: &Path,
    template: &Template,
    day: &Arc<Day>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut options = Options::new(&arguments.crumb, &folder.join("restart"));
    // Nothing is sealed before a file is full or a day is over.
    options.settings.push(("CRUMB_JOURNAL__FILE_MIB", "1024"));
    options.settings.push(("CRUMB_ARCHIVE__SEAL_AFTER_SECONDS", "86400"));
    let mut server = Server::start_from(template, &options)?;
    let loaded = day::load(&server, day, arguments.clicks, report).await?;
    ensure!(loaded.sealed == 0, "{} clicks were sealed; load fewer", loaded.sealed);
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        wait_for_spares(&options.folder.join("journal"))?;
        server.kill()?;
        server = Server::start(&options, template.key().to_owned())?;
        seconds.push(server.started_in.as_secs_f64());
        report.compare("clicks after a kill", arguments.clicks, server.click_rows().await?)?;
    }
    let spread = Spread::of(seconds);
    let name = format!("start after a kill with {} unsealed clicks", arguments.clicks);
    let mut figure = Figure::new("restart", &name, "s", spread.median).within(spread);
    figure.target = Some(Target::AtMost(SECONDS_MAX));
    report.add(figure);
    Ok(())
}

/// Waits until the journal has prepared its spare files, as it has long before most kills.
fn wait_for_spares(journal: &Path) -> anyhow::Result<()> {
    let (mut last, mut since) = (disk_blocks(journal)?, Instant::now());
    while since.elapsed() < QUIET {
        std::thread::sleep(Duration::from_millis(20));
        let now = disk_blocks(journal)?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(())
}

fn disk_blocks(folder: &Path) -> anyhow::Result<u64> {
    let mut blocks = 0;
    for entry in std::fs::read_dir(folder)? {
        // A spare that became a file in between is counted the next time.
        blocks += entry?.metadata().map_or(0, |it| it.blocks());
    }
    Ok(blocks)
}
