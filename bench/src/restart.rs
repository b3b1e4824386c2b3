//! Starting after a kill while every click is still in the journal only.

use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;

use crate::arguments::Arguments;
use crate::day::{self, Day};
use crate::network::Template;
use crate::report::{Figure, Report, Target};
use crate::server::Server;
use crate::statistics::Spread;

/// Kills; the figure is the median.
const ROUNDS: usize = 3;
/// At most, in seconds.
const SECONDS_MAX: f64 = 2.0;

/// Loads the clicks, then kills and starts again.
pub async fn measure(
    arguments: &Arguments,
    folder: &Path,
    template: &Template,
    day: &Arc<Day>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let options = template.options(&folder.join("restart"));
    let segments = options.folder.join("segments");
    let mut server = Server::start_from(template, &options)?;
    prevent_sealing(&segments)?;
    let loaded = day::load(&server, day, arguments.clicks, report).await?;
    ensure!(loaded.sealed == 0, "{} clicks were sealed", loaded.sealed);
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        server.kill()?;
        permit_sealing(&segments)?;
        server = Server::start(&options, template.key().to_owned())?;
        prevent_sealing(&segments)?;
        seconds.push(server.started_in.as_secs_f64());
        report.compare("clicks after a kill", arguments.clicks, server.click_rows().await?)?;
        let recent = server.metric("crumb_recent_clicks").await?;
        ensure!(recent == arguments.clicks, "only {recent} clicks were unsealed");
    }
    let spread = Spread::of(seconds);
    let name = format!("start after a kill with {} unsealed clicks", arguments.clicks);
    let mut figure = Figure::new("restart", &name, "s", spread.median).within(spread);
    figure.target = Some(Target::AtMost(SECONDS_MAX));
    report.add(figure);
    Ok(())
}

/// Puts a file where the segments' folder belongs: whatever is to be sealed stays in the journal.
fn prevent_sealing(segments: &Path) -> anyhow::Result<()> {
    std::fs::remove_dir_all(segments)?;
    Ok(std::fs::write(segments, "in the way")?)
}

fn permit_sealing(segments: &Path) -> anyhow::Result<()> {
    std::fs::remove_file(segments)?;
    Ok(std::fs::create_dir(segments)?)
}
