//! Node numbers in the ledger.

use domain::ids::NodeNumber;

use super::Book;
use crate::LedgerError;
use crate::database::Database;
use crate::nodes::NodeBook;

impl<D: Database> NodeBook for Book<D> {
    fn hold_node(&self, node: NodeNumber) -> Result<(), LedgerError> {
        self.database.hold_node(node)
    }

    fn list_other_nodes(&self, own: NodeNumber) -> Result<Vec<NodeNumber>, LedgerError> {
        self.database.list_other_nodes(own)
    }
}
