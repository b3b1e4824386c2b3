//! Schema versions. Forward only; the same numbers on both databases.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::backend;
use crate::LedgerError;

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_core.sql"),
    include_str!("../../migrations/sqlite/0002_segments.sql"),
    include_str!("../../migrations/sqlite/0003_impressions.sql"),
    include_str!("../../migrations/sqlite/0004_targeting.sql"),
    include_str!("../../migrations/sqlite/0005_money.sql"),
    include_str!("../../migrations/sqlite/0006_postbacks.sql"),
    include_str!("../../migrations/sqlite/0007_answers.sql"),
];

/// "crmb", in the file's header: this SQLite file is Crumb's.
const APPLICATION_ID: i64 = 0x6372_6d62;

/// Brings the schema up to date, in one transaction a step.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let from = version(connection, path)?;
    for (number, sql) in (1_i64..).zip(MIGRATIONS).skip_while(|(number, _)| *number <= from) {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(backend)?;
        // Another process may have been quicker.
        if version(&step, path)? < number {
            step.execute_batch(sql).map_err(backend)?;
            step.pragma_update(None, "user_version", number).map_err(backend)?;
            step.pragma_update(None, "application_id", APPLICATION_ID).map_err(backend)?;
            step.commit().map_err(backend)?;
        }
    }
    Ok(())
}

/// The schema version that this program writes.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("a handful")
}

/// The schema version of a ledger, 0 for an empty file.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64, LedgerError> {
    let foreign = |_| LedgerError::Foreign(path.display().to_string());
    let pragma = |name| connection.query_row(&format!("PRAGMA {name}"), (), |row| row.get::<_, i64>(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).map_err(foreign)?;
    let application = pragma("application_id").map_err(foreign)?;
    let found = pragma("user_version").map_err(foreign)?;
    let known = known();
    match (tables, application) {
        (0, _) => Ok(0),
        (_, APPLICATION_ID) if found <= known => Ok(found),
        (_, APPLICATION_ID) => Err(LedgerError::TooNew { found, known }),
        _ => Err(LedgerError::Foreign(path.display().to_string())),
    }
}

#[cfg(test)]
mod tests {
    use domain::network::{Attribution, MediaStatus};

    use super::*;
    use crate::Location;
    use crate::sqlite::Sqlite;

    #[test]
    fn a_ledger_of_a_later_release_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        drop(Sqlite::open(&path).expect("opens"));
        Connection::open(&path).expect("opens").pragma_update(None, "user_version", 99).expect("set");
        let error = Sqlite::open(&path).expect_err("too new");
        assert!(matches!(error, LedgerError::TooNew { found: 99, .. }), "{error}");
    }

    #[test]
    fn a_segment_of_an_earlier_release_is_listed_with_nothing_counted_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        let earlier = Connection::open(&path).expect("opens");
        earlier.execute_batch(MIGRATIONS[0]).expect("made");
        earlier.pragma_update(None, "user_version", 1).expect("set");
        earlier.pragma_update(None, "application_id", APPLICATION_ID).expect("set");
        let row = "INSERT INTO segments VALUES (1, 1, 9, 2, 1, 9, 99, zeroblob(16), zeroblob(16), x'', x'')";
        earlier.execute(row, ()).expect("entered");
        drop(earlier);
        let segments =
            Location::file(&path).open().and_then(|ledger| ledger.list_segments()).expect("upgraded");
        let [segment] = &segments[..] else { panic!("{segments:?}") };
        assert_eq!((segment.rows, segment.last_seq, &segment.reached), (9, 9, &None));
    }

    #[test]
    fn a_ledger_of_the_first_release_keeps_what_it_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        let old = Connection::open(&path).expect("opens");
        old.execute_batch(MIGRATIONS[0]).expect("made");
        old.execute_batch(&format!(
            "PRAGMA user_version = 1; PRAGMA application_id = {APPLICATION_ID};
             INSERT INTO advertisers VALUES (1, 'Acme', 'active', 1);
             INSERT INTO affiliates VALUES (1, 'Bridge', 'active', 2);
             INSERT INTO offers VALUES (1, 'Quote', 'active', 1, 'https://shop.example/', 1, 'cpa', 18000000, 'cpa',
                 22000000, 'USD', 3600, 'auto', 0, 0, 0, '', NULL, 3);
             INSERT INTO creatives VALUES (1, 1, 'Default');
             INSERT INTO campaigns VALUES (1, 1, 1, 'active', 1, NULL, NULL, 4);"
        ))
        .expect("filled");
        drop(old);
        let network = Location::file(&path).open().expect("upgrades").load_network().expect("loads");
        let [offer] = &network.offers[..] else { panic!("{network:?}") };
        assert_eq!((offer.attribution, offer.throw_out_seconds), (Attribution::FirstTouch, None));
        assert_eq!((&offer.redirect, &offer.schedule, &offer.zone), (&None, &None, &None));
        let [creative] = &network.creatives[..] else { panic!("{network:?}") };
        assert_eq!((creative.status, creative.created), (MediaStatus::Active, offer.created));
        let [campaign] = &network.campaigns[..] else { panic!("{network:?}") };
        assert_eq!((campaign.expires, &campaign.redirect), (None, &None));
    }

    #[test]
    fn conversions_of_an_earlier_release_are_booked_and_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        let earlier = Connection::open(&path).expect("opens");
        MIGRATIONS[..4].iter().for_each(|step| earlier.execute_batch(step).expect("made"));
        earlier
            .execute_batch(&format!(
                "PRAGMA user_version = 4; PRAGMA application_id = {APPLICATION_ID};
                 INSERT INTO advertisers VALUES (1, 'Acme', 'active', 1);
                 INSERT INTO affiliates VALUES (1, 'Bridge', 'active', 2);
                 INSERT INTO offers (offer_id, name, status, advertiser_id, url, creative_id, payout_type, payout,
                     revenue_type, revenue, currency, session_seconds, approval, one_per_click, allow_duplicates,
                     allow_deep_link, deep_link_hosts, created)
                     VALUES (1, 'Quote', 'active', 1, 'https://shop.example/', 1, 'cpa', 18000000, 'cpa',
                     22000000, 'USD', 3600, 'auto', 0, 0, 0, '', 3);"
            ))
            .expect("filled");
        // One that pays, one that does not, and one of before 1970.
        for (id, status, payout, revenue, date) in [
            (1, "approved", 18_000_000, 22_000_000, 1_780_000_000_000_000_i64),
            (2, "rejected", 0, 0, 1_780_000_000_000_000),
            (3, "pending", 18_000_000, 22_000_000, -1),
        ] {
            let row = "INSERT INTO conversions VALUES (?1, 1, 1, 1, 1, NULL, 1, zeroblob(16), ?2, '', '', '', '', '', '',
                '', '', '', '', '', 'US', 'USD', NULL, 18000000, 'offer', 22000000, 'offer', ?3, ?4, ?5, 0, ?6, 7, 7)";
            earlier.execute(row, (id, format!("ORD-{id}"), status, payout, revenue, date)).expect("entered");
            let call = "INSERT INTO attempts VALUES (?1, 1, 7, 1, '', '', 'recorded', '', ?1, '')";
            earlier.execute(call, [id]).expect("entered");
        }
        drop(earlier);
        let ledger = Location::file(&path).open().expect("upgraded");
        let mut findings = Vec::new();
        ledger.verify(&mut |finding| findings.push(finding)).expect("verified");
        assert_eq!(findings, []);
        let entries = ledger.list_entries(&crate::EntryFilter::default(), 0, 100).expect("listed");
        assert_eq!(entries.total, 6);
    }

    #[test]
    fn a_file_that_is_no_ledger_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        for content in [b"not a database at all, just a long enough text".to_vec(), vec![0xff; 4096]] {
            std::fs::write(&path, &content).expect("written");
            assert!(Sqlite::open(&path).is_err());
            assert_eq!(std::fs::read(&path).expect("read"), content);
        }
        std::fs::remove_file(&path).expect("removed");
        Connection::open(&path).expect("opens").execute_batch("CREATE TABLE other (x)").expect("made");
        assert!(matches!(Sqlite::open(&path), Err(LedgerError::Foreign(_))));
    }
}
