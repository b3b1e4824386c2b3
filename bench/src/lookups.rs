//! Questions about clicks over HTTP, one at a time: by id, and pages far into the list.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::client::{Connection, get};
use crate::day::{Clicked, Loaded};
use crate::drive::spinner;
use crate::listing;
use crate::report::{Figure, Report, Target};
use crate::server::Server;
use crate::statistics::Latencies;

/// Clicks looked up of each kind.
const LOOKUPS: usize = 5000;
/// Times each page is asked for.
const PAGES: usize = 200;
/// Rows of a page.
const ROWS: usize = 100;
/// How far into the list.
const OFFSET: usize = 100_000;
/// For 99 of 100 look-ups, in milliseconds.
const LOOKUP_MS_MAX: f64 = 2.0;
/// For 99 of 100 pages, in milliseconds.
const PAGE_MS_MAX: f64 = 50.0;
/// Which clicks are looked up is the same every time.
const SEED: u64 = 7;

/// Measures look-ups and pages.
pub async fn measure(server: &Server, loaded: &Loaded, report: &mut Report) -> anyhow::Result<()> {
    let mut connection = Connection::open(server.address).await?;
    let (sealed, recent) = loaded.clicks.split_at(loaded.sealed);
    for (name, clicks) in [("click by id, recent", recent), ("click by id, sealed", sealed)] {
        if !clicks.is_empty() {
            let took = look_up(&mut connection, &server.key, clicks, name).await?;
            add(report, name, &took, LOOKUP_MS_MAX);
        }
    }
    let (offer, of_offer) = busiest_offer(&loaded.clicks);
    for (rows, offer, which) in
        [(loaded.clicks.len(), None, "all clicks"), (of_offer, Some(offer), "the busiest offer")]
    {
        let far = OFFSET.min(rows.saturating_sub(ROWS));
        for offset in [0, far] {
            let name = format!("page of {ROWS} at {offset}, {which}, {rows} rows");
            let path = listing::clicks(offset, ROWS, offer);
            let took = page(&mut connection, &server.key, &path, rows, &name).await?;
            add(report, &name, &took, PAGE_MS_MAX);
        }
    }
    Ok(())
}

async fn look_up(
    connection: &mut Connection,
    key: &str,
    clicks: &[Clicked],
    what: &'static str,
) -> anyhow::Result<Latencies> {
    let (mut random, progress) = (SmallRng::seed_from_u64(SEED), spinner(what.to_owned()));
    let mut took: Vec<Duration> = Vec::with_capacity(LOOKUPS);
    for _ in 0..LOOKUPS {
        let id = clicks[random.random_range(0..clicks.len())].id();
        let request = get(&format!("/api/2/click.json?click_id={id}"), key);
        let asked = Instant::now();
        let answer = connection.ask(&request).await?;
        took.push(asked.elapsed());
        let found = answer.json()?;
        ensure!(found["response"]["clicks"][0]["click_id"] == id, "{id} was not found: {found}");
    }
    progress.finish_and_clear();
    Ok(Latencies::of(took))
}

async fn page(
    connection: &mut Connection,
    key: &str,
    path: &str,
    rows: usize,
    what: &str,
) -> anyhow::Result<Latencies> {
    let (request, progress) = (get(path, key), spinner(what.to_owned()));
    let mut took: Vec<Duration> = Vec::with_capacity(PAGES);
    for _ in 0..PAGES {
        let asked = Instant::now();
        let answer = connection.ask(&request).await?;
        took.push(asked.elapsed());
        let response = &answer.json()?["response"];
        ensure!(response["total_rows"] == rows, "{path}: {} rows, not {rows}", response["total_rows"]);
        let shown = response["clicks"].as_array().map_or(0, Vec::len);
        ensure!(shown == ROWS.min(rows), "{path}: a page of {shown}");
    }
    progress.finish_and_clear();
    Ok(Latencies::of(took))
}

fn add(report: &mut Report, name: &str, took: &Latencies, ms_max: f64) {
    report.add(Figure::new("look-ups", &format!("{name}: p50"), "ms", took.ms(0.5)));
    let mut p99 = Figure::new("look-ups", "  p99", "ms", took.ms(0.99));
    p99.target = Some(Target::AtMost(ms_max));
    report.add(p99);
}

/// The offer with the most clicks, and how many those are.
fn busiest_offer(clicks: &[Clicked]) -> (u64, usize) {
    let mut counts: HashMap<u64, usize> = HashMap::new();
    for click in clicks {
        *counts.entry(click.offer_id).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).expect("there are clicks")
}
