//! Exports: all rows of a range of time as they come, read in portions by their keys. No portion holds the
//! ledger or the archive up for the next, so what is added meanwhile is in it where its place is still to come.

use std::sync::Arc;

use arc_swap::ArcSwap;
use archive::Archive;
use domain::access::{Caller, View};
use domain::archive_query::ClickFilter;
use domain::conversion_query::ConversionFilter;
use domain::conversion_request::BadParameter;
use domain::delivery::DeliveryId;
use domain::entry::{Entry, EntryId};
use domain::ids::{AffiliateId, ClickId, ConversionId, OfferId};
use domain::network::Network;
use domain::statement::Party;
use jiff::Timestamp;
use ledger::{DeliveryFilter, EntryFilter, Ledger};
use tokio::sync::OwnedSemaphorePermit;

use crate::failure::blocking;
use crate::list_clicks::with_conversions;
use crate::list_deliveries::with_tries;
use crate::{App, ClickRow, ConversionRow, DeliveryRow, Failure, parties};

/// Clicks read at a time: a few megabytes, and some pages of each column.
const CLICKS_AT_ONCE: u64 = 4000;
/// Other rows read at a time: a delivery comes with its tries, and a try with a kilobyte.
const ROWS_AT_ONCE: u64 = 1000;

/// What can be exported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportKind {
    /// Clicks, by their ids: oldest first.
    Clicks,
    /// Conversions, by their dates.
    Conversions,
    /// Lines of money, by conversion.
    Entries,
    /// Deliveries of postbacks, by the dates of their causes.
    Deliveries,
}

impl ExportKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Clicks, Self::Conversions, Self::Entries, Self::Deliveries];

    /// Its name in the API and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clicks => "clicks",
            Self::Conversions => "conversions",
            Self::Entries => "entries",
            Self::Deliveries => "deliveries",
        }
    }
}

/// Which rows.
#[derive(Clone, Debug)]
pub struct ExportQuestion {
    /// Of what.
    pub kind: ExportKind,
    /// At or after this.
    pub from: Timestamp,
    /// Before this.
    pub until: Timestamp,
    /// On this offer.
    pub offer_id: Option<OfferId>,
    /// Of this affiliate.
    pub affiliate_id: Option<AffiliateId>,
    /// Only what comes after the row of this key.
    pub after: Option<String>,
    /// This many at most.
    pub limit: Option<u64>,
}

/// Why there is no export.
#[derive(Debug)]
pub enum ExportError {
    /// Something was asked that cannot be.
    Parameter(BadParameter),
    /// It could not be carried out.
    Failure(Failure),
}

impl From<BadParameter> for ExportError {
    fn from(bad: BadParameter) -> Self {
        Self::Parameter(bad)
    }
}

impl From<Failure> for ExportError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Some rows, in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Portion {
    /// Clicks.
    Clicks(Vec<ClickRow>),
    /// Conversions.
    Conversions(Vec<ConversionRow>),
    /// Lines of money.
    Entries(Vec<Entry>),
    /// Deliveries.
    Deliveries(Vec<DeliveryRow>),
}

impl Portion {
    fn len(&self) -> usize {
        match self {
            Self::Clicks(rows) => rows.len(),
            Self::Conversions(rows) => rows.len(),
            Self::Entries(rows) => rows.len(),
            Self::Deliveries(rows) => rows.len(),
        }
    }
}

/// How far an export has come: after which row it goes on.
#[derive(Clone, Copy)]
enum Place {
    Clicks(Option<ClickId>),
    Conversions(Option<(Timestamp, ConversionId)>),
    Entries(Option<EntryId>),
    Deliveries(Option<(Timestamp, DeliveryId)>),
}

impl Place {
    /// How many rows are read at a time.
    fn at_once(self) -> u64 {
        match self {
            Self::Clicks(_) => CLICKS_AT_ONCE,
            Self::Conversions(_) | Self::Entries(_) | Self::Deliveries(_) => ROWS_AT_ONCE,
        }
    }
}

/// Rows on their way. Only one portion is in memory at once.
pub struct Export {
    reader: Arc<Reader>,
    place: Place,
    left: u64,
    revenue: bool,
    /// What was read to see whether there is anything to send.
    first: Option<Portion>,
    _turn: OwnedSemaphorePermit,
}

/// What portions are read by.
struct Reader {
    archive: Arc<Archive>,
    ledger: Arc<dyn Ledger>,
    network: Arc<ArcSwap<Network>>,
    from: Timestamp,
    until: Timestamp,
    offer_id: Option<OfferId>,
    affiliate_id: Option<AffiliateId>,
    party: Option<Party>,
    own_of: Option<AffiliateId>,
}

impl App {
    /// All rows that match, narrowed to what the caller may see, as fast as they are taken. The first of them
    /// have been read when this returns. It ends where it has caught up with what is being added.
    pub async fn export(&self, caller: &Caller, question: ExportQuestion) -> Result<Export, ExportError> {
        let view = caller.may_read().map_err(Failure::from)?;
        let reader = Arc::new(self.reader(view, &question)?);
        let turn = self.download().await?;
        let at = Arc::clone(&reader);
        let (kind, after) = (question.kind, question.after);
        let place = blocking(move || at.place(kind, after.as_deref())).await?;
        let unknown = || BadParameter::invalid("after", format!("not the key of a row of {}", kind.name()));
        let place = place.ok_or_else(unknown)?;
        let left = question.limit.unwrap_or(u64::MAX);
        let mut export = Export { reader, place, left, revenue: view.revenue, first: None, _turn: turn };
        export.first = export.read().await?;
        Ok(export)
    }

    fn reader(&self, view: View, question: &ExportQuestion) -> Result<Reader, Failure> {
        let party = match question.kind {
            ExportKind::Entries => parties::visible(view, question.affiliate_id.map(Party::Affiliate))?,
            _ => None,
        };
        Ok(Reader {
            archive: Arc::clone(&self.archive),
            ledger: Arc::clone(&self.ledger),
            network: Arc::clone(&self.network),
            from: question.from,
            until: question.until,
            offer_id: question.offer_id,
            affiliate_id: view.affiliate(question.affiliate_id)?,
            party,
            own_of: view.affiliate_id,
        })
    }
}

impl Export {
    /// Whether the reader sees revenue.
    pub fn revenue(&self) -> bool {
        self.revenue
    }

    /// The next rows; none after the last. After a failure rows are missing.
    pub async fn next(&mut self) -> Result<Option<Portion>, Failure> {
        match self.first.take() {
            Some(portion) => Ok(Some(portion)),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Result<Option<Portion>, Failure> {
        let (reader, place, left) = (Arc::clone(&self.reader), self.place, self.left);
        if left == 0 {
            return Ok(None);
        }
        let at_once = place.at_once().min(left);
        let (portion, place) = blocking(move || reader.read(place, at_once)).await?;
        let rows = portion.len() as u64;
        self.place = place;
        self.left = if rows < at_once { 0 } else { left - rows };
        Ok(Some(portion).filter(|_| rows > 0))
    }
}

impl Reader {
    /// Where the row of that key stands. None where it is the key of no row.
    fn place(&self, kind: ExportKind, key: Option<&str>) -> Result<Option<Place>, Failure> {
        let place = match (kind, key) {
            (ExportKind::Clicks, None) => Some(Place::Clicks(None)),
            (ExportKind::Conversions, None) => Some(Place::Conversions(None)),
            (ExportKind::Entries, None) => Some(Place::Entries(None)),
            (ExportKind::Deliveries, None) => Some(Place::Deliveries(None)),
            (ExportKind::Clicks, Some(key)) => key.parse().ok().map(|id| Place::Clicks(Some(id))),
            (ExportKind::Entries, Some(key)) => key.parse().ok().map(|id| Place::Entries(Some(id))),
            (ExportKind::Conversions, Some(key)) => {
                let Ok(id) = key.parse() else { return Ok(None) };
                let found = self.ledger.find_conversion(id)?;
                found.map(|it| Place::Conversions(Some((it.conversion_date, it.id))))
            }
            (ExportKind::Deliveries, Some(key)) => {
                let Ok(id) = key.parse() else { return Ok(None) };
                let one = DeliveryFilter { id: Some(id), ..DeliveryFilter::default() };
                let found = self.ledger.list_deliveries_by_cause(&one, None, 1)?;
                found.first().map(|it| Place::Deliveries(Some((it.caused_at, it.id))))
            }
        };
        Ok(place)
    }

    /// The rows after that place, so many at most, and where they end.
    fn read(&self, place: Place, at_once: u64) -> Result<(Portion, Place), Failure> {
        let limit = u32::try_from(at_once).expect("a few thousand");
        Ok(match place {
            Place::Clicks(after) => {
                let clicks = self.archive.first(&self.clicks(after), limit as usize)?;
                let last = clicks.last().map(|it| it.id).or(after);
                (Portion::Clicks(with_conversions(&*self.ledger, clicks)?), Place::Clicks(last))
            }
            Place::Conversions(after) => {
                let conversions = self.ledger.list_conversions_after(&self.conversions(), after, limit)?;
                let last = conversions.last().map(|it| (it.conversion_date, it.id)).or(after);
                let network = self.network.load();
                let rows = conversions.into_iter().map(|it| ConversionRow::of(it, &network));
                (Portion::Conversions(rows.collect()), Place::Conversions(last))
            }
            Place::Entries(after) => {
                let entries = self.ledger.list_entries_after(&self.entries(), after, limit)?;
                let last = entries.last().map(Entry::id).or(after);
                (Portion::Entries(entries), Place::Entries(last))
            }
            Place::Deliveries(after) => {
                let deliveries = self.ledger.list_deliveries_by_cause(&self.deliveries(), after, limit)?;
                let last = deliveries.last().map(|it| (it.caused_at, it.id)).or(after);
                let rows = with_tries(&*self.ledger, deliveries, &self.network.load())?;
                (Portion::Deliveries(rows), Place::Deliveries(last))
            }
        })
    }

    fn clicks(&self, after: Option<ClickId>) -> ClickFilter {
        let range = ClickFilter::between(self.from, self.until);
        let from = after.map_or(range.from, |id| range.from.max(id.next()).min(range.before));
        ClickFilter { from, offer_id: self.offer_id, affiliate_id: self.affiliate_id, ..range }
    }

    fn conversions(&self) -> ConversionFilter {
        ConversionFilter {
            from: Some(self.from),
            until: Some(self.until),
            offer_id: self.offer_id,
            affiliate_id: self.affiliate_id,
            ..ConversionFilter::default()
        }
    }

    fn entries(&self) -> EntryFilter {
        EntryFilter {
            offer_id: self.offer_id,
            party: self.party,
            from: Some(self.from),
            until: Some(self.until),
            ..EntryFilter::default()
        }
    }

    fn deliveries(&self) -> DeliveryFilter {
        DeliveryFilter {
            affiliate_id: self.affiliate_id,
            own_of: self.own_of,
            offer_id: self.offer_id,
            from: Some(self.from),
            until: Some(self.until),
            ..DeliveryFilter::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::access::{Grant, Scope};
    use domain::ids::KeyId;

    use super::*;
    use crate::sample;

    #[tokio::test(start_paused = true)]
    async fn an_export_is_sent_only_when_a_turn_is_free_and_the_turn_comes_back() {
        let opened = sample::open();
        let app = &opened.app;
        let caller = Caller { key_id: KeyId(1), name: "test".into(), grant: Grant::of(Scope::Read) };
        let ask = || {
            let question = ExportQuestion {
                kind: ExportKind::Clicks,
                from: Timestamp::UNIX_EPOCH,
                until: Timestamp::MAX,
                offer_id: None,
                affiliate_id: None,
                after: None,
                limit: None,
            };
            app.export(&caller, question)
        };
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(app.download().await.expect("a free turn"));
        }
        assert!(matches!(ask().await, Err(ExportError::Failure(Failure::Overloaded))));
        turns.pop();
        for _ in 0..8 {
            let mut export = ask().await.expect("the turn was given back");
            assert!(matches!(export.next().await, Ok(None)));
        }
    }
}
