//! Chance, handed in. The real one lives in `crumb`.

/// Draws random bits that nobody can guess.
pub trait Chance: Send + Sync {
    /// 64 random bits.
    fn draw(&self) -> u64;
}
