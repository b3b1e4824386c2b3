//! Events, price rules, prices of tiers and exchange rates in the ledger.

use domain::caps::Window;
use domain::event::{self, Event, OfferEvent};
use domain::ids::{AdvertiserId, CampaignId, CapId, EventId, OfferId, PriceRuleId};
use domain::network::{DEFAULT_EVENT, DatedRate, TierPrice};
use domain::network_change::{
    CreateEvent, CreatePriceRule, EntityKind, EventChange, PriceRuleChange, Rejected,
};
use domain::pricing::{PRICE_RULES_MAX, PriceCondition, PriceRule, PriceType, Rate};
use domain::targeting::RuleStatus;
use jiff::Timestamp;

use super::Book;
use super::network::{NOT_YET, find_advertiser, find_offer};
use super::traffic::{count_problem, next_position, offer_meant, offer_problem};
use crate::LedgerError;
use crate::database::{Database, Record, Row, Session, all, one, single, values};
use crate::network::Changed;
use crate::pricing::PricingBook;

/// Price rules as they are now.
pub(super) const PRESENT_PRICE_RULES: &str =
    "price_rules JOIN price_rule_versions USING (price_rule_id, offer_id, version)";
/// What stands for all campaigns where a key needs a number.
const NO_CAMPAIGN: u32 = 0;

impl<D: Database> PricingBook for Book<D> {
    fn create_event(&self, create: CreateEvent, now: Timestamp) -> Changed<Event> {
        self.change(|session| {
            let mut event = create.clone().into_event(EventId(NOT_YET), now);
            if find_advertiser(session, event.advertiser_id)?.is_none() {
                return Ok(Err(Rejected::NotFound(EntityKind::Advertiser)));
            }
            if let Some(rejected) = name_problem(session, &event)? {
                return Ok(Err(rejected));
            }
            event.id = insert_event(session, &event)?;
            Ok(Ok(event))
        })
    }

    fn update_event(&self, id: EventId, change: EventChange) -> Changed<Event> {
        self.change(|session| {
            let Some(mut found) = find_event(session, id)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Event)));
            };
            change.clone().apply(&mut found);
            if let Some(rejected) = name_problem(session, &found)? {
                return Ok(Err(rejected));
            }
            store_event(session, &found)?;
            Ok(Ok(found))
        })
    }

    fn set_offer_event(&self, offer_event: OfferEvent) -> Changed<OfferEvent> {
        self.change(|session| {
            let OfferEvent { offer_id, event_id, campaign_id, .. } = offer_event;
            if let Err(rejected) = offer_meant(session, Some(offer_id), campaign_id)? {
                return Ok(Err(rejected));
            }
            // The default event has no row: its terms are the offer's own.
            if event_id == DEFAULT_EVENT {
                return Ok(Err(Rejected::NotFound(EntityKind::Event)));
            }
            if let Some(rejected) = events_problem(session, offer_id, &[event_id])? {
                return Ok(Err(rejected));
            }
            store_offer_event(session, &offer_event)?;
            Ok(Ok(offer_event.clone()))
        })
    }

    fn create_price_rule(&self, create: CreatePriceRule, now: Timestamp) -> Changed<PriceRule> {
        self.change(|session| {
            let create = create.clone();
            let offer_id = match offer_meant(session, create.offer_id, create.campaign_id)? {
                Ok(offer_id) => offer_id,
                Err(rejected) => return Ok(Err(rejected)),
            };
            let position = match create.position {
                Some(position) => position,
                None => next_position(session, PRESENT_PRICE_RULES, offer_id)?,
            };
            let mut rule = PriceRule {
                id: PriceRuleId(NOT_YET),
                version: 1,
                offer_id,
                campaign_id: create.campaign_id,
                position,
                status: create.status,
                conditions: create.conditions,
                payout: create.payout,
                revenue: create.revenue,
            };
            if let Some(rejected) = price_rule_problem(session, &rule)? {
                return Ok(Err(rejected));
            }
            let sql = "-- create_price_rule\n\
                INSERT INTO price_rules (offer_id, version) VALUES (?1, 1) RETURNING price_rule_id";
            rule.id = single(session, sql, values![offer_id])?;
            add_version(session, &rule, now)?;
            Ok(Ok(rule))
        })
    }

    fn update_price_rule(
        &self,
        id: PriceRuleId,
        change: PriceRuleChange,
        now: Timestamp,
    ) -> Changed<PriceRule> {
        self.change(|session| {
            let sql =
                format!("-- update_price_rule\nSELECT * FROM {PRESENT_PRICE_RULES} WHERE price_rule_id = ?1");
            let Some(mut found) = one(session, &sql, values![id], price_rule)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::PriceRule)));
            };
            change.clone().apply(&mut found);
            if let Some(rejected) = price_rule_problem(session, &found)? {
                return Ok(Err(rejected));
            }
            let sql = "-- update_price_rule\nUPDATE price_rules SET version = ?2 WHERE price_rule_id = ?1";
            session.execute(sql, values![id, found.version])?;
            add_version(session, &found, now)?;
            Ok(Ok(found))
        })
    }

    fn find_price_rule_version(
        &self,
        id: PriceRuleId,
        version: u32,
    ) -> Result<Option<PriceRule>, LedgerError> {
        let sql = "-- find_price_rule_version\n\
            SELECT * FROM price_rule_versions WHERE price_rule_id = ?1 AND version = ?2";
        self.database.read(|session| one(session, sql, values![id, version], price_rule))
    }

    fn set_tier_price(&self, price: TierPrice) -> Changed<TierPrice> {
        self.change(|session| {
            if let Some(rejected) = offer_problem(session, price.offer_id)? {
                return Ok(Err(rejected));
            }
            store_tier_price(session, &price)?;
            Ok(Ok(price.clone()))
        })
    }

    fn set_exchange_rate(&self, rate: DatedRate) -> Changed<DatedRate> {
        self.change(|session| {
            let sql = "-- set_exchange_rate\n\
                INSERT INTO exchange_rates (currency, effective, rate) VALUES (?1, ?2, ?3) \
                ON CONFLICT (currency, effective) DO UPDATE SET rate = excluded.rate";
            session.execute(sql, values![rate.currency.as_str(), rate.effective, rate.rate])?;
            Ok(Ok(rate))
        })
    }

    fn cap_used(&self, caps: &[(CapId, OfferId, Window)]) -> Result<Vec<i64>, LedgerError> {
        let sql = "-- cap_used\n\
            SELECT used FROM cap_counters WHERE offer_id = ?1 AND cap_id = ?2 AND window_from = ?3";
        let keys: Vec<_> =
            caps.iter().map(|(cap, offer, window)| values![*offer, *cap, window.from]).collect();
        let used = |found: Vec<Record>| match found.first() {
            Some(record) => record.of("cap_counters").get("used"),
            None => Ok(0),
        };
        self.database.read(|session| session.query_all(sql, &keys)?.into_iter().map(used).collect())
    }
}

pub(super) fn find_event(session: &mut dyn Session, id: EventId) -> Result<Option<Event>, LedgerError> {
    one(session, "-- find_event\nSELECT * FROM events WHERE event_id = ?1", values![id], event)
}

/// Whether one of these events does not exist, or is another advertiser's than the offer's. The default
/// event is every offer's.
pub(super) fn events_problem(
    session: &mut dyn Session,
    offer_id: OfferId,
    events: &[EventId],
) -> Result<Option<Rejected>, LedgerError> {
    let Some(offer) = find_offer(session, offer_id)? else {
        return Ok(Some(Rejected::NotFound(EntityKind::Offer)));
    };
    for id in events.iter().filter(|id| **id != DEFAULT_EVENT) {
        match find_event(session, *id)? {
            None => return Ok(Some(Rejected::NotFound(EntityKind::Event))),
            Some(event) if event.advertiser_id != offer.advertiser_id => {
                return Ok(Some(Rejected::EventOfOtherAdvertiser));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

/// Whether the name is the default event's, or another one's of the advertiser. Letters are compared here:
/// databases know the case of different ones.
fn name_problem(session: &mut dyn Session, named: &Event) -> Result<Option<Rejected>, LedgerError> {
    if event::is_default(&named.name) {
        return Ok(Some(Rejected::EventExists(DEFAULT_EVENT)));
    }
    let name = named.name.to_lowercase();
    let others = events_of(session, named.advertiser_id)?;
    let same = others.into_iter().find(|it| it.id != named.id && it.name.to_lowercase() == name);
    Ok(same.map(|it| Rejected::EventExists(it.id)))
}

fn events_of(session: &mut dyn Session, id: AdvertiserId) -> Result<Vec<Event>, LedgerError> {
    let sql = "-- events_of\nSELECT * FROM events WHERE advertiser_id = ?1 ORDER BY event_id";
    all(session, sql, values![id], event)
}

fn price_rule_problem(session: &mut dyn Session, rule: &PriceRule) -> Result<Option<Rejected>, LedgerError> {
    if rule.conditions.is_empty() {
        return Ok(Some(Rejected::NoConditions(EntityKind::PriceRule)));
    }
    if rule.payout.is_none() && rule.revenue.is_none() {
        return Ok(Some(Rejected::NoPrice));
    }
    let named = rule.conditions.iter().filter_map(|it| match it {
        PriceCondition::Event(events) => Some(events.as_slice()),
        _ => None,
    });
    if let Some(rejected) = events_problem(session, rule.offer_id, &named.collect::<Vec<_>>().concat())? {
        return Ok(Some(rejected));
    }
    if rule.status == RuleStatus::Deleted {
        return Ok(None);
    }
    let which = (rule.offer_id, rule.id.0);
    count_problem(session, EntityKind::PriceRule, PRESENT_PRICE_RULES, which, PRICE_RULES_MAX)
}

fn insert_event(session: &mut dyn Session, event: &Event) -> Result<EventId, LedgerError> {
    let sql = "-- insert_event\n\
        INSERT INTO events (advertiser_id, name, event_type, status, payout_type, payout, revenue_type, revenue, \
        one_per_click, allow_duplicates, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
        RETURNING event_id";
    let values = values![
        event.advertiser_id,
        &event.name,
        event.event_type.name(),
        event.status.name(),
        event.payout.price_type.name(),
        event.payout.number,
        event.revenue.price_type.name(),
        event.revenue.number,
        event.one_per_click,
        event.allow_duplicates,
        event.created,
    ];
    single(session, sql, values)
}

/// Writes everything about an event that can change.
fn store_event(session: &mut dyn Session, event: &Event) -> Result<(), LedgerError> {
    let sql = "-- store_event\n\
        UPDATE events SET name = ?2, event_type = ?3, status = ?4, payout_type = ?5, payout = ?6, \
        revenue_type = ?7, revenue = ?8, one_per_click = ?9, allow_duplicates = ?10 WHERE event_id = ?1";
    let values = values![
        event.id,
        &event.name,
        event.event_type.name(),
        event.status.name(),
        event.payout.price_type.name(),
        event.payout.number,
        event.revenue.price_type.name(),
        event.revenue.number,
        event.one_per_click,
        event.allow_duplicates,
    ];
    session.execute(sql, values).map(drop)
}

fn store_offer_event(session: &mut dyn Session, it: &OfferEvent) -> Result<(), LedgerError> {
    let sql = "-- store_offer_event\n\
        INSERT INTO offer_events (offer_id, event_id, campaign_id, is_enabled, payout_type, payout, \
        revenue_type, revenue) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
        ON CONFLICT (offer_id, event_id, campaign_id) DO UPDATE SET is_enabled = excluded.is_enabled, \
        payout_type = excluded.payout_type, payout = excluded.payout, \
        revenue_type = excluded.revenue_type, revenue = excluded.revenue";
    let values = values![
        it.offer_id,
        it.event_id,
        it.campaign_id.map_or(NO_CAMPAIGN, |id| id.0),
        it.is_enabled,
        it.payout.map(|rate| rate.price_type.name()),
        it.payout.map(|rate| rate.number),
        it.revenue.map(|rate| rate.price_type.name()),
        it.revenue.map(|rate| rate.number),
    ];
    session.execute(sql, values).map(drop)
}

fn store_tier_price(session: &mut dyn Session, price: &TierPrice) -> Result<(), LedgerError> {
    if price.payout.is_none() && price.revenue.is_none() {
        let sql = "-- store_tier_price\nDELETE FROM tier_prices WHERE offer_id = ?1 AND tier = ?2";
        return session.execute(sql, values![price.offer_id, &price.tier]).map(drop);
    }
    let sql = "-- store_tier_price\n\
        INSERT INTO tier_prices (offer_id, tier, payout, revenue) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT (offer_id, tier) DO UPDATE SET payout = excluded.payout, revenue = excluded.revenue";
    session.execute(sql, values![price.offer_id, &price.tier, price.payout, price.revenue]).map(drop)
}

fn add_version(session: &mut dyn Session, rule: &PriceRule, now: Timestamp) -> Result<(), LedgerError> {
    let sql = "-- add_version\n\
        INSERT INTO price_rule_versions (price_rule_id, version, offer_id, campaign_id, position, status, \
        conditions, payout_type, payout, revenue_type, revenue, changed) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let line = |it: &PriceCondition| format!("{}={}", it.target(), it.values());
    let values = values![
        rule.id,
        rule.version,
        rule.offer_id,
        rule.campaign_id,
        rule.position,
        rule.status.name(),
        rule.conditions.iter().map(line).collect::<Vec<_>>().join("\n"),
        rule.payout.map(|rate| rate.price_type.name()),
        rule.payout.map(|rate| rate.number),
        rule.revenue.map(|rate| rate.price_type.name()),
        rule.revenue.map(|rate| rate.number),
        now,
    ];
    session.execute(sql, values).map(drop)
}

/// A side of a price that always says something, as its two columns.
pub(super) fn rate(
    row: &Row<'_>,
    type_column: &'static str,
    number_column: &'static str,
) -> Result<Rate, LedgerError> {
    Ok(Rate { price_type: row.parse(type_column, PriceType::from_name)?, number: row.get(number_column)? })
}

/// A side of a price that need not say anything, as its two columns.
fn optional_rate(
    row: &Row<'_>,
    type_column: &'static str,
    number_column: &'static str,
) -> Result<Option<Rate>, LedgerError> {
    let price_type = row.parse_optional(type_column, PriceType::from_name)?;
    let number = row.get(number_column)?;
    Ok(price_type.zip(number).map(|(price_type, number)| Rate { price_type, number }))
}

pub(super) fn event(record: &Record) -> Result<Event, LedgerError> {
    let row = record.of("events");
    Ok(Event {
        id: row.get("event_id")?,
        advertiser_id: row.get("advertiser_id")?,
        name: row.get("name")?,
        event_type: row.parse("event_type", |text| text.parse().ok())?,
        status: row.parse("status", |text| text.parse().ok())?,
        payout: rate(&row, "payout_type", "payout")?,
        revenue: rate(&row, "revenue_type", "revenue")?,
        one_per_click: row.get("one_per_click")?,
        allow_duplicates: row.get("allow_duplicates")?,
        created: row.get("created")?,
    })
}

pub(super) fn offer_event(record: &Record) -> Result<OfferEvent, LedgerError> {
    let row = record.of("offer_events");
    Ok(OfferEvent {
        offer_id: row.get("offer_id")?,
        event_id: row.get("event_id")?,
        campaign_id: Some(row.get("campaign_id")?).filter(|id: &CampaignId| id.0 != NO_CAMPAIGN),
        is_enabled: row.get("is_enabled")?,
        payout: optional_rate(&row, "payout_type", "payout")?,
        revenue: optional_rate(&row, "revenue_type", "revenue")?,
    })
}

pub(super) fn price_rule(record: &Record) -> Result<PriceRule, LedgerError> {
    let row = record.of("price_rule_versions");
    Ok(PriceRule {
        id: row.get("price_rule_id")?,
        version: row.get("version")?,
        offer_id: row.get("offer_id")?,
        campaign_id: row.get("campaign_id")?,
        position: row.get("position")?,
        status: row.parse("status", |text| text.parse().ok())?,
        conditions: row.parse("conditions", |text| text.lines().map(condition).collect())?,
        payout: optional_rate(&row, "payout_type", "payout")?,
        revenue: optional_rate(&row, "revenue_type", "revenue")?,
    })
}

fn condition(line: &str) -> Option<PriceCondition> {
    let (target, values) = line.split_once('=')?;
    PriceCondition::parse(target, values).ok()
}

pub(super) fn tier_price(record: &Record) -> Result<TierPrice, LedgerError> {
    let row = record.of("tier_prices");
    Ok(TierPrice {
        offer_id: row.get("offer_id")?,
        tier: row.get("tier")?,
        payout: row.get("payout")?,
        revenue: row.get("revenue")?,
    })
}

pub(super) fn dated_rate(record: &Record) -> Result<DatedRate, LedgerError> {
    let row = record.of("exchange_rates");
    Ok(DatedRate {
        currency: row.parse("currency", |text| text.parse().ok())?,
        effective: row.get("effective")?,
        rate: row.get("rate")?,
    })
}
