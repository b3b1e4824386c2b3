-- What decides where an offer's clicks go: hours, redirects, creatives, landing pages, rules, caps.
-- A redirect is a page or another offer: at most one of redirect_url and redirect_offer_id is set.

ALTER TABLE offers ADD COLUMN starts INTEGER;
ALTER TABLE offers ADD COLUMN schedule TEXT;
ALTER TABLE offers ADD COLUMN zone TEXT; -- IANA name
ALTER TABLE offers ADD COLUMN redirect_url TEXT;
ALTER TABLE offers ADD COLUMN redirect_offer_id INTEGER REFERENCES offers;
ALTER TABLE offers ADD COLUMN thank_you_url TEXT;
ALTER TABLE offers ADD COLUMN attribution TEXT NOT NULL DEFAULT 'first_touch';
ALTER TABLE offers ADD COLUMN throw_out_seconds INTEGER;

ALTER TABLE campaigns ADD COLUMN expires INTEGER;
ALTER TABLE campaigns ADD COLUMN redirect_url TEXT;
ALTER TABLE campaigns ADD COLUMN redirect_offer_id INTEGER REFERENCES offers;

ALTER TABLE creatives ADD COLUMN status TEXT NOT NULL DEFAULT 'active';
ALTER TABLE creatives ADD COLUMN url TEXT;
ALTER TABLE creatives ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
UPDATE creatives SET created = (SELECT created FROM offers WHERE offers.offer_id = creatives.offer_id);

CREATE TABLE landing_pages (
    landing_page_id INTEGER PRIMARY KEY AUTOINCREMENT,
    offer_id INTEGER NOT NULL REFERENCES offers,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    weight INTEGER NOT NULL,
    status TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

-- Which version of a rule is in force; what it says stands in rule_versions.
CREATE TABLE rules (
    rule_id INTEGER PRIMARY KEY AUTOINCREMENT,
    offer_id INTEGER NOT NULL REFERENCES offers,
    version INTEGER NOT NULL
) STRICT;

-- Every version there ever was. Rows are never changed: clicks name them.
CREATE TABLE rule_versions (
    rule_id INTEGER NOT NULL REFERENCES rules,
    version INTEGER NOT NULL,
    offer_id INTEGER NOT NULL,
    campaign_id INTEGER REFERENCES campaigns,
    position INTEGER NOT NULL,
    rule_type TEXT NOT NULL,
    status TEXT NOT NULL,
    conditions TEXT NOT NULL, -- a line each: target=value,value
    redirect_url TEXT,
    redirect_offer_id INTEGER REFERENCES offers,
    changed INTEGER NOT NULL,
    PRIMARY KEY (rule_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE caps (
    cap_id INTEGER PRIMARY KEY AUTOINCREMENT,
    offer_id INTEGER NOT NULL REFERENCES offers,
    campaign_id INTEGER REFERENCES campaigns,
    event_id INTEGER,
    cap_type TEXT NOT NULL,
    interval TEXT NOT NULL,
    limit_micros INTEGER NOT NULL, -- millionths of a click or conversion too
    at_cap TEXT NOT NULL,
    status TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;
