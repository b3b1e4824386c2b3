//! A click: one visitor sent on, or not, and why. How it is stored: `archive`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::Timestamp;
use thiserror::Error;

use crate::ids::{AdvertiserId, AffiliateId, CampaignId, ClickId, CreativeId, OfferId};

/// One visitor who followed a tracking link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Click {
    /// The id, which also says when (to the millisecond) and on which node.
    pub id: ClickId,
    /// The offer the link asked for.
    pub offer_id: OfferId,
    /// The advertiser of that offer.
    pub advertiser_id: AdvertiserId,
    /// Who sent the visitor.
    pub affiliate_id: AffiliateId,
    /// The campaign of that affiliate on that offer, where there is one.
    pub campaign_id: Option<CampaignId>,
    /// The creative the link named.
    pub creative_id: CreativeId,
    /// Why the click went where it went.
    pub disposition: Disposition,
    /// The visitor's country.
    pub country: Country,
    /// The visitor's address, unless it is not kept.
    pub ip_address: Option<IpAddr>,
    /// The affiliate's `s1` to `s5`, as sent.
    pub sub_ids: [String; 5],
    /// The `User-Agent` header, as sent.
    pub user_agent: String,
    /// The `Referer` header, as sent.
    pub referrer: String,
    /// The device id a mobile network passed on (`udid`).
    pub udid: String,
    /// Parameters of the link that have no field of their own, as sent.
    pub extra_query: String,
    /// Where the visitor was sent, its tokens not yet expanded; empty for the built-in page.
    pub redirect_url: String,
}

impl Click {
    /// When the click was recorded, to the millisecond.
    pub fn date(&self) -> Timestamp {
        self.id.time()
    }
}

/// Why a click went where it went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Disposition {
    /// Sent to the offer's landing page.
    Accepted = 0,
    /// The offer, or its advertiser, is not active.
    OfferInactive = 1,
    /// The offer's expiration date has passed.
    OfferExpired = 2,
    /// The affiliate is not active.
    AffiliateInactive = 3,
    /// The affiliate has no active campaign on the offer.
    CampaignInactive = 4,
    /// The visitor's place is not targeted.
    GeoBlocked = 5,
    /// The visitor's device is not targeted.
    DeviceBlocked = 6,
    /// Another targeting rule said no.
    RuleBlocked = 7,
    /// A click cap was used up.
    Capped = 8,
    /// The same visitor again, within the throw-out period.
    Duplicate = 9,
    /// A robot.
    Bot = 10,
}

/// A text that names no disposition.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("no such disposition")]
pub struct UnknownDisposition;

impl Disposition {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 11] = [
        Self::Accepted,
        Self::OfferInactive,
        Self::OfferExpired,
        Self::AffiliateInactive,
        Self::CampaignInactive,
        Self::GeoBlocked,
        Self::DeviceBlocked,
        Self::RuleBlocked,
        Self::Capped,
        Self::Duplicate,
        Self::Bot,
    ];

    /// The stable code it is stored under.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The disposition stored under `code`.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::OfferInactive => "offer_inactive",
            Self::OfferExpired => "offer_expired",
            Self::AffiliateInactive => "affiliate_inactive",
            Self::CampaignInactive => "campaign_inactive",
            Self::GeoBlocked => "geo_blocked",
            Self::DeviceBlocked => "device_blocked",
            Self::RuleBlocked => "rule_blocked",
            Self::Capped => "capped",
            Self::Duplicate => "duplicate",
            Self::Bot => "bot",
        }
    }

    /// Whether the visitor reached the landing page of the offer the link asked for.
    pub fn reached_the_offer(self) -> bool {
        matches!(self, Self::Accepted | Self::Duplicate)
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Disposition {
    type Err = UnknownDisposition;

    fn from_str(text: &str) -> Result<Self, UnknownDisposition> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or(UnknownDisposition)
    }
}

/// A country: two upper-case letters (ISO 3166-1 alpha-2), or unknown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Country([u8; 2]);

impl Country {
    /// Not known.
    pub const UNKNOWN: Self = Self([0, 0]);

    /// The country of a two-letter code, in either case.
    pub fn new(code: &str) -> Option<Self> {
        match code.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// The two letters, or `""` when unknown.
    pub fn as_str(&self) -> &str {
        if *self == Self::UNKNOWN { "" } else { std::str::from_utf8(&self.0).expect("two ASCII letters") }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disposition_round_trips_by_name_and_by_code() {
        for disposition in Disposition::ALL {
            assert_eq!(disposition.name().parse(), Ok(disposition));
            assert_eq!(Disposition::from_code(disposition.code()), Some(disposition));
        }
        assert_eq!(Disposition::from_code(11), None);
    }

    #[test]
    fn a_country_is_two_letters_or_unknown() {
        assert_eq!(Country::new("us").expect("valid").as_str(), "US");
        for code in ["", "U", "USA", "U1", "é"] {
            assert_eq!(Country::new(code), None, "{code}");
        }
        assert_eq!(Country::UNKNOWN.as_str(), "");
    }
}
