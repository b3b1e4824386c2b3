//! The promises about deliveries: what is told, by whom, and how often.

use domain::conversion::Conversion;
use domain::delivery::{Delivery, DeliveryCause, DeliveryId, DeliveryStatus, Try, TryOutcome};
use domain::ids::{AdvertiserId, AffiliateId, OfferId};
use domain::network_change::CreatePostback;
use domain::postback::{
    FireOn, Owner, Postback, PostbackConditions, PostbackMethod, PostbackStatus, PostbackType, Receiver,
    SuccessRule,
};
use domain::tokens::UrlTemplate;
use ledger::{DeliveryFilter, Ledger, Recorded, Submission};

use crate::money::{findings, new, open_with_parties};
use crate::sample::{Open, at, record, submission_in};

/// The affiliate of the sample's clicks 2, 5, 8 …
const AFFILIATE: Owner = Owner::Affiliate(AffiliateId(3));

/// Creates a postback that is told of everything, but for what `change` says.
fn postback(
    ledger: &dyn Ledger,
    owner: Owner,
    url: &str,
    change: impl FnOnce(&mut CreatePostback),
) -> Postback {
    let mut create = CreatePostback {
        owner,
        offer_id: None,
        campaign_id: None,
        event_id: None,
        postback_type: PostbackType::Server,
        method: PostbackMethod::Get,
        url: UrlTemplate::parse_called(url).expect("a url"),
        body: None,
        status: PostbackStatus::Active,
        fire_on: FireOn::All,
        conditions: PostbackConditions::default(),
        delay_seconds: 0,
        success: SuccessRule::default(),
        calls_per_second: None,
        secret: None,
    };
    change(&mut create);
    ledger.create_postback(create, at(0)).expect("made").expect("accepted")
}

/// The sample's call in a network with these postbacks.
fn told(number: u32, unique_id: &str, postbacks: &[Postback]) -> Submission {
    submission_in(number, unique_id, |it| it.postbacks = postbacks.to_vec())
}

fn list(ledger: &dyn Ledger, filter: &DeliveryFilter) -> Vec<Delivery> {
    let page = ledger.list_deliveries(filter, 0, 1000).expect("listed");
    assert_eq!(page.total, page.rows.len() as u64);
    page.rows
}

fn all(ledger: &dyn Ledger) -> Vec<Delivery> {
    list(ledger, &DeliveryFilter::default())
}

fn tries(ledger: &dyn Ledger, id: DeliveryId) -> Vec<Try> {
    ledger.list_tries(&[id]).expect("listed").remove(0)
}

fn id(conversion: &Conversion, booking: u32, postback: &Postback) -> DeliveryId {
    DeliveryId { conversion_id: conversion.id, booking, postback_id: postback.id }
}

pub fn every_matching_postback_is_enqueued_with_its_conversion(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let mine = postback(&*ledger, AFFILIATE, "https://a.example/?id={click_id}", |_| {});
    let others = postback(&*ledger, Owner::Affiliate(AffiliateId(1)), "https://b.example/", |_| {});
    let off = postback(&*ledger, AFFILIATE, "https://c.example/", |it| it.status = PostbackStatus::Inactive);
    let reversal = postback(&*ledger, AFFILIATE, "https://d.example/", |it| it.fire_on = FireOn::Reversal);
    let hook = postback(&*ledger, Owner::Advertiser(AdvertiserId(1)), "https://e.example/", |_| {});
    let network = postback(&*ledger, Owner::Network, "https://a.example:443/other", |_| {});
    let postbacks = [mine, others, off, reversal, hook, network];
    // Two of one batch, so that what is told of each is its own.
    let batch = [told(2, "ORD-1", &postbacks), told(5, "ORD-2", &postbacks)];
    let recorded = ledger.record_conversions(&batch).expect("commits");
    let conversions: Vec<_> = recorded.into_iter().map(|it| new(it.expect("recorded"))).collect();
    let [mine, .., hook, network] = &postbacks;
    let expected: Vec<_> = conversions
        .iter()
        .flat_map(|conversion| {
            [mine, hook, network].map(|postback| Delivery {
                id: id(conversion, 0, postback),
                offer_id: OfferId(1),
                affiliate_id: AffiliateId(3),
                receiver: Receiver::of(&postback.url),
                cause: DeliveryCause::Recorded,
                standing: conversion.standing,
                caused_at: conversion.recorded_at,
                status: DeliveryStatus::Due,
                next_try_at: conversion.recorded_at,
                tries: 0,
                round: 0,
            })
        })
        .collect();
    assert_eq!(all(&*open()), expected);
    assert_eq!((expected[0].receiver, expected[0].tries), (expected[2].receiver, 0), "host and port");
    assert_eq!(findings(&*ledger), []);
}

pub fn a_repeat_a_refusal_and_what_is_not_to_be_told_enqueue_nothing(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let postbacks = [postback(&*ledger, AFFILIATE, "https://a.example/", |_| {})];
    let mut untold = told(8, "ORD-2", &postbacks);
    untold.call.is_told = false;
    let call = told(2, "ORD-1", &postbacks);
    let batch = [call.clone(), call.clone(), told(5, "ORD-1", &postbacks), untold];
    ledger.record_conversions(&batch).expect("commits");
    assert!(matches!(record(&*ledger, &call), Recorded::Same { .. }));
    ledger.preview_conversions(&[told(5, "ORD-3", &postbacks)]).expect("decided");
    let listed = all(&*ledger);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(findings(&*ledger), []);
}

pub fn a_browser_is_handed_its_postbacks_only_where_it_waits(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let url = "https://a.example/?key=secret&id={click_id}";
    let image = postback(&*ledger, AFFILIATE, url, |it| it.postback_type = PostbackType::Image);
    let server = postback(&*ledger, AFFILIATE, "https://a.example/", |_| {});
    let postbacks = [image, server];
    let [image, server] = &postbacks;
    let mut waits = told(2, "ORD-1", &postbacks);
    waits.call.in_browser = true;
    let waited = new(record(&*ledger, &waits));
    let alone = new(record(&*ledger, &told(5, "ORD-2", &postbacks)));
    let told: Vec<_> = all(&*ledger).iter().map(|it| (it.id, it.status, it.tries, it.round)).collect();
    let expected = [
        (id(&waited, 0, image), DeliveryStatus::Delivered, 1, 1),
        (id(&waited, 0, server), DeliveryStatus::Due, 0, 0),
        (id(&alone, 0, server), DeliveryStatus::Due, 0, 0),
    ];
    assert_eq!(told, expected);
    let handed_out = Try {
        tried_at: waited.recorded_at,
        url: "https://a.example/?key=***&id={click_id}".to_owned(),
        outcome: TryOutcome::HandedOut,
        duration_ms: 0,
    };
    assert_eq!(tries(&*open(), id(&waited, 0, image)), [handed_out]);
    assert_eq!(tries(&*open(), id(&waited, 0, server)), []);
    assert_eq!(findings(&*ledger), []);
}

pub fn a_delivery_waits_as_long_as_its_postback_says(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let later = postback(&*ledger, AFFILIATE, "https://a.example/", |it| it.delay_seconds = 90);
    record(&*ledger, &told(2, "ORD-1", std::slice::from_ref(&later)));
    let due = ledger.list_due_receivers().expect("listed");
    let [due] = &due[..] else { panic!("{due:?}") };
    assert_eq!((due.receiver, due.next_try_at), (Receiver::of(&later.url), at(3 + 90)));
}
