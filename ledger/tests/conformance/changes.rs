//! The promises about the order of changes, and about what reports are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::adjustment::{Amend, Cause, Change as Asked, Standing};
use domain::click::Disposition;
use domain::conversion::Conversion;
use domain::ids::{AdvertiserId, AffiliateId, ChangeId, ConversionId, OfferId};
use domain::network::{Entities, Network};
use domain::report::{Clock, Fact};
use domain::status::ConversionStatus;
use jiff::Timestamp;
use ledger::{BatchType, Change, ChangeFilter, ChangePage, Ledger, Order, Stated, Submission, Undone};

use crate::money::{author, findings, new, open_with_parties, order, status};
use crate::sample::{Open, amount, at, record, submission, submission_in};

const ALL: ChangeFilter = ChangeFilter { offer_id: None, affiliate_id: None, advertiser_id: None };

fn page(ledger: &dyn Ledger, after: u64, filter: &ChangeFilter, limit: u32) -> ChangePage {
    let page = ledger.list_changes(ChangeId(after), filter, limit).expect("listed");
    page.expect("such a number was given")
}

/// All that match, in pages of that many.
fn follow(ledger: &dyn Ledger, filter: &ChangeFilter, limit: u32) -> Vec<Change> {
    let (mut after, mut changes) = (0, Vec::new());
    loop {
        let page = page(ledger, after, filter, limit);
        changes.extend(page.changes);
        after = page.last.0;
        if !page.more {
            return changes;
        }
    }
}

fn adjust(ledger: &dyn Ledger, ids: &[ConversionId], order: &Order, second: i64) {
    let outcomes = ledger.adjust_conversions(ids, order, at(second)).expect("committed");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

fn found(ledger: &dyn Ledger, id: ConversionId) -> Conversion {
    ledger.find_conversion(id).expect("asked").expect("there")
}

pub fn every_recording_and_every_adjustment_is_a_change_in_the_order_they_were_made(open: Open<'_>) {
    let ledger = open_with_parties(open);
    assert_eq!(ledger.last_change().expect("asked"), ChangeId(0));
    let nothing = ChangePage { changes: Vec::new(), last: ChangeId(0), more: false };
    assert_eq!(page(&*ledger, 0, &ALL, 10), nothing);
    let refused = Submission { click: None, ..submission(6, "ORD-3") };
    let batch = [submission(2, "ORD-1"), submission(2, "ORD-1"), refused, submission(5, "ORD-2")];
    let recorded = ledger.record_conversions(&batch).expect("commits");
    let [first, _, _, second] = recorded.try_into().expect("four");
    let (first, second) = (new(first.expect("recorded")), new(second.expect("recorded")));
    let batch = ledger.create_batch(BatchType::MassAdjustment, &author(), "all", at(0)).expect("begun");
    let more = Asked { payout: Some(Amend::Add(amount("1"))), ..Asked::default() };
    let raised = Order { batch_id: Some(batch), cause: Cause::MassAdjustment, ..order(more) };
    adjust(&*ledger, &[second.id, first.id], &raised, 100);
    adjust(&*ledger, &[second.id], &order(status(ConversionStatus::Approved)), 200);
    // Nothing changes, and no preview does.
    adjust(&*ledger, &[second.id], &order(status(ConversionStatus::Approved)), 300);
    ledger.preview_adjustments(&[first.id], &raised, at(300)).expect("asked");
    ledger.preview_conversions(&[submission(8, "ORD-4")]).expect("asked");

    let changes = follow(&*open(), &ALL, 2);
    let told = |it: &Change| (it.id.0, it.conversion.id, it.booking, it.changed_at, it.cause);
    let (raised, updated) = (Some(Cause::MassAdjustment), Some(Cause::Update));
    assert_eq!(
        changes.iter().map(told).collect::<Vec<_>>(),
        [
            (1, first.id, 0, first.recorded_at, None),
            (2, second.id, 0, second.recorded_at, None),
            (3, second.id, 1, at(100), raised),
            (4, first.id, 1, at(100), raised),
            (5, second.id, 2, at(200), updated),
        ]
    );
    for change in &changes {
        assert_eq!(change.conversion, found(&*ledger, change.conversion.id), "as it stands now");
        let said = (change.actor.as_str(), change.note.as_str(), change.batch_id);
        let in_batch = change.cause == raised;
        let expected = if change.booking == 0 { ("", "") } else { ("ops", "a note") };
        assert_eq!(said, (expected.0, expected.1, in_batch.then_some(batch)));
    }
    let stood = |of: &Conversion| -> Vec<(Option<Standing>, Standing)> {
        changes.iter().filter(|it| it.conversion.id == of.id).map(|it| (it.before, it.after)).collect()
    };
    for recorded in [&first, &second] {
        let stood = stood(recorded);
        assert_eq!(stood[0], (None, recorded.standing), "as it was recorded");
        assert!(stood.windows(2).all(|pair| pair[1].0 == Some(pair[0].1)), "{stood:?}");
        assert_eq!(stood.last().map(|it| it.1), Some(found(&*ledger, recorded.id).standing));
    }
    assert_eq!(ledger.last_change().expect("asked"), ChangeId(5));
    assert_eq!(ledger.list_changes(ChangeId(6), &ALL, 10).expect("asked"), None, "not given yet");
    assert_eq!(findings(&*ledger), []);
}

pub fn what_settles_undoes_and_approves_is_a_change_too(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let nobody = Arc::new(Network::new(Entities::default()));
    let batch = ledger.create_batch(BatchType::Import, &author(), "a file", at(0)).expect("begun");
    let mut settled = submission(2, "ORD-1");
    settled.call.batch_id = Some(batch);
    let (reversed, note) = (ConversionStatus::Reversed, "as the file says".to_owned());
    settled.stated = Some(Stated { status: reversed, author: author(), note });
    let delayed = submission_in(3, "ORD-2", |it| it.offers[0].approval_delay_seconds = Some(60));
    let mut undone = submission(4, "ORD-3");
    undone.call.batch_id = Some(batch);
    let recorded = ledger.record_conversions(&[settled, delayed, undone]).expect("commits");
    let ids: Vec<_> = recorded.into_iter().map(|it| new(it.expect("recorded")).id).collect();
    assert_eq!(ledger.approve_due(&nobody, at(1000), 10).expect("done"), 1);
    let done = ledger.undo_batch(batch, &author(), &nobody, at(2000)).expect("done");
    // The status that the file stated is taken back, and then its recording.
    assert_eq!(done, Undone::Done(3));
    let changes = follow(&*ledger, &ALL, 100);
    let told: Vec<_> =
        changes.iter().map(|it| (it.conversion.id, it.booking, it.cause, it.after.status)).collect();
    let (approved, pending) = (ConversionStatus::Approved, ConversionStatus::Pending);
    assert_eq!(
        told,
        [
            (ids[0], 0, None, approved),
            (ids[1], 0, None, pending),
            (ids[2], 0, None, approved),
            (ids[0], 1, Some(Cause::Import), reversed),
            (ids[1], 1, Some(Cause::AutoApproval), approved),
            (ids[0], 2, Some(Cause::Undo), approved),
            (ids[0], 3, Some(Cause::Undo), reversed),
            (ids[2], 1, Some(Cause::Undo), reversed),
        ]
    );
    assert_eq!((changes[0].batch_id, changes[1].batch_id), (Some(batch), None), "as it was recorded");
    assert_eq!(findings(&*ledger), []);
}

/// A call on another offer.
fn on_offer(offer: u32, number: u32) -> Submission {
    let mut it =
        submission_in(number, &format!("ORD-{offer}-{number}"), |it| it.offers[0].id = OfferId(offer));
    it.call.offer_id = OfferId(offer);
    it.click.as_mut().expect("a click").offer_id = OfferId(offer);
    it
}

pub fn who_follows_while_many_write_sees_every_change_once_and_in_order(open: Open<'_>) {
    const WRITERS: u32 = 4;
    const ROUNDS: u32 = 25;
    let writing = AtomicUsize::new(WRITERS as usize);
    let seen: Vec<Change> = std::thread::scope(|scope| {
        for offer in 1..=WRITERS {
            let (ledger, writing) = (open(), &writing);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    // Batches of several sizes, and adjustments between them.
                    let batch: Vec<_> = (0..=round % 3).map(|it| on_offer(offer, 4 * round + it)).collect();
                    let recorded = ledger.record_conversions(&batch).expect("commits");
                    let first = new(recorded.into_iter().next().expect("one").expect("recorded"));
                    let more = Asked { payout: Some(Amend::Add(amount("1"))), ..Asked::default() };
                    adjust(&*ledger, &[first.id], &order(more), 1000);
                }
                writing.fetch_sub(1, Ordering::Release);
            });
        }
        let reader = open();
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let is_over = writing.load(Ordering::Acquire) == 0;
            let page = page(&*reader, after, &ALL, 7);
            after = page.last.0;
            seen.extend(page.changes);
            if is_over && !page.more {
                break seen;
            }
        }
    });
    let numbers: Vec<_> = seen.iter().map(|it| it.id.0).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let mut bookings: BTreeMap<ConversionId, u32> = BTreeMap::new();
    for change in &seen {
        let next = bookings.entry(change.conversion.id).or_default();
        assert_eq!(change.booking, *next, "{:?}", change.conversion.id);
        *next += 1;
    }
    let recorded: u32 = (0..ROUNDS).map(|round| round % 3 + 1).sum();
    assert_eq!(
        (bookings.len(), seen.len()),
        ((WRITERS * recorded) as usize, (WRITERS * (recorded + ROUNDS)) as usize)
    );
    let all: BTreeSet<_> = bookings.into_keys().collect();
    let filter = domain::conversion_query::ConversionFilter::default();
    let listed = open().list_conversion_ids(&filter, ConversionId(0), 10_000).expect("listed");
    assert_eq!(all.into_iter().collect::<Vec<_>>(), listed);
}

pub fn changes_are_filtered_and_a_page_goes_on_where_the_one_before_ended(open: Open<'_>) {
    let ledger = open();
    let batch: Vec<_> = (0..30).map(|number| on_offer(1 + number % 2, number)).collect();
    ledger.record_conversions(&batch).expect("commits");
    let everything = follow(&*ledger, &ALL, 100);
    assert_eq!(everything.len(), 30);
    let check = |filter: ChangeFilter, wanted: &dyn Fn(&Conversion) -> bool| {
        let expected: Vec<_> = everything.iter().filter(|it| wanted(&it.conversion)).cloned().collect();
        for limit in [1, 4, 15, 100] {
            assert_eq!(follow(&*ledger, &filter, limit), expected, "{filter:?}, {limit} at a time");
        }
        expected.len()
    };
    assert_eq!(
        check(ChangeFilter { offer_id: Some(OfferId(2)), ..ALL }, &|it| it.offer_id == OfferId(2)),
        15
    );
    let affiliate = AffiliateId(3);
    let by_affiliate = ChangeFilter { affiliate_id: Some(affiliate), ..ALL };
    assert_eq!(check(by_affiliate, &|it| it.affiliate_id == affiliate), 10);
    let both = ChangeFilter { offer_id: Some(OfferId(1)), ..by_affiliate };
    assert_eq!(check(both, &|it| it.affiliate_id == affiliate && it.offer_id == OfferId(1)), 5);
    let advertiser_id = Some(AdvertiserId(1));
    assert_eq!(check(ChangeFilter { advertiser_id, ..ALL }, &|_| true), 30);
    assert_eq!(check(ChangeFilter { advertiser_id: Some(AdvertiserId(2)), ..ALL }, &|_| false), 0);
    // What came before is not told again.
    let rest = page(&*ledger, 27, &ALL, 100);
    assert_eq!((rest.changes, rest.last, rest.more), (everything[27..].to_vec(), ChangeId(30), false));
}

pub fn a_question_looks_at_ten_thousand_changes_at_most(open: Open<'_>) {
    let ledger = open();
    let many = new(record(&*ledger, &on_offer(1, 2))).id;
    let more = Asked { payout: Some(Amend::Add(amount("0.0001"))), ..Asked::default() };
    for _ in 0..2 {
        adjust(&*ledger, &vec![many; 5000], &order(more), 100);
    }
    let few = new(record(&*ledger, &on_offer(2, 4)));
    let filter = ChangeFilter { offer_id: Some(OfferId(2)), ..ALL };
    let first = page(&*ledger, 0, &filter, 10);
    assert_eq!(first, ChangePage { changes: Vec::new(), last: ChangeId(10_000), more: true });
    let second = page(&*ledger, first.last.0, &filter, 10);
    let found: Vec<_> = second.changes.iter().map(|it| (it.id, &it.conversion)).collect();
    assert_eq!((found, second.more), (vec![(ChangeId(10_002), &few)], false));
}

pub fn the_times_of_what_has_changed_are_told_unless_too_much_has(open: Open<'_>) {
    let ledger = open();
    let times = |it: &Conversion| (it.click_id.time(), it.conversion_date, it.approved_at);
    let since = |after, max| ledger.changed_since(ChangeId(after), max).expect("asked");
    assert_eq!((since(0, 0).last, since(0, 0).times), (ChangeId(0), Some(Vec::new())));
    let approved = new(record(&*ledger, &submission(2, "ORD-1")));
    let pending = new(record(&*ledger, &submission(3, "ORD-2")));
    adjust(&*ledger, &[pending.id], &order(status(ConversionStatus::Approved)), 500);
    let now = found(&*ledger, pending.id);
    assert_eq!(now.approved_at, Some(at(500)));
    let all = since(0, 3);
    assert_eq!((all.last, all.times), (ChangeId(3), Some(vec![times(&approved), times(&now), times(&now)])));
    assert_eq!((since(0, 2).last, since(0, 2).times), (ChangeId(3), None));
    assert_eq!(since(2, 1).times, Some(vec![times(&now)]));
    assert_eq!(since(3, 0).times, Some(Vec::new()));
    assert_eq!((since(4, 10).last, since(4, 10).times), (ChangeId(3), None), "a number of no change");
    let before = since(3, 0).erasures;
    ledger.erase_visitors(&[approved.click_id]).expect("erased");
    assert_eq!((since(3, 0).last, since(3, 0).erasures), (ChangeId(3), before + 1), "no change, but told");
}

fn facts(ledger: &dyn Ledger, clock: Clock, from: Timestamp, until: Timestamp) -> Vec<Fact> {
    let mut facts = Vec::new();
    ledger.each_fact(clock, from, until, &mut |fact| facts.push(fact)).expect("read");
    facts
}

/// What a report is to know of a conversion.
fn fact(it: &Conversion) -> Fact {
    Fact {
        offer_id: it.offer_id,
        advertiser_id: it.advertiser_id,
        affiliate_id: it.affiliate_id,
        campaign_id: it.campaign_id,
        creative_id: it.creative_id,
        event_id: it.event_id,
        status: it.standing.status,
        payout_source: it.price.payout_source,
        currency: it.currency,
        sub_ids: it.sub_ids.clone(),
        country: it.country.as_str().to_owned(),
        device: it.device.name().to_owned(),
        os: it.os.clone(),
        browser: it.browser.clone(),
        referrer_host: it.referrer_host.clone(),
        disposition: it.disposition.name().to_owned(),
        click_date: it.click_id.time(),
        conversion_date: it.conversion_date,
        approved_at: it.approved_at,
        payout: it.payout(),
        revenue: it.revenue(),
    }
}

pub fn facts_come_by_the_time_that_counts_with_all_that_a_conversion_took_from_its_click(open: Open<'_>) {
    let ledger = open();
    let dated = |number: u32| {
        let mut it = submission(number, &format!("ORD-{number}"));
        // Reported out of order, twice at the same moment.
        it.call.conversion_date = at(i64::from(number / 2 * 7 % 20) + 100);
        let click = it.click.as_mut().expect("a click");
        click.os = "iOS".into();
        click.browser = format!("Browser {number}");
        click.referrer = format!("https://News{number}.Example.org:8443/story?id=1");
        click.disposition = if number == 4 { Disposition::Duplicate } else { Disposition::Accepted };
        it
    };
    let batch: Vec<_> = (0..20).map(dated).collect();
    let recorded = ledger.record_conversions(&batch).expect("commits");
    let ids: Vec<_> = recorded.into_iter().map(|it| new(it.expect("recorded")).id).collect();
    adjust(&*ledger, &[ids[3], ids[1]], &order(status(ConversionStatus::Approved)), 50);
    adjust(&*ledger, &[ids[4], ids[3]], &order(status(ConversionStatus::Reversed)), 60);
    let all: Vec<_> = ids.iter().map(|id| found(&*ledger, *id)).collect();
    let described = (all[4].browser.as_str(), all[4].referrer_host.as_str(), all[4].disposition);
    assert_eq!(described, ("Browser 4", "news4.example.org", Disposition::Duplicate));
    for clock in Clock::ALL {
        for (from, until) in [(at(-10), at(1000)), (at(5), at(110)), (at(104), at(105)), (at(9), at(9))] {
            let mut expected: Vec<_> = all
                .iter()
                .filter_map(|it| Some((fact(it).at(clock)?, it.id, fact(it))))
                .filter(|(time, ..)| (from..until).contains(time))
                .collect();
            expected.sort_by_key(|(time, id, _)| (*time, *id));
            let expected: Vec<_> = expected.into_iter().map(|(.., fact)| fact).collect();
            assert_eq!(facts(&*open(), clock, from, until), expected, "{clock:?} {from} to {until}");
        }
    }
    let always = (Timestamp::MIN, Timestamp::MAX);
    let by_approval = facts(&*ledger, Clock::Approval, always.0, always.1);
    assert_eq!(by_approval.len(), 12, "those that were ever approved");
    assert_eq!(facts(&*ledger, Clock::Click, always.0, always.1).len(), 20);
}

pub fn the_first_approval_is_kept_for_ever(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let nobody = Arc::new(Network::new(Entities::default()));
    let approved_at = |id| found(&*ledger, id).approved_at;
    let mut early = submission(2, "ORD-1");
    early.call.conversion_date = at(-500);
    let at_once = new(record(&*ledger, &early));
    assert_eq!(at_once.approved_at, Some(at(-500)), "recorded as approved: its own date");
    let pending = new(record(&*ledger, &submission(3, "ORD-2")));
    let delayed = submission_in(5, "ORD-3", |it| it.offers[0].approval_delay_seconds = Some(60));
    let delayed = new(record(&*ledger, &delayed));
    let mut stated = submission(7, "ORD-4");
    let (status_stated, note) = (ConversionStatus::Approved, "as the file says".to_owned());
    stated.stated = Some(Stated { status: status_stated, author: author(), note });
    let stated = new(record(&*ledger, &stated));
    assert_eq!((pending.approved_at, delayed.approved_at), (None, None));
    assert_eq!(stated.approved_at, Some(stated.recorded_at));
    let adjusted = |id, to, second| adjust(&*ledger, &[id], &order(status(to)), second);
    adjusted(pending.id, ConversionStatus::Rejected, 50);
    assert_eq!(approved_at(pending.id), None);
    adjusted(pending.id, ConversionStatus::Approved, 100);
    ledger.approve_due(&nobody, at(200), 10).expect("done");
    let expected = [Some(at(-500)), Some(at(100)), Some(at(200)), Some(at(8))];
    let ids = [at_once.id, pending.id, delayed.id, stated.id];
    assert_eq!(ids.map(approved_at), expected);
    for (to, second) in [(ConversionStatus::Reversed, 300), (ConversionStatus::Approved, 400)] {
        for id in ids {
            adjusted(id, to, second);
        }
    }
    assert_eq!(ids.map(approved_at), expected);
    assert_eq!(findings(&*ledger), []);
}
