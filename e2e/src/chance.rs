//! Chance that a test can repeat.

/// Numbers that look arbitrary and are the same for the same seed (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A row of numbers of its own for every seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, each as likely as the others.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// A number below 2 to the power of `powers`, small ones as likely as large ones.
    pub fn of_any_size(&mut self, powers: u64) -> u64 {
        let power = self.below(powers);
        (1 << power) + self.below(1 << power)
    }
}
