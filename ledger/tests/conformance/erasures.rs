//! The erasures' promises.

use domain::conversion::Conversion;
use ledger::{Ledger, Recorded};

use crate::sample::{Open, at, click, record, submission};

pub fn an_erasure_is_listed_until_it_is_done(open: Open<'_>) {
    let ledger = open();
    let ids = [click(1).id, click(2).id];
    let listed = || open().list_erasures().expect("listed");
    assert_eq!(listed(), []);
    ledger.request_erasures(&[ids[1], ids[0]], at(0)).expect("asked");
    ledger.request_erasures(&ids[..1], at(1)).expect("asked again");
    assert_eq!(listed(), ids);
    ledger.finish_erasures(&ids[..1], at(2)).expect("noted");
    assert_eq!(listed(), ids[1..]);
    ledger.finish_erasures(&ids, at(3)).expect("noted");
    assert_eq!(listed(), []);
    ledger.request_erasures(&ids[..1], at(4)).expect("asked once more");
    assert_eq!(listed(), ids[..1]);
}

pub fn erased_conversions_and_attempts_keep_money_and_ids(open: Open<'_>) {
    let ledger = open();
    let convert = |number| {
        let mut submission = submission(number, &format!("ORD-{number}"));
        submission.call.adv[0] = "somebody's plan".into();
        let click = submission.click.as_mut().expect("a click");
        click.referrer = "https://clinic.example/somebody".into();
        submission.call.click_id = submission.call.click_id.to_uppercase();
        let Recorded::New(conversion) = record(&*ledger, &submission) else { panic!("not new") };
        // The same call in other words, and one that is refused: both are attempts.
        submission.call.unique_id = "ORD-none".into();
        submission.click = None;
        record(&*ledger, &submission);
        conversion
    };
    let (erased, other) = (convert(2), convert(4));
    for _ in 0..2 {
        ledger.erase_visitors(&[erased.click_id]).expect("erased");
        assert_eq!(erased.referrer_host, "clinic.example");
        let blank = Conversion {
            sub_ids: Default::default(),
            adv: Default::default(),
            referrer_host: String::new(),
            ..erased.clone()
        };
        assert_eq!(open().find_conversion(erased.id).expect("asked"), Some(blank));
        assert_eq!(open().find_conversion(other.id).expect("asked").as_ref(), Some(&other));
        assert_eq!(raws(&*open(), &erased), ["", ""]);
        assert!(raws(&*open(), &other).iter().all(|raw| !raw.is_empty()));
    }
    // What makes a repeat a repeat is still known.
    let repeat = record(&*ledger, &submission(2, "ORD-2"));
    assert!(matches!(repeat, Recorded::Same { first, .. } if first.id == erased.id));
}

fn raws(ledger: &dyn Ledger, conversion: &Conversion) -> Vec<String> {
    let click_id = conversion.click_id.to_string().to_uppercase();
    let attempts = ledger.list_attempts(&click_id).expect("listed");
    attempts.into_iter().map(|attempt| attempt.raw).collect()
}
