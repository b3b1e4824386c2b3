-- What questions are answered from.

-- What conversions take over from their clicks, for reports; and when each was first approved.
ALTER TABLE conversions ADD COLUMN os TEXT NOT NULL DEFAULT '';
ALTER TABLE conversions ADD COLUMN browser TEXT NOT NULL DEFAULT '';
ALTER TABLE conversions ADD COLUMN referrer_host TEXT NOT NULL DEFAULT '';
ALTER TABLE conversions ADD COLUMN disposition TEXT NOT NULL DEFAULT 'accepted';
ALTER TABLE conversions ADD COLUMN approved_at INTEGER;
UPDATE conversions SET approved_at = CASE
    WHEN coalesce((SELECT from_status FROM adjustments WHERE adjustments.offer_id = conversions.offer_id
        AND adjustments.conversion_id = conversions.conversion_id AND booking = 1), status) = 'approved'
    THEN conversion_date
    ELSE (SELECT made_at FROM adjustments WHERE adjustments.offer_id = conversions.offer_id
        AND adjustments.conversion_id = conversions.conversion_id AND to_status = 'approved'
        ORDER BY booking LIMIT 1)
    END;
CREATE INDEX conversions_approved ON conversions (approved_at, conversion_id) WHERE approved_at IS NOT NULL;

-- Every booking of a conversion, 0 its recording, numbered in the order of their commits and without gaps:
-- the number given last is the version of the same name.
CREATE TABLE changes (
    change_id INTEGER PRIMARY KEY,
    offer_id INTEGER NOT NULL,
    conversion_id INTEGER NOT NULL,
    booking INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
-- What was there before is numbered by time, but a booking never before an earlier one of its conversion.
INSERT INTO changes (change_id, offer_id, conversion_id, booking, changed_at)
    SELECT row_number() OVER (ORDER BY reached, conversion_id, booking), offer_id, conversion_id, booking, made_at
    FROM (SELECT booked.*, max(made_at) OVER (PARTITION BY offer_id, conversion_id ORDER BY booking) AS reached
        FROM (SELECT offer_id, conversion_id, 0 AS booking, recorded_at AS made_at FROM conversions
            UNION ALL SELECT offer_id, conversion_id, booking, made_at FROM adjustments) AS booked) AS in_order;
INSERT INTO versions SELECT 'changes', count(*) FROM changes;
-- Raised by every erasure: it changes conversions and is no change of theirs.
INSERT INTO versions VALUES ('erasures', 1);

-- Impressions are counted by quarters of an hour: a day of a zone that is off by half hours is made of them.
ALTER TABLE impressions RENAME COLUMN hour TO quarter;
DROP INDEX impressions_hour;
CREATE INDEX impressions_quarter ON impressions (quarter);

-- Reports are made of conversions themselves.
DROP TABLE rollups;

-- What finds calls and conversions by what their senders know them by.
CREATE INDEX attempts_unique_id ON attempts (unique_id) WHERE unique_id <> '';
CREATE INDEX conversions_order ON conversions (order_id) WHERE order_id <> '';

-- An advertiser's file beside our conversions. counts: class=rows, separated by spaces; bridge, remarks: a line
-- each; batch_id: what accepted it.
CREATE TABLE reconciliations (
    reconciliation_id INTEGER PRIMARY KEY AUTOINCREMENT,
    advertiser_id INTEGER NOT NULL,
    starts INTEGER NOT NULL,
    until INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    actor TEXT NOT NULL,
    note TEXT NOT NULL,
    is_complete INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    counts TEXT NOT NULL,
    bridge TEXT NOT NULL,
    remarks TEXT NOT NULL,
    batch_id INTEGER
) STRICT;

-- position: from 1; line: of their file. adjustments: how many the conversion had.
CREATE TABLE reconciliation_rows (
    reconciliation_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    line INTEGER,
    class TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    conversion_id INTEGER,
    adjustments INTEGER,
    unique_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    click_id TEXT NOT NULL,
    their_amount INTEGER,
    their_payout INTEGER,
    their_status TEXT,
    their_currency TEXT,
    their_date INTEGER,
    our_amount INTEGER,
    our_status TEXT,
    our_currency TEXT,
    our_date INTEGER,
    PRIMARY KEY (reconciliation_id, position)
) STRICT, WITHOUT ROWID;
