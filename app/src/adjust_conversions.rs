//! Mass adjustment: all conversions that match are changed as one batch, after a look at what would
//! become of them. Which they are is settled before the first is changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::access::Caller;
use domain::adjustment::{Cause, Unadjustable, Worth};
use domain::conversion_query::ConversionFilter;
use domain::conversion_request::BadParameter;
use domain::ids::{BatchId, ConversionId};
use domain::money::Currency;
use jiff::Timestamp;
use ledger::{Adjusted, BatchType, Ledger, NotAdjusted, Order};

use crate::adjust_conversion::{AdjustConversion, AdjustedConversion};
use crate::failure::blocking;
use crate::{App, ConversionRow, Failure};

/// Conversions of one mass adjustment at most: some ten seconds of the ledger's time.
pub const ADJUSTED_MAX: u32 = 100_000;
/// Conversions adjusted in one transaction: few enough that conversion calls wait only milliseconds.
const CHUNK: usize = 500;
/// How many of the conversions that would change are shown.
const SAMPLE: usize = 10;

/// Why conversions would be, or were, left as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Left {
    /// The status does not follow from theirs.
    pub by_status: u64,
    /// An amount would leave its range.
    pub by_amount: u64,
    /// A line of theirs is on a closed statement.
    pub stated: u64,
}

impl Left {
    /// All of them.
    pub fn all(self) -> u64 {
        self.by_status + self.by_amount + self.stated
    }
}

/// How many conversions would change, or did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Changed.
    pub adjusted: u64,
    /// They stood as asked already.
    pub unchanged: u64,
    /// Not changed.
    pub left: Left,
}

/// What conversions are worth before and after, without those that are left as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Before.
    pub before: Worth,
    /// After.
    pub after: Worth,
}

/// What a mass adjustment would do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Foreseen {
    /// How many conversions would change.
    pub tally: Tally,
    /// What they are worth, by currency.
    pub totals: BTreeMap<Currency, Totals>,
    /// The first of those that would change.
    pub sample: Vec<AdjustedConversion>,
}

/// What a mass adjustment did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdjustedMany {
    /// The batch that takes all of it back; none where no conversion matched.
    pub batch_id: Option<BatchId>,
    /// How many conversions changed.
    pub tally: Tally,
}

/// Why conversions were not adjusted.
#[derive(Debug)]
pub enum AdjustConversionsError {
    /// A parameter cannot be used.
    BadParameter(BadParameter),
    /// More than [`ADJUSTED_MAX`] match.
    TooMany,
    /// It could not be done, or not to its end: what was done is one batch.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for AdjustConversionsError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl App {
    /// What [`App::adjust_conversions`] would do, and nothing done.
    pub async fn preview_adjustments(
        &self,
        caller: &Caller,
        filter: ConversionFilter,
        adjust: AdjustConversion,
    ) -> Result<Foreseen, AdjustConversionsError> {
        caller.may_administer()?;
        let now = self.clock.now();
        adjust.check(now).map_err(AdjustConversionsError::BadParameter)?;
        let order = adjust.order(caller, Cause::MassAdjustment, self.network.load_full());
        let turn = self.turn().await?;
        let (ledger, network) = (Arc::clone(&self.ledger), self.network.load_full());
        let foreseen = blocking(move || {
            let _turn = turn;
            let Some(ids) = matching(&*ledger, &filter)? else { return Ok(None) };
            let mut foreseen = Foreseen::default();
            for ids in ids.chunks(CHUNK) {
                for outcome in ledger.preview_adjustments(ids, &order, now)? {
                    foreseen.tally.count(&outcome);
                    let Ok(adjusted) = outcome else { continue };
                    foreseen.add(&adjusted);
                    let Adjusted { conversion, adjustment } = adjusted;
                    if adjustment.is_some() && foreseen.sample.len() < SAMPLE {
                        let row = ConversionRow::of(conversion, &network);
                        foreseen.sample.push(AdjustedConversion { row, adjustment });
                    }
                }
            }
            Ok(Some(foreseen))
        });
        foreseen.await?.ok_or(AdjustConversionsError::TooMany)
    }

    /// Changes all conversions that match as one batch. It goes on to its end even if the caller hangs up.
    pub async fn adjust_conversions(
        &self,
        caller: &Caller,
        filter: ConversionFilter,
        adjust: AdjustConversion,
    ) -> Result<AdjustedMany, AdjustConversionsError> {
        caller.may_administer()?;
        let now = self.clock.now();
        adjust.check(now).map_err(AdjustConversionsError::BadParameter)?;
        let order = adjust.order(caller, Cause::MassAdjustment, self.network.load_full());
        let turn = self.turn().await?;
        let (ledger, counted) = (Arc::clone(&self.ledger), self.metrics.adjustments.clone());
        let done = blocking(move || {
            let _turn = turn;
            let Some(ids) = matching(&*ledger, &filter)? else { return Ok(None) };
            let done = adjust_all(&*ledger, &ids, order, now)?;
            counted.inc_by(done.tally.adjusted);
            Ok(Some(done))
        });
        done.await?.ok_or(AdjustConversionsError::TooMany)
    }
}

/// The conversions that match, unless there are too many.
fn matching(ledger: &dyn Ledger, filter: &ConversionFilter) -> Result<Option<Vec<ConversionId>>, Failure> {
    let ids = ledger.list_conversion_ids(filter, ConversionId(0), ADJUSTED_MAX + 1)?;
    Ok(Some(ids).filter(|ids| ids.len() <= ADJUSTED_MAX as usize))
}

fn adjust_all(
    ledger: &dyn Ledger,
    ids: &[ConversionId],
    mut order: Order,
    now: Timestamp,
) -> Result<AdjustedMany, Failure> {
    let mut done = AdjustedMany { batch_id: None, tally: Tally::default() };
    if ids.is_empty() {
        return Ok(done);
    }
    done.batch_id = Some(ledger.create_batch(BatchType::MassAdjustment, &order.author, &order.note, now)?);
    order.batch_id = done.batch_id;
    for ids in ids.chunks(CHUNK) {
        for outcome in ledger.adjust_conversions(ids, &order, now)? {
            done.tally.count(&outcome);
        }
    }
    Ok(done)
}

impl Tally {
    fn count(&mut self, outcome: &Result<Adjusted, NotAdjusted>) {
        let counter = match outcome {
            Ok(Adjusted { adjustment: Some(_), .. }) => &mut self.adjusted,
            Ok(_) => &mut self.unchanged,
            Err(NotAdjusted::Unadjustable(Unadjustable::Status { .. })) => &mut self.left.by_status,
            Err(NotAdjusted::Unadjustable(Unadjustable::Negative | Unadjustable::TooLarge)) => {
                &mut self.left.by_amount
            }
            Err(NotAdjusted::Stated(_)) => &mut self.left.stated,
            // It was listed a moment ago, and conversions are never removed.
            Err(NotAdjusted::NotFound) => return,
        };
        *counter += 1;
    }
}

impl Foreseen {
    fn add(&mut self, adjusted: &Adjusted) {
        let after = adjusted.conversion.standing.worth();
        let before = adjusted.adjustment.as_ref().map_or(after, |it| it.before.worth());
        let nothing = Totals { before: Worth::NOTHING, after: Worth::NOTHING };
        let totals = self.totals.entry(adjusted.conversion.currency).or_insert(nothing);
        for (total, worth) in [(&mut totals.before, before), (&mut totals.after, after)] {
            total.payout = total.payout.plus(worth.payout);
            total.revenue = total.revenue.plus(worth.revenue);
        }
    }
}
