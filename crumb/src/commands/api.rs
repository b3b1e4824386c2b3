//! The API, for commands that change what a server may be working on: the server that runs on the data folder
//! is asked, and where none does, one in this process.

use std::fmt;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use app::{Chance as _, Clock as _, KeyTerms, OpenError, create_key};
use domain::access::{Grant, Scope};
use ipnet::IpNet;
use journal::JournalError;
use ledger::Ledger;
use serde_json::Value;
use ureq::SendBody;

use super::{Place, start_log};
use crate::chance::SystemChance;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::wiring::{self, Running};

/// How often a call is made that a busy server does not take, a second apart.
const TRIES: usize = 60;
const PAUSE: Duration = Duration::from_secs(1);
/// The largest answer, in bytes: many times that of a call's most rows.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What came of a call.
type Called = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// A server to call, with a key of its own.
pub(super) struct Api {
    agent: ureq::Agent,
    address: SocketAddr,
    key: TemporaryKey,
    running: Option<Running>,
}

/// An answer that is read as it comes.
pub(super) struct Download {
    /// Its status.
    pub status: u16,
    /// The network's time zone.
    pub zone: String,
    body: ureq::Body,
}

impl Download {
    /// What is sent; or why nothing is, and where.
    pub(super) fn rows(&mut self, place: impl fmt::Display) -> anyhow::Result<impl std::io::Read + '_> {
        if self.status != 200 {
            bail!("the server could not go on {place}: {}", self.told());
        }
        Ok(self.body.as_reader())
    }

    /// What a failure says.
    pub(super) fn told(&mut self) -> String {
        told(&self.body.read_to_string().unwrap_or_default())
    }
}

/// A key that is revoked when it is no longer needed.
struct TemporaryKey {
    ledger: Arc<dyn Ledger>,
    name: String,
    secret: String,
}

impl Drop for TemporaryKey {
    fn drop(&mut self) {
        if let Err(error) = self.ledger.revoke_key(&self.name, SystemClock.now()) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "the key {:?} could not be revoked; nobody else knows its secret",
                self.name
            );
        }
    }
}

impl TemporaryKey {
    /// A key for calls that come from this address.
    fn make(config: &Config, purpose: &str, from: IpAddr) -> anyhow::Result<Self> {
        let ledger = config.ledger(&config.existing_folder()?).open()?;
        let now = SystemClock.now();
        let name =
            format!("{purpose} {} {:08x}", now.strftime("%Y-%m-%d %H:%M:%S"), SystemChance.draw() >> 32);
        let terms =
            KeyTerms { name: &name, grant: Grant::of(Scope::Admin), addresses: vec![IpNet::from(from)] };
        let secret = create_key(&*ledger, terms, std::array::from_fn(|_| SystemChance.draw()), now)?.secret;
        Ok(Self { ledger, name, secret })
    }
}

impl Api {
    /// The API of a data folder. `purpose` is what its key is called by.
    pub(super) fn open(config: &Config, purpose: &str) -> anyhow::Result<Self> {
        config.existing_folder()?;
        let mut own = config.clone();
        own.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        own.server.workers = 1;
        own.tls.listen.clear();
        let running = match wiring::start(&own, Arc::new(SystemClock), Arc::new(SystemChance), false) {
            Ok(running) => Some(running),
            Err(error) if is_in_use(&error) => None,
            Err(error) => return Err(error),
        };
        let address = running.as_ref().map_or_else(|| reachable(config.server.listen), |it| it.address);
        let key = TemporaryKey::make(config, purpose, address.ip());
        // The calls stay on this machine, whatever proxy its environment names.
        let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        match key {
            Ok(key) => Ok(Self { agent: agent.build().into(), address, key, running }),
            Err(error) => {
                running.into_iter().for_each(Running::stop);
                Err(error)
            }
        }
    }

    /// Sends a body to an endpoint and returns what a success says. A server that is busy is asked again.
    pub(super) fn post(
        &self,
        endpoint: &str,
        query: &[(&str, String)],
        (kind, body): (&str, &[u8]),
    ) -> anyhow::Result<Value> {
        let url = self.url(&format!("{endpoint}.json"));
        let answer = self.call(|| {
            let request = self.agent.post(&url).header("X-Api-Key", &self.key.secret);
            let request = query.iter().fold(request, |request, (name, value)| request.query(*name, value));
            request.header("Content-Type", kind).send(body)
        })?;
        success(answer)
    }

    /// The same with a file as the body, as it is read.
    pub(super) fn post_file(
        &self,
        endpoint: &str,
        query: &[(&str, String)],
        (kind, body): (&str, &dyn Fn() -> Box<dyn Read>),
    ) -> anyhow::Result<Value> {
        let url = self.url(&format!("{endpoint}.json"));
        let answer = self.call(|| {
            let request = self.agent.post(&url).header("X-Api-Key", &self.key.secret);
            let request = query.iter().fold(request, |request, (name, value)| request.query(*name, value));
            let mut body = body();
            request.header("Content-Type", kind).send(SendBody::from_reader(&mut body))
        })?;
        success(answer)
    }

    /// Asks an endpoint and returns what a success says, or where there is nothing of the kind (404), what is
    /// said of that. A server that is busy is asked again.
    pub(super) fn get(
        &self,
        endpoint: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<Result<Value, String>> {
        let (status, text) = whole(self.call(|| self.ask(&format!("{endpoint}.json"), query))?)?;
        match status {
            200 => read(&text).map(Ok),
            404 => Ok(Err(told(&text))),
            _ => bail!("{}", told(&text)),
        }
    }

    /// Writes down what a path has for the asking, however long it is.
    pub(super) fn save(
        &self,
        file: &str,
        query: &[(&str, String)],
        into: &mut impl Write,
    ) -> anyhow::Result<()> {
        let mut answer = self.call(|| self.ask(file, query))?;
        if answer.status() != 200 {
            bail!("{}", told(&whole(answer)?.1));
        }
        std::io::copy(&mut answer.body_mut().as_reader(), into).context("the server's answer broke off")?;
        Ok(())
    }

    /// Asks for what is sent as it is read, a file by its whole name. A server that is busy is asked again.
    pub(super) fn download(&self, file: &str, query: &[(&str, String)]) -> anyhow::Result<Download> {
        let answer = self.call(|| self.ask(file, query))?;
        let zone = answer.headers().get("x-time-zone").and_then(|zone| zone.to_str().ok());
        let (status, zone) = (answer.status().as_u16(), zone.unwrap_or_default().to_owned());
        Ok(Download { status, zone, body: answer.into_body() })
    }

    fn url(&self, file: &str) -> String {
        format!("http://{}/api/2/{file}", self.address)
    }

    fn ask(&self, file: &str, query: &[(&str, String)]) -> Called {
        let request = self.agent.get(self.url(file)).header("X-Api-Key", &self.key.secret);
        query.iter().fold(request, |request, (name, value)| request.query(*name, value)).call()
    }

    /// Calls until the server is not too busy.
    fn call(&self, send: impl Fn() -> Called) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
        for _ in 0..TRIES {
            let answer = send().map_err(|error| self.elsewhere(&error.to_string()))?;
            match answer.status().as_u16() {
                429 | 503 => std::thread::sleep(PAUSE),
                401 | 403 => return Err(self.elsewhere("it does not know the keys of this data folder")),
                _ => return Ok(answer),
            }
        }
        bail!("the server at {} has been too busy for a minute", self.address)
    }

    fn elsewhere(&self, problem: &str) -> anyhow::Error {
        anyhow!(
            "a server runs on this data folder and cannot be asked at {}: {problem}. Give the settings it \
             was started with (--config, or CRUMB_SERVER__LISTEN)",
            self.address
        )
    }

    /// Revokes the key, and stops the server where it is this process.
    pub(super) fn close(self) {
        let Self { key, running, .. } = self;
        drop(key);
        running.into_iter().for_each(Running::stop);
    }
}

/// Calls the API of a data folder, and leaves nothing of that behind. `purpose` is what
/// its key is called by.
pub(super) fn with_api<T>(
    place: &Place,
    purpose: &str,
    call: impl FnOnce(&Api) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut config = place.load(None)?;
    // A server of this process has nothing to say that the command does not.
    "warn".clone_into(&mut config.log.level);
    start_log(&config)?;
    let api = Api::open(&config, purpose)?;
    let done = call(&api);
    api.close();
    done
}

fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(OpenError::Journal(JournalError::Locked { .. })))
}

/// Where a server can be called that listens there: on all addresses means on this machine's own too.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => (Ipv4Addr::LOCALHOST, listen.port()).into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => (Ipv6Addr::LOCALHOST, listen.port()).into(),
        _ => listen,
    }
}

/// What a success says.
fn success(answer: ureq::http::Response<ureq::Body>) -> anyhow::Result<Value> {
    let (status, text) = whole(answer)?;
    if status == 200 { read(&text) } else { bail!("{}", told(&text)) }
}

/// The status of an answer, and all of it.
fn whole(mut answer: ureq::http::Response<ureq::Body>) -> anyhow::Result<(u16, String)> {
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    Ok((answer.status().as_u16(), text.context("the server's answer broke off")?))
}

fn read(text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).context("the server's answer is no JSON")
}

/// What a failure says.
fn told(text: &str) -> String {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let message = answer["message"].as_str().unwrap_or("the server could not answer");
    match answer["error"]["request_id"].as_str() {
        Some(id) => format!("{message} (its log says why, by the request id {id})"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_called_on_this_machines_own() {
        for (listen, expected) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("192.0.2.1:8080", "192.0.2.1:8080"),
        ] {
            let listen: SocketAddr = listen.parse().expect("an address");
            assert_eq!(reachable(listen).to_string(), expected);
        }
    }

    #[test]
    fn a_failure_is_told_in_its_own_words() {
        assert_eq!(told(r#"{"message":"header: missing"}"#), "header: missing");
        assert_eq!(told("<html>"), "the server could not answer");
        let broken = r#"{"message":"try again","error":{"request_id":"7f"}}"#;
        assert_eq!(told(broken), "try again (its log says why, by the request id 7f)");
    }
}
