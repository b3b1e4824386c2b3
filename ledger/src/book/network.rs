//! The network in the ledger.

use domain::ids::{AdvertiserId, AffiliateId, CampaignId, CreativeId, OfferId};
use domain::network::{Advertiser, Affiliate, Campaign, CampaignStatus, Entities, Offer};
use domain::network_change::{
    AdvertiserChange, AffiliateChange, CampaignChange, CreateAdvertiser, CreateAffiliate, CreateCampaign,
    CreateOffer, EntityKind, OfferChange, Rejected,
};
use domain::time::Zone;
use domain::tokens::UrlTemplate;
use jiff::Timestamp;

use super::postbacks::postback;
use super::pricing::{PRESENT_PRICE_RULES, dated_rate, event, offer_event, price_rule, rate, tier_price};
use super::traffic::{
    PRESENT_RULES, cap, creative, find_creative, landing_page, redirect, redirect_columns, redirect_problem,
    rule,
};
use super::{Book, raise_version, version};
use crate::LedgerError;
use crate::database::{Database, Read, Record, Session, all, one, single, values};
use crate::network::{Changed, NetworkBook};

/// A made-up number for an entity that has none yet.
pub(super) const NOT_YET: u32 = 0;

impl<D: Database> NetworkBook for Book<D> {
    fn load_network(&self) -> Result<Entities, LedgerError> {
        self.database.read(|session| {
            let mut list = Lists(session);
            Ok(Entities {
                version: version(list.0, "network")?,
                advertisers: list.all("advertisers", "advertiser_id", advertiser)?,
                offers: list.all("offers", "offer_id", offer)?,
                affiliates: list.all("affiliates", "affiliate_id", affiliate)?,
                campaigns: list.all("campaigns", "campaign_id", campaign)?,
                creatives: list.all("creatives", "creative_id", creative)?,
                landing_pages: list.all("landing_pages", "landing_page_id", landing_page)?,
                rules: list.all(PRESENT_RULES, "rule_id", rule)?,
                caps: list.all("caps", "cap_id", cap)?,
                events: list.all("events", "event_id", event)?,
                offer_events: list.all("offer_events", "offer_id, event_id, campaign_id", offer_event)?,
                price_rules: list.all(PRESENT_PRICE_RULES, "price_rule_id", price_rule)?,
                tier_prices: list.all("tier_prices", "offer_id, tier", tier_price)?,
                exchange_rates: list.all("exchange_rates", "currency, effective", dated_rate)?,
                postbacks: list.all("postbacks", "postback_id", postback)?,
            })
        })
    }

    fn network_version(&self) -> Result<u64, LedgerError> {
        self.version("network")
    }

    fn create_advertiser(&self, create: CreateAdvertiser, now: Timestamp) -> Changed<Advertiser> {
        self.change(|session| {
            let CreateAdvertiser { name, status } = create.clone();
            let sql = "-- create_advertiser\n\
                INSERT INTO advertisers (name, status, created) VALUES (?1, ?2, ?3) RETURNING advertiser_id";
            let id = single(session, sql, values![&name, status.name(), now])?;
            Ok(Ok(Advertiser { id, name, status, created: now }))
        })
    }

    fn update_advertiser(&self, id: AdvertiserId, change: AdvertiserChange) -> Changed<Advertiser> {
        self.change(|session| {
            let Some(mut found) = find_advertiser(session, id)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Advertiser)));
            };
            change.clone().apply(&mut found);
            let sql = "-- update_advertiser\nUPDATE advertisers SET name = ?2, status = ?3 WHERE advertiser_id = ?1";
            session.execute(sql, values![id, &found.name, found.status.name()])?;
            Ok(Ok(found))
        })
    }

    fn create_affiliate(&self, create: CreateAffiliate, now: Timestamp) -> Changed<Affiliate> {
        self.change(|session| {
            let CreateAffiliate { name, status, tier } = create.clone();
            let sql = "-- create_affiliate\n\
                INSERT INTO affiliates (name, status, tier, created) VALUES (?1, ?2, ?3, ?4) RETURNING affiliate_id";
            let id = single(session, sql, values![&name, status.name(), tier.as_deref(), now])?;
            Ok(Ok(Affiliate { id, name, status, tier, created: now }))
        })
    }

    fn update_affiliate(&self, id: AffiliateId, change: AffiliateChange) -> Changed<Affiliate> {
        self.change(|session| {
            let Some(mut found) = find_affiliate(session, id)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Affiliate)));
            };
            change.clone().apply(&mut found);
            let sql = "-- update_affiliate\n\
                UPDATE affiliates SET name = ?2, status = ?3, tier = ?4 WHERE affiliate_id = ?1";
            session.execute(sql, values![id, &found.name, found.status.name(), found.tier.as_deref()])?;
            Ok(Ok(found))
        })
    }

    fn create_offer(&self, create: CreateOffer, now: Timestamp) -> Changed<Offer> {
        self.change(|session| {
            let create = create.clone();
            if find_advertiser(session, create.advertiser_id)?.is_none() {
                return Ok(Err(Rejected::NotFound(EntityKind::Advertiser)));
            }
            let mut offer = create.into_offer(OfferId(NOT_YET), CreativeId(NOT_YET), now);
            if let Some(rejected) = redirect_problem(session, offer.id, offer.redirect.as_ref())? {
                return Ok(Err(rejected));
            }
            offer.id = insert_offer(session, &offer)?;
            let sql = "-- create_offer\n\
                INSERT INTO creatives (offer_id, name, created) VALUES (?1, 'Default', ?2) RETURNING creative_id";
            offer.creative_id = single(session, sql, values![offer.id, now])?;
            store_offer(session, &offer)?;
            Ok(Ok(offer))
        })
    }

    fn update_offer(&self, id: OfferId, change: OfferChange) -> Changed<Offer> {
        self.change(|session| {
            let Some(mut found) = find_offer(session, id)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Offer)));
            };
            change.clone().apply(&mut found);
            if let Some(rejected) = redirect_problem(session, id, found.redirect.as_ref())? {
                return Ok(Err(rejected));
            }
            store_offer(session, &found)?;
            Ok(Ok(found))
        })
    }

    fn create_campaign(&self, create: CreateCampaign, now: Timestamp) -> Changed<Campaign> {
        self.change(|session| {
            let create = create.clone();
            let Some(offer) = find_offer(session, create.offer_id)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Offer)));
            };
            if find_affiliate(session, create.affiliate_id)?.is_none() {
                return Ok(Err(Rejected::NotFound(EntityKind::Affiliate)));
            }
            let mut campaign = Campaign {
                id: CampaignId(NOT_YET),
                offer_id: create.offer_id,
                affiliate_id: create.affiliate_id,
                status: create.status,
                creative_id: create.creative_id.unwrap_or(offer.creative_id),
                payout: create.payout,
                revenue: create.revenue,
                expires: create.expires,
                redirect: create.redirect,
                created: now,
            };
            if let Some(rejected) = campaign_problem(session, &campaign)? {
                return Ok(Err(rejected));
            }
            campaign.id = insert_campaign(session, &campaign)?;
            Ok(Ok(campaign))
        })
    }

    fn update_campaign(&self, id: CampaignId, change: CampaignChange) -> Changed<Campaign> {
        self.change(|session| {
            let Some(mut found) = find_campaign(session, id)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Campaign)));
            };
            change.clone().apply(&mut found);
            if let Some(rejected) = campaign_problem(session, &found)? {
                return Ok(Err(rejected));
            }
            store_campaign(session, &found)?;
            Ok(Ok(found))
        })
    }
}

impl<D: Database> Book<D> {
    /// Runs a change and raises the network's version, unless the change is rejected.
    pub(super) fn change<T>(&self, mut work: impl FnMut(&mut dyn Session) -> Changed<T>) -> Changed<T> {
        self.database.decide(|session| {
            raise_version(session, "network")?;
            work(session)
        })
    }
}

/// Whole tables, read on one moment.
struct Lists<'s>(&'s mut dyn Session);

impl Lists<'_> {
    fn all<T>(&mut self, table: &str, key: &str, read: Read<T>) -> Result<Vec<T>, LedgerError> {
        all(self.0, &format!("-- load_network\nSELECT * FROM {table} ORDER BY {key}"), values![], read)
    }
}

/// Whether a campaign's creative is its offer's, its redirect leads elsewhere, and it is the only one of
/// its affiliate there.
fn campaign_problem(session: &mut dyn Session, campaign: &Campaign) -> Result<Option<Rejected>, LedgerError> {
    match find_creative(session, campaign.creative_id)? {
        None => return Ok(Some(Rejected::NotFound(EntityKind::Creative))),
        Some(creative) if creative.offer_id != campaign.offer_id => {
            return Ok(Some(Rejected::CreativeOfOtherOffer));
        }
        Some(_) => {}
    }
    if let Some(rejected) = redirect_problem(session, campaign.offer_id, campaign.redirect.as_ref())? {
        return Ok(Some(rejected));
    }
    if campaign.status == CampaignStatus::Deleted {
        return Ok(None);
    }
    let sql = "-- campaign_problem\n\
        SELECT campaign_id FROM campaigns WHERE affiliate_id = ?1 AND offer_id = ?2 \
        AND status <> 'deleted' AND campaign_id <> ?3";
    let values = values![campaign.affiliate_id, campaign.offer_id, campaign.id];
    let other = one(session, sql, values, |record| record.of("campaigns").get("campaign_id"))?;
    Ok(other.map(Rejected::CampaignExists))
}

fn insert_offer(session: &mut dyn Session, offer: &Offer) -> Result<OfferId, LedgerError> {
    let sql = "-- insert_offer\n\
        INSERT INTO offers (name, status, advertiser_id, url, creative_id, payout_type, payout, revenue_type, \
        revenue, currency, session_seconds, approval, one_per_click, allow_duplicates, allow_deep_link, deep_link_hosts, \
        expires, created) \
        VALUES ('', '', ?1, '', 0, '', 0, '', 0, ?2, 0, '', 0, 0, 0, '', NULL, ?3) RETURNING offer_id";
    single(session, sql, values![offer.advertiser_id, offer.currency.as_str(), offer.created])
}

/// Writes everything about an offer that can change.
fn store_offer(session: &mut dyn Session, offer: &Offer) -> Result<(), LedgerError> {
    let sql = "-- store_offer\n\
        UPDATE offers SET name = ?2, status = ?3, url = ?4, creative_id = ?5, \
        payout_type = ?6, payout = ?7, revenue_type = ?8, revenue = ?9, \
        session_seconds = ?10, approval = ?11, one_per_click = ?12, \
        allow_duplicates = ?13, allow_deep_link = ?14, \
        deep_link_hosts = ?15, starts = ?16, expires = ?17, schedule = ?18, \
        zone = ?19, redirect_url = ?20, redirect_offer_id = ?21, \
        thank_you_url = ?22, attribution = ?23, \
        throw_out_seconds = ?24, approval_delay_seconds = ?25, \
        min_conversion_seconds = ?26, max_conversion_seconds = ?27, \
        allow_pixel_payout = ?28 WHERE offer_id = ?1";
    let hosts: Vec<_> = offer.deep_link_hosts.iter().map(ToString::to_string).collect();
    let (redirect_url, redirect_offer_id) = redirect_columns(offer.redirect.as_ref());
    let values = values![
        offer.id,
        &offer.name,
        offer.status.name(),
        offer.url.as_str(),
        offer.creative_id,
        offer.payout.price_type.name(),
        offer.payout.number,
        offer.revenue.price_type.name(),
        offer.revenue.number,
        offer.session_seconds,
        offer.approval.name(),
        offer.one_per_click,
        offer.allow_duplicates,
        offer.allow_deep_link,
        hosts.join(" "),
        offer.starts,
        offer.expires,
        offer.schedule.as_ref().map(ToString::to_string),
        offer.zone.as_ref().map(Zone::name),
        redirect_url,
        redirect_offer_id,
        offer.thank_you_url.as_ref().map(UrlTemplate::as_str),
        offer.attribution.name(),
        offer.throw_out_seconds,
        offer.approval_delay_seconds,
        offer.min_conversion_seconds,
        offer.max_conversion_seconds,
        offer.allow_pixel_payout,
    ];
    session.execute(sql, values).map(drop)
}

fn insert_campaign(session: &mut dyn Session, campaign: &Campaign) -> Result<CampaignId, LedgerError> {
    let sql = "-- insert_campaign\n\
        INSERT INTO campaigns (offer_id, affiliate_id, status, creative_id, payout, revenue, expires, \
        redirect_url, redirect_offer_id, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
        RETURNING campaign_id";
    let (redirect_url, redirect_offer_id) = redirect_columns(campaign.redirect.as_ref());
    let values = values![
        campaign.offer_id,
        campaign.affiliate_id,
        campaign.status.name(),
        campaign.creative_id,
        campaign.payout,
        campaign.revenue,
        campaign.expires,
        redirect_url,
        redirect_offer_id,
        campaign.created,
    ];
    single(session, sql, values)
}

/// Writes everything about a campaign that can change.
fn store_campaign(session: &mut dyn Session, campaign: &Campaign) -> Result<(), LedgerError> {
    let sql = "-- store_campaign\n\
        UPDATE campaigns SET status = ?2, creative_id = ?3, payout = ?4, revenue = ?5, expires = ?6, \
        redirect_url = ?7, redirect_offer_id = ?8 WHERE campaign_id = ?1";
    let (redirect_url, redirect_offer_id) = redirect_columns(campaign.redirect.as_ref());
    let values = values![
        campaign.id,
        campaign.status.name(),
        campaign.creative_id,
        campaign.payout,
        campaign.revenue,
        campaign.expires,
        redirect_url,
        redirect_offer_id,
    ];
    session.execute(sql, values).map(drop)
}

pub(super) fn find_advertiser(
    session: &mut dyn Session,
    id: AdvertiserId,
) -> Result<Option<Advertiser>, LedgerError> {
    let sql = "-- find_advertiser\nSELECT * FROM advertisers WHERE advertiser_id = ?1";
    one(session, sql, values![id], advertiser)
}

pub(super) fn find_affiliate(
    session: &mut dyn Session,
    id: AffiliateId,
) -> Result<Option<Affiliate>, LedgerError> {
    let sql = "-- find_affiliate\nSELECT * FROM affiliates WHERE affiliate_id = ?1";
    one(session, sql, values![id], affiliate)
}

pub(super) fn find_offer(session: &mut dyn Session, id: OfferId) -> Result<Option<Offer>, LedgerError> {
    one(session, "-- find_offer\nSELECT * FROM offers WHERE offer_id = ?1", values![id], offer)
}

pub(super) fn find_campaign(
    session: &mut dyn Session,
    id: CampaignId,
) -> Result<Option<Campaign>, LedgerError> {
    let sql = "-- find_campaign\nSELECT * FROM campaigns WHERE campaign_id = ?1";
    one(session, sql, values![id], campaign)
}

fn advertiser(record: &Record) -> Result<Advertiser, LedgerError> {
    let row = record.of("advertisers");
    Ok(Advertiser {
        id: row.get("advertiser_id")?,
        name: row.get("name")?,
        status: row.parse("status", |text| text.parse().ok())?,
        created: row.get("created")?,
    })
}

fn affiliate(record: &Record) -> Result<Affiliate, LedgerError> {
    let row = record.of("affiliates");
    Ok(Affiliate {
        id: row.get("affiliate_id")?,
        name: row.get("name")?,
        status: row.parse("status", |text| text.parse().ok())?,
        tier: row.get("tier")?,
        created: row.get("created")?,
    })
}

fn offer(record: &Record) -> Result<Offer, LedgerError> {
    let row = record.of("offers");
    Ok(Offer {
        id: row.get("offer_id")?,
        name: row.get("name")?,
        status: row.parse("status", |text| text.parse().ok())?,
        advertiser_id: row.get("advertiser_id")?,
        url: row.parse("url", |text| UrlTemplate::parse(text).ok())?,
        creative_id: row.get("creative_id")?,
        payout: rate(&row, "payout_type", "payout")?,
        revenue: rate(&row, "revenue_type", "revenue")?,
        currency: row.parse("currency", |text| text.parse().ok())?,
        session_seconds: row.get("session_seconds")?,
        approval: row.parse("approval", |text| text.parse().ok())?,
        one_per_click: row.get("one_per_click")?,
        allow_duplicates: row.get("allow_duplicates")?,
        allow_deep_link: row.get("allow_deep_link")?,
        deep_link_hosts: row.parse("deep_link_hosts", |text| {
            text.split_whitespace().map(|host| host.parse().ok()).collect()
        })?,
        starts: row.get("starts")?,
        expires: row.get("expires")?,
        schedule: row.parse_optional("schedule", |text| text.parse().ok())?,
        zone: row.parse_optional("zone", |text| text.parse().ok())?,
        redirect: redirect(&row)?,
        thank_you_url: row.parse_optional("thank_you_url", |text| UrlTemplate::parse(text).ok())?,
        attribution: row.parse("attribution", |text| text.parse().ok())?,
        throw_out_seconds: row.get("throw_out_seconds")?,
        approval_delay_seconds: row.get("approval_delay_seconds")?,
        min_conversion_seconds: row.get("min_conversion_seconds")?,
        max_conversion_seconds: row.get("max_conversion_seconds")?,
        allow_pixel_payout: row.get("allow_pixel_payout")?,
        created: row.get("created")?,
    })
}

fn campaign(record: &Record) -> Result<Campaign, LedgerError> {
    let row = record.of("campaigns");
    Ok(Campaign {
        id: row.get("campaign_id")?,
        offer_id: row.get("offer_id")?,
        affiliate_id: row.get("affiliate_id")?,
        status: row.parse("status", |text| text.parse().ok())?,
        creative_id: row.get("creative_id")?,
        payout: row.get("payout")?,
        revenue: row.get("revenue")?,
        expires: row.get("expires")?,
        redirect: redirect(&row)?,
        created: row.get("created")?,
    })
}
