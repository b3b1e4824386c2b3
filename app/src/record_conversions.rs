//! Many conversion calls at once, each on its own: they share commits, and nothing else.

use domain::access::Caller;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;

use crate::record_conversion::Outcome;
use crate::{App, Failure, SentCall};

/// Calls of one batch that are with the ledger at the same time: they fill a good part of a commit and
/// leave room for others.
const AT_ONCE: usize = 64;

impl App {
    /// Records calls, each exactly once per key and in no order among them; the outcomes stand in the order
    /// of the calls. One that is refused hinders no other.
    pub async fn record_conversions(
        &self,
        caller: &Caller,
        calls: Vec<SentCall<'_>>,
    ) -> Result<Vec<Outcome>, Failure> {
        caller.may_record()?;
        // A batch alone never fills the queue that all callers share.
        let at_once = AT_ONCE.min(self.settings.conversions_waiting_max.div_ceil(2));
        let mut outcomes = Vec::with_capacity(calls.len());
        let mut under_way = FuturesOrdered::new();
        for call in calls {
            if under_way.len() == at_once {
                outcomes.extend(under_way.next().await);
            }
            under_way.push_back(self.record_conversion(caller, call));
        }
        while let Some(outcome) = under_way.next().await {
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }
}
