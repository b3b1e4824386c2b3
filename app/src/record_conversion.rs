//! A conversion call: read it, find its click, have the ledger judge and record it, all before the
//! answer. Every call with a valid key leaves an attempt, whatever became of it.

use std::sync::Arc;

use domain::access::Caller;
use domain::click::Click;
use domain::conversion::{Conversion, ConversionCall, Door, Refusal, Terms};
use domain::conversion_request::{self, BadParameter, CLICK_ID_CHARS_MAX, Circumstances, TEXT_CHARS_MAX};
use domain::dialect::{self, CallField};
use domain::ids::{ClickId, EventId, OfferId};
use jiff::Timestamp;
use ledger::{Attempt, Recorded, Submission};

use crate::failure::blocking;
use crate::{App, Failure, Settings, fingerprints};

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
    /// It could not be judged.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for RecordConversionError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl App {
    /// Records a conversion call exactly once per key, for ever. `get` looks up a parameter that was
    /// sent with a value, by its name in lower case; `raw` is the call as it came, without its key.
    pub async fn record_conversion<'p>(
        &self,
        caller: &Caller,
        get: impl Fn(&str) -> Option<&'p str> + Copy,
        raw: String,
    ) -> Result<RecordedConversion, RecordConversionError> {
        caller.may_record()?;
        let now = self.clock.now();
        let zone = &self.settings.zone;
        let circumstances = Circumstances { door: Door::Api, key_id: caller.key_id, now, zone };
        let outcome = match conversion_request::read(get, raw.clone(), circumstances) {
            Ok(mut call) => {
                call.event_id = call.event_id.or_else(|| self.event_of(call.offer_id, get));
                call.fingerprints = fingerprints::of_call(get);
                call.is_backfill = caller.grant.may_backfill;
                self.judge_call(caller, call).await
            }
            Err(bad) => Err(RecordConversionError::BadParameter(bad)),
        };
        match &outcome {
            Err(RecordConversionError::BadParameter(bad)) => {
                let code = if bad.problem.is_none() { "missing_parameter" } else { "invalid_parameter" };
                self.keep_attempt(caller, get, raw, now, code, bad.message()).await?;
            }
            Err(RecordConversionError::Failure(Failure::NotPermitted)) => {
                self.keep_attempt(caller, get, raw, now, "not_permitted", String::new()).await?;
            }
            _ => {}
        }
        self.count(&outcome);
        outcome
    }

    async fn judge_call(
        &self,
        caller: &Caller,
        call: ConversionCall,
    ) -> Result<RecordedConversion, RecordConversionError> {
        let network = self.network.load_full();
        let offer = network.offer(call.offer_id);
        caller.may_record_for(call.offer_id, offer.map(|it| it.advertiser_id))?;
        if call.payout.is_some() && !caller.may_override_payout() {
            return Err(Failure::NotPermitted.into());
        }
        let click = self.find_click(&call.click_id).await?;
        let Settings { zone, currency, .. } = &self.settings;
        let terms = Terms { network: Arc::clone(&network), zone: zone.clone(), currency: *currency };
        match self.conversions.record(Submission { call, click, terms }).await? {
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

    /// The event of the offer's advertiser that a call names.
    fn event_of<'p>(&self, offer_id: OfferId, get: impl Fn(&str) -> Option<&'p str>) -> Option<EventId> {
        let network = self.network.load();
        let (_, text) = dialect::find(CallField::Event, get)?;
        network.find_event(network.offer(offer_id)?.advertiser_id, text)
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

    /// Keeps the attempt of a call that never came to be judged.
    async fn keep_attempt<'p>(
        &self,
        caller: &Caller,
        get: impl Fn(&str) -> Option<&'p str>,
        raw: String,
        received_at: Timestamp,
        outcome: &str,
        reason: String,
    ) -> Result<(), Failure> {
        let text = |field, chars_max| -> String {
            dialect::find(field, &get)
                .map(|(_, value)| value.chars().take(chars_max).collect())
                .unwrap_or_default()
        };
        let attempt = Attempt {
            door: Door::Api,
            event_id: None,
            address: String::new(),
            batch_id: None,
            offer_id: dialect::find(CallField::OfferId, &get).and_then(|(_, value)| value.parse().ok()),
            received_at,
            key_id: caller.key_id,
            click_id: text(CallField::ClickId, CLICK_ID_CHARS_MAX),
            unique_id: text(CallField::UniqueId, TEXT_CHARS_MAX),
            outcome: outcome.to_owned(),
            reason,
            conversion_id: None,
            raw,
        };
        let ledger = Arc::clone(&self.ledger);
        blocking(move || Ok(ledger.record_attempt(&attempt)?)).await
    }

    fn count(&self, outcome: &Result<RecordedConversion, RecordConversionError>) {
        match outcome {
            Ok(recorded) if recorded.repeated => self.metrics.conversions_repeated.inc(),
            Ok(_) => self.metrics.conversions_recorded.inc(),
            Err(_) => self.metrics.conversions_refused.inc(),
        };
    }
}
