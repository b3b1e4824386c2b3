//! What the promises are tried on.

use std::sync::Arc;

use domain::click::{Click, Country};
use domain::conversion::{ConversionCall, Terms};
use domain::conversion_request::SentEvent;
use domain::details::Details;
use domain::ids::{
    AdvertiserId, AffiliateId, CampaignId, ClickIdMint, CreativeId, KeyId, NodeNumber, OfferId,
};
use domain::money::{Amount, Currency};
use domain::network::{
    Advertiser, Affiliate, Approval, Campaign, CampaignStatus, DEFAULT_EVENT, Entities, Network, Offer,
    PartyStatus,
};
use domain::network_change::{CreateAdvertiser, CreateAffiliate, CreateCampaign, CreateOffer};
use domain::pricing::Rate;
use domain::tokens::UrlTemplate;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ledger::{Ledger, Recorded, Submission};

/// Opens the ledger under test: each time the same one.
pub type Open<'o> = &'o (dyn Fn() -> Arc<dyn Ledger> + Sync);

/// A moment, in seconds after the sample's beginning.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).expect("in range")
}

pub fn amount(text: &str) -> Amount {
    text.parse().expect("an amount")
}

pub fn rate(text: &str) -> Rate {
    Rate::cpa(amount(text))
}

pub fn create_advertiser() -> CreateAdvertiser {
    CreateAdvertiser { name: "Acme".into(), status: PartyStatus::Active }
}

pub fn create_affiliate() -> CreateAffiliate {
    CreateAffiliate { name: "Bridge".into(), status: PartyStatus::Active, tier: None }
}

pub fn create_offer(advertiser_id: AdvertiserId) -> CreateOffer {
    let url = UrlTemplate::parse("https://shop.example/?id={click_id}").expect("a url");
    CreateOffer {
        payout: rate("18"),
        revenue: rate("22"),
        session_seconds: 3600,
        allow_deep_link: true,
        deep_link_hosts: ["shop.example", "*.example.org"].map(|text| text.parse().expect("a host")).to_vec(),
        ..CreateOffer::new("Quote", advertiser_id, url)
    }
}

/// A ledger with one offer and one affiliate running it in one campaign.
pub fn with_campaign(ledger: &dyn Ledger) -> (Offer, Campaign) {
    let advertiser = ledger.create_advertiser(create_advertiser(), at(0)).expect("made").expect("accepted");
    let affiliate = ledger.create_affiliate(create_affiliate(), at(0)).expect("made").expect("accepted");
    let offer = ledger.create_offer(create_offer(advertiser.id), at(0)).expect("made").expect("accepted");
    let create = create_campaign(offer.id, affiliate.id);
    let campaign = ledger.create_campaign(create, at(0)).expect("made").expect("accepted");
    (offer, campaign)
}

pub fn create_campaign(offer_id: OfferId, affiliate_id: AffiliateId) -> CreateCampaign {
    CreateCampaign {
        offer_id,
        affiliate_id,
        status: CampaignStatus::Active,
        creative_id: None,
        payout: Some(amount("12.5")),
        revenue: None,
        expires: None,
        redirect: None,
    }
}

/// The click of that number, at its second.
pub fn click(number: u32) -> Click {
    let mut mint = ClickIdMint::after(NodeNumber::new(1).expect("in range"), None);
    let id = mint.mint(at(i64::from(number)), u64::from(number));
    Click {
        offer_id: OfferId(1),
        advertiser_id: AdvertiserId(1),
        affiliate_id: AffiliateId(1 + number % 3),
        campaign_id: Some(CampaignId(1)),
        creative_id: CreativeId(1),
        country: Country::new("US").expect("a country"),
        sub_ids: ["a", "", "", "", "e"].map(String::from),
        ..Click::blank(id)
    }
}

/// A call for a click, a second after it, with a price of its own so that a wrong sum names it.
pub fn submission(number: u32, unique_id: &str) -> Submission {
    submission_in(number, unique_id, |_| {})
}

/// The same in a network that is changed somehow.
pub fn submission_in(number: u32, unique_id: &str, change: impl FnOnce(&mut Entities)) -> Submission {
    let click = click(number);
    let offer = CreateOffer {
        payout: rate(&format!("{number}.5")),
        revenue: rate("1000"),
        approval: if number.is_multiple_of(2) { Approval::Auto } else { Approval::Manual },
        ..create_offer(AdvertiserId(1))
    };
    let (name, status, created) = (String::from("Somebody"), PartyStatus::Active, at(0));
    let mut entities = Entities {
        advertisers: vec![Advertiser { id: AdvertiserId(1), name: name.clone(), status, created }],
        affiliates: vec![Affiliate { id: click.affiliate_id, name, status, tier: None, created }],
        offers: vec![offer.into_offer(OfferId(1), CreativeId(1), created)],
        ..Entities::default()
    };
    change(&mut entities);
    let call = ConversionCall {
        key_id: KeyId(1),
        received_at: at(i64::from(number) + 1),
        batch_id: None,
        click_id: click.id.to_string(),
        offer_id: OfferId(1),
        event: SentEvent::default(),
        event_id: Some(DEFAULT_EVENT),
        unique_id: unique_id.into(),
        order_id: String::new(),
        adv: Default::default(),
        payout: None,
        revenue: None,
        amount: None,
        received: None,
        conversion_date: at(i64::from(number) + 1),
        is_backfill: false,
        is_told: true,
        in_browser: false,
        fingerprints: Vec::new(),
        raw: format!("click_id={}&unique_id={unique_id}", click.id),
        details: Details::default(),
    };
    let terms =
        Terms { network: Arc::new(Network::new(entities)), zone: TimeZone::UTC, currency: Currency::USD };
    Submission { call, click: Some(click), terms, stated: None }
}

/// Records one call alone.
pub fn record(ledger: &dyn Ledger, submission: &Submission) -> Recorded {
    let mut outcomes = ledger.record_conversions(std::slice::from_ref(submission)).expect("commits");
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0).expect("recorded")
}
