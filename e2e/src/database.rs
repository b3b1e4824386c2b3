//! A PostgreSQL database for a test, on the server that `scripts/with-postgres` starts.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A schema with a role of its own, dropped with all that was put into it.
pub struct Database {
    server: String,
    name: String,
}

static MADE: AtomicU32 = AtomicU32::new(0);

/// Its role's password, so that it can be looked for where it must not be.
pub const PASSWORD: &str = "pa55-w0rd";

impl Database {
    /// Makes it.
    pub fn create() -> Self {
        let server = std::env::var_os("TEST_POSTGRES_URL").and_then(|url| url.into_string().ok());
        let server = server.expect("no PostgreSQL to test with: scripts/with-postgres COMMAND, or make test");
        let name = format!("e2e_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        database.drop_all();
        let name = &database.name;
        database.run(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'"));
        database.run(&format!("CREATE SCHEMA {name} AUTHORIZATION {name}"));
        database
    }

    /// Its address, for as long as the test lasts.
    pub fn url(&self) -> &'static str {
        let (_, place) = self.server.split_once('@').expect("an address with a password");
        // The schema of the role's own name comes first.
        format!("postgres://{}:{PASSWORD}@{place}", self.name).leak()
    }

    /// Lets nobody in any more, and ends who is.
    pub fn go_away(&self) {
        self.run(&format!("ALTER ROLE {} NOLOGIN", self.name));
        self.end_sessions();
    }

    /// Lets them in again.
    pub fn come_back(&self) {
        self.run(&format!("ALTER ROLE {} LOGIN", self.name));
    }

    fn end_sessions(&self) {
        self.run(&format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '{}'",
            self.name
        ));
    }

    fn drop_all(&self) {
        self.end_sessions();
        self.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name));
        self.run(&format!("DROP ROLE IF EXISTS {}", self.name));
    }

    fn run(&self, sql: &str) {
        let mut psql = Command::new("psql");
        psql.args(["-qXtA", "-v", "ON_ERROR_STOP=1", "-c", "SET client_min_messages = error", "-c", sql]);
        let output = psql.arg(&self.server).output().expect("psql runs");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.drop_all();
    }
}
