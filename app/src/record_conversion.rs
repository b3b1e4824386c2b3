//! A conversion call: read it, find its click, have the ledger judge and record it, all before the
//! answer. Every call with a valid key leaves an attempt, whatever became of it.

use std::sync::Arc;

use domain::access::Caller;
use domain::click::Click;
use domain::conversion::{Conversion, ConversionCall, Refusal, Terms};
use domain::conversion_request::{
    self, BadParameter, CLICK_ID_CHARS_MAX, Circumstances, Parameters, TEXT_CHARS_MAX,
};
use domain::details::{Door, Origin};
use domain::dialect::{CallField, find};
use domain::event::is_default;
use domain::ids::{ClickId, EventId};
use domain::network::{DEFAULT_EVENT, Network};
use ledger::{Attempt, Recorded, Submission};

use crate::failure::blocking;
use crate::{App, Failure, fingerprints};

/// A conversion call as it came.
pub struct SentCall<'p> {
    /// Its parameters, as far as they could be read.
    pub sent: &'p dyn Parameters,
    /// Why they could not be read, where that is so.
    pub problem: Option<BadParameter>,
    /// The whole call as text, without its key.
    pub raw: String,
    /// Which way in it took.
    pub door: Door,
}

/// A conversion on record, by this call or by the one it repeats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedConversion {
    /// The conversion.
    pub conversion: Conversion,
    /// Whether this call repeats an earlier one.
    pub repeated: bool,
    /// Whether this call is a repeat that carries other amounts.
    pub conflict: bool,
}

/// Why a call did not become a conversion.
#[derive(Debug)]
pub enum RecordConversionError {
    /// A parameter is missing or cannot be used.
    BadParameter(BadParameter),
    /// The rules refuse it.
    Refused(Refusal),
    /// Without a key it is not taken from where it came from.
    AddressNotPermitted,
    /// Its sender calls more often than anybody may.
    TooOften,
    /// It could not be judged.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for RecordConversionError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl RecordConversionError {
    /// Whether it is the answer to the call, rather than that there is none now.
    pub(crate) fn is_an_answer(&self) -> bool {
        match self {
            Self::BadParameter(_)
            | Self::Refused(_)
            | Self::AddressNotPermitted
            | Self::Failure(Failure::NotPermitted) => true,
            Self::TooOften | Self::Failure(_) => false,
        }
    }
}

pub(crate) type Outcome = Result<RecordedConversion, RecordConversionError>;

impl App {
    /// Records a conversion call exactly once per key, for ever.
    pub async fn record_conversion(&self, caller: &Caller, call: SentCall<'_>) -> Outcome {
        caller.may_record()?;
        let SentCall { sent, problem, raw, door } = call;
        let origin = Origin { door, ..Origin::default() };
        let now = self.clock.now();
        let circumstances = Circumstances { key_id: caller.key_id, now, zone: &self.settings.zone, origin };
        let read = || conversion_request::read(sent, raw.clone(), circumstances);
        let outcome = match problem.map_or_else(read, Err) {
            Ok(call) => {
                let fingerprints = fingerprints::of_call(sent);
                let is_backfill = caller.grant.may_backfill;
                self.judge_call(caller, ConversionCall { fingerprints, is_backfill, ..call }).await
            }
            Err(bad) => Err(RecordConversionError::BadParameter(bad)),
        };
        // What the rules refuse has its attempt from the ledger.
        if let Err(error) = &outcome
            && error.is_an_answer()
            && !matches!(error, RecordConversionError::Refused(_))
        {
            self.keep_attempt(sent, raw, circumstances, error).await?;
        }
        self.count(outcome.as_ref().ok());
        outcome.map_err(|error| with_event_named(error, sent))
    }

    async fn judge_call(&self, caller: &Caller, call: ConversionCall) -> Outcome {
        let network = self.network.load_full();
        let offer = network.offer(call.offer_id);
        caller.may_record_for(call.offer_id, offer.map(|it| it.advertiser_id))?;
        if call.payout.is_some() && !caller.may_override_payout() {
            return Err(Failure::NotPermitted.into());
        }
        let click = self.find_click(&call.click_id).await?;
        self.submit(&network, call, click).await
    }

    /// Has the ledger judge and record a call whose sender may make it.
    pub(crate) async fn submit(
        &self,
        network: &Arc<Network>,
        mut call: ConversionCall,
        click: Option<Click>,
    ) -> Outcome {
        call.event_id = event_of(network, &call);
        let terms = Terms {
            network: Arc::clone(network),
            zone: self.settings.zone.clone(),
            currency: self.settings.currency,
        };
        match self.conversions.record(Submission { call, click, terms, stated: None }).await? {
            Recorded::New(conversion) => {
                Ok(RecordedConversion { conversion, repeated: false, conflict: false })
            }
            Recorded::Same { first, conflict } => {
                if conflict {
                    tracing::warn!(
                        conversion_id = first.id.0,
                        "a repeated call carries other amounts; the original stands"
                    );
                }
                Ok(RecordedConversion { conversion: first, repeated: true, conflict })
            }
            Recorded::Refused(refusal) => Err(RecordConversionError::Refused(refusal)),
        }
    }

    /// The click of that id, looked up as sent: a text that is no click id is the id of no click.
    pub(crate) async fn find_click(&self, id: &str) -> Result<Option<Click>, Failure> {
        let Ok(id) = id.parse::<ClickId>() else { return Ok(None) };
        if let Some(click) = self.archive.find_recent(id) {
            return Ok(Some(click));
        }
        let archive = Arc::clone(&self.archive);
        blocking(move || Ok(archive.find(id)?)).await
    }

    /// Keeps the attempt of a call that never came to be judged, and why.
    pub(crate) async fn keep_attempt(
        &self,
        sent: &dyn Parameters,
        raw: String,
        circumstances: Circumstances<'_>,
        why: &RecordConversionError,
    ) -> Result<(), Failure> {
        self.conversions.keep(attempt(sent, raw, circumstances, why)).await
    }

    /// Counts what became of a call; none where it was refused.
    pub(crate) fn count(&self, recorded: Option<&RecordedConversion>) {
        match recorded {
            Some(recorded) if recorded.repeated => self.metrics.conversions_repeated.inc(),
            Some(_) => self.metrics.conversions_recorded.inc(),
            None => self.metrics.conversions_refused.inc(),
        };
    }
}

/// The attempt of a call that never came to be judged, and why.
pub(crate) fn attempt(
    sent: &dyn Parameters,
    raw: String,
    circumstances: Circumstances<'_>,
    why: &RecordConversionError,
) -> Attempt {
    let get = |name: &str| sent.get(name);
    let text = |field, chars_max| -> String {
        find(field, get).map(|(_, value)| value.chars().take(chars_max).collect()).unwrap_or_default()
    };
    let (outcome, reason) = match why {
        RecordConversionError::BadParameter(bad) => (bad.code(), bad.message()),
        RecordConversionError::Refused(refusal) => (refusal.code(), String::new()),
        RecordConversionError::AddressNotPermitted => ("not_permitted", "from this address".to_owned()),
        _ => ("not_permitted", String::new()),
    };
    Attempt {
        door: circumstances.origin.door,
        address: circumstances.origin.ip_address.map(|it| it.to_string()).unwrap_or_default(),
        event_id: None,
        batch_id: None,
        offer_id: find(CallField::OfferId, get).and_then(|(_, value)| value.parse().ok()),
        received_at: circumstances.now,
        key_id: circumstances.key_id,
        click_id: text(CallField::ClickId, CLICK_ID_CHARS_MAX),
        unique_id: text(CallField::UniqueId, TEXT_CHARS_MAX),
        outcome: outcome.to_owned(),
        reason,
        conversion_id: None,
        raw,
    }
}

/// What kind of conversion a call means on the offer it names.
pub(crate) fn event_of(network: &Network, call: &ConversionCall) -> Option<EventId> {
    let advertiser_id = network.offer(call.offer_id).map(|it| it.advertiser_id);
    call.event.resolve(&|text| match advertiser_id {
        Some(advertiser_id) => network.find_event(advertiser_id, text),
        None => is_default(text).then_some(DEFAULT_EVENT),
    })
}

/// An event nobody knows is told by the parameter that named it.
pub(crate) fn with_event_named(error: RecordConversionError, sent: &dyn Parameters) -> RecordConversionError {
    match (&error, conversion_request::event_parameter(sent)) {
        (RecordConversionError::Refused(Refusal::UnknownEvent), Some(name)) => {
            RecordConversionError::BadParameter(BadParameter::invalid(name, "the offer has no such event"))
        }
        _ => error,
    }
}
