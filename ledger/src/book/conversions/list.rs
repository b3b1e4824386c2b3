//! Pages of conversions.

use domain::conversion::Conversion;
use domain::conversion_query::{
    ConversionFilter, ConversionPage, ConversionQuery, ConversionSort, SortKey, Start,
};

use super::read_conversion;
use crate::LedgerError;
use crate::database::{Session, Value, all, single};

pub(super) fn list_conversions(
    session: &mut dyn Session,
    query: &ConversionQuery,
) -> Result<ConversionPage, LedgerError> {
    let total = count(session, &query.filter)?;
    let mut conversions = page(session, query)?;
    let more = conversions.len() > query.limit as usize;
    conversions.truncate(query.limit as usize);
    Ok(ConversionPage { total, conversions, more })
}

/// Conditions that must all hold, and the values they stand on.
#[derive(Default)]
struct Where {
    conditions: Vec<String>,
    values: Vec<Value<'static>>,
}

impl Where {
    /// The placeholder of a value.
    fn value(&mut self, value: impl Into<Value<'static>>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn and(&mut self, comparison: &str, value: impl Into<Value<'static>>) {
        let place = self.value(value);
        self.conditions.push(format!("{comparison} {place}"));
    }

    fn sql(&self) -> String {
        if self.conditions.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", self.conditions.join(" AND "))
        }
    }
}

fn matching(filter: &ConversionFilter) -> Where {
    let mut wanted = Where::default();
    let times = [
        ("conversion_date >=", filter.from),
        ("conversion_date <", filter.until),
        ("last_updated >=", filter.updated_since),
    ];
    let ids = [
        ("offer_id =", filter.offer_id.map(|id| id.0)),
        ("affiliate_id =", filter.affiliate_id.map(|id| id.0)),
        ("advertiser_id =", filter.advertiser_id.map(|id| id.0)),
    ];
    for (comparison, at) in times {
        at.inspect(|at| wanted.and(comparison, *at));
    }
    for (comparison, id) in ids {
        id.inspect(|id| wanted.and(comparison, *id));
    }
    if !filter.statuses.is_empty() {
        let places: Vec<_> = filter.statuses.iter().map(|it| wanted.value(it.name().to_owned())).collect();
        wanted.conditions.push(format!("status IN ({})", places.join(", ")));
    }
    wanted
}

fn count(session: &mut dyn Session, filter: &ConversionFilter) -> Result<u64, LedgerError> {
    let wanted = matching(filter);
    let sql = format!("-- count\nSELECT count(*) FROM conversions {}", wanted.sql());
    single(session, &sql, wanted.values)
}

/// The page, and one conversion more where there is one.
fn page(session: &mut dyn Session, query: &ConversionQuery) -> Result<Vec<Conversion>, LedgerError> {
    let column = match query.sort {
        ConversionSort::ConversionStatus => "status",
        other => other.name(),
    };
    let (direction, comparison) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
    let mut wanted = matching(&query.filter);
    let mut offset = 0;
    match &query.start {
        Start::Row(row) => offset = *row,
        Start::After(key, id) => {
            let key = wanted.value(match key {
                SortKey::Integer(number) => Value::from(*number),
                SortKey::Text(text) => Value::from(text.clone()),
            });
            let id = wanted.value(*id);
            wanted.conditions.push(format!("({column}, conversion_id) {comparison} ({key}, {id})"));
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
