//! Reconciliation: an advertiser's file beside our conversions of a range. The file is gone through three
//! times: for what its columns look like (`survey`), for what names its rows, and for what each is
//! (`compare`). Memory holds the keys of its rows, and nothing else that grows with either side.

mod amounts;
mod columns;
mod compare;
mod dates;
mod rows;
mod survey;
mod text;
mod theirs;
mod upload;

use std::sync::Arc;

use domain::access::Caller;
use domain::conversion_request::BadParameter;
use domain::ids::{AdvertiserId, ReconciliationId};
use domain::money::{Amount, Currency};
use domain::network::Network;
use domain::time::{DateInput, Zone};
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use ledger::BeginReconciliation;

pub use columns::ColumnMap;
pub use upload::{UPLOAD_BYTES_MAX, Upload};

use crate::adjust_conversion::author;
use crate::failure::blocking;
use crate::{App, Failure};
use compare::Comparison;
use dates::is_format;

/// Rows of one file at most.
pub const RECONCILED_MAX: u64 = 1_000_000;
/// The longest range, in days: as long as reports may be.
const DAYS_MAX: i64 = 400;
/// The most hours that dates may be tolerated to be outside the range: a week.
pub const DATE_TOLERANCE_HOURS_MAX: u32 = 168;

/// A reconciliation that somebody asks for.
#[derive(Clone, Debug)]
pub struct Reconcile {
    /// Whose file it is.
    pub advertiser_id: AdvertiserId,
    /// The first day or moment of the range.
    pub start: DateInput,
    /// The last one.
    pub end: DateInput,
    /// What columns stand for, whatever their names say.
    pub map: ColumnMap,
    /// By how much amounts may differ.
    pub tolerance: Amount,
    /// By how many hours dates may be outside the range.
    pub date_tolerance_hours: u32,
    /// The format of their dates, as `strftime` has it; none: what the column looks like.
    pub date_format: Option<String>,
    /// The time zone of their dates; none: the network's.
    pub time_zone: Option<Zone>,
    /// The currency of amounts that name none; none: our conversion's.
    pub currency: Option<Currency>,
    /// What it says of itself.
    pub note: String,
}

/// Why there is no reconciliation.
#[derive(Debug)]
pub enum ReconcileError {
    /// A parameter, or the file, cannot be used.
    BadParameter(BadParameter),
    /// There is no such advertiser.
    NoAdvertiser,
    /// It could not be done.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for ReconcileError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl App {
    /// Puts an advertiser's file beside our conversions. On return every row of either side is kept with what
    /// it is, and nothing else has changed.
    pub async fn reconcile(
        &self,
        caller: &Caller,
        upload: Upload,
        ask: Reconcile,
    ) -> Result<ReconciliationId, ReconcileError> {
        caller.may_read_all()?;
        let network = self.network.load_full();
        if network.advertiser(ask.advertiser_id).is_none() {
            return Err(ReconcileError::NoAdvertiser);
        }
        let zone = self.settings.zone.clone();
        ask.check(&zone).map_err(ReconcileError::BadParameter)?;
        let begin = BeginReconciliation {
            advertiser_id: ask.advertiser_id,
            from: ask.start.start(&zone),
            until: ask.end.end(&zone),
            author: author(caller),
            note: ask.note.clone(),
        };
        let comparison = Comparison {
            ledger: Arc::clone(&self.ledger),
            archive: Arc::clone(&self.archive),
            currency: currency_of(&network, &ask, self.settings.currency),
            network,
            zone,
            now: self.clock.now(),
            ask,
            begin,
        };
        let (file, turn) = upload.finish().await?;
        let made = blocking(move || {
            let _turn = turn;
            comparison.run(file)
        });
        made.await?.map_err(ReconcileError::BadParameter)
    }
}

impl Reconcile {
    fn check(&self, zone: &TimeZone) -> Result<(), BadParameter> {
        let (from, until) = (self.start.start(zone), self.end.end(zone));
        if until <= from {
            return Err(BadParameter::invalid("end_date", "before start_date"));
        }
        let last = from.checked_add((24 * DAYS_MAX).hours());
        if last.is_ok_and(|last| until > last) {
            return Err(BadParameter::invalid(
                "end_date",
                format!("at most {DAYS_MAX} days after start_date"),
            ));
        }
        match &self.date_format {
            Some(format) if !is_format(format) => {
                let problem = "not a format of a date, such as %d/%m/%Y or %d.%m.%Y %H:%M";
                Err(BadParameter::invalid("date_format", problem))
            }
            _ => Ok(()),
        }
    }
}

/// The currency of amounts where nobody says: the advertiser's, if all its offers have one.
fn currency_of(network: &Network, ask: &Reconcile, default: Currency) -> Currency {
    let own = network.offers().filter(|it| it.advertiser_id == ask.advertiser_id);
    let mut currencies: Vec<_> = own.map(|it| it.currency).collect();
    currencies.sort_unstable();
    currencies.dedup();
    let only = if let [only] = currencies[..] { Some(only) } else { None };
    ask.currency.or(only).unwrap_or(default)
}
