//! Drawing ranks so that rank k comes 1/k as often as the first: how traffic falls on offers and
//! affiliates.

use rand::RngExt as _;
use rand::rngs::SmallRng;

/// The distribution over ranks `0..ranks`.
#[derive(Debug)]
pub struct Zipf {
    /// The sum of the weights up to and with each rank.
    cumulative: Vec<f64>,
}

impl Zipf {
    /// At least one rank.
    pub fn new(ranks: u32) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=ranks)
            .map(|rank| {
                sum += 1.0 / f64::from(rank);
                sum
            })
            .collect();
        Self { cumulative }
    }

    /// A rank, from 0.
    pub fn draw(&self, random: &mut SmallRng) -> usize {
        let last = self.cumulative.len() - 1;
        let point = random.random::<f64>() * self.cumulative[last];
        self.cumulative.partition_point(|sum| *sum <= point).min(last)
    }
}
