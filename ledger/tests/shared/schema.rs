//! A schema of its own for each test, on the server that `scripts/with-postgres` starts.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// An empty schema, dropped with all that was put into it.
pub struct Schema {
    server: String,
    name: String,
    runtime: Runtime,
    client: Client,
}

static MADE: AtomicU32 = AtomicU32::new(0);

impl Schema {
    /// Makes it.
    pub fn create() -> Self {
        let server = std::env::var_os("TEST_POSTGRES_URL").and_then(|url| url.into_string().ok());
        let server = server.expect("no PostgreSQL to test with: scripts/with-postgres COMMAND, or make test");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (client, driver) =
            runtime.block_on(tokio_postgres::connect(&server, NoTls)).expect("the server lets us in");
        runtime.spawn(async move { drop(driver.await) });
        let name = format!("test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let schema = Self { server, name, runtime, client };
        schema.execute(&format!(
            "DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}; SET search_path = {0}",
            schema.name
        ));
        schema
    }

    /// The address of the schema: what connects so sees it alone.
    pub fn url(&self) -> String {
        format!("{}?options=-c%20search_path%3D{}", self.server, self.name)
    }

    /// Runs statements in it.
    pub fn execute(&self, sql: &str) {
        self.runtime
            .block_on(self.client.batch_execute(sql))
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // What still holds a lock is a test's thread that failed; the server goes with all of it soon.
        let drop = format!(
            "SET client_min_messages = error; SET lock_timeout = '5s'; DROP SCHEMA {} CASCADE",
            self.name
        );
        let dropped = self.runtime.block_on(self.client.batch_execute(&drop));
        assert!(dropped.is_ok() || std::thread::panicking(), "{dropped:?}");
    }
}
