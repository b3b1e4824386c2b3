//! What a damaged row does: it is named, and spoils nothing else.

use ledger::{LedgerError, Location, Recorded};

use crate::sample::{record, submission};
use crate::schema::Schema;

fn a_call_with_an_error_of_its_own_spoils_no_neighbour(location: &Location, execute: &dyn Fn(&str)) {
    let ledger = location.open().expect("opens");
    record(&*ledger, &submission(2, "ORD-1"));
    execute("UPDATE conversions SET status = 'unheard of'");
    let batch = [submission(4, "ORD-2"), submission(2, "ORD-1"), submission(6, "ORD-3")];
    let outcomes = ledger.record_conversions(&batch).expect("committed");
    let [Ok(Recorded::New(before)), Err(error), Ok(Recorded::New(after))] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert!(before.id < after.id, "in their order");
    let LedgerError::Corrupt { table: "conversions", column: "status", row } = error else {
        panic!("{error:?}")
    };
    assert!(row.contains('1'), "the row is named: {row}");
    let alone = ledger.record_conversions(&batch[1..2]).expect("asked");
    assert!(matches!(alone[..], [Err(LedgerError::Corrupt { .. })]), "{alone:?}");
    for (click, attempts) in [(4, 1), (2, 1), (6, 1)] {
        let listed = ledger.list_attempts(&submission(click, "").call.click_id).expect("listed");
        assert_eq!(listed.len(), attempts, "click {click}");
    }
}

#[test]
fn sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.sqlite");
    a_call_with_an_error_of_its_own_spoils_no_neighbour(&Location::file(&path), &|sql| {
        rusqlite::Connection::open(&path).and_then(|it| it.execute_batch(sql)).expect("damaged");
    });
}

#[test]
fn postgres() {
    let schema = Schema::create();
    let location = Location::Server(schema.url().parse().expect("an address"));
    a_call_with_an_error_of_its_own_spoils_no_neighbour(&location, &|sql| schema.execute(sql));
}
