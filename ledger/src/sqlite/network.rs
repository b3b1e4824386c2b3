//! The network in SQLite.

use domain::ids::{AdvertiserId, AffiliateId, CampaignId, CreativeId, OfferId};
use domain::network::{Advertiser, Affiliate, Campaign, CampaignStatus, Entities, Offer};
use domain::network_change::{
    AdvertiserChange, AffiliateChange, CampaignChange, CreateAdvertiser, CreateAffiliate, CreateCampaign,
    CreateOffer, EntityKind, OfferChange, Rejected,
};
use domain::pricing::{PriceType, Rate};
use domain::time::Zone;
use domain::tokens::UrlTemplate;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, named_params, params};

use super::row::{Row, unsigned};
use super::traffic::{
    PRESENT_RULES, cap, creative, landing_page, redirect, redirect_columns, redirect_problem, rule,
};
use super::{SqliteLedger, backend};
use crate::LedgerError;
use crate::network::{Changed, NetworkBook};

/// A made-up number for an entity that has none yet.
pub(super) const NOT_YET: u32 = 0;

impl NetworkBook for SqliteLedger {
    fn load_network(&self) -> Result<Entities, LedgerError> {
        let mut reader = self.reader()?;
        let connection = reader.connection.as_mut().expect("there until dropped");
        let moment = connection.transaction().map_err(backend)?;
        Ok(Entities {
            version: version(&moment, "network")?,
            advertisers: all(&moment, "SELECT * FROM advertisers ORDER BY advertiser_id", advertiser)?,
            offers: all(&moment, "SELECT * FROM offers ORDER BY offer_id", offer)?,
            affiliates: all(&moment, "SELECT * FROM affiliates ORDER BY affiliate_id", affiliate)?,
            campaigns: all(&moment, "SELECT * FROM campaigns ORDER BY campaign_id", campaign)?,
            creatives: all(&moment, "SELECT * FROM creatives ORDER BY creative_id", creative)?,
            landing_pages: all(
                &moment,
                "SELECT * FROM landing_pages ORDER BY landing_page_id",
                landing_page,
            )?,
            rules: all(&moment, &format!("SELECT * FROM {PRESENT_RULES} ORDER BY rule_id"), rule)?,
            caps: all(&moment, "SELECT * FROM caps ORDER BY cap_id", cap)?,
        })
    }

    fn network_version(&self) -> Result<u64, LedgerError> {
        version(&*self.reader()?, "network")
    }

    fn create_advertiser(&self, create: CreateAdvertiser, now: Timestamp) -> Changed<Advertiser> {
        self.change(|tx| {
            let CreateAdvertiser { name, status } = create;
            let mut advertiser = Advertiser { id: AdvertiserId(NOT_YET), name, status, created: now };
            advertiser.id =
                AdvertiserId(insert_party(tx, "advertisers", &advertiser.name, status.name(), now)?);
            Ok(Ok(advertiser))
        })
    }

    fn update_advertiser(&self, id: AdvertiserId, change: AdvertiserChange) -> Changed<Advertiser> {
        self.change(|tx| {
            let sql = "SELECT * FROM advertisers WHERE advertiser_id = ?1";
            let Some(mut found) = one(tx, sql, id.0, advertiser)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Advertiser)));
            };
            change.apply(&mut found);
            let sql = "UPDATE advertisers SET name = ?2, status = ?3 WHERE advertiser_id = ?1";
            tx.execute(sql, params![id.0, found.name, found.status.name()]).map_err(backend)?;
            Ok(Ok(found))
        })
    }

    fn create_affiliate(&self, create: CreateAffiliate, now: Timestamp) -> Changed<Affiliate> {
        self.change(|tx| {
            let CreateAffiliate { name, status } = create;
            let mut affiliate = Affiliate { id: AffiliateId(NOT_YET), name, status, created: now };
            affiliate.id = AffiliateId(insert_party(tx, "affiliates", &affiliate.name, status.name(), now)?);
            Ok(Ok(affiliate))
        })
    }

    fn update_affiliate(&self, id: AffiliateId, change: AffiliateChange) -> Changed<Affiliate> {
        self.change(|tx| {
            let sql = "SELECT * FROM affiliates WHERE affiliate_id = ?1";
            let Some(mut found) = one(tx, sql, id.0, affiliate)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Affiliate)));
            };
            change.apply(&mut found);
            let sql = "UPDATE affiliates SET name = ?2, status = ?3 WHERE affiliate_id = ?1";
            tx.execute(sql, params![id.0, found.name, found.status.name()]).map_err(backend)?;
            Ok(Ok(found))
        })
    }

    fn create_offer(&self, create: CreateOffer, now: Timestamp) -> Changed<Offer> {
        self.change(|tx| {
            let sql = "SELECT * FROM advertisers WHERE advertiser_id = ?1";
            if one(tx, sql, create.advertiser_id.0, advertiser)?.is_none() {
                return Ok(Err(Rejected::NotFound(EntityKind::Advertiser)));
            }
            let mut offer = Offer {
                id: OfferId(NOT_YET),
                name: create.name,
                status: create.status,
                advertiser_id: create.advertiser_id,
                url: create.url,
                creative_id: CreativeId(NOT_YET),
                payout: create.payout,
                revenue: create.revenue,
                currency: create.currency,
                session_seconds: create.session_seconds,
                approval: create.approval,
                one_per_click: create.one_per_click,
                allow_duplicates: create.allow_duplicates,
                allow_deep_link: create.allow_deep_link,
                deep_link_hosts: create.deep_link_hosts,
                starts: create.starts,
                expires: create.expires,
                schedule: create.schedule,
                zone: create.zone,
                redirect: create.redirect,
                thank_you_url: create.thank_you_url,
                attribution: create.attribution,
                throw_out_seconds: create.throw_out_seconds,
                created: now,
            };
            if let Some(rejected) = redirect_problem(tx, offer.id, offer.redirect.as_ref())? {
                return Ok(Err(rejected));
            }
            offer.id = OfferId(insert_offer(tx, &offer)?);
            let sql = "INSERT INTO creatives (offer_id, name, created) VALUES (?1, 'Default', ?2)";
            tx.execute(sql, params![offer.id.0, now.as_microsecond()]).map_err(backend)?;
            offer.creative_id = CreativeId(last_id(tx)?);
            store_offer(tx, &offer)?;
            Ok(Ok(offer))
        })
    }

    fn update_offer(&self, id: OfferId, change: OfferChange) -> Changed<Offer> {
        self.change(|tx| {
            let Some(mut found) = one(tx, "SELECT * FROM offers WHERE offer_id = ?1", id.0, offer)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Offer)));
            };
            change.apply(&mut found);
            if let Some(rejected) = redirect_problem(tx, id, found.redirect.as_ref())? {
                return Ok(Err(rejected));
            }
            store_offer(tx, &found)?;
            Ok(Ok(found))
        })
    }

    fn create_campaign(&self, create: CreateCampaign, now: Timestamp) -> Changed<Campaign> {
        self.change(|tx| {
            let sql = "SELECT * FROM offers WHERE offer_id = ?1";
            let Some(offer) = one(tx, sql, create.offer_id.0, offer)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Offer)));
            };
            let sql = "SELECT * FROM affiliates WHERE affiliate_id = ?1";
            if one(tx, sql, create.affiliate_id.0, affiliate)?.is_none() {
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
            if let Some(rejected) = campaign_problem(tx, &campaign)? {
                return Ok(Err(rejected));
            }
            campaign.id = CampaignId(insert_campaign(tx, &campaign)?);
            Ok(Ok(campaign))
        })
    }

    fn update_campaign(&self, id: CampaignId, change: CampaignChange) -> Changed<Campaign> {
        self.change(|tx| {
            let sql = "SELECT * FROM campaigns WHERE campaign_id = ?1";
            let Some(mut found) = one(tx, sql, id.0, campaign)? else {
                return Ok(Err(Rejected::NotFound(EntityKind::Campaign)));
            };
            change.apply(&mut found);
            if let Some(rejected) = campaign_problem(tx, &found)? {
                return Ok(Err(rejected));
            }
            store_campaign(tx, &found)?;
            Ok(Ok(found))
        })
    }
}

impl SqliteLedger {
    /// Runs a change and raises the network's version, unless the change is rejected.
    pub(super) fn change<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Changed<T>) -> Changed<T> {
        self.write(|tx| {
            let outcome = work(tx)?;
            if outcome.is_ok() {
                raise_version(tx, "network")?;
            }
            Ok(outcome)
        })
    }
}

/// Whether a campaign's creative is its offer's, its redirect leads elsewhere, and it is the only one of
/// its affiliate there.
fn campaign_problem(tx: &Transaction<'_>, campaign: &Campaign) -> Result<Option<Rejected>, LedgerError> {
    let sql = "SELECT * FROM creatives WHERE creative_id = ?1";
    match one(tx, sql, campaign.creative_id.0, creative)? {
        None => return Ok(Some(Rejected::NotFound(EntityKind::Creative))),
        Some(creative) if creative.offer_id != campaign.offer_id => {
            return Ok(Some(Rejected::CreativeOfOtherOffer));
        }
        Some(_) => {}
    }
    if let Some(rejected) = redirect_problem(tx, campaign.offer_id, campaign.redirect.as_ref())? {
        return Ok(Some(rejected));
    }
    if campaign.status == CampaignStatus::Deleted {
        return Ok(None);
    }
    let sql = "SELECT campaign_id FROM campaigns WHERE affiliate_id = ?1 AND offer_id = ?2 \
               AND status <> 'deleted' AND campaign_id <> ?3";
    let other = tx
        .query_row(sql, [campaign.affiliate_id.0, campaign.offer_id.0, campaign.id.0], |row| row.get(0))
        .optional()
        .map_err(backend)?;
    Ok(other.map(|id| Rejected::CampaignExists(CampaignId(id))))
}

pub(super) fn version(connection: &Connection, name: &str) -> Result<u64, LedgerError> {
    let sql = "-- version\nSELECT version FROM versions WHERE name = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(backend)?;
    statement.query_row([name], |row| row.get(0)).map(unsigned).map_err(backend)
}

pub(super) fn raise_version(tx: &Transaction<'_>, name: &str) -> Result<(), LedgerError> {
    let sql = "-- raise_version\nUPDATE versions SET version = version + 1 WHERE name = ?1";
    tx.execute(sql, [name]).map_err(backend).map(drop)
}

pub(super) fn last_id(tx: &Transaction<'_>) -> Result<u32, LedgerError> {
    u32::try_from(tx.last_insert_rowid()).map_err(|_| LedgerError::Full)
}

fn insert_party(
    tx: &Transaction<'_>,
    table: &str,
    name: &str,
    status: &str,
    now: Timestamp,
) -> Result<u32, LedgerError> {
    let sql = format!("-- insert_party\nINSERT INTO {table} (name, status, created) VALUES (?1, ?2, ?3)");
    tx.execute(&sql, params![name, status, now.as_microsecond()]).map_err(backend)?;
    last_id(tx)
}

fn insert_offer(tx: &Transaction<'_>, offer: &Offer) -> Result<u32, LedgerError> {
    let sql = "-- insert_offer\n\
        INSERT INTO offers (name, status, advertiser_id, url, creative_id, payout_type, payout, revenue_type, \
        revenue, currency, session_seconds, approval, one_per_click, allow_duplicates, allow_deep_link, deep_link_hosts, \
        expires, created) \
        VALUES ('', '', ?1, '', 0, '', 0, '', 0, ?2, 0, '', 0, 0, 0, '', NULL, ?3)";
    tx.execute(sql, params![offer.advertiser_id.0, offer.currency.as_str(), offer.created.as_microsecond()])
        .map_err(backend)?;
    last_id(tx)
}

/// Writes everything about an offer that can change.
fn store_offer(tx: &Transaction<'_>, offer: &Offer) -> Result<(), LedgerError> {
    let sql = "-- store_offer\n\
        UPDATE offers SET name = :name, status = :status, url = :url, creative_id = :creative_id, \
        payout_type = :payout_type, payout = :payout, revenue_type = :revenue_type, revenue = :revenue, \
        session_seconds = :session_seconds, approval = :approval, one_per_click = :one_per_click, \
        allow_duplicates = :allow_duplicates, allow_deep_link = :allow_deep_link, \
        deep_link_hosts = :deep_link_hosts, starts = :starts, expires = :expires, schedule = :schedule, \
        zone = :zone, redirect_url = :redirect_url, redirect_offer_id = :redirect_offer_id, \
        thank_you_url = :thank_you_url, attribution = :attribution, \
        throw_out_seconds = :throw_out_seconds WHERE offer_id = :offer_id";
    let hosts: Vec<_> = offer.deep_link_hosts.iter().map(ToString::to_string).collect();
    let (redirect_url, redirect_offer_id) = redirect_columns(offer.redirect.as_ref());
    let values = named_params! {
        ":offer_id": offer.id.0,
        ":name": offer.name,
        ":status": offer.status.name(),
        ":url": offer.url.as_str(),
        ":creative_id": offer.creative_id.0,
        ":payout_type": offer.payout.price_type.name(),
        ":payout": offer.payout.number.micros(),
        ":revenue_type": offer.revenue.price_type.name(),
        ":revenue": offer.revenue.number.micros(),
        ":session_seconds": offer.session_seconds,
        ":approval": offer.approval.name(),
        ":one_per_click": offer.one_per_click,
        ":allow_duplicates": offer.allow_duplicates,
        ":allow_deep_link": offer.allow_deep_link,
        ":deep_link_hosts": hosts.join(" "),
        ":starts": offer.starts.map(Timestamp::as_microsecond),
        ":expires": offer.expires.map(Timestamp::as_microsecond),
        ":schedule": offer.schedule.as_ref().map(ToString::to_string),
        ":zone": offer.zone.as_ref().map(Zone::name),
        ":redirect_url": redirect_url,
        ":redirect_offer_id": redirect_offer_id,
        ":thank_you_url": offer.thank_you_url.as_ref().map(UrlTemplate::as_str),
        ":attribution": offer.attribution.name(),
        ":throw_out_seconds": offer.throw_out_seconds,
    };
    tx.execute(sql, values).map_err(backend).map(drop)
}

fn insert_campaign(tx: &Transaction<'_>, campaign: &Campaign) -> Result<u32, LedgerError> {
    let sql = "-- insert_campaign\n\
        INSERT INTO campaigns (offer_id, affiliate_id, status, creative_id, payout, revenue, expires, \
        redirect_url, redirect_offer_id, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let (redirect_url, redirect_offer_id) = redirect_columns(campaign.redirect.as_ref());
    let values = params![
        campaign.offer_id.0,
        campaign.affiliate_id.0,
        campaign.status.name(),
        campaign.creative_id.0,
        campaign.payout.map(domain::money::Amount::micros),
        campaign.revenue.map(domain::money::Amount::micros),
        campaign.expires.map(Timestamp::as_microsecond),
        redirect_url,
        redirect_offer_id,
        campaign.created.as_microsecond(),
    ];
    tx.execute(sql, values).map_err(backend)?;
    last_id(tx)
}

/// Writes everything about a campaign that can change.
fn store_campaign(tx: &Transaction<'_>, campaign: &Campaign) -> Result<(), LedgerError> {
    let sql = "-- store_campaign\n\
        UPDATE campaigns SET status = ?2, creative_id = ?3, payout = ?4, revenue = ?5, expires = ?6, \
        redirect_url = ?7, redirect_offer_id = ?8 WHERE campaign_id = ?1";
    let (redirect_url, redirect_offer_id) = redirect_columns(campaign.redirect.as_ref());
    let values = params![
        campaign.id.0,
        campaign.status.name(),
        campaign.creative_id.0,
        campaign.payout.map(domain::money::Amount::micros),
        campaign.revenue.map(domain::money::Amount::micros),
        campaign.expires.map(Timestamp::as_microsecond),
        redirect_url,
        redirect_offer_id,
    ];
    tx.execute(sql, values).map_err(backend).map(drop)
}

pub(super) type Read<T> = fn(&rusqlite::Row<'_>) -> Result<T, LedgerError>;

fn all<T>(connection: &Connection, sql: &str, read: Read<T>) -> Result<Vec<T>, LedgerError> {
    let mut statement = connection.prepare(sql).map_err(backend)?;
    let mut rows = statement.query(()).map_err(backend)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(backend)? {
        found.push(read(row)?);
    }
    Ok(found)
}

pub(super) fn one<T>(
    tx: &Transaction<'_>,
    sql: &str,
    id: u32,
    read: Read<T>,
) -> Result<Option<T>, LedgerError> {
    let mut statement = tx.prepare_cached(sql).map_err(backend)?;
    let mut rows = statement.query([id]).map_err(backend)?;
    rows.next().map_err(backend)?.map(read).transpose()
}

fn advertiser(row: &rusqlite::Row<'_>) -> Result<Advertiser, LedgerError> {
    let row = Row::new("advertisers", row);
    Ok(Advertiser {
        id: AdvertiserId(row.get("advertiser_id")?),
        name: row.get("name")?,
        status: row.parse("status", |text| text.parse().ok())?,
        created: row.time("created")?,
    })
}

fn affiliate(row: &rusqlite::Row<'_>) -> Result<Affiliate, LedgerError> {
    let row = Row::new("affiliates", row);
    Ok(Affiliate {
        id: AffiliateId(row.get("affiliate_id")?),
        name: row.get("name")?,
        status: row.parse("status", |text| text.parse().ok())?,
        created: row.time("created")?,
    })
}

pub(super) fn offer(row: &rusqlite::Row<'_>) -> Result<Offer, LedgerError> {
    let row = Row::new("offers", row);
    let rate = |type_column, number_column| {
        Ok::<_, LedgerError>(Rate {
            price_type: row.parse(type_column, PriceType::from_name)?,
            number: row.amount(number_column)?,
        })
    };
    Ok(Offer {
        id: OfferId(row.get("offer_id")?),
        name: row.get("name")?,
        status: row.parse("status", |text| text.parse().ok())?,
        advertiser_id: AdvertiserId(row.get("advertiser_id")?),
        url: row.parse("url", |text| UrlTemplate::parse(text).ok())?,
        creative_id: CreativeId(row.get("creative_id")?),
        payout: rate("payout_type", "payout")?,
        revenue: rate("revenue_type", "revenue")?,
        currency: row.parse("currency", |text| text.parse().ok())?,
        session_seconds: row.get("session_seconds")?,
        approval: row.parse("approval", |text| text.parse().ok())?,
        one_per_click: row.get("one_per_click")?,
        allow_duplicates: row.get("allow_duplicates")?,
        allow_deep_link: row.get("allow_deep_link")?,
        deep_link_hosts: row.parse("deep_link_hosts", |text| {
            text.split_whitespace().map(|host| host.parse().ok()).collect()
        })?,
        starts: row.optional_time("starts")?,
        expires: row.optional_time("expires")?,
        schedule: row.parse_optional("schedule", |text| text.parse().ok())?,
        zone: row.parse_optional("zone", |text| text.parse().ok())?,
        redirect: redirect(&row)?,
        thank_you_url: row.parse_optional("thank_you_url", |text| UrlTemplate::parse(text).ok())?,
        attribution: row.parse("attribution", |text| text.parse().ok())?,
        throw_out_seconds: row.get("throw_out_seconds")?,
        created: row.time("created")?,
    })
}

pub(super) fn campaign(row: &rusqlite::Row<'_>) -> Result<Campaign, LedgerError> {
    let row = Row::new("campaigns", row);
    Ok(Campaign {
        id: CampaignId(row.get("campaign_id")?),
        offer_id: OfferId(row.get("offer_id")?),
        affiliate_id: AffiliateId(row.get("affiliate_id")?),
        status: row.parse("status", |text| text.parse().ok())?,
        creative_id: CreativeId(row.get("creative_id")?),
        payout: row.optional_amount("payout")?,
        revenue: row.optional_amount("revenue")?,
        expires: row.optional_time("expires")?,
        redirect: redirect(&row)?,
        created: row.time("created")?,
    })
}
