//! `crumb export`

mod form;
mod row_groups;
mod target;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{bail, ensure};
use app::ExportKind;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use web::export_key;

use self::form::{Csv, Form, Lines, Part};
use self::row_groups::RowGroups;
use self::target::{Kept, Target};
use super::Place;
use super::api::{Api, Download, with_api};

/// Rows asked for at a time where nothing is said: half a minute's worth at the slowest.
const ROWS_AT_ONCE: u32 = 50_000;

/// Export clicks, conversions, lines of money or deliveries.
///
/// All rows of a range of dates, to standard output or to a file, by columns named as in the API. Works with
/// and without a running server. Memory does not grow with the rows.
///
/// With --out the rows go to FILE.partial, which becomes FILE when all are there; a FILE that exists is left
/// alone. CSV and JSON lines that were interrupted go on where they stopped with --resume, and are in the end what
/// they would have been. Parquet has its directory at its end: --resume begins it again.
///
/// CSV and JSON lines print dates in the network's time zone; Parquet has moments in UTC, amounts as decimals.
/// In CSV a text that a spreadsheet would take for a formula has an apostrophe before it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crumb export conversions --from 2026-06-01 --to 2026-06-30 > june.csv\n  \
                        crumb export clicks --from 2026-06-01 --to 2026-06-30 --format parquet --out june.parquet\n  \
                        crumb export clicks --from 2026-01-01 --to 2026-06-30 --out clicks.csv --resume\n\n\
                        Exit code: 0 all rows are there, 1 it broke off, 2 it could not begin"
)]
pub struct Export {
    #[command(flatten)]
    place: Place,
    /// Of what
    what: What,
    /// The first day or moment, in the network's time zone
    #[arg(long, value_name = "DATE")]
    from: String,
    /// The last day, which is covered whole, or the last moment
    #[arg(long, value_name = "DATE")]
    to: String,
    /// As what
    #[arg(long, default_value = "csv")]
    format: Format,
    /// Write to this file, which is not there yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only on this offer
    #[arg(long, value_name = "ID")]
    offer: Option<u32>,
    /// Only of this affiliate
    #[arg(long, value_name = "ID")]
    affiliate: Option<u32>,
    /// Go on with what was interrupted; where there is nothing of the kind, begin
    #[arg(long, requires = "out")]
    resume: bool,
    /// Rows asked for at a time; how far it has come is kept after each
    #[arg(long, value_name = "ROWS", default_value_t = ROWS_AT_ONCE, value_parser = clap::value_parser!(u32).range(1..))]
    rows_at_once: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Clicks, oldest first
    Clicks,
    /// Conversions, by date
    Conversions,
    /// Lines of money, by conversion
    Entries,
    /// Deliveries of postbacks, by the dates of their causes, each with its last try
    Deliveries,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated, with a header
    Csv,
    /// A JSON object a line
    Jsonl,
    /// Apache Parquet
    Parquet,
}

impl What {
    fn kind(self) -> ExportKind {
        match self {
            Self::Clicks => ExportKind::Clicks,
            Self::Conversions => ExportKind::Conversions,
            Self::Entries => ExportKind::Entries,
            Self::Deliveries => ExportKind::Deliveries,
        }
    }

    /// The list that counts them, and where it says how many there are.
    fn list(self) -> (&'static str, &'static str) {
        match self {
            Self::Clicks => ("click", "/response/total_rows"),
            Self::Conversions => ("conversions", "/total_rows"),
            Self::Entries => ("entries", "/total_rows"),
            Self::Deliveries => ("postback_deliveries", "/total_rows"),
        }
    }
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let is_watched = self.out.is_none() && std::io::stdout().is_terminal();
        ensure!(
            !is_watched || self.format != Format::Parquet,
            "Parquet is nothing to look at: use --out FILE"
        );
        with_api(&self.place, "export", |api| self.export(api))
    }

    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    #[expect(clippy::print_stderr, reason = "the one line that tells the user why it broke off")]
    fn export(&self, api: &Api) -> anyhow::Result<ExitCode> {
        let (target, kept) = match &self.out {
            None => (Target::stdout(), None),
            Some(file) => Target::file(file, self.question(), self.resume)?,
        };
        let mut place = kept.unwrap_or_default();
        let mut first = api.download(&self.file(), &self.query(&place))?;
        if (400..500).contains(&first.status) {
            bail!("{}", first.told());
        }
        if place.rows > 0 && place.zone != first.zone {
            bail!("it was begun in the time zone {}, and the network's is {} now", place.zone, first.zone);
        }
        place.zone.clone_from(&first.zone);
        match self.copy(api, first, target, place) {
            Ok(rows) => {
                if let Some(file) = &self.out {
                    println!("{rows} rows in {}", file.display());
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => {
                eprintln!("crumb: {error:#}{}", self.what_is_left());
                Ok(ExitCode::from(1))
            }
        }
    }

    /// Writes all rows from that place on: how many there are in all.
    fn copy(&self, api: &Api, first: Download, target: Target, mut place: Kept) -> anyhow::Result<u64> {
        let kind = self.what.kind();
        let mut form: Box<dyn Form> = match self.format {
            Format::Csv => Box::new(Csv::new(target, place.rows > 0)),
            Format::Jsonl => Box::new(Lines::new(target)),
            Format::Parquet => Box::new(RowGroups::new(target, kind)?),
        };
        let progress = self.progress(api, place.rows)?;
        let mut answer = first;
        loop {
            let mut part = Part::new(export_key(kind), &progress);
            form.copy(&mut answer.rows(place.told())?, &mut part)?;
            place.rows += part.rows;
            if let Some(key) = part.last {
                place.after = key;
                form.keep(&place)?;
            }
            match part.broke {
                None if part.rows < self.rows_at_once.into() => break,
                // What came whole is in; the rest is asked for again.
                Some(_) if part.rows > 0 => {}
                Some(why) => bail!("the server broke off {}: {why}", place.told()),
                None => {}
            }
            answer = api.download(&self.file(), &self.query(&place))?;
        }
        form.finish()?;
        progress.finish_and_clear();
        Ok(place.rows)
    }

    /// The file that the server is asked for.
    fn file(&self) -> String {
        let extension = if self.format == Format::Csv { "csv" } else { "jsonl" };
        format!("export/{}.{extension}", self.what.kind().name())
    }

    fn filters(&self) -> Vec<(&'static str, String)> {
        let id = |id: Option<u32>| id.map(|id| id.to_string());
        let all = [
            ("start_date", Some(self.from.clone())),
            ("end_date", Some(self.to.clone())),
            ("offer_id", id(self.offer)),
            ("affiliate_id", id(self.affiliate)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn query(&self, place: &Kept) -> Vec<(&'static str, String)> {
        let mut query = self.filters();
        query.push(("row_limit", self.rows_at_once.to_string()));
        if !place.after.is_empty() {
            query.push(("after", place.after.clone()));
        }
        if self.format == Format::Parquet {
            query.push(("dates", "utc".to_owned()));
        }
        query
    }

    /// What must be the same for one export to go on with another.
    fn question(&self) -> Value {
        let mut question = json!({ "export": self.what.kind().name(), "format": self.format.name() });
        for (name, value) in self.filters() {
            question[name] = value.into();
        }
        question
    }

    fn progress(&self, api: &Api, rows: u64) -> anyhow::Result<ProgressBar> {
        let (list, total) = self.what.list();
        let mut query = self.filters();
        query.push(("row_limit", "1".to_owned()));
        // Counting costs, and only who watches has something of it.
        let listed = std::io::stderr().is_terminal().then(|| api.get(list, &query));
        let total = match listed {
            Some(Ok(Ok(listed))) => listed.pointer(total).and_then(Value::as_u64),
            _ => None,
        };
        let progress =
            total.map_or_else(ProgressBar::no_length, ProgressBar::new).with_message(self.what.kind().name());
        progress.set_style(ProgressStyle::with_template(
            "{msg} {human_pos}/{human_len} {wide_bar} {per_sec} {eta}",
        )?);
        Ok(progress.with_position(rows))
    }

    /// What a break leaves behind, and what can be done with it.
    fn what_is_left(&self) -> String {
        let Some(partial) = self.out.as_deref().map(target::partial).filter(|it| it.exists()) else {
            return String::new();
        };
        let resumes = if self.format == Format::Parquet { "begins it again" } else { "goes on with it" };
        format!("; what there is stands in {}, and --resume {resumes}", partial.display())
    }
}
