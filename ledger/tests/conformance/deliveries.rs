//! The promises about deliveries: what is told, by whom, and how often.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::adjustment::{Amend, Change};
use domain::caps::{AtCap, CapType};
use domain::conversion::Conversion;
use domain::delivery::{Delivery, DeliveryCause, DeliveryId, DeliveryStatus, Try, TryOutcome};
use domain::ids::{AdvertiserId, AffiliateId, ConversionId, NodeNumber, OfferId};
use domain::network::{Entities, Network};
use domain::network_change::CreatePostback;
use domain::postback::{FireOn, Owner, Postback, PostbackStatus, PostbackType, Receiver};
use domain::retry::Step;
use domain::status::ConversionStatus;
use domain::tokens::UrlTemplate;
use jiff::Timestamp;
use ledger::{
    BatchType, Claim, DeliveryCounts, DeliveryFilter, Finished, Ledger, Order, Recorded, Stated, Submission,
    Undone,
};

use crate::money::{author, cap, findings, new, open_with_parties, order, status};
use crate::sample::{Open, amount, at, record, submission_in};

/// The affiliate of the sample's clicks 2, 5, 8 …
const AFFILIATE: Owner = Owner::Affiliate(AffiliateId(3));

/// Creates a postback that is told of everything, but for what `change` says.
fn postback(
    ledger: &dyn Ledger,
    owner: Owner,
    url: &str,
    change: impl FnOnce(&mut CreatePostback),
) -> Postback {
    let url = UrlTemplate::parse_called(url).expect("a url");
    let mut create = CreatePostback { fire_on: FireOn::All, ..CreatePostback::new(owner, url) };
    change(&mut create);
    ledger.create_postback(create, at(0)).expect("made").expect("accepted")
}

/// The buyer's browser loads it when a conversion is recorded.
fn as_image(create: &mut CreatePostback) {
    create.postback_type = PostbackType::Image;
    create.fire_on = FireOn::Conversion;
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
    let image = postback(&*ledger, AFFILIATE, url, as_image);
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

fn network(postbacks: &[Postback]) -> Arc<Network> {
    Arc::new(Network::new(Entities { postbacks: postbacks.to_vec(), ..Entities::default() }))
}

/// Adjusts a conversion in a network with these postbacks.
fn adjust(ledger: &dyn Ledger, id: ConversionId, change: Change, postbacks: &[Postback], second: i64) {
    let order = Order { tells: Some(network(postbacks)), ..order(change) };
    ledger.adjust_conversions(&[id], &order, at(second)).expect("committed").remove(0).expect("may");
}

fn node(number: u16) -> NodeNumber {
    NodeNumber::new(number).expect("in range")
}

/// Claims of every receiver, for a minute, `limit` of each at most.
fn claim_some(ledger: &dyn Ledger, lease: u64, second: i64, limit: u32) -> Vec<DeliveryId> {
    let due = ledger.list_due_receivers().expect("listed");
    let wanted = due.into_iter().map(|it| (it.receiver, limit)).collect();
    let claim = Claim { node: node(1), lease, until: at(second + 60), wanted };
    let claimed = ledger.claim_due(&claim, at(second)).expect("claimed");
    for it in &claimed {
        let conversion = ledger.find_conversion(it.delivery.id.conversion_id).expect("asked");
        assert_eq!(it.conversion, conversion, "with what it tells of");
        assert_eq!((it.delivery.status, it.delivery.next_try_at), (DeliveryStatus::Due, at(second + 60)));
    }
    let mut ids: Vec<_> = claimed.into_iter().map(|it| it.delivery.id).collect();
    ids.sort_unstable();
    ids
}

fn claim(ledger: &dyn Ledger, lease: u64, second: i64) -> Vec<DeliveryId> {
    claim_some(ledger, lease, second, 100)
}

fn answered(second: i64) -> Try {
    Try {
        tried_at: at(second),
        url: "https://a.example/?key=***".to_owned(),
        outcome: TryOutcome::Answered { status: 500, answer: "not now".to_owned() },
        duration_ms: 12,
    }
}

/// Finishes one delivery with a try. Whether its lease still held.
fn finish(ledger: &dyn Ledger, lease: u64, id: DeliveryId, second: i64, step: Step) -> bool {
    let finished = Finished { id, lease, offer_id: OfferId(1), tried: Some(answered(second)), step };
    ledger.finish_deliveries(&[finished]).expect("committed") == 1
}

fn find(ledger: &dyn Ledger, id: DeliveryId) -> Delivery {
    let filter = DeliveryFilter { id: Some(id), ..DeliveryFilter::default() };
    let mut found = list(ledger, &filter);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

pub fn claims_of_several_threads_and_servers_are_disjoint(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let postbacks = [
        postback(&*ledger, AFFILIATE, "https://a.example/", |_| {}),
        postback(&*ledger, AFFILIATE, "https://b.example/", |_| {}),
    ];
    let batch: Vec<_> = (0..15).map(|it| told(2, &format!("ORD-{it}"), &postbacks)).collect();
    ledger.record_conversions(&batch).expect("commits");
    let servers = [ledger, open()];
    let claimed: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let server = &servers[thread % 2];
                scope.spawn(move || {
                    let mut all = Vec::new();
                    loop {
                        let lease = u64::MAX - thread as u64;
                        let some = claim_some(&**server, lease, 10, 2);
                        assert!(some.len() <= 4, "two of each receiver at most");
                        if some.is_empty() {
                            return all;
                        }
                        all.extend(some);
                    }
                })
            })
            .collect();
        threads.into_iter().flat_map(|it| it.join().expect("no panic")).collect()
    });
    assert_eq!(claimed.len(), 30);
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>().len(), 30, "each once");
}

pub fn what_has_been_due_longest_is_claimed_first(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let now = postback(&*ledger, AFFILIATE, "https://a.example/", |_| {});
    let later = postback(&*ledger, AFFILIATE, "https://a.example/", |it| it.delay_seconds = 10);
    let first = new(record(&*ledger, &told(2, "ORD-1", std::slice::from_ref(&later))));
    let second = new(record(&*ledger, &told(8, "ORD-2", std::slice::from_ref(&now))));
    assert_eq!(claim_some(&*ledger, 1, 100, 1), [id(&second, 0, &now)], "due since 9, and not since 13");
    assert_eq!(claim_some(&*ledger, 1, 100, 1), [id(&first, 0, &later)]);
}

pub fn a_lease_that_has_run_out_can_be_claimed_again(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let postback = postback(&*ledger, AFFILIATE, "https://a.example/", |_| {});
    let recorded = new(record(&*ledger, &told(2, "ORD-1", std::slice::from_ref(&postback))));
    let id = id(&recorded, 0, &postback);
    assert_eq!(claim(&*ledger, 1, 2), [], "not due before its cause");
    assert_eq!(claim(&*ledger, 1, 3), [id]);
    assert_eq!(ledger.list_due_receivers().expect("listed")[0].next_try_at, at(63));
    assert_eq!(claim(&*open(), 2, 62), []);
    assert_eq!(claim(&*open(), 2, 63), [id]);
    assert_eq!(claim(&*open(), 1, 64), []);
}

pub fn who_has_lost_the_lease_changes_nothing_and_its_try_is_kept(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let postback = postback(&*ledger, AFFILIATE, "https://a.example/", |_| {});
    let recorded = new(record(&*ledger, &told(2, "ORD-1", std::slice::from_ref(&postback))));
    let id = id(&recorded, 0, &postback);
    // Leases are any numbers: neither of these is cut off.
    let (lost, held) = (u64::MAX - 1, u64::MAX);
    claim(&*ledger, lost, 3);
    claim(&*ledger, held, 63);
    let before = find(&*ledger, id);
    assert!(!finish(&*ledger, lost, id, 70, Step::Delivered));
    assert_eq!(find(&*ledger, id), before);
    assert!(finish(&*ledger, held, id, 71, Step::Again(at(200))));
    let after = find(&*ledger, id);
    assert_eq!(after, Delivery { next_try_at: at(200), tries: 1, round: 1, ..before });
    assert_eq!(tries(&*open(), id), [answered(70), answered(71)]);
    // Whoever did not hear the answer tells it again.
    assert!(!finish(&*ledger, held, id, 71, Step::Again(at(200))));
    assert_eq!((find(&*ledger, id), tries(&*ledger, id).len()), (after, 2));
    assert_eq!(findings(&*ledger), []);
}

pub fn every_step_and_every_try_come_back_as_they_were(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let outcomes = [
        (Step::Delivered, Some(TryOutcome::Answered { status: 204, answer: String::new() })),
        (Step::Held, Some(TryOutcome::Answered { status: 503, answer: "\u{fffd} \n'; --".to_owned() })),
        (
            Step::Cancelled,
            Some(TryOutcome::Failed { code: "timed_out".to_owned(), reason: "no answer".to_owned() }),
        ),
        (Step::Again(at(99)), Some(TryOutcome::Failed { code: String::new(), reason: String::new() })),
        (Step::Delivered, Some(TryOutcome::HandedOut)),
        (Step::Cancelled, None),
    ];
    let postbacks = outcomes.clone().map(|_| postback(&*ledger, AFFILIATE, "https://a.example/", |_| {}));
    record(&*ledger, &told(2, "ORD-1", &postbacks));
    let ids = claim(&*ledger, 7, 10);
    let tries = outcomes.each_ref().map(|(_, outcome)| {
        outcome.clone().map(|outcome| Try {
            tried_at: at(11),
            url: "https://a.example/".to_owned(),
            outcome,
            duration_ms: u32::MAX,
        })
    });
    let finished: Vec<_> = ids
        .iter()
        .zip(tries.clone().into_iter().zip(&outcomes))
        .map(|(id, (tried, (step, _)))| Finished {
            id: *id,
            lease: 7,
            offer_id: OfferId(1),
            tried,
            step: *step,
        })
        .collect();
    assert_eq!(ledger.finish_deliveries(&finished).expect("committed"), 6);
    let kept = open().list_tries(&ids).expect("listed");
    assert_eq!(kept, tries.map(|it| it.into_iter().collect::<Vec<_>>()));
    for (delivery, (step, tried)) in all(&*ledger).iter().zip(&outcomes) {
        let tries = u32::from(tried.is_some());
        assert_eq!((delivery.status, delivery.tries, delivery.round), (step.status(), tries, tries));
    }
    assert_eq!(ledger.list_due_receivers().expect("listed")[0].next_try_at, at(99));
    assert_eq!(claim(&*ledger, 8, 98), []);
    assert_eq!(claim(&*ledger, 8, 99), ids[3..4]);
    assert_eq!(findings(&*ledger), []);
}

pub fn causes_of_one_conversion_wait_for_each_other_at_one_receiver(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let urls = ["https://a.example/", "https://b.example/", "https://a.example/more"];
    let postbacks = urls.map(|url| postback(&*ledger, AFFILIATE, url, |_| {}));
    let [a, b, more] = &postbacks;
    let recorded = new(record(&*ledger, &told(2, "ORD-1", &postbacks)));
    let other = new(record(&*ledger, &told(8, "ORD-2", std::slice::from_ref(a))));
    let of = |booking, postback| id(&recorded, booking, postback);
    assert_eq!(claim(&*ledger, 1, 10), [of(0, a), of(0, b), of(0, more), id(&other, 0, a)], "one cause");
    assert!(finish(&*ledger, 1, of(0, a), 11, Step::Again(at(100))));
    assert!(finish(&*ledger, 1, of(0, b), 11, Step::Delivered));
    assert!(finish(&*ledger, 1, of(0, more), 11, Step::Held));
    assert!(finish(&*ledger, 1, id(&other, 0, a), 11, Step::Delivered));
    adjust(&*ledger, recorded.id, status(ConversionStatus::Reversed), &postbacks, 50);
    adjust(&*ledger, other.id, status(ConversionStatus::Reversed), &postbacks[..1], 50);
    // Whatever waits at `a` waits for the first cause: other receivers and other conversions do not.
    assert_eq!(claim(&*ledger, 2, 60), [of(1, b), id(&other, 1, a)]);
    assert!(finish(&*ledger, 2, of(1, b), 61, Step::Delivered));
    assert!(finish(&*ledger, 2, id(&other, 1, a), 61, Step::Delivered));
    let due = || ledger.list_due_receivers().expect("listed");
    let told: Vec<_> = due().into_iter().map(|it| (it.receiver, it.next_try_at)).collect();
    assert_eq!(told, [(Receiver::of(&a.url), at(100))], "nothing looks due that cannot be had");
    assert_eq!(claim(&*ledger, 3, 100), [of(0, a)]);
    assert_eq!(claim(&*ledger, 4, 101), []);
    assert!(finish(&*ledger, 3, of(0, a), 102, Step::Again(at(300))));
    assert_eq!(due()[0].next_try_at, at(300));
    assert_eq!(claim(&*ledger, 3, 300), [of(0, a)]);
    assert!(finish(&*ledger, 3, of(0, a), 301, Step::Delivered));
    // The one that is held is in nobody's way.
    assert_eq!(claim(&*ledger, 4, 302), [of(1, a), of(1, more)]);
    assert_eq!(findings(&*ledger), []);
}

pub fn a_server_gives_back_only_its_own_leases(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let urls = ["https://a.example/", "https://b.example/", "https://c.example/"];
    let postbacks = urls.map(|url| postback(&*ledger, AFFILIATE, url, |_| {}));
    record(&*ledger, &told(2, "ORD-1", &postbacks));
    for (postback, number) in postbacks.iter().zip([1, 2]) {
        let wanted = vec![(Receiver::of(&postback.url), 1)];
        let claim = Claim { node: node(number), lease: u64::from(number), until: at(500), wanted };
        assert_eq!(ledger.claim_due(&claim, at(10)).expect("claimed").len(), 1);
    }
    assert_eq!(ledger.release_leases(node(1), at(20)).expect("done"), 1);
    assert_eq!(ledger.release_leases(node(1), at(21)).expect("done"), 0);
    let mut due: Vec<_> = ledger.list_due_receivers().expect("listed");
    due.sort_by_key(|it| it.next_try_at);
    let [released, leased, waiting] = postbacks.each_ref().map(|it| Receiver::of(&it.url));
    let told: Vec<_> = due.iter().map(|it| (it.receiver, it.next_try_at)).collect();
    assert_eq!(told, [(waiting, at(3)), (released, at(20)), (leased, at(500))]);
    let lost = all(&*ledger).iter().map(|it| it.id).find(|it| it.postback_id == postbacks[0].id);
    assert!(!finish(&*ledger, 1, lost.expect("there"), 22, Step::Delivered), "its lease is given back");
}

pub fn a_replay_makes_due_again_and_begins_a_new_round(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let image = postback(&*ledger, AFFILIATE, "https://a.example/", as_image);
    let postbacks = [(); 4].map(|()| postback(&*ledger, AFFILIATE, "https://a.example/", |_| {}));
    let [held, delivered, cancelled, due] = &postbacks;
    let mut call = told(2, "ORD-1", &[&postbacks[..], std::slice::from_ref(&image)].concat());
    call.call.in_browser = true;
    let recorded = new(record(&*ledger, &call));
    let of = |postback| id(&recorded, 0, postback);
    assert_eq!(claim(&*ledger, 1, 10), [held, delivered, cancelled, due].map(of));
    assert!(finish(&*ledger, 1, of(held), 11, Step::Held));
    assert!(finish(&*ledger, 1, of(delivered), 11, Step::Delivered));
    assert!(finish(&*ledger, 1, of(cancelled), 11, Step::Cancelled));
    let everything = DeliveryFilter::default();
    let of_status = |status| DeliveryFilter { status: Some(status), ..DeliveryFilter::default() };
    let count = |filter: &DeliveryFilter| ledger.count_replayable(filter).expect("counted");
    assert_eq!((count(&everything), count(&of_status(DeliveryStatus::Held))), (3, 1), "no browser's");
    assert_eq!(count(&of_status(DeliveryStatus::Due)), 0);
    let mut replayed = Vec::new();
    let mut after = None;
    loop {
        let step = ledger.replay_deliveries(&everything, after, 2, at(50)).expect("done");
        replayed.push(step.replayed);
        after = step.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(replayed, [2, 1]);
    let again = find(&*ledger, of(held));
    let told = (again.status, again.next_try_at, again.tries, again.round);
    assert_eq!(told, (DeliveryStatus::Due, at(50), 1, 0), "the tries so far stay");
    assert_eq!(find(&*ledger, of(due)).next_try_at, at(70), "what is due is left alone");
    assert_eq!(find(&*ledger, of(&image)).status, DeliveryStatus::Delivered);
    assert_eq!(claim(&*ledger, 2, 50), [held, delivered, cancelled].map(of));
    assert!(finish(&*ledger, 2, of(held), 51, Step::Again(at(60))));
    let again = find(&*ledger, of(held));
    assert_eq!((again.tries, again.round), (2, 1));
    assert_eq!(findings(&*ledger), []);
}

pub fn what_told_of_an_erased_click_keeps_when_and_how_it_ended(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let postbacks = [postback(&*ledger, AFFILIATE, "https://a.example/", |_| {})];
    let erased = new(record(&*ledger, &told(2, "ORD-1", &postbacks)));
    let other = new(record(&*ledger, &told(5, "ORD-2", &postbacks)));
    let ids = claim(&*ledger, 1, 10);
    let failed = Try {
        outcome: TryOutcome::Failed { code: "timed_out".to_owned(), reason: "no answer".to_owned() },
        ..answered(12)
    };
    for id in &ids {
        let finished =
            |tried, step| Finished { id: *id, lease: 1, offer_id: OfferId(1), tried: Some(tried), step };
        let both = [finished(answered(11), Step::Again(at(12))), finished(failed.clone(), Step::Held)];
        assert_eq!(ledger.finish_deliveries(&both).expect("committed"), 1);
    }
    ledger.erase_visitors(&[erased.click_id]).expect("erased");
    let blank = [
        Try {
            url: String::new(),
            outcome: TryOutcome::Answered { status: 500, answer: String::new() },
            ..answered(11)
        },
        Try {
            url: String::new(),
            outcome: TryOutcome::Failed { code: "timed_out".to_owned(), reason: String::new() },
            ..answered(12)
        },
    ];
    assert_eq!(tries(&*open(), id(&erased, 0, &postbacks[0])), blank);
    assert_eq!(tries(&*open(), id(&other, 0, &postbacks[0])), [answered(11), failed]);
}

pub fn deliveries_are_listed_by_every_filter(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let own = postback(&*ledger, AFFILIATE, "https://a.example/", |_| {});
    let networks = postback(&*ledger, Owner::Network, "https://b.example/", |_| {});
    let postbacks = [own, networks];
    let first = new(record(&*ledger, &told(2, "ORD-1", &postbacks)));
    let second = new(record(&*ledger, &told(4, "ORD-2", &postbacks)));
    let [own, networks] = &postbacks;
    let ids = [id(&first, 0, own), id(&first, 0, networks), id(&second, 0, networks)];
    claim(&*ledger, 1, 10);
    assert!(finish(&*ledger, 1, ids[1], 11, Step::Held));
    let none = DeliveryFilter::default;
    let filters = [
        (none(), vec![0, 1, 2]),
        (DeliveryFilter { id: Some(ids[1]), ..none() }, vec![1]),
        (DeliveryFilter { conversion_id: Some(first.id), ..none() }, vec![0, 1]),
        (DeliveryFilter { postback_id: Some(networks.id), ..none() }, vec![1, 2]),
        (DeliveryFilter { affiliate_id: Some(AffiliateId(3)), ..none() }, vec![0, 1]),
        (DeliveryFilter { own_of: Some(AffiliateId(3)), ..none() }, vec![0]),
        (DeliveryFilter { own_of: Some(AffiliateId(2)), ..none() }, vec![]),
        (DeliveryFilter { offer_id: Some(OfferId(1)), ..none() }, vec![0, 1, 2]),
        (DeliveryFilter { offer_id: Some(OfferId(2)), ..none() }, vec![]),
        (DeliveryFilter { status: Some(DeliveryStatus::Held), ..none() }, vec![1]),
        (DeliveryFilter { status: Some(DeliveryStatus::Due), ..none() }, vec![0, 2]),
        (DeliveryFilter { from: Some(at(3)), until: Some(at(5)), ..none() }, vec![0, 1]),
        (DeliveryFilter { from: Some(at(4)), until: Some(at(6)), ..none() }, vec![2]),
    ];
    for (filter, places) in filters {
        let expected: Vec<_> = places.iter().map(|place| ids[*place]).collect();
        let listed: Vec<_> = list(&*ledger, &filter).iter().map(|it| it.id).collect();
        assert_eq!(listed, expected, "{filter:?}");
        let mut walked: Vec<DeliveryId> = Vec::new();
        loop {
            let more = ledger.list_deliveries_after(&filter, walked.last().copied(), 1).expect("listed");
            assert!(more.len() <= 1);
            let Some(more) = more.first() else { break };
            walked.push(more.id);
        }
        assert_eq!(walked, expected, "{filter:?}");
        let mut walked: Vec<(Timestamp, DeliveryId)> = Vec::new();
        loop {
            let more = ledger.list_deliveries_by_cause(&filter, walked.last().copied(), 1).expect("listed");
            assert!(more.len() <= 1);
            let Some(more) = more.first() else { break };
            walked.push((more.caused_at, more.id));
        }
        assert!(walked.is_sorted(), "{filter:?}");
        walked.sort_by_key(|(_, id)| *id);
        assert_eq!(walked.iter().map(|(_, id)| *id).collect::<Vec<_>>(), expected, "{filter:?}");
    }
    let page = ledger.list_deliveries(&none(), 1, 1).expect("listed");
    assert_eq!((page.total, page.rows[0].id, page.rows.len()), (3, ids[1], 1));
    assert_eq!(ledger.count_deliveries().expect("counted"), DeliveryCounts { due: 2, held: 1 });
}

/// What was told, in the order it was caused.
fn causes(ledger: &dyn Ledger) -> Vec<(u64, u32, DeliveryCause, ConversionStatus)> {
    let told = |it: &Delivery| (it.id.conversion_id.0, it.id.booking, it.cause, it.standing.status);
    all(ledger).iter().map(told).collect()
}

pub fn every_change_of_a_conversion_is_told_with_how_it_then_stood(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let postbacks = [postback(&*ledger, AFFILIATE, "https://a.example/", |_| {})];
    let id = new(record(&*ledger, &told(5, "ORD-1", &postbacks))).id;
    let payout = Change { payout: Some(Amend::Set(amount("7"))), ..Change::default() };
    let raise = Order { tells: Some(network(&postbacks)), ..order(payout) };
    let preview = ledger.preview_adjustments(&[id], &raise, at(99)).expect("asked").remove(0);
    assert!(preview.expect("may").adjustment.is_some());
    assert_eq!(all(&*ledger).len(), 1, "a preview tells nobody");
    adjust(&*ledger, id, payout, &postbacks, 100);
    adjust(&*ledger, id, payout, &postbacks, 101);
    adjust(&*ledger, id, status(ConversionStatus::Approved), &postbacks, 102);
    let silent = order(status(ConversionStatus::Pending));
    ledger.adjust_conversions(&[id], &silent, at(103)).expect("committed").remove(0).expect("may");
    adjust(&*ledger, id, status(ConversionStatus::Approved), &postbacks, 104);
    let expected = [
        (1, 0, DeliveryCause::Recorded, ConversionStatus::Pending),
        (1, 1, DeliveryCause::Adjusted, ConversionStatus::Pending),
        (1, 2, DeliveryCause::Approved, ConversionStatus::Approved),
        (1, 4, DeliveryCause::Approved, ConversionStatus::Approved),
    ];
    assert_eq!(causes(&*open()), expected, "the same again tells nobody, a second approval does");
    let told: Vec<_> = all(&*ledger).iter().map(|it| (it.caused_at, it.standing.price.payout)).collect();
    let expected = [(6, "5.5"), (100, "7"), (102, "7"), (104, "7")];
    assert_eq!(told, expected.map(|(second, payout)| (at(second), amount(payout))));
    assert_eq!(findings(&*ledger), []);
}

pub fn an_approval_after_the_offers_delay_is_told(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let postbacks = [postback(&*ledger, AFFILIATE, "https://a.example/", |it| it.fire_on = FireOn::Approval)];
    let delayed = submission_in(5, "ORD-1", |it| {
        it.offers[0].approval_delay_seconds = Some(60);
        it.postbacks = postbacks.to_vec();
    });
    record(&*ledger, &delayed);
    assert_eq!(all(&*ledger), []);
    assert_eq!(ledger.approve_due(&network(&postbacks), at(100), 10).expect("done"), 1);
    assert_eq!(causes(&*ledger), [(1, 1, DeliveryCause::Approved, ConversionStatus::Approved)]);
    assert_eq!(findings(&*ledger), []);
}

pub fn what_is_taken_back_is_told_once_and_as_it_stands_in_the_end(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let postbacks = [postback(&*ledger, AFFILIATE, "https://a.example/", |it| it.fire_on = FireOn::Change)];
    let changed = new(record(&*ledger, &told(5, "ORD-1", &postbacks))).id;
    let same = new(record(&*ledger, &told(8, "ORD-2", &postbacks))).id;
    let batch = ledger.create_batch(BatchType::Import, &author(), "a file", at(0)).expect("begun");
    let mut call = told(2, "ORD-3", &postbacks);
    call.call.batch_id = Some(batch);
    record(&*ledger, &call);
    let in_batch = |id, to| {
        let order = Order { batch_id: Some(batch), ..order(status(to)) };
        ledger.adjust_conversions(&[id], &order, at(100)).expect("committed").remove(0).expect("may");
    };
    in_batch(changed, ConversionStatus::Approved);
    in_batch(changed, ConversionStatus::Reversed);
    in_batch(same, ConversionStatus::Reversed);
    in_batch(same, ConversionStatus::Approved);
    let undone = ledger.undo_batch(batch, &author(), &network(&postbacks), at(200)).expect("done");
    assert_eq!(undone, Undone::Done(5));
    let expected = [
        (1, 4, DeliveryCause::Pending, ConversionStatus::Pending),
        (3, 1, DeliveryCause::Reversed, ConversionStatus::Reversed),
    ];
    assert_eq!(causes(&*ledger), expected, "nobody of what stands as it did");
    assert_eq!(findings(&*ledger), []);
}

pub fn what_is_recorded_with_a_status_is_told_once_as_it_stands_in_the_end(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let fire_on = [FireOn::Conversion, FireOn::Rejection, FireOn::Change, FireOn::All];
    let postbacks =
        fire_on.map(|fire_on| postback(&*ledger, AFFILIATE, "https://a.example/", |it| it.fire_on = fire_on));
    let full = cap(CapType::Conversion, "0", AtCap::Neither);
    let stated = |number, to| {
        let change = |it: &mut Entities| {
            it.postbacks = postbacks.to_vec();
            it.caps = if number == 14 { vec![full.clone()] } else { Vec::new() };
        };
        let mut call = submission_in(number, &format!("ORD-{number}"), change);
        call.stated = Some(Stated { status: to, author: author(), note: "a file".into() });
        call
    };
    let mut silent = stated(11, ConversionStatus::Rejected);
    silent.call.is_told = false;
    let batch = [
        stated(2, ConversionStatus::Rejected),
        stated(5, ConversionStatus::Reversed),
        stated(8, ConversionStatus::Approved),
        silent,
        stated(14, ConversionStatus::Approved),
    ];
    let recorded = ledger.record_conversions(&batch).expect("commits");
    let conversions: Vec<_> = recorded.into_iter().map(|it| new(it.expect("recorded"))).collect();
    let standing: Vec<_> = conversions.iter().map(|it| (it.standing.status, it.adjustments)).collect();
    let expected = [
        (ConversionStatus::Rejected, 1),
        (ConversionStatus::Reversed, 2),
        (ConversionStatus::Approved, 0),
        (ConversionStatus::Rejected, 1),
        (ConversionStatus::Ignored, 0),
    ];
    assert_eq!(standing, expected);
    let [conversion, rejection, _, all_of_it] = &postbacks;
    let told: Vec<_> = all(&*open()).iter().map(|it| (it.id, it.cause)).collect();
    let expected = [
        id(&conversions[0], 1, rejection),
        id(&conversions[0], 1, all_of_it),
        id(&conversions[1], 2, conversion),
        id(&conversions[1], 2, all_of_it),
        id(&conversions[2], 0, conversion),
        id(&conversions[2], 0, all_of_it),
        id(&conversions[4], 0, all_of_it),
    ];
    assert_eq!(told, expected.map(|id| (id, DeliveryCause::Recorded)));
    assert_eq!(open().find_conversion(conversions[1].id).expect("asked").as_ref(), Some(&conversions[1]));
    assert_eq!(findings(&*ledger), []);
}
