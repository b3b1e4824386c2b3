-- Money: events, price rules, tiers, exchange rates; what conversions are worth now, their adjustments,
-- double-entry lines, statements, batches, counters of caps, roll-ups.

ALTER TABLE affiliates ADD COLUMN tier TEXT;
ALTER TABLE offers ADD COLUMN approval_delay_seconds INTEGER;
ALTER TABLE offers ADD COLUMN min_conversion_seconds INTEGER;
ALTER TABLE offers ADD COLUMN max_conversion_seconds INTEGER;
ALTER TABLE offers ADD COLUMN allow_pixel_payout INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN addresses TEXT NOT NULL DEFAULT ''; -- separated by spaces; empty: any
ALTER TABLE keys ADD COLUMN may_backfill INTEGER NOT NULL DEFAULT 0;

-- Number 1 is the default event of every offer; it has no row.
CREATE TABLE events (
    event_id INTEGER PRIMARY KEY AUTOINCREMENT,
    advertiser_id INTEGER NOT NULL REFERENCES advertisers,
    name TEXT NOT NULL,
    event_type TEXT NOT NULL,
    status TEXT NOT NULL,
    payout_type TEXT NOT NULL,
    payout INTEGER NOT NULL,
    revenue_type TEXT NOT NULL,
    revenue INTEGER NOT NULL,
    one_per_click INTEGER NOT NULL,
    allow_duplicates INTEGER NOT NULL,
    created INTEGER NOT NULL
) STRICT;
INSERT INTO sqlite_sequence (name, seq) VALUES ('events', 1);

-- campaign_id is 0 for what the offer says.
CREATE TABLE offer_events (
    offer_id INTEGER NOT NULL REFERENCES offers,
    event_id INTEGER NOT NULL REFERENCES events,
    campaign_id INTEGER NOT NULL,
    is_enabled INTEGER NOT NULL,
    payout_type TEXT,
    payout INTEGER,
    revenue_type TEXT,
    revenue INTEGER,
    PRIMARY KEY (offer_id, event_id, campaign_id)
) STRICT, WITHOUT ROWID;

-- Which version of a price rule is in force; what it says stands in price_rule_versions.
CREATE TABLE price_rules (
    price_rule_id INTEGER PRIMARY KEY AUTOINCREMENT,
    offer_id INTEGER NOT NULL REFERENCES offers,
    version INTEGER NOT NULL
) STRICT;

-- Every version there ever was. Rows are never changed: conversions name them.
CREATE TABLE price_rule_versions (
    price_rule_id INTEGER NOT NULL REFERENCES price_rules,
    version INTEGER NOT NULL,
    offer_id INTEGER NOT NULL,
    campaign_id INTEGER REFERENCES campaigns,
    position INTEGER NOT NULL,
    status TEXT NOT NULL,
    conditions TEXT NOT NULL, -- a line each: target=value,value
    payout_type TEXT,
    payout INTEGER,
    revenue_type TEXT,
    revenue INTEGER,
    changed INTEGER NOT NULL,
    PRIMARY KEY (price_rule_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE tier_prices (
    offer_id INTEGER NOT NULL REFERENCES offers,
    tier TEXT NOT NULL,
    payout INTEGER,
    revenue INTEGER,
    PRIMARY KEY (offer_id, tier)
) STRICT, WITHOUT ROWID;

-- rate: ten-thousand-millionths of the network's currency for one unit.
CREATE TABLE exchange_rates (
    currency TEXT NOT NULL,
    effective INTEGER NOT NULL,
    rate INTEGER NOT NULL,
    PRIMARY KEY (currency, effective)
) STRICT, WITHOUT ROWID;

-- offer_id is 0 for all offers.
CREATE TABLE suppressions (
    fingerprint BLOB NOT NULL,
    offer_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (fingerprint, offer_id)
) STRICT, WITHOUT ROWID;

-- price_*: the price with every adjustment; payout and revenue: that, while the status pays.
ALTER TABLE conversions ADD COLUMN door TEXT NOT NULL DEFAULT 'api';
ALTER TABLE conversions ADD COLUMN batch_id INTEGER;
ALTER TABLE conversions ADD COLUMN device TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE conversions ADD COLUMN exchange_rate INTEGER;
ALTER TABLE conversions ADD COLUMN payout_rule_id INTEGER;
ALTER TABLE conversions ADD COLUMN payout_rule_version INTEGER;
ALTER TABLE conversions ADD COLUMN revenue_rule_id INTEGER;
ALTER TABLE conversions ADD COLUMN revenue_rule_version INTEGER;
ALTER TABLE conversions ADD COLUMN cap_id INTEGER;
ALTER TABLE conversions ADD COLUMN price_payout INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversions ADD COLUMN price_revenue INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversions ADD COLUMN adjustments INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversions ADD COLUMN approve_at INTEGER;
ALTER TABLE conversions ADD COLUMN details TEXT NOT NULL DEFAULT '';
UPDATE conversions SET price_payout = original_payout, price_revenue = original_revenue;
CREATE INDEX conversions_approve ON conversions (approve_at) WHERE approve_at IS NOT NULL;
-- The orders that lists are asked for in.
CREATE INDEX conversions_payout ON conversions (payout, conversion_id);
CREATE INDEX conversions_revenue ON conversions (revenue, conversion_id);
CREATE INDEX conversions_status ON conversions (status, conversion_id);
CREATE INDEX conversions_click_date ON conversions (click_date, conversion_id);
CREATE INDEX conversions_batch ON conversions (batch_id) WHERE batch_id IS NOT NULL;

ALTER TABLE attempts ADD COLUMN door TEXT NOT NULL DEFAULT 'api';
ALTER TABLE attempts ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN event_id INTEGER;
ALTER TABLE attempts ADD COLUMN batch_id INTEGER;
CREATE INDEX attempts_click ON attempts (click_id);

CREATE TABLE batches (
    batch_id INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_type TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    actor TEXT NOT NULL,
    note TEXT NOT NULL,
    undone_at INTEGER,
    undone_by TEXT
) STRICT;

-- What became of a conversion after its recording, which is booking 0. Rows are never changed.
CREATE TABLE adjustments (
    offer_id INTEGER NOT NULL,
    conversion_id INTEGER NOT NULL,
    booking INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    effective INTEGER NOT NULL,
    key_id INTEGER,
    actor TEXT NOT NULL,
    note TEXT NOT NULL,
    cause TEXT NOT NULL,
    batch_id INTEGER,
    from_status TEXT NOT NULL,
    from_payout INTEGER NOT NULL,
    from_revenue INTEGER NOT NULL,
    to_status TEXT NOT NULL,
    to_payout INTEGER NOT NULL,
    to_revenue INTEGER NOT NULL,
    PRIMARY KEY (conversion_id, booking, offer_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX adjustments_batch ON adjustments (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX adjustments_made ON adjustments (made_at);

-- Double-entry lines: three a booking, whose amounts add up to 0. Only statement_id is ever set, once.
CREATE TABLE entries (
    offer_id INTEGER NOT NULL,
    conversion_id INTEGER NOT NULL,
    booking INTEGER NOT NULL,
    account TEXT NOT NULL,
    party_id INTEGER NOT NULL, -- 0 for the network
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    effective INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    statement_id INTEGER,
    PRIMARY KEY (conversion_id, booking, account, offer_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_statement ON entries (statement_id) WHERE statement_id IS NOT NULL;

INSERT INTO entries
    SELECT offer_id, conversion_id, 0, 'advertiser_receivable', advertiser_id, currency, revenue,
        conversion_date, recorded_at, NULL FROM conversions WHERE status IN ('pending', 'approved');
INSERT INTO entries
    SELECT offer_id, conversion_id, 0, 'affiliate_payable', affiliate_id, currency, -payout,
        conversion_date, recorded_at, NULL FROM conversions WHERE status IN ('pending', 'approved');
INSERT INTO entries
    SELECT offer_id, conversion_id, 0, 'network_margin', 0, currency, payout - revenue,
        conversion_date, recorded_at, NULL FROM conversions WHERE status IN ('pending', 'approved');

INSERT INTO versions VALUES ('statements', 1);

CREATE TABLE statements (
    statement_id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    party_id INTEGER NOT NULL,
    currency TEXT NOT NULL,
    starts INTEGER,
    until INTEGER NOT NULL,
    closed_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    lines INTEGER NOT NULL,
    total INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX statements_party ON statements (account, party_id, currency, until);

-- What a cap's window has taken, in millionths. baseline: of conversions recorded before it was first asked.
CREATE TABLE cap_counters (
    offer_id INTEGER NOT NULL,
    cap_id INTEGER NOT NULL,
    window_from INTEGER NOT NULL,
    baseline INTEGER NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (offer_id, cap_id, window_from)
) STRICT, WITHOUT ROWID;

-- Which counters a conversion counted on, and for how much.
CREATE TABLE cap_counts (
    offer_id INTEGER NOT NULL,
    cap_id INTEGER NOT NULL,
    window_from INTEGER NOT NULL,
    conversion_id INTEGER NOT NULL,
    measure INTEGER NOT NULL,
    PRIMARY KEY (offer_id, cap_id, window_from, conversion_id)
) STRICT, WITHOUT ROWID;

-- Conversions by day (UTC, its first moment) of their date: what lists are counted by.
CREATE TABLE conversion_counts (
    offer_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    status TEXT NOT NULL,
    conversions INTEGER NOT NULL,
    PRIMARY KEY (day, offer_id, status)
) STRICT, WITHOUT ROWID;

-- Conversions and what they are worth now, by hour (UTC, its first moment) of their date. campaign_id 0: none.
CREATE TABLE rollups (
    offer_id INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    affiliate_id INTEGER NOT NULL,
    campaign_id INTEGER NOT NULL,
    creative_id INTEGER NOT NULL,
    event_id INTEGER NOT NULL,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    conversions INTEGER NOT NULL,
    payout INTEGER NOT NULL,
    revenue INTEGER NOT NULL,
    PRIMARY KEY (hour, offer_id, affiliate_id, campaign_id, creative_id, event_id, status, currency)
) STRICT, WITHOUT ROWID;

INSERT INTO conversion_counts
    SELECT offer_id, conversion_date - (conversion_date % 86400000000 + 86400000000) % 86400000000, status, count(*) FROM conversions GROUP BY 1, 2, 3;
INSERT INTO rollups
    SELECT offer_id, conversion_date - (conversion_date % 3600000000 + 3600000000) % 3600000000, affiliate_id, coalesce(campaign_id, 0),
        creative_id, event_id, status, currency, count(*), sum(payout), sum(revenue)
    FROM conversions GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
