//! What can go wrong with clicks at rest. "Not there" is no error.

use std::io;
use std::path::{Path, PathBuf};

use domain::grouping::TooManyGroups;
use parquet::errors::ParquetError;
use thiserror::Error;

use crate::record::RecordError;

/// Why the archive could not do what was asked.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The folder or a file in it cannot be read or written.
    #[error("the archive's folder cannot be used")]
    Unavailable(#[source] io::Error),
    /// No room to write.
    #[error("the archive's disk is full")]
    Full(#[source] io::Error),
    /// A file is not what was written. Only the questions that need this part of it fail.
    #[error("{} is damaged at byte {offset}: {reason}", file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Where in it, as far as known: the start of a damaged block, or 0.
        offset: u64,
        /// What was found.
        reason: String,
    },
    /// A question has more groups than it may have.
    #[error(transparent)]
    TooManyGroups(#[from] TooManyGroups),
    /// The caller wanted it to stop.
    #[error("stopped before it was done")]
    Stopped,
    /// A record that holds no click.
    #[error("record {seq} of journal file {file} holds no click")]
    Record {
        /// The journal file.
        file: u64,
        /// The record.
        seq: u64,
        /// Why not.
        #[source]
        reason: RecordError,
    },
    /// A record that is not after all those before it, or whose file is being sealed.
    #[error("record {seq} of journal file {file} comes out of order")]
    OutOfOrder {
        /// The journal file.
        file: u64,
        /// The record.
        seq: u64,
    },
}

impl ArchiveError {
    /// `file` is not what was written.
    pub(crate) fn corrupt(file: &Path, offset: u64, reason: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_owned(), offset, reason: reason.into() }
    }

    /// What `error`, met while reading or writing `file`, means. Our own errors travel through
    /// the Parquet reader and come back whole.
    pub(crate) fn from_parquet(error: ParquetError, file: &Path) -> Self {
        let ParquetError::External(source) = error else {
            return Self::corrupt(file, 0, error.to_string());
        };
        source
            .downcast::<Self>()
            .map(|ours| *ours)
            .or_else(|other| other.downcast::<io::Error>().map(|io| Self::from(*io)))
            .unwrap_or_else(|other| Self::corrupt(file, 0, other.to_string()))
    }
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error),
            _ => Self::Unavailable(error),
        }
    }
}

impl From<ArchiveError> for ParquetError {
    fn from(error: ArchiveError) -> Self {
        Self::External(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_back_out_of_the_parquet_crate_as_what_they_were() {
        let file = Path::new("file");
        let through = |error: ParquetError| ArchiveError::from_parquet(error, file);
        let full = ParquetError::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(through(full), ArchiveError::Full(_)));
        let other = ParquetError::from(io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(through(other), ArchiveError::Unavailable(_)));
        let ours = ArchiveError::corrupt(Path::new("block"), 4096, "checksum");
        assert!(matches!(through(ours.into()), ArchiveError::Corrupt { offset: 4096, .. }));
        let theirs = ParquetError::General("bad page".to_owned());
        assert!(matches!(through(theirs), ArchiveError::Corrupt { offset: 0, .. }));
    }
}
