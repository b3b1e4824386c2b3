//! A small network to test with.

use serde_json::Value;

use crate::client::{Client, encode};

/// An advertiser, an offer, an affiliate and the campaign between them.
#[derive(Clone, Debug)]
pub struct Network {
    /// The advertiser.
    pub advertiser_id: u64,
    /// The offer: pays 18.00, earns 22.00.
    pub offer_id: u64,
    /// The affiliate.
    pub affiliate_id: u64,
    /// The campaign.
    pub campaign_id: u64,
    /// The tracking link, from its path on.
    pub link: String,
}

/// Where the landing page would be.
const OFFER_URL: &str = "http://shop.example/landing?click_id={click_id}&s1=#s1#";

impl Network {
    /// Makes it.
    pub fn make(api: &Client) -> Self {
        let advertiser = create(api, "advertiser", "advertiser_name=Harbor+Insurance");
        Self::with_advertiser(api, id(&advertiser, "advertiser_id"))
    }

    /// Makes another one, of an advertiser that is there.
    pub fn with_advertiser(api: &Client, advertiser_id: u64) -> Self {
        let form = format!(
            "offer_name=Auto+Insurance+Quote&advertiser_id={advertiser_id}&offer_url={}&payout=18.00&revenue=22.00",
            encode(OFFER_URL)
        );
        let offer_id = id(&create(api, "offer", &form), "offer_id");
        let affiliate = create(api, "affiliate", "affiliate_name=MediaBridge+Partners");
        Self::between(api, advertiser_id, offer_id, id(&affiliate, "affiliate_id"))
    }

    /// Has another affiliate run the same offer.
    #[must_use]
    pub fn with_another_affiliate(&self, api: &Client) -> Self {
        let affiliate = create(api, "affiliate", "affiliate_name=Northwind+Traffic");
        Self::between(api, self.advertiser_id, self.offer_id, id(&affiliate, "affiliate_id"))
    }

    fn between(api: &Client, advertiser_id: u64, offer_id: u64, affiliate_id: u64) -> Self {
        let form = format!("offer_id={offer_id}&affiliate_id={affiliate_id}");
        let campaign = create(api, "campaign", &form);
        let link = campaign["tracking_link"].as_str().expect("a link");
        let link = link.strip_prefix("http://crumb").expect("on the host that was asked");
        Self {
            advertiser_id,
            offer_id,
            affiliate_id,
            campaign_id: id(&campaign, "campaign_id"),
            link: link.to_owned(),
        }
    }
}

/// Creates an entity and gives it as it was answered.
pub fn create(api: &Client, noun: &str, form: &str) -> Value {
    api.post_form(&format!("{noun}.json"), form).success()[noun].clone()
}

fn id(entity: &Value, name: &str) -> u64 {
    entity[name].as_u64().expect("a number")
}
