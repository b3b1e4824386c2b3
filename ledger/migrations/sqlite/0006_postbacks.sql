-- Postbacks and webhooks, and their deliveries.

-- One of affiliate_id and advertiser_id is set, or none: then it is the network's own. secret, old_secret:
-- what calls are signed with, in the clear, since signing needs it.
CREATE TABLE postbacks (
    postback_id INTEGER PRIMARY KEY AUTOINCREMENT,
    affiliate_id INTEGER REFERENCES affiliates,
    advertiser_id INTEGER REFERENCES advertisers,
    offer_id INTEGER REFERENCES offers,
    campaign_id INTEGER REFERENCES campaigns,
    event_id INTEGER,
    postback_type TEXT NOT NULL,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    body TEXT,
    status TEXT NOT NULL,
    fire_on TEXT NOT NULL,
    statuses TEXT NOT NULL, -- separated by commas; empty: any
    min_payout INTEGER,
    share_percent INTEGER,
    delay_seconds INTEGER NOT NULL,
    success_codes TEXT NOT NULL, -- such as 200,300-399; empty: 200-299
    success_text TEXT,
    calls_per_second INTEGER,
    secret TEXT,
    old_secret TEXT,
    old_secret_until INTEGER,
    created INTEGER NOT NULL
) STRICT;

-- A cause is a booking of a conversion: 0 its recording, then its adjustments. conversion_status, payout and
-- revenue: where the conversion stood by it. receiver: host and port as a number. next_try_at: when it is
-- due, or its lease ends.
CREATE TABLE deliveries (
    offer_id INTEGER NOT NULL,
    conversion_id INTEGER NOT NULL,
    booking INTEGER NOT NULL,
    postback_id INTEGER NOT NULL,
    affiliate_id INTEGER NOT NULL,
    receiver INTEGER NOT NULL,
    cause TEXT NOT NULL,
    conversion_status TEXT NOT NULL,
    payout INTEGER NOT NULL,
    revenue INTEGER NOT NULL,
    caused_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    next_try_at INTEGER NOT NULL,
    lease INTEGER,
    leased_by INTEGER,
    tries INTEGER NOT NULL,
    round INTEGER NOT NULL,
    PRIMARY KEY (conversion_id, booking, postback_id, offer_id)
) STRICT, WITHOUT ROWID;
-- In the order in which they are claimed.
CREATE INDEX deliveries_due ON deliveries (receiver, next_try_at, conversion_id, booking) WHERE status = 'due';
CREATE INDEX deliveries_held ON deliveries (postback_id, caused_at) WHERE status = 'held';
CREATE INDEX deliveries_caused ON deliveries (caused_at);

-- Rows are never changed, but for erased visitors' data. An answer has its http_status, a failure its
-- error_code; what was handed to a browser has neither. lease: 0 for what was never claimed.
CREATE TABLE delivery_tries (
    offer_id INTEGER NOT NULL,
    conversion_id INTEGER NOT NULL,
    booking INTEGER NOT NULL,
    postback_id INTEGER NOT NULL,
    tried_at INTEGER NOT NULL,
    lease INTEGER NOT NULL,
    url TEXT NOT NULL,
    http_status INTEGER,
    error_code TEXT,
    error TEXT NOT NULL,
    answer TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY (conversion_id, booking, postback_id, tried_at, lease, offer_id)
) STRICT, WITHOUT ROWID;

-- How many deliveries a conversion has caused: as many there must be.
ALTER TABLE conversions ADD COLUMN deliveries INTEGER NOT NULL DEFAULT 0;

-- Who claims deliveries raises it first: no two claims find the same ones.
INSERT INTO versions VALUES ('deliveries', 1);
