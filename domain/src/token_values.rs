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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Example;
    use crate::ids::ClickId;
    use crate::status::ConversionStatus;

    #[test]
    fn each_token_stands_for_its_value() {
        let mut example = Example::default();
        example.conversion.conversion_date = "2013-11-12T13:04:27.567Z".parse().expect("a date");
        example.click.ip_address = "198.51.100.9".parse().ok();
        let click_id = example.click.id.to_string();
        let zone = TimeZone::get("America/New_York").expect("a zone");
        let values = example.values(&zone);
        for (token, value) in [
            (Token::AffiliateId, "7"),
            (Token::OfferId, "12"),
            (Token::CampaignId, "21"),
            (Token::CreativeId, "34"),
            (Token::SubId(0), "sub-1"),
            (Token::SubId(4), "sub-5"),
            (Token::ClickId, &click_id),
            (Token::VisitorId, &click_id),
            (Token::Udid, "device-1"),
            (Token::ConversionId, "1042"),
            (Token::UniqueId, "ORD-98765"),
            (Token::OrderId, "98765"),
            (Token::Payout, "18.00"),
            (Token::Amount, "120.00"),
            (Token::ConversionStatus, "approved"),
            (Token::EventId, "1"),
            (Token::Adv(0), "adv-1"),
            (Token::Adv(4), "adv-5"),
            (Token::ConversionIp, "203.0.113.7"),
            (Token::ClickIp, "198.51.100.9"),
            (Token::UnixTime, "1384261467"),
            (Token::ConversionTime, "2013-11-12T08:04:27.5670000"),
        ] {
            assert_eq!(values.get(token), value, "{token:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_empty() {
        let mut example = Example::default();
        (example.conversion.campaign_id, example.conversion.price.amount) = (None, None);
        let zone = TimeZone::UTC;
        let values = TokenValues { click: None, address: "", ..example.values(&zone) };
        let unknown: Vec<_> = Token::all().filter(|it| values.get(*it).is_empty()).collect();
        let of_click: Vec<_> = Token::all().filter(|it| is_of_click(*it)).collect();
        assert_eq!(of_click, [Token::VisitorId, Token::Udid, Token::ClickIp]);
        for token in of_click.into_iter().chain([Token::CampaignId, Token::Amount, Token::ConversionIp]) {
            assert!(unknown.contains(&token), "{token:?}");
        }
        assert_eq!(unknown.len(), 6, "{unknown:?}");
    }

    #[test]
    fn a_visitor_is_known_by_its_first_click() {
        let mut example = Example::default();
        let zone = TimeZone::UTC;
        example.click.visitor_id = None;
        assert_eq!(example.values(&zone).get(Token::VisitorId), example.click.id.to_string());
        example.click.visitor_id = Some(ClickId::MIN);
        assert_eq!(example.values(&zone).get(Token::VisitorId), ClickId::MIN.to_string());
    }

    #[test]
    fn what_is_told_is_how_it_stood_by_the_cause() {
        let example = Example::default();
        let zone = TimeZone::UTC;
        let mut values = example.values(&zone);
        values.standing.status = ConversionStatus::Rejected;
        assert_eq!(values.get(Token::ConversionStatus), "rejected");
        assert_eq!(values.get(Token::Payout), "0.00");
    }

    #[test]
    fn what_is_a_number_reads_as_one() {
        let example = Example::default();
        let zone = TimeZone::UTC;
        let values = example.values(&zone);
        for token in Token::all().filter(|it| is_number(*it)) {
            let text = values.get(token);
            assert!(serde_json::from_str::<serde_json::Number>(&text).is_ok(), "{token:?}: {text}");
        }
    }
}
