//! What clicks are decided by one after the other: their ids, the click caps, and who was here a
//! moment ago. One lock, taken for each click under the journal's own, so that the order of ids,
//! of records and of decisions is the same.

use domain::caps::ClickCaps;
use domain::ids::ClickIdMint;

use crate::visitors::Footprints;

pub(crate) struct Sequence {
    pub(crate) mint: ClickIdMint,
    pub(crate) caps: ClickCaps,
    pub(crate) footprints: Footprints,
}

impl crate::App {
    /// A panic under this lock leaves it whole: every step of a click stands for itself.
    pub(crate) fn sequence(&self) -> std::sync::MutexGuard<'_, Sequence> {
        self.sequence.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
