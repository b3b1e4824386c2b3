//! The rows of a report as they are told: what they are, their figures, and where the rows under each
//! figure are.

use std::fmt;

use app::Report;
use domain::click::Disposition;
use domain::grouping::Value;
use domain::ids::{AdvertiserId, AffiliateId, CampaignId, CreativeId, EventId, OfferId};
use domain::money::Currency;
use domain::network::Network;
use domain::report::{Attribute, Filter, Period};
use domain::report_query::{Dimension, GroupKey, Metric, ReportQuery, ReportRow, ReportTotal, Sums};
use domain::status::ConversionStatus;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Map, Value as Json};
use url::form_urlencoded;

use crate::csv_text;

/// How a report's rows are told.
pub(super) struct Rows<'a> {
    pub query: &'a ReportQuery,
    pub report: &'a Report,
    /// What each metric is called.
    pub metrics: Vec<(&'static str, Metric)>,
    /// Whether rows say where the rows under their figures are.
    pub links: bool,
}

/// A cell, before it is JSON or text.
enum Cell {
    None,
    Number(String),
    Text(String),
}

impl Cell {
    fn number(number: impl fmt::Display) -> Self {
        Self::Number(number.to_string())
    }

    fn json(self) -> Json {
        match self {
            Self::None => Json::Null,
            Self::Number(number) => Json::Number(number.parse().expect("a figure prints as a number")),
            Self::Text(text) => Json::String(text),
        }
    }

    fn csv(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Number(number) => number,
            Self::Text(text) => csv_text::text(text),
        }
    }
}

impl Rows<'_> {
    /// Whether money of several currencies is in it: then every row says which is its own.
    fn is_split(&self) -> bool {
        self.report.table.totals.len() > 1
    }

    /// The currency of all its money, where there is only one.
    pub fn currency(&self) -> Option<Currency> {
        match self.report.table.totals.as_slice() {
            [only] => Some(only.currency),
            _ => None,
        }
    }

    /// The names of a row's fields.
    pub fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        for dimension in &self.query.group_by {
            columns.push(dimension.field().to_owned());
            columns.extend(name_field(*dimension).map(str::to_owned));
        }
        columns.extend(self.is_split().then(|| "currency".to_owned()));
        columns.extend(self.metrics.iter().map(|(name, _)| (*name).to_owned()));
        columns
    }

    /// The rows of the page.
    pub fn rows(&self) -> Vec<Json> {
        self.report.table.rows.iter().map(|row| Json::Object(self.row(row))).collect()
    }

    fn row(&self, row: &ReportRow) -> Map<String, Json> {
        let mut fields = Map::new();
        for (name, cell) in self.identity(&row.key) {
            fields.insert(name.to_owned(), cell.json());
        }
        self.figures(&mut fields, &row.sums);
        if let Some(previous) = &row.previous {
            fields.insert("previous".to_owned(), self.sums(previous));
        }
        if self.links {
            let link = |(name, metric): &(&str, Metric)| {
                let link = self.link(&row.key, *metric).map_or(Json::Null, Json::String);
                ((*name).to_owned(), link)
            };
            fields.insert("links".to_owned(), Json::Object(self.metrics.iter().map(link).collect()));
        }
        fields
    }

    /// The totals: an object, or one for each currency.
    pub fn totals(&self) -> Json {
        let total = |total: &ReportTotal| {
            let mut fields = Map::new();
            if self.is_split() {
                fields.insert("currency".to_owned(), total.currency.to_string().into());
            }
            self.figures(&mut fields, &total.sums);
            if let Some(previous) = &total.previous {
                fields.insert("previous".to_owned(), self.sums(previous));
            }
            Json::Object(fields)
        };
        match self.report.table.totals.as_slice() {
            [only] => total(only),
            several => several.iter().map(total).collect(),
        }
    }

    /// All of it for a spreadsheet.
    pub fn csv(&self) -> Vec<u8> {
        let compares = self.query.compared().is_some();
        let mut header = self.columns();
        if compares {
            header.extend(self.metrics.iter().map(|(name, _)| format!("previous_{name}")));
        }
        let figures = |sums: &Sums| -> Vec<String> {
            self.metrics.iter().map(|(_, metric)| cell(sums, *metric).csv()).collect()
        };
        let rows = self.report.table.rows.iter().map(|row| {
            let mut cells: Vec<String> =
                self.identity(&row.key).into_iter().map(|(_, cell)| cell.csv()).collect();
            cells.extend(figures(&row.sums));
            if let Some(previous) = &row.previous {
                cells.extend(figures(previous));
            }
            cells
        });
        csv_text::write(std::iter::once(header).chain(rows))
    }

    /// What a row stands for.
    fn identity(&self, key: &GroupKey) -> Vec<(&'static str, Cell)> {
        let mut cells = Vec::new();
        let mut values = key.values.iter();
        for dimension in &self.query.group_by {
            match dimension {
                Dimension::Time(_) => {
                    let label = self.period(key).map(|it| it.label.clone()).unwrap_or_default();
                    cells.push((dimension.field(), Cell::Text(label)));
                }
                Dimension::Attribute(attribute) => {
                    let value = values.next();
                    let cell = match value {
                        None | Some(Value::Id(0)) => Cell::None,
                        Some(Value::Id(id)) => Cell::number(id),
                        Some(Value::Text(text)) => Cell::Text(text.to_string()),
                    };
                    cells.push((dimension.field(), cell));
                    if let (Some(field), Some(Value::Id(id))) = (name_field(*dimension), value) {
                        cells.push((field, self.name(*attribute, *id)));
                    }
                }
            }
        }
        if self.is_split() {
            cells.push(("currency", Cell::Text(key.currency.to_string())));
        }
        cells
    }

    fn period(&self, key: &GroupKey) -> Option<&Period> {
        self.report.periods.get(key.period)
    }

    /// What a thing is called. Affiliates are not told who advertises.
    fn name(&self, attribute: Attribute, id: u32) -> Cell {
        let network: &Network = &self.report.network;
        let name = match attribute {
            Attribute::Offer => network.offer(OfferId(id)).map(|it| it.name.clone()),
            Attribute::Affiliate => network.affiliate(AffiliateId(id)).map(|it| it.name.clone()),
            Attribute::Advertiser if !self.report.revenue => None,
            Attribute::Advertiser => network.advertiser(AdvertiserId(id)).map(|it| it.name.clone()),
            Attribute::Creative => network.creative(CreativeId(id)).map(|it| it.name.clone()),
            Attribute::Event => {
                network.event(EventId(id)).map_or(Some("Conversion".to_owned()), |it| Some(it.name.clone()))
            }
            Attribute::Campaign => network.campaign(CampaignId(id)).and_then(|it| {
                let (offer, affiliate) = (network.offer(it.offer_id)?, network.affiliate(it.affiliate_id)?);
                Some(format!("{} / {}", affiliate.name, offer.name))
            }),
            _ => None,
        };
        name.map_or(Cell::None, Cell::Text)
    }

    fn figures(&self, fields: &mut Map<String, Json>, sums: &Sums) {
        for (name, metric) in &self.metrics {
            fields.insert((*name).to_owned(), cell(sums, *metric).json());
        }
    }

    fn sums(&self, sums: &Sums) -> Json {
        let mut fields = Map::new();
        self.figures(&mut fields, sums);
        Json::Object(fields)
    }

    /// Where the rows under a figure are listed; none where nothing is under it, or no list can be asked so.
    fn link(&self, key: &GroupKey, metric: Metric) -> Option<String> {
        let (path, narrowed) = match rows_of(metric)? {
            Under::Clicks(dispositions) => {
                let names = dispositions.iter().map(|it| Value::text(it.name())).collect();
                ("/api/2/report/click.json", Filter { attribute: Attribute::Disposition, values: names })
            }
            Under::Conversions(statuses) => {
                let names = statuses.iter().map(|it| Value::text(it.name())).collect();
                ("/api/2/report/conversion.json", Filter { attribute: Attribute::Status, values: names })
            }
        };
        let is_of_clicks = narrowed.attribute == Attribute::Disposition;
        let group = self.query.attributes().into_iter().zip(&key.values);
        let group = group.map(|(attribute, value)| Filter { attribute, values: vec![value.clone()] });
        let mut filters: Vec<Filter> = Vec::new();
        for filter in self.query.filters.iter().cloned().chain(group).chain([narrowed]) {
            if is_of_clicks && !filter.attribute.is_of_clicks() {
                continue;
            }
            match filters.iter_mut().find(|it| it.attribute == filter.attribute) {
                Some(known) => known.values.retain(|it| filter.admits(it)),
                None => filters.push(filter),
            }
        }
        let period = self.period(key)?;
        let mut link = form_urlencoded::Serializer::new(format!("{path}?"));
        link.append_pair("start_date", &moment(period.from));
        // An end given to the microsecond includes it.
        link.append_pair("end_date", &moment(period.until.checked_sub(1.microsecond()).ok()?));
        let mut without = Vec::new();
        for filter in &filters {
            match asked(filter)? {
                Asked::None => without.push(filter.attribute.name()),
                Asked::Values(values) => {
                    link.append_pair(filter.attribute.field(), &values);
                }
            }
        }
        if !without.is_empty() {
            link.append_pair("without", &without.join(","));
        }
        if !is_of_clicks {
            link.append_pair("clock", self.query.clock.name());
            if self.is_split() {
                link.append_pair("currency", key.currency.as_str());
            }
        }
        Some(link.finish())
    }
}

fn cell(sums: &Sums, metric: Metric) -> Cell {
    sums.figure(metric).map_or(Cell::None, Cell::number)
}

/// The field of the name of what a dimension's numbers mean.
fn name_field(dimension: Dimension) -> Option<&'static str> {
    match dimension {
        Dimension::Attribute(Attribute::Offer) => Some("offer_name"),
        Dimension::Attribute(Attribute::Affiliate) => Some("affiliate_name"),
        Dimension::Attribute(Attribute::Advertiser) => Some("advertiser_name"),
        Dimension::Attribute(Attribute::Campaign) => Some("campaign_name"),
        Dimension::Attribute(Attribute::Creative) => Some("creative_name"),
        Dimension::Attribute(Attribute::Event) => Some("event_name"),
        _ => None,
    }
}

/// What is under a figure.
enum Under {
    Clicks(Vec<Disposition>),
    Conversions(Vec<ConversionStatus>),
}

/// The rows that a figure counts or adds up; ratios lead to what stands above the line.
fn rows_of(metric: Metric) -> Option<Under> {
    use ConversionStatus::{Approved, Ignored, Pending, Rejected, Reversed};
    let reached = vec![Disposition::Accepted, Disposition::Duplicate];
    let refused =
        |it: &Disposition| !matches!(it, Disposition::Accepted | Disposition::Duplicate | Disposition::Bot);
    Some(match metric {
        Metric::Impressions => return None,
        Metric::Clicks => Under::Clicks(reached),
        Metric::UniqueClicks => Under::Clicks(vec![Disposition::Accepted]),
        Metric::DuplicateClicks => Under::Clicks(vec![Disposition::Duplicate]),
        Metric::BotClicks => Under::Clicks(vec![Disposition::Bot]),
        Metric::RefusedClicks => Under::Clicks(Disposition::ALL.into_iter().filter(refused).collect()),
        Metric::TotalClicks => Under::Clicks(Disposition::ALL.to_vec()),
        Metric::Approved => Under::Conversions(vec![Approved]),
        Metric::Pending => Under::Conversions(vec![Pending]),
        Metric::Rejected => Under::Conversions(vec![Rejected]),
        Metric::Reversed => Under::Conversions(vec![Reversed]),
        Metric::Ignored => Under::Conversions(vec![Ignored]),
        Metric::Conversions
        | Metric::Payout
        | Metric::Revenue
        | Metric::Margin
        | Metric::Cr
        | Metric::Epc
        | Metric::Rpc
        | Metric::AverageTimeToConversion => Under::Conversions(vec![Pending, Approved]),
    })
}

/// How a filter is asked for in a query string.
enum Asked {
    None,
    Values(String),
}

/// None where it cannot be asked, or nothing passes it.
fn asked(filter: &Filter) -> Option<Asked> {
    let text = |value: &Value| match value {
        Value::Id(id) => id.to_string(),
        Value::Text(text) => text.to_string(),
    };
    let is_none = |value: &Value| matches!(value, Value::Id(0)) || *value == Value::text("");
    match filter.values.as_slice() {
        [] => None,
        [one] if is_none(one) => Some(Asked::None),
        [one] => Some(Asked::Values(text(one))).filter(|_| {
            // Only sub ids may hold what else separates values.
            matches!(filter.attribute, Attribute::SubId(_)) || !text(one).contains(',')
        }),
        several => {
            let askable = !matches!(filter.attribute, Attribute::SubId(_)) && !several.iter().any(is_none);
            let texts: Vec<_> = several.iter().map(text).collect();
            (askable && !texts.iter().any(|it| it.contains(','))).then(|| Asked::Values(texts.join(",")))
        }
    }
}

fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.fZ").to_string()
}
