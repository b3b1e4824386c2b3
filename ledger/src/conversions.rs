//! Conversions and the attempts behind them.

use domain::click::Click;
use domain::conversion::{Conversion, ConversionCall, Refusal, Terms};
use domain::conversion_query::{ConversionFilter, ConversionPage, ConversionQuery};
use domain::details::Door;
use domain::ids::{AttemptId, BatchId, ClickId, ConversionId, EventId, KeyId, OfferId};
use domain::status::ConversionStatus;
use jiff::Timestamp;

use crate::LedgerError;
use crate::adjustments::Author;

/// A conversion call with what it is to be judged by.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The call.
    pub call: ConversionCall,
    /// The click it names, where there is one.
    pub click: Option<Click>,
    /// The network's say.
    pub terms: Terms,
    /// How the conversion is to stand, where whoever brings it knows.
    pub stated: Option<Stated>,
}

/// How a new conversion is to stand, whatever the offer would have it be. It is recorded as any other, and
/// brought there by adjustments in the same transaction, as far as there is a way; postbacks tell of it as
/// recorded, once, as it stands then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stated {
    /// Its status.
    pub status: ConversionStatus,
    /// Who says so.
    pub author: Author,
    /// Why, in words.
    pub note: String,
}

impl Submission {
    /// Whether there is an offer of the number that the call names.
    pub fn knows_offer(&self) -> bool {
        self.terms.network.offer(self.call.offer_id).is_some()
    }
}

/// What became of a conversion call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recorded {
    /// It is recorded.
    New(Conversion),
    /// It was recorded before; the first stands.
    Same {
        /// The conversion that stands.
        first: Conversion,
        /// Whether this call carries other amounts.
        conflict: bool,
    },
    /// It is not recorded, only its attempt is.
    Refused(Refusal),
}

/// A conversion call that was refused before it could be judged, for the record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The way it came in.
    pub door: Door,
    /// The offer it named, where that could be read.
    pub offer_id: Option<OfferId>,
    /// What kind of conversion it was, where that is known.
    pub event_id: Option<EventId>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The key it came with; 0 where it needed none.
    pub key_id: KeyId,
    /// The address it came from, as far as addresses are kept; else empty.
    pub address: String,
    /// The batch it belongs to.
    pub batch_id: Option<BatchId>,
    /// The click it named, as sent.
    pub click_id: String,
    /// The transaction it named, as sent.
    pub unique_id: String,
    /// The code it was answered with.
    pub outcome: String,
    /// Why, in words.
    pub reason: String,
    /// The conversion it became or repeats.
    pub conversion_id: Option<ConversionId>,
    /// The call as it came, without its key.
    pub raw: String,
}

/// An attempt with its number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptAttempt {
    /// Its number; they grow in the order of recording.
    pub id: AttemptId,
    /// The attempt.
    pub attempt: Attempt,
}

/// By what attempts are found. An empty text finds none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttemptKey {
    /// By their number.
    Id(AttemptId),
    /// By the click they named, as sent or in either case.
    Click(String),
    /// By the transaction they named.
    UniqueId(String),
}

/// By what conversions are found. An empty text finds none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConversionKey {
    /// By their click.
    Click(ClickId),
    /// By the advertiser's transaction, on any offer.
    UniqueId(String),
    /// By the advertiser's order reference.
    OrderId(String),
}

/// Conversions, attempts, and the questions about them.
pub trait ConversionBook {
    /// Records conversion calls, each exactly once per key (offer, event, `unique_id`), for ever and
    /// under any concurrency. On return all outcomes are committed, each with its attempt; they stand
    /// in the order of the submissions, and each was decided as if after those before it. Not recorded
    /// is only what is refused, or a call whose own error is in its place. With a conversion are committed
    /// the deliveries of all postbacks that it fires; a repeat fires none.
    fn record_conversions(
        &self,
        submissions: &[Submission],
    ) -> Result<Vec<Result<Recorded, LedgerError>>, LedgerError>;

    /// Keeps an attempt that never came to be judged. Not idempotent: each call is an attempt.
    fn record_attempt(&self, attempt: &Attempt) -> Result<(), LedgerError>;

    /// The attempts that named this click, as sent, oldest first.
    fn list_attempts(&self, click_id: &str) -> Result<Vec<Attempt>, LedgerError>;

    /// The attempts known by that, oldest first, `limit` at most.
    fn list_attempts_by(&self, key: &AttemptKey, limit: u32) -> Result<Vec<KeptAttempt>, LedgerError>;

    /// The conversions known by that, by number, `limit` at most.
    fn list_conversions_by(&self, key: &ConversionKey, limit: u32) -> Result<Vec<Conversion>, LedgerError>;

    /// The conversion of that number.
    fn find_conversion(&self, id: ConversionId) -> Result<Option<Conversion>, LedgerError>;

    /// For each click its first conversion of the default event, in the order of the clicks.
    fn find_conversions_of(&self, clicks: &[ClickId]) -> Result<Vec<Option<ConversionId>>, LedgerError>;

    /// The conversions that match in the order of their dates and then numbers, from after that place on, `limit`
    /// at most: for walks that miss none that was there when they began, and meet none twice.
    fn list_conversions_after(
        &self,
        filter: &ConversionFilter,
        after: Option<(Timestamp, ConversionId)>,
        limit: u32,
    ) -> Result<Vec<Conversion>, LedgerError>;

    /// A page of conversions and how many match in all, both of the same moment.
    fn list_conversions(&self, query: &ConversionQuery) -> Result<ConversionPage, LedgerError>;
}
