//! Chance: a cryptographic generator a thread, seeded by the system.

use app::Chance;
use rand::Rng as _;

/// The thread's cryptographic generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn draw(&self) -> u64 {
        rand::rng().next_u64()
    }
}
