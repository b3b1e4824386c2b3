//! Evidence in the ledger.

use domain::ids::{AdvertiserId, ConversionId};
use jiff::Timestamp;

use super::Book;
use super::conversions::read_attempt;
use crate::LedgerError;
use crate::database::{Database, Record, Session, Value, all, values};
use crate::evidence::{EvidenceBook, KnownConversion, Likeness, Lookup};

const KNOWN: &str = "conversion_id, advertiser_id, unique_id, order_id, click_id, revenue, currency, status, \
    cap_id, conversion_date, adjustments FROM conversions";
/// How many conversions of one key are looked at: a key of more is nobody's own.
const ALIKE_MAX: u32 = 16;

impl<D: Database> EvidenceBook for Book<D> {
    fn list_conversions_of(
        &self,
        advertiser_id: AdvertiserId,
        from: Timestamp,
        until: Timestamp,
        after: Option<(Timestamp, ConversionId)>,
        limit: u32,
    ) -> Result<Vec<KnownConversion>, LedgerError> {
        let sql = format!(
            "-- list_conversions_of\n\
             SELECT {KNOWN} WHERE advertiser_id = ?1 AND (conversion_date, conversion_id) > (?2, ?3) \
             AND conversion_date < ?4 ORDER BY conversion_date, conversion_id LIMIT ?5"
        );
        // Numbers begin with 1.
        let (date, number) = after.unwrap_or((from, ConversionId(0)));
        let values = values![advertiser_id, date, number, until, limit];
        self.database.read(|session| all(session, &sql, values, read_known))
    }

    fn find_like(&self, lookups: &[Lookup]) -> Result<Vec<Likeness>, LedgerError> {
        self.database.read(|session| find_like(session, lookups))
    }
}

/// A key of a look-up as the values of its statement; none where it has none.
type KeyOf = fn(&Lookup) -> Option<Value<'_>>;

fn find_like(session: &mut dyn Session, lookups: &[Lookup]) -> Result<Vec<Likeness>, LedgerError> {
    let text = |text: &'static str| format!("SELECT {KNOWN} WHERE {text} LIMIT {ALIKE_MAX}");
    let ways: [(String, KeyOf); 4] = [
        (format!("-- like_number\n{}", text("conversion_id = ?1")), |it| it.conversion_id.map(Value::from)),
        (
            // Every conversion has its attempt, and those are found by what they have named.
            format!(
                "-- like_unique_id\n{}",
                text(
                    "conversion_id IN (SELECT conversion_id FROM attempts WHERE unique_id = ?1 \
                     AND unique_id <> '') AND unique_id = ?1"
                )
            ),
            |it| present(&it.unique_id),
        ),
        (format!("-- like_order\n{}", text("order_id = ?1 AND order_id <> ''")), |it| present(&it.order_id)),
        (format!("-- like_click\n{}", text("click_id = ?1")), |it| it.click_id.map(Value::from)),
    ];
    let mut found = vec![Likeness::default(); lookups.len()];
    for (sql, key) in ways {
        for_each(session, &sql, lookups, key, |place, record| {
            found[place].conversions.push(read_known(record)?);
            Ok(())
        })?;
    }
    let refused = |condition| {
        format!(
            "-- refused\n\
             SELECT * FROM attempts WHERE {condition} AND outcome NOT IN ('recorded', 'repeated') \
             ORDER BY attempt_id DESC LIMIT 1"
        )
    };
    let ways: [(String, KeyOf); 2] = [
        (refused("click_id = ?1"), |it| present(&it.click_text)),
        (refused("unique_id = ?1 AND unique_id <> ''"), |it| present(&it.unique_id)),
    ];
    for (sql, key) in ways {
        for_each(session, &sql, lookups, key, |place, record| {
            found[place].refused = Some(read_attempt(record)?);
            Ok(())
        })?;
    }
    Ok(found)
}

fn present(text: &str) -> Option<Value<'_>> {
    (!text.is_empty()).then(|| Value::from(text))
}

/// The rows that a statement gives for each look-up that has the key.
fn for_each(
    session: &mut dyn Session,
    sql: &str,
    lookups: &[Lookup],
    key: KeyOf,
    mut row: impl FnMut(usize, &Record) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let keyed: Vec<_> =
        lookups.iter().enumerate().filter_map(|(place, it)| Some((place, key(it)?))).collect();
    let values: Vec<_> = keyed.iter().map(|(_, value)| vec![value.clone()]).collect();
    if values.is_empty() {
        return Ok(());
    }
    for ((place, _), records) in keyed.iter().zip(session.query_all(sql, &values)?) {
        records.iter().try_for_each(|record| row(*place, record))?;
    }
    Ok(())
}

fn read_known(record: &Record) -> Result<KnownConversion, LedgerError> {
    let row = record.of("conversions");
    Ok(KnownConversion {
        id: row.get("conversion_id")?,
        advertiser_id: row.get("advertiser_id")?,
        unique_id: row.get("unique_id")?,
        order_id: row.get("order_id")?,
        click_id: row.get("click_id")?,
        revenue: row.get("revenue")?,
        currency: row.parse("currency", |text| text.parse().ok())?,
        status: row.parse("status", |text| text.parse().ok())?,
        cap_id: row.get("cap_id")?,
        conversion_date: row.get("conversion_date")?,
        adjustments: row.get("adjustments")?,
    })
}
