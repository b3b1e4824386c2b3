//! Node numbers: servers on one ledger have one each.

use domain::ids::NodeNumber;

use crate::LedgerError;

/// The numbers in use.
pub trait NodeBook {
    /// Holds this number for as long as the ledger is open. An error, [`LedgerError::NodeInUse`], while
    /// another server holds it.
    fn hold_node(&self, node: NodeNumber) -> Result<(), LedgerError>;
}
