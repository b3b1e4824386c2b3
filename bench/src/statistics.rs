//! Percentiles, medians and spreads.

use std::time::Duration;

/// The value below which `share` (0 to 1) of the sorted values lie.
pub fn percentile<T: Copy>(sorted: &[T], share: f64) -> T {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a list that fits in memory"
    )]
    let index = (share * sorted.len() as f64) as usize;
    sorted[index.min(sorted.len() - 1)]
}

/// The middle and the ends of some rounds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    /// The median round; of an even number the upper of the two in the middle.
    pub median: f64,
    /// The lowest round.
    pub min: f64,
    /// The highest round.
    pub max: f64,
}

impl Spread {
    /// Of at least one round.
    pub fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut rounds: Vec<f64> = rounds.into_iter().collect();
        rounds.sort_by(f64::total_cmp);
        Self { median: percentile(&rounds, 0.5), min: rounds[0], max: rounds[rounds.len() - 1] }
    }
}

/// Latencies in milliseconds, sorted.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<f64>);

impl Latencies {
    /// Of measured durations, in any order.
    pub fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut all: Vec<f64> = durations.into_iter().map(|it| it.as_secs_f64() * 1e3).collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    /// The value below which `share` (0 to 1) of them lie, in milliseconds.
    pub fn ms(&self, share: f64) -> f64 {
        percentile(&self.0, share)
    }
}

/// A count as a number one can divide.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^53")]
pub fn float(count: u64) -> f64 {
    count as f64
}
