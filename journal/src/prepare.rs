//! The preparer's thread: keeps one spare file ready, so that a roll need not wait for a file to be filled.

use std::io;
use std::time::Duration;

use crate::shared::Shared;

/// What is written and synced at once: about a millisecond of a disk's time, which clicks wait for meanwhile.
const FILL_BYTES: u64 = 256 << 10;
/// Between two pieces, so that the clicks' own syncs come in between. A file of 64 MiB then takes over a second;
/// one is needed every few seconds at most.
const FILL_PAUSE: Duration = Duration::from_millis(4);
/// Soon enough that a passing error is hardly noticed.
pub(crate) const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Rare enough that a disk that stays full is left alone, and short beside what freeing space takes.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The pause after one more failure.
pub(crate) fn longer(pause: Duration) -> Duration {
    (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX)
}

/// Prepares spares until the writer has ended.
pub(crate) fn run(shared: &Shared) {
    let mut pause = Duration::ZERO;
    while let Some(spare) = shared.wait_for_spare_wanted() {
        match fill(shared, &spare) {
            Ok(()) => {
                pause = Duration::ZERO;
                shared.spare_prepared(spare);
            }
            Err(error) => {
                // Gives back what little space it took; if that fails too, the next start does it.
                _ = shared.disk.remove(&spare);
                shared.spare_failed(format!("cannot prepare a journal file: {error}"));
                pause = longer(pause);
                shared.pause_preparer(pause);
            }
        }
    }
}

/// Real zeros, not a hole: writing into them later changes no metadata, which halves the time of an fsync.
fn fill(shared: &Shared, name: &str) -> io::Result<()> {
    let file_bytes = shared.limits.file_bytes;
    let file = shared.disk.create(name)?;
    let zeros = vec![0; usize::try_from(FILL_BYTES.min(file_bytes)).map_err(io::Error::other)?];
    let mut offset = 0;
    while offset < file_bytes {
        let left = usize::try_from(file_bytes - offset).unwrap_or(usize::MAX);
        let part = &zeros[..zeros.len().min(left)];
        file.write_at(part, offset)?;
        offset += part.len() as u64;
        // Where clicks wait for this very file there is nobody to make way for.
        if offset < file_bytes && shared.is_available() {
            file.sync()?;
            shared.pause_preparer(FILL_PAUSE);
        }
    }
    file.sync()
}
