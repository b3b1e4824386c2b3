//! The promises about money: caps, lines, adjustments, batches, statements, and what verifying finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::adjustment::{Amend, Cause, Change, EffectiveDate, Unadjustable, Worth};
use domain::caps::{AtCap, Cap, CapStatus, CapType, Interval};
use domain::conversion::{Conversion, Refusal};
use domain::entry::{Account, Entry};
use domain::ids::{
    AdvertiserId, AffiliateId, BatchId, CampaignId, CapId, ConversionId, OfferId, StatementId,
};
use domain::money::{Amount, Currency};
use domain::network::{Entities, Network};
use domain::statement::Party;
use domain::status::ConversionStatus;
use domain::suppression::{OnSuppressed, SuppressionKind};
use ledger::{
    AdjustmentFilter, Author, BatchType, EntryFilter, Finding, Ledger, LedgerError, NotAdjusted, NotClosed,
    Order, Recorded, StatementLine, Submission, Undone,
};

use crate::sample::{
    Open, amount, at, click, create_affiliate, record, submission, submission_in, with_campaign,
};

const CAP: CapId = CapId(1);

pub fn author() -> Author {
    Author { key_id: Some(domain::ids::KeyId(1)), name: "ops".into() }
}

/// A network in which nobody is told.
fn nobody() -> Arc<Network> {
    Arc::new(Network::new(Entities::default()))
}

pub fn order(change: Change) -> Order {
    Order {
        change,
        effective: EffectiveDate::Today,
        refuse_if_stated: false,
        author: author(),
        note: "a note".into(),
        cause: Cause::Update,
        batch_id: None,
        tells: None,
    }
}

pub fn status(status: ConversionStatus) -> Change {
    Change { status: Some(status), ..Change::default() }
}

fn payout(text: &str) -> Change {
    Change { payout: Some(Amend::Set(amount(text))), ..Change::default() }
}

pub fn new(recorded: Recorded) -> Conversion {
    match recorded {
        Recorded::New(conversion) => conversion,
        other => panic!("not new: {other:?}"),
    }
}

/// A ledger whose network has what the sample's conversions name.
pub fn open_with_parties(open: Open<'_>) -> Arc<dyn Ledger> {
    let ledger = open();
    with_campaign(&*ledger);
    for _ in 0..2 {
        ledger.create_affiliate(create_affiliate(), at(0)).expect("made").expect("accepted");
    }
    ledger
}

fn adjust(
    ledger: &dyn Ledger,
    id: ConversionId,
    change: Change,
    second: i64,
) -> Result<Conversion, NotAdjusted> {
    let mut outcomes = ledger.adjust_conversions(&[id], &order(change), at(second)).expect("committed");
    outcomes.remove(0).map(|it| it.conversion)
}

fn entries(ledger: &dyn Ledger, id: ConversionId) -> Vec<(u32, Account, String)> {
    let filter = EntryFilter { conversion_id: Some(id), ..EntryFilter::default() };
    let page = ledger.list_entries(&filter, 0, 1000).expect("listed");
    assert_eq!(page.total, page.rows.len() as u64);
    page.rows.iter().map(|it| (it.booking, it.line.account, it.line.amount.to_string())).collect()
}

pub fn a_walk_meets_every_line_once_while_others_are_booked(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let first = new(record(&*ledger, &submission(2, "ORD-1")));
    new(record(&*ledger, &submission(4, "ORD-2")));
    adjust(&*ledger, first.id, payout("7"), 20).expect("adjusted");
    let all = EntryFilter::default();
    let before = ledger.list_entries(&all, 0, 1000).expect("listed").rows;
    assert_eq!(before.len(), 9);
    let (mut walked, mut numbers) = (Vec::<Entry>::new(), (6..).step_by(2));
    while walked.len() < before.len() {
        let after = walked.last().map(Entry::id);
        let more = ledger.list_entries_after(&all, after, 2).expect("listed");
        assert_eq!(more.len(), 2, "others follow");
        walked.extend(more);
        let number = numbers.next().expect("without end");
        new(record(&*ledger, &submission(number, &format!("ORD-{number}"))));
    }
    assert_eq!(walked[..before.len()], before);
    let listed = ledger.list_entries(&all, 0, 1000).expect("listed").rows;
    let parties = [Party::Affiliate(first.affiliate_id), Party::Advertiser(AdvertiserId(1))];
    for party in parties {
        let filter = EntryFilter { party: Some(party), from: Some(at(4)), ..EntryFilter::default() };
        let expected = ledger.list_entries(&filter, 0, 1000).expect("listed").rows;
        assert!(!expected.is_empty() && expected.len() < listed.len());
        assert_eq!(ledger.list_entries_after(&filter, None, 1000).expect("listed"), expected);
    }
}

fn balance(ledger: &dyn Ledger, party: Party, second: i64) -> (String, String, String) {
    let balances = ledger.balances(Some(party), None, at(second)).expect("asked");
    let [balance] = &balances[..] else { return ("0.00".into(), "0.00".into(), "0.00".into()) };
    (balance.balance.to_string(), balance.pending.to_string(), balance.stated.to_string())
}

pub fn findings(ledger: &dyn Ledger) -> Vec<Finding> {
    let mut findings = Vec::new();
    ledger.verify(&mut |finding| findings.push(finding)).expect("verified");
    findings
}

pub fn cap(cap_type: CapType, limit: &str, at_cap: AtCap) -> Cap {
    Cap {
        id: CAP,
        offer_id: OfferId(1),
        campaign_id: None,
        event_id: None,
        cap_type,
        interval: Interval::Daily,
        limit: amount(limit),
        at_cap,
        status: CapStatus::Active,
        created: at(0),
    }
}

fn capped(number: u32, cap: &Cap) -> Submission {
    submission_in(number, &format!("ORD-{number}"), |it: &mut Entities| it.caps = vec![cap.clone()])
}

pub fn a_conversion_is_booked_on_three_lines_that_add_up_to_nothing(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let conversion = new(record(&*ledger, &submission(2, "ORD-1")));
    let expected = [
        (0, Account::AdvertiserReceivable, "1000.00".to_owned()),
        (0, Account::AffiliatePayable, "-2.50".to_owned()),
        (0, Account::NetworkMargin, "-997.50".to_owned()),
    ];
    assert_eq!(entries(&*open(), conversion.id), expected);
    assert_eq!(findings(&*ledger), []);
}

pub fn what_pays_nobody_has_no_lines(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let full = cap(CapType::Conversion, "0", AtCap::Neither);
    let ignored = new(record(&*ledger, &capped(2, &full)));
    assert_eq!((ignored.standing.status, ignored.cap_id), (ConversionStatus::Ignored, Some(CAP)));
    assert_eq!((ignored.payout(), ignored.price.payout), (Amount::ZERO, amount("2.5")));
    assert_eq!(entries(&*ledger, ignored.id), []);
    assert_eq!(findings(&*ledger), []);
}

pub fn a_cap_takes_exactly_its_limit_however_calls_come(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let cap = cap(CapType::Conversion, "7", AtCap::Refuse);
    let taken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let (ledger, cap) = (&ledger, &cap);
                scope.spawn(move || {
                    let batch: Vec<_> = (0..5).map(|it| capped(thread * 5 + it, cap)).collect();
                    let outcomes = ledger.record_conversions(&batch).expect("commits");
                    let is_new = |it: &Result<Recorded, _>| match it {
                        Ok(Recorded::New(_)) => true,
                        Ok(Recorded::Refused(Refusal::CapReached(CAP))) => false,
                        other => panic!("{other:?}"),
                    };
                    outcomes.iter().filter(|it| is_new(it)).count()
                })
            })
            .collect();
        threads.into_iter().map(|it| it.join().expect("no panic")).sum()
    });
    assert_eq!(taken, 7);
    assert_eq!(findings(&*ledger), []);
}

pub fn a_cap_on_money_never_takes_more_than_its_limit(open: Open<'_>) {
    let ledger = open_with_parties(open);
    // 1.5, 2.5, 3.5, … of 10 at most: 1.5 + 2.5 + 3.5 fit, 4.5 does not, and a later small one does.
    let cap = cap(CapType::Payout, "10", AtCap::AdvertiserOnly);
    let paid: Vec<_> = [1, 2, 3, 4, 5, 1]
        .into_iter()
        .zip(0..)
        .map(|(number, nth)| {
            let mut it = capped(number, &cap);
            it.call.unique_id = format!("ORD-{nth}");
            new(record(&*ledger, &it)).payout().to_string()
        })
        .collect();
    assert_eq!(paid, ["1.50", "2.50", "3.50", "0.00", "0.00", "1.50"]);
    assert_eq!(findings(&*ledger), []);
}

pub fn a_cap_begins_anew_in_its_next_window(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let cap = cap(CapType::Conversion, "1", AtCap::Refuse);
    let on_day = |number: u32, day: i64| {
        let mut it = capped(number, &cap);
        it.call.received_at = at(day * 86_400 + i64::from(number));
        it.call.is_backfill = true;
        record(&*ledger, &it)
    };
    assert!(matches!(on_day(2, 0), Recorded::New(_)));
    assert_eq!(on_day(4, 0), Recorded::Refused(Refusal::CapReached(CAP)));
    assert!(matches!(on_day(6, 1), Recorded::New(_)));
    assert_eq!(findings(&*ledger), []);
}

pub fn a_cap_that_comes_later_counts_what_its_window_has_seen(open: Open<'_>) {
    let ledger = open_with_parties(open);
    for number in [2, 4] {
        record(&*ledger, &submission(number, &format!("ORD-{number}")));
    }
    let cap = cap(CapType::Conversion, "3", AtCap::Refuse);
    assert!(matches!(record(&*ledger, &capped(6, &cap)), Recorded::New(_)));
    assert_eq!(record(&*ledger, &capped(8, &cap)), Recorded::Refused(Refusal::CapReached(CAP)));
    let of_campaign = Cap { campaign_id: Some(CampaignId(9)), id: CapId(2), ..cap };
    assert!(matches!(record(&*ledger, &capped(8, &of_campaign)), Recorded::New(_)), "another campaign's");
}

pub fn who_is_on_a_list_is_refused_or_ignored(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let known = [[1; 32], [2; 32]];
    let email = SuppressionKind::Email;
    ledger.suppress(None, email, &known, OnSuppressed::Reject, at(0)).expect("kept");
    ledger.suppress(Some(OfferId(1)), email, &known[1..], OnSuppressed::Ignore, at(0)).expect("kept");
    let call = |number, fingerprints: &[[u8; 32]]| {
        let mut it = submission(number, &format!("ORD-{number}"));
        it.call.fingerprints = fingerprints.to_vec();
        record(&*ledger, &it)
    };
    assert_eq!(call(2, &known[..1]), Recorded::Refused(Refusal::Suppressed));
    assert_eq!(new(call(4, &known[1..])).standing.status, ConversionStatus::Ignored);
    assert_eq!(call(6, &known), Recorded::Refused(Refusal::Suppressed));
    assert_eq!(new(call(8, &[[3; 32]])).standing.status, ConversionStatus::Approved);
}

pub fn an_adjustment_is_a_dated_booking_and_overwrites_nothing(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let recorded = new(record(&*ledger, &submission(2, "ORD-1")));
    let raised = adjust(&*ledger, recorded.id, payout("4"), 100).expect("may");
    assert_eq!((raised.payout(), raised.price), (amount("4"), recorded.price));
    let reversed = adjust(&*ledger, recorded.id, status(ConversionStatus::Reversed), 200).expect("may");
    assert_eq!((reversed.payout(), reversed.standing.price.payout), (Amount::ZERO, amount("4")));
    let history = AdjustmentFilter { conversion_id: Some(recorded.id), ..AdjustmentFilter::default() };
    let history = open().list_adjustments(&history, 0, 10).expect("listed").rows;
    let told: Vec<_> =
        history.iter().map(|it| (it.booking, it.made_at, it.actor.as_str(), it.note.as_str())).collect();
    assert_eq!(told, [(1, at(100), "ops", "a note"), (2, at(200), "ops", "a note")]);
    assert_eq!((history[0].before, history[1].after), (recorded.standing, reversed.standing));
    assert_eq!(open().find_conversion(recorded.id).expect("asked"), Some(reversed));
    let lines = entries(&*ledger, recorded.id);
    assert_eq!(lines.len(), 9);
    assert_eq!(lines[3..6].iter().map(|it| it.2.as_str()).collect::<Vec<_>>(), ["0.00", "-1.50", "1.50"]);
    assert_eq!(findings(&*ledger), []);
}

pub fn an_adjustment_that_changes_nothing_leaves_no_trace(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let recorded = new(record(&*ledger, &submission(2, "ORD-1")));
    assert_eq!(adjust(&*ledger, recorded.id, payout("2.5"), 100), Ok(recorded.clone()));
    assert_eq!(entries(&*ledger, recorded.id).len(), 3);
}

pub fn each_adjustment_of_one_order_has_its_own_outcome(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let approved = new(record(&*ledger, &submission(2, "ORD-1"))).id;
    let pending = new(record(&*ledger, &submission(3, "ORD-2"))).id;
    let order = order(status(ConversionStatus::Reversed));
    let ids = [approved, ConversionId(99), pending];
    for outcomes in [
        ledger.preview_adjustments(&ids, &order, at(100)).expect("asked"),
        ledger.adjust_conversions(&ids, &order, at(100)).expect("committed"),
    ] {
        let told: Vec<_> =
            outcomes.iter().map(|it| it.as_ref().map(|it| it.conversion.standing.status)).collect();
        let (from, to) = (ConversionStatus::Pending, ConversionStatus::Reversed);
        let problem = NotAdjusted::Unadjustable(Unadjustable::Status { from, to });
        assert_eq!(told, [Ok(to), Err(&NotAdjusted::NotFound), Err(&problem)]);
    }
    assert_eq!(entries(&*ledger, approved).len(), 6, "adjusted once");
    assert_eq!(findings(&*ledger), []);
}

pub fn a_pending_conversion_is_approved_when_its_time_has_come(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let delayed = |number| {
        let unique_id = format!("ORD-{number}");
        submission_in(number, &unique_id, |it| it.offers[0].approval_delay_seconds = Some(60))
    };
    let ids: Vec<_> = [1, 3, 5].map(|number| new(record(&*ledger, &delayed(number))).id).to_vec();
    adjust(&*ledger, ids[1], status(ConversionStatus::Rejected), 10).expect("may");
    assert_eq!(ledger.approve_due(&nobody(), at(61), 10).expect("done"), 0);
    assert_eq!(ledger.approve_due(&nobody(), at(62), 10).expect("done"), 1);
    assert_eq!(ledger.approve_due(&nobody(), at(1000), 10).expect("done"), 1);
    assert_eq!(ledger.approve_due(&nobody(), at(1000), 10).expect("done"), 0);
    let statuses: Vec<_> = ids
        .iter()
        .map(|id| ledger.find_conversion(*id).expect("asked").expect("there").standing.status)
        .collect();
    let (approved, rejected) = (ConversionStatus::Approved, ConversionStatus::Rejected);
    assert_eq!(statuses, [approved, rejected, approved]);
    assert_eq!(findings(&*ledger), []);
}

pub fn a_balance_is_the_sum_of_its_lines_at_any_date(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let recorded = new(record(&*ledger, &submission(3, "ORD-1")));
    let affiliate = Party::Affiliate(AffiliateId(1));
    assert_eq!(recorded.affiliate_id, AffiliateId(1));
    adjust(&*ledger, recorded.id, payout("5"), 100).expect("may");
    let told = |balance: &str, pending: &str| (balance.to_owned(), pending.to_owned(), "0.00".to_owned());
    assert_eq!(balance(&*ledger, affiliate, 4), told("0.00", "0.00"));
    assert_eq!(balance(&*ledger, affiliate, 5), told("3.50", "3.50"));
    assert_eq!(balance(&*ledger, affiliate, 101), told("5.00", "5.00"));
    adjust(&*ledger, recorded.id, status(ConversionStatus::Approved), 200).expect("may");
    assert_eq!(balance(&*ledger, affiliate, 300), told("5.00", "0.00"));
    assert_eq!(balance(&*ledger, Party::Advertiser(AdvertiserId(1)), 300), told("1000.00", "0.00"));
}

fn close(ledger: &dyn Ledger, second: i64) -> Result<(StatementId, u64, String), NotClosed> {
    let party = Party::Affiliate(AffiliateId(3));
    let closed = ledger.close_statement(party, Currency::USD, at(second), &author(), at(1_000_000));
    closed.expect("asked").map(|it| (it.id, it.lines, it.total.to_string()))
}

fn stated(ledger: &dyn Ledger, id: StatementId) -> Vec<StatementLine> {
    let mut lines = Vec::new();
    ledger.each_statement_line(id, &mut |line| lines.push(line)).expect("read");
    lines
}

pub fn a_closed_statement_never_changes_and_later_changes_are_on_the_next(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let recorded = new(record(&*ledger, &submission(2, "ORD-1")));
    assert_eq!(recorded.affiliate_id, AffiliateId(3));
    let (first, lines, total) = close(&*ledger, 50).expect("closed");
    assert_eq!((lines, total.as_str()), (1, "2.50"));
    let before = stated(&*ledger, first);
    // Dated back into the closed period, and yet on the next statement.
    let mut late = order(status(ConversionStatus::Reversed));
    late.effective = EffectiveDate::ConversionDate;
    ledger.adjust_conversions(&[recorded.id], &late, at(100)).expect("committed").remove(0).expect("may");
    assert_eq!(stated(&*ledger, first), before);
    assert_eq!(close(&*ledger, 50), Err(NotClosed::Closed(first)));
    let (second, lines, total) = close(&*ledger, 200).expect("closed");
    assert_eq!((lines, total.as_str()), (1, "-2.50"));
    let told: Vec<_> = stated(&*ledger, second).into_iter().map(|it| (it.entry.booking, it.note)).collect();
    assert_eq!(told, [(1, "a note".to_owned())]);
    let statement = ledger.find_statement(second).expect("asked").expect("there");
    assert_eq!((statement.from, statement.until), (Some(at(50)), at(200)));
    assert_eq!(findings(&*ledger), []);
}

pub fn a_statement_leaves_out_what_is_pending_and_is_never_empty(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let pending = new(record(&*ledger, &submission(5, "ORD-1")));
    assert_eq!(pending.affiliate_id, AffiliateId(3));
    assert_eq!(close(&*ledger, 50), Err(NotClosed::Empty));
    assert_eq!(close(&*ledger, 2_000_000), Err(NotClosed::InFuture));
    adjust(&*ledger, pending.id, status(ConversionStatus::Approved), 60).expect("may");
    let (statement, _, total) = close(&*ledger, 50).expect("closed");
    assert_eq!(total, "5.50");
    let stated = Order { refuse_if_stated: true, ..order(payout("1")) };
    let refused = ledger.adjust_conversions(&[pending.id], &stated, at(70)).expect("committed").remove(0);
    assert_eq!(refused, Err(NotAdjusted::Stated(statement)));
    assert_eq!(findings(&*ledger), []);
}

fn batch(ledger: &dyn Ledger) -> BatchId {
    ledger.create_batch(BatchType::Import, &author(), "a file", at(0)).expect("begun")
}

pub fn a_batch_is_taken_back_once_and_whole(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let before = new(record(&*ledger, &submission(2, "ORD-1")));
    let id = batch(&*ledger);
    let with_batch = |number, unique_id| {
        let mut it = submission(number, unique_id);
        it.call.batch_id = Some(id);
        new(record(&*ledger, &it)).id
    };
    let (approved, pending) = (with_batch(4, "ORD-2"), with_batch(5, "ORD-3"));
    let in_batch = |change| Order { batch_id: Some(id), ..order(change) };
    for change in [payout("9"), status(ConversionStatus::Reversed)] {
        ledger.adjust_conversions(&[before.id], &in_batch(change), at(100)).expect("committed");
    }
    // Somebody else's, in between: it stays.
    adjust(
        &*ledger,
        before.id,
        Change { revenue: Some(Amend::Set(amount("900"))), ..Change::default() },
        150,
    )
    .expect("may");
    let counted = ledger.find_batch(id).expect("asked").expect("there");
    assert_eq!((counted.conversions, counted.adjustments, counted.undone), (2, 2, None));
    assert_eq!(ledger.undo_batch(id, &author(), &nobody(), at(200)).expect("done"), Undone::Done(4));
    let standing = |id| ledger.find_conversion(id).expect("asked").expect("there").standing;
    let restored = standing(before.id);
    let price = Worth { payout: amount("2.5"), revenue: amount("900") };
    assert_eq!((restored.status, restored.price), (ConversionStatus::Approved, price));
    assert_eq!(standing(approved).status, ConversionStatus::Reversed);
    assert_eq!(standing(pending).status, ConversionStatus::Rejected);
    assert_eq!(ledger.undo_batch(id, &author(), &nobody(), at(300)).expect("done"), Undone::Already);
    assert_eq!(
        ledger.undo_batch(BatchId(99), &author(), &nobody(), at(300)).expect("done"),
        Undone::NotFound
    );
    let undone = ledger.list_batches(0, 10).expect("listed").rows.remove(0).undone;
    assert_eq!(undone, Some((at(200), "ops".to_owned())));
    assert_eq!(findings(&*ledger), []);
}

pub fn a_batch_that_is_taken_back_takes_no_more(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let before = new(record(&*ledger, &submission(2, "ORD-1")));
    let id = batch(&*ledger);
    assert_eq!(ledger.undo_batch(id, &author(), &nobody(), at(100)).expect("done"), Undone::Done(0));
    let mut late = submission(4, "ORD-2");
    late.call.batch_id = Some(id);
    let beside = submission(6, "ORD-3");
    let mut outcomes = ledger.record_conversions(&[late, beside]).expect("commits").into_iter();
    let undone = |error: LedgerError| matches!(error, LedgerError::BatchUndone(of) if of == id);
    assert!(outcomes.next().expect("one each").is_err_and(undone));
    assert!(matches!(outcomes.next(), Some(Ok(Recorded::New(_)))), "no batch's");
    let order = Order { batch_id: Some(id), ..order(payout("9")) };
    assert!(ledger.adjust_conversions(&[before.id], &order, at(200)).is_err_and(undone));
    assert_eq!(ledger.find_conversion(before.id).expect("asked"), Some(before));
}

pub fn a_preview_decides_alike_and_records_nothing(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let batch = [submission(2, "ORD-1"), submission(2, "ORD-1"), submission(4, "ORD-1")];
    let preview = ledger.preview_conversions(&batch).expect("decided");
    let kinds: Vec<_> = preview.into_iter().map(|it| std::mem::discriminant(&it.expect("decided"))).collect();
    assert!(ledger.list_attempts(&click(2).id.to_string()).expect("listed").is_empty());
    let recorded = ledger.record_conversions(&batch).expect("commits");
    let expected: Vec<_> =
        recorded.into_iter().map(|it| std::mem::discriminant(&it.expect("decided"))).collect();
    assert_eq!(kinds, expected);
}

pub fn a_conversion_is_found_by_its_transaction(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let id = new(record(&*ledger, &submission(2, "ORD-1"))).id;
    let find = |offer, unique_id| ledger.find_by_unique_id(OfferId(offer), unique_id, None).expect("asked");
    assert_eq!(find(1, "ORD-1"), [id]);
    assert_eq!((find(2, "ORD-1"), find(1, "ORD-2"), find(1, "")), (vec![], vec![], vec![]));
}

pub fn lists_of_numbers_go_on_where_they_ended(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let ids: Vec<_> = (0..5)
        .map(|number| new(record(&*ledger, &submission(number, &format!("ORD-{number}")))).id)
        .collect();
    let filter = domain::conversion_query::ConversionFilter::default();
    let list = |after, limit| ledger.list_conversion_ids(&filter, after, limit).expect("listed");
    assert_eq!(list(ConversionId(0), 3), ids[..3]);
    assert_eq!(list(ids[2], 3), ids[3..]);
}

pub fn sums_hold_over_many_recordings_and_adjustments(open: Open<'_>) {
    let ledger = open_with_parties(open);
    let mut owed: BTreeMap<AffiliateId, Amount> = BTreeMap::new();
    for number in 0..60 {
        let conversion = new(record(&*ledger, &submission(number % 20, &format!("ORD-{number}"))));
        let change = match number % 5 {
            0 => payout(&format!("{number}.25")),
            1 => status(ConversionStatus::Rejected),
            2 => Change { payout: Some(Amend::Add(amount("0.0001"))), ..Change::default() },
            _ => Change::default(),
        };
        let now = adjust(&*ledger, conversion.id, change, 1000).expect("may");
        let sum = owed.entry(now.affiliate_id).or_default();
        *sum = sum.plus(now.payout());
    }
    let balances = ledger.balances(None, Some(Account::AffiliatePayable), at(10_000)).expect("asked");
    let told: BTreeMap<_, _> = balances.iter().map(|it| (it.party.id(), it.balance)).collect();
    assert_eq!(told, owed.into_iter().map(|(id, sum)| (id.0, sum)).collect());
    assert_eq!(findings(&*ledger), []);
}
