//! `crumb import`

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use app::{Piece, RowOutcome, pieces};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Place;
use super::api::{Api, with_api};

/// Rows of one call: half of what it may have.
const ROWS_MAX: usize = 5000;
/// Bytes of one call, of which it may have 8 MiB.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest file, in bytes: it is held in memory.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Rows that did not go in which are told one by one.
const TOLD_MAX: usize = 20;
/// Rows that did not go in which JSON lists.
const LISTED_MAX: usize = 10_000;
/// The longest note, in characters.
const NOTE_CHARS_MAX: usize = 500;

/// Import conversions from a file, and take an import back. Works with and without a running server.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  crumb import conversions sales.csv --data /var/lib/crumb --dry-run")]
pub enum Import {
    /// Import a file of conversions: first as a dry run, then as one batch
    ///
    /// The file has a header, its columns in any order, separated by comma, semicolon or tab: `click_id`,
    /// `offer_id` and `conversion_date`; or `transaction_id` (the click) and `event_id`; or `conversion_id` and what
    /// is to change (`payout`, `revenue`, `conversion_status`). A row that is in already is not recorded again.
    ///
    /// Exits with 0 when all rows are in, 1 when some were refused or cannot be read, 2 when it could not run.
    #[command(after_help = "Examples:\n  crumb import conversions sales.csv --dry-run\n  \
                            crumb import conversions sales.csv --note 'May, from the old tracker' --results results.csv\n  \
                            zcat sales.csv.gz | crumb import conversions - --json")]
    Conversions(Conversions),
    /// Take an import back: what it changed stands as before, what it recorded pays nobody
    #[command(after_help = "Example:\n  crumb import undo 7")]
    Undo(Undo),
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Conversions {
    #[command(flatten)]
    place: Place,
    /// The file; - is standard input
    file: PathBuf,
    /// Only tell what would become of each row
    #[arg(long)]
    dry_run: bool,
    /// What the batch says of itself [default: the file's name]
    #[arg(long, value_name = "TEXT", value_parser = note)]
    note: Option<String>,
    /// Write what became of each row to this file, as CSV
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Leave out columns that are not known
    #[arg(long)]
    ignore_unknown: bool,
    /// Have no postback tell of any of it, as when a partner knows it from the old tracker
    #[arg(long)]
    no_postbacks: bool,
    /// Import the others where some rows cannot be read
    #[arg(long)]
    skip_unreadable: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Undo {
    #[command(flatten)]
    place: Place,
    /// The batch, as the import has told it
    batch_id: u64,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

fn note(text: &str) -> Result<String, String> {
    let is_short = text.chars().count() <= NOTE_CHARS_MAX;
    if is_short { Ok(text.to_owned()) } else { Err(format!("at most {NOTE_CHARS_MAX} characters")) }
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Conversions(conversions) => conversions.run(),
            Self::Undo(undo) => undo.run(),
        }
    }
}

/// What became of the rows of a file.
#[derive(Default)]
struct Tally {
    rows: u64,
    outcomes: [u64; RowOutcome::ALL.len()],
    problems: Vec<Value>,
}

impl Tally {
    fn of(&self, outcome: RowOutcome) -> u64 {
        self.outcomes[place(outcome)]
    }

    /// Rows that did not go in.
    fn left(&self) -> u64 {
        self.of(RowOutcome::Refused) + self.of(RowOutcome::Unreadable)
    }

    fn counts(&self) -> Value {
        let mut counts = json!({ "rows": self.rows });
        for outcome in RowOutcome::ALL {
            counts[outcome.name()] = json!(self.of(outcome));
        }
        counts
    }

    /// Adds an answer to a call, its rows to `results` too.
    fn add(&mut self, import: &Value, results: &mut Option<csv::Writer<File>>) -> anyhow::Result<()> {
        let rows = import["results"].as_array().context("the server's answer has no results")?;
        self.rows += rows.len() as u64;
        for row in rows {
            let named = RowOutcome::ALL.into_iter().find(|it| row["outcome"] == it.name());
            let outcome = named.context("the server knows outcomes that this command does not")?;
            self.outcomes[place(outcome)] += 1;
            let is_left = matches!(outcome, RowOutcome::Refused | RowOutcome::Unreadable);
            if is_left && self.problems.len() < LISTED_MAX {
                self.problems.push(row.clone());
            }
            if let Some(results) = results {
                results.write_record([
                    cell(&row["line"]),
                    outcome.name().to_owned(),
                    cell(&row["conversion_id"]),
                    cell(&row["reason"]),
                ])?;
            }
        }
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    fn print(&self, what: &str) {
        let counts = RowOutcome::ALL.map(|it| format!("{} {}", self.of(it), it.name())).join(", ");
        println!("{what}: {} rows: {counts}", self.rows);
        for row in self.problems.iter().take(TOLD_MAX) {
            println!("  line {}: {}: {}", row["line"], cell(&row["outcome"]), cell(&row["reason"]));
        }
        let more = self.left().saturating_sub(TOLD_MAX as u64);
        if more > 0 {
            println!("  and {more} more; --results writes all of them to a file");
        }
    }
}

fn place(outcome: RowOutcome) -> usize {
    RowOutcome::ALL.iter().position(|it| *it == outcome).expect("one of all")
}

/// A value as text, `null` as none.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Conversions {
    fn run(self) -> anyhow::Result<ExitCode> {
        let text = read(&self.file)?;
        with_api(&self.place, "import", |api| self.import(api, &text))
    }

    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    fn import(&self, api: &Api, text: &[u8]) -> anyhow::Result<ExitCode> {
        let tried = self.send_all(api, text, "trying", &[("dry_run", "true".to_owned())])?;
        if !self.json {
            tried.print("dry run");
        }
        let stops = tried.of(RowOutcome::Unreadable) > 0 && !self.skip_unreadable;
        if self.dry_run || stops {
            if self.json {
                self.print_json(None, &tried, None)?;
            } else if stops && !self.dry_run {
                println!("nothing was imported: mend the rows that cannot be read, or use --skip-unreadable");
            }
            return Ok(exit(&tried));
        }
        let batch_id = self.begin(api, text)?;
        let undo = format!("crumb import undo {batch_id}");
        if !self.json {
            println!("batch {batch_id}; to take it back: {undo}");
        }
        let query = [("dry_run", "false".to_owned()), ("batch_id", batch_id.to_string())];
        let imported = self.send_all(api, text, "importing", &query).with_context(|| {
            format!(
                "the import stopped. What is in is batch {batch_id} ({undo}); run the command again for the \
                 rest: no row is recorded twice"
            )
        })?;
        if self.json {
            self.print_json(Some(batch_id), &tried, Some(&imported))?;
        } else {
            imported.print("imported");
        }
        Ok(exit(&imported))
    }

    /// Begins the batch that all pieces will be.
    fn begin(&self, api: &Api, text: &[u8]) -> anyhow::Result<u64> {
        let header = pieces(text, ROWS_MAX, BYTES_MAX).next().context("the file is empty")?;
        let name = self.file.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.filter(|name| name != "-").unwrap_or_else(|| "standard input".to_owned());
        let note = self.note.clone().unwrap_or_else(|| name.chars().take(NOTE_CHARS_MAX).collect());
        let begun = self.send(api, &header, &[("dry_run", "false".to_owned()), ("note", note)])?;
        begun["batch_id"].as_u64().context("the server's answer has no batch")
    }

    /// Sends the file, piece by piece, and writes down what became of its rows.
    fn send_all(
        &self,
        api: &Api,
        text: &[u8],
        what: &'static str,
        query: &[(&str, String)],
    ) -> anyhow::Result<Tally> {
        let mut results = self.results.as_deref().map(create).transpose()?;
        let progress = ProgressBar::new(text.len() as u64).with_message(what);
        progress.set_style(ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {wide_bar} {eta}")?);
        let mut tally = Tally::default();
        // The first piece is the header alone, which only a dry run is to look at.
        let is_dry_run = query.iter().any(|(name, value)| (*name, value.as_str()) == ("dry_run", "true"));
        for piece in pieces(text, ROWS_MAX, BYTES_MAX).skip(usize::from(!is_dry_run)) {
            tally.add(&self.send(api, &piece, query)?, &mut results)?;
            progress.inc(piece.text.len() as u64);
        }
        progress.finish_and_clear();
        results.map_or(Ok(()), |mut it| it.flush()).context("the results cannot be written")?;
        Ok(tally)
    }

    fn send(&self, api: &Api, piece: &Piece, query: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut query = query.to_vec();
        query.push(("first_line", piece.first_line.to_string()));
        query.push(("ignore_unknown", self.ignore_unknown.to_string()));
        query.push(("fire_postbacks", (!self.no_postbacks).to_string()));
        let mut answer = api.post("import_conversions", &query, ("text/csv", &piece.text))?;
        Ok(answer["import"].take())
    }

    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    fn print_json(
        &self,
        batch_id: Option<u64>,
        tried: &Tally,
        imported: Option<&Tally>,
    ) -> anyhow::Result<()> {
        let last = imported.unwrap_or(tried);
        let told = json!({
            "file": self.file.display().to_string(),
            "batch_id": batch_id,
            "dry_run": tried.counts(),
            "import": imported.map(Tally::counts),
            "problems": last.problems,
        });
        println!("{}", serde_json::to_string_pretty(&told)?);
        Ok(())
    }
}

fn exit(tally: &Tally) -> ExitCode {
    if tally.left() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(FILE_BYTES_MAX + 1).read_to_end(&mut text)
    } else {
        File::open(file).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text))
    };
    read.with_context(|| format!("{} cannot be read", file.display()))?;
    ensure!(text.len() as u64 <= FILE_BYTES_MAX, "{} has more than 1 GiB: split it", file.display());
    Ok(text)
}

fn create(file: &Path) -> anyhow::Result<csv::Writer<File>> {
    let create = || -> Result<_, csv::Error> {
        let mut writer = csv::Writer::from_path(file)?;
        writer.write_record(["line", "outcome", "conversion_id", "reason"])?;
        Ok(writer)
    };
    create().with_context(|| format!("{} cannot be written", file.display()))
}

impl Undo {
    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    fn run(self) -> anyhow::Result<ExitCode> {
        let form = format!("batch_id={}", self.batch_id);
        let kind = "application/x-www-form-urlencoded";
        let answer =
            with_api(&self.place, "import", |api| api.post("undo_batch", &[], (kind, form.as_bytes())))?;
        let batch = &answer["batch"];
        if self.json {
            println!("{}", serde_json::to_string_pretty(batch)?);
        } else {
            println!("batch {} was taken back by {} adjustments", batch["batch_id"], batch["adjustments"]);
        }
        Ok(ExitCode::SUCCESS)
    }
}
