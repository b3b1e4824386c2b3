//! What can be asked of a report, and how its rows come of what was counted: one row a group, figures from
//! sums, order, totals. Counting itself: `archive` and the ledger; what is counted: `report`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use crate::grouping::{Measure as _, Value};
use crate::money::{Currency, Sum};
use crate::report::{Attribute, ClickCounts, Clock, ConversionCounts, Filter, Period, TimeUnit, periods};

/// The longest range, in days.
pub const DAYS_MAX: i64 = 400;
/// The most dimensions of one report.
pub const DIMENSIONS_MAX: usize = 6;
/// The most groups of one report, before paging.
pub const GROUPS_MAX: usize = 1_000_000;
/// Steps of a ratio in one: four decimals.
const STEPS: i128 = 10_000;

/// What a report is grouped by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dimension {
    /// An attribute.
    Attribute(Attribute),
    /// Time.
    Time(TimeUnit),
}

/// A text that names no dimension.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0} is no dimension: use {1}")]
pub struct UnknownDimension(String, String);

impl Dimension {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Attribute::ALL.into_iter().map(Self::Attribute).chain(TimeUnit::ALL.into_iter().map(Self::Time))
    }

    /// Its name in `group_by`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attribute(attribute) => attribute.name(),
            Self::Time(unit) => unit.name(),
        }
    }

    /// The name of its field in rows.
    pub fn field(self) -> &'static str {
        match self {
            Self::Attribute(attribute) => attribute.field(),
            Self::Time(unit) => unit.name(),
        }
    }
}

impl FromStr for Dimension {
    type Err = UnknownDimension;

    /// By its name, or the name of its field.
    fn from_str(text: &str) -> Result<Self, UnknownDimension> {
        let found = Self::all().find(|it| it.name() == text || it.field() == text);
        found.ok_or_else(|| UnknownDimension(text.to_owned(), names(Self::all().map(Self::name))))
    }
}

/// A column of figures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Metric {
    /// How often creatives were shown.
    Impressions,
    /// Accepted and duplicate clicks.
    Clicks,
    /// Clicks that are no duplicates.
    UniqueClicks,
    /// The same visitors again.
    DuplicateClicks,
    /// Robots'.
    BotClicks,
    /// Clicks sent elsewhere.
    RefusedClicks,
    /// All clicks there are.
    TotalClicks,
    /// Conversions pending and approved.
    Conversions,
    /// Conversions approved.
    Approved,
    /// Conversions pending.
    Pending,
    /// Conversions rejected.
    Rejected,
    /// Conversions reversed.
    Reversed,
    /// Conversions ignored.
    Ignored,
    /// What affiliates get.
    Payout,
    /// What advertisers owe.
    Revenue,
    /// What is left of it.
    Margin,
    /// Conversions a click.
    Cr,
    /// Payout a click.
    Epc,
    /// Revenue a click.
    Rpc,
    /// How long after their clicks conversions came, on average, in whole seconds.
    AverageTimeToConversion,
}

/// A text that names no metric.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0} is no metric: use {1}")]
pub struct UnknownMetric(String, String);

impl Metric {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Impressions,
        Self::Clicks,
        Self::UniqueClicks,
        Self::DuplicateClicks,
        Self::BotClicks,
        Self::RefusedClicks,
        Self::TotalClicks,
        Self::Conversions,
        Self::Approved,
        Self::Pending,
        Self::Rejected,
        Self::Reversed,
        Self::Ignored,
        Self::Payout,
        Self::Revenue,
        Self::Margin,
        Self::Cr,
        Self::Epc,
        Self::Rpc,
        Self::AverageTimeToConversion,
    ];
    /// What a report shows that does not say what.
    pub const DEFAULT: [Self; 9] = [
        Self::Impressions,
        Self::Clicks,
        Self::UniqueClicks,
        Self::Conversions,
        Self::Payout,
        Self::Revenue,
        Self::Margin,
        Self::Cr,
        Self::Epc,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Impressions => "impressions",
            Self::Clicks => "clicks",
            Self::UniqueClicks => "unique_clicks",
            Self::DuplicateClicks => "duplicate_clicks",
            Self::BotClicks => "bot_clicks",
            Self::RefusedClicks => "refused_clicks",
            Self::TotalClicks => "total_clicks",
            Self::Conversions => "conversions",
            Self::Approved => "approved",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Reversed => "reversed",
            Self::Ignored => "ignored",
            Self::Payout => "payout",
            Self::Revenue => "revenue",
            Self::Margin => "margin",
            Self::Cr => "cr",
            Self::Epc => "epc",
            Self::Rpc => "rpc",
            Self::AverageTimeToConversion => "average_time_to_conversion",
        }
    }

    /// Whether it tells what advertisers owe.
    pub fn tells_revenue(self) -> bool {
        matches!(self, Self::Revenue | Self::Margin | Self::Rpc)
    }

    /// Whether clicks are counted for it.
    pub fn needs_clicks(self) -> bool {
        matches!(
            self,
            Self::Clicks
                | Self::UniqueClicks
                | Self::DuplicateClicks
                | Self::BotClicks
                | Self::RefusedClicks
                | Self::TotalClicks
                | Self::Cr
                | Self::Epc
                | Self::Rpc
        )
    }

    /// Whether conversions are read for it.
    pub fn needs_conversions(self) -> bool {
        !matches!(
            self,
            Self::Impressions
                | Self::Clicks
                | Self::UniqueClicks
                | Self::DuplicateClicks
                | Self::BotClicks
                | Self::RefusedClicks
                | Self::TotalClicks
        )
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(text: &str) -> Result<Self, UnknownMetric> {
        let found = Self::ALL.into_iter().find(|it| it.name() == text);
        found.ok_or_else(|| UnknownMetric(text.to_owned(), names(Self::ALL.into_iter().map(Self::name))))
    }
}

fn names(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// What rows are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortBy {
    /// A dimension they are grouped by.
    Dimension(Dimension),
    /// A metric.
    Metric(Metric),
}

/// A question for a report.
#[derive(Clone, Debug)]
pub struct ReportQuery {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// What rows are, in the order of their fields.
    pub group_by: Vec<Dimension>,
    /// What clicks and conversions must have, as far as they can.
    pub filters: Vec<Filter>,
    /// The columns.
    pub metrics: Vec<Metric>,
    /// What rows are sorted by; else by what they are, the first dimension first.
    pub sort: Option<SortBy>,
    /// The other way round.
    pub descending: bool,
    /// Skip this many rows.
    pub offset: u64,
    /// This many rows at most.
    pub limit: usize,
    /// Whose clocks days and hours go by.
    pub zone: TimeZone,
    /// Which time of a conversion counts.
    pub clock: Clock,
    /// The first moment of another range of about the same length that rows are compared with.
    pub compared_from: Option<Timestamp>,
    /// The first moment after that.
    pub compared_until: Option<Timestamp>,
}

/// Why a report cannot be made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadReport {
    /// The range is too long.
    #[error("a report covers at most {DAYS_MAX} days")]
    TooLong,
    /// Too many dimensions.
    #[error("a report is grouped by at most {DIMENSIONS_MAX} dimensions")]
    TooManyDimensions,
    /// A dimension twice.
    #[error("{0} is named twice")]
    Twice(&'static str),
    /// Several units of time.
    #[error("a report is grouped by one of hour, day, week and month")]
    TimeTwice,
    /// Sorted by what it does not have.
    #[error("a report can be sorted by what it is grouped by and by its metrics")]
    UnknownSort,
}

impl BadReport {
    /// The parameter that it concerns.
    pub fn parameter(&self) -> &'static str {
        match self {
            Self::TooLong => "end_date",
            Self::TooManyDimensions | Self::Twice(_) | Self::TimeTwice => "group_by",
            Self::UnknownSort => "sort_field",
        }
    }
}

impl ReportQuery {
    /// Whether it can be answered at all.
    pub fn check(&self) -> Result<(), BadReport> {
        let longest = SignedDuration::from_hours(DAYS_MAX * 24 + 1);
        for (from, until) in [Some((self.from, self.until)), self.compared()].into_iter().flatten() {
            if until.duration_since(from) > longest {
                return Err(BadReport::TooLong);
            }
        }
        if self.group_by.len() > DIMENSIONS_MAX {
            return Err(BadReport::TooManyDimensions);
        }
        let mut seen = BTreeSet::new();
        for dimension in &self.group_by {
            if !seen.insert(dimension.name()) {
                return Err(BadReport::Twice(dimension.name()));
            }
        }
        if self.group_by.iter().filter(|it| matches!(it, Dimension::Time(_))).count() > 1 {
            return Err(BadReport::TimeTwice);
        }
        let known = match self.sort {
            None => true,
            Some(SortBy::Dimension(dimension)) => self.group_by.contains(&dimension),
            Some(SortBy::Metric(metric)) => self.metrics.contains(&metric),
        };
        if known { Ok(()) } else { Err(BadReport::UnknownSort) }
    }

    /// The range that it is compared with.
    pub fn compared(&self) -> Option<(Timestamp, Timestamp)> {
        self.compared_from.zip(self.compared_until)
    }

    /// The attributes grouped by, in their order.
    pub fn attributes(&self) -> Vec<Attribute> {
        let attribute = |it: &Dimension| if let Dimension::Attribute(it) = it { Some(*it) } else { None };
        self.group_by.iter().filter_map(attribute).collect()
    }

    /// The unit of time grouped by.
    pub fn unit(&self) -> Option<TimeUnit> {
        let unit = |it: &Dimension| if let Dimension::Time(it) = it { Some(*it) } else { None };
        self.group_by.iter().find_map(unit)
    }

    /// The periods of its range.
    pub fn periods(&self) -> Vec<Period> {
        periods(self.from, self.until, self.unit(), &self.zone)
    }

    /// The periods of the range it is compared with.
    pub fn compared_periods(&self) -> Vec<Period> {
        let periods = |(from, until)| periods(from, until, self.unit(), &self.zone);
        self.compared().map(periods).unwrap_or_default()
    }

    /// Whether clicks are to be counted: none have what only conversions have.
    pub fn counts_clicks(&self) -> bool {
        self.metrics.iter().any(|it| it.needs_clicks())
            && self.attributes().iter().all(|it| it.is_of_clicks())
    }

    /// Whether conversions are to be read.
    pub fn counts_conversions(&self) -> bool {
        self.metrics.iter().any(|it| it.needs_conversions())
    }

    /// Whether impressions are to be added up: they are known by few attributes.
    pub fn counts_impressions(&self) -> bool {
        let filters = self.click_filters();
        self.metrics.contains(&Metric::Impressions)
            && self.attributes().iter().all(|it| it.is_of_impressions())
            && filters.iter().all(|it| it.attribute.is_of_impressions())
    }

    /// The filters that clicks and impressions can have.
    pub fn click_filters(&self) -> Vec<Filter> {
        self.filters.iter().filter(|it| it.attribute.is_of_clicks()).cloned().collect()
    }
}

/// What a row stands for.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GroupKey {
    /// The place of its period.
    pub period: usize,
    /// A value for each attribute grouped by.
    pub values: Vec<Value>,
    /// The currency of its money.
    pub currency: Currency,
}

/// What is known of a row. None: what it is grouped by does not apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sums {
    /// How often creatives were shown.
    pub impressions: Option<u64>,
    /// Its clicks.
    pub clicks: Option<ClickCounts>,
    /// Its conversions.
    pub conversions: ConversionCounts,
}

/// What stands in a cell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Figure {
    /// A number of things.
    Count(u64),
    /// Money.
    Money(Sum),
    /// A ratio, in ten-thousandths.
    Ratio(i128),
    /// Seconds.
    Seconds(i128),
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Money(sum) => sum.fmt(f),
            Self::Seconds(seconds) => seconds.fmt(f),
            Self::Ratio(steps) => {
                let sign = if *steps < 0 { "-" } else { "" };
                let steps = steps.unsigned_abs();
                write!(f, "{sign}{}.{:04}", steps / 10_000, steps % 10_000)
            }
        }
    }
}

impl Sums {
    /// A cell's figure; none where there is nothing to tell.
    pub fn figure(&self, metric: Metric) -> Option<Figure> {
        let clicks = |count: fn(&ClickCounts) -> u64| self.clicks.as_ref().map(|it| Figure::Count(count(it)));
        let reached = self.clicks.map(|it| it.accepted + it.duplicate);
        let per_click = |amount: i128, unit: i128| {
            let clicks = reached.filter(|it| *it > 0)?;
            Some(Figure::Ratio(half_even(amount * STEPS, i128::from(clicks) * unit)))
        };
        let it = &self.conversions;
        let count = |count| Some(Figure::Count(count));
        let money = |micros| Some(Figure::Money(Sum(micros)));
        match metric {
            Metric::Impressions => self.impressions.map(Figure::Count),
            Metric::Clicks => reached.map(Figure::Count),
            Metric::UniqueClicks => clicks(|it| it.accepted),
            Metric::DuplicateClicks => clicks(|it| it.duplicate),
            Metric::BotClicks => clicks(|it| it.bot),
            Metric::RefusedClicks => clicks(|it| it.refused),
            Metric::TotalClicks => clicks(ClickCounts::total),
            Metric::Conversions => count(it.conversions()),
            Metric::Approved => count(it.approved),
            Metric::Pending => count(it.pending),
            Metric::Rejected => count(it.rejected),
            Metric::Reversed => count(it.reversed),
            Metric::Ignored => count(it.ignored),
            Metric::Payout => money(it.payout),
            Metric::Revenue => money(it.revenue),
            Metric::Margin => money(it.revenue - it.payout),
            Metric::Cr => per_click(it.conversions().into(), 1),
            Metric::Epc => per_click(it.payout, 1_000_000),
            Metric::Rpc => per_click(it.revenue, 1_000_000),
            Metric::AverageTimeToConversion => {
                let conversions = i128::from(it.conversions());
                (conversions > 0).then(|| Figure::Seconds(half_even(it.seconds, conversions)))
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        if let Some(more) = other.impressions {
            *self.impressions.get_or_insert_default() += more;
        }
        if let Some(more) = &other.clicks {
            self.clicks.get_or_insert_default().merge(more);
        }
        self.conversions.merge(&other.conversions);
    }
}

/// The quotient, rounded half to even. `divisor` is above 0.
fn half_even(number: i128, divisor: i128) -> i128 {
    let (whole, rest) = (number.div_euclid(divisor), number.rem_euclid(divisor));
    match (rest * 2).cmp(&divisor) {
        Ordering::Less => whole,
        Ordering::Greater => whole + 1,
        Ordering::Equal => whole + (whole & 1),
    }
}

/// A row of a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportRow {
    /// What it stands for.
    pub key: GroupKey,
    /// Its figures.
    pub sums: Sums,
    /// Those of the same group in the range compared with; what is not there is nothing.
    pub previous: Option<Sums>,
}

/// The sums of one currency.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportTotal {
    /// The currency.
    pub currency: Currency,
    /// All rows of it.
    pub sums: Sums,
    /// Of the range compared with.
    pub previous: Option<Sums>,
}

/// An answered report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportTable {
    /// All rows, before paging.
    pub total_rows: u64,
    /// The page.
    pub rows: Vec<ReportRow>,
    /// The sums of all rows, by currency: never added across them.
    pub totals: Vec<ReportTotal>,
}

/// What was counted of a range: by group, each kind for itself.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    sums: HashMap<GroupKey, Sums>,
}

impl Counted {
    /// Adds clicks.
    pub fn add_clicks(&mut self, key: GroupKey, clicks: &ClickCounts) {
        self.sums.entry(key).or_default().clicks.get_or_insert_default().merge(clicks);
    }

    /// Adds conversions.
    pub fn add_conversions(&mut self, key: GroupKey, conversions: &ConversionCounts) {
        self.sums.entry(key).or_default().conversions.merge(conversions);
    }

    /// Adds impressions.
    pub fn add_impressions(&mut self, key: GroupKey, impressions: u64) {
        *self.sums.entry(key).or_default().impressions.get_or_insert_default() += impressions;
    }

    /// How many groups there are.
    pub fn groups(&self) -> usize {
        self.sums.len()
    }
}

impl ReportQuery {
    /// The report that counts come to; `home` is the currency of one that has no money.
    pub fn table(&self, counted: Counted, compared: Counted, home: Currency) -> ReportTable {
        let blank = Sums {
            impressions: self.counts_impressions().then_some(0),
            clicks: self.counts_clicks().then_some(ClickCounts::default()),
            conversions: ConversionCounts::default(),
        };
        let filled = |sums: Sums| Sums {
            impressions: sums.impressions.or(blank.impressions),
            clicks: sums.clicks.or(blank.clicks),
            ..sums
        };
        let compares = self.compared().is_some();
        let mut previous: HashMap<GroupKey, Sums> = compared.sums;
        let row = |(key, sums): (GroupKey, Sums)| {
            let before = previous.remove(&key);
            let previous = compares.then(|| before.map_or(blank, filled));
            ReportRow { key, sums: filled(sums), previous }
        };
        let mut rows: Vec<ReportRow> = counted.sums.into_iter().map(row).collect();
        // What was there before and is gone is a row too, if its period has a counterpart.
        let periods = self.periods().len();
        let gone = previous.into_iter().filter(|(key, _)| key.period < periods);
        rows.extend(gone.map(|(key, before)| ReportRow { key, sums: blank, previous: Some(filled(before)) }));
        let totals = self.totals(&rows, blank, home);
        rows.sort_by(|a, b| self.order(a, b));
        let total_rows = rows.len() as u64;
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let rows = rows.into_iter().skip(offset).take(self.limit).collect();
        ReportTable { total_rows, rows, totals }
    }

    fn totals(&self, rows: &[ReportRow], blank: Sums, home: Currency) -> Vec<ReportTotal> {
        let mut totals: BTreeMap<Currency, (Sums, Sums)> = BTreeMap::new();
        for row in rows {
            let (sums, previous) = totals.entry(row.key.currency).or_insert((blank, blank));
            sums.merge(&row.sums);
            if let Some(before) = &row.previous {
                previous.merge(before);
            }
        }
        if totals.is_empty() {
            totals.insert(home, (blank, blank));
        }
        let compares = self.compared().is_some();
        let total = |(currency, (sums, previous))| ReportTotal {
            currency,
            sums,
            previous: compares.then_some(previous),
        };
        totals.into_iter().map(total).collect()
    }

    /// The order of rows: as asked, then by what they are. What has no figure comes last either way.
    fn order(&self, a: &ReportRow, b: &ReportRow) -> Ordering {
        let turned = |order: Ordering| if self.descending { order.reverse() } else { order };
        let first = match self.sort {
            None => turned(self.compare_keys(a, b)),
            Some(SortBy::Dimension(dimension)) => turned(self.compare_by(dimension, a, b)),
            Some(SortBy::Metric(metric)) => match (a.sums.figure(metric), b.sums.figure(metric)) {
                (Some(a), Some(b)) => turned(a.cmp(&b)),
                (a, b) => a.is_none().cmp(&b.is_none()),
            },
        };
        first.then_with(|| self.compare_keys(a, b))
    }

    fn compare_keys(&self, a: &ReportRow, b: &ReportRow) -> Ordering {
        let by_dimension = self.group_by.iter().map(|it| self.compare_by(*it, a, b));
        by_dimension.fold(Ordering::Equal, Ordering::then).then_with(|| a.key.currency.cmp(&b.key.currency))
    }

    fn compare_by(&self, dimension: Dimension, a: &ReportRow, b: &ReportRow) -> Ordering {
        match dimension {
            Dimension::Time(_) => a.key.period.cmp(&b.key.period),
            Dimension::Attribute(attribute) => {
                let at = self.attributes().iter().position(|it| *it == attribute).unwrap_or_default();
                a.key.values.get(at).cmp(&b.key.values.get(at))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(group_by: &[&str], metrics: &[Metric]) -> ReportQuery {
        let at = |text: &str| text.parse().expect("a moment");
        ReportQuery {
            from: at("2026-11-01T00:00:00Z"),
            until: at("2026-11-08T00:00:00Z"),
            group_by: group_by.iter().map(|it| it.parse().expect("a dimension")).collect(),
            filters: Vec::new(),
            metrics: metrics.to_vec(),
            sort: None,
            descending: false,
            offset: 0,
            limit: 100,
            zone: TimeZone::UTC,
            clock: Clock::Conversion,
            compared_from: None,
            compared_until: None,
        }
    }

    fn key(period: usize, values: &[u32], currency: &str) -> GroupKey {
        let values = values.iter().map(|it| Value::Id(*it)).collect();
        GroupKey { period, values, currency: currency.parse().expect("a currency") }
    }

    fn clicks(accepted: u64) -> ClickCounts {
        ClickCounts { accepted, ..ClickCounts::default() }
    }

    fn approved(approved: u64, payout: i128) -> ConversionCounts {
        ConversionCounts { approved, payout, ..ConversionCounts::default() }
    }

    const HOME: Currency = Currency::USD;

    #[test]
    fn ratios_are_rounded_half_to_even_at_four_decimals() {
        let sums = |conversions: u64, payout: i128, accepted: u64| Sums {
            impressions: None,
            clicks: Some(clicks(accepted)),
            conversions: approved(conversions, payout),
        };
        let check = |sums: Sums, metric, expected: &str| {
            let found = sums.figure(metric).map(|it| it.to_string()).unwrap_or_default();
            assert_eq!(found, expected, "{metric:?} of {sums:?}");
        };
        check(sums(1, 0, 3), Metric::Cr, "0.3333");
        check(sums(2, 0, 3), Metric::Cr, "0.6667");
        check(sums(1, 0, 20_000), Metric::Cr, "0.0000");
        check(sums(3, 0, 20_000), Metric::Cr, "0.0002");
        check(sums(1, 0, 0), Metric::Cr, "");
        check(sums(0, 18_000_000, 7), Metric::Epc, "2.5714");
        check(sums(0, -18_000_000, 7), Metric::Epc, "-2.5714");
        check(sums(0, 50, 1), Metric::Epc, "0.0000");
        check(sums(0, 150, 1), Metric::Epc, "0.0002");
    }

    #[test]
    fn every_metric_says_what_it_needs() {
        for metric in Metric::ALL {
            assert_eq!(metric.name().parse(), Ok(metric));
        }
        for dimension in Dimension::all() {
            assert_eq!(dimension.field().parse(), Ok(dimension));
        }
        let report = query(&["status"], &[Metric::Clicks, Metric::Cr, Metric::Approved]);
        assert!(!report.counts_clicks() && report.counts_conversions());
        let report = query(&["country"], &[Metric::Impressions, Metric::Clicks]);
        assert!(report.counts_clicks() && !report.counts_conversions() && !report.counts_impressions());
        assert!(query(&["offer", "day"], &Metric::DEFAULT).counts_impressions());
        let mut report = query(&["offer"], &Metric::DEFAULT);
        report.filters = vec![Filter { attribute: Attribute::Status, values: vec![Value::text("approved")] }];
        assert!(report.counts_impressions() && report.click_filters().is_empty());
        report.filters = vec![Filter { attribute: Attribute::Device, values: vec![Value::text("tv")] }];
        assert!(!report.counts_impressions() && report.click_filters().len() == 1);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let check = |group_by: &[&str], change: fn(&mut ReportQuery), expected: Result<(), BadReport>| {
            let mut report = query(group_by, &Metric::DEFAULT);
            change(&mut report);
            assert_eq!(report.check(), expected, "{group_by:?}");
        };
        let same = |_: &mut ReportQuery| ();
        check(&["offer", "day"], same, Ok(()));
        check(&["offer", "offer_id"], same, Err(BadReport::Twice("offer")));
        check(&["hour", "day"], same, Err(BadReport::TimeTwice));
        let seven = ["offer", "affiliate", "country", "device", "os", "browser", "status"];
        check(&seven, same, Err(BadReport::TooManyDimensions));
        let long = |it: &mut ReportQuery| it.until = it.from + SignedDuration::from_hours(24 * 401);
        check(&[], long, Err(BadReport::TooLong));
        let sorted = |it: &mut ReportQuery| it.sort = Some(SortBy::Metric(Metric::Ignored));
        check(&[], sorted, Err(BadReport::UnknownSort));
    }

    #[test]
    fn rows_are_sorted_paged_and_added_up() {
        let mut report = query(&["offer"], &Metric::DEFAULT);
        report.sort = Some(SortBy::Metric(Metric::Clicks));
        report.descending = true;
        (report.offset, report.limit) = (1, 1);
        let mut counted = Counted::default();
        counted.add_clicks(key(0, &[1], "USD"), &clicks(5));
        counted.add_clicks(key(0, &[2], "USD"), &clicks(9));
        counted.add_clicks(key(0, &[3], "USD"), &clicks(5));
        counted.add_conversions(key(0, &[4], "USD"), &approved(1, 18_000_000));
        let table = report.table(counted, Counted::default(), HOME);
        assert_eq!(table.total_rows, 4);
        // Ties by what rows are.
        assert_eq!(table.rows.iter().map(|it| it.key.clone()).collect::<Vec<_>>(), [key(0, &[1], "USD")]);
        let [total] = table.totals.as_slice() else { panic!("one currency: {:?}", table.totals) };
        assert_eq!(total.sums.figure(Metric::Clicks), Some(Figure::Count(19)));
        assert_eq!(total.sums.figure(Metric::Epc).expect("clicks").to_string(), "0.9474");
    }

    #[test]
    fn what_has_no_figure_comes_last_either_way() {
        let mut report = query(&["offer"], &Metric::DEFAULT);
        report.sort = Some(SortBy::Metric(Metric::Cr));
        for (descending, expected) in [(false, [1, 2, 3]), (true, [2, 1, 3])] {
            report.descending = descending;
            let mut counted = Counted::default();
            counted.add_clicks(key(0, &[1], "USD"), &clicks(4));
            counted.add_clicks(key(0, &[2], "USD"), &clicks(4));
            counted.add_conversions(key(0, &[2], "USD"), &approved(1, 0));
            counted.add_conversions(key(0, &[3], "USD"), &approved(1, 0));
            let rows = report.table(counted, Counted::default(), HOME).rows;
            assert_eq!(
                rows.iter().map(|it| it.key.clone()).collect::<Vec<_>>(),
                expected.map(|it| key(0, &[it], "USD"))
            );
        }
    }

    #[test]
    fn money_is_never_added_across_currencies() {
        let mut counted = Counted::default();
        counted.add_conversions(key(0, &[1], "EUR"), &approved(1, 1_000_000));
        counted.add_conversions(key(0, &[1], "USD"), &approved(1, 2_000_000));
        let table = query(&["offer"], &Metric::DEFAULT).table(counted, Counted::default(), HOME);
        let totals = table.totals.iter().map(|it| (it.currency.to_string(), it.sums.conversions.payout));
        assert_eq!(
            totals.collect::<Vec<_>>(),
            [("EUR".to_owned(), 1_000_000), ("USD".to_owned(), 2_000_000)]
        );
        assert_eq!(table.rows.len(), 2);
        let nothing = query(&[], &Metric::DEFAULT).table(Counted::default(), Counted::default(), HOME);
        assert_eq!((nothing.rows.len(), nothing.totals[0].currency), (0, HOME));
    }

    #[test]
    fn a_report_is_compared_group_by_group() {
        let mut report = query(&["day", "offer"], &Metric::DEFAULT);
        report.compared_from = Some("2026-10-25T00:00:00Z".parse().expect("a moment"));
        report.compared_until = Some(report.from);
        let (mut now, mut before) = (Counted::default(), Counted::default());
        now.add_clicks(key(0, &[1], "USD"), &clicks(5));
        before.add_clicks(key(0, &[1], "USD"), &clicks(4));
        before.add_clicks(key(1, &[2], "USD"), &clicks(3));
        let table = report.table(now, before, HOME);
        let figures = |it: &ReportRow| {
            let clicks = |sums: &Sums| sums.figure(Metric::Clicks);
            (clicks(&it.sums), it.previous.as_ref().and_then(clicks))
        };
        let count = |count| Some(Figure::Count(count));
        let expected = [(count(5), count(4)), (count(0), count(3))];
        assert_eq!(table.rows.iter().map(figures).collect::<Vec<_>>(), expected);
        let previous = table.totals[0].previous.and_then(|it| it.figure(Metric::Clicks));
        assert_eq!(previous, count(7));
    }
}
