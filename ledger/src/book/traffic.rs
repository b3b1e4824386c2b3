//! Creatives, landing pages, rules and caps in the ledger.

use domain::caps::{CAPS_MAX, Cap, CapStatus};
use domain::ids::{CampaignId, CapId, CreativeId, LandingPageId, OfferId, RuleId};
use domain::network::{Creative, LANDING_PAGES_MAX, LandingPage, MediaStatus, Redirect};
use domain::network_change::{
    CapChange, CreateCap, CreateCreative, CreateLandingPage, CreateRule, CreativeChange, EntityKind,
    LandingPageChange, Rejected, RuleChange,
};
use domain::targeting::{Condition, RULES_MAX, Rule, RuleStatus};
use domain::tokens::UrlTemplate;
use jiff::Timestamp;

use super::Book;
use super::network::{NOT_YET, find_campaign, find_offer};
use super::pricing::events_problem;
use crate::LedgerError;
use crate::database::{Database, Record, Row, Session, one, single, values};
use crate::network::Changed;
use crate::traffic::TrafficBook;

/// Rules as they are now.
pub(super) const PRESENT_RULES: &str = "rules JOIN rule_versions USING (rule_id, offer_id, version)";

impl<D: Database> TrafficBook for Book<D> {
    fn create_creative(&self, create: CreateCreative, now: Timestamp) -> Changed<Creative> {
        self.change(|session| {
            let CreateCreative { offer_id, name, status, url } = create.clone();
            let mut creative =
                Creative { id: CreativeId(NOT_YET), offer_id, name, status, url, created: now };
            if let Some(rejected) = offer_problem(session, offer_id)? {
                return Ok(Err(rejected));
            }
            creative.id = insert_creative(session, &creative)?;
            Ok(Ok(creative))
        })
    }

    fn update_creative(&self, id: CreativeId, change: CreativeChange) -> Changed<Creative> {
        self.change(|session| {
            let Some(mut found) = find_creative(session, id)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Creative)));
            };
            change.clone().apply(&mut found);
            if found.status != MediaStatus::Active && is_default(session, &found)? {
                return Ok(Err(Rejected::DefaultCreative));
            }
            store_creative(session, &found)?;
            Ok(Ok(found))
        })
    }

    fn create_landing_page(&self, create: CreateLandingPage, now: Timestamp) -> Changed<LandingPage> {
        self.change(|session| {
            let create = create.clone();
            let mut page = LandingPage {
                id: LandingPageId(NOT_YET),
                offer_id: create.offer_id,
                name: create.name,
                url: create.url,
                weight: create.weight,
                status: create.status,
                created: now,
            };
            if let Some(rejected) = offer_problem(session, page.offer_id)? {
                return Ok(Err(rejected));
            }
            if let Some(rejected) = landing_page_problem(session, &page)? {
                return Ok(Err(rejected));
            }
            page.id = insert_landing_page(session, &page)?;
            Ok(Ok(page))
        })
    }

    fn update_landing_page(&self, id: LandingPageId, change: LandingPageChange) -> Changed<LandingPage> {
        self.change(|session| {
            let Some(mut found) = find_landing_page(session, id)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::LandingPage)));
            };
            change.clone().apply(&mut found);
            if let Some(rejected) = landing_page_problem(session, &found)? {
                return Ok(Err(rejected));
            }
            store_landing_page(session, &found)?;
            Ok(Ok(found))
        })
    }

    fn create_rule(&self, create: CreateRule, now: Timestamp) -> Changed<Rule> {
        self.change(|session| {
            let create = create.clone();
            let offer_id = match offer_meant(session, create.offer_id, create.campaign_id)? {
                Ok(offer_id) => offer_id,
                Err(rejected) => return Ok(Err(rejected)),
            };
            let position = match create.position {
                Some(position) => position,
                None => next_position(session, PRESENT_RULES, offer_id)?,
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
            if let Some(rejected) = rule_problem(session, &rule)? {
                return Ok(Err(rejected));
            }
            let sql =
                "-- create_rule\nINSERT INTO rules (offer_id, version) VALUES (?1, 1) RETURNING rule_id";
            rule.id = single(session, sql, values![offer_id])?;
            add_version(session, &rule, now)?;
            Ok(Ok(rule))
        })
    }

    fn update_rule(&self, id: RuleId, change: RuleChange, now: Timestamp) -> Changed<Rule> {
        self.change(|session| {
            let sql = format!("-- update_rule\nSELECT * FROM {PRESENT_RULES} WHERE rule_id = ?1");
            let Some(mut found) = one(session, &sql, values![id], rule)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Rule)));
            };
            change.clone().apply(&mut found);
            if let Some(rejected) = rule_problem(session, &found)? {
                return Ok(Err(rejected));
            }
            let sql = "-- update_rule\nUPDATE rules SET version = ?2 WHERE rule_id = ?1";
            session.execute(sql, values![id, found.version])?;
            add_version(session, &found, now)?;
            Ok(Ok(found))
        })
    }

    fn find_rule_version(&self, id: RuleId, version: u32) -> Result<Option<Rule>, LedgerError> {
        let sql = "-- find_rule_version\nSELECT * FROM rule_versions WHERE rule_id = ?1 AND version = ?2";
        self.database.read(|session| one(session, sql, values![id, version], rule))
    }

    fn create_cap(&self, create: CreateCap, now: Timestamp) -> Changed<Cap> {
        self.change(|session| {
            let create = create.clone();
            let offer_id = match offer_meant(session, create.offer_id, create.campaign_id)? {
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
            if let Some(rejected) = cap_problem(session, &cap)? {
                return Ok(Err(rejected));
            }
            cap.id = insert_cap(session, &cap)?;
            Ok(Ok(cap))
        })
    }

    fn update_cap(&self, id: CapId, change: CapChange) -> Changed<Cap> {
        self.change(|session| {
            let Some(mut found) = find_cap(session, id)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Cap)));
            };
            change.clone().apply(&mut found);
            if let Some(rejected) = cap_problem(session, &found)? {
                return Ok(Err(rejected));
            }
            store_cap(session, &found)?;
            Ok(Ok(found))
        })
    }
}

pub(super) fn find_creative(
    session: &mut dyn Session,
    id: CreativeId,
) -> Result<Option<Creative>, LedgerError> {
    let sql = "-- find_creative\nSELECT * FROM creatives WHERE creative_id = ?1";
    one(session, sql, values![id], creative)
}

fn find_landing_page(
    session: &mut dyn Session,
    id: LandingPageId,
) -> Result<Option<LandingPage>, LedgerError> {
    let sql = "-- find_landing_page\nSELECT * FROM landing_pages WHERE landing_page_id = ?1";
    one(session, sql, values![id], landing_page)
}

fn find_cap(session: &mut dyn Session, id: CapId) -> Result<Option<Cap>, LedgerError> {
    one(session, "-- find_cap\nSELECT * FROM caps WHERE cap_id = ?1", values![id], cap)
}

/// Whether the offer is missing.
pub(super) fn offer_problem(session: &mut dyn Session, id: OfferId) -> Result<Option<Rejected>, LedgerError> {
    let found = find_offer(session, id)?;
    Ok(found.is_none().then_some(Rejected::NotFound(EntityKind::Offer)))
}

/// Whether a redirect of this offer, or of something on it, leads to no offer or straight back to it.
pub(super) fn redirect_problem(
    session: &mut dyn Session,
    offer_id: OfferId,
    redirect: Option<&Redirect>,
) -> Result<Option<Rejected>, LedgerError> {
    let Some(Redirect::Offer(id)) = redirect else { return Ok(None) };
    let missing = offer_problem(session, *id)?.map(|_| Rejected::RedirectNotFound);
    Ok(missing.or((*id == offer_id).then_some(Rejected::RedirectsToItself)))
}

/// The offer a rule or a cap is for: the one named, else its campaign's; both must fit together.
pub(super) fn offer_meant(
    session: &mut dyn Session,
    offer_id: Option<OfferId>,
    campaign_id: Option<CampaignId>,
) -> Changed<OfferId> {
    if let Some(rejected) = offer_id.map(|id| offer_problem(session, id)).transpose()?.flatten() {
        return Ok(Err(rejected));
    }
    let Some(id) = campaign_id else {
        return Ok(offer_id.ok_or(Rejected::NotFound(EntityKind::Offer)));
    };
    let Some(found) = find_campaign(session, id)? else {
        return Ok(Err(Rejected::NotFound(EntityKind::Campaign)));
    };
    let fits = offer_id.is_none_or(|id| id == found.offer_id);
    Ok(if fits { Ok(found.offer_id) } else { Err(Rejected::CampaignOfOtherOffer) })
}

/// Whether the offer has, beside this one, as many of a kind that are not deleted as it may have.
pub(super) fn count_problem(
    session: &mut dyn Session,
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
    let count: u64 = single(session, &sql, values![offer_id, id])?;
    Ok((count >= max as u64).then_some(Rejected::TooMany(kind)))
}

fn is_default(session: &mut dyn Session, creative: &Creative) -> Result<bool, LedgerError> {
    let found = find_offer(session, creative.offer_id)?;
    Ok(found.is_some_and(|offer| offer.creative_id == creative.id))
}

fn landing_page_problem(
    session: &mut dyn Session,
    page: &LandingPage,
) -> Result<Option<Rejected>, LedgerError> {
    if page.status == MediaStatus::Deleted {
        return Ok(None);
    }
    let which = (page.offer_id, page.id.0);
    count_problem(session, EntityKind::LandingPage, "landing_pages", which, LANDING_PAGES_MAX)
}

fn rule_problem(session: &mut dyn Session, rule: &Rule) -> Result<Option<Rejected>, LedgerError> {
    if rule.conditions.is_empty() {
        return Ok(Some(Rejected::NoConditions(EntityKind::Rule)));
    }
    if let Some(rejected) = redirect_problem(session, rule.offer_id, rule.redirect.as_ref())? {
        return Ok(Some(rejected));
    }
    if rule.status == RuleStatus::Deleted {
        return Ok(None);
    }
    count_problem(session, EntityKind::Rule, PRESENT_RULES, (rule.offer_id, rule.id.0), RULES_MAX)
}

fn cap_problem(session: &mut dyn Session, cap: &Cap) -> Result<Option<Rejected>, LedgerError> {
    if !cap.at_cap.suits(cap.cap_type) {
        return Ok(Some(Rejected::UnsuitableAtCap));
    }
    if cap.cap_type.is_whole() && cap.limit.micros() % 1_000_000 != 0 {
        return Ok(Some(Rejected::UnevenLimit));
    }
    if let Some(rejected) = events_problem(session, cap.offer_id, cap.event_id.as_slice())? {
        return Ok(Some(rejected));
    }
    if cap.status == CapStatus::Deleted {
        return Ok(None);
    }
    count_problem(session, EntityKind::Cap, "caps", (cap.offer_id, cap.id.0), CAPS_MAX)
}

/// The position after all others of the offer, from 1.
pub(super) fn next_position(
    session: &mut dyn Session,
    from: &str,
    offer_id: OfferId,
) -> Result<u32, LedgerError> {
    let sql = format!(
        "-- next_position\nSELECT coalesce(max(position), 0) FROM {from} \
         WHERE offer_id = ?1 AND status <> 'deleted'"
    );
    let last: u32 = single(session, &sql, values![offer_id])?;
    Ok(last.saturating_add(1))
}

fn insert_creative(session: &mut dyn Session, creative: &Creative) -> Result<CreativeId, LedgerError> {
    let sql = "-- insert_creative\n\
        INSERT INTO creatives (offer_id, name, status, url, created) VALUES (?1, ?2, ?3, ?4, ?5) \
        RETURNING creative_id";
    let url = creative.url.as_ref().map(UrlTemplate::as_str);
    let values = values![creative.offer_id, &creative.name, creative.status.name(), url, creative.created];
    single(session, sql, values)
}

/// Writes everything about a creative that can change.
fn store_creative(session: &mut dyn Session, creative: &Creative) -> Result<(), LedgerError> {
    let sql = "-- store_creative\n\
        UPDATE creatives SET name = ?2, status = ?3, url = ?4 WHERE creative_id = ?1";
    let url = creative.url.as_ref().map(UrlTemplate::as_str);
    session.execute(sql, values![creative.id, &creative.name, creative.status.name(), url]).map(drop)
}

fn insert_landing_page(session: &mut dyn Session, page: &LandingPage) -> Result<LandingPageId, LedgerError> {
    let sql = "-- insert_landing_page\n\
        INSERT INTO landing_pages (offer_id, name, url, weight, status, created) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING landing_page_id";
    let LandingPage { offer_id, name, url, weight, status, created, .. } = page;
    single(session, sql, values![*offer_id, name, url.as_str(), *weight, status.name(), *created])
}

/// Writes everything about a landing page that can change.
fn store_landing_page(session: &mut dyn Session, page: &LandingPage) -> Result<(), LedgerError> {
    let sql = "-- store_landing_page\n\
        UPDATE landing_pages SET name = ?2, url = ?3, weight = ?4, status = ?5 WHERE landing_page_id = ?1";
    let values = values![page.id, &page.name, page.url.as_str(), page.weight, page.status.name()];
    session.execute(sql, values).map(drop)
}

fn add_version(session: &mut dyn Session, rule: &Rule, now: Timestamp) -> Result<(), LedgerError> {
    let sql = "-- add_version\n\
        INSERT INTO rule_versions (rule_id, version, offer_id, campaign_id, position, rule_type, status, \
        conditions, redirect_url, redirect_offer_id, changed) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let line = |it: &Condition| format!("{}={}", it.target(), it.values());
    let (redirect_url, redirect_offer_id) = redirect_columns(rule.redirect.as_ref());
    let values = values![
        rule.id,
        rule.version,
        rule.offer_id,
        rule.campaign_id,
        rule.position,
        rule.rule_type.name(),
        rule.status.name(),
        rule.conditions.iter().map(line).collect::<Vec<_>>().join("\n"),
        redirect_url,
        redirect_offer_id,
        now,
    ];
    session.execute(sql, values).map(drop)
}

fn insert_cap(session: &mut dyn Session, cap: &Cap) -> Result<CapId, LedgerError> {
    let sql = "-- insert_cap\n\
        INSERT INTO caps (offer_id, campaign_id, event_id, cap_type, interval, limit_micros, at_cap, status, \
        created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING cap_id";
    let values = values![
        cap.offer_id,
        cap.campaign_id,
        cap.event_id,
        cap.cap_type.name(),
        cap.interval.name(),
        cap.limit,
        cap.at_cap.name(),
        cap.status.name(),
        cap.created,
    ];
    single(session, sql, values)
}

/// Writes everything about a cap that can change.
fn store_cap(session: &mut dyn Session, cap: &Cap) -> Result<(), LedgerError> {
    let sql = "-- store_cap\n\
        UPDATE caps SET interval = ?2, limit_micros = ?3, at_cap = ?4, status = ?5 WHERE cap_id = ?1";
    let values = values![cap.id, cap.interval.name(), cap.limit, cap.at_cap.name(), cap.status.name()];
    session.execute(sql, values).map(drop)
}

/// A redirect as its two columns, `redirect_url` and `redirect_offer_id`.
pub(super) fn redirect_columns(redirect: Option<&Redirect>) -> (Option<&str>, Option<u32>) {
    match redirect {
        None => (None, None),
        Some(Redirect::Url(url)) => (Some(url.as_str()), None),
        Some(Redirect::Offer(id)) => (None, Some(id.0)),
    }
}

pub(super) fn redirect(row: &Row<'_>) -> Result<Option<Redirect>, LedgerError> {
    if let Some(id) = row.get("redirect_offer_id")? {
        return Ok(Some(Redirect::Offer(id)));
    }
    let url = row.parse_optional("redirect_url", |text| UrlTemplate::parse(text).ok())?;
    Ok(url.map(Redirect::Url))
}

pub(super) fn creative(record: &Record) -> Result<Creative, LedgerError> {
    let row = record.of("creatives");
    Ok(Creative {
        id: row.get("creative_id")?,
        offer_id: row.get("offer_id")?,
        name: row.get("name")?,
        status: row.parse("status", |text| text.parse().ok())?,
        url: row.parse_optional("url", |text| UrlTemplate::parse(text).ok())?,
        created: row.get("created")?,
    })
}

pub(super) fn landing_page(record: &Record) -> Result<LandingPage, LedgerError> {
    let row = record.of("landing_pages");
    Ok(LandingPage {
        id: row.get("landing_page_id")?,
        offer_id: row.get("offer_id")?,
        name: row.get("name")?,
        url: row.parse("url", |text| UrlTemplate::parse(text).ok())?,
        weight: row.get("weight")?,
        status: row.parse("status", |text| text.parse().ok())?,
        created: row.get("created")?,
    })
}

pub(super) fn rule(record: &Record) -> Result<Rule, LedgerError> {
    let row = record.of("rule_versions");
    Ok(Rule {
        id: row.get("rule_id")?,
        version: row.get("version")?,
        offer_id: row.get("offer_id")?,
        campaign_id: row.get("campaign_id")?,
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

pub(super) fn cap(record: &Record) -> Result<Cap, LedgerError> {
    let row = record.of("caps");
    Ok(Cap {
        id: row.get("cap_id")?,
        offer_id: row.get("offer_id")?,
        campaign_id: row.get("campaign_id")?,
        event_id: row.get("event_id")?,
        cap_type: row.parse("cap_type", |text| text.parse().ok())?,
        interval: row.parse("interval", |text| text.parse().ok())?,
        limit: row.get("limit_micros")?,
        at_cap: row.parse("at_cap", |text| text.parse().ok())?,
        status: row.parse("status", |text| text.parse().ok())?,
        created: row.get("created")?,
    })
}
