//! Impressions: how often a creative was shown. They are counted, not kept one by one.

use jiff::Timestamp;

use crate::ids::{AffiliateId, CampaignId, CreativeId, OfferId};

/// What impressions are counted by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ImpressionKey {
    /// The quarter of an hour they were shown in: its first moment. Days of every zone are made of them. What was
    /// counted by earlier releases stands in the first quarter of its hour.
    pub quarter: Timestamp,
    /// The offer.
    pub offer_id: OfferId,
    /// Who showed it.
    pub affiliate_id: AffiliateId,
    /// The affiliate's campaign on the offer, where there is one.
    pub campaign_id: Option<CampaignId>,
    /// What was shown.
    pub creative_id: CreativeId,
}

/// A number of impressions of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Impressions {
    /// Of which kind.
    pub key: ImpressionKey,
    /// How many.
    pub count: u64,
}

/// The clocks of every zone of today differ from UTC by a multiple of it.
const QUARTER_SECONDS: i64 = 15 * 60;

/// The first moment of the quarter of an hour that a moment lies in.
pub fn quarter_of(at: Timestamp) -> Timestamp {
    let second = at.as_microsecond().div_euclid(1_000_000);
    Timestamp::from_second(second - second.rem_euclid(QUARTER_SECONDS)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_begins_with_its_first_moment() {
        for (at, quarter) in [
            ("2026-06-19T14:00:00Z", "2026-06-19T14:00:00Z"),
            ("2026-06-19T14:14:59.999999Z", "2026-06-19T14:00:00Z"),
            ("2026-06-19T14:59:59.999999Z", "2026-06-19T14:45:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:45:00Z"),
        ] {
            let parsed = |text: &str| text.parse().expect("a time");
            assert_eq!(quarter_of(parsed(at)), parsed(quarter), "{at}");
        }
        assert_eq!(quarter_of(Timestamp::MIN), Timestamp::MIN);
    }
}
