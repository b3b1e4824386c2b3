//! A small network: one advertiser, one offer, one affiliate, one campaign.

use crate::Client;

/// The numbers of what was made.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The advertiser.
    pub advertiser_id: String,
    /// The offer: pays 18.00, earns 22.00.
    pub offer_id: String,
    /// Its default creative.
    pub creative_id: String,
    /// The affiliate.
    pub affiliate_id: String,
    /// The campaign, without prices of its own.
    pub campaign_id: String,
}

impl Sample {
    pub(crate) fn make(client: &Client) -> Self {
        let number =
            |answer: crate::Answer, noun: &str, field: &str| answer.success()[noun][field].to_string();
        let created = client.post("advertiser", &[("advertiser_name", "Acme")]);
        let advertiser_id = number(created, "advertiser", "advertiser_id");
        let created = client.post(
            "offer",
            &[
                ("offer_name", "Auto Insurance Quote"),
                ("advertiser_id", &advertiser_id),
                ("offer_url", "https://shop.example/?click={click_id}&s2={s2}"),
                ("payout", "18.00"),
                ("revenue", "22.00"),
            ],
        );
        let creative_id = created.success()["offer"]["creative_id"].to_string();
        let offer_id = number(created, "offer", "offer_id");
        let created = client.post("affiliate", &[("affiliate_name", "MediaBridge Partners")]);
        let affiliate_id = number(created, "affiliate", "affiliate_id");
        let created = client.post("campaign", &[("offer_id", &offer_id), ("affiliate_id", &affiliate_id)]);
        let campaign_id = number(created, "campaign", "campaign_id");
        Self { advertiser_id, offer_id, creative_id, affiliate_id, campaign_id }
    }

    /// The campaign's tracking link, as path and query.
    pub fn link(&self) -> String {
        format!("/?a={}&c={}", self.affiliate_id, self.creative_id)
    }
}
