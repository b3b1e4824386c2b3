//! What the driver does where no promise of the books would notice.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::database::single;
use crate::schema::Schema;

const RAISE: &str = "-- raise\nUPDATE versions SET version = version + 1 WHERE name = ?1";

fn location(schema: &Schema) -> PostgresUrl {
    schema.url().parse().expect("an address")
}

fn version(database: &Postgres, name: &str) -> i64 {
    let sql = "-- version\nSELECT version FROM versions WHERE name = ?1";
    database.read(|session| single(session, sql, values![name])).expect("read")
}

#[test]
fn a_transaction_that_lost_a_race_is_run_again() {
    let schema = Schema::create();
    let database = Postgres::open(&location(&schema)).expect("opens");
    let (both, runs) = (Barrier::new(2), AtomicUsize::new(0));
    let cross = |names: [&str; 2]| {
        let mut first = true;
        let crossed = database.write(|session| {
            runs.fetch_add(1, Ordering::Relaxed);
            session.execute(RAISE, values![names[0]])?;
            if std::mem::take(&mut first) {
                both.wait();
            }
            session.execute(RAISE, values![names[1]])
        });
        crossed.expect("both come through");
    };
    let before = version(&database, "network");
    std::thread::scope(|scope| {
        scope.spawn(|| cross(["network", "keys"]));
        scope.spawn(|| cross(["keys", "network"]));
    });
    assert_eq!(runs.load(Ordering::Relaxed), 3, "each waited for the other, so one was run again");
    assert_eq!(version(&database, "network"), before + 2, "what was rolled back does not count");
}

#[test]
fn a_race_is_lost_only_so_often() {
    let schema = Schema::create();
    let database = Postgres::open(&location(&schema)).expect("opens");
    let lose = |sql: &str| {
        let mut runs = 0;
        let lost = database.write(|session| {
            runs += 1;
            session.execute(sql, values![])
        });
        (runs, lost.expect_err("always"))
    };
    let sql = "-- lose\nDO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END $$";
    let (runs, error) = lose(sql);
    assert!(runs == RACES_MAX + 1 && matches!(error, LedgerError::Unavailable(_)), "{runs}: {error}");
    let (runs, error) = lose("-- lose\nINSERT INTO versions VALUES ('network', 1)");
    assert!(runs == RACES_MAX + 1 && matches!(error, LedgerError::Backend(_)), "{runs}: {error}");
    let LedgerError::Backend(source) = error else { unreachable!("just seen") };
    let told = format!("{source} {source:?}");
    assert!(told.contains("23505") && !told.contains("network"), "no values: {told}");
    let (runs, _) = lose("-- lose\nSELECT * FROM nothing");
    assert_eq!(runs, 1, "what is no race is not run again");
}

#[test]
fn a_statement_that_failed_cannot_be_got_over() {
    let schema = Schema::create();
    let database = Postgres::open(&location(&schema)).expect("opens");
    let before = version(&database, "network");
    let written = database.write(|session| {
        session.execute(RAISE, values!["network"])?;
        session.execute("-- fail\nSELECT * FROM nothing", values![]).expect_err("no such table");
        Ok(())
    });
    assert!(matches!(written, Err(LedgerError::Backend(_))));
    assert_eq!(version(&database, "network"), before);
}

#[test]
fn rows_that_nobody_wants_any_more_leave_a_connection_that_works() {
    let schema = Schema::create();
    let database = Postgres::open(&location(&schema)).expect("opens");
    let many = "-- many\nSELECT number FROM generate_series(1, CAST(?1 AS BIGINT)) AS numbers (number)";
    for _ in 0..2 * READERS_MAX {
        let stopped = database.read(|session| {
            session
                .each(many, values![100_000_i64], &mut |record| Err(record.of("numbers").corrupt("number")))
        });
        assert!(matches!(stopped, Err(LedgerError::Corrupt { table: "numbers", .. })), "{stopped:?}");
    }
    let mut sum = 0;
    let add = |record: &Record| record.of("numbers").get::<i64>("number");
    let all = |session: &mut dyn Session| {
        session.each(many, values![100_000_i64], &mut |record| {
            sum += add(record)?;
            Ok(())
        })
    };
    database.read(all).expect("read");
    assert_eq!(sum, 5_000_050_000);
}

/// Ends all sessions that connected under that name.
fn end_sessions(schema: &Schema, name: &str) {
    schema.execute(&format!(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = '{name}'"
    ));
}

/// An address whose sessions have a name.
fn named(schema: &Schema, name: &str) -> PostgresUrl {
    format!("{}&application_name={name}", schema.url()).parse().expect("an address")
}

#[test]
fn a_connection_that_died_idle_is_not_noticed() {
    let schema = Schema::create();
    let database = Postgres::open(&named(&schema, "died_idle")).expect("opens");
    for _ in 0..3 {
        let before = version(&database, "network");
        database.write(|session| session.execute(RAISE, values!["network"])).expect("written");
        end_sessions(&schema, "died_idle");
        assert_eq!(version(&database, "network"), before + 1);
        end_sessions(&schema, "died_idle");
    }
}

#[test]
fn a_connection_that_dies_under_a_transaction_is_unavailable_and_nothing_is_written() {
    let schema = Schema::create();
    let database = Postgres::open(&named(&schema, "dies_writing")).expect("opens");
    let before = version(&database, "network");
    let mut runs = 0;
    let written = database.write(|session| {
        runs += 1;
        session.execute(RAISE, values!["network"])?;
        end_sessions(&schema, "dies_writing");
        session.execute(RAISE, values!["network"])
    });
    assert!(matches!(written, Err(LedgerError::Unavailable(_))), "{written:?}");
    assert_eq!((version(&database, "network"), runs), (before, 1));
}

#[test]
fn a_wrong_password_is_unavailable_and_not_told() {
    let schema = Schema::create();
    let (_, rest) =
        schema.url().split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a password");
    let url = format!("postgres://postgres:s3cret@{rest}").parse().expect("an address");
    let error = Postgres::open(&url).expect_err("not let in");
    assert!(matches!(&error, LedgerError::Unavailable(text) if text.contains("postgres")), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
}

#[test]
fn the_connection_is_as_secure_as_told() {
    let schema = Schema::create();
    let certificate = std::env::var_os("TEST_POSTGRES_CERTIFICATE").expect("scripts/with-postgres sets it");
    let certificate = certificate.to_string_lossy().into_owned();
    let is_encrypted = |parameters: &str| {
        let url = format!("{}&{parameters}", schema.url()).parse().expect("an address");
        let sql = "-- is_encrypted\n\
            SELECT CAST(ssl AS INTEGER) FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let encrypted = |session: &mut dyn Session| single::<bool>(session, sql, values![]);
        Postgres::open(&url).and_then(|database| database.read(encrypted))
    };
    for (parameters, expected) in [
        ("sslmode=disable", false),
        ("", true),
        ("sslmode=require", true),
        (&*format!("sslmode=verify-full&sslrootcert={certificate}"), true),
    ] {
        assert_eq!(is_encrypted(parameters).expect(parameters), expected, "{parameters}");
    }
    // An authority that nobody knows, and a file that holds none.
    for parameters in ["sslmode=verify-full", "sslmode=verify-full&sslrootcert=/nowhere"] {
        let error = is_encrypted(parameters).expect_err(parameters);
        assert!(matches!(error, LedgerError::Unavailable(_)), "{error}");
    }
}

#[test]
fn a_node_number_is_held_by_one_server_of_a_ledger() {
    let (schema, other_schema) = (Schema::create(), Schema::create());
    let [one, two] = [1, 2].map(|number| NodeNumber::new(number).expect("in range"));
    let first = Postgres::open(&location(&schema)).expect("opens");
    let second = Postgres::open(&location(&schema)).expect("opens");
    first.hold_node(one).expect("free");
    let refused = second.hold_node(one).expect_err("in use");
    assert!(matches!(refused, LedgerError::NodeInUse(1)), "{refused}");
    second.hold_node(two).expect("another is free");
    let elsewhere = Postgres::open(&location(&other_schema)).expect("opens");
    elsewhere.hold_node(one).expect("another ledger has its own");
    drop(first);
    second.hold_node(one).expect("free again");
}

#[test]
fn whoever_lost_its_node_number_does_nothing_until_it_has_it_again() {
    let schema = Schema::create();
    let node = NodeNumber::new(1).expect("in range");
    let database = Postgres::open(&named(&schema, "lost_number")).expect("opens");
    database.hold_node(node).expect("free");
    end_sessions(&schema, "lost_number");
    let other = Postgres::open(&location(&schema)).expect("opens");
    other.hold_node(node).expect("free now");
    let until = |wanted: bool| {
        // The time passes by itself: how often it is looked up is a bound of the driver's own.
        while database.read(|session| session.query("-- ask\nSELECT 1", values![]).map(drop)).is_ok()
            != wanted
        {
            std::thread::yield_now();
        }
    };
    until(false);
    drop(other);
    until(true);
}
