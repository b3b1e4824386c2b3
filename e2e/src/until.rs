//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

/// By then a condition holds, or never: generous, as a busy machine is no failure.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long to rest between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks until there is something to see.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::park_timeout(PAUSE);
    }
}
