//! Counting clicks by groups, as reports do, in the archive itself: by cubes that are in memory, by cubes
//! that are read, and by reading the clicks; and what cubes cost to make and to keep.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use archive::Archive;
use domain::report::{Attribute, ClickGrouping, TimeUnit, periods};
use jiff::ToSpan as _;
use jiff::tz::TimeZone;

use crate::arguments::Arguments;
use crate::drive::bar;
use crate::generate::{self, Sample};
use crate::network::Template;
use crate::report::{Figure, Report, Target};
use crate::statistics::{Spread, float};

/// A hundred million clicks a month.
const GAP_MS: u64 = 26;
/// Times each question is asked.
const ROUNDS: usize = 5;
/// For each ten million clicks, in milliseconds, when its cubes are in memory.
const WARM_MS_MAX: f64 = 20.0;
/// Of cubes in memory; nothing has to be read twice.
const CACHE_BYTES: u64 = 4 << 30;

/// What is asked, all clicks each time.
const QUESTIONS: [(&str, &[Attribute], Option<TimeUnit>); 6] = [
    ("by offer", &[Attribute::Offer], None),
    ("by affiliate and day", &[Attribute::Affiliate], Some(TimeUnit::Day)),
    ("by offer and hour", &[Attribute::Offer], Some(TimeUnit::Hour)),
    ("by offer, country and device", &[Attribute::Offer, Attribute::Country, Attribute::Device], None),
    (
        "by affiliate, campaign and browser",
        &[Attribute::Affiliate, Attribute::Campaign, Attribute::Browser],
        None,
    ),
    ("by the first sub id", &[Attribute::SubId(0)], None),
];

/// Measures everything.
pub fn measure(
    arguments: &Arguments,
    folder: &Path,
    template: &Template,
    sample: &mut Sample,
    report: &mut Report,
) -> anyhow::Result<()> {
    let folder = folder.join("cubes");
    template.copy_to(&folder)?;
    let clicks = arguments.cubes_clicks;
    generate::generate(&folder, sample, clicks, generate::FILE_BYTES, GAP_MS)?;
    let archive = generate::open_archive(&folder, CACHE_BYTES)?;
    for (what, question) in questions(clicks)? {
        let ms = Spread::of([ask(&archive, &question, clicks)?]);
        report.add(Figure::new("cubes", &format!("{what}: reading all clicks"), "ms", ms.median));
    }
    make(&archive, &folder, clicks, report)?;
    for (what, question) in questions(clicks)? {
        let mut cold = Vec::new();
        for _ in 0..ROUNDS {
            cold.push(ask(&generate::open_archive(&folder, CACHE_BYTES)?, &question, clicks)?);
        }
        let cold = Spread::of(cold);
        let name = format!("{what}: by cubes from the system's page cache");
        report.add(Figure::new("cubes", &name, "ms", cold.median).within(cold));
        ask(&archive, &question, clicks)?;
        let warm: Result<Vec<f64>, _> = (0..ROUNDS).map(|_| ask(&archive, &question, clicks)).collect();
        let warm = Spread::of(warm?);
        let name = format!("{what}: by cubes in memory");
        let target = Target::AtMost(WARM_MS_MAX * float(clicks) / 1e7);
        report.add(Figure::new("cubes", &name, "ms", warm.median).within(warm).with_target(target));
    }
    Ok(())
}

/// Each question with its name.
fn questions(clicks: u64) -> anyhow::Result<Vec<(&'static str, ClickGrouping)>> {
    let [first, last] = [0, clicks].map(|index| generate::click_id(index, GAP_MS).time());
    let until = last.checked_add(1.hour())?;
    let question = |(what, attributes, unit): (&'static str, &[Attribute], _)| {
        let periods = periods(first, until, unit, &TimeZone::UTC);
        let (attributes, filters) = (attributes.to_vec(), Vec::new());
        (what, ClickGrouping { periods, attributes, filters, groups_max: 10_000_000 })
    };
    Ok(QUESTIONS.into_iter().map(question).collect())
}

/// How long an answer takes, in milliseconds.
fn ask(archive: &Archive, question: &ClickGrouping, clicks: u64) -> anyhow::Result<f64> {
    let asked = Instant::now();
    let groups = archive.group(question)?;
    let took = asked.elapsed().as_secs_f64() * 1e3;
    let counted: u64 = groups.iter().map(|it| it.counts.total()).sum();
    ensure!(counted == clicks, "{counted} of {clicks} clicks were counted");
    Ok(took)
}

fn make(archive: &Archive, folder: &Path, clicks: u64, report: &mut Report) -> anyhow::Result<()> {
    let before = generate::segment_bytes(folder)?;
    let segments = archive.segments();
    let progress = bar(segments.len(), "making cubes");
    let begun = Instant::now();
    for segment in segments.iter() {
        archive.make_cube(segment, &TimeZone::UTC, &|| false)?;
        progress.inc(1);
    }
    let seconds = begun.elapsed().as_secs_f64();
    progress.finish_and_clear();
    let newest = segments.last().context("there are clicks")?;
    archive.verify_cube(newest)?;
    report.add(Figure::new("cubes", "making cubes, each million clicks", "s", seconds / float(clicks) * 1e6));
    let bytes = float(generate::segment_bytes(folder)? - before) / float(clicks);
    report.add(Figure::new("cubes", "cubes, each click", "B", bytes));
    Ok(())
}
