//! A click: one visitor sent on, or not, and why. How it is stored: `archive`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::Timestamp;
use thiserror::Error;

use crate::ids::{AdvertiserId, AffiliateId, CampaignId, ClickId, CreativeId, LandingPageId, OfferId};

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
    /// The landing page it was sent to, where the offer has several.
    pub landing_page_id: Option<LandingPageId>,
    /// The other offer it was sent to instead, where a redirect named one.
    pub redirect_offer_id: Option<OfferId>,
    /// Why the click went where it went.
    pub disposition: Disposition,
    /// The targeting rules tried, in order, and what each said: see `domain::targeting::Trail`.
    pub rules: String,
    /// The id of this visitor's first click; none when this is it.
    pub visitor_id: Option<ClickId>,
    /// The visitor's country.
    pub country: Country,
    /// The part of the country: the second half of an ISO 3166-2 code (`CA` of `US-CA`), or empty.
    pub region: String,
    /// The number of the autonomous system the address belongs to (AS number), where known.
    pub asn: Option<u32>,
    /// What kind of device the visitor uses.
    pub device: Device,
    /// The family of its operating system (`iOS`, `Windows`), or empty.
    pub os: String,
    /// The family of its browser (`Chrome`, `Safari`), or empty.
    pub browser: String,
    /// The language the visitor prefers: the first subtag, in lower case (`en`), or empty.
    pub language: String,
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
    /// A click of which only the id is known.
    pub fn blank(id: ClickId) -> Self {
        Self {
            id,
            offer_id: OfferId(0),
            advertiser_id: AdvertiserId(0),
            affiliate_id: AffiliateId(0),
            campaign_id: None,
            creative_id: CreativeId(0),
            landing_page_id: None,
            redirect_offer_id: None,
            disposition: Disposition::Accepted,
            rules: String::new(),
            visitor_id: None,
            country: Country::UNKNOWN,
            region: String::new(),
            asn: None,
            device: Device::Unknown,
            os: String::new(),
            browser: String::new(),
            language: String::new(),
            ip_address: None,
            sub_ids: <[String; 5]>::default(),
            user_agent: String::new(),
            referrer: String::new(),
            udid: String::new(),
            extra_query: String::new(),
            redirect_url: String::new(),
        }
    }

    /// The offer whose landing page the visitor reached, if any: the one the link asked for, or
    /// the one it was redirected to. Only that offer's advertiser can report a conversion.
    pub fn reached_offer_id(&self) -> Option<OfferId> {
        if self.disposition.reached_the_offer() { Some(self.offer_id) } else { self.redirect_offer_id }
    }

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
    /// The offer has not started, or this is not one of its hours.
    NotScheduled = 11,
    /// The visitor has converted on this offer already.
    AlreadyConverted = 12,
    /// The link was followed on a host that is none of the tracking domains.
    UnknownDomain = 13,
    /// The creative the link names is not shown any more.
    CreativeInactive = 14,
}

/// A text that names no disposition.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("no such disposition")]
pub struct UnknownDisposition;

impl Disposition {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 15] = [
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
        Self::NotScheduled,
        Self::AlreadyConverted,
        Self::UnknownDomain,
        Self::CreativeInactive,
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
            Self::NotScheduled => "not_scheduled",
            Self::AlreadyConverted => "already_converted",
            Self::UnknownDomain => "unknown_domain",
            Self::CreativeInactive => "creative_inactive",
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

/// What kind of device a visitor uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Device {
    /// Not known.
    #[default]
    Unknown = 0,
    /// A computer with a screen of its own.
    Desktop = 1,
    /// A phone.
    Mobile = 2,
    /// A tablet, which is not a phone.
    Tablet = 3,
    /// A television, or what is plugged into one.
    Tv = 4,
    /// A game console.
    Console = 5,
    /// A watch, a car, a speaker, a camera.
    Other = 6,
    /// No visitor: a robot.
    Bot = 7,
}

/// A text that names no device.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("no such device: use unknown, desktop, mobile, tablet, tv, console, other or bot")]
pub struct UnknownDevice;

impl Device {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Desktop,
        Self::Mobile,
        Self::Tablet,
        Self::Tv,
        Self::Console,
        Self::Other,
        Self::Bot,
    ];

    /// The stable code it is stored under.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The device stored under `code`.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Tv => "tv",
            Self::Console => "console",
            Self::Other => "other",
            Self::Bot => "bot",
        }
    }
}

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or(UnknownDevice)
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
        assert_eq!(Disposition::from_code(15), None);
    }

    #[test]
    fn every_device_round_trips_by_name_and_by_code() {
        for device in Device::ALL {
            assert_eq!(device.name().parse(), Ok(device));
            assert_eq!(Device::from_code(device.code()), Some(device));
        }
        assert_eq!(Device::from_code(8), None);
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
