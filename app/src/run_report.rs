//! A report: clicks from the archive, conversions as `facts` keeps them, impressions from the ledger, each
//! grouped for itself and put together row by row.

use std::collections::HashMap;
use std::sync::Arc;

use archive::{Archive, ArchiveError};
use domain::access::{Caller, NotPermitted};
use domain::grouping::{TooManyGroups, Value};
use domain::ids::{AffiliateId, OfferId};
use domain::impression::Impressions;
use domain::money::Currency;
use domain::network::Network;
use domain::report::{Attribute, ClickGrouping, Filter, Period, period_of};
use domain::report_query::{BadReport, Counted, GROUPS_MAX, GroupKey, Metric, ReportQuery, ReportTable};
use ledger::Ledger;
use thiserror::Error;

use crate::facts::{FactGrouping, Facts, FactsError};
use crate::failure::blocking;
use crate::{App, Failure};

/// A report with what its rows are named by.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its rows.
    pub table: ReportTable,
    /// The periods that rows name by place.
    pub periods: Vec<Period>,
    /// The network as it was, for the names of what rows name by number.
    pub network: Arc<Network>,
    /// Whether the caller sees revenue.
    pub revenue: bool,
}

/// Why a report was not made.
#[derive(Debug, Error)]
pub enum ReportError {
    /// It cannot be made at all.
    #[error(transparent)]
    Bad(#[from] BadReport),
    /// It would have more rows than fit.
    #[error(
        "the report would have more than {GROUPS_MAX} rows: narrow it by dates or filters, or group it by less"
    )]
    TooLarge,
    /// It could not be carried out.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<NotPermitted> for ReportError {
    fn from(not_permitted: NotPermitted) -> Self {
        Self::Failure(not_permitted.into())
    }
}

impl From<TooManyGroups> for ReportError {
    fn from(_: TooManyGroups) -> Self {
        Self::TooLarge
    }
}

impl From<FactsError> for ReportError {
    fn from(error: FactsError) -> Self {
        match error {
            FactsError::TooManyGroups(many) => many.into(),
            FactsError::Ledger(error) => Self::Failure(error.into()),
        }
    }
}

impl From<ArchiveError> for ReportError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::TooManyGroups(many) => many.into(),
            other => Self::Failure(other.into()),
        }
    }
}

impl App {
    /// Makes a report of what the caller may see. Affiliates see their own, and nothing that tells revenue.
    pub async fn run_report(&self, caller: &Caller, mut query: ReportQuery) -> Result<Report, ReportError> {
        let view = caller.may_read()?;
        if !view.revenue && query.metrics.iter().any(|it| it.tells_revenue()) {
            return Err(NotPermitted.into());
        }
        if let Some(own) = view.affiliate_id {
            narrow(&mut query.filters, own)?;
        }
        query.check()?;
        let _turn = self.turn().await?;
        let network = self.network.load_full();
        let home = self.settings.currency;
        let (archive, ledger, facts) =
            (Arc::clone(&self.archive), Arc::clone(&self.ledger), Arc::clone(&self.facts));
        let sources = Sources { archive, ledger, facts, network: Arc::clone(&network), home };
        let done = blocking(move || Ok(sources.report(&query))).await?;
        let (table, periods) = done?;
        Ok(Report { table, periods, network, revenue: view.revenue })
    }
}

/// Leaves an affiliate its own.
pub(crate) fn narrow(filters: &mut Vec<Filter>, own: AffiliateId) -> Result<(), NotPermitted> {
    let own = Value::Id(own.0);
    let asked = filters.iter().filter(|it| it.attribute == Attribute::Affiliate);
    if asked.flat_map(|it| &it.values).any(|it| *it != own) {
        return Err(NotPermitted);
    }
    filters.push(Filter { attribute: Attribute::Affiliate, values: vec![own] });
    Ok(())
}

/// What reports are made of.
struct Sources {
    archive: Arc<Archive>,
    ledger: Arc<dyn Ledger>,
    facts: Arc<Facts>,
    network: Arc<Network>,
    home: Currency,
}

impl Sources {
    fn report(&self, query: &ReportQuery) -> Result<(ReportTable, Vec<Period>), ReportError> {
        let periods = query.periods();
        let counted = self.count(query, &periods)?;
        let compared = match query.compared() {
            Some(_) => self.count(query, &query.compared_periods())?,
            None => Counted::default(),
        };
        Ok((query.table(counted, compared, self.home), periods))
    }

    fn count(&self, query: &ReportQuery, periods: &[Period]) -> Result<Counted, ReportError> {
        let mut counted = Counted::default();
        if query.counts_clicks() {
            self.add_clicks(query, periods, &mut counted)?;
        }
        if query.counts_conversions() {
            let grouping = FactGrouping {
                clock: query.clock,
                periods: periods.to_vec(),
                attributes: query.attributes(),
                filters: query.filters.clone(),
                groups_max: GROUPS_MAX,
            };
            for group in self.facts.group(&*self.ledger, &grouping)? {
                let key = GroupKey { period: group.period, values: group.values, currency: group.currency };
                counted.add_conversions(key, &group.counts);
            }
        }
        if query.counts_impressions() {
            self.add_impressions(query, periods, &mut counted)?;
        }
        if counted.groups() > GROUPS_MAX { Err(ReportError::TooLarge) } else { Ok(counted) }
    }

    /// A click belongs to the currency of the offer it asked for. Where all offers have the same, nobody
    /// needs to know which offer that was.
    fn add_clicks(
        &self,
        query: &ReportQuery,
        periods: &[Period],
        counted: &mut Counted,
    ) -> Result<(), ReportError> {
        let currencies = Currencies::of(&self.network, self.home);
        let mut attributes = query.attributes();
        let asked = attributes.len();
        let by_offer = attributes.iter().position(|it| *it == Attribute::Offer);
        if currencies.only.is_none() && by_offer.is_none() {
            attributes.push(Attribute::Offer);
        }
        let grouping = ClickGrouping {
            periods: periods.to_vec(),
            attributes,
            filters: query.click_filters(),
            groups_max: GROUPS_MAX,
        };
        for mut group in self.archive.group(&grouping)? {
            let currency = match (currencies.only, group.values.get(by_offer.unwrap_or(asked))) {
                (None, Some(Value::Id(offer))) => currencies.of_offer(OfferId(*offer)),
                (only, _) => only.unwrap_or(self.home),
            };
            group.values.truncate(asked);
            let key = GroupKey { period: group.period, values: group.values, currency };
            counted.add_clicks(key, &group.counts);
        }
        Ok(())
    }

    fn add_impressions(
        &self,
        query: &ReportQuery,
        periods: &[Period],
        counted: &mut Counted,
    ) -> Result<(), ReportError> {
        let (Some(first), Some(last)) = (periods.first(), periods.last()) else { return Ok(()) };
        let currencies = Currencies::of(&self.network, self.home);
        let (attributes, filters) = (query.attributes(), query.click_filters());
        let mut add = |shown: Impressions| {
            let of = |attribute| value(&shown, attribute, &self.network);
            if !filters.iter().all(|it| it.admits(&of(it.attribute))) {
                return;
            }
            let Some(period) = period_of(periods, shown.key.hour) else { return };
            let values = attributes.iter().map(|it| of(*it)).collect();
            let currency = currencies.of_offer(shown.key.offer_id);
            counted.add_impressions(GroupKey { period, values, currency }, shown.count);
        };
        let listed = self.ledger.list_impressions(first.from, last.until, &mut add);
        listed.map_err(|error| ReportError::Failure(error.into()))
    }
}

/// What impressions have of an attribute that they are counted by.
fn value(shown: &Impressions, attribute: Attribute, network: &Network) -> Value {
    let key = &shown.key;
    match attribute {
        Attribute::Offer => Value::Id(key.offer_id.0),
        Attribute::Affiliate => Value::Id(key.affiliate_id.0),
        Attribute::Campaign => Value::Id(key.campaign_id.map_or(0, |it| it.0)),
        Attribute::Creative => Value::Id(key.creative_id.0),
        _ => Value::Id(network.offer(key.offer_id).map_or(0, |it| it.advertiser_id.0)),
    }
}

/// Which currency each offer has.
pub(crate) struct Currencies {
    home: Currency,
    /// The one that all offers have.
    only: Option<Currency>,
    by_offer: HashMap<OfferId, Currency>,
}

impl Currencies {
    pub(crate) fn of(network: &Network, home: Currency) -> Self {
        let by_offer: HashMap<_, _> = network.offers().map(|it| (it.id, it.currency)).collect();
        let first = by_offer.values().next().copied().unwrap_or(home);
        let only = by_offer.values().all(|it| *it == first).then_some(first);
        Self { home, only, by_offer }
    }

    /// The offers of a currency, as a filter.
    pub(crate) fn filter(&self, currency: Currency) -> Filter {
        let of_it = self.by_offer.iter().filter(|(_, it)| **it == currency);
        Filter { attribute: Attribute::Offer, values: of_it.map(|(id, _)| Value::Id(id.0)).collect() }
    }

    fn of_offer(&self, id: OfferId) -> Currency {
        self.by_offer.get(&id).copied().or(self.only).unwrap_or(self.home)
    }
}

/// The metrics of a report that names none.
pub fn default_metrics(revenue: bool) -> Vec<Metric> {
    Metric::DEFAULT.into_iter().filter(|it| revenue || !it.tells_revenue()).collect()
}
