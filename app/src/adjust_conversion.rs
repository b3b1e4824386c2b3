//! Update Conversion: one conversion is changed, never by overwriting but as a dated adjustment.

use std::sync::Arc;

use domain::access::Caller;
use domain::adjustment::{Adjustment, Cause, Change, EffectiveDate, Unadjustable};
use domain::conversion_request::BadParameter;
use domain::ids::{ConversionId, EventId, OfferId, StatementId};
use domain::network::Network;
use jiff::{Timestamp, ToSpan};
use ledger::{Adjusted, Author, Ledger, NotAdjusted, Order};

use crate::failure::blocking;
use crate::{App, ConversionRow, Failure};

/// How far ahead of the clock a change may be dated, in hours: as far as a conversion itself.
const AHEAD_HOURS: i64 = 24;

/// Which conversion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WhichConversion {
    /// The one of that number.
    Id(ConversionId),
    /// The one of that offer and transaction.
    UniqueId {
        /// The offer.
        offer_id: OfferId,
        /// The advertiser's transaction id.
        unique_id: String,
        /// Its event, where the transaction has conversions of several.
        event_id: Option<EventId>,
    },
}

/// What is to be done to a conversion, or to many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdjustConversion {
    /// What is to change.
    pub change: Change,
    /// The date it counts for.
    pub effective: EffectiveDate,
    /// A conversion with a line on a closed statement is left alone.
    pub refuse_if_stated: bool,
    /// Why.
    pub note: String,
}

/// A conversion that was to be adjusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdjustedConversion {
    /// It, as it is now.
    pub row: ConversionRow,
    /// The adjustment; none where it stood as asked already.
    pub adjustment: Option<Adjustment>,
}

/// Why a conversion was not adjusted.
#[derive(Debug)]
pub enum AdjustConversionError {
    /// A parameter cannot be used.
    BadParameter(BadParameter),
    /// There is no such conversion.
    NotFound,
    /// The transaction has conversions of several events.
    SeveralEvents,
    /// The rules do not allow it.
    Unadjustable(ConversionId, Unadjustable),
    /// A line of it is on this statement, and such were to be left alone.
    Stated(ConversionId, StatementId),
    /// It could not be done.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for AdjustConversionError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl AdjustConversionError {
    /// Why that conversion was left as it is.
    pub fn of(id: ConversionId, not: NotAdjusted) -> Self {
        match not {
            NotAdjusted::NotFound => Self::NotFound,
            NotAdjusted::Unadjustable(why) => Self::Unadjustable(id, why),
            NotAdjusted::Stated(statement_id) => Self::Stated(id, statement_id),
        }
    }
}

impl AdjustConversion {
    /// A change may count for any past date, and for one a little ahead.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), BadParameter> {
        match self.effective {
            EffectiveDate::Custom(at) if at > now.saturating_add(AHEAD_HOURS.hours()).unwrap_or(now) => {
                Err(BadParameter::invalid("custom_date", format!("at most {AHEAD_HOURS} hours ahead")))
            }
            _ => Ok(()),
        }
    }

    /// The order, of which the postbacks of `network` tell.
    pub(crate) fn order(self, caller: &Caller, cause: Cause, network: Arc<Network>) -> Order {
        let Self { change, effective, refuse_if_stated, note } = self;
        let (author, batch_id, tells) = (author(caller), None, Some(network));
        Order { change, effective, refuse_if_stated, author, note, cause, batch_id, tells }
    }
}

/// The caller as the books name it.
pub(crate) fn author(caller: &Caller) -> Author {
    Author { key_id: Some(caller.key_id), name: caller.name.clone() }
}

impl App {
    /// Changes one conversion. On return the adjustment is committed with its lines; where the
    /// conversion stood as asked already there is none, so asking again for the same changes nothing.
    pub async fn adjust_conversion(
        &self,
        caller: &Caller,
        which: WhichConversion,
        adjust: AdjustConversion,
    ) -> Result<AdjustedConversion, AdjustConversionError> {
        caller.may_administer()?;
        let now = self.clock.now();
        adjust.check(now).map_err(AdjustConversionError::BadParameter)?;
        let order = adjust.order(caller, Cause::Update, self.network.load_full());
        let ledger = Arc::clone(&self.ledger);
        let done = blocking(move || {
            let id = match find(&*ledger, which)? {
                Ok(id) => id,
                Err(error) => return Ok(Err(error)),
            };
            let adjusted = ledger.adjust_conversions(&[id], &order, now)?.pop();
            Ok(adjusted
                .unwrap_or(Err(NotAdjusted::NotFound))
                .map_err(|not| AdjustConversionError::of(id, not)))
        });
        let Adjusted { conversion, adjustment } = done.await??;
        self.metrics.adjustments.inc_by(u64::from(adjustment.is_some()));
        Ok(AdjustedConversion { row: ConversionRow::of(conversion, &self.network.load()), adjustment })
    }
}

fn find(
    ledger: &dyn Ledger,
    which: WhichConversion,
) -> Result<Result<ConversionId, AdjustConversionError>, Failure> {
    let found = match which {
        WhichConversion::Id(id) => return Ok(Ok(id)),
        WhichConversion::UniqueId { offer_id, unique_id, event_id } => {
            ledger.find_by_unique_id(offer_id, &unique_id, event_id)?
        }
    };
    Ok(match *found {
        [] => Err(AdjustConversionError::NotFound),
        [id] => Ok(id),
        _ => Err(AdjustConversionError::SeveralEvents),
    })
}
