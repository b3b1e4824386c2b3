-- What questions are answered from.

-- What conversions take over from their clicks, for reports; and when each was first approved.
ALTER TABLE conversions ADD COLUMN os TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE conversions ADD COLUMN browser TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE conversions ADD COLUMN referrer_host TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE conversions ADD COLUMN disposition TEXT COLLATE "C" NOT NULL DEFAULT 'accepted';
ALTER TABLE conversions ADD COLUMN approved_at BIGINT;
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
    change_id BIGINT NOT NULL,
    offer_id BIGINT NOT NULL,
    conversion_id BIGINT NOT NULL,
    booking BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (change_id, offer_id)
);
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
