//! What can go wrong with any use case, beyond its own refusals.

use archive::ArchiveError;
use domain::access::NotPermitted;
use ledger::LedgerError;
use thiserror::Error;

/// Why a use case could not be carried out at all.
#[derive(Debug, Error)]
pub enum Failure {
    /// The caller's key does not allow it.
    #[error("this key does not permit that")]
    NotPermitted,
    /// As much is waiting as may wait. Trying again in a moment helps.
    #[error("too much is waiting")]
    Overloaded,
    /// The batch it belongs to was taken back meanwhile.
    #[error("the batch was taken back")]
    BatchUndone,
    /// Something it needs is not available now. Trying again later helps.
    #[error("not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something is broken.
    #[error("broken")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<NotPermitted> for Failure {
    fn from(NotPermitted: NotPermitted) -> Self {
        Self::NotPermitted
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Unavailable(_) | LedgerError::Full => Self::Unavailable(error.into()),
            LedgerError::BatchUndone(_) => Self::BatchUndone,
            _ => Self::Broken(error.into()),
        }
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Unavailable(_) | ArchiveError::Full(_) => Self::Unavailable(error.into()),
            _ => Self::Broken(error.into()),
        }
    }
}

/// Runs blocking work on the threads kept for it. A panic there is a broken use case, not a lost request.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(Failure::Broken(panic.into())))
}
