//! `crumb reconcile`

use std::fs::File;
use std::io::{BufWriter, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, ensure};
use app::UPLOAD_BYTES_MAX;
use clap::Args;
use domain::reconciliation::RowClass;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Place;
use super::api::{Api, with_api};

/// Rows that differ which are told one by one.
const TOLD_MAX: u64 = 20;
/// Rows that JSON lists.
const LISTED_MAX: u64 = 10_000;
/// Rows asked for at once.
const PAGE: u64 = 5000;

/// Put an advertiser's file beside our conversions, and tell every difference. Works with and without a running
/// server; changes nothing: what differs is accepted over the API or in the console.
///
/// The file has a header. Its columns are known by name: `conversion_id`, `unique_id`, `transaction_id`, `order_id` or
/// `click_id`; `amount` or `revenue`; `date`, `status`, `payout`, `currency`; others by --map.
///
/// Exits with 0 when everything matches, 1 when there are differences, 2 when it could not run.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crumb reconcile june.csv --advertiser 7 --from 2026-06-01 --to 2026-06-30\n  \
                        crumb reconcile june.csv --advertiser 7 --from 2026-06-01 --to 2026-06-30 --map 'Order Ref=unique_id' \
                        --map 'Net=amount' --tolerance 0.01 --time-zone America/New_York --rows june-rows.csv"
)]
pub struct Reconcile {
    #[command(flatten)]
    place: Place,
    /// The file; - is standard input
    file: PathBuf,
    /// Whose file it is
    #[arg(long, value_name = "ID")]
    advertiser: u32,
    /// The first day or moment of the range
    #[arg(long, value_name = "DATE")]
    from: String,
    /// The last one
    #[arg(long, value_name = "DATE")]
    to: String,
    /// What a column of theirs is here; `ignored` leaves it out
    #[arg(long, value_name = "THEIRS=OURS", value_parser = mapping)]
    map: Vec<String>,
    /// By how much amounts may differ [default: 0]
    #[arg(long, value_name = "AMOUNT")]
    tolerance: Option<String>,
    /// By how many hours dates may be outside the range [default: 0]
    #[arg(long, value_name = "HOURS")]
    date_tolerance: Option<u32>,
    /// The format of their dates, such as %d/%m/%Y [default: what the column looks like]
    #[arg(long, value_name = "FORMAT")]
    date_format: Option<String>,
    /// The time zone of their dates [default: the network's]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// The currency of amounts that name none [default: our conversion's]
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Write every row, with what it is, to this file as CSV
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// `theirs=ours` as the API has it.
fn mapping(text: &str) -> Result<String, String> {
    let (theirs, ours) = text.rsplit_once('=').ok_or("use THEIRS=OURS, such as 'Order Ref=unique_id'")?;
    Ok(format!("{theirs}:{ours}"))
}

impl Reconcile {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let file = open(&self.file)?;
        with_api(&self.place, "reconcile", |api| self.reconcile(api, &file))
    }

    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    fn reconcile(&self, api: &Api, file: &File) -> anyhow::Result<ExitCode> {
        let length = file.metadata().map_or(0, |it| it.len());
        let progress = ProgressBar::new(length).with_message("reading");
        progress.set_style(ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {wide_bar} {eta}")?);
        let body = || -> Box<dyn Read> {
            progress.reset();
            let mut again = file;
            let rewound = again.rewind().and_then(|()| file.try_clone());
            match rewound {
                Ok(file) => Box::new(progress.wrap_read(file)),
                Err(error) => Box::new(Unreadable(Some(error))),
            }
        };
        let mut answer = api.post_file("reconcile", &self.query(), ("text/csv", &body))?;
        progress.finish_and_clear();
        let mut made = answer["reconciliation"].take();
        let id = made["reconciliation_id"].as_u64().context("the server's answer has no reconciliation")?;
        if let Some(file) = &self.rows {
            write_rows(api, id, file)?;
        }
        if self.json {
            made["rows"] = Value::Array(rows(api, id, &[], LISTED_MAX)?);
            println!("{}", serde_json::to_string_pretty(&json!({ "reconciliation": made }))?);
        } else {
            print(api, id, &made)?;
        }
        let is_same = differences(&made) == 0;
        Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![
            ("advertiser_id", self.advertiser.to_string()),
            ("start_date", self.from.clone()),
            ("end_date", self.to.clone()),
            ("row_limit", "1".to_owned()),
        ];
        let name = self.file.file_name().map(|name| name.to_string_lossy().chars().take(100).collect());
        query.extend(name.filter(|name| name != "-").map(|name: String| ("note", name)));
        // A line each, since a name may have a comma in it.
        query.extend((!self.map.is_empty()).then(|| ("map", format!("{}\n", self.map.join("\n")))));
        let more = [
            ("tolerance", self.tolerance.clone()),
            ("date_tolerance", self.date_tolerance.map(|it| it.to_string())),
            ("date_format", self.date_format.clone()),
            ("time_zone", self.time_zone.clone()),
            ("currency", self.currency.clone()),
        ];
        query.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
        query
    }
}

/// What could not be read again, told when it is read.
struct Unreadable(Option<std::io::Error>);

impl Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
fn print(api: &Api, id: u64, made: &Value) -> anyhow::Result<()> {
    let counts = made["counts"].as_object().into_iter().flatten();
    let counts = counts.filter(|it| *it.1 != 0).map(|(class, rows)| format!("{rows} {class}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    println!("reconciliation {id}: {} rows: {counts}", made["total_rows"]);
    for text in made["remarks"].as_array().into_iter().flatten() {
        println!("  {}", cell(text));
    }
    for step in made["bridge"].as_array().into_iter().flatten() {
        let [text, currency] = [&step["text"], &step["currency"]].map(cell);
        let rows = step["rows"].to_string();
        println!("  {text:<68} {rows:>8} {:>16} {currency}", step["amount"].to_string());
    }
    let classes: Vec<_> = RowClass::ALL.iter().copied().filter(|it| *it != RowClass::Matched).collect();
    for row in rows(api, id, &classes, TOLD_MAX)? {
        let place = row["line"]
            .as_u64()
            .map_or_else(|| format!("conversion {}", row["conversion_id"]), |line| format!("line {line}"));
        println!("  {place}: {}: {}", cell(&row["class"]), cell(&row["reason"]));
    }
    let more = differences(made).saturating_sub(TOLD_MAX);
    if more > 0 {
        println!("  and {more} more; --rows writes all of them to a file");
    }
    Ok(())
}

/// How many rows are not matched.
fn differences(made: &Value) -> u64 {
    let counts = made["counts"].as_object().into_iter().flatten();
    counts.filter(|it| it.0 != RowClass::Matched.name()).filter_map(|it| it.1.as_u64()).sum()
}

/// The first rows of these classes, or of all where none is named.
fn rows(api: &Api, id: u64, classes: &[RowClass], limit: u64) -> anyhow::Result<Vec<Value>> {
    let names: Vec<_> = classes.iter().map(|it| it.name()).collect();
    let mut found = Vec::new();
    while (found.len() as u64) < limit {
        let query = [
            ("reconciliation_id", id.to_string()),
            ("classes", names.join(",")),
            ("start_at_row", found.len().to_string()),
            ("row_limit", PAGE.min(limit - found.len() as u64).to_string()),
        ];
        let mut answer = api.get("reconciliation", &query)?.map_err(|told| anyhow!(told))?;
        let Value::Array(rows) = answer["reconciliation"]["rows"].take() else { break };
        if rows.is_empty() {
            break;
        }
        found.extend(rows);
    }
    Ok(found)
}

fn write_rows(api: &Api, id: u64, file: &Path) -> anyhow::Result<()> {
    let cannot = || format!("{} cannot be written", file.display());
    let mut into = BufWriter::new(File::create(file).with_context(cannot)?);
    api.save("reconciliation.csv", &[("reconciliation_id", id.to_string())], &mut into)?;
    into.flush().with_context(cannot)
}

/// A value as text, `null` as none.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The file, or what standard input has, kept where it can be read again.
fn open(file: &Path) -> anyhow::Result<File> {
    let cannot = || format!("{} cannot be read", file.display());
    let opened = if file == Path::new("-") {
        let mut kept = tempfile::tempfile().context("no place to keep standard input")?;
        std::io::copy(&mut std::io::stdin().take(UPLOAD_BYTES_MAX + 1), &mut kept).with_context(cannot)?;
        kept
    } else {
        File::open(file).with_context(cannot)?
    };
    let about = opened.metadata().with_context(cannot)?;
    ensure!(about.is_file(), "{} is not a file; - reads standard input", file.display());
    ensure!(about.len() <= UPLOAD_BYTES_MAX, "{} has more than 256 MiB: split it", file.display());
    Ok(opened)
}
