//! A click as the journal holds it: one byte of format version, then the fields in `postcard`.
//! Written once per click on the hot path, read at start, at look-up and at sealing.

use std::net::IpAddr;

use domain::click::{Click, Country, Disposition};
use domain::ids::{AdvertiserId, AffiliateId, CampaignId, ClickId, CreativeId, OfferId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version written. A reader refuses the ones it does not know; old ones stay readable as
/// long as a journal may hold them.
const VERSION: u8 = 1;

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
        if version != VERSION {
            return Err(RecordError::UnknownVersion(version));
        }
        match postcard::take_from_bytes::<Self>(fields) {
            Ok((record, [])) if record.codes_are_known() => Ok(record),
            _ => Err(RecordError::Malformed),
        }
    }

    fn codes_are_known(&self) -> bool {
        Disposition::from_code(self.disposition).is_some() && country(self.country).is_some()
    }

    pub fn id(&self) -> ClickId {
        ClickId::from_bytes(self.id)
    }

    pub fn disposition(&self) -> Disposition {
        Disposition::from_code(self.disposition).expect("checked by `parse`")
    }

    pub fn country(&self) -> Country {
        country(self.country).expect("checked by `parse`")
    }

    pub fn ip_address(&self) -> Option<IpAddr> {
        self.ip_address.map(|address| match address {
            Address::V4(bytes) => bytes.into(),
            Address::V6(bytes) => bytes.into(),
        })
    }

    pub fn to_click(&self) -> Click {
        Click {
            offer_id: OfferId(self.offer_id),
            advertiser_id: AdvertiserId(self.advertiser_id),
            affiliate_id: AffiliateId(self.affiliate_id),
            campaign_id: self.campaign_id.map(CampaignId),
            creative_id: CreativeId(self.creative_id),
            disposition: self.disposition(),
            country: self.country(),
            ip_address: self.ip_address(),
            sub_ids: self.sub_ids.map(str::to_owned),
            user_agent: self.user_agent.to_owned(),
            referrer: self.referrer.to_owned(),
            udid: self.udid.to_owned(),
            extra_query: self.extra_query.to_owned(),
            redirect_url: self.redirect_url.to_owned(),
            ..Click::blank(self.id())
        }
    }
}

impl<'a> From<&'a Click> for Record<'a> {
    fn from(click: &'a Click) -> Self {
        Self {
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
        }
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
        let numbers = (any::<[u32; 4]>(), any::<Option<u32>>(), 0usize..11, "[A-Z]{2}|");
        (any::<u128>(), numbers, any::<Option<IpAddr>>(), prop::array::uniform10(text())).prop_map(
            |(id, ([offer, advertiser, affiliate, creative], campaign, disposition, country), ip, texts)| {
                let [s1, s2, s3, s4, s5, user_agent, referrer, udid, extra_query, redirect_url] = texts;
                Click {
                    offer_id: OfferId(offer),
                    advertiser_id: AdvertiserId(advertiser),
                    affiliate_id: AffiliateId(affiliate),
                    campaign_id: campaign.map(CampaignId),
                    creative_id: CreativeId(creative),
                    disposition: Disposition::ALL[disposition],
                    country: Country::new(&country).unwrap_or_default(),
                    ip_address: ip,
                    sub_ids: [s1, s2, s3, s4, s5],
                    user_agent,
                    referrer,
                    udid,
                    extra_query,
                    redirect_url,
                    ..Click::blank(ClickId::from_bytes(id.to_be_bytes()))
                }
            },
        )
    }

    fn encoded(click: &Click) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(click, &mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn a_record_round_trips(click in any_click()) {
            prop_assert_eq!(decode(&encoded(&click)), Ok(click));
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
        assert_eq!(decode(&[2, 0, 0]), Err(RecordError::UnknownVersion(2)));
        assert_eq!(decode(&[]), Err(RecordError::Malformed));
    }
}
