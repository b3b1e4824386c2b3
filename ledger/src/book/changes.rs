//! The order of changes in the ledger, and the facts that reports are made of.

use domain::adjustment::{Adjustment, Standing, Worth};
use domain::conversion::Conversion;
use domain::ids::{ChangeId, ConversionId, OfferId, PriceRuleId};
use domain::pricing::PriceSource;
use domain::report::{Clock, Fact};
use jiff::Timestamp;

use super::conversions::read_conversion;
use super::filter::Where;
use super::{Book, version};
use crate::LedgerError;
use crate::changes::{Change, ChangeBook, ChangeFilter, ChangePage, Changed, FactTimes};
use crate::database::{Database, Record, Row, Session, all, single, values};

/// Numbers that one question looks at: as many as a page has rows at most.
const LOOKED_AT_MAX: u64 = 10_000;

/// A booking that is to take its place among the changes.
pub(super) struct Step {
    offer_id: OfferId,
    conversion_id: ConversionId,
    booking: u32,
    made_at: Timestamp,
}

impl Step {
    pub(super) fn recording(conversion: &Conversion) -> Self {
        Self {
            offer_id: conversion.offer_id,
            conversion_id: conversion.id,
            booking: 0,
            made_at: conversion.recorded_at,
        }
    }

    pub(super) fn adjustment(adjustment: &Adjustment) -> Self {
        Self {
            offer_id: adjustment.offer_id,
            conversion_id: adjustment.conversion_id,
            booking: adjustment.booking,
            made_at: adjustment.made_at,
        }
    }
}

/// Gives these steps the next numbers. Whoever has the version's row keeps it until its commit, so numbers
/// come in the order of commits; as the last statements of a transaction they keep others waiting only for
/// its end.
pub(super) fn number(session: &mut dyn Session, steps: &[Step]) -> Result<(), LedgerError> {
    if steps.is_empty() {
        return Ok(());
    }
    let count = steps.len() as u64;
    let sql =
        "-- number\nUPDATE versions SET version = version + ?1 WHERE name = 'changes' RETURNING version";
    let last: u64 = single(session, sql, values![count])?;
    let sql = "-- number\n\
        INSERT INTO changes (change_id, offer_id, conversion_id, booking, changed_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let numbered = steps.iter().zip(last.saturating_sub(count) + 1..);
    let rows = numbered
        .map(|(it, number)| values![number, it.offer_id, it.conversion_id, it.booking, it.made_at])
        .collect::<Vec<_>>();
    session.execute_all(sql, &rows).map(drop)
}

impl<D: Database> ChangeBook for Book<D> {
    fn last_change(&self) -> Result<ChangeId, LedgerError> {
        self.version("changes").map(ChangeId)
    }

    fn list_changes(
        &self,
        after: ChangeId,
        filter: &ChangeFilter,
        limit: u32,
    ) -> Result<Option<ChangePage>, LedgerError> {
        self.database.read(|session| {
            let newest = version(session, "changes")?;
            if after.0 > newest {
                return Ok(None);
            }
            let until = newest.min(after.0.saturating_add(LOOKED_AT_MAX));
            let limit = limit.max(1);
            let changes = list(session, after, ChangeId(until), filter, limit)?;
            let is_full = changes.len() >= limit as usize;
            let last = changes.last().filter(|_| is_full).map_or(ChangeId(until), |it| it.id);
            Ok(Some(ChangePage { changes, last, more: last.0 < newest }))
        })
    }

    fn changed_since(&self, after: ChangeId, max: u32) -> Result<Changed, LedgerError> {
        self.database.read(|session| {
            let last = version(session, "changes")?;
            let times = match last.checked_sub(after.0) {
                Some(0) => Some(Vec::new()),
                Some(changed) if changed <= u64::from(max) => Some(times_since(session, after)?),
                _ => None,
            };
            Ok(Changed { last: ChangeId(last), times, erasures: version(session, "erasures")? })
        })
    }

    fn each_fact(
        &self,
        clock: Clock,
        from: Timestamp,
        until: Timestamp,
        row: &mut dyn FnMut(Fact),
    ) -> Result<(), LedgerError> {
        let time = match clock {
            Clock::Conversion => "conversion_date",
            Clock::Click => "click_date",
            Clock::Approval => "approved_at",
        };
        let sql = format!(
            "-- each_fact\n\
             SELECT conversion_id, offer_id, advertiser_id, affiliate_id, campaign_id, creative_id, event_id, status, \
             payout_scope, payout_rule_id, payout_rule_version, currency, \
             sub_id_1, sub_id_2, sub_id_3, sub_id_4, sub_id_5, country, device, os, browser, referrer_host, \
             disposition, click_date, conversion_date, approved_at, payout, revenue FROM conversions \
             WHERE {time} >= ?1 AND {time} < ?2 ORDER BY {time}, conversion_id"
        );
        self.database.read(|session| {
            session.each(&sql, values![from, until], &mut |record| {
                row(read_fact(record)?);
                Ok(())
            })
        })
    }
}

fn list(
    session: &mut dyn Session,
    after: ChangeId,
    until: ChangeId,
    filter: &ChangeFilter,
    limit: u32,
) -> Result<Vec<Change>, LedgerError> {
    let mut wanted = Where::default();
    wanted.and("changes.change_id >", after);
    wanted.and("changes.change_id <=", until);
    // The plus keeps their indexes out: the numbers are few, and whoever is asked for may have millions.
    wanted.and_some("+changes.offer_id =", filter.offer_id);
    wanted.and_some("+conversions.affiliate_id =", filter.affiliate_id);
    wanted.and_some("+conversions.advertiser_id =", filter.advertiser_id);
    let conditions = wanted.sql();
    let limit = wanted.value(limit);
    let sql = format!(
        "-- list_changes\n\
         SELECT conversions.*, changes.change_id, changes.changed_at, changes.booking, \
         made.cause, made.actor, made.note, made.batch_id AS adjusted_by_batch_id, \
         made.from_status, made.from_payout, made.from_revenue, made.to_status, made.to_payout, made.to_revenue, \
         following.from_status AS recorded_status, following.from_payout AS recorded_payout, \
         following.from_revenue AS recorded_revenue \
         FROM changes JOIN conversions ON conversions.offer_id = changes.offer_id \
         AND conversions.conversion_id = changes.conversion_id \
         LEFT JOIN adjustments AS made ON made.offer_id = changes.offer_id \
         AND made.conversion_id = changes.conversion_id AND made.booking = changes.booking \
         LEFT JOIN adjustments AS following ON following.offer_id = changes.offer_id \
         AND following.conversion_id = changes.conversion_id AND following.booking = 1 AND changes.booking = 0 \
         {conditions} ORDER BY changes.change_id LIMIT {limit}"
    );
    all(session, &sql, wanted.values, read_change)
}

fn read_change(record: &Record) -> Result<Change, LedgerError> {
    let conversion = read_conversion(record)?;
    let row = record.of("changes");
    let change = Change {
        id: row.get("change_id")?,
        changed_at: row.get("changed_at")?,
        booking: row.get("booking")?,
        cause: None,
        before: None,
        after: conversion.standing,
        actor: String::new(),
        note: String::new(),
        batch_id: conversion.batch_id,
        conversion,
    };
    let made = record.of("adjustments");
    if change.booking > 0 {
        return Ok(Change {
            cause: Some(made.parse("cause", |text| text.parse().ok())?),
            before: Some(standing(made, ["from_status", "from_payout", "from_revenue"])?),
            after: standing(made, ["to_status", "to_payout", "to_revenue"])?,
            actor: made.get("actor")?,
            note: made.get("note")?,
            batch_id: made.get("adjusted_by_batch_id")?,
            ..change
        });
    }
    // It stood as its first adjustment found it.
    let is_adjusted = made.get::<Option<String>>("recorded_status")?.is_some();
    let recorded = ["recorded_status", "recorded_payout", "recorded_revenue"];
    Ok(if is_adjusted { Change { after: standing(made, recorded)?, ..change } } else { change })
}

fn standing(row: Row<'_>, [status, payout, revenue]: [&'static str; 3]) -> Result<Standing, LedgerError> {
    let price = Worth { payout: row.get(payout)?, revenue: row.get(revenue)? };
    Ok(Standing { status: row.parse(status, |text| text.parse().ok())?, price })
}

fn times_since(session: &mut dyn Session, after: ChangeId) -> Result<Vec<FactTimes>, LedgerError> {
    let sql = "-- times_since\n\
        SELECT conversions.conversion_id, click_date, conversion_date, approved_at \
        FROM changes JOIN conversions ON conversions.offer_id = changes.offer_id \
        AND conversions.conversion_id = changes.conversion_id \
        WHERE changes.change_id > ?1 ORDER BY changes.change_id";
    all(session, sql, values![after], |record| {
        let row = record.of("conversions");
        Ok((row.get("click_date")?, row.get("conversion_date")?, row.get("approved_at")?))
    })
}

fn read_fact(record: &Record) -> Result<Fact, LedgerError> {
    let row = record.of("conversions");
    let rule: Option<PriceRuleId> = row.get("payout_rule_id")?;
    let version: Option<u32> = row.get("payout_rule_version")?;
    Ok(Fact {
        offer_id: row.get("offer_id")?,
        advertiser_id: row.get("advertiser_id")?,
        affiliate_id: row.get("affiliate_id")?,
        campaign_id: row.get("campaign_id")?,
        creative_id: row.get("creative_id")?,
        event_id: row.get("event_id")?,
        status: row.parse("status", |text| text.parse().ok())?,
        payout_source: PriceSource {
            scope: row.parse("payout_scope", |text| text.parse().ok())?,
            rule: rule.zip(version),
        },
        currency: row.parse("currency", |text| text.parse().ok())?,
        sub_ids: [
            row.get("sub_id_1")?,
            row.get("sub_id_2")?,
            row.get("sub_id_3")?,
            row.get("sub_id_4")?,
            row.get("sub_id_5")?,
        ],
        country: row.get("country")?,
        device: row.get("device")?,
        os: row.get("os")?,
        browser: row.get("browser")?,
        referrer_host: row.get("referrer_host")?,
        disposition: row.get("disposition")?,
        click_date: row.get("click_date")?,
        conversion_date: row.get("conversion_date")?,
        approved_at: row.get("approved_at")?,
        payout: row.get("payout")?,
        revenue: row.get("revenue")?,
    })
}
