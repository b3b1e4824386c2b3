//! What was measured: a table for people, a line of JSON for machines.

use std::fmt::Write as _;

use anyhow::ensure;
use serde::Serialize;

use crate::arguments::{Arguments, Part};
use crate::statistics::{Latencies, Spread};
use crate::tools::output;

/// One number.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    part: &'static str,
    what: String,
    value: f64,
    unit: &'static str,
    /// The lowest and highest round, where there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    rounds: Option<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_is: Option<&'static str>,
    /// What it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
}

/// What a figure should be.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The value.
    AtLeast(f64),
    /// The value.
    AtMost(f64),
    /// The ratio.
    RatioAtLeast(f64),
    /// The ratio.
    RatioAtMost(f64),
}

/// Answers given beside rows stored.
#[derive(Clone, Debug, Serialize)]
struct Check {
    what: &'static str,
    answers: u64,
    stored: u64,
    /// Answers the load did not wait for.
    uncounted: u64,
}

/// Everything measured in one run.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: Vec<(&'static str, String)>,
    command: String,
    figures: Vec<Figure>,
    checks: Vec<Check>,
}

impl Figure {
    /// A figure of one round.
    pub fn new(part: &'static str, what: &str, unit: &'static str, value: f64) -> Self {
        let what = what.to_owned();
        Self { part, what, value, unit, rounds: None, ratio: None, ratio_is: None, target: None }
    }

    /// With the lowest and highest round.
    #[must_use]
    pub fn within(mut self, spread: Spread) -> Self {
        self.rounds = Some((spread.min, spread.max));
        self
    }

    /// With a ratio to a peer.
    #[must_use]
    pub fn beside(mut self, ratio_is: &'static str, ratio: f64) -> Self {
        (self.ratio, self.ratio_is) = (Some(ratio), Some(ratio_is));
        self
    }

    /// With what it should be.
    #[must_use]
    pub fn with_target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    fn verdict(&self) -> String {
        let (met, target) = match self.target {
            None => return String::new(),
            Some(Target::AtLeast(min)) => (self.value >= min, format!("≥ {min}")),
            Some(Target::AtMost(max)) => (self.value <= max, format!("≤ {max}")),
            Some(Target::RatioAtLeast(min)) => (self.ratio >= Some(min), format!("ratio ≥ {min}")),
            Some(Target::RatioAtMost(max)) => (self.ratio <= Some(max), format!("ratio ≤ {max}")),
        };
        format!("{target}: {}", if met { "met" } else { "MISSED" })
    }

    fn row(&self) -> [String; 5] {
        let rounds = self.rounds.map(|(min, max)| format!("{}–{}", number(min), number(max)));
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2} {}", self.ratio_is.unwrap_or_default()));
        [
            self.what.clone(),
            format!("{} {:<2}", number(self.value), self.unit),
            rounds.unwrap_or_default(),
            ratio.unwrap_or_default(),
            self.verdict(),
        ]
    }
}

impl Report {
    /// An empty one that says where and how it was measured.
    pub fn of_this_machine(arguments: &Arguments) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let model = read("/proc/cpuinfo");
        let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let disk = std::env::temp_dir();
        let mut findmnt = std::process::Command::new("findmnt");
        let disk = output(findmnt.args(["-no", "SOURCE,FSTYPE", "-T"]).arg(disk)).unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let machine = vec![
            ("processor", format!("{} × {}", cores, model.map_or("unknown", |(_, name)| name))),
            ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
            ("load average before", read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")),
            ("data folder on", disk.split_whitespace().collect::<Vec<_>>().join(" ")),
        ];
        let Arguments { clicks, conversions, seconds, rounds, connections, scale_clicks, only, .. } =
            arguments;
        let mut command = format!(
            "--clicks {clicks} --conversions {conversions} --seconds {seconds} --rounds {rounds} \
             --connections {connections}"
        );
        if arguments.wants(Part::Scale) {
            write!(command, " --scale-clicks {scale_clicks}").expect("writing to a string");
        }
        if arguments.wants(Part::Cubes) {
            write!(command, " --cubes-clicks {}", arguments.cubes_clicks).expect("writing to a string");
        }
        if arguments.wants(Part::Deliveries) {
            write!(command, " --held {}", arguments.held).expect("writing to a string");
        }
        for part in only {
            command.push_str(&format!(" --only {part:?}").to_lowercase());
        }
        Self { machine, command, figures: Vec::new(), checks: Vec::new() }
    }

    /// Adds a figure.
    pub fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Adds a rate per second.
    pub fn rate(&mut self, part: &'static str, what: &str, per_second: f64) {
        self.add(Figure::new(part, what, "/s", per_second));
    }

    /// Adds the median and the 99th percentile of the figure before.
    pub fn latency(&mut self, part: &'static str, latencies: &Latencies) {
        self.add(Figure::new(part, "  p50", "ms", latencies.ms(0.5)));
        self.add(Figure::new(part, "  p99", "ms", latencies.ms(0.99)));
    }

    /// Notes how many answers were given and rows stored; unequal ones void the run.
    pub fn compare(&mut self, what: &'static str, answers: u64, stored: u64) -> anyhow::Result<()> {
        ensure!(answers == stored, "{what}: {answers} answered, {stored} stored");
        self.checked(what, answers, stored, 0);
        Ok(())
    }

    /// Notes answers and rows that were found to agree.
    pub fn checked(&mut self, what: &'static str, answers: u64, stored: u64, uncounted: u64) {
        self.checks.push(Check { what, answers, stored, uncounted });
    }

    /// The line for machines.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// The table for people.
    #[expect(clippy::print_stdout, reason = "this is what the program is for")]
    pub fn print(&self) {
        for (name, value) in &self.machine {
            println!("{name}: {value}");
        }
        println!("bench {}\n", self.command);
        let rows: Vec<_> = self.figures.iter().map(Figure::row).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 4] = std::array::from_fn(width);
        let mut part = "";
        for (figure, [what, value, rounds, ratio, verdict]) in self.figures.iter().zip(&rows) {
            if part != figure.part {
                part = figure.part;
                println!("{part} (value, lowest–highest round, ratio, target)");
            }
            let line = format!(
                "  {what:<0$}  {value:>1$}  {rounds:<2$}  {ratio:<3$}  {verdict}",
                widths[0], widths[1], widths[2], widths[3]
            );
            println!("{}", line.trim_end());
        }
        println!("rows stored against answers given");
        for Check { what, answers, stored, uncounted } in &self.checks {
            let rest =
                if *uncounted == 0 { String::new() } else { format!(", {uncounted} answered uncounted") };
            println!("  {what}: {answers} answers, {stored} stored{rest}");
        }
    }
}

/// Three digits or more, as the eye wants them.
fn number(value: f64) -> String {
    if value >= 1000.0 {
        let digits = format!("{value:.0}");
        let (head, tail) = digits.split_at(digits.len() - 3);
        if head.len() > 3 {
            let (millions, thousands) = head.split_at(head.len() - 3);
            return format!("{millions},{thousands},{tail}");
        }
        format!("{head},{tail}")
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_easily() {
        let check = |value, text| assert_eq!(number(value), text);
        check(1_234_567.0, "1,234,567");
        check(48_123.4, "48,123");
        check(123.4, "123");
        check(12.34, "12.3");
        check(0.1234, "0.123");
    }
}
