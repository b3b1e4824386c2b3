//! Bringing a PostgreSQL ledger up to date. SQLite's are tested beside its driver, which knows its file.

use std::sync::Barrier;

use domain::network::{Attribution, MediaStatus};
use ledger::{LedgerError, Location};

use crate::schema::Schema;

const FIRST: &str = include_str!("../../migrations/postgres/0001_core.sql");

fn location(schema: &Schema) -> Location {
    Location::Server(schema.url().parse().expect("an address"))
}

#[test]
fn a_ledger_of_the_first_release_keeps_what_it_holds() {
    let schema = Schema::create();
    schema.execute(FIRST);
    schema.execute(
        "CREATE TABLE schema_version (application TEXT NOT NULL, version BIGINT NOT NULL);
         INSERT INTO schema_version VALUES ('crumb', 1);
         INSERT INTO advertisers VALUES (1, 'Acme', 'active', 1);
         INSERT INTO affiliates VALUES (1, 'Bridge', 'active', 2);
         INSERT INTO offers VALUES (1, 'Quote', 'active', 1, 'https://shop.example/', 1, 'cpa', 18000000, 'cpa',
             22000000, 'USD', 3600, 'auto', 0, 0, 0, '', NULL, 3);
         INSERT INTO creatives VALUES (1, 1, 'Default');
         INSERT INTO campaigns VALUES (1, 1, 1, 'active', 1, NULL, NULL, 4);
         INSERT INTO segments VALUES (1, 1, 9, 2, 1, 9, 99, repeat('a', 16)::bytea, repeat('a', 16)::bytea, '', '')",
    );
    assert!(location(&schema).check().expect("an older one is known"));
    let ledger = location(&schema).open().expect("upgrades");
    let network = ledger.load_network().expect("loads");
    let [offer] = &network.offers[..] else { panic!("{network:?}") };
    assert_eq!((offer.attribution, offer.throw_out_seconds), (Attribution::FirstTouch, None));
    let [creative] = &network.creatives[..] else { panic!("{network:?}") };
    assert_eq!((creative.status, creative.created), (MediaStatus::Active, offer.created));
    let segments = ledger.list_segments().expect("listed");
    let [segment] = &segments[..] else { panic!("{segments:?}") };
    assert_eq!((segment.rows, segment.last_seq, &segment.reached), (9, 9, &None));
}

#[test]
fn a_ledger_of_a_later_release_is_refused() {
    let schema = Schema::create();
    drop(location(&schema).open().expect("opens"));
    schema.execute("UPDATE schema_version SET version = 99");
    for error in [location(&schema).open().err(), location(&schema).check().err()] {
        assert!(matches!(error, Some(LedgerError::TooNew { found: 99, .. })), "{error:?}");
    }
}

#[test]
fn a_schema_of_another_program_is_refused_and_left_alone() {
    for other in [
        "CREATE TABLE offers (title TEXT)",
        "CREATE TABLE schema_version (version TEXT); INSERT INTO schema_version VALUES ('7')",
        "CREATE TABLE schema_version (application TEXT, version BIGINT)",
    ] {
        let schema = Schema::create();
        schema.execute(other);
        let error = location(&schema).open().err();
        assert!(matches!(error, Some(LedgerError::Foreign(_))), "{other}: {error:?}");
        schema.execute("DO $$ BEGIN ASSERT to_regclass('advertisers') IS NULL; END $$");
    }
}

#[test]
fn a_ledger_that_is_not_there_yet_is_not_made_by_a_check() {
    let schema = Schema::create();
    assert!(!location(&schema).check().expect("connects"));
    assert!(!location(&schema).check().expect("connects"));
}

#[test]
fn of_servers_that_start_at_once_one_makes_the_schema() {
    let schema = Schema::create();
    let all = Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                all.wait();
                location(&schema).open().expect("opens").network_version().expect("is there");
            });
        }
    });
}
