//! How much of a click cap is used.

use domain::ids::CapId;

use crate::App;

impl App {
    /// The clicks a cap has taken in its present interval.
    pub fn cap_used(&self, _cap_id: CapId) -> u64 {
        0
    }
}
