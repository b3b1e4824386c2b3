//! Creatives, landing pages, rules and caps in SQLite.

use domain::caps::{CAPS_MAX, Cap, CapStatus};
use domain::ids::{CampaignId, CapId, CreativeId, EventId, LandingPageId, OfferId, RuleId};
use domain::network::{Creative, LANDING_PAGES_MAX, LandingPage, MediaStatus, Redirect};
use domain::network_change::{
    CapChange, CreateCap, CreateCreative, CreateLandingPage, CreateRule, CreativeChange, EntityKind,
    LandingPageChange, Rejected, RuleChange,
};
use domain::targeting::{Condition, RULES_MAX, Rule, RuleStatus};
use domain::tokens::UrlTemplate;
use jiff::Timestamp;
use rusqlite::{Transaction, params};

use super::network::{NOT_YET, campaign, last_id, offer, one};
use super::row::Row;
use super::{SqliteLedger, backend};
use crate::LedgerError;
use crate::network::Changed;
use crate::traffic::TrafficBook;

/// Rules as they are now.
pub(super) const PRESENT_RULES: &str = "rules JOIN rule_versions USING (rule_id, offer_id, version)";

impl TrafficBook for SqliteLedger {
    fn create_creative(&self, create: CreateCreative, now: Timestamp) -> Changed<Creative> {
        self.change(|tx| {
            let CreateCreative { offer_id, name, status, url } = create;
            let mut creative =
                Creative { id: CreativeId(NOT_YET), offer_id, name, status, url, created: now };
            if let Some(rejected) = offer_problem(tx, offer_id)? {
                return Ok(Err(rejected));
            }
            creative.id = CreativeId(save_creative(tx, &creative)?);
            Ok(Ok(creative))
        })
    }

    fn update_creative(&self, id: CreativeId, change: CreativeChange) -> Changed<Creative> {
        self.change(|tx| {
            let sql = "SELECT * FROM creatives WHERE creative_id = ?1";
            let Some(mut found) = one(tx, sql, id.0, creative)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Creative)));
            };
            change.apply(&mut found);
            if found.status != MediaStatus::Active && is_default(tx, &found)? {
                return Ok(Err(Rejected::DefaultCreative));
            }
            save_creative(tx, &found)?;
            Ok(Ok(found))
        })
    }

    fn create_landing_page(&self, create: CreateLandingPage, now: Timestamp) -> Changed<LandingPage> {
        self.change(|tx| {
            let mut page = LandingPage {
                id: LandingPageId(NOT_YET),
                offer_id: create.offer_id,
                name: create.name,
                url: create.url,
                weight: create.weight,
                status: create.status,
                created: now,
            };
            if let Some(rejected) = offer_problem(tx, page.offer_id)? {
                return Ok(Err(rejected));
            }
            if let Some(rejected) = landing_page_problem(tx, &page)? {
                return Ok(Err(rejected));
            }
            page.id = LandingPageId(save_landing_page(tx, &page)?);
            Ok(Ok(page))
        })
    }

    fn update_landing_page(&self, id: LandingPageId, change: LandingPageChange) -> Changed<LandingPage> {
        self.change(|tx| {
            let sql = "SELECT * FROM landing_pages WHERE landing_page_id = ?1";
            let Some(mut found) = one(tx, sql, id.0, landing_page)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::LandingPage)));
            };
            change.apply(&mut found);
            if let Some(rejected) = landing_page_problem(tx, &found)? {
                return Ok(Err(rejected));
            }
            save_landing_page(tx, &found)?;
            Ok(Ok(found))
        })
    }

    fn create_rule(&self, create: CreateRule, now: Timestamp) -> Changed<Rule> {
        self.change(|tx| {
            let offer_id = match offer_meant(tx, create.offer_id, create.campaign_id)? {
                Ok(offer_id) => offer_id,
                Err(rejected) => return Ok(Err(rejected)),
            };
            let position = match create.position {
                Some(position) => position,
                None => next_position(tx, offer_id)?,
            };
            let mut rule = Rule {
                id: RuleId(NOT_YET),
                version: 1,
                offer_id,
                campaign_id: create.campaign_id,
                position,
                rule_type: create.rule_type,
                status: create.status,
                conditions: create.conditions,
                redirect: create.redirect,
            };
            if let Some(rejected) = rule_problem(tx, &rule)? {
                return Ok(Err(rejected));
            }
            let sql = "-- create_rule\nINSERT INTO rules (offer_id, version) VALUES (?1, 1)";
            tx.execute(sql, [offer_id.0]).map_err(backend)?;
            rule.id = RuleId(last_id(tx)?);
            add_version(tx, &rule, now)?;
            Ok(Ok(rule))
        })
    }

    fn update_rule(&self, id: RuleId, change: RuleChange, now: Timestamp) -> Changed<Rule> {
        self.change(|tx| {
            let sql = format!("SELECT * FROM {PRESENT_RULES} WHERE rule_id = ?1");
            let Some(mut found) = one(tx, &sql, id.0, rule)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Rule)));
            };
            change.apply(&mut found);
            if let Some(rejected) = rule_problem(tx, &found)? {
                return Ok(Err(rejected));
            }
            let sql = "-- update_rule\nUPDATE rules SET version = ?2 WHERE rule_id = ?1";
            tx.execute(sql, [id.0, found.version]).map_err(backend)?;
            add_version(tx, &found, now)?;
            Ok(Ok(found))
        })
    }

    fn find_rule_version(&self, id: RuleId, version: u32) -> Result<Option<Rule>, LedgerError> {
        let reader = self.reader()?;
        let sql = "-- find_rule_version\nSELECT * FROM rule_versions WHERE rule_id = ?1 AND version = ?2";
        let mut statement = reader.prepare_cached(sql).map_err(backend)?;
        let mut rows = statement.query([id.0, version]).map_err(backend)?;
        rows.next().map_err(backend)?.map(rule).transpose()
    }

    fn create_cap(&self, create: CreateCap, now: Timestamp) -> Changed<Cap> {
        self.change(|tx| {
            let offer_id = match offer_meant(tx, create.offer_id, create.campaign_id)? {
                Ok(offer_id) => offer_id,
                Err(rejected) => return Ok(Err(rejected)),
            };
            let mut cap = Cap {
                id: CapId(NOT_YET),
                offer_id,
                campaign_id: create.campaign_id,
                event_id: create.event_id,
                cap_type: create.cap_type,
                interval: create.interval,
                limit: create.limit,
                at_cap: create.at_cap,
                status: CapStatus::Active,
                created: now,
            };
            if let Some(rejected) = cap_problem(tx, &cap)? {
                return Ok(Err(rejected));
            }
            cap.id = CapId(save_cap(tx, &cap)?);
            Ok(Ok(cap))
        })
    }

    fn update_cap(&self, id: CapId, change: CapChange) -> Changed<Cap> {
        self.change(|tx| {
            let Some(mut found) = one(tx, "SELECT * FROM caps WHERE cap_id = ?1", id.0, cap)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Cap)));
            };
            change.apply(&mut found);
            if let Some(rejected) = cap_problem(tx, &found)? {
                return Ok(Err(rejected));
            }
            save_cap(tx, &found)?;
            Ok(Ok(found))
        })
    }
}

/// Whether the offer is missing.
fn offer_problem(tx: &Transaction<'_>, id: OfferId) -> Result<Option<Rejected>, LedgerError> {
    let found = one(tx, "SELECT * FROM offers WHERE offer_id = ?1", id.0, offer)?;
    Ok(found.is_none().then_some(Rejected::NotFound(EntityKind::Offer)))
}

/// Whether a redirect of this offer, or of something on it, leads to no offer or straight back to it.
pub(super) fn redirect_problem(
    tx: &Transaction<'_>,
    offer_id: OfferId,
    redirect: Option<&Redirect>,
) -> Result<Option<Rejected>, LedgerError> {
    let Some(Redirect::Offer(id)) = redirect else { return Ok(None) };
    let missing = offer_problem(tx, *id)?.map(|_| Rejected::RedirectNotFound);
    Ok(missing.or((*id == offer_id).then_some(Rejected::RedirectsToItself)))
}

/// The offer a rule or a cap is for: the one named, else its campaign's; both must fit together.
fn offer_meant(
    tx: &Transaction<'_>,
    offer_id: Option<OfferId>,
    campaign_id: Option<CampaignId>,
) -> Changed<OfferId> {
    if let Some(rejected) = offer_id.map(|id| offer_problem(tx, id)).transpose()?.flatten() {
        return Ok(Err(rejected));
    }
    let Some(id) = campaign_id else {
        return Ok(offer_id.ok_or(Rejected::NotFound(EntityKind::Offer)));
    };
    let Some(found) = one(tx, "SELECT * FROM campaigns WHERE campaign_id = ?1", id.0, campaign)? else {
        return Ok(Err(Rejected::NotFound(EntityKind::Campaign)));
    };
    let fits = offer_id.is_none_or(|id| id == found.offer_id);
    Ok(if fits { Ok(found.offer_id) } else { Err(Rejected::CampaignOfOtherOffer) })
}

/// Whether the offer has, beside this one, as many of a kind that are not deleted as it may have.
fn count_problem(
    tx: &Transaction<'_>,
    kind: EntityKind,
    from: &str,
    (offer_id, id): (OfferId, u32),
    max: usize,
) -> Result<Option<Rejected>, LedgerError> {
    let key = kind.name();
    let sql = format!(
        "-- count_problem\nSELECT count(*) FROM {from} \
         WHERE offer_id = ?1 AND status <> 'deleted' AND {key}_id <> ?2"
    );
    let count: u32 = tx.query_row(&sql, [offer_id.0, id], |row| row.get(0)).map_err(backend)?;
    Ok((count as usize >= max).then_some(Rejected::TooMany(kind)))
}

fn is_default(tx: &Transaction<'_>, creative: &Creative) -> Result<bool, LedgerError> {
    let found = one(tx, "SELECT * FROM offers WHERE offer_id = ?1", creative.offer_id.0, offer)?;
    Ok(found.is_some_and(|offer| offer.creative_id == creative.id))
}

fn landing_page_problem(tx: &Transaction<'_>, page: &LandingPage) -> Result<Option<Rejected>, LedgerError> {
    if page.status == MediaStatus::Deleted {
        return Ok(None);
    }
    let which = (page.offer_id, page.id.0);
    count_problem(tx, EntityKind::LandingPage, "landing_pages", which, LANDING_PAGES_MAX)
}

fn rule_problem(tx: &Transaction<'_>, rule: &Rule) -> Result<Option<Rejected>, LedgerError> {
    if rule.conditions.is_empty() {
        return Ok(Some(Rejected::NoConditions));
    }
    if let Some(rejected) = redirect_problem(tx, rule.offer_id, rule.redirect.as_ref())? {
        return Ok(Some(rejected));
    }
    if rule.status == RuleStatus::Deleted {
        return Ok(None);
    }
    count_problem(tx, EntityKind::Rule, PRESENT_RULES, (rule.offer_id, rule.id.0), RULES_MAX)
}

fn cap_problem(tx: &Transaction<'_>, cap: &Cap) -> Result<Option<Rejected>, LedgerError> {
    if !cap.at_cap.suits(cap.cap_type) {
        return Ok(Some(Rejected::UnsuitableAtCap));
    }
    if cap.cap_type.is_whole() && cap.limit.micros() % 1_000_000 != 0 {
        return Ok(Some(Rejected::UnevenLimit));
    }
    if cap.status == CapStatus::Deleted {
        return Ok(None);
    }
    count_problem(tx, EntityKind::Cap, "caps", (cap.offer_id, cap.id.0), CAPS_MAX)
}

/// The position after all others of the offer, from 1.
fn next_position(tx: &Transaction<'_>, offer_id: OfferId) -> Result<u32, LedgerError> {
    let sql = format!(
        "-- next_position\nSELECT coalesce(max(position), 0) FROM {PRESENT_RULES} \
         WHERE offer_id = ?1 AND status <> 'deleted'"
    );
    let last: u32 = tx.query_row(&sql, [offer_id.0], |row| row.get(0)).map_err(backend)?;
    Ok(last.saturating_add(1))
}

/// Writes a creative that is new, or everything about it that can change; returns its number.
fn save_creative(tx: &Transaction<'_>, creative: &Creative) -> Result<u32, LedgerError> {
    let sql = "-- save_creative\n\
        INSERT INTO creatives (creative_id, offer_id, name, status, url, created) \
        VALUES (nullif(?1, 0), ?2, ?3, ?4, ?5, ?6) \
        ON CONFLICT (creative_id) DO UPDATE SET name = excluded.name, status = excluded.status, \
        url = excluded.url RETURNING creative_id";
    let values = params![
        creative.id.0,
        creative.offer_id.0,
        creative.name,
        creative.status.name(),
        creative.url.as_ref().map(UrlTemplate::as_str),
        creative.created.as_microsecond(),
    ];
    tx.query_row(sql, values, |row| row.get(0)).map_err(backend)
}

/// Writes a landing page that is new, or everything about it that can change; returns its number.
fn save_landing_page(tx: &Transaction<'_>, page: &LandingPage) -> Result<u32, LedgerError> {
    let sql = "-- save_landing_page\n\
        INSERT INTO landing_pages (landing_page_id, offer_id, name, url, weight, status, created) \
        VALUES (nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7) \
        ON CONFLICT (landing_page_id) DO UPDATE SET name = excluded.name, url = excluded.url, \
        weight = excluded.weight, status = excluded.status RETURNING landing_page_id";
    let values = params![
        page.id.0,
        page.offer_id.0,
        page.name,
        page.url.as_str(),
        page.weight,
        page.status.name(),
        page.created.as_microsecond(),
    ];
    tx.query_row(sql, values, |row| row.get(0)).map_err(backend)
}

fn add_version(tx: &Transaction<'_>, rule: &Rule, now: Timestamp) -> Result<(), LedgerError> {
    let sql = "-- add_version\n\
        INSERT INTO rule_versions (rule_id, version, offer_id, campaign_id, position, rule_type, status, \
        conditions, redirect_url, redirect_offer_id, changed) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let line = |it: &Condition| format!("{}={}", it.target(), it.values());
    let (redirect_url, redirect_offer_id) = redirect_columns(rule.redirect.as_ref());
    let values = params![
        rule.id.0,
        rule.version,
        rule.offer_id.0,
        rule.campaign_id.map(|it| it.0),
        rule.position,
        rule.rule_type.name(),
        rule.status.name(),
        rule.conditions.iter().map(line).collect::<Vec<_>>().join("\n"),
        redirect_url,
        redirect_offer_id,
        now.as_microsecond(),
    ];
    tx.execute(sql, values).map_err(backend).map(drop)
}

/// Writes a cap that is new, or everything about it that can change; returns its number.
fn save_cap(tx: &Transaction<'_>, cap: &Cap) -> Result<u32, LedgerError> {
    let sql = "-- save_cap\n\
        INSERT INTO caps (cap_id, offer_id, campaign_id, event_id, cap_type, interval, limit_micros, \
        at_cap, status, created) \
        VALUES (nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
        ON CONFLICT (cap_id) DO UPDATE SET interval = excluded.interval, \
        limit_micros = excluded.limit_micros, at_cap = excluded.at_cap, status = excluded.status \
        RETURNING cap_id";
    let values = params![
        cap.id.0,
        cap.offer_id.0,
        cap.campaign_id.map(|it| it.0),
        cap.event_id.map(|it| it.0),
        cap.cap_type.name(),
        cap.interval.name(),
        cap.limit.micros(),
        cap.at_cap.name(),
        cap.status.name(),
        cap.created.as_microsecond(),
    ];
    tx.query_row(sql, values, |row| row.get(0)).map_err(backend)
}

/// A redirect as its two columns, `redirect_url` and `redirect_offer_id`.
pub(super) fn redirect_columns(redirect: Option<&Redirect>) -> (Option<&str>, Option<u32>) {
    match redirect {
        None => (None, None),
        Some(Redirect::Url(url)) => (Some(url.as_str()), None),
        Some(Redirect::Offer(id)) => (None, Some(id.0)),
    }
}

pub(super) fn redirect(row: &Row<'_, '_>) -> Result<Option<Redirect>, LedgerError> {
    if let Some(id) = row.get("redirect_offer_id")? {
        return Ok(Some(Redirect::Offer(OfferId(id))));
    }
    let url = row.parse_optional("redirect_url", |text| UrlTemplate::parse(text).ok())?;
    Ok(url.map(Redirect::Url))
}

pub(super) fn creative(row: &rusqlite::Row<'_>) -> Result<Creative, LedgerError> {
    let row = Row::new("creatives", row);
    Ok(Creative {
        id: CreativeId(row.get("creative_id")?),
        offer_id: OfferId(row.get("offer_id")?),
        name: row.get("name")?,
        status: row.parse("status", |text| text.parse().ok())?,
        url: row.parse_optional("url", |text| UrlTemplate::parse(text).ok())?,
        created: row.time("created")?,
    })
}

pub(super) fn landing_page(row: &rusqlite::Row<'_>) -> Result<LandingPage, LedgerError> {
    let row = Row::new("landing_pages", row);
    Ok(LandingPage {
        id: LandingPageId(row.get("landing_page_id")?),
        offer_id: OfferId(row.get("offer_id")?),
        name: row.get("name")?,
        url: row.parse("url", |text| UrlTemplate::parse(text).ok())?,
        weight: row.get("weight")?,
        status: row.parse("status", |text| text.parse().ok())?,
        created: row.time("created")?,
    })
}

pub(super) fn rule(row: &rusqlite::Row<'_>) -> Result<Rule, LedgerError> {
    let row = Row::new("rule_versions", row);
    Ok(Rule {
        id: RuleId(row.get("rule_id")?),
        version: row.get("version")?,
        offer_id: OfferId(row.get("offer_id")?),
        campaign_id: row.get::<Option<u32>>("campaign_id")?.map(CampaignId),
        position: row.get("position")?,
        rule_type: row.parse("rule_type", |text| text.parse().ok())?,
        status: row.parse("status", |text| text.parse().ok())?,
        conditions: row.parse("conditions", |text| text.lines().map(condition).collect())?,
        redirect: redirect(&row)?,
    })
}

fn condition(line: &str) -> Option<Condition> {
    let (target, values) = line.split_once('=')?;
    Condition::parse(target, values).ok()
}

pub(super) fn cap(row: &rusqlite::Row<'_>) -> Result<Cap, LedgerError> {
    let row = Row::new("caps", row);
    Ok(Cap {
        id: CapId(row.get("cap_id")?),
        offer_id: OfferId(row.get("offer_id")?),
        campaign_id: row.get::<Option<u32>>("campaign_id")?.map(CampaignId),
        event_id: row.get::<Option<u32>>("event_id")?.map(EventId),
        cap_type: row.parse("cap_type", |text| text.parse().ok())?,
        interval: row.parse("interval", |text| text.parse().ok())?,
        limit: row.amount("limit_micros")?,
        at_cap: row.parse("at_cap", |text| text.parse().ok())?,
        status: row.parse("status", |text| text.parse().ok())?,
        created: row.time("created")?,
    })
}
