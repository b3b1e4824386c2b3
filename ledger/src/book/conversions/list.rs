//! Pages of conversions.

use domain::conversion::Conversion;
use domain::conversion_query::{
    ConversionFilter, ConversionPage, ConversionQuery, ConversionSort, SortKey, Start,
};
use domain::grouping::Value as Grouped;
use domain::ids::ConversionId;
use domain::report::{Attribute, Clock, Filter};
use jiff::Timestamp;

use super::super::filter::Where;
use super::super::money::DAY_MICROS;
use super::read_conversion;
use crate::LedgerError;
use crate::database::{Session, Value, all, single, values};

pub(super) fn list_conversions(
    session: &mut dyn Session,
    query: &ConversionQuery,
) -> Result<ConversionPage, LedgerError> {
    let total = count(session, &query.filter)?;
    let mut conversions = page(session, query, total)?;
    let more = conversions.len() > query.limit as usize;
    conversions.truncate(query.limit as usize);
    Ok(ConversionPage { total, conversions, more })
}

pub(super) fn list_after(
    session: &mut dyn Session,
    filter: &ConversionFilter,
    after: Option<(Timestamp, ConversionId)>,
    limit: u32,
) -> Result<Vec<Conversion>, LedgerError> {
    // Where the place is the later beginning, only from there on is looked: of two, the database may take
    // the other, and go through all that was walked before.
    let from = filter.from.filter(|from| after.is_none_or(|(date, _)| date < *from));
    let mut wanted = matching(&ConversionFilter { from, ..filter.clone() });
    if let Some((date, id)) = after {
        let (date, id) = (wanted.value(date), wanted.value(id));
        wanted.push(format!("(conversion_date, conversion_id) > ({date}, {id})"));
    }
    let conditions = wanted.sql();
    let limit = wanted.value(limit);
    let sql = format!(
        "-- list_conversions_after\n\
         SELECT * FROM conversions {conditions} ORDER BY conversion_date, conversion_id LIMIT {limit}"
    );
    all(session, &sql, wanted.values, read_conversion)
}

/// What a filter asks of rows.
pub(in crate::book) fn matching(filter: &ConversionFilter) -> Where {
    matching_by(filter, true)
}

/// The same; without `indexed` so that no index can serve it.
fn matching_by(filter: &ConversionFilter, indexed: bool) -> Where {
    let mut wanted = Where::default();
    let before = if indexed { "" } else { "+" };
    let time = match filter.clock {
        Clock::Conversion => "conversion_date",
        Clock::Click => "click_date",
        Clock::Approval => "approved_at",
    };
    let times = [
        (format!("{time} >="), filter.from),
        (format!("{time} <"), filter.until),
        ("last_updated >=".to_owned(), filter.updated_since),
    ];
    for (comparison, at) in times {
        wanted.and_some(&format!("{before}{comparison}"), at);
    }
    for (comparison, id) in ids(filter) {
        wanted.and_some(&format!("{before}{comparison}"), id);
    }
    with_statuses(&mut wanted, filter, if indexed { "status" } else { "coalesce(status, '')" });
    wanted.and_some("currency =", filter.currency.map(|it| it.to_string()));
    for Filter { attribute, values } in &filter.attributes {
        let place = |value: &Grouped| match value {
            Grouped::Id(id) => wanted.value(*id),
            Grouped::Text(text) => wanted.value(text.to_string()),
        };
        let places: Vec<_> = values.iter().map(place).collect();
        wanted.push(format!("{} IN ({})", column(*attribute), places.join(", ")));
    }
    wanted
}

/// What a conversion has of an attribute, told as a `Fact` tells it. No index can serve it: what is asked
/// about always has a range of time, which one does.
fn column(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::Offer => "coalesce(offer_id, 0)",
        Attribute::Affiliate => "coalesce(affiliate_id, 0)",
        Attribute::Advertiser => "coalesce(advertiser_id, 0)",
        Attribute::Campaign => "coalesce(campaign_id, 0)",
        Attribute::Creative => "coalesce(creative_id, 0)",
        Attribute::Event => "coalesce(event_id, 0)",
        Attribute::SubId(0) => "sub_id_1",
        Attribute::SubId(1) => "sub_id_2",
        Attribute::SubId(2) => "sub_id_3",
        Attribute::SubId(3) => "sub_id_4",
        Attribute::SubId(_) => "sub_id_5",
        Attribute::Country => "country",
        Attribute::Device => "device",
        Attribute::Os => "os",
        Attribute::Browser => "browser",
        Attribute::ReferrerHost => "referrer_host",
        Attribute::Disposition => "disposition",
        Attribute::Status => "coalesce(status, '')",
        Attribute::PriceRule => {
            "CASE WHEN payout_rule_id IS NULL THEN payout_scope \
             ELSE payout_scope || ' rule ' || payout_rule_id || ' version ' || payout_rule_version END"
        }
    }
}

fn ids(filter: &ConversionFilter) -> [(&'static str, Option<u32>); 3] {
    [
        ("offer_id =", filter.offer_id.map(|id| id.0)),
        ("affiliate_id =", filter.affiliate_id.map(|id| id.0)),
        ("advertiser_id =", filter.advertiser_id.map(|id| id.0)),
    ]
}

fn with_statuses(wanted: &mut Where, filter: &ConversionFilter, status: &str) {
    if !filter.statuses.is_empty() {
        let places: Vec<_> = filter.statuses.iter().map(|it| wanted.value(it.name())).collect();
        wanted.push(format!("{status} IN ({})", places.join(", ")));
    }
}

/// How many match: whole days by what is counted, the rest by the rows; an affiliate's by its rows.
fn count(session: &mut dyn Session, filter: &ConversionFilter) -> Result<u64, LedgerError> {
    let day = |at: Timestamp, up: bool| {
        let micros = at.as_microsecond();
        let past = micros.rem_euclid(DAY_MICROS);
        micros - past + if up && past > 0 { DAY_MICROS } else { 0 }
    };
    let from = filter.from.map_or(i64::MIN, |at| day(at, true));
    let until = filter.until.map_or(i64::MAX, |at| day(at, false));
    let by_row = filter.updated_since.is_some()
        || filter.affiliate_id.is_some()
        || filter.clock != Clock::Conversion
        || filter.currency.is_some()
        || !filter.attributes.is_empty();
    if by_row || from >= until {
        return count_rows(session, filter);
    }
    let mut total = count_days(session, filter, from, until)?;
    let at = |micros: i64| Timestamp::from_microsecond(micros).ok();
    if filter.from.is_some_and(|it| it.as_microsecond() < from) {
        total += count_rows(session, &ConversionFilter { until: at(from), ..filter.clone() })?;
    }
    if filter.until.is_some_and(|it| it.as_microsecond() > until) {
        total += count_rows(session, &ConversionFilter { from: at(until), ..filter.clone() })?;
    }
    Ok(total)
}

fn count_rows(session: &mut dyn Session, filter: &ConversionFilter) -> Result<u64, LedgerError> {
    let wanted = matching(filter);
    let sql = format!("-- count_rows\nSELECT count(*) FROM conversions {}", wanted.sql());
    single(session, &sql, wanted.values)
}

fn count_days(
    session: &mut dyn Session,
    filter: &ConversionFilter,
    from: i64,
    until: i64,
) -> Result<u64, LedgerError> {
    let mut wanted = Where::default();
    wanted.and("day >=", from);
    wanted.and("day <", until);
    wanted.and_some("offer_id =", filter.offer_id);
    if let Some(advertiser_id) = filter.advertiser_id {
        let place = wanted.value(advertiser_id);
        wanted.push(format!("offer_id IN (SELECT offer_id FROM offers WHERE advertiser_id = {place})"));
    }
    with_statuses(&mut wanted, filter, "status");
    let sql = format!(
        "-- count_days\nSELECT CAST(coalesce(sum(conversions), 0) AS BIGINT) FROM conversion_counts {}",
        wanted.sql()
    );
    single(session, &sql, wanted.values)
}

/// Whether to walk an index in the order asked for and leave out what does not match, rather than to
/// collect all that matches and sort it: the former looks at some `rows × all ÷ matching`, the latter
/// at all that match.
fn walks(session: &mut dyn Session, query: &ConversionQuery, total: u64) -> Result<bool, LedgerError> {
    let last = "-- last_conversion\nSELECT coalesce(max(conversion_id), 0) FROM conversions";
    let everything: u64 = single(session, last, values![])?;
    let skipped = match query.start {
        Start::Row(row) => row,
        Start::After(..) => 0,
    };
    let wanted = (skipped + u64::from(query.limit)).min(total);
    Ok(u128::from(wanted) * u128::from(everything) < u128::from(total) * u128::from(total))
}

/// The page, and one conversion more where there is one.
fn page(
    session: &mut dyn Session,
    query: &ConversionQuery,
    total: u64,
) -> Result<Vec<Conversion>, LedgerError> {
    let column = match query.sort {
        ConversionSort::ConversionStatus => "status",
        other => other.name(),
    };
    let (direction, comparison) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
    let walks = query.sort != ConversionSort::ConversionDate && walks(session, query, total)?;
    let mut wanted = matching_by(&query.filter, !walks);
    let mut offset = 0;
    match &query.start {
        Start::Row(row) => offset = *row,
        Start::After(key, id) => {
            let key = wanted.value(match key {
                SortKey::Integer(number) => Value::from(*number),
                SortKey::Text(text) => Value::from(text.clone()),
            });
            let id = wanted.value(*id);
            wanted.push(format!("({column}, conversion_id) {comparison} ({key}, {id})"));
        }
    }
    let conditions = wanted.sql();
    let limit = wanted.value(u64::from(query.limit) + 1);
    let offset = wanted.value(offset);
    let sql = format!(
        "-- page\nSELECT * FROM conversions {conditions} ORDER BY {column} {direction}, conversion_id {direction} \
         LIMIT {limit} OFFSET {offset}"
    );
    all(session, &sql, wanted.values, read_conversion)
}
