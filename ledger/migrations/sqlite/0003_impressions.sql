-- Impressions: counts by hour (UTC, its first moment). campaign_id is 0 where there is no campaign.

CREATE TABLE impressions (
    offer_id INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    affiliate_id INTEGER NOT NULL,
    campaign_id INTEGER NOT NULL,
    creative_id INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (offer_id, hour, affiliate_id, campaign_id, creative_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX impressions_hour ON impressions (hour);
