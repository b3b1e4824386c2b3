//! A click without a redirect: somebody's server tells us of a visitor it has sent on itself.

use domain::access::Caller;
use domain::routing::{Target, Unattributable};

use crate::{App, ClickRow, Failure, Lane, NotSent, Visit};

/// A recorded click, and where it leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerClick {
    /// The click.
    pub row: ClickRow,
    /// The landing page with its tokens expanded, or where a refused click goes; none is the built-in page.
    pub landing_url: Option<String>,
}

/// Why no click was recorded.
#[derive(Debug)]
pub enum RecordClickError {
    /// It names something that does not exist.
    Unattributable(Unattributable),
    /// It could not be recorded.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for RecordClickError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl App {
    /// Records a click exactly as a followed link does. On return it is durable and readable.
    pub async fn record_server_click(
        &self,
        caller: &Caller,
        lane: &Lane,
        visit: Visit,
    ) -> Result<ServerClick, RecordClickError> {
        caller.may_record()?;
        let link = visit.link.ok_or(RecordClickError::Unattributable(Unattributable::Incomplete))?;
        let network = self.network.load_full();
        let offer = Target::of(&network, link).map_err(RecordClickError::Unattributable)?.offer;
        caller.may_record_for(offer.id, Some(offer.advertiser_id))?;
        let sent = self.record_click(lane, visit).await.map_err(|not_sent| match not_sent {
            NotSent::Unattributable(why) => RecordClickError::Unattributable(why),
            NotSent::Overloaded => Failure::Overloaded.into(),
            NotSent::Unavailable => Failure::Unavailable("the click could not be made durable".into()).into(),
        })?;
        let id = sent.click_id.expect("a recorded click has an id").to_string();
        let click =
            self.find_click(&id).await?.ok_or_else(|| Failure::Broken("a durable click is gone".into()))?;
        Ok(ServerClick { row: ClickRow { click, conversion_id: None }, landing_url: sent.location })
    }
}
