//! What a report is asked for, read from its parameters.

use std::str::FromStr;

use domain::click::{Country, Device, Disposition};
use domain::conversion_request::BadParameter;
use domain::grouping::Value;
use domain::report::{Attribute, Clock, Filter};
use domain::report_query::{Dimension, Metric, ReportQuery, SortBy};
use domain::status::ConversionStatus;
use domain::time::{Zone, midnight};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::params::{Page, Params};

/// What stands for attributes that rows must not have.
const WITHOUT: &str = "without";

/// The range of a report: both ends must be told.
pub(super) fn range(params: &Params, zone: &TimeZone) -> Result<(Timestamp, Timestamp), BadParameter> {
    for name in ["start_date", "end_date"] {
        params.get(name).ok_or_else(|| BadParameter::missing(name))?;
    }
    match super::super::clicks::range(params, zone)? {
        (Some(from), Some(until)) => Ok((from, until)),
        _ => Err(BadParameter::missing("start_date")),
    }
}

/// The zone asked for, or the network's.
pub(super) fn zone(params: &Params, home: &TimeZone) -> Result<TimeZone, BadParameter> {
    let asked: Option<Zone> = params.parse("time_zone")?;
    Ok(asked.map_or_else(|| home.clone(), |zone| zone.rules().clone()))
}

/// A list of names.
pub(super) fn named<T: FromStr>(params: &Params, name: &str) -> Result<Option<Vec<T>>, BadParameter>
where
    T::Err: std::fmt::Display,
{
    let Some(list) = params.list(name) else { return Ok(None) };
    let read = |text: Option<&str>| {
        let text = text.unwrap_or_default().to_ascii_lowercase();
        text.parse().map_err(|error| BadParameter::invalid(name, error))
    };
    list.into_iter().map(read).collect::<Result<_, _>>().map(Some)
}

/// The general report's question.
pub(super) fn query(
    params: &Params,
    home: &TimeZone,
    page: Page,
    metrics: impl FnOnce() -> Vec<Metric>,
) -> Result<ReportQuery, BadParameter> {
    let zone = zone(params, home)?;
    let (from, until) = range(params, &zone)?;
    let compared = compared(params, &zone, from, until)?;
    Ok(ReportQuery {
        from,
        until,
        group_by: named(params, "group_by")?.unwrap_or_default(),
        filters: filters(params)?,
        metrics: named(params, "metrics")?.unwrap_or_else(metrics),
        sort: sort(params)?,
        descending: params.boolean("sort_descending")?.unwrap_or(false),
        offset: page.offset,
        limit: page.limit as usize,
        zone,
        clock: clock(params)?,
        compared_from: compared.map(|(from, _)| from),
        compared_until: compared.map(|(_, until)| until),
    })
}

pub(super) fn clock(params: &Params) -> Result<Clock, BadParameter> {
    Ok(params.parse("clock")?.unwrap_or_default())
}

/// The names of all parameters that say which rows count.
pub(super) fn filter_names() -> impl Iterator<Item = &'static str> {
    Attribute::ALL.into_iter().map(Attribute::field).chain(["conversion_status", WITHOUT])
}

fn sort(params: &Params) -> Result<Option<SortBy>, BadParameter> {
    let Some(name) = params.get("sort_field") else { return Ok(None) };
    let name = name.to_ascii_lowercase();
    let by = name.parse().map(SortBy::Metric).ok().or_else(|| name.parse().map(SortBy::Dimension).ok());
    by.map(Some).ok_or_else(|| {
        let fields: Vec<_> =
            Dimension::all().map(Dimension::field).chain(Metric::ALL.into_iter().map(Metric::name)).collect();
        BadParameter::invalid("sort_field", format!("not a sort field: use one of {}", fields.join(", ")))
    })
}

/// What rows must have.
pub(super) fn filters(params: &Params) -> Result<Vec<Filter>, BadParameter> {
    let mut filters = Vec::new();
    for attribute in Attribute::ALL {
        filters.extend(filter(params, attribute, attribute.field())?);
    }
    filters.extend(filter(params, Attribute::Status, "conversion_status")?);
    let without: Option<Vec<Dimension>> = named(params, WITHOUT)?;
    for dimension in without.into_iter().flatten() {
        let Dimension::Attribute(attribute) = dimension else {
            return Err(BadParameter::invalid(WITHOUT, "every row has a time"));
        };
        filters.push(Filter { attribute, values: vec![none(attribute)] });
    }
    Ok(filters)
}

fn filter(params: &Params, attribute: Attribute, name: &str) -> Result<Option<Filter>, BadParameter> {
    let values = match attribute {
        Attribute::SubId(_) => params.list_of_texts(name),
        _ => params.list(name),
    };
    let Some(values) = values else { return Ok(None) };
    let read = |text: Option<&str>| match text {
        None | Some("") => Ok(none(attribute)),
        Some(text) => value(attribute, text).map_err(|problem| BadParameter::invalid(name, problem)),
    };
    let values = values.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok(Some(Filter { attribute, values }))
}

/// What rows have that have nothing.
fn none(attribute: Attribute) -> Value {
    if attribute.is_entity() { Value::Id(0) } else { Value::text("") }
}

fn value(attribute: Attribute, text: &str) -> Result<Value, String> {
    let lower = text.to_ascii_lowercase();
    let problem = |error: &dyn std::fmt::Display| error.to_string();
    Ok(match attribute {
        Attribute::Country => {
            let country = Country::new(text).ok_or("two letters are expected")?;
            Value::text(country.as_str())
        }
        Attribute::Device => Value::text(lower.parse::<Device>().map_err(|it| problem(&it))?.name()),
        Attribute::Disposition => {
            Value::text(lower.parse::<Disposition>().map_err(|it| problem(&it))?.name())
        }
        Attribute::Status => {
            Value::text(lower.parse::<ConversionStatus>().map_err(|it| problem(&it))?.name())
        }
        Attribute::ReferrerHost => Value::text(&lower),
        attribute if attribute.is_entity() => {
            Value::Id(text.parse().map_err(|_| "a whole number is expected")?)
        }
        _ => Value::text(text),
    })
}

/// The range compared with: named, or by its own dates.
fn compared(
    params: &Params,
    zone: &TimeZone,
    from: Timestamp,
    until: Timestamp,
) -> Result<Option<(Timestamp, Timestamp)>, BadParameter> {
    const DATES: [&str; 2] = ["compare_start_date", "compare_end_date"];
    let start = params.date(DATES[0], zone)?;
    let end = params.date(DATES[1], zone)?;
    match (params.get("compare"), start, end) {
        (None, None, None) => Ok(None),
        (None, Some(start), Some(end)) => {
            let (start, end) = (start.start(zone), end.end(zone));
            if end <= start {
                return Err(BadParameter::invalid(DATES[1], "before compare_start_date"));
            }
            Ok(Some((start, end)))
        }
        (None, Some(_), None) => Err(BadParameter::missing(DATES[1])),
        (None, None, Some(_)) => Err(BadParameter::missing(DATES[0])),
        (Some("previous_period"), None, None) => Ok(Some(before(from, until, zone))),
        (Some("previous_year"), None, None) => Ok(Some((year_before(from, zone), year_before(until, zone)))),
        (Some(_), None, None) => {
            Err(BadParameter::invalid("compare", "previous_period or previous_year is expected"))
        }
        (Some(_), ..) => Err(BadParameter::invalid("compare", "dates to compare with are given as well")),
    }
}

/// As long a range that ends where this one begins: of whole days, as many days.
fn before(from: Timestamp, until: Timestamp, zone: &TimeZone) -> (Timestamp, Timestamp) {
    let [first, end] = [from, until].map(|it| zone.to_datetime(it).date());
    let is_midnight = midnight(first, zone) == from && midnight(end, zone) == until;
    let days = first.until(end).map_or(0, |span| span.get_days());
    let start = first.checked_sub(days.days()).ok().filter(|_| is_midnight).map(|day| midnight(day, zone));
    let start =
        start.unwrap_or_else(|| from.saturating_sub(until.duration_since(from)).unwrap_or(Timestamp::MIN));
    (start, from)
}

fn year_before(at: Timestamp, zone: &TimeZone) -> Timestamp {
    at.to_zoned(zone.clone()).checked_sub(1.year()).map_or(Timestamp::MIN, |it| it.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        let mut params = Params::default();
        params.add_pairs(query).expect("readable");
        params
    }

    #[test]
    fn filters_are_read_and_what_is_wrong_is_named() {
        let found =
            filters(&params("offer_id=4,5&country=us&status=returned&sub_id_1=a,b&without=campaign,os"));
        let filter = |attribute, values: &[Value]| Filter { attribute, values: values.to_vec() };
        let expected = vec![
            filter(Attribute::Offer, &[Value::Id(4), Value::Id(5)]),
            filter(Attribute::SubId(0), &[Value::text("a,b")]),
            filter(Attribute::Country, &[Value::text("US")]),
            filter(Attribute::Status, &[Value::text("reversed")]),
            filter(Attribute::Campaign, &[Value::Id(0)]),
            filter(Attribute::Os, &[Value::text("")]),
        ];
        assert_eq!(found, Ok(expected));
        for (query, message) in [
            ("offer_id=x", "offer_id: a whole number is expected"),
            ("country=USA", "country: two letters are expected"),
            ("conversion_status=paid", "conversion_status: "),
            ("without=day", "without: every row has a time"),
            ("without=colour", "without: colour is no dimension"),
        ] {
            let found = filters(&params(query)).expect_err(query).message();
            assert!(found.starts_with(message), "{found}");
        }
    }

    #[test]
    fn a_range_is_compared_with_as_many_days_before() {
        let check = |zone: &str, from: &str, until: &str, expected: [&str; 2]| {
            let zone = TimeZone::get(zone).expect("a zone");
            let [from, until] = [from, until].map(|it| it.parse().expect("a moment"));
            let expected = expected.map(|it| it.parse().expect("a moment"));
            assert_eq!(before(from, until, &zone), (expected[0], expected[1]));
        };
        check(
            "UTC",
            "2026-11-08T00:00:00Z",
            "2026-11-15T00:00:00Z",
            ["2026-11-01T00:00:00Z", "2026-11-08T00:00:00Z"],
        );
        // Clocks were put back in the week before: seven days there are an hour longer.
        let expected = ["2026-10-25T04:00:00Z", "2026-11-01T04:00:00Z"];
        check("America/New_York", "2026-11-01T04:00:00Z", "2026-11-08T05:00:00Z", expected);
        check(
            "UTC",
            "2026-11-08T06:00:00Z",
            "2026-11-08T08:00:00Z",
            ["2026-11-08T04:00:00Z", "2026-11-08T06:00:00Z"],
        );
        let year = year_before("2024-02-29T00:00:00Z".parse().expect("a moment"), &TimeZone::UTC);
        assert_eq!(year, "2023-02-28T00:00:00Z".parse().expect("a moment"));
    }
}
