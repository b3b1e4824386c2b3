//! What the ledger promises of suppression lists.

use domain::ids::OfferId;
use domain::suppression::OnSuppressed::{Ignore, Reject};
use domain::suppression::SuppressionKind::{Email, Phone};
use domain::suppression::{Fingerprint, OnSuppressed, SuppressionKind};
use ledger::Ledger;

use crate::sample::{Open, at};

/// What the lists hold, in the order in which they are told.
fn counts(ledger: &dyn Ledger) -> Vec<(Option<OfferId>, SuppressionKind, OnSuppressed, u64)> {
    let counts = ledger.count_suppressions().expect("counted");
    counts.into_iter().map(|it| (it.offer_id, it.kind, it.action, it.count)).collect()
}

fn suppress(
    ledger: &dyn Ledger,
    list: Option<OfferId>,
    kind: SuppressionKind,
    people: &[Fingerprint],
    action: OnSuppressed,
) {
    ledger.suppress(list, kind, people, action, at(0)).expect("suppressed");
}

pub fn a_list_holds_each_fingerprint_once(open: Open<'_>) {
    let ledger = open();
    assert_eq!(counts(&*ledger), []);
    suppress(&*ledger, None, Email, &[[1; 32], [2; 32], [1; 32]], Reject);
    suppress(&*ledger, None, Phone, &[[3; 32]], Reject);
    assert_eq!(counts(&*open()), [(None, Email, Reject, 2), (None, Phone, Reject, 1)]);
    suppress(&*ledger, None, Email, &[[2; 32], [4; 32]], Ignore);
    assert_eq!(
        counts(&*open()),
        [(None, Email, Ignore, 2), (None, Email, Reject, 1), (None, Phone, Reject, 1)]
    );
    let removed = ledger.unsuppress(None, &[[1; 32], [2; 32], [9; 32]]).expect("removed");
    assert_eq!((removed, counts(&*open())), (2, vec![(None, Email, Ignore, 1), (None, Phone, Reject, 1)]));
}

pub fn every_offer_has_a_list_of_its_own(open: Open<'_>) {
    let ledger = open();
    let offer = |id| Some(OfferId(id));
    suppress(&*ledger, offer(2), Email, &[[1; 32]], Reject);
    suppress(&*ledger, offer(1), Email, &[[1; 32], [2; 32]], Ignore);
    suppress(&*ledger, None, Email, &[[1; 32]], Ignore);
    let of_two = (offer(2), Email, Reject, 1);
    let expected = [(None, Email, Ignore, 1), (offer(1), Email, Ignore, 2), of_two];
    assert_eq!(counts(&*open()), expected);
    assert_eq!(ledger.unsuppress(offer(1), &[[1; 32], [2; 32]]).expect("removed"), 2);
    assert_eq!(ledger.unsuppress(None, &[[2; 32]]).expect("asked"), 0);
    assert_eq!(counts(&*open()), [(None, Email, Ignore, 1), of_two]);
}
