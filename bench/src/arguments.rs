//! The command line.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use crate::tools::output;

/// Measures crumb on this machine and prints a table
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    after_help = "Examples:\n  bench --crumb target/release/crumb\n  \
                  bench --clicks 100000 --seconds 2 --only redirects --only restart"
)]
pub struct Arguments {
    /// The binary to measure
    #[arg(long, value_name = "FILE", default_value = "target/release/crumb")]
    pub crumb: PathBuf,
    /// Clicks of the generated day
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..=10_000_000))]
    pub clicks: u64,
    /// Conversions of the generated day, half of them for clicks in segments
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(8..=1_000_000))]
    pub conversions: u64,
    /// How long each round of redirects lasts, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,
    /// Rounds of redirects; the figures are medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=20))]
    pub rounds: u64,
    /// Measure only this part; may be repeated. Without it: every part but scale and cubes, which
    /// take minutes and gigabytes
    #[arg(long, value_name = "NAME")]
    pub only: Vec<Part>,
    /// Connections redirects are asked for over
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub connections: u64,
    /// Clicks of the scale part; 100,000,000 take some 9 GB in the folder for temporary files
    #[arg(long, default_value_t = 100_000_000, value_parser = clap::value_parser!(u64).range(1000..=400_000_000))]
    pub scale_clicks: u64,
    /// Clicks of the cubes part; each 10,000,000 take some 1 GB
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1_000_000..=400_000_000))]
    pub cubes_clicks: u64,
    /// Conversions of the books part
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(20_000..=100_000_000))]
    pub books: u64,
    /// Deliveries of the deliveries part that are to become held, about
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1000..=2_000_000))]
    pub held: u64,
    /// An empty PostgreSQL database to measure beside, as `database.url` names it; `make bench` brings one
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// A file in MaxMind's format that tells countries [default: what scripts/country-file fetches]
    #[arg(long, value_name = "FILE")]
    pub country_file: Option<PathBuf>,
    /// Write the figures there too, as one line of JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Part {
    /// Redirects beside nginx
    Redirects,
    /// Recording conversions
    Conversions,
    /// Clicks by id, pages, and a walk through all
    Lookups,
    /// Bytes a click takes in segments
    Storage,
    /// Starting again after a kill
    Restart,
    /// Redirects while sealing and questions go on
    Beside,
    /// Telling affiliates of conversions: how fast, how soon, and what is held in memory (--held)
    Deliveries,
    /// The ledger by itself: conversions when few and when many (--books) are stored, and pages
    Books,
    /// Counting clicks by groups (--cubes-clicks), with cubes and without; only when named
    Cubes,
    /// A million clicks beside a hundred million (--scale-clicks); only when named
    Scale,
}

impl Arguments {
    /// Whether a part is to be measured.
    pub fn wants(&self, part: Part) -> bool {
        (self.only.is_empty() && !matches!(part, Part::Scale | Part::Cubes)) || self.only.contains(&part)
    }

    /// The country file to be used, fetched where none was named.
    pub fn country_file(&self) -> anyhow::Result<PathBuf> {
        match &self.country_file {
            Some(file) => std::path::absolute(file).context("the country file's path"),
            None => Ok(output(&mut Command::new("scripts/country-file"))?.trim().into()),
        }
    }
}
