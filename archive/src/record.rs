//! A click as the journal holds it: one byte of format version, then the fields in `postcard`.
//! Written once per click on the hot path, read at start, at look-up and at sealing. A later version
//! appends its fields to those of the one before.

use std::net::IpAddr;

use domain::click::{Click, Country, Device, Disposition};
use domain::ids::{AdvertiserId, AffiliateId, CampaignId, ClickId, CreativeId, LandingPageId, OfferId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version written. A reader refuses the ones it does not know; old ones stay readable as
/// long as a journal may hold them.
const VERSION: u8 = 2;

/// Why bytes are not the record of a click.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// Written by another version of the program.
    #[error("unknown record version {0}")]
    UnknownVersion(u8),
    /// Not a record, or not all of one.
    #[error("malformed record")]
    Malformed,
}

/// Appends the record of `click` to `out`.
pub fn encode(click: &Click, out: &mut Vec<u8>) {
    out.push(VERSION);
    postcard::to_io(&Record::from(click), out).expect("a vector takes every byte");
}

/// The click whose record `bytes` is, to the last byte.
pub fn decode(bytes: &[u8]) -> Result<Click, RecordError> {
    Record::parse(bytes).map(|record| record.to_click())
}

/// The fields, borrowed. Their order is the format.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record<'a> {
    #[serde(borrow)]
    pub first: First<'a>,
    #[serde(borrow)]
    pub second: Second<'a>,
}

/// What most questions are about: with these fields the records of all versions begin.
#[derive(Deserialize)]
pub(crate) struct Head {
    _id: [u8; 16],
    pub offer_id: u32,
    pub advertiser_id: u32,
    pub affiliate_id: u32,
    pub campaign_id: Option<u32>,
    pub creative_id: u32,
    disposition: u8,
    country: [u8; 2],
}

impl Head {
    /// The beginning of a record that `Record::parse` has read before.
    pub fn of_parsed(bytes: &[u8]) -> Self {
        let fields = bytes.get(1..).unwrap_or_default();
        postcard::take_from_bytes(fields).map(|(head, _)| head).expect("`Record::parse` has read more")
    }

    pub fn disposition(&self) -> Disposition {
        Disposition::from_code(self.disposition).expect("checked by `Record::parse`")
    }

    pub fn country(&self) -> Country {
        country(self.country).expect("checked by `Record::parse`")
    }
}

/// What version 1 has.
#[derive(Serialize, Deserialize)]
pub(crate) struct First<'a> {
    id: [u8; 16],
    pub offer_id: u32,
    pub advertiser_id: u32,
    pub affiliate_id: u32,
    pub campaign_id: Option<u32>,
    pub creative_id: u32,
    disposition: u8,
    country: [u8; 2],
    ip_address: Option<Address>,
    pub sub_ids: [&'a str; 5],
    pub user_agent: &'a str,
    pub referrer: &'a str,
    pub udid: &'a str,
    pub extra_query: &'a str,
    pub redirect_url: &'a str,
}

/// What version 2 adds.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Second<'a> {
    pub landing_page_id: Option<u32>,
    pub redirect_offer_id: Option<u32>,
    pub rules: &'a str,
    visitor_id: Option<[u8; 16]>,
    pub region: &'a str,
    pub asn: Option<u32>,
    device: u8,
    pub os: &'a str,
    pub browser: &'a str,
    pub language: &'a str,
}

/// An address as its bytes.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl<'a> Record<'a> {
    /// Reads a record whole; what it returns converts to a click without fail.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (&version, fields) = bytes.split_first().ok_or(RecordError::Malformed)?;
        let fields = match version {
            1 => postcard::take_from_bytes(fields)
                .map(|(first, rest)| (Self { first, second: Second::default() }, rest)),
            VERSION => postcard::take_from_bytes(fields),
            unknown => return Err(RecordError::UnknownVersion(unknown)),
        };
        match fields {
            Ok((record, [])) if record.codes_are_known() => Ok(record),
            _ => Err(RecordError::Malformed),
        }
    }

    fn codes_are_known(&self) -> bool {
        Disposition::from_code(self.first.disposition).is_some()
            && country(self.first.country).is_some()
            && Device::from_code(self.second.device).is_some()
    }

    pub fn id(&self) -> ClickId {
        ClickId::from_bytes(self.first.id)
    }

    pub fn disposition(&self) -> Disposition {
        Disposition::from_code(self.first.disposition).expect("checked by `parse`")
    }

    pub fn country(&self) -> Country {
        country(self.first.country).expect("checked by `parse`")
    }

    pub fn device(&self) -> Device {
        Device::from_code(self.second.device).expect("checked by `parse`")
    }

    pub fn visitor_id(&self) -> Option<ClickId> {
        self.second.visitor_id.map(ClickId::from_bytes)
    }

    pub fn ip_address(&self) -> Option<IpAddr> {
        self.first.ip_address.map(|address| match address {
            Address::V4(bytes) => bytes.into(),
            Address::V6(bytes) => bytes.into(),
        })
    }

    pub fn to_click(&self) -> Click {
        let Self { first, second } = self;
        Click {
            id: self.id(),
            offer_id: OfferId(first.offer_id),
            advertiser_id: AdvertiserId(first.advertiser_id),
            affiliate_id: AffiliateId(first.affiliate_id),
            campaign_id: first.campaign_id.map(CampaignId),
            creative_id: CreativeId(first.creative_id),
            landing_page_id: second.landing_page_id.map(LandingPageId),
            redirect_offer_id: second.redirect_offer_id.map(OfferId),
            disposition: self.disposition(),
            rules: second.rules.to_owned(),
            visitor_id: self.visitor_id(),
            country: self.country(),
            region: second.region.to_owned(),
            asn: second.asn,
            device: self.device(),
            os: second.os.to_owned(),
            browser: second.browser.to_owned(),
            language: second.language.to_owned(),
            ip_address: self.ip_address(),
            sub_ids: first.sub_ids.map(str::to_owned),
            user_agent: first.user_agent.to_owned(),
            referrer: first.referrer.to_owned(),
            udid: first.udid.to_owned(),
            extra_query: first.extra_query.to_owned(),
            redirect_url: first.redirect_url.to_owned(),
        }
    }
}

impl<'a> From<&'a Click> for Record<'a> {
    fn from(click: &'a Click) -> Self {
        let first = First {
            id: click.id.to_bytes(),
            offer_id: click.offer_id.0,
            advertiser_id: click.advertiser_id.0,
            affiliate_id: click.affiliate_id.0,
            campaign_id: click.campaign_id.map(|id| id.0),
            creative_id: click.creative_id.0,
            disposition: click.disposition.code(),
            country: click.country.as_str().as_bytes().try_into().unwrap_or([0, 0]),
            ip_address: click.ip_address.map(|address| match address {
                IpAddr::V4(address) => Address::V4(address.octets()),
                IpAddr::V6(address) => Address::V6(address.octets()),
            }),
            sub_ids: click.sub_ids.each_ref().map(String::as_str),
            user_agent: &click.user_agent,
            referrer: &click.referrer,
            udid: &click.udid,
            extra_query: &click.extra_query,
            redirect_url: &click.redirect_url,
        };
        let second = Second {
            landing_page_id: click.landing_page_id.map(|id| id.0),
            redirect_offer_id: click.redirect_offer_id.map(|id| id.0),
            rules: &click.rules,
            visitor_id: click.visitor_id.map(ClickId::to_bytes),
            region: &click.region,
            asn: click.asn,
            device: click.device.code(),
            os: &click.os,
            browser: &click.browser,
            language: &click.language,
        };
        Self { first, second }
    }
}

fn country(letters: [u8; 2]) -> Option<Country> {
    if letters == [0, 0] {
        return Some(Country::UNKNOWN);
    }
    Country::new(str::from_utf8(&letters).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_click() -> impl Strategy<Value = Click> {
        let text = || prop_oneof![Just(String::new()), any::<String>()];
        let numbers = (any::<[u32; 4]>(), any::<[Option<u32>; 4]>(), any::<Option<u128>>());
        let codes = (0..Disposition::ALL.len(), 0..Device::ALL.len(), "[A-Z]{2}|");
        let texts = prop::array::uniform15(text());
        (any::<u128>(), numbers, codes, any::<Option<IpAddr>>(), texts).prop_map(
            |(id, (ids, optional, visitor), (disposition, device, country), ip_address, texts)| {
                let [s1, s2, s3, s4, s5, user_agent, referrer, udid, extra_query, redirect_url, rest @ ..] =
                    texts;
                let [rules, region, os, browser, language] = rest;
                let click_id = |number: u128| ClickId::from_bytes(number.to_be_bytes());
                Click {
                    id: click_id(id),
                    offer_id: OfferId(ids[0]),
                    advertiser_id: AdvertiserId(ids[1]),
                    affiliate_id: AffiliateId(ids[2]),
                    campaign_id: optional[0].map(CampaignId),
                    creative_id: CreativeId(ids[3]),
                    landing_page_id: optional[1].map(LandingPageId),
                    redirect_offer_id: optional[2].map(OfferId),
                    disposition: Disposition::ALL[disposition],
                    rules,
                    visitor_id: visitor.map(click_id),
                    country: Country::new(&country).unwrap_or_default(),
                    region,
                    asn: optional[3],
                    device: Device::ALL[device],
                    os,
                    browser,
                    language,
                    ip_address,
                    sub_ids: [s1, s2, s3, s4, s5],
                    user_agent,
                    referrer,
                    udid,
                    extra_query,
                    redirect_url,
                }
            },
        )
    }

    /// The click with what version 1 does not know left out, and its record.
    fn of_version_1(click: &Click) -> (Click, Vec<u8>) {
        let mut bytes = vec![1];
        postcard::to_io(&Record::from(click).first, &mut bytes).expect("a vector takes every byte");
        let Record { first, .. } = Record::from(click);
        (Record { first, second: Second::default() }.to_click(), bytes)
    }

    fn encoded(click: &Click) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(click, &mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn a_records_head_is_what_the_record_begins_with(click in any_click()) {
            for bytes in [encoded(&click), of_version_1(&click).1] {
                let (head, record) = (Head::of_parsed(&bytes), Record::parse(&bytes).expect("a record"));
                prop_assert_eq!(head.offer_id, record.first.offer_id);
                prop_assert_eq!(head.advertiser_id, record.first.advertiser_id);
                prop_assert_eq!(head.affiliate_id, record.first.affiliate_id);
                prop_assert_eq!(head.campaign_id, record.first.campaign_id);
                prop_assert_eq!(head.creative_id, record.first.creative_id);
                prop_assert_eq!(head.disposition(), record.disposition());
                prop_assert_eq!(head.country(), record.country());
            }
        }

        #[test]
        fn a_record_round_trips(click in any_click()) {
            prop_assert_eq!(decode(&encoded(&click)), Ok(click));
        }

        #[test]
        fn a_record_of_version_1_is_a_click_without_what_came_later(click in any_click()) {
            let (expected, mut bytes) = of_version_1(&click);
            prop_assert_eq!(decode(&bytes), Ok(expected));
            bytes.push(0);
            prop_assert_eq!(decode(&bytes), Err(RecordError::Malformed));
        }

        #[test]
        fn any_bytes_are_a_click_or_an_error(mut bytes: Vec<u8>) {
            decode(&bytes).ok();
            bytes.insert(0, VERSION);
            decode(&bytes).ok();
        }

        #[test]
        fn a_damaged_record_is_a_click_or_an_error(click in any_click(), at: prop::sample::Index, bit in 0..8) {
            let mut bytes = encoded(&click);
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            decode(&bytes).ok();
        }

        #[test]
        fn a_record_cut_short_or_with_more_behind_it_is_refused(click in any_click(), at: prop::sample::Index) {
            let mut bytes = encoded(&click);
            prop_assert!(decode(&bytes[..at.index(bytes.len())]).is_err());
            bytes.push(0);
            prop_assert_eq!(decode(&bytes), Err(RecordError::Malformed));
        }
    }

    #[test]
    fn a_record_of_another_version_is_refused() {
        assert_eq!(decode(&[3, 0, 0]), Err(RecordError::UnknownVersion(3)));
        assert_eq!(decode(&[]), Err(RecordError::Malformed));
    }
}
