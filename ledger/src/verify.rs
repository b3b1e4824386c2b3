//! Whether the books are right, from first principles.

use crate::LedgerError;

/// Something that is wrong, named so that it can be found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What was checked, as a stable name.
    pub check: &'static str,
    /// The row, by its table and key.
    pub row: String,
    /// What is wrong with it, in words.
    pub problem: String,
}

/// Checking the books.
pub trait VerifyBook {
    /// Checks sums, links, counts and histories, all at one moment, and hands over what is wrong. Returns
    /// how many rows were looked at. The server may go on recording meanwhile.
    fn verify(&self, finding: &mut dyn FnMut(Finding)) -> Result<u64, LedgerError>;
}
