//! What can go wrong: with the folder, with one record, with one batch.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::FileNumber;
use crate::header;

/// Why the journal's folder could not be opened, read, or changed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process writes to this folder.
    #[error("the journal folder {} is in use by another process", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
    },
    /// A record that was durable once cannot be read, or the file is not what its name says.
    #[error("journal file {file} is damaged at byte {offset}")]
    Corrupt {
        /// The damaged file.
        file: FileNumber,
        /// Where its readable part ends.
        offset: u64,
    },
    /// A file says that another was written before it than the one that is there.
    #[error("journal files {earlier} and {file} do not belong to the same journal")]
    Foreign {
        /// The file before it.
        earlier: FileNumber,
        /// The file that says so.
        file: FileNumber,
    },
    /// The file was written by a release that is newer than this one.
    #[error(
        "journal file {file} has format version {version}; this release reads version {}",
        header::VERSION
    )]
    UnknownVersion {
        /// The file.
        file: FileNumber,
        /// The version in its header.
        version: u32,
    },
    /// The newest file carries the numbering on and stays until the next one has begun.
    #[error("journal file {file} is the newest and cannot be dropped yet")]
    InUse {
        /// The file.
        file: FileNumber,
    },
    /// The operating system refused.
    #[error("cannot {action}")]
    Io {
        /// What was tried, with the name.
        action: String,
        /// Its answer.
        source: io::Error,
    },
}

impl JournalError {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> JournalError {
        let action = action.into();
        move |source| JournalError::Io { action, source }
    }
}

/// Why a record was not taken. Nothing of it was or will be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// As much is waiting as may wait.
    #[error("the journal's queue is full")]
    Full {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// There is no file to write to; the journal tries to open one.
    #[error("the journal is unavailable")]
    Unavailable,
    /// The record would never fit.
    #[error("a record of {bytes} bytes is longer than {bytes_max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest record that fits.
        bytes_max: usize,
    },
}

/// The record's batch was not made durable. A later replay may find it or not; it must not be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record could not be made durable")]
pub struct Failed;
