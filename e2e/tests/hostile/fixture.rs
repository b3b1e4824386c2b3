//! What every test here begins with.

use e2e::{Answer, Client, Network, Server};
use serde_json::Value;

/// A server with a small network.
pub(crate) struct Fixture {
    pub(crate) server: Server,
    pub(crate) api: Client,
    pub(crate) network: Network,
}

pub(crate) fn fixture() -> Fixture {
    let server = Server::start_with(&[("LOG__LEVEL", "warn")]);
    let api = server.api();
    let network = Network::make(&api);
    Fixture { server, api, network }
}

impl Fixture {
    /// A conversion call on a fresh click, with more of a query.
    pub(crate) fn call(&self, more: &str) -> String {
        let click_id = self.server.click(&self.network.link);
        format!("conversion.json?click_id={click_id}&offer_id={}{more}", self.network.offer_id)
    }

    pub(crate) fn click_count(&self) -> Value {
        self.api.get("click.json").success()["response"]["total_rows"].clone()
    }

    pub(crate) fn conversion_count(&self) -> Value {
        self.api.get("conversions.json?start_date=2020-01-01&end_date=2099-01-01").success()["total_rows"]
            .clone()
    }

    /// Sends bytes on a fresh connection: the answer, or none where the server just hung up.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Option<Answer> {
        let mut connection = self.server.connect();
        // It may hang up before it has read everything.
        let _ = connection.send(bytes);
        let answer = connection.answer(!bytes.starts_with(b"HEAD")).ok()?;
        let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        assert!(answer.status < 500, "{}: {answer:?}", shown());
        Some(answer)
    }

    /// Sends bytes and says that this was all: what the server makes of it, if it answers.
    pub(crate) fn broken_off(&self, bytes: &[u8]) {
        let mut connection = self.server.connect();
        let _ = connection.send(bytes);
        let _ = connection.end_sending();
        if let Ok(answer) = connection.answer(true) {
            let shown = String::from_utf8_lossy(bytes);
            assert!((400..500).contains(&answer.status), "{shown}: {answer:?}");
        }
    }

    pub(crate) fn is_healthy(&self) {
        let answer = self.server.connect().get("/healthz").expect("an answer");
        assert_eq!(answer.status, 200);
        self.api.click(&self.server.click(&self.network.link));
    }
}

/// A request for the API with a valid key.
pub(crate) fn head(fixture: &Fixture, line: &str, more: &str) -> Vec<u8> {
    let key = fixture.api.key();
    format!("{line} HTTP/1.1\r\nHost: crumb\r\nX-Api-Key: {key}\r\n{more}\r\n").into_bytes()
}
