//! The conversions' promises.

use std::collections::BTreeSet;

use domain::conversion::{Conversion, Refusal};
use domain::conversion_query::{ConversionFilter, ConversionQuery, ConversionSort, Start};
use domain::ids::{AdvertiserId, AffiliateId, ConversionId, OfferId};
use domain::status::ConversionStatus;
use jiff::{SignedDuration, Timestamp};
use ledger::{AttemptKey, ConversionKey, Ledger, Recorded, Submission};

use crate::sample::{Open, amount, at, click, record, submission, submission_in, with_campaign};

fn new(recorded: Recorded) -> Conversion {
    match recorded {
        Recorded::New(conversion) => conversion,
        other => panic!("not new: {other:?}"),
    }
}

fn everything(ledger: &dyn Ledger) -> Vec<Conversion> {
    list(
        ledger,
        &ConversionQuery {
            filter: ConversionFilter::default(),
            sort: ConversionSort::ConversionId,
            descending: false,
            start: Start::Row(0),
            limit: 100_000,
        },
    )
}

fn list(ledger: &dyn Ledger, query: &ConversionQuery) -> Vec<Conversion> {
    ledger.list_conversions(query).expect("listed").conversions
}

pub fn a_call_becomes_a_conversion_with_its_attempt(open: Open<'_>) {
    let ledger = open();
    let submission = submission(2, "ORD-1");
    let conversion = new(record(&*ledger, &submission));
    assert_eq!(conversion.price.payout, amount("2.5"));
    assert_eq!(conversion.standing.status, ConversionStatus::Approved);
    assert_eq!((conversion.recorded_at, conversion.last_updated), (at(3), at(3)));
    assert_eq!(conversion.sub_ids[4], "e");
    assert_eq!(open().find_conversion(conversion.id).expect("asked"), Some(conversion.clone()));
    let attempts = open().list_attempts(&submission.call.click_id).expect("listed");
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].outcome, "recorded");
    assert_eq!(attempts[0].conversion_id, Some(conversion.id));
    assert_eq!(attempts[0].raw, submission.call.raw);
}

pub fn the_same_call_again_gets_the_original(open: Open<'_>) {
    let submission = submission(2, "ORD-1");
    let first = new(record(&*open(), &submission));
    for _ in 0..3 {
        let again = record(&*open(), &submission);
        assert_eq!(again, Recorded::Same { first: first.clone(), conflict: false });
    }
    assert_eq!(everything(&*open()), [first]);
}

pub fn the_same_call_twice_in_one_batch_is_one_conversion(open: Open<'_>) {
    let ledger = open();
    let batch = [submission(2, "ORD-1"), submission(2, "ORD-1"), submission(4, "ORD-2")];
    let outcomes: Vec<_> = ledger
        .record_conversions(&batch)
        .expect("commits")
        .into_iter()
        .map(|it| it.expect("decided"))
        .collect();
    let first = new(outcomes[0].clone());
    assert_eq!(outcomes[1], Recorded::Same { first, conflict: false });
    assert!(matches!(outcomes[2], Recorded::New(_)));
    assert_eq!(everything(&*ledger).len(), 2);
}

pub fn another_click_with_the_same_unique_id_is_a_duplicate(open: Open<'_>) {
    let ledger = open();
    let first = new(record(&*ledger, &submission(2, "ORD-1"))).id;
    let other = record(&*ledger, &submission(4, "ORD-1"));
    assert_eq!(other, Recorded::Refused(Refusal::DuplicateConversion(first)));
}

pub fn a_click_without_unique_id_converts_once(open: Open<'_>) {
    let ledger = open();
    let first = new(record(&*ledger, &submission(2, ""))).id;
    let again = record(&*ledger, &submission(2, ""));
    assert_eq!(again, Recorded::Refused(Refusal::DuplicateConversion(first)));
    assert!(matches!(record(&*ledger, &submission(2, "ORD-1")), Recorded::New(_)));
    assert!(matches!(record(&*ledger, &submission(4, "")), Recorded::New(_)));
}

pub fn a_repeat_with_other_amounts_is_told_and_changes_nothing(open: Open<'_>) {
    let ledger = open();
    let first = new(record(&*ledger, &submission(2, "ORD-1")));
    let mut other = submission(2, "ORD-1");
    other.call.payout = Some(amount("99"));
    assert_eq!(record(&*ledger, &other), Recorded::Same { first: first.clone(), conflict: true });
    assert_eq!(everything(&*ledger), [first]);
    let attempts = ledger.list_attempts(&other.call.click_id).expect("listed");
    assert_eq!(attempts[1].outcome, "repeated_with_conflict");
}

pub fn a_refused_call_leaves_its_attempt_with_its_reason(open: Open<'_>) {
    let ledger = open();
    let unknown = Submission { click: None, ..submission(2, "ORD-1") };
    assert_eq!(record(&*ledger, &unknown), Recorded::Refused(Refusal::ClickNotFound));
    let mut late = submission(4, "ORD-1");
    late.call.received_at = at(100_000);
    assert_eq!(record(&*ledger, &late), Recorded::Refused(Refusal::ClickExpired));
    assert!(everything(&*ledger).is_empty());
    for (submission, outcome) in [(&unknown, "click_not_found"), (&late, "click_expired")] {
        let attempts = open().list_attempts(&submission.call.click_id).expect("listed");
        assert_eq!(attempts.iter().map(|it| it.outcome.as_str()).collect::<Vec<_>>(), [outcome]);
        assert_eq!(attempts[0].unique_id, "ORD-1");
    }
}

pub fn attempts_are_found_by_number_click_and_transaction(open: Open<'_>) {
    let ledger = open();
    let sent = [submission(2, "ORD-1"), submission(2, "ORD-2"), submission(4, "ORD-1"), submission(4, "")];
    for submission in &sent {
        record(&*ledger, submission);
    }
    let list = |key: &AttemptKey, limit| open().list_attempts_by(key, limit).expect("listed");
    let found = |key: &AttemptKey, limit| -> Vec<(String, String)> {
        let known = |it: ledger::KeptAttempt| (it.attempt.unique_id, it.attempt.outcome);
        list(key, limit).into_iter().map(known).collect()
    };
    let pair = |unique_id: &str, outcome: &str| (unique_id.to_owned(), outcome.to_owned());
    let by_click = AttemptKey::Click(sent[0].call.click_id.to_ascii_uppercase());
    assert_eq!(found(&by_click, 9), [pair("ORD-1", "recorded"), pair("ORD-2", "recorded")]);
    assert_eq!(found(&by_click, 1), [pair("ORD-1", "recorded")]);
    let by_transaction = AttemptKey::UniqueId("ORD-1".into());
    assert_eq!(found(&by_transaction, 9), [pair("ORD-1", "recorded"), pair("ORD-1", "duplicate_conversion")]);
    let last = list(&by_transaction, 9).pop().expect("two");
    assert_eq!(list(&AttemptKey::Id(last.id), 9), [last]);
    let mut nameless = submission(6, "");
    (nameless.call.click_id, nameless.click) = (String::new(), None);
    record(&*ledger, &nameless);
    for none in [AttemptKey::Click(String::new()), AttemptKey::UniqueId(String::new())] {
        assert_eq!(found(&none, 9), []);
    }
}

pub fn conversions_are_found_by_click_transaction_and_order(open: Open<'_>) {
    let ledger = open();
    let with_order = |number, unique_id: &str, order_id: &str| {
        let mut submission = submission(number, unique_id);
        submission.call.order_id = order_id.into();
        submission
    };
    let sent = [
        with_order(2, "ORD-1", "A"),
        with_order(2, "ORD-2", "B"),
        with_order(4, "ORD-3", "A"),
        with_order(6, "", ""),
    ];
    let ids: Vec<_> = sent.iter().map(|it| new(record(&*ledger, it)).id).collect();
    // A duplicate names the transaction too, and is no conversion.
    record(&*ledger, &submission(8, "ORD-3"));
    let found = |key: ConversionKey, limit| -> Vec<ConversionId> {
        let found = open().list_conversions_by(&key, limit).expect("listed");
        found.into_iter().map(|it| it.id).collect()
    };
    assert_eq!(found(ConversionKey::Click(click(2).id), 9), ids[..2]);
    assert_eq!(found(ConversionKey::Click(click(2).id), 1), ids[..1]);
    assert_eq!(found(ConversionKey::Click(click(8).id), 9), []);
    assert_eq!(found(ConversionKey::UniqueId("ORD-3".into()), 9), [ids[2]]);
    assert_eq!(found(ConversionKey::OrderId("A".into()), 9), [ids[0], ids[2]]);
    for none in [ConversionKey::UniqueId(String::new()), ConversionKey::OrderId(String::new())] {
        assert_eq!(found(none, 9), []);
    }
}

pub fn a_walk_meets_every_conversion_once_while_others_are_recorded(open: Open<'_>) {
    let ledger = open();
    let dated = |number: u32, second: i64| {
        let mut submission = submission(number, &format!("ORD-{number}"));
        submission.call.conversion_date = at(second);
        new(record(&*ledger, &submission))
    };
    // Three share each date, and what was recorded last happened first.
    let mut expected: Vec<_> = (2..20).map(|number| dated(number, 5000 - i64::from(number / 3))).collect();
    expected.sort_by_key(|it| (it.conversion_date, it.id));
    let filter = ConversionFilter { from: Some(at(0)), until: Some(at(9000)), ..ConversionFilter::default() };
    let (mut walked, mut numbers) = (Vec::<Conversion>::new(), 100..);
    loop {
        let after = walked.last().map(|it| (it.conversion_date, it.id));
        let more = ledger.list_conversions_after(&filter, after, 4).expect("listed");
        assert!(more.len() <= 4);
        if more.is_empty() {
            break;
        }
        walked.extend(more);
        // One before every place that is still to come.
        dated(numbers.next().expect("without end"), 1);
    }
    assert_eq!(walked, expected);
    let narrow = ConversionFilter { affiliate_id: Some(expected[0].affiliate_id), ..filter };
    let listed = ledger.list_conversions_after(&narrow, None, 100).expect("listed");
    assert!(listed.len() > 1 && listed.iter().all(|it| it.affiliate_id == expected[0].affiliate_id));
}

pub fn many_threads_record_one_key_once(open: Open<'_>) {
    let ledger = open();
    let outcomes: Vec<Recorded> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..16).map(|_| scope.spawn(|| record(&*ledger, &submission(2, "ORD-1")))).collect();
        threads.into_iter().map(|it| it.join().expect("no panic")).collect()
    });
    let ids: BTreeSet<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Recorded::New(conversion) | Recorded::Same { first: conversion, .. } => conversion.id,
            Recorded::Refused(refusal) => panic!("{refusal:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(outcomes.iter().filter(|it| matches!(it, Recorded::New(_))).count(), 1);
}

pub fn two_servers_record_one_key_once(open: Open<'_>) {
    for round in 0..20 {
        let unique_id = format!("ORD-{round}");
        // Each with a click of its own: only the transaction is the same.
        let outcomes: Vec<Recorded> = std::thread::scope(|scope| {
            let servers = [2, 4].map(|click| {
                let (ledger, submission) = (open(), submission(click, &unique_id));
                scope.spawn(move || record(&*ledger, &submission))
            });
            servers.into_iter().map(|it| it.join().expect("no panic")).collect()
        });
        let first = outcomes.iter().find_map(|outcome| match outcome {
            Recorded::New(conversion) => Some(conversion.id),
            _ => None,
        });
        let first = first.expect("one of them is the first");
        let duplicate = Recorded::Refused(Refusal::DuplicateConversion(first));
        assert!(outcomes.contains(&duplicate), "{outcomes:?}");
    }
    assert_eq!(everything(&*open()).len(), 20);
}

pub fn a_batch_of_many_offers_waits_for_no_other_for_ever(open: Open<'_>) {
    let (here, there) = (open(), open());
    let batch = |offers: &mut dyn Iterator<Item = u32>| -> Vec<Submission> {
        offers.map(|offer| on_offer(offer, "ORD-1")).collect()
    };
    let (up, down) = (batch(&mut (1..=20)), batch(&mut (1..=20).rev()));
    std::thread::scope(|scope| {
        for (ledger, batch) in [(here, up), (there, down)] {
            scope.spawn(move || {
                for _ in 0..10 {
                    let outcomes = ledger.record_conversions(&batch).expect("commits");
                    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
                }
            });
        }
    });
    assert_eq!(everything(&*open()).len(), 20);
}

/// A call for the second click on another offer.
fn on_offer(offer: u32, unique_id: &str) -> Submission {
    let mut submission = submission_in(2, unique_id, |it| it.offers[0].id = OfferId(offer));
    submission.call.offer_id = OfferId(offer);
    submission.click.as_mut().expect("a click").offer_id = OfferId(offer);
    submission
}

pub fn what_is_recorded_is_there_after_opening_again(open: Open<'_>) {
    let first = new(record(&*open(), &submission(2, "ORD-1")));
    assert_eq!(everything(&*open()), std::slice::from_ref(&first));
    // A year later, and whatever has become of the offer, the repeat gets its original.
    let mut later = submission(2, "ORD-1");
    later.call.received_at = at(365 * 86_400);
    assert_eq!(record(&*open(), &later), Recorded::Same { first, conflict: false });
}

pub fn a_click_tells_its_first_conversion(open: Open<'_>) {
    let ledger = open();
    let first = new(record(&*ledger, &submission(2, "ORD-1"))).id;
    record(&*ledger, &submission(2, "ORD-2"));
    let asked = [click(4).id, click(2).id];
    assert_eq!(ledger.find_conversions_of(&asked).expect("asked"), [None, Some(first)]);
}

pub fn every_text_comes_back_as_it_was_but_for_zero(open: Open<'_>) {
    let ledger = open();
    for (number, text) in
        (2..).zip(["'; DROP TABLE conversions;--", "zero\0inside", "emoji 🍪 ü", " spaces ", "%00%FF"])
    {
        let mut odd = submission(number, text);
        odd.call.order_id = text.into();
        odd.call.adv = [text, "", text, "", text].map(String::from);
        odd.call.raw = text.into();
        let conversion = new(record(&*ledger, &odd));
        let found = ledger.find_conversion(conversion.id).expect("asked").expect("there");
        assert_eq!(found, conversion);
        // No database but one keeps U+0000, so its picture stands in on all of them.
        let kept = &*text.replace('\0', "␀");
        assert_eq!((found.unique_id.as_str(), found.order_id.as_str()), (kept, kept));
        assert_eq!(found.adv, [kept, "", kept, "", kept]);
        assert_eq!(ledger.list_attempts(&odd.call.click_id).expect("listed")[0].raw, kept);
        assert!(matches!(record(&*ledger, &odd), Recorded::Same { .. }), "{text}");
    }
}

fn populate(ledger: &dyn Ledger) -> Vec<Conversion> {
    let batch: Vec<_> = (0..40).map(|number| submission(number % 20, &format!("ORD-{number}"))).collect();
    let outcomes = ledger.record_conversions(&batch).expect("commits");
    outcomes.into_iter().map(|it| new(it.expect("recorded"))).collect()
}

pub fn every_sort_pages_through_each_conversion_once(open: Open<'_>) {
    let ledger = open();
    let all = populate(&*ledger);
    for sort in ConversionSort::ALL {
        for descending in [false, true] {
            let query = |start| ConversionQuery {
                filter: ConversionFilter::default(),
                sort,
                descending,
                start,
                limit: 7,
            };
            let whole = list(&*ledger, &ConversionQuery { limit: 1000, ..query(Start::Row(0)) });
            let keys: Vec<_> = whole.iter().map(|it| (format!("{:?}", sort.key(it)), it.id)).collect();
            assert_eq!(keys.iter().map(|(_, id)| *id).collect::<BTreeSet<_>>().len(), all.len(), "{sort}");
            let mut by_row = Vec::new();
            for row in (0..).step_by(7) {
                let page = ledger.list_conversions(&query(Start::Row(row))).expect("listed");
                assert_eq!(page.total, 40);
                by_row.extend(page.conversions);
                if !page.more {
                    break;
                }
            }
            assert_eq!(by_row, whole, "{sort} by row");
            let mut by_cursor: Vec<Conversion> = Vec::new();
            let mut start = Start::Row(0);
            loop {
                let page = ledger.list_conversions(&query(start)).expect("listed");
                let last = page.conversions.last().expect("never an empty page");
                start = Start::After(sort.key(last), last.id);
                by_cursor.extend(page.conversions);
                if !page.more {
                    break;
                }
            }
            assert_eq!(by_cursor, whole, "{sort} by cursor");
        }
    }
}

pub fn filters_count_and_list_the_same_rows(open: Open<'_>) {
    let ledger = open();
    with_campaign(&*ledger);
    let all = populate(&*ledger);
    let check = |filter: ConversionFilter, wanted: &dyn Fn(&Conversion) -> bool| {
        let query = ConversionQuery {
            filter,
            sort: ConversionSort::ConversionId,
            descending: false,
            start: Start::Row(0),
            limit: 1000,
        };
        let page = ledger.list_conversions(&query).expect("listed");
        let expected: Vec<ConversionId> = all.iter().filter(|it| wanted(it)).map(|it| it.id).collect();
        assert_eq!(page.conversions.iter().map(|it| it.id).collect::<Vec<_>>(), expected);
        assert_eq!(page.total, expected.len() as u64);
    };
    let none = ConversionFilter::default;
    check(none(), &|_| true);
    check(ConversionFilter { from: Some(at(5)), until: Some(at(9)), ..none() }, &|it| {
        it.conversion_date >= at(5) && it.conversion_date < at(9)
    });
    check(ConversionFilter { updated_since: Some(at(15)), ..none() }, &|it| it.last_updated >= at(15));
    check(ConversionFilter { offer_id: Some(OfferId(2)), ..none() }, &|_| false);
    check(ConversionFilter { advertiser_id: Some(AdvertiserId(1)), ..none() }, &|_| true);
    let affiliate_id = Some(AffiliateId(2));
    let statuses = vec![ConversionStatus::Pending, ConversionStatus::Reversed];
    check(ConversionFilter { affiliate_id, statuses, ..none() }, &|it| {
        it.affiliate_id == AffiliateId(2) && it.standing.status == ConversionStatus::Pending
    });
}

pub fn totals_are_the_rows_whatever_the_range(open: Open<'_>) {
    let ledger = open();
    with_campaign(&*ledger);
    // Dates over two weeks on either side of 1970, three a day.
    let date = |number: i64| Timestamp::from_second((number - 30) * 28_801).expect("in range");
    let dated = |number: u32| {
        let mut it = submission(number % 20, &format!("ORD-{number}"));
        it.call.conversion_date = date(number.into());
        it
    };
    let batch: Vec<_> = (0..60).map(dated).collect();
    let all: Vec<_> = ledger.record_conversions(&batch).expect("commits");
    let all: Vec<_> = all.into_iter().map(|it| new(it.expect("recorded"))).collect();
    let edges: Vec<_> =
        (0..64).step_by(7).flat_map(|it| [date(it), date(it) + SignedDuration::from_hours(5)]).collect();
    let ends = || edges.iter().copied().map(Some).chain([None]);
    for (from, until) in ends().flat_map(|from| ends().map(move |until| (from, until))) {
        for affiliate_id in [None, Some(AffiliateId(2))] {
            let statuses = vec![ConversionStatus::Pending];
            let filter =
                ConversionFilter { from, until, affiliate_id, statuses, ..ConversionFilter::default() };
            let query = ConversionQuery {
                filter,
                sort: ConversionSort::Payout,
                descending: true,
                start: Start::Row(0),
                limit: 1000,
            };
            let page = ledger.list_conversions(&query).expect("listed");
            let wanted = |it: &&Conversion| {
                from.is_none_or(|from| it.conversion_date >= from)
                    && until.is_none_or(|until| it.conversion_date < until)
                    && affiliate_id.is_none_or(|id| it.affiliate_id == id)
                    && it.standing.status == ConversionStatus::Pending
            };
            assert_eq!(page.total, all.iter().filter(wanted).count() as u64, "{from:?} to {until:?}");
            assert_eq!(page.total, page.conversions.len() as u64);
        }
    }
}
