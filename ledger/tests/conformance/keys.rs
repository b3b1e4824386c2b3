//! The keys' promises.

use domain::access::{Grant, Scope};
use domain::ids::{AffiliateId, OfferId};
use ledger::{CreateKey, Ledger};

use crate::sample::{Open, at};

fn create(name: &str, hash: u8) -> CreateKey {
    CreateKey {
        name: name.into(),
        hash: [hash; 32],
        prefix: "crumb_abcd".into(),
        addresses: Vec::new(),
        grant: Grant::of(Scope::Admin),
        addresses: Vec::new(),
    }
}

pub fn a_key_is_found_by_its_hash_even_by_another_process(open: Open<'_>) {
    let (here, there) = (open(), open());
    let before = there.keys_version().expect("read");
    let grant = Grant { offer_id: Some(OfferId(7)), may_override: true, ..Grant::of(Scope::Conversion) };
    let id = here.create_key(&CreateKey { grant, ..create("shop", 1) }, at(5)).expect("made").expect("free");
    assert!(there.keys_version().expect("read") > before);
    let key = there.find_key(&[1; 32]).expect("asked").expect("there");
    assert_eq!((key.caller.key_id, key.caller.name.as_str(), key.caller.grant), (id, "shop", grant));
    assert_eq!((key.created, key.revoked), (at(5), None));
    assert_eq!(there.find_key(&[2; 32]).expect("asked"), None);
    let grant = Grant { affiliate_id: Some(AffiliateId(3)), ..Grant::of(Scope::Affiliate) };
    here.create_key(&CreateKey { grant, ..create("partner", 2) }, at(6)).expect("made").expect("free");
    let names: Vec<_> = there.list_keys().expect("listed").into_iter().map(|it| it.caller.name).collect();
    assert_eq!(names, ["shop", "partner"]);
}

pub fn a_name_is_used_once(open: Open<'_>) {
    let ledger = open();
    assert!(ledger.create_key(&create("shop", 1), at(0)).expect("made").is_some());
    assert!(ledger.revoke_key("shop", at(1)).expect("revoked"));
    assert!(ledger.create_key(&create("shop", 2), at(2)).expect("asked").is_none());
    assert_eq!(ledger.list_keys().expect("listed").len(), 1);
}

pub fn a_revoked_key_stays_revoked(open: Open<'_>) {
    let ledger = open();
    ledger.create_key(&create("shop", 1), at(0)).expect("made").expect("free");
    let revoke = |ledger: &dyn Ledger, name, second| ledger.revoke_key(name, at(second)).expect("asked");
    assert!(!revoke(&*ledger, "other", 1));
    assert!(revoke(&*ledger, "shop", 2));
    assert!(revoke(&*ledger, "shop", 3));
    assert_eq!(open().find_key(&[1; 32]).expect("asked").expect("there").revoked, Some(at(2)));
}
