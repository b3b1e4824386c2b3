-- Impressions: counts by hour (UTC, its first moment). campaign_id is 0 where there is no campaign.

CREATE TABLE impressions (
    offer_id BIGINT NOT NULL,
    hour BIGINT NOT NULL,
    affiliate_id BIGINT NOT NULL,
    campaign_id BIGINT NOT NULL,
    creative_id BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (offer_id, hour, affiliate_id, campaign_id, creative_id)
);
CREATE INDEX impressions_hour ON impressions (hour);
