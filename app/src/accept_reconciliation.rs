//! Accepting a reconciliation: what differs becomes what their file says, as one batch that can be taken back.
//! What is accepted is what was looked at; a conversion that has changed since is left alone.

use std::sync::Arc;

use archive::Archive;
use domain::access::Caller;
use domain::adjustment::{Amend, Cause, Change, EffectiveDate};
use domain::click::Click;
use domain::conversion::{ConversionCall, Terms};
use domain::conversion_request::{self, BadParameter, Circumstances, Parameters};
use domain::details::{Door, Origin};
use domain::ids::{AdvertiserId, BatchId, ClickId, KeyId, ReconciliationId};
use domain::network::Network;
use domain::reconciliation::RowClass;
use domain::status::ConversionStatus;
use jiff::Timestamp;
use ledger::{
    Accepting, Author, Ledger, Order, Reconciliation, ReconciliationRow, Recorded, Stated, Submission, Taken,
    Taking,
};

use crate::adjust_conversion::author;
use crate::failure::blocking;
use crate::list_clicks::turn_of;
use crate::record_conversion::event_of;
use crate::{App, Failure};

/// Rows that are accepted in one transaction: few enough that conversion calls wait only milliseconds.
const CHUNK: u32 = 256;

/// What is to be accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AcceptReconciliation {
    /// The reconciliation.
    pub id: ReconciliationId,
    /// The classes whose rows are accepted.
    pub classes: Vec<RowClass>,
    /// Whether only to tell what would become of them.
    pub is_dry_run: bool,
    /// Why.
    pub note: String,
}

/// What became of the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AcceptedReconciliation {
    /// The batch that takes all of it back; none after a dry run.
    pub batch_id: Option<BatchId>,
    /// Adjustments that were made.
    pub adjustments: u64,
    /// Conversions that were recorded.
    pub conversions: u64,
    /// Rows whose conversion stood as they say already.
    pub unchanged: u64,
    /// Rows whose conversion has changed since the reconciliation.
    pub changed_since: u64,
    /// Rows that name no click by which a conversion could be recorded.
    pub without_click: u64,
    /// Rows that the rules refuse.
    pub refused: u64,
}

/// Why a reconciliation was not accepted.
#[derive(Debug)]
pub enum AcceptReconciliationError {
    /// A parameter cannot be used.
    BadParameter(BadParameter),
    /// There is no such reconciliation, or none any more.
    NotFound,
    /// It was accepted before, as this batch.
    Already(BatchId),
    /// It could not be done, or not to its end: what was done is in the batch, which can be taken back.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for AcceptReconciliationError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl App {
    /// Accepts a reconciliation, once. It goes on to its end even if the caller hangs up.
    pub async fn accept_reconciliation(
        &self,
        caller: &Caller,
        accept: AcceptReconciliation,
    ) -> Result<AcceptedReconciliation, AcceptReconciliationError> {
        caller.may_administer()?;
        accept.check().map_err(AcceptReconciliationError::BadParameter)?;
        let turn = turn_of(&self.reconciliations).await?;
        let network = self.network.load_full();
        let terms = Terms {
            network: Arc::clone(&network),
            zone: self.settings.zone.clone(),
            currency: self.settings.currency,
        };
        let (ledger, archive) = (Arc::clone(&self.ledger), Arc::clone(&self.archive));
        let (key_id, author, now) = (caller.key_id, author(caller), self.clock.now());
        let done = blocking(move || {
            let _turn = turn;
            let found = ledger.find_reconciliation(accept.id)?;
            let Some(found) = found else { return Ok(Err(AcceptReconciliationError::NotFound)) };
            if let Some(batch_id) = found.batch_id {
                return Ok(Err(AcceptReconciliationError::Already(batch_id)));
            }
            let accepting = if accept.is_dry_run {
                None
            } else {
                match ledger.accept_reconciliation(accept.id, &author, &accept.note, now)? {
                    Accepting::Begun(batch_id) => Some(batch_id),
                    Accepting::NotFound => return Ok(Err(AcceptReconciliationError::NotFound)),
                    Accepting::Already(id) => return Ok(Err(AcceptReconciliationError::Already(id))),
                }
            };
            let order = Order {
                change: Change::default(),
                effective: EffectiveDate::Today,
                refuse_if_stated: false,
                author: author.clone(),
                note: accept.note.clone(),
                cause: Cause::Reconciliation,
                batch_id: accepting,
                tells: Some(network),
            };
            let accepter = Accepter { ledger, archive, terms, key_id, author, now, found, order };
            accepter.accept(&accept.classes).map(Ok)
        });
        let accepted = done.await??;
        if accepted.batch_id.is_some() {
            self.metrics.adjustments.inc_by(accepted.adjustments);
            self.metrics.conversions_recorded.inc_by(accepted.conversions);
        }
        Ok(accepted)
    }
}

impl AcceptReconciliation {
    fn check(&self) -> Result<(), BadParameter> {
        if self.classes.is_empty() {
            return Err(BadParameter::missing("classes"));
        }
        match self.classes.iter().find(|it| !it.is_acceptable()) {
            None => Ok(()),
            Some(class) => {
                let can: Vec<_> =
                    RowClass::ALL.iter().filter(|it| it.is_acceptable()).map(|it| it.name()).collect();
                let problem = format!("{} cannot be accepted; {} can", class.name(), can.join(", "));
                Err(BadParameter::invalid("classes", problem))
            }
        }
    }
}

/// A reconciliation being accepted.
struct Accepter {
    ledger: Arc<dyn Ledger>,
    archive: Arc<Archive>,
    terms: Terms,
    key_id: KeyId,
    author: Author,
    now: Timestamp,
    found: Reconciliation,
    order: Order,
}

impl Accepter {
    fn accept(&self, classes: &[RowClass]) -> Result<AcceptedReconciliation, Failure> {
        let mut accepted =
            AcceptedReconciliation { batch_id: self.order.batch_id, ..AcceptedReconciliation::default() };
        let mut after = 0;
        loop {
            let rows = self.ledger.next_reconciliation_rows(self.found.id, classes, after, CHUNK)?;
            let Some(last) = rows.last() else { return Ok(accepted) };
            after = last.position;
            self.take(&rows, &mut accepted)?;
            self.record(&rows, &mut accepted)?;
        }
    }

    fn take(&self, rows: &[ReconciliationRow], accepted: &mut AcceptedReconciliation) -> Result<(), Failure> {
        let takings: Vec<_> = rows.iter().filter_map(taking).collect();
        let taken = if self.order.batch_id.is_some() {
            self.ledger.take_theirs(&takings, &self.order, self.now)?
        } else {
            self.ledger.preview_taking(&takings, &self.order, self.now)?
        };
        for taken in taken {
            match taken {
                Taken::Adjusted(adjusted) if adjusted.is_empty() => accepted.unchanged += 1,
                Taken::Adjusted(adjusted) => accepted.adjustments += adjusted.len() as u64,
                Taken::ChangedSince => accepted.changed_since += 1,
                Taken::NotAdjusted(_) => accepted.refused += 1,
            }
        }
        Ok(())
    }

    fn record(
        &self,
        rows: &[ReconciliationRow],
        accepted: &mut AcceptedReconciliation,
    ) -> Result<(), Failure> {
        let mut submissions = Vec::new();
        for row in rows.iter().filter(|it| it.class == RowClass::MissingHere) {
            if row.click_id.is_empty() {
                accepted.without_click += 1;
            } else if let Some(submission) = self.submission(row)? {
                submissions.push(submission);
            } else {
                accepted.refused += 1;
            }
        }
        if submissions.is_empty() {
            return Ok(());
        }
        let recorded = if self.order.batch_id.is_some() {
            self.ledger.record_conversions(&submissions)?
        } else {
            self.ledger.preview_conversions(&submissions)?
        };
        for recorded in recorded {
            match recorded? {
                Recorded::New(conversion) => {
                    accepted.conversions += 1;
                    accepted.adjustments += u64::from(conversion.adjustments);
                }
                Recorded::Same { .. } => accepted.unchanged += 1,
                Recorded::Refused(_) => accepted.refused += 1,
            }
        }
        Ok(())
    }

    /// A row as a conversion call; none where it cannot be one.
    fn submission(&self, row: &ReconciliationRow) -> Result<Option<Submission>, Failure> {
        let click = match row.click_id.parse::<ClickId>() {
            Ok(id) => self.archive.find(id)?,
            Err(_) => None,
        };
        if click.as_ref().is_some_and(|click| !self.may_record(row, click)) {
            return Ok(None);
        }
        let sent = Sent::of(row, click.as_ref(), &self.found, self.now);
        let origin = Origin { door: Door::Reconciliation, ..Origin::default() };
        let circumstances =
            Circumstances { key_id: self.key_id, now: self.now, zone: &self.terms.zone, origin };
        let Ok(call) = conversion_request::read(&sent, sent.raw(), circumstances) else { return Ok(None) };
        let call = ConversionCall {
            event_id: event_of(&self.terms.network, &call),
            batch_id: self.order.batch_id,
            is_backfill: true,
            is_told: true,
            ..call
        };
        let stated = row.their_status.map(|status| Stated {
            status,
            author: self.author.clone(),
            note: self.order.note.clone(),
        });
        Ok(Some(Submission { call, click, terms: self.terms.clone(), stated }))
    }

    /// Whether the click is the advertiser's, and its offer in their currency.
    fn may_record(&self, row: &ReconciliationRow, click: &Click) -> bool {
        let own = |network: &Network, advertiser_id: AdvertiserId| {
            let offer = network.offer(offer_of(click));
            offer.is_some_and(|offer| {
                offer.advertiser_id == advertiser_id
                    && row.their_currency.is_none_or(|it| it == offer.currency)
            })
        };
        own(&self.terms.network, self.found.begun.advertiser_id)
    }
}

fn offer_of(click: &Click) -> domain::ids::OfferId {
    click.reached_offer_id().unwrap_or(click.offer_id)
}

/// What a row asks of a conversion that is there.
fn taking(row: &ReconciliationRow) -> Option<Taking> {
    let ours = row.our_status?;
    let changes = match row.class {
        RowClass::MissingThere => match ours {
            ConversionStatus::Approved => vec![of_status(ConversionStatus::Reversed)],
            _ => vec![of_status(ConversionStatus::Rejected)],
        },
        RowClass::AmountDiffers | RowClass::StatusDiffers => changes(row, ours),
        _ => return None,
    };
    Some(Taking { conversion_id: row.conversion_id?, adjustments: row.adjustments?, changes })
}

fn of_status(status: ConversionStatus) -> Change {
    Change { status: Some(status), ..Change::default() }
}

/// What brings a conversion to where they have it: its status, and while that pays, its amounts.
fn changes(row: &ReconciliationRow, ours: ConversionStatus) -> Vec<Change> {
    // An amount without a status is one that they pay.
    let paid = if ours.pays() { ours } else { ConversionStatus::Approved };
    let status = row.their_status.unwrap_or(paid);
    let way = ours.way_to(status).unwrap_or_else(|| vec![status]);
    let mut changes: Vec<_> = way.into_iter().map(of_status).collect();
    if status.pays() {
        if changes.is_empty() {
            changes.push(Change::default());
        }
        let last = changes.last_mut().expect("one at least");
        last.revenue = row.their_amount.map(Amend::Set);
        last.payout = row.their_payout.map(Amend::Set);
    }
    changes
}

/// A row under the names of conversion calls.
struct Sent(Vec<(&'static str, String)>);

impl Sent {
    fn of(row: &ReconciliationRow, click: Option<&Click>, found: &Reconciliation, now: Timestamp) -> Self {
        let mut sent = vec![
            ("click_id", row.click_id.clone()),
            ("offer_id", click.map_or(0, |it| offer_of(it).0).to_string()),
            ("order_id", row.order_id.clone()),
        ];
        // What was named only once names the click.
        if row.unique_id != row.click_id {
            sent.push(("unique_id", row.unique_id.clone()));
        }
        if row.their_status.is_none_or(ConversionStatus::pays) {
            sent.extend(row.their_amount.map(|it| ("revenue", it.to_string())));
            sent.extend(row.their_payout.map(|it| ("payout", it.to_string())));
        }
        let (from, until) = (found.begun.from, found.begun.until);
        let last = until.saturating_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(until).max(from);
        // Without a date it happened by its click, as far as that is in the range.
        let date =
            row.their_date.unwrap_or_else(|| click.map_or(last, Click::date).clamp(from, last).min(now));
        sent.push(("conversion_date", date.to_string()));
        Self(sent.into_iter().filter(|it| !it.1.is_empty()).collect())
    }

    /// The row as its attempt keeps it.
    fn raw(&self) -> String {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        let pair = |(name, value): &(&str, String)| {
            format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
        };
        self.0.iter().map(pair).collect::<Vec<_>>().join("&")
    }
}

impl Parameters for Sent {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }
}
