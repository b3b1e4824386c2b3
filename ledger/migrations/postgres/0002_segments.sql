-- Clicks that reached an offer, counted when a segment is written. Null: catalogued before that.
-- Pairs of id and count, like rows_by_offer.

ALTER TABLE segments ADD COLUMN reached_by_offer BYTEA;
ALTER TABLE segments ADD COLUMN reached_by_campaign BYTEA;

-- How often a segment's clicks were rewritten, and whether their visitors' data is blanked.
ALTER TABLE segments ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE segments ADD COLUMN visitors_blanked BIGINT NOT NULL DEFAULT 0;

-- Clicks whose visitor's data somebody wants gone. Not done: null.
CREATE TABLE erasures (
    click_id BYTEA PRIMARY KEY,
    requested BIGINT NOT NULL,
    done BIGINT
);
