//! A conversion that never was: what postbacks are tried out with before there is a real one.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::adjustment::Standing;
use crate::click::{Click, Country, Device};
use crate::conversion::{Conversion, Price};
use crate::details::Door;
use crate::ids::{
    AdvertiserId, AffiliateId, CampaignId, ClickId, ConversionId, CreativeId, EventId, OfferId,
};
use crate::money::{Amount, Currency};
use crate::pricing::{PriceScope, PriceSource};
use crate::report::host_of;
use crate::status::ConversionStatus;
use crate::token_values::TokenValues;

/// Friday, 19 June 2026, 14:30 UTC, in Unix seconds.
const CONVERTED_AT: i64 = 1_781_879_400;
/// The click's id, a quarter of an hour before.
const CLICK_ID: u128 = 0x019e_e03c_2aa0_7001_8000_00c0_ffee_c0de;
/// Of the range that is kept for documentation.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

/// An approved conversion with its click: every token has a value.
#[derive(Clone, Debug)]
pub struct Example {
    /// The conversion.
    pub conversion: Conversion,
    /// Its click.
    pub click: Click,
    /// The address its call came from.
    pub address: String,
}

impl Default for Example {
    fn default() -> Self {
        let click = click();
        Self { conversion: conversion(&click), click, address: ADDRESS.to_string() }
    }
}

impl Example {
    /// What tokens stand for in it, dates in this zone.
    pub fn values<'v>(&'v self, zone: &'v TimeZone) -> TokenValues<'v> {
        TokenValues {
            conversion: &self.conversion,
            standing: self.conversion.standing,
            click: Some(&self.click),
            address: &self.address,
            zone,
        }
    }
}

fn click() -> Click {
    let id = ClickId::from_bytes(CLICK_ID.to_be_bytes());
    Click {
        offer_id: OfferId(12),
        advertiser_id: AdvertiserId(3),
        affiliate_id: AffiliateId(7),
        campaign_id: Some(CampaignId(21)),
        creative_id: CreativeId(34),
        visitor_id: Some(id),
        country: Country::new("US").unwrap_or(Country::UNKNOWN),
        device: Device::Mobile,
        ip_address: Some(IpAddr::V4(ADDRESS)),
        sub_ids: numbered("sub"),
        udid: "device-1".to_owned(),
        ..Click::blank(id)
    }
}

fn conversion(click: &Click) -> Conversion {
    let amount = |units: i64| Amount::from_micros(units * 1_000_000).unwrap_or(Amount::ZERO);
    let source = PriceSource::flat(PriceScope::Offer);
    let price = Price {
        payout: amount(18),
        payout_source: source,
        revenue: amount(22),
        revenue_source: source,
        amount: Some(amount(120)),
    };
    let at = Timestamp::from_second(CONVERTED_AT).unwrap_or(Timestamp::UNIX_EPOCH);
    Conversion {
        id: ConversionId(1042),
        offer_id: click.offer_id,
        advertiser_id: click.advertiser_id,
        affiliate_id: click.affiliate_id,
        campaign_id: click.campaign_id,
        creative_id: click.creative_id,
        click_id: click.id,
        event_id: EventId(1),
        door: Door::Api,
        batch_id: None,
        unique_id: "ORD-98765".to_owned(),
        order_id: "98765".to_owned(),
        adv: numbered("adv"),
        sub_ids: click.sub_ids.clone(),
        country: click.country,
        device: click.device,
        os: click.os.clone(),
        browser: click.browser.clone(),
        referrer_host: host_of(&click.referrer),
        disposition: click.disposition,
        currency: Currency::USD,
        exchange_rate: None,
        price,
        cap_id: None,
        standing: Standing { status: ConversionStatus::Approved, price: price.worth() },
        adjustments: 0,
        details: String::new(),
        approve_at: None,
        approved_at: Some(at),
        conversion_date: at,
        recorded_at: at,
        last_updated: at,
    }
}

fn numbered(prefix: &str) -> [String; 5] {
    std::array::from_fn(|index| format!("{prefix}-{}", index + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Token;

    #[test]
    fn every_token_has_a_value() {
        let example = Example::default();
        let zone = TimeZone::UTC;
        let values = example.values(&zone);
        for token in Token::all() {
            assert!(!values.get(token).is_empty(), "{token:?}");
        }
        assert_eq!(example.conversion.conversion_date.to_string(), "2026-06-19T14:30:00Z");
        assert_eq!(example.click.id.time().to_string(), "2026-06-19T14:15:00Z");
    }
}
