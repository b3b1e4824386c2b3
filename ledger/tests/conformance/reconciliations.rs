//! The promises about reconciliations: kept row by row, accepted once, and what is like a row that is missing.

use domain::adjustment::{Amend, Change};
use domain::ids::{AdvertiserId, BatchId, ConversionId, ReconciliationId};
use domain::reconciliation::RowClass;
use domain::status::ConversionStatus;
use ledger::{
    Accepting, BatchType, BeginReconciliation, Ledger, Lookup, NotAdjusted, Old, Reconciled,
    ReconciliationRow, Taken, Taking,
};

use crate::money::{author, findings, new, open_with_parties, order, status};
use crate::sample::{Open, amount, at, record, submission};

fn begin() -> BeginReconciliation {
    BeginReconciliation {
        advertiser_id: AdvertiserId(1),
        from: at(0),
        until: at(1000),
        author: author(),
        note: "june.csv".into(),
    }
}

fn row(position: u64, class: RowClass) -> ReconciliationRow {
    ReconciliationRow {
        position,
        line: Some(position + 1),
        class,
        code: "amounts".into(),
        reason: "they say otherwise".into(),
        conversion_id: Some(ConversionId(7)),
        adjustments: Some(2),
        unique_id: "U\0".into(),
        order_id: "O".into(),
        click_id: "C".into(),
        their_amount: Some(amount("20.5")),
        their_payout: Some(amount("1")),
        their_status: Some(ConversionStatus::Rejected),
        their_currency: "EUR".parse().ok(),
        their_date: Some(at(3)),
        our_amount: Some(amount("22")),
        our_status: Some(ConversionStatus::Approved),
        our_currency: "USD".parse().ok(),
        our_date: Some(at(4)),
    }
}

fn finish(ledger: &dyn Ledger, rows: u64, second: i64) -> ReconciliationId {
    let id = ledger.begin_reconciliation(&begin(), at(second)).expect("begun");
    let class =
        |position: u64| if position.is_multiple_of(2) { RowClass::Matched } else { RowClass::AmountDiffers };
    let all: Vec<_> = (1..=rows).map(|position| row(position, class(position))).collect();
    // Later ones may come first.
    let (first, last) = all.split_at(all.len() / 2);
    ledger.add_reconciliation_rows(id, last).expect("added");
    ledger.add_reconciliation_rows(id, first).expect("added");
    let counts = vec![(RowClass::Matched, rows / 2), (RowClass::AmountDiffers, rows.div_ceil(2))];
    let bridge = vec!["USD their_total 3 -66000000".parse().expect("a line")];
    let remarks = vec!["a comma".to_owned(), "two\nlines".to_owned()];
    ledger.finish_reconciliation(id, &Reconciled { rows, counts, bridge, remarks }).expect("finished");
    id
}

pub fn a_reconciliation_is_found_once_it_is_finished_and_comes_back_as_it_was(open: Open<'_>) {
    let ledger = open();
    let unfinished = ledger.begin_reconciliation(&begin(), at(5)).expect("begun");
    assert_eq!(ledger.find_reconciliation(unfinished).expect("asked"), None);
    let id = finish(&*ledger, 5, 6);
    let found = open().find_reconciliation(id).expect("asked").expect("finished");
    assert_eq!((found.begun, found.made_at, found.batch_id), (begin(), at(6), None));
    assert_eq!(
        (found.reconciled.rows, &*found.reconciled.counts),
        (5, &[(RowClass::Matched, 2), (RowClass::AmountDiffers, 3)][..])
    );
    assert_eq!(found.reconciled.bridge[0].to_string(), "USD their_total 3 -66000000");
    assert_eq!(found.reconciled.remarks, ["a comma", "two lines"]);
    let page = ledger.list_reconciliation_rows(id, &[], 0, 1).expect("listed");
    let kept = ReconciliationRow { unique_id: "U\u{2400}".into(), ..row(1, RowClass::AmountDiffers) };
    assert_eq!((page.total, page.rows), (5, vec![kept]));
    let bare = ReconciliationRow {
        line: None,
        conversion_id: None,
        adjustments: None,
        their_amount: None,
        their_payout: None,
        their_status: None,
        their_currency: None,
        their_date: None,
        our_amount: None,
        our_status: None,
        our_currency: None,
        our_date: None,
        unique_id: String::new(),
        ..row(1, RowClass::MissingHere)
    };
    let id = ledger.begin_reconciliation(&begin(), at(7)).expect("begun");
    ledger.add_reconciliation_rows(id, std::slice::from_ref(&bare)).expect("added");
    assert_eq!(ledger.next_reconciliation_rows(id, &[], 0, 9).expect("listed"), [bare]);
}

pub fn rows_are_paged_by_class_in_their_order(open: Open<'_>) {
    let ledger = open();
    finish(&*ledger, 3, 5);
    let id = finish(&*ledger, 9, 6);
    let page = |classes: &[RowClass], offset, limit| {
        let page = ledger.list_reconciliation_rows(id, classes, offset, limit).expect("listed");
        (page.total, page.rows.iter().map(|it| it.position).collect::<Vec<_>>())
    };
    assert_eq!(page(&[], 2, 3), (9, vec![3, 4, 5]));
    assert_eq!(page(&[RowClass::Matched], 1, 2), (4, vec![4, 6]));
    assert_eq!(page(&[RowClass::Matched, RowClass::AmountDiffers], 8, 5), (9, vec![9]));
    assert_eq!(page(&[RowClass::Unreadable], 0, 5), (0, vec![]));
    let next = |classes: &[RowClass], after| {
        let rows = ledger.next_reconciliation_rows(id, classes, after, 2).expect("listed");
        rows.iter().map(|it| it.position).collect::<Vec<_>>()
    };
    assert_eq!((next(&[], 0), next(&[], 8)), (vec![1, 2], vec![9]));
    assert_eq!(next(&[RowClass::Matched], 4), [6, 8]);
}

pub fn a_reconciliation_is_accepted_once_however_many_try(open: Open<'_>) {
    let ledger = open();
    let id = finish(&*ledger, 2, 5);
    let accepted: Vec<_> = std::thread::scope(|scope| {
        let accept = || open().accept_reconciliation(id, &author(), "june", at(6)).expect("asked");
        let tries: Vec<_> = (0..4).map(|_| scope.spawn(accept)).collect();
        tries.into_iter().map(|it| it.join().expect("no panic")).collect()
    });
    let begun: Vec<_> = accepted.iter().filter(|it| matches!(it, Accepting::Begun(_))).collect();
    let [Accepting::Begun(batch_id)] = begun[..] else { panic!("{accepted:?}") };
    assert_eq!(accepted.iter().filter(|it| **it == Accepting::Already(*batch_id)).count(), 3);
    let batches = ledger.list_batches(0, 9).expect("listed");
    assert_eq!((batches.total, batches.rows[0].batch_type), (1, BatchType::Reconciliation));
    assert_eq!(ledger.find_reconciliation(id).expect("asked").and_then(|it| it.batch_id), Some(*batch_id));
    let unfinished = ledger.begin_reconciliation(&begin(), at(5)).expect("begun");
    for id in [unfinished, ReconciliationId(99)] {
        let accepted = ledger.accept_reconciliation(id, &author(), "", at(6)).expect("asked");
        assert_eq!(accepted, Accepting::NotFound);
    }
    assert_eq!(ledger.list_batches(0, 9).expect("listed").total, 1, "no batch is left behind");
}

pub fn theirs_is_taken_unless_the_conversion_has_changed_since(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let ids: Vec<_> = [2, 4, 6, 8]
        .into_iter()
        .map(|number| new(record(&*ledger, &submission(number, &format!("ORD-{number}")))).id)
        .collect();
    let batch_id = ledger.create_batch(BatchType::Reconciliation, &author(), "", at(50)).expect("begun");
    let order = ledger::Order { batch_id: Some(batch_id), ..order(Change::default()) };
    let revenue = Change { revenue: Some(Amend::Set(amount("20.5"))), ..Change::default() };
    let taking = |id, adjustments, changes: &[Change]| Taking {
        conversion_id: id,
        adjustments,
        changes: changes.to_vec(),
    };
    let two = [status(ConversionStatus::Pending), status(ConversionStatus::Ignored)];
    let never = [status(ConversionStatus::Rejected), status(ConversionStatus::Reversed)];
    let takings = [
        taking(ids[0], 0, &[revenue]),
        taking(ids[1], 0, &two),
        taking(ids[2], 1, &[revenue]),
        taking(ids[3], 0, &never),
        taking(ConversionId(99), 0, &[revenue]),
    ];
    let told = |taken: &[Taken]| {
        let one = |it: &Taken| match it {
            Taken::Adjusted(adjusted) => adjusted.len().to_string(),
            Taken::ChangedSince => "changed".to_owned(),
            Taken::NotAdjusted(NotAdjusted::NotFound) => "not found".to_owned(),
            Taken::NotAdjusted(_) => "refused".to_owned(),
        };
        taken.iter().map(one).collect::<Vec<_>>()
    };
    let expected = ["1", "2", "changed", "refused", "not found"];
    assert_eq!(told(&ledger.preview_taking(&takings, &order, at(60)).expect("asked")), expected);
    let standing = |id| {
        let found = ledger.find_conversion(id).expect("asked").expect("there");
        (found.standing.status, found.revenue().to_string(), found.adjustments)
    };
    assert_eq!(standing(ids[0]), (ConversionStatus::Approved, "1000.00".into(), 0), "a preview does nothing");
    assert_eq!(told(&ledger.take_theirs(&takings, &order, at(60)).expect("committed")), expected);
    assert_eq!(standing(ids[0]), (ConversionStatus::Approved, "20.50".into(), 1));
    assert_eq!(standing(ids[1]), (ConversionStatus::Ignored, "0.00".into(), 2));
    assert_eq!(standing(ids[2]).2 + standing(ids[3]).2, 0);
    let again = ledger.take_theirs(&takings[..1], &order, at(61)).expect("committed");
    assert_eq!(told(&again), ["changed"]);
    let same = ledger.take_theirs(&[taking(ids[0], 1, &[revenue])], &order, at(61)).expect("committed");
    assert_eq!(told(&same), ["0"]);
    assert_eq!(findings(&*ledger), []);
}

pub fn the_conversions_of_an_advertiser_are_paged_by_date(open: Open<'_>) {
    let ledger = open_with_parties(open);
    for number in [5, 2, 4, 3] {
        new(record(&*ledger, &submission(number, &format!("ORD-{number}"))));
    }
    let page = |from, until, after, limit| {
        let found =
            ledger.list_conversions_of(AdvertiserId(1), at(from), at(until), after, limit).expect("listed");
        let last = found.last().map(|it| (it.conversion_date, it.id));
        (found.iter().map(|it| it.unique_id.clone()).collect::<Vec<_>>(), last)
    };
    // Each happens a second after its click's.
    let (first, last) = page(3, 6, None, 2);
    assert_eq!(first, ["ORD-2", "ORD-3"]);
    assert_eq!(page(3, 6, last, 2).0, ["ORD-4"]);
    assert_eq!(page(0, 100, None, 9).0.len(), 4);
    let other = ledger.list_conversions_of(AdvertiserId(2), at(0), at(100), None, 9).expect("listed");
    assert_eq!(other, []);
}

pub fn what_is_like_a_row_is_found_by_each_of_its_keys(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let mut first = submission(2, "ORD-2");
    first.call.order_id = "REF-2".into();
    let conversion = new(record(&*ledger, &first));
    let refused = ledger::Submission { click: None, ..submission(4, "ORD-4") };
    record(&*ledger, &refused);
    let click_text = refused.call.click_id.clone();
    let lookups = [
        Lookup { conversion_id: Some(conversion.id), ..Lookup::default() },
        Lookup { unique_id: "ORD-2".into(), ..Lookup::default() },
        Lookup { order_id: "REF-2".into(), ..Lookup::default() },
        Lookup { click_id: Some(conversion.click_id), ..Lookup::default() },
        Lookup { unique_id: "ORD-4".into(), ..Lookup::default() },
        Lookup { click_text, ..Lookup::default() },
        Lookup { conversion_id: Some(ConversionId(99)), unique_id: "X".into(), ..Lookup::default() },
        Lookup::default(),
    ];
    let found = ledger.find_like(&lookups).expect("asked");
    let told: Vec<_> = found
        .iter()
        .map(|it| {
            let ids: Vec<_> = it.conversions.iter().map(|known| known.id).collect();
            (ids, it.refused.as_ref().map(|attempt| attempt.outcome.as_str()))
        })
        .collect();
    let (own, none) = (vec![conversion.id], Vec::new());
    let refusal = Some("click_not_found");
    let expected = [
        (own.clone(), None),
        (own.clone(), None),
        (own.clone(), None),
        (own, None),
        (none.clone(), refusal),
        (none.clone(), refusal),
        (none.clone(), None),
        (none, None),
    ];
    assert_eq!(told, expected);
    let known = &found[0].conversions[0];
    assert_eq!(
        (&*known.unique_id, &*known.order_id, known.click_id),
        ("ORD-2", "REF-2", conversion.click_id)
    );
    assert_eq!(
        (known.revenue, known.adjustments, known.status),
        (conversion.revenue(), 0, conversion.standing.status)
    );
}

pub fn what_is_old_is_dropped_part_by_part(open: Open<'_>) {
    let ledger = open();
    let (old, recent) = (finish(&*ledger, 5, 10), finish(&*ledger, 5, 20));
    let torn = ledger.begin_reconciliation(&begin(), at(15)).expect("begun");
    ledger.add_reconciliation_rows(torn, &[row(3, RowClass::Matched)]).expect("added");
    let drop = |made, begun, rows_max| {
        let old = Old { made_before: at(made), begun_before: at(begun), rows_max };
        let mut parts = 0;
        while ledger.drop_reconciliations(old, 2).expect("dropped") {
            parts += 1;
        }
        parts
    };
    let there = |id| ledger.find_reconciliation(id).expect("asked").is_some();
    let rows = |id| ledger.next_reconciliation_rows(id, &[], 0, 9).expect("listed").len();
    assert_eq!(drop(10, 10, 100), 0);
    assert_eq!((drop(11, 10, 100), there(old), there(recent), rows(old)), (3, false, true, 0));
    assert_eq!((drop(11, 16, 100), rows(torn), rows(recent)), (1, 0, 5));
    let latest = finish(&*ledger, 3, 30);
    assert_eq!((drop(0, 0, 8), there(recent)), (0, true));
    assert_eq!((drop(0, 0, 7), there(recent), there(latest)), (3, false, true));
    assert_eq!(ledger.find_batch(BatchId(1)).expect("asked"), None);
}
