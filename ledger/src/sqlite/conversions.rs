//! Conversions and attempts in SQLite.

use domain::click::Country;
use domain::conversion::{Conversion, ConversionCall, First, Price, Prior, Refusal, Verdict, judge};
use domain::conversion_query::{
    ConversionFilter, ConversionPage, ConversionQuery, ConversionSort, SortKey, Start,
};
use domain::ids::{
    AdvertiserId, AffiliateId, CampaignId, ClickId, ConversionId, CreativeId, EventId, KeyId, OfferId,
};
use domain::money::Amount;
use domain::network::DEFAULT_EVENT;
use domain::pricing::PriceScope;
use domain::status::ConversionStatus;
use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, named_params, params, params_from_iter};

use super::row::{Row, signed, unsigned};
use super::{SqliteLedger, backend};
use crate::LedgerError;
use crate::conversions::{Attempt, ConversionBook, Recorded, Submission};

impl ConversionBook for SqliteLedger {
    fn record_conversions(
        &self,
        submissions: &[Submission],
    ) -> Result<Vec<Result<Recorded, LedgerError>>, LedgerError> {
        self.write(|tx| submissions.iter().map(|submission| record_apart(tx, submission)).collect())
    }

    fn record_attempt(&self, attempt: &Attempt) -> Result<(), LedgerError> {
        self.write(|tx| insert_attempt(tx, attempt))
    }

    fn list_attempts(&self, click_id: &str) -> Result<Vec<Attempt>, LedgerError> {
        let reader = self.reader()?;
        let sql = "-- list_attempts\nSELECT * FROM attempts WHERE click_id = ?1 ORDER BY attempt_id";
        let mut statement = reader.prepare_cached(sql).map_err(backend)?;
        let mut rows = statement.query([click_id]).map_err(backend)?;
        let mut attempts = Vec::new();
        while let Some(row) = rows.next().map_err(backend)? {
            attempts.push(read_attempt(row)?);
        }
        Ok(attempts)
    }

    fn find_conversion(&self, id: ConversionId) -> Result<Option<Conversion>, LedgerError> {
        find_conversion(&*self.reader()?, id)
    }

    fn find_conversions_of(&self, clicks: &[ClickId]) -> Result<Vec<Option<ConversionId>>, LedgerError> {
        let reader = self.reader()?;
        let moment = reader.unchecked_transaction().map_err(backend)?;
        clicks.iter().map(|click| first_on_click(&moment, *click, DEFAULT_EVENT)).collect()
    }

    fn list_conversions(&self, query: &ConversionQuery) -> Result<ConversionPage, LedgerError> {
        let reader = self.reader()?;
        let moment = reader.unchecked_transaction().map_err(backend)?;
        let total = count(&moment, &query.filter)?;
        let mut conversions = page(&moment, query)?;
        let more = conversions.len() > query.limit as usize;
        conversions.truncate(query.limit as usize);
        Ok(ConversionPage { total, conversions, more })
    }
}

/// Records one call inside a savepoint, so that an error of its own spoils no neighbour.
fn record_apart(
    tx: &Transaction<'_>,
    submission: &Submission,
) -> Result<Result<Recorded, LedgerError>, LedgerError> {
    tx.prepare_cached("SAVEPOINT call").and_then(|mut it| it.execute(())).map_err(backend)?;
    let recorded = record(tx, submission);
    if recorded.is_err() {
        tx.prepare_cached("ROLLBACK TO call").and_then(|mut it| it.execute(())).map_err(backend)?;
    }
    tx.prepare_cached("RELEASE call").and_then(|mut it| it.execute(())).map_err(backend)?;
    Ok(recorded)
}

fn record(tx: &Transaction<'_>, submission: &Submission) -> Result<Recorded, LedgerError> {
    let Submission { call, click, terms } = submission;
    let prior = match (click, call.event_id) {
        (Some(click), Some(event_id)) => prior(tx, call, click.id, event_id)?,
        _ => Prior::default(),
    };
    match judge(call, click.as_ref(), terms, &prior) {
        Verdict::New(price, status) => {
            let mut conversion = new_conversion(submission, price, status);
            conversion.id = insert_conversion(tx, &conversion)?;
            insert_attempt(tx, &attempt(call, "recorded", Some(conversion.id)))?;
            Ok(Recorded::New(conversion))
        }
        Verdict::Same { first, conflict } => {
            let outcome = if conflict { "repeated_with_conflict" } else { "repeated" };
            insert_attempt(tx, &attempt(call, outcome, Some(first)))?;
            let first = find_conversion(tx, first)?.expect("read by this transaction");
            Ok(Recorded::Same { first, conflict })
        }
        Verdict::Refused(refusal) => {
            let first = match refusal {
                Refusal::DuplicateConversion(first) => Some(first),
                _ => None,
            };
            insert_attempt(tx, &attempt(call, refusal.code(), first))?;
            Ok(Recorded::Refused(refusal))
        }
    }
}

fn prior(
    tx: &Transaction<'_>,
    call: &ConversionCall,
    click_id: ClickId,
    event_id: EventId,
) -> Result<Prior, LedgerError> {
    let on_click = first_on_click(tx, click_id, event_id)?;
    if call.unique_id.is_empty() {
        return Ok(Prior { on_click, ..Prior::default() });
    }
    let sql = "-- prior\n\
        SELECT conversion_id, click_id, original_payout, original_revenue, amount FROM conversions \
        WHERE offer_id = ?1 AND event_id = ?2 AND unique_id = ?3 AND unique_id <> ''";
    let mut statement = tx.prepare_cached(sql).map_err(backend)?;
    let mut rows = statement.query(params![call.offer_id.0, event_id.0, call.unique_id]).map_err(backend)?;
    let Some(row) = rows.next().map_err(backend)? else { return Ok(Prior { on_click, ..Prior::default() }) };
    let row = Row::new("conversions", row);
    let first = First {
        id: ConversionId(unsigned(row.get("conversion_id")?)),
        payout: row.amount("original_payout")?,
        revenue: row.amount("original_revenue")?,
        amount: row.optional_amount("amount")?,
    };
    let repeat = (row.click_id("click_id")? == click_id).then_some(first);
    Ok(Prior { repeat, same_unique_id: Some(first.id), on_click })
}

fn first_on_click(
    connection: &Connection,
    click_id: ClickId,
    event_id: EventId,
) -> Result<Option<ConversionId>, LedgerError> {
    let sql = "-- first_on_click\n\
        SELECT min(conversion_id) FROM conversions WHERE click_id = ?1 AND event_id = ?2";
    let mut statement = connection.prepare_cached(sql).map_err(backend)?;
    let first: Option<i64> =
        statement.query_row(params![click_id.to_bytes(), event_id.0], |row| row.get(0)).map_err(backend)?;
    Ok(first.map(|id| ConversionId(unsigned(id))))
}

fn new_conversion(submission: &Submission, price: Price, status: ConversionStatus) -> Conversion {
    let Submission { call, click, terms } = submission;
    let click = click.as_ref().expect("judged new only with its click");
    let offer = terms.offer.as_ref().expect("judged new only with its offer");
    Conversion {
        id: ConversionId(0),
        offer_id: offer.id,
        advertiser_id: offer.advertiser_id,
        affiliate_id: click.affiliate_id,
        campaign_id: terms.campaign.as_ref().map(|it| it.id).or(click.campaign_id),
        creative_id: click.creative_id,
        click_id: click.id,
        event_id: call.event_id.expect("judged new only with its event"),
        unique_id: call.unique_id.clone(),
        order_id: call.order_id.clone(),
        adv: call.adv.clone(),
        sub_ids: click.sub_ids.clone(),
        country: click.country,
        currency: offer.currency,
        price,
        status,
        conversion_date: call.conversion_date,
        recorded_at: call.received_at,
        last_updated: call.received_at,
    }
}

fn insert_conversion(tx: &Transaction<'_>, it: &Conversion) -> Result<ConversionId, LedgerError> {
    let sql = "-- insert_conversion\n\
        INSERT INTO conversions (offer_id, event_id, advertiser_id, affiliate_id, campaign_id, creative_id, \
        click_id, unique_id, order_id, adv1, adv2, adv3, adv4, adv5, \
        sub_id_1, sub_id_2, sub_id_3, sub_id_4, sub_id_5, country, currency, amount, \
        original_payout, payout_scope, original_revenue, revenue_scope, status, payout, revenue, \
        click_date, conversion_date, recorded_at, last_updated) \
        VALUES (:offer_id, :event_id, :advertiser_id, :affiliate_id, :campaign_id, :creative_id, \
        :click_id, :unique_id, :order_id, :adv1, :adv2, :adv3, :adv4, :adv5, \
        :sub_id_1, :sub_id_2, :sub_id_3, :sub_id_4, :sub_id_5, :country, :currency, :amount, \
        :original_payout, :payout_scope, :original_revenue, :revenue_scope, :status, :payout, :revenue, \
        :click_date, :conversion_date, :recorded_at, :last_updated)";
    let values = named_params! {
        ":offer_id": it.offer_id.0,
        ":event_id": it.event_id.0,
        ":advertiser_id": it.advertiser_id.0,
        ":affiliate_id": it.affiliate_id.0,
        ":campaign_id": it.campaign_id.map(|id| id.0),
        ":creative_id": it.creative_id.0,
        ":click_id": it.click_id.to_bytes(),
        ":unique_id": it.unique_id,
        ":order_id": it.order_id,
        ":adv1": it.adv[0], ":adv2": it.adv[1], ":adv3": it.adv[2], ":adv4": it.adv[3], ":adv5": it.adv[4],
        ":sub_id_1": it.sub_ids[0], ":sub_id_2": it.sub_ids[1], ":sub_id_3": it.sub_ids[2],
        ":sub_id_4": it.sub_ids[3], ":sub_id_5": it.sub_ids[4],
        ":country": it.country.as_str(),
        ":currency": it.currency.as_str(),
        ":amount": it.price.amount.map(Amount::micros),
        ":original_payout": it.price.payout.micros(),
        ":payout_scope": it.price.payout_scope.name(),
        ":original_revenue": it.price.revenue.micros(),
        ":revenue_scope": it.price.revenue_scope.name(),
        ":status": it.status.name(),
        ":payout": it.payout().micros(),
        ":revenue": it.revenue().micros(),
        ":click_date": it.click_id.time().as_microsecond(),
        ":conversion_date": it.conversion_date.as_microsecond(),
        ":recorded_at": it.recorded_at.as_microsecond(),
        ":last_updated": it.last_updated.as_microsecond(),
    };
    tx.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map_err(backend)?;
    Ok(ConversionId(unsigned(tx.last_insert_rowid())))
}

fn attempt(call: &ConversionCall, outcome: &str, conversion_id: Option<ConversionId>) -> Attempt {
    Attempt {
        offer_id: Some(call.offer_id),
        received_at: call.received_at,
        key_id: call.key_id,
        click_id: call.click_id.clone(),
        unique_id: call.unique_id.clone(),
        outcome: outcome.to_owned(),
        reason: String::new(),
        conversion_id,
        raw: call.raw.clone(),
    }
}

fn insert_attempt(tx: &Transaction<'_>, attempt: &Attempt) -> Result<(), LedgerError> {
    let sql = "-- insert_attempt\n\
        INSERT INTO attempts (offer_id, received_at, key_id, click_id, unique_id, outcome, reason, conversion_id, raw) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let values = params![
        attempt.offer_id.map_or(0, |id| id.0),
        attempt.received_at.as_microsecond(),
        attempt.key_id.0,
        attempt.click_id,
        attempt.unique_id,
        attempt.outcome,
        attempt.reason,
        attempt.conversion_id.map(|id| signed(id.0)),
        attempt.raw,
    ];
    tx.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map_err(backend).map(drop)
}

fn read_attempt(row: &rusqlite::Row<'_>) -> Result<Attempt, LedgerError> {
    let row = Row::new("attempts", row);
    Ok(Attempt {
        offer_id: Some(row.get("offer_id")?).filter(|id| *id != 0).map(OfferId),
        received_at: row.time("received_at")?,
        key_id: KeyId(row.get("key_id")?),
        click_id: row.get("click_id")?,
        unique_id: row.get("unique_id")?,
        outcome: row.get("outcome")?,
        reason: row.get("reason")?,
        conversion_id: row.get::<Option<i64>>("conversion_id")?.map(|id| ConversionId(unsigned(id))),
        raw: row.get("raw")?,
    })
}

fn find_conversion(connection: &Connection, id: ConversionId) -> Result<Option<Conversion>, LedgerError> {
    let sql = "-- find_conversion\nSELECT * FROM conversions WHERE conversion_id = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(backend)?;
    let mut rows = statement.query([signed(id.0)]).map_err(backend)?;
    rows.next().map_err(backend)?.map(read_conversion).transpose()
}

fn read_conversion(row: &rusqlite::Row<'_>) -> Result<Conversion, LedgerError> {
    let row = Row::new("conversions", row);
    let scope = |column| row.parse(column, PriceScope::from_name);
    Ok(Conversion {
        id: ConversionId(unsigned(row.get("conversion_id")?)),
        offer_id: OfferId(row.get("offer_id")?),
        advertiser_id: AdvertiserId(row.get("advertiser_id")?),
        affiliate_id: AffiliateId(row.get("affiliate_id")?),
        campaign_id: row.get::<Option<u32>>("campaign_id")?.map(CampaignId),
        creative_id: CreativeId(row.get("creative_id")?),
        click_id: row.click_id("click_id")?,
        event_id: EventId(row.get("event_id")?),
        unique_id: row.get("unique_id")?,
        order_id: row.get("order_id")?,
        adv: [row.get("adv1")?, row.get("adv2")?, row.get("adv3")?, row.get("adv4")?, row.get("adv5")?],
        sub_ids: [
            row.get("sub_id_1")?,
            row.get("sub_id_2")?,
            row.get("sub_id_3")?,
            row.get("sub_id_4")?,
            row.get("sub_id_5")?,
        ],
        country: row.parse("country", |text| {
            if text.is_empty() { Some(Country::UNKNOWN) } else { Country::new(text) }
        })?,
        currency: row.parse("currency", |text| text.parse().ok())?,
        price: Price {
            payout: row.amount("original_payout")?,
            payout_scope: scope("payout_scope")?,
            revenue: row.amount("original_revenue")?,
            revenue_scope: scope("revenue_scope")?,
            amount: row.optional_amount("amount")?,
        },
        status: row.parse("status", |text| text.parse().ok())?,
        conversion_date: row.time("conversion_date")?,
        recorded_at: row.time("recorded_at")?,
        last_updated: row.time("last_updated")?,
    })
}

/// Conditions that must all hold, and the values they stand on.
#[derive(Default)]
struct Where {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Where {
    /// The placeholder of a value.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn and(&mut self, comparison: &str, value: impl Into<Value>) {
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
        at.inspect(|at| wanted.and(comparison, at.as_microsecond()));
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

fn count(connection: &Connection, filter: &ConversionFilter) -> Result<u64, LedgerError> {
    let wanted = matching(filter);
    let sql = format!("-- count\nSELECT count(*) FROM conversions {}", wanted.sql());
    let mut statement = connection.prepare_cached(&sql).map_err(backend)?;
    statement.query_row(params_from_iter(wanted.values), |row| row.get(0)).map(unsigned).map_err(backend)
}

/// The page, and one conversion more where there is one.
fn page(connection: &Connection, query: &ConversionQuery) -> Result<Vec<Conversion>, LedgerError> {
    let column = match query.sort {
        ConversionSort::ConversionStatus => "status",
        other => other.name(),
    };
    let (direction, comparison) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
    let mut wanted = matching(&query.filter);
    let mut offset = 0;
    match &query.start {
        Start::Row(row) => offset = signed(*row),
        Start::After(key, id) => {
            let key = wanted.value(match key {
                SortKey::Integer(number) => Value::from(*number),
                SortKey::Text(text) => Value::from(text.clone()),
            });
            let id = wanted.value(signed(id.0));
            wanted.conditions.push(format!("({column}, conversion_id) {comparison} ({key}, {id})"));
        }
    }
    let limit = u64::from(query.limit) + 1;
    let sql = format!(
        "-- page\nSELECT * FROM conversions {} ORDER BY {column} {direction}, conversion_id {direction} \
         LIMIT {limit} OFFSET {offset}",
        wanted.sql()
    );
    let mut statement = connection.prepare(&sql).map_err(backend)?;
    let mut rows = statement.query(params_from_iter(wanted.values)).map_err(backend)?;
    let mut conversions = Vec::new();
    while let Some(row) = rows.next().map_err(backend)? {
        conversions.push(read_conversion(row)?);
    }
    Ok(conversions)
}
