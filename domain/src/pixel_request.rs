//! Reading a call of `p.ashx`: without a key, and often without a click id. Which click it means is
//! found by what the call says, or by what the browser remembers.

use jiff::{SignedDuration, Timestamp};

use crate::attribution::Footprint;
use crate::conversion::ConversionCall;
use crate::conversion_request::{BadParameter, Circumstances, Fields, Parameters};
use crate::dialect::CallField;
use crate::ids::{AdvertiserId, ClickId, OfferId};
use crate::network::Offer;

/// By what a call finds its click.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClickBy {
    /// By its id, as sent.
    Id(String),
    /// By the device key that its link carried.
    DeviceKey(String),
    /// By the browser's cookies.
    Cookie,
}

/// A call of `p.ashx`, read and valid in itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PixelRequest {
    /// By what it finds its click.
    pub click: ClickBy,
    /// The offer it names.
    pub offer_id: Option<OfferId>,
    /// The advertiser it names.
    pub advertiser_id: Option<AdvertiserId>,
    rest: ConversionCall,
}

/// Reads a call. Without a click id it must say whose click is meant: the offer's or the advertiser's. It
/// is dated when it arrives: nobody without a key dates a conversion.
pub fn read(
    sent: &dyn Parameters,
    raw: String,
    circumstances: Circumstances<'_>,
) -> Result<PixelRequest, BadParameter> {
    let fields = Fields::of(sent);
    let click_id = fields.click_id()?;
    let offer_id = fields.id(CallField::OfferId, "an offer id")?;
    let advertiser_id = fields.id(CallField::AdvertiserId, "an advertiser id")?;
    if click_id.is_none() && offer_id.is_none() && advertiser_id.is_none() {
        return Err(BadParameter::missing("o"));
    }
    let rest = fields.rest(raw, circumstances)?;
    let click = match click_id {
        Some(id) => ClickBy::Id(id),
        None if rest.details.device_key.is_empty() => ClickBy::Cookie,
        None => ClickBy::DeviceKey(rest.details.device_key.clone()),
    };
    Ok(PixelRequest { click, offer_id, advertiser_id, rest })
}

impl PixelRequest {
    /// The call, now that click and offer are known.
    pub fn into_call(self, click_id: String, offer_id: OfferId) -> ConversionCall {
        ConversionCall { click_id, offer_id, ..self.rest }
    }
}

/// The click that a visitor's conversion on the offer is credited to: the footprint's, or the last one
/// where that one's session is over.
pub fn credited(footprint: &Footprint, offer: &Offer, now: Timestamp) -> ClickId {
    let age = now.duration_since(footprint.credited.time());
    let in_session = age <= SignedDuration::from_secs(i64::from(offer.session_seconds));
    if in_session { footprint.credited } else { footprint.last }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversion_request::tests::{Sent, circumstances};
    use crate::ids::{AffiliateId, ClickIdMint, CreativeId, NodeNumber};
    use crate::network::sample;

    fn request(sent: &[(&str, &str)]) -> Result<PixelRequest, BadParameter> {
        read(&Sent(sent, &[]), "raw".into(), circumstances())
    }

    #[test]
    fn a_click_is_found_by_its_id_or_else_the_device_key_or_else_the_cookie() {
        let check = |sent: &[(&str, &str)], expected: ClickBy| {
            assert_eq!(request(sent).expect("valid").click, expected, "{sent:?}");
        };
        check(&[("r", "c1"), ("k", "dev"), ("o", "2")], ClickBy::Id("c1".into()));
        check(&[("transaction_id", "c1")], ClickBy::Id("c1".into()));
        check(&[("k", "dev"), ("o", "2")], ClickBy::DeviceKey("dev".into()));
        check(&[("r", "{transaction_id}"), ("k", "dev"), ("a", "2")], ClickBy::DeviceKey("dev".into()));
        check(&[("k", "#udid#"), ("o", "2")], ClickBy::Cookie);
        check(&[("a", "1")], ClickBy::Cookie);
    }

    #[test]
    fn without_a_click_id_it_must_be_said_whose_click_is_meant() {
        for sent in [&[][..], &[("k", "dev")], &[("o", "{offer_id}"), ("r", "#reqid#")]] {
            assert_eq!(request(sent), Err(BadParameter::missing("o")), "{sent:?}");
        }
        let refused = request(&[("a", "x"), ("r", "c1")]).expect_err("refused");
        assert_eq!(refused.message(), "a: not an advertiser id: use a whole number");
        let found = request(&[("a", "7"), ("offer_id", "2"), ("r", "c1")]).expect("valid");
        assert_eq!((found.advertiser_id, found.offer_id), (Some(AdvertiserId(7)), Some(OfferId(2))));
    }

    #[test]
    fn a_call_without_a_key_is_dated_when_it_arrives() {
        let sent = [("r", "c1"), ("conversion_date", "1999-01-01"), ("t", "ORD-1"), ("ap", "5")];
        let call = request(&sent).expect("valid").into_call("c1".into(), OfferId(2));
        assert_eq!(call.conversion_date, circumstances().now);
        assert_eq!((call.click_id.as_str(), call.offer_id, &*call.unique_id), ("c1", OfferId(2), "ORD-1"));
        assert_eq!((call.payout.map(|it| it.to_string()), &*call.raw), (Some("5.00".into()), "raw"));
    }

    #[test]
    fn a_click_is_credited_as_long_as_its_session_lasts() {
        let at = |second| Timestamp::from_second(second).expect("in range");
        let id = |second| ClickIdMint::after(NodeNumber::new(1).expect("in range"), None).mint(at(second), 7);
        let footprint = Footprint {
            credited: id(100),
            last: id(900),
            affiliate_id: AffiliateId(4),
            creative_id: CreativeId(3),
        };
        let mut offer = sample::entities().offers.remove(0);
        offer.session_seconds = 1000;
        assert_eq!(credited(&footprint, &offer, at(1100)), id(100));
        assert_eq!(credited(&footprint, &offer, at(1101)), id(900));
    }
}
