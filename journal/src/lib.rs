//! An append-only, durable log of opaque records. It knows bytes, not clicks: what a record means, when a file
//! is no longer needed and how waiting becomes async is the owner's business (see `app`).
//!
//! One thread writes everything that arrived during the last fsync as one batch, a second one keeps the next
//! file ready. The bytes on disk are described in `docs/formats-journal.md`.
//!
//! ```no_run
//! # struct Nothing;
//! # impl journal::Sink for Nothing {
//! #     fn committed(&mut self, _: &journal::Batch<'_>) {}
//! #     fn rolled(&mut self, _: journal::FileNumber) {}
//! #     fn progressed(&mut self) {}
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (sink, dir) = (Box::new(Nothing), "journal".into());
//! let options = journal::Options { dir, file_bytes: 64 << 20, pending_bytes_max: 16 << 20, spare_files_max: 2 };
//! let mut opened = journal::Opened::open(options)?;
//! opened.replay(|_file| true, |_file, seq, record| println!("{seq}: {} bytes", record.len()))?;
//! let journal = opened.start(sink)?;
//! let seq = journal.append(|bytes| bytes.extend_from_slice(b"a record"))?;
//! journal.wait(seq)?; // durable from here on
//! # Ok(())
//! # }
//! ```

mod copy;
mod disk;
mod error;
mod file;
mod frame;
mod header;
mod inspect;
mod journal;
mod outcomes;
mod prepare;
mod replay;
mod shared;
mod sink;
mod window;
mod writer;

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use copy::{Copied, copy};
pub use error::{AppendError, Failed, JournalError};
pub use inspect::{Report, inspect};
pub use journal::{Journal, Stats};
pub use replay::{Opened, Replayed, ReplayedFile, Torn};
pub use sink::{Batch, Sink};

/// The number of a record, from 1, always growing; a failed batch leaves a gap.
pub type Seq = u64;

/// The number of a file, from 1, always growing and never used again.
pub type FileNumber = u64;

/// Where the journal lives and how much it may take.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder, created when it is not there. Nothing else should live in it.
    pub dir: PathBuf,
    /// The size to which a file is filled before it is used; between 4 KiB and 1 GiB.
    pub file_bytes: u64,
    /// How much may wait for the next write; also the largest batch, and so the largest record.
    pub pending_bytes_max: usize,
    /// How many dropped files are kept for use as new ones.
    pub spare_files_max: usize,
}
