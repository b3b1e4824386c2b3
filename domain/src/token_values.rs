//! What the tokens of a postback stand for.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::adjustment::Standing;
use crate::click::Click;
use crate::conversion::Conversion;
use crate::tokens::Token;

/// A conversion as one of its postbacks tells of it.
#[derive(Clone, Copy, Debug)]
pub struct TokenValues<'v> {
    /// The conversion.
    pub conversion: &'v Conversion,
    /// Where it stood by the cause: a later change has a delivery of its own.
    pub standing: Standing,
    /// Its click, where it is still kept.
    pub click: Option<&'v Click>,
    /// The address its call came from, where that is kept.
    pub address: &'v str,
    /// The zone that dates are printed in.
    pub zone: &'v TimeZone,
}

/// Whether a token's value is known by the click alone.
pub fn is_of_click(token: Token) -> bool {
    matches!(token, Token::VisitorId | Token::Udid | Token::ClickIp)
}

/// Whether a token's value is always a number, where there is one.
pub fn is_number(token: Token) -> bool {
    matches!(
        token,
        Token::AffiliateId
            | Token::OfferId
            | Token::CampaignId
            | Token::CreativeId
            | Token::ConversionId
            | Token::Payout
            | Token::Amount
            | Token::EventId
            | Token::UnixTime
    )
}

impl<'v> TokenValues<'v> {
    /// The value of a token; empty where there is none.
    pub fn get(&self, token: Token) -> Cow<'v, str> {
        let Self { conversion, standing, click, address, zone } = *self;
        let of_click = |value: fn(&Click) -> String| click.map(value).unwrap_or_default();
        match token {
            Token::AffiliateId => conversion.affiliate_id.to_string().into(),
            Token::OfferId => conversion.offer_id.to_string().into(),
            Token::CampaignId => conversion.campaign_id.map(|it| it.to_string()).unwrap_or_default().into(),
            Token::CreativeId => conversion.creative_id.to_string().into(),
            Token::SubId(index) => text(&conversion.sub_ids, index),
            Token::ClickId => conversion.click_id.to_string().into(),
            Token::VisitorId => of_click(|it| it.visitor_id.unwrap_or(it.id).to_string()).into(),
            Token::Udid => of_click(|it| it.udid.clone()).into(),
            Token::ConversionId => conversion.id.to_string().into(),
            Token::UniqueId => conversion.unique_id.as_str().into(),
            Token::OrderId => conversion.order_id.as_str().into(),
            Token::Payout => standing.worth().payout.to_string().into(),
            Token::Amount => conversion.price.amount.map(|it| it.to_string()).unwrap_or_default().into(),
            Token::ConversionStatus => standing.status.name().into(),
            Token::EventId => conversion.event_id.to_string().into(),
            Token::Adv(index) => text(&conversion.adv, index),
            Token::ConversionIp => address.into(),
            Token::ClickIp => {
                of_click(|it| it.ip_address.map(|it| it.to_string()).unwrap_or_default()).into()
            }
            Token::UnixTime => conversion.conversion_date.as_second().to_string().into(),
            Token::ConversionTime => source_time(conversion.conversion_date, zone).into(),
        }
    }
}

fn text(texts: &[String; 5], index: u8) -> Cow<'_, str> {
    texts.get(usize::from(index)).map_or("", String::as_str).into()
}

/// CAKE's form, seven digits of a second: `2013-11-12T13:04:27.5670000`.
fn source_time(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned(zone.clone()).datetime();
    format!(
        "{}T{:02}:{:02}:{:02}.{:07}",
        local.date(),
        local.hour(),
        local.minute(),
        local.second(),
        local.subsec_nanosecond() / 100
    )
}
