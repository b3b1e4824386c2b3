//! Postbacks and webhooks in the ledger.

use domain::body_template::BodyTemplate;
use domain::ids::PostbackId;
use domain::network::DEFAULT_EVENT;
use domain::network_change::{CreatePostback, EntityKind, PostbackChange, Rejected};
use domain::postback::{
    Owner, POSTBACKS_MAX, Postback, PostbackConditions, PostbackMethod, Secret, Signing, SuccessRule,
};
use domain::status::ConversionStatus;
use domain::tokens::UrlTemplate;
use jiff::Timestamp;

use super::Book;
use super::network::{NOT_YET, find_advertiser, find_affiliate, find_campaign, find_offer};
use super::pricing::{events_problem, find_event};
use super::traffic::offer_meant;
use crate::LedgerError;
use crate::database::{Database, Record, Row, Session, Value, one, single, values};
use crate::network::Changed;
use crate::postbacks::PostbackBook;

impl<D: Database> PostbackBook for Book<D> {
    fn create_postback(&self, create: CreatePostback, now: Timestamp) -> Changed<Postback> {
        self.change(|session| {
            let mut postback = create.clone().into_postback(PostbackId(NOT_YET), now);
            if let Some(rejected) = problem(session, &mut postback)? {
                return Ok(Err(rejected));
            }
            postback.id = insert(session, &postback)?;
            Ok(Ok(postback))
        })
    }

    fn find_postback(&self, id: PostbackId) -> Result<Option<Postback>, LedgerError> {
        self.database.read(|session| find(session, id))
    }

    fn update_postback(&self, id: PostbackId, change: PostbackChange) -> Changed<Postback> {
        self.change(|session| {
            let is_meant = |it: &Postback| change.kind.is_none_or(|kind| kind == it.kind());
            let Some(mut found) = find(session, id)?.filter(is_meant) else {
                return Ok(Err(Rejected::NotFound(change.kind.unwrap_or(EntityKind::Postback))));
            };
            change.clone().apply(&mut found);
            if let Err(why) = found.check() {
                return Ok(Err(Rejected::Unsuitable(why)));
            }
            store(session, &found)?;
            Ok(Ok(found))
        })
    }
}

/// Whether what it names is missing, or does not belong together. A campaign says its offer.
fn problem(session: &mut dyn Session, postback: &mut Postback) -> Result<Option<Rejected>, LedgerError> {
    let is_missing = match postback.owner {
        Owner::Affiliate(id) => find_affiliate(session, id)?.is_none().then_some(EntityKind::Affiliate),
        Owner::Advertiser(id) => find_advertiser(session, id)?.is_none().then_some(EntityKind::Advertiser),
        Owner::Network => None,
    };
    if let Some(kind) = is_missing {
        return Ok(Some(Rejected::NotFound(kind)));
    }
    if let Some(id) = postback.campaign_id {
        postback.offer_id = match offer_meant(session, postback.offer_id, Some(id))? {
            Ok(offer_id) => Some(offer_id),
            Err(rejected) => return Ok(Some(rejected)),
        };
        let campaign = find_campaign(session, id)?;
        if let Owner::Affiliate(own) = postback.owner
            && campaign.is_none_or(|it| it.affiliate_id != own)
        {
            return Ok(Some(Rejected::CampaignOfOtherAffiliate));
        }
    }
    if let (None, Some(id)) = (postback.offer_id, postback.event_id.filter(|id| *id != DEFAULT_EVENT)) {
        let Some(event) = find_event(session, id)? else {
            return Ok(Some(Rejected::NotFound(EntityKind::Event)));
        };
        if let Owner::Advertiser(own) = postback.owner
            && event.advertiser_id != own
        {
            return Ok(Some(Rejected::EventOfOtherAdvertiser));
        }
    }
    if let Some(id) = postback.offer_id {
        let Some(offer) = find_offer(session, id)? else {
            return Ok(Some(Rejected::NotFound(EntityKind::Offer)));
        };
        if let Owner::Advertiser(own) = postback.owner
            && offer.advertiser_id != own
        {
            return Ok(Some(Rejected::OfferOfOtherAdvertiser));
        }
        if let Some(rejected) = events_problem(session, id, postback.event_id.as_slice())? {
            return Ok(Some(rejected));
        }
    }
    if let Err(why) = postback.check() {
        return Ok(Some(Rejected::Unsuitable(why)));
    }
    let (affiliate_id, advertiser_id) = owner_columns(postback.owner);
    let sql = "-- count_postbacks\nSELECT count(*) FROM postbacks \
        WHERE coalesce(affiliate_id, 0) = ?1 AND coalesce(advertiser_id, 0) = ?2";
    let count: u64 = single(session, sql, values![affiliate_id.unwrap_or(0), advertiser_id.unwrap_or(0)])?;
    Ok((count >= POSTBACKS_MAX as u64).then_some(Rejected::TooMany(postback.kind())))
}

fn find(session: &mut dyn Session, id: PostbackId) -> Result<Option<Postback>, LedgerError> {
    let sql = "-- find_postback\nSELECT * FROM postbacks WHERE postback_id = ?1";
    one(session, sql, values![id], postback)
}

fn owner_columns(owner: Owner) -> (Option<u32>, Option<u32>) {
    match owner {
        Owner::Affiliate(id) => (Some(id.0), None),
        Owner::Advertiser(id) => (None, Some(id.0)),
        Owner::Network => (None, None),
    }
}

fn insert(session: &mut dyn Session, it: &Postback) -> Result<PostbackId, LedgerError> {
    let sql = "-- insert_postback\n\
        INSERT INTO postbacks (postback_type, method, url, body, status, fire_on, statuses, min_payout, \
        share_percent, delay_seconds, success_codes, success_text, calls_per_second, secret, old_secret, \
        old_secret_until, affiliate_id, advertiser_id, offer_id, campaign_id, event_id, created) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, \
        ?21, ?22) RETURNING postback_id";
    let (affiliate_id, advertiser_id) = owner_columns(it.owner);
    let mut values = terms(it);
    values.extend(values![affiliate_id, advertiser_id, it.offer_id, it.campaign_id, it.event_id, it.created]);
    single(session, sql, values)
}

fn store(session: &mut dyn Session, it: &Postback) -> Result<(), LedgerError> {
    let sql = "-- store_postback\n\
        UPDATE postbacks SET postback_type = ?1, method = ?2, url = ?3, body = ?4, status = ?5, fire_on = ?6, \
        statuses = ?7, min_payout = ?8, share_percent = ?9, delay_seconds = ?10, success_codes = ?11, \
        success_text = ?12, calls_per_second = ?13, secret = ?14, old_secret = ?15, old_secret_until = ?16 \
        WHERE postback_id = ?17";
    let mut values = terms(it);
    values.extend(values![it.id]);
    session.execute(sql, values).map(drop)
}

/// What may be changed, in the order of the statements.
fn terms(it: &Postback) -> Vec<Value<'_>> {
    let statuses: Vec<_> = it.conditions.statuses.iter().map(|status| status.name()).collect();
    let old = it.signing.old.as_ref();
    values![
        it.postback_type.name(),
        it.method.name(),
        it.url.as_str(),
        it.body.as_ref().map(BodyTemplate::as_str),
        it.status.name(),
        it.fire_on.name(),
        statuses.join(","),
        it.conditions.min_payout,
        it.conditions.share_percent,
        it.delay_seconds,
        it.success.codes_text(),
        it.success.text.as_deref(),
        it.calls_per_second,
        it.signing.secret.as_ref().map(|secret| secret.0.as_str()),
        old.map(|(secret, _)| secret.0.as_str()),
        old.map(|(_, until)| *until),
    ]
}

pub(super) fn postback(record: &Record) -> Result<Postback, LedgerError> {
    let row = record.of("postbacks");
    let method: PostbackMethod = row.parse("method", |text| text.parse().ok())?;
    let body = |text: &str| method.body_type().and_then(|it| BodyTemplate::parse(text, it).ok());
    let secret = |column| -> Result<Option<Secret>, LedgerError> {
        Ok(row.get::<Option<String>>(column)?.map(Secret))
    };
    let until: Option<Timestamp> = row.get("old_secret_until")?;
    Ok(Postback {
        id: row.get("postback_id")?,
        owner: owner(row)?,
        offer_id: row.get("offer_id")?,
        campaign_id: row.get("campaign_id")?,
        event_id: row.get("event_id")?,
        postback_type: row.parse("postback_type", |text| text.parse().ok())?,
        method,
        url: row.parse("url", |text| UrlTemplate::parse_called(text).ok())?,
        body: row.parse_optional("body", body)?,
        status: row.parse("status", |text| text.parse().ok())?,
        fire_on: row.parse("fire_on", |text| text.parse().ok())?,
        conditions: PostbackConditions {
            statuses: row.parse("statuses", read_statuses)?,
            min_payout: row.get("min_payout")?,
            share_percent: row.get("share_percent")?,
        },
        delay_seconds: row.get("delay_seconds")?,
        success: SuccessRule {
            codes: row.parse("success_codes", |text| SuccessRule::parse_codes(text).ok())?,
            text: row.get("success_text")?,
        },
        calls_per_second: row.get("calls_per_second")?,
        signing: Signing { secret: secret("secret")?, old: secret("old_secret")?.zip(until) },
        created: row.get("created")?,
    })
}

fn owner(row: Row<'_>) -> Result<Owner, LedgerError> {
    match (row.get("affiliate_id")?, row.get("advertiser_id")?) {
        (Some(id), None) => Ok(Owner::Affiliate(id)),
        (None, Some(id)) => Ok(Owner::Advertiser(id)),
        (None, None) => Ok(Owner::Network),
        (Some(_), Some(_)) => Err(row.corrupt("advertiser_id")),
    }
}

fn read_statuses(text: &str) -> Option<Vec<ConversionStatus>> {
    text.split(',').filter(|it| !it.is_empty()).map(|it| it.parse().ok()).collect()
}
