//! Bringing a ledger up to date: PostgreSQL's, and what both must make of the same rows. SQLite's own are
//! tested beside its driver, which knows its file.

use std::sync::Barrier;

use domain::ids::ChangeId;
use domain::network::{Attribution, MediaStatus};
use jiff::Timestamp;
use ledger::{ChangeFilter, Ledger, LedgerError, Location, Recorded};

use crate::sample::{record, submission};
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

/// Conversions as release 0006 kept them, with a history.
fn conversions_of_release_6(click_id: &str) -> Vec<String> {
    // Number, status, date, recording, adjustments.
    let conversions = [
        (1, "approved", 500, 1000, 0),
        (2, "reversed", 510, 1000, 2),
        (3, "reversed", 520, 1000, 1),
        (4, "rejected", 530, 1200, 1),
        (5, "pending", 540, 1000, 0),
    ];
    // The clock of who adjusted the fourth was behind.
    let adjustments = [
        (2, 1, 2000, "pending", "approved"),
        (2, 2, 3000, "approved", "reversed"),
        (3, 1, 1500, "approved", "reversed"),
        (4, 1, 900, "pending", "rejected"),
    ];
    let conversions = conversions.iter().map(|(id, status, date, recorded, adjustments)| {
        format!(
            "INSERT INTO conversions (conversion_id, offer_id, event_id, advertiser_id, affiliate_id, creative_id, \
             click_id, unique_id, order_id, adv1, adv2, adv3, adv4, adv5, sub_id_1, sub_id_2, sub_id_3, sub_id_4, \
             sub_id_5, country, currency, original_payout, payout_scope, original_revenue, revenue_scope, status, \
             payout, revenue, click_date, conversion_date, recorded_at, last_updated, adjustments) \
             VALUES ({id}, 1, 1, 1, 1, 1, {click_id}, '', '', '', '', '', '', '', '', '', '', '', '', 'US', 'USD', \
             0, 'offer', 0, 'offer', '{status}', 0, 0, 0, {date}, {recorded}, {recorded}, {adjustments})"
        )
    });
    let adjustments = adjustments.iter().map(|(id, booking, made_at, from, to)| {
        format!(
            "INSERT INTO adjustments VALUES (1, {id}, {booking}, {made_at}, {made_at}, NULL, 'ops', '', 'update', \
             NULL, '{from}', 0, 0, '{to}', 0, 0)"
        )
    });
    conversions.chain(adjustments).collect()
}

fn conversions_of_release_6_have_their_approvals_and_changes(ledger: &dyn Ledger) {
    let approved: Vec<_> = (1..=5)
        .map(|id| ledger.find_conversion(domain::ids::ConversionId(id)).expect("asked").expect("there"))
        .map(|it| it.approved_at.map(Timestamp::as_microsecond))
        .collect();
    assert_eq!(approved, [Some(500), Some(2000), Some(520), None, None]);
    let changes = |after| {
        let page = ledger.list_changes(ChangeId(after), &ChangeFilter::default(), 100).expect("listed");
        let changes = page.expect("given").changes;
        changes.iter().map(|it| (it.id.0, it.conversion.id.0, it.booking)).collect::<Vec<_>>()
    };
    let before =
        [(1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 5, 0), (5, 4, 0), (6, 4, 1), (7, 3, 1), (8, 2, 1), (9, 2, 2)];
    assert_eq!(changes(0), before);
    let Recorded::New(next) = record(ledger, &submission(2, "ORD-1")) else { panic!("not new") };
    assert_eq!(changes(9), [(10, next.id.0, 0)]);
    let mut findings = Vec::new();
    ledger.verify(&mut |it| findings.push(it)).expect("verified");
    findings.retain(|it| it.check.starts_with("changes") || it.check.starts_with("approvals"));
    assert_eq!(findings, []);
}

const POSTGRES_TO_6: [&str; 6] = [
    FIRST,
    include_str!("../../migrations/postgres/0002_segments.sql"),
    include_str!("../../migrations/postgres/0003_impressions.sql"),
    include_str!("../../migrations/postgres/0004_targeting.sql"),
    include_str!("../../migrations/postgres/0005_money.sql"),
    include_str!("../../migrations/postgres/0006_postbacks.sql"),
];

#[test]
fn a_postgres_ledger_of_release_6_gets_its_changes() {
    let schema = Schema::create();
    for step in POSTGRES_TO_6 {
        schema.execute(step);
    }
    schema.execute(
        "CREATE TABLE schema_version (application TEXT NOT NULL, version BIGINT NOT NULL);
         INSERT INTO schema_version VALUES ('crumb', 6)",
    );
    for row in conversions_of_release_6("repeat('a', 16)::bytea") {
        schema.execute(&row);
    }
    schema.execute("ALTER TABLE conversions ALTER COLUMN conversion_id RESTART WITH 6");
    conversions_of_release_6_have_their_approvals_and_changes(&*location(&schema).open().expect("upgrades"));
}

const SQLITE_TO_6: [&str; 6] = [
    include_str!("../../migrations/sqlite/0001_core.sql"),
    include_str!("../../migrations/sqlite/0002_segments.sql"),
    include_str!("../../migrations/sqlite/0003_impressions.sql"),
    include_str!("../../migrations/sqlite/0004_targeting.sql"),
    include_str!("../../migrations/sqlite/0005_money.sql"),
    include_str!("../../migrations/sqlite/0006_postbacks.sql"),
];

#[test]
fn a_sqlite_ledger_of_release_6_gets_its_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.sqlite");
    let earlier = rusqlite::Connection::open(&path).expect("opens");
    for step in SQLITE_TO_6 {
        earlier.execute_batch(step).expect("made");
    }
    // "crmb": the file is Crumb's.
    earlier.execute_batch("PRAGMA user_version = 6; PRAGMA application_id = 0x63726d62").expect("set");
    for row in conversions_of_release_6("zeroblob(16)") {
        earlier.execute_batch(&row).expect("filled");
    }
    drop(earlier);
    let ledger = Location::file(&path).open().expect("upgrades");
    conversions_of_release_6_have_their_approvals_and_changes(&*ledger);
}
