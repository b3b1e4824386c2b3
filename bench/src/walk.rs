//! A walk through many clicks in small pages, which must meet each exactly once, in order.

use std::time::Instant;

use anyhow::{Context as _, ensure};

use crate::client::{Connection, get};
use crate::day::Loaded;
use crate::drive::spinner;
use crate::listing;
use crate::report::{Figure, Report};
use crate::server::Server;

/// Clicks on the way, where there are that many.
const CLICKS: usize = 100_000;
/// Clicks of a page: no divisor of anything inside.
const PAGE: usize = 333;

/// Walks, and compares what was met with what was answered when the clicks were made.
pub async fn measure(server: &Server, loaded: &Loaded, report: &mut Report) -> anyhow::Result<()> {
    let mut connection = Connection::open(server.address).await?;
    let progress = spinner("walking".to_owned());
    // From the middle: the page before the first and the one after the last are there too.
    let begin = loaded.clicks.len().saturating_sub(CLICKS) / 2;
    let expected: Vec<_> = loaded.clicks.iter().skip(begin).take(CLICKS).collect();
    let mut met: Vec<String> = Vec::with_capacity(expected.len());
    let begun = Instant::now();
    while met.len() < expected.len() {
        let limit = PAGE.min(expected.len() - met.len());
        let answer =
            connection.ask(&get(&listing::clicks(begin + met.len(), limit, None), &server.key)).await?;
        let found = answer.json()?;
        let clicks = found["response"]["clicks"].as_array().context("clicks")?;
        ensure!(clicks.len() == limit, "a page of {} clicks, not {limit}", clicks.len());
        for click in clicks {
            met.push(click["click_id"].as_str().context("click_id")?.to_owned());
        }
    }
    let took = begun.elapsed();
    progress.finish_and_clear();
    let wrong = met.iter().zip(&expected).find(|(met, expected)| met.as_str() != expected.id());
    ensure!(wrong.is_none(), "the walk met something else: {wrong:?}");
    let name = format!("walk through {} clicks in pages of {PAGE}, each met once", met.len());
    report.add(Figure::new("look-ups", &name, "s", took.as_secs_f64()));
    Ok(())
}
