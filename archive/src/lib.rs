//! Clicks at rest: recents (in the journal, not yet sealed; kept in memory) and segments (sealed
//! Parquet files), asked as one table. Blocking code. Not here: the journal (`journal`) and the
//! catalogue of segments (`ledger`). Start with [`Archive`]; the file format: `segment`.

mod checked_file;
mod cube;
mod cubes;
mod device;
mod error;
mod folder;
mod group;
mod list;
mod missing;
mod reached;
mod recents;
pub mod record;
mod rewrite;
mod seal;
mod search;
mod segment;
mod table;

pub use cube::CubeState;
pub use error::ArchiveError;
pub use folder::has_file;
pub use reached::Reached;
pub use segment::Blank;
pub use table::{Archive, Options};
