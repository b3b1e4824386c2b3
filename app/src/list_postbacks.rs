//! Lists of postbacks and webhooks, from the snapshot in memory.

use std::sync::Arc;

use domain::access::Caller;
use domain::ids::AffiliateId;
use domain::network_change::EntityKind;
use domain::postback::{Owner, Postback};

use crate::list_network::sorted;
use crate::{App, Failure};

impl App {
    /// Postbacks that `wanted` picks: for an affiliate only its own.
    pub fn list_postbacks(
        &self,
        caller: &Caller,
        affiliate_id: Option<AffiliateId>,
        wanted: impl Fn(&Postback) -> bool,
    ) -> Result<Vec<Arc<Postback>>, Failure> {
        let affiliate_id = caller.may_read()?.affiliate(affiliate_id)?;
        let own = |it: &Postback| affiliate_id.is_none_or(|id| it.owner == Owner::Affiliate(id));
        Ok(self.list_kind(EntityKind::Postback, |it| own(it) && wanted(it)))
    }

    /// Webhooks that `wanted` picks: none of them is an affiliate's.
    pub fn list_webhooks(
        &self,
        caller: &Caller,
        wanted: impl Fn(&Postback) -> bool,
    ) -> Result<Vec<Arc<Postback>>, Failure> {
        caller.may_read_all()?;
        Ok(self.list_kind(EntityKind::Webhook, wanted))
    }

    fn list_kind(&self, kind: EntityKind, wanted: impl Fn(&Postback) -> bool) -> Vec<Arc<Postback>> {
        let network = self.network.load();
        sorted(network.postbacks().filter(|it| it.kind() == kind && wanted(it)), |it| it.id)
    }
}
