//! Waiting for the journal. A lane belongs to one runtime: the journal wakes each lane once per
//! batch, and the lane wakes its own waiters without leaving its thread. Waking every request from
//! the journal's thread would cost a system call each.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use journal::{Failed, Journal, Seq};
use tokio::sync::Notify;

/// The lanes there are, for the journal to wake.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<Vec<Arc<Notify>>>);

impl Lanes {
    /// Something was decided: every lane looks for itself.
    pub(crate) fn wake(&self) {
        for lane in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            lane.notify_one();
        }
    }
}

/// One runtime's way of waiting for the journal. Its [`Lane::relay`] must be running there.
pub struct Lane {
    journal: Arc<Journal>,
    decided: Arc<Notify>,
    waiting: Mutex<VecDeque<(Seq, Waker)>>,
}

impl Lane {
    pub(crate) fn new(journal: Arc<Journal>, lanes: &Lanes) -> Self {
        let decided = Arc::new(Notify::new());
        lanes.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&decided));
        Self { journal, decided, waiting: Mutex::default() }
    }

    /// Wakes those whose record is decided, each time the journal has got further. Never ends.
    pub async fn relay(&self) {
        loop {
            self.decided.notified().await;
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while waiting.front().is_some_and(|(seq, _)| self.journal.outcome(*seq).is_some()) {
                let (_, waker) = waiting.pop_front().expect("looked at");
                waker.wake();
            }
        }
    }

    /// Waits until the record is durable, or has failed.
    pub(crate) async fn durable(&self, seq: Seq) -> Result<(), Failed> {
        poll_fn(|context| {
            if let Some(outcome) = self.journal.outcome(seq) {
                return Poll::Ready(outcome);
            }
            self.waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back((seq, context.waker().clone()));
            // Decided in between, the relay may have looked already.
            self.journal.outcome(seq).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl crate::App {
    /// A lane for one runtime, which runs its relay.
    pub fn lane(&self) -> Lane {
        Lane::new(Arc::clone(&self.journal), &self.lanes)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use domain::access::{Caller, Grant, Scope};
    use domain::ids::{AdvertiserId, AffiliateId, CampaignId, KeyId, OfferId};
    use domain::network::{CampaignStatus, PartyStatus};
    use domain::network_change::{CreateAdvertiser, CreateAffiliate, CreateCampaign, CreateOffer};
    use domain::routing::Link;
    use domain::tokens::UrlTemplate;

    use super::*;
    use crate::{App, ChangeError, NotSent, Sent, Visit, sample};

    async fn make_network(app: &App) -> Result<(), ChangeError> {
        let caller = Caller { key_id: KeyId(1), name: "test".into(), grant: Grant::of(Scope::Admin) };
        let status = PartyStatus::Active;
        app.create_advertiser(&caller, CreateAdvertiser { name: "a".into(), status }).await?;
        app.create_affiliate(&caller, CreateAffiliate { name: "b".into(), status, tier: None }).await?;
        let url = UrlTemplate::parse("https://shop.example/").expect("a url");
        app.create_offer(&caller, CreateOffer::new("o", AdvertiserId(1), url)).await?;
        let campaign = CreateCampaign {
            offer_id: OfferId(1),
            affiliate_id: AffiliateId(1),
            status: CampaignStatus::Active,
            creative_id: None,
            payout: None,
            revenue: None,
            expires: None,
            redirect: None,
        };
        app.create_campaign(&caller, campaign).await.map(drop)
    }

    fn visit() -> Visit {
        Visit {
            link: Some(Link::Campaign(CampaignId(1), None)),
            known_domain: true,
            sub_ids: <[String; 5]>::default(),
            deep_link: String::new(),
            udid: String::new(),
            extra_query: String::new(),
            country: None,
            ip_address: None,
            user_agent: "x".repeat(500),
            referrer: String::new(),
            language: String::new(),
            cookies: String::new(),
        }
    }

    #[test]
    fn while_the_journal_stands_still_clicks_wait_up_to_the_bound_and_the_next_is_refused_at_once() {
        let opened = sample::open();
        let app = &opened.app;
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(make_network(app)).expect("made");
        let lane = app.lane();

        // The journal cannot tell that a batch is durable, so it does not come to the next one.
        let standstill = app.lanes.0.lock().expect("nobody panics");
        let mut waiting = 0;
        let mut context = Context::from_waker(Waker::noop());
        let refused = loop {
            match pin!(app.record_click(&lane, visit())).poll(&mut context) {
                Poll::Pending => waiting += 1,
                Poll::Ready(answer) => break answer,
            }
        };
        assert_eq!(refused, Err(NotSent::Overloaded));
        assert_eq!(app.metrics().clicks_unavailable.get(), 1);
        assert!((20..100).contains(&waiting), "16 KiB hold about 30 such clicks, and a batch under way more");

        drop(standstill);
        let again = runtime.block_on(async {
            loop {
                tokio::select! {
                    () = lane.relay() => unreachable!("a relay never ends"),
                    answer = app.record_click(&lane, visit()) => match answer {
                        Err(NotSent::Overloaded) => tokio::task::yield_now().await,
                        answer => break answer,
                    },
                }
            }
        });
        assert!(matches!(again, Ok(Sent { click_id: Some(_), .. })), "{again:?}");
    }
}
