-- The core: network, keys, conversions with their attempts, segment catalogue.
-- Times are microseconds since 1970 UTC; amounts are millionths. Everything a conversion touches
-- carries offer_id, the distribution column.

CREATE TABLE versions (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;
INSERT INTO versions VALUES ('network', 1), ('keys', 1);

CREATE TABLE advertisers (
    advertiser_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE affiliates (
    affiliate_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE offers (
    offer_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    advertiser_id INTEGER NOT NULL REFERENCES advertisers,
    url TEXT NOT NULL,
    creative_id INTEGER NOT NULL,
    payout_type TEXT NOT NULL,
    payout INTEGER NOT NULL,
    revenue_type TEXT NOT NULL,
    revenue INTEGER NOT NULL,
    currency TEXT NOT NULL,
    session_seconds INTEGER NOT NULL,
    approval TEXT NOT NULL,
    one_per_click INTEGER NOT NULL,
    allow_duplicates INTEGER NOT NULL,
    allow_deep_link INTEGER NOT NULL,
    deep_link_hosts TEXT NOT NULL, -- separated by spaces
    expires INTEGER,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE creatives (
    creative_id INTEGER PRIMARY KEY AUTOINCREMENT,
    offer_id INTEGER NOT NULL,
    name TEXT NOT NULL
) STRICT;

CREATE TABLE campaigns (
    campaign_id INTEGER PRIMARY KEY AUTOINCREMENT,
    offer_id INTEGER NOT NULL REFERENCES offers,
    affiliate_id INTEGER NOT NULL REFERENCES affiliates,
    status TEXT NOT NULL,
    creative_id INTEGER NOT NULL REFERENCES creatives,
    payout INTEGER,
    revenue INTEGER,
    created INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX campaigns_pair ON campaigns (affiliate_id, offer_id) WHERE status <> 'deleted';

CREATE TABLE keys (
    key_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    hash BLOB NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    scope TEXT NOT NULL,
    offer_id INTEGER,
    advertiser_id INTEGER,
    affiliate_id INTEGER,
    may_override INTEGER NOT NULL,
    created INTEGER NOT NULL,
    revoked INTEGER
) STRICT;

CREATE TABLE conversions (
    conversion_id INTEGER PRIMARY KEY AUTOINCREMENT,
    offer_id INTEGER NOT NULL,
    event_id INTEGER NOT NULL,
    advertiser_id INTEGER NOT NULL,
    affiliate_id INTEGER NOT NULL,
    campaign_id INTEGER,
    creative_id INTEGER NOT NULL,
    click_id BLOB NOT NULL,
    unique_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    adv1 TEXT NOT NULL, adv2 TEXT NOT NULL, adv3 TEXT NOT NULL, adv4 TEXT NOT NULL, adv5 TEXT NOT NULL,
    sub_id_1 TEXT NOT NULL, sub_id_2 TEXT NOT NULL, sub_id_3 TEXT NOT NULL, sub_id_4 TEXT NOT NULL, sub_id_5 TEXT NOT NULL,
    country TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER,
    original_payout INTEGER NOT NULL,
    payout_scope TEXT NOT NULL,
    original_revenue INTEGER NOT NULL,
    revenue_scope TEXT NOT NULL,
    status TEXT NOT NULL,
    payout INTEGER NOT NULL,
    revenue INTEGER NOT NULL,
    click_date INTEGER NOT NULL,
    conversion_date INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    last_updated INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX conversions_unique_id ON conversions (offer_id, event_id, unique_id) WHERE unique_id <> '';
CREATE INDEX conversions_click ON conversions (click_id, event_id, conversion_id);
CREATE INDEX conversions_date ON conversions (conversion_date, conversion_id);
CREATE INDEX conversions_updated ON conversions (last_updated, conversion_id);
CREATE INDEX conversions_offer ON conversions (offer_id, conversion_date);
CREATE INDEX conversions_affiliate ON conversions (affiliate_id, conversion_date);

-- Every conversion call, accepted or not. offer_id is 0 where the call named none that can be read.
CREATE TABLE attempts (
    attempt_id INTEGER PRIMARY KEY AUTOINCREMENT,
    offer_id INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    click_id TEXT NOT NULL,
    unique_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    conversion_id INTEGER,
    raw TEXT NOT NULL
) STRICT;

-- Sealed files of clicks. rows_by_*: pairs of id and count, little endian, 4 and 8 bytes.
CREATE TABLE segments (
    node INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    journal_file INTEGER NOT NULL,
    format INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    file_bytes INTEGER NOT NULL,
    first_click BLOB NOT NULL,
    last_click BLOB NOT NULL,
    rows_by_offer BLOB NOT NULL,
    rows_by_affiliate BLOB NOT NULL,
    PRIMARY KEY (node, first_seq)
) STRICT, WITHOUT ROWID;
