//! Get Click: one click by its id, or a page of those that match.

use std::sync::Arc;
use std::time::Duration;

use domain::access::Caller;
use domain::archive_query::{ClickFilter, ClickPage, ClickSearch};
use domain::click::Click;
use domain::ids::{AffiliateId, ClickId, ConversionId, OfferId};
use domain::money::Currency;
use jiff::{Timestamp, ToSpan};
use ledger::Ledger;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::blocking;
use crate::run_report::{Currencies, narrow};
use crate::{App, Failure};

/// How long a question waits for its turn before it is told to come back.
const TURN_MAX: Duration = Duration::from_secs(2);
/// The window when neither an id nor a date is given, in hours.
const WINDOW_HOURS: i64 = 24;

/// Which clicks.
#[derive(Clone, Debug, Default)]
pub struct ListClicks {
    /// This one; it wins over everything else.
    pub click_id: Option<String>,
    /// At or after this.
    pub from: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
    /// On this offer.
    pub offer_id: Option<OfferId>,
    /// Of this affiliate.
    pub affiliate_id: Option<AffiliateId>,
    /// Skip this many.
    pub offset: u64,
    /// This many at most.
    pub limit: usize,
}

/// A click and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClickRow {
    /// The click.
    pub click: Click,
    /// Its first conversion of the default event.
    pub conversion_id: Option<ConversionId>,
}

/// A page of clicks, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClickList {
    /// All matches, before paging.
    pub total: u64,
    /// The page.
    pub rows: Vec<ClickRow>,
}

impl App {
    /// Finds or lists clicks. With neither an id nor a date it is the last 24 hours.
    pub async fn list_clicks(&self, caller: &Caller, question: ListClicks) -> Result<ClickList, Failure> {
        let view = caller.may_read()?;
        let affiliate_id = view.affiliate(question.affiliate_id)?;
        let now = self.clock.now();
        let _turn = self.turn().await?;
        let (archive, ledger) = (Arc::clone(&self.archive), Arc::clone(&self.ledger));
        blocking(move || {
            let ClickPage { total, clicks } = match &question.click_id {
                Some(id) => one(archive.find(id.parse().unwrap_or(ClickId::MIN))?, affiliate_id),
                None => {
                    archive.list(&filter(&question, affiliate_id, now), question.offset, question.limit)?
                }
            };
            listed(&*ledger, ClickPage { total, clicks })
        })
        .await
    }

    /// Lists clicks by whatever they have, and by the currency of their offers: what is under a report's
    /// figure. Every click of the range is looked at.
    pub async fn search_clicks(
        &self,
        caller: &Caller,
        mut search: ClickSearch,
        currency: Option<Currency>,
        offset: u64,
        limit: usize,
    ) -> Result<ClickList, Failure> {
        let view = caller.may_read()?;
        if let Some(own) = view.affiliate_id {
            narrow(&mut search.filters, own)?;
        }
        if let Some(currency) = currency {
            let currencies = Currencies::of(&self.network.load(), self.settings.currency);
            search.filters.push(currencies.filter(currency));
        }
        let _turn = self.turn().await?;
        let (archive, ledger) = (Arc::clone(&self.archive), Arc::clone(&self.ledger));
        blocking(move || listed(&*ledger, archive.search(&search, offset, limit)?)).await
    }

    /// A turn to ask: questions are bounded, so that they never crowd out what visitors wait for.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, Failure> {
        turn_of(&self.questions).await
    }

    /// A turn to send what is as long as it is. It is given back when the last of it is read, so these
    /// have turns of their own.
    pub(crate) async fn download(&self) -> Result<OwnedSemaphorePermit, Failure> {
        turn_of(&self.downloads).await
    }
}

fn listed(ledger: &dyn Ledger, page: ClickPage) -> Result<ClickList, Failure> {
    Ok(ClickList { total: page.total, rows: with_conversions(ledger, page.clicks)? })
}

/// Clicks with what became of them.
pub(crate) fn with_conversions(ledger: &dyn Ledger, clicks: Vec<Click>) -> Result<Vec<ClickRow>, Failure> {
    let ids: Vec<_> = clicks.iter().map(|it| it.id).collect();
    let conversions = ledger.find_conversions_of(&ids)?;
    let row = |(click, conversion_id)| ClickRow { click, conversion_id };
    Ok(clicks.into_iter().zip(conversions).map(row).collect())
}

pub(crate) async fn turn_of(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Failure> {
    match tokio::time::timeout(TURN_MAX, Arc::clone(turns).acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(Failure::Overloaded),
    }
}

/// A page of the one click, unless it is another affiliate's.
fn one(found: Option<Click>, affiliate_id: Option<AffiliateId>) -> ClickPage {
    let own = |click: &Click| affiliate_id.is_none_or(|id| id == click.affiliate_id);
    let clicks: Vec<_> = found.filter(own).into_iter().collect();
    ClickPage { total: clicks.len() as u64, clicks }
}

fn filter(question: &ListClicks, affiliate_id: Option<AffiliateId>, now: Timestamp) -> ClickFilter {
    let neither = question.from.is_none() && question.until.is_none();
    let window = || now.checked_sub(WINDOW_HOURS.hours()).unwrap_or(Timestamp::UNIX_EPOCH);
    let from = question.from.or_else(|| neither.then(window)).unwrap_or(Timestamp::UNIX_EPOCH);
    ClickFilter {
        offer_id: question.offer_id,
        affiliate_id,
        before: question.until.map_or(ClickId::MAX, ClickId::first_at),
        from: ClickId::first_at(from),
    }
}

#[cfg(test)]
mod tests {
    use domain::access::{Grant, Scope};
    use domain::ids::KeyId;

    use super::*;
    use crate::sample;

    #[tokio::test(start_paused = true)]
    async fn a_question_waits_for_its_turn_and_is_told_to_come_back_when_none_is_free() {
        let opened = sample::open();
        let app = &opened.app;
        let caller = Caller { key_id: KeyId(1), name: "test".into(), grant: Grant::of(Scope::Read) };
        let ask = || app.list_clicks(&caller, ListClicks { limit: 1, ..ListClicks::default() });
        let all = app.settings.questions_max;
        let mut turns = Vec::new();
        for _ in 0..all {
            turns.push(app.turn().await.expect("a free turn"));
        }
        assert!(matches!(ask().await, Err(Failure::Overloaded)));
        turns.pop();
        ask().await.expect("a turn was given back");
    }
}
