//! The time, handed in. The system's clock lives in `crumb`, one that can be advanced in `testkit`.

use jiff::Timestamp;

/// Tells the time. Asked once per request or turn of a loop.
pub trait Clock: Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;
}
