//! What is this server's own where several share a ledger: clicks and segments lie on the machine that
//! recorded them.

use std::path::Path;

use domain::ids::{ClickId, NodeNumber};
use domain::segment::Segment;
use ledger::{Ledger, LedgerError};

use crate::Upkeep;
use crate::upkeep::UpkeepError;

/// The segments of the catalogue that a node keeps in that folder. A file that lies there is its own,
/// whatever number it bears: the server had that one before.
pub fn own_segments(
    ledger: &dyn Ledger,
    node: NodeNumber,
    folder: &Path,
) -> Result<Vec<Segment>, LedgerError> {
    let others = ledger.list_other_nodes(node)?;
    let mut segments = ledger.list_segments()?;
    segments.retain(|it| !others.contains(&it.node) || archive::has_file(folder, it));
    Ok(segments)
}

impl Upkeep {
    /// Those of the clicks that no other server has.
    pub(crate) fn own_clicks(&self, clicks: Vec<ClickId>) -> Result<Vec<ClickId>, UpkeepError> {
        if clicks.is_empty() {
            return Ok(clicks);
        }
        let others = self.ledger.list_other_nodes(self.node)?;
        let mut own = Vec::new();
        for id in clicks {
            if !others.contains(&id.node()) || self.archive.find(id)?.is_some() {
                own.push(id);
            }
        }
        Ok(own)
    }
}
