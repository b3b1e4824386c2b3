//! Node numbers: servers on one ledger have one each.

use domain::ids::NodeNumber;

use crate::LedgerError;

/// The numbers in use.
pub trait NodeBook {
    /// Holds this number for as long as the ledger is open. An error, [`LedgerError::NodeInUse`], while
    /// another server holds it.
    fn hold_node(&self, node: NodeNumber) -> Result<(), LedgerError>;

    /// The other numbers that servers of this ledger hold or have held. What bears one of them is theirs.
    fn list_other_nodes(&self, own: NodeNumber) -> Result<Vec<NodeNumber>, LedgerError>;
}
