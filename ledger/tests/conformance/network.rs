//! The network's promises.

use domain::ids::{AdvertiserId, AffiliateId, CampaignId, CreativeId, OfferId};
use domain::network::{Attribution, CampaignStatus, Entities, OfferStatus, Redirect};
use domain::network_change::{
    AdvertiserChange, AffiliateChange, CampaignChange, CreateCampaign, CreateOffer, EntityKind, OfferChange,
    Rejected,
};
use domain::tokens::UrlTemplate;

use crate::sample::{
    Open, amount, at, create_advertiser, create_affiliate, create_campaign, create_offer, with_campaign,
};

pub fn a_new_ledger_is_empty(open: Open<'_>) {
    let entities = open().load_network().expect("loads");
    assert_eq!(entities, Entities { version: entities.version, ..Entities::default() });
}

pub fn what_is_created_is_loaded_again(open: Open<'_>) {
    let ledger = open();
    let advertiser = ledger.create_advertiser(create_advertiser(), at(0)).expect("made").expect("accepted");
    let affiliate = ledger.create_affiliate(create_affiliate(), at(1)).expect("made").expect("accepted");
    let offer = ledger.create_offer(create_offer(advertiser.id), at(2)).expect("made").expect("accepted");
    let campaign = ledger
        .create_campaign(create_campaign(offer.id, affiliate.id), at(3))
        .expect("made")
        .expect("accepted");
    assert_eq!(campaign.creative_id, offer.creative_id);
    let loaded = open().load_network().expect("loads");
    assert_eq!(loaded.advertisers, [advertiser]);
    assert_eq!(loaded.affiliates, [affiliate]);
    assert_eq!(loaded.creatives[0].id, offer.creative_id);
    assert_eq!(loaded.creatives[0].offer_id, offer.id);
    assert_eq!(loaded.creatives[0].created, offer.created);
    assert_eq!(loaded.offers, [offer]);
    assert_eq!(loaded.campaigns, [campaign]);
}

pub fn every_change_raises_the_version_and_a_rejected_one_does_not(open: Open<'_>) {
    let ledger = open();
    let version = || open().network_version().expect("read");
    let before = version();
    ledger.create_advertiser(create_advertiser(), at(0)).expect("made").expect("accepted");
    assert_eq!(version(), before + 1);
    assert_eq!(ledger.load_network().expect("loads").version, before + 1);
    ledger.create_offer(create_offer(AdvertiserId(99)), at(0)).expect("asked").expect_err("rejected");
    assert_eq!(version(), before + 1);
}

pub fn an_update_changes_what_is_present_and_nothing_else(open: Open<'_>) {
    let ledger = open();
    let advertiser = ledger.create_advertiser(create_advertiser(), at(0)).expect("made").expect("accepted");
    let before = ledger.create_offer(create_offer(advertiser.id), at(0)).expect("made").expect("accepted");
    let unchanged = ledger.update_offer(before.id, OfferChange::default()).expect("made").expect("accepted");
    assert_eq!(unchanged, before);
    let change = OfferChange {
        status: Some(OfferStatus::Paused),
        payout: Some(amount("0.0125")),
        expires: Some(Some(at(50))),
        ..OfferChange::default()
    };
    let after = ledger.update_offer(before.id, change).expect("made").expect("accepted");
    let mut expected = before;
    expected.status = OfferStatus::Paused;
    expected.payout.number = amount("0.0125");
    expected.expires = Some(at(50));
    assert_eq!(after, expected);
    assert_eq!(open().load_network().expect("loads").offers, [expected]);
}

pub fn what_does_not_exist_is_named(open: Open<'_>) {
    let ledger = open();
    let rejected = |kind| Some(Rejected::NotFound(kind));
    let offer = ledger.create_offer(create_offer(AdvertiserId(9)), at(0)).expect("asked");
    assert_eq!(offer.err(), rejected(EntityKind::Advertiser));
    let campaign = ledger.create_campaign(create_campaign(OfferId(9), AffiliateId(9)), at(0)).expect("asked");
    assert_eq!(campaign.err(), rejected(EntityKind::Offer));
    let update = ledger.update_campaign(CampaignId(9), CampaignChange::default()).expect("asked");
    assert_eq!(update.err(), rejected(EntityKind::Campaign));
    let update = ledger.update_advertiser(AdvertiserId(9), AdvertiserChange::default()).expect("asked");
    assert_eq!(update.err(), rejected(EntityKind::Advertiser));
    let update = ledger.update_affiliate(AffiliateId(9), AffiliateChange::default()).expect("asked");
    assert_eq!(update.err(), rejected(EntityKind::Affiliate));
    let update = ledger.update_offer(OfferId(9), OfferChange::default()).expect("asked");
    assert_eq!(update.err(), rejected(EntityKind::Offer));
}

pub fn an_affiliate_runs_an_offer_in_one_campaign(open: Open<'_>) {
    let ledger = open();
    let advertiser = ledger.create_advertiser(create_advertiser(), at(0)).expect("made").expect("accepted");
    let affiliate = ledger.create_affiliate(create_affiliate(), at(0)).expect("made").expect("accepted");
    let offer = ledger.create_offer(create_offer(advertiser.id), at(0)).expect("made").expect("accepted");
    let create = || ledger.create_campaign(create_campaign(offer.id, affiliate.id), at(0)).expect("asked");
    let set = |id, status| {
        let change = CampaignChange { status: Some(status), ..CampaignChange::default() };
        ledger.update_campaign(id, change).expect("asked")
    };
    let first = create().expect("accepted").id;
    assert_eq!(create().err(), Some(Rejected::CampaignExists(first)));
    set(first, CampaignStatus::Deleted).expect("accepted");
    let second = create().expect("accepted").id;
    assert_eq!(set(first, CampaignStatus::Active).err(), Some(Rejected::CampaignExists(second)));
}

pub fn a_campaign_takes_only_its_offers_creatives(open: Open<'_>) {
    let ledger = open();
    let advertiser = ledger.create_advertiser(create_advertiser(), at(0)).expect("made").expect("accepted");
    let affiliate = ledger.create_affiliate(create_affiliate(), at(0)).expect("made").expect("accepted");
    let make = || ledger.create_offer(create_offer(advertiser.id), at(0)).expect("made").expect("accepted");
    let (offer, other) = (make(), make());
    let create = |creative_id| {
        let create =
            CreateCampaign { creative_id: Some(creative_id), ..create_campaign(offer.id, affiliate.id) };
        ledger.create_campaign(create, at(0)).expect("asked").err()
    };
    assert_eq!(create(other.creative_id), Some(Rejected::CreativeOfOtherOffer));
    assert_eq!(create(CreativeId(99)), Some(Rejected::NotFound(EntityKind::Creative)));
    assert_eq!(create(offer.creative_id), None);
}

pub fn what_steers_an_offers_and_a_campaigns_clicks_is_kept(open: Open<'_>) {
    let ledger = open();
    let (offer, campaign) = with_campaign(&*ledger);
    let other =
        ledger.create_offer(create_offer(offer.advertiser_id), at(0)).expect("made").expect("accepted");
    let page = || UrlTemplate::parse("https://elsewhere.example/{s1}").expect("a url");
    let change = OfferChange {
        starts: Some(Some(at(1))),
        expires: Some(Some(at(9))),
        schedule: Some(Some("mon-fri 09:00-18:00; sat".parse().expect("a schedule"))),
        zone: Some(Some("America/New_York".parse().expect("a zone"))),
        redirect: Some(Some(Redirect::Offer(other.id))),
        thank_you_url: Some(Some(page())),
        attribution: Some(Attribution::LastTouch),
        throw_out_seconds: Some(Some(0)),
        ..OfferChange::default()
    };
    let mut expected = offer.clone();
    change.clone().apply(&mut expected);
    assert_ne!(expected, offer);
    assert_eq!(ledger.update_offer(offer.id, change).expect("made").expect("accepted"), expected);
    let change = CampaignChange {
        expires: Some(Some(at(5))),
        redirect: Some(Some(Redirect::Url(page()))),
        ..CampaignChange::default()
    };
    let mut moved = campaign;
    change.clone().apply(&mut moved);
    ledger.update_campaign(moved.id, change).expect("made").expect("accepted");
    let loaded = open().load_network().expect("loads");
    assert_eq!((&loaded.offers[0], &loaded.campaigns[0]), (&expected, &moved));
    let nothing = OfferChange {
        starts: Some(None),
        expires: Some(None),
        schedule: Some(None),
        zone: Some(None),
        redirect: Some(None),
        thank_you_url: Some(None),
        attribution: Some(Attribution::FirstTouch),
        throw_out_seconds: Some(None),
        ..OfferChange::default()
    };
    assert_eq!(ledger.update_offer(offer.id, nothing).expect("made").expect("accepted"), offer);
}

pub fn an_offer_redirects_to_another_one_that_exists(open: Open<'_>) {
    let ledger = open();
    let (offer, campaign) = with_campaign(&*ledger);
    let to = |id| Some(Some(Redirect::Offer(id)));
    let update = |id, redirect| {
        let change = OfferChange { redirect, ..OfferChange::default() };
        ledger.update_offer(id, change).expect("asked").err()
    };
    assert_eq!(update(offer.id, to(offer.id)), Some(Rejected::RedirectsToItself));
    assert_eq!(update(offer.id, to(OfferId(99))), Some(Rejected::RedirectNotFound));
    let change = CampaignChange { redirect: to(offer.id), ..CampaignChange::default() };
    let own = ledger.update_campaign(campaign.id, change).expect("asked");
    assert_eq!(own.err(), Some(Rejected::RedirectsToItself));
    let create =
        CreateOffer { redirect: Some(Redirect::Offer(offer.id)), ..create_offer(offer.advertiser_id) };
    let other = ledger.create_offer(create, at(0)).expect("asked").expect("accepted");
    // Longer loops are for routing to notice.
    assert_eq!(update(offer.id, to(other.id)), None);
}
