//! Settings: the built-in file, over it the user's, over that the environment, over that flags. An
//! unknown key or a bad value stops the start with one line that names it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use app::{PlaceFiles, Settings, UpkeepSettings};
use domain::deep_link::HostPattern;
use domain::ids::NodeNumber;
use domain::postback::CALLS_PER_SECOND_MAX;
use domain::retry::RetrySchedule;
use domain::tokens::UrlTemplate;
use figment::Figment;
use figment::providers::{Env, Format as _, Toml};
use ipnet::IpNet;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use ledger::{Location, PostgresUrl};
use outbound::{AllowPrivate, ProxyUrl};
use serde::Deserialize;
use serde::de::{Error as _, SeqAccess, Visitor};
use web::{CookieOptions, SameSite};

use crate::folder::Folder;

/// The annotated defaults, as `crumb config default` prints them.
pub const DEFAULT: &str = include_str!("../config.default.toml");

const MIB: u64 = 1024 * 1024;

/// The most waits between the tries of a delivery: each try of each delivery is kept.
const RETRIES_MAX: usize = 50;
/// The longest of them: thirty days.
const RETRY_WAIT_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

/// All settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[tls]`
    pub tls: Tls,
    /// `[data]`
    pub data: Data,
    /// `[database]`
    pub database: Database,
    /// `[network]`
    pub network: Network,
    /// `[tracking]`
    pub tracking: Tracking,
    /// `[privacy]`
    pub privacy: Privacy,
    /// `[node]`
    pub node: Node,
    /// `[journal]`
    pub journal: Journal,
    /// `[archive]`
    pub archive: Archive,
    /// `[retention]`
    pub retention: Retention,
    /// `[api]`
    pub api: Api,
    /// `[reports]`
    pub reports: Reports,
    /// `[outbound]`
    pub outbound: Outbound,
    /// `[postbacks]`
    pub postbacks: Postbacks,
    /// `[log]`
    pub log: Log,
}

macro_rules! sections {
    ($($name:ident { $($key:ident: $kind:ty),+ $(,)? })+) => {$(
        #[doc = "A section; its keys are explained in `config.default.toml`."]
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "explained once, in config.default.toml")]
        pub struct $name { $(pub $key: $kind),+ }
    )+};
}

sections! {
    Server {
        listen: SocketAddr,
        workers: usize,
        connections: usize,
        client_timeout_seconds: u64,
        public_url: String,
        trusted_proxies: Vec<String>,
    }
    Tls { listen: String, certificate: PathBuf, key: PathBuf }
    Data { dir: PathBuf }
    Database { url: DatabaseUrl }
    Network { time_zone: String, currency: String }
    Tracking {
        global_redirect: String,
        country_file: String,
        asn_file: String,
        domains: Vec<String>,
        cookie_days: u32,
        cookie_same_site: String,
        cookie_secure: bool,
        cookie_domain: String,
        throw_out_seconds: u32,
        cookieless_seconds: u32,
        pixel_calls_per_second: u32,
        pixel_allow_list: Vec<String>,
        conversions_only_from: Vec<String>,
    }
    Privacy { ip_address: String }
    Node { number: u16 }
    Journal { file_mib: u64, pending_mib: u64, spare_files: usize }
    Archive { seal_after_seconds: u64, recent_mib: u64, segment_rows_max: u64 }
    Retention { clicks_days: u32, visitor_days: u32 }
    Api { conversions_waiting: usize, questions: usize }
    Reports { conversions_mib: u64, cubes_mib: u64 }
    Outbound {
        allow_private: PrivateAddresses,
        timeout_seconds: u64,
        connect_timeout_seconds: u64,
        proxy: Proxy,
        extra_roots: PathBuf,
    }
    Postbacks {
        retry_schedule: String,
        workers: usize,
        workers_per_receiver: u32,
        receiver_calls_per_second: u32,
    }
    Log { level: String, format: LogFormat }
}

/// Where the ledger's server is; none: the ledger is a file. It does not print its password.
#[derive(Clone, Debug, Default)]
pub struct DatabaseUrl(pub Option<PostgresUrl>);

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let url = Some(text).filter(|text| !text.is_empty()).map(|text| text.parse());
        url.transpose().map(Self).map_err(serde::de::Error::custom)
    }
}

/// Through which proxy strangers are called; none: directly. It does not print its password.
#[derive(Clone, Debug, Default)]
pub struct Proxy(pub Option<ProxyUrl>);

impl<'de> Deserialize<'de> for Proxy {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let url = Some(text).filter(|text| !text.is_empty()).map(|text| text.parse());
        url.transpose().map(Self).map_err(D::Error::custom)
    }
}

/// Which addresses may be called beside the public ones: all, none, or a list.
#[derive(Clone, Debug)]
pub struct PrivateAddresses(pub AllowPrivate);

impl<'de> Deserialize<'de> for PrivateAddresses {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = PrivateAddresses;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or a list of addresses and ranges")
            }

            fn visit_bool<E>(self, all: bool) -> Result<PrivateAddresses, E> {
                Ok(PrivateAddresses(if all { AllowPrivate::All } else { AllowPrivate::No }))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PrivateAddresses, A::Error> {
                let mut nets = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    let problem = || A::Error::custom(format!("{text:?} is no address or range"));
                    nets.push(net(&text).ok_or_else(problem)?);
                }
                Ok(PrivateAddresses(AllowPrivate::Networks(nets)))
            }
        }
        from.deserialize_any(Either)
    }
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// What flags say about settings.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`
    pub file: Option<PathBuf>,
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<SocketAddr>,
}

impl Config {
    /// Reads the settings.
    pub fn load(overrides: &Overrides) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Toml::string(DEFAULT));
        if let Some(file) = &overrides.file {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("the settings file {} cannot be read", file.display()))?;
            figment = figment.merge(Toml::string(&text));
        }
        figment = figment.merge(Env::prefixed("CRUMB_").split("__"));
        let mut config: Self =
            figment.extract().map_err(|error| explain(error, overrides.file.as_deref()))?;
        config.data.dir = overrides.data.clone().unwrap_or(config.data.dir);
        config.server.listen = overrides.listen.unwrap_or(config.server.listen);
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        self.settings()?;
        self.trusted_proxies()?;
        self.cookies()?;
        within("tracking.throw_out_seconds", self.tracking.throw_out_seconds.into(), 0, 31_536_000)?;
        within("tracking.pixel_calls_per_second", self.tracking.pixel_calls_per_second.into(), 0, 1_000_000)?;
        within("tracking.cookieless_seconds", self.tracking.cookieless_seconds.into(), 0, 86_400)?;
        if self.tracking.cookieless_seconds > 0 && self.privacy.ip_address == "drop" {
            bail!("tracking.cookieless_seconds: needs addresses, and privacy.ip_address drops them");
        }
        self.tracking_domains()?;
        self.tls_listen()?;
        within("journal.file_mib", self.journal.file_mib, 1, 1024)?;
        within("journal.pending_mib", self.journal.pending_mib, 1, 1024)?;
        if self.journal.pending_mib > self.journal.file_mib {
            bail!("journal.pending_mib: {} is more than journal.file_mib", self.journal.pending_mib);
        }
        within("archive.seal_after_seconds", self.archive.seal_after_seconds, 1, 86_400)?;
        within("archive.recent_mib", self.archive.recent_mib, 2 * self.journal.file_mib, 1024 * 1024)?;
        within("archive.segment_rows_max", self.archive.segment_rows_max, 0, 4_000_000)?;
        within("retention.clicks_days", self.retention.clicks_days.into(), 0, 36_500)?;
        within("retention.visitor_days", self.retention.visitor_days.into(), 0, 36_500)?;
        within("api.conversions_waiting", self.api.conversions_waiting as u64, 1, 1_000_000)?;
        within("api.questions", self.api.questions as u64, 1, 1024)?;
        within("reports.conversions_mib", self.reports.conversions_mib, 1, 1 << 20)?;
        within("reports.cubes_mib", self.reports.cubes_mib, 0, 1024 * 1024)?;
        let Outbound { timeout_seconds, connect_timeout_seconds, .. } = self.outbound;
        within("outbound.timeout_seconds", timeout_seconds, 1, 300)?;
        within("outbound.connect_timeout_seconds", connect_timeout_seconds, 1, timeout_seconds)?;
        let Postbacks { workers, workers_per_receiver, receiver_calls_per_second, .. } = self.postbacks;
        within("postbacks.workers", workers as u64, 1, 65_536)?;
        within("postbacks.workers_per_receiver", workers_per_receiver.into(), 1, 65_536)?;
        within(
            "postbacks.receiver_calls_per_second",
            receiver_calls_per_second.into(),
            0,
            CALLS_PER_SECOND_MAX.into(),
        )?;
        within("server.connections", self.server.connections as u64, 16, 1_000_000)?;
        within("server.client_timeout_seconds", self.server.client_timeout_seconds, 1, 3600)?;
        within("server.workers", self.server.workers as u64, 0, 1024)?;
        if !self.server.public_url.is_empty() {
            UrlTemplate::parse(&self.server.public_url)
                .map_err(|error| anyhow!("server.public_url: {error}"))?;
        }
        Ok(())
    }

    /// The settings that use cases care about.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let zone = &self.network.time_zone;
        let redirect = &self.tracking.global_redirect;
        Ok(Settings {
            node: NodeNumber::new(self.node.number).ok_or_else(|| {
                anyhow!("node.number: {} is not 0 to {}", self.node.number, NodeNumber::MAX)
            })?,
            zone: TimeZone::get(zone)
                .map_err(|_| anyhow!("network.time_zone: {zone:?} is no IANA time zone"))?,
            zone_name: zone.clone(),
            currency: self.network.currency.parse().map_err(|error| anyhow!("network.currency: {error}"))?,
            global_redirect: if redirect.is_empty() {
                None
            } else {
                Some(
                    UrlTemplate::parse(redirect)
                        .map_err(|error| anyhow!("tracking.global_redirect: {error}"))?,
                )
            },
            throw_out_seconds: self.tracking.throw_out_seconds,
            cookieless: Duration::from_secs(self.tracking.cookieless_seconds.into()),
            pixel_calls_per_second: self.tracking.pixel_calls_per_second,
            pixel_allow_list: nets("tracking.pixel_allow_list", &self.tracking.pixel_allow_list)?,
            conversions_only_from: nets(
                "tracking.conversions_only_from",
                &self.tracking.conversions_only_from,
            )?,
            address_policy: self
                .privacy
                .ip_address
                .parse()
                .map_err(|error| anyhow!("privacy.ip_address: {error}"))?,
            cube_cache_bytes: self.reports.cubes_mib * MIB,
            recent_bytes_max: self.archive.recent_mib * MIB,
            conversions_waiting_max: self.api.conversions_waiting,
            questions_max: self.api.questions,
            report_conversions_bytes: self.reports.conversions_mib * MIB,
            outbound: self.outbound(),
            retry_schedule: self.retry_schedule()?,
            delivery_workers: self.postbacks.workers,
            workers_per_receiver: self.postbacks.workers_per_receiver,
            receiver_calls_per_second: self.postbacks.receiver_calls_per_second,
        })
    }

    /// How strangers are called.
    fn outbound(&self) -> outbound::Options {
        let Outbound { allow_private, timeout_seconds, connect_timeout_seconds, proxy, extra_roots } =
            &self.outbound;
        outbound::Options {
            allow_private: allow_private.0.clone(),
            connect_timeout: Duration::from_secs(*connect_timeout_seconds),
            timeout: Duration::from_secs(*timeout_seconds),
            proxy: proxy.0.clone(),
            extra_roots: Some(extra_roots.clone()).filter(|path| !path.as_os_str().is_empty()),
            // One for each call at the same time: fewer would be closed under load and opened again.
            idle_connections_max: self.postbacks.workers,
            ..outbound::Options::default()
        }
    }

    /// How long to wait after each failed try of a delivery.
    fn retry_schedule(&self) -> anyhow::Result<RetrySchedule> {
        let wait = |text: &str| {
            let wait: Option<SignedDuration> = text.trim().parse().ok();
            let wait = wait.filter(|it| (SignedDuration::ZERO..=RETRY_WAIT_MAX).contains(it));
            let problem = || {
                anyhow!("postbacks.retry_schedule: {text:?} is no time of 0s to 720h, such as 30s, 5m or 2h")
            };
            wait.ok_or_else(problem)
        };
        let waits: Vec<_> =
            self.postbacks.retry_schedule.split(',').map(wait).collect::<anyhow::Result<_>>()?;
        within("postbacks.retry_schedule", waits.len() as u64, 1, RETRIES_MAX as u64)
            .map_err(|error| anyhow!("{error} times"))?;
        Ok(RetrySchedule(waits))
    }

    /// The proxies whose word on an address counts.
    pub fn trusted_proxies(&self) -> anyhow::Result<Vec<IpNet>> {
        nets("server.trusted_proxies", &self.server.trusted_proxies)
    }

    /// The hosts that tracking links may be followed on; none means all.
    pub fn tracking_domains(&self) -> anyhow::Result<Vec<HostPattern>> {
        let host =
            |text: &String| text.parse().map_err(|error| anyhow!("tracking.domains: {text:?} is {error}"));
        self.tracking.domains.iter().map(host).collect()
    }

    /// Where HTTPS is served, if it is to be.
    pub fn tls_listen(&self) -> anyhow::Result<Option<SocketAddr>> {
        let Tls { listen, certificate, key } = &self.tls;
        if listen.is_empty() {
            return Ok(None);
        }
        for (name, path) in [("tls.certificate", certificate), ("tls.key", key)] {
            ensure!(!path.as_os_str().is_empty(), "{name}: HTTPS needs it, as tls.listen is set");
        }
        Ok(Some(listen.parse().map_err(|_| anyhow!("tls.listen: {listen:?} is no address with a port"))?))
    }

    /// The files about addresses, where there are to be any.
    pub fn place_files(&self) -> PlaceFiles {
        let file = |path: &String| Some(path).filter(|path| !path.is_empty()).map(PathBuf::from);
        PlaceFiles { country: file(&self.tracking.country_file), asn: file(&self.tracking.asn_file) }
    }

    /// How cookies are set, where they are.
    pub fn cookies(&self) -> anyhow::Result<Option<CookieOptions>> {
        let Tracking { cookie_days, cookie_same_site, cookie_secure, cookie_domain, .. } = &self.tracking;
        within("tracking.cookie_days", u64::from(*cookie_days), 0, 3650)?;
        let same_site = match cookie_same_site.to_ascii_lowercase().as_str() {
            "lax" => SameSite::Lax,
            "none" if *cookie_secure => SameSite::None,
            "none" => bail!("tracking.cookie_same_site: none needs tracking.cookie_secure"),
            "strict" => SameSite::Strict,
            other => bail!("tracking.cookie_same_site: {other:?} is not lax, none or strict"),
        };
        let is_host = |text: &String| matches!(text.parse(), Ok(HostPattern::Exact(_)));
        if !cookie_domain.is_empty() && !is_host(cookie_domain) {
            bail!("tracking.cookie_domain: {cookie_domain:?} is no domain");
        }
        let domain = Some(cookie_domain.as_str()).filter(|it| !it.is_empty());
        Ok((*cookie_days > 0)
            .then(|| CookieOptions::new(cookie_days * 86_400, same_site, *cookie_secure, domain)))
    }

    /// Where the ledger of a data folder lies.
    pub fn ledger(&self, folder: &Folder) -> Location {
        match &self.database.url.0 {
            Some(url) => Location::Server(url.clone()),
            None => Location::file(folder.ledger()),
        }
    }

    /// The data folder, which must be there.
    pub fn existing_folder(&self) -> anyhow::Result<Folder> {
        match &self.database.url.0 {
            Some(_) => Folder::existing_of_server(&self.data.dir),
            None => Folder::existing(&self.data.dir),
        }
    }

    /// How the journal is kept in `dir`.
    pub fn journal(&self, dir: PathBuf) -> journal::Options {
        journal::Options {
            dir,
            file_bytes: self.journal.file_mib * MIB,
            pending_bytes_max: usize::try_from(self.journal.pending_mib * MIB).unwrap_or(usize::MAX),
            spare_files_max: self.journal.spare_files,
        }
    }

    /// How often a journal file is completed.
    pub fn roll_after(&self) -> Duration {
        Duration::from_secs(self.archive.seal_after_seconds)
    }

    /// How long a client may take nothing of an answer, or send no whole request head.
    pub fn client_timeout(&self) -> Duration {
        Duration::from_secs(self.server.client_timeout_seconds)
    }

    /// How segments are kept.
    pub fn upkeep(&self) -> UpkeepSettings {
        UpkeepSettings {
            segment_rows_max: self.archive.segment_rows_max,
            clicks_days: self.retention.clicks_days,
            visitor_days: self.retention.visitor_days,
        }
    }

    /// The threads that answer requests.
    pub fn workers(&self) -> usize {
        match self.server.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}

fn within(key: &str, value: u64, min: u64, max: u64) -> anyhow::Result<()> {
    if (min..=max).contains(&value) { Ok(()) } else { bail!("{key}: {value} is not {min} to {max}") }
}

/// The addresses and ranges of a list.
fn nets(key: &str, list: &[String]) -> anyhow::Result<Vec<IpNet>> {
    let read = |text: &String| net(text).ok_or_else(|| anyhow!("{key}: {text:?} is no address or range"));
    list.iter().map(read).collect()
}

/// A range, or the range of one address.
fn net(text: &str) -> Option<IpNet> {
    text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address))).ok()
}

/// One line that names the key and where its value came from.
fn explain(error: figment::Error, file: Option<&Path>) -> anyhow::Error {
    let Some(first) = error.into_iter().next() else { return anyhow!("the settings cannot be read") };
    let key = first.path.join(".");
    let from = match first.metadata.as_ref().map(|it| it.name.as_ref()) {
        Some(name) if name.contains("environment") => "in the environment".to_owned(),
        _ => file.map_or_else(|| "in the settings".to_owned(), |file| format!("in {}", file.display())),
    };
    let colon = if key.is_empty() { "" } else { ": " };
    anyhow!("{key}{colon}{} ({from})", without_addresses(&first.kind.to_string().replace('\n', " ")))
}

/// A complaint may quote a line of the file, and in it the password of a database or a proxy.
fn without_addresses(complaint: &str) -> String {
    let hide = |word: &str| match word.split_once("://") {
        Some((scheme, rest))
            if scheme.ends_with("postgres") || scheme.ends_with("postgresql") || rest.contains('@') =>
        {
            format!("{scheme}://…")
        }
        _ => word.to_owned(),
    };
    complaint.split(' ').map(hide).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> anyhow::Result<Config> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        Config::load(&Overrides { file: Some(file.path().to_owned()), ..Overrides::default() })
    }

    #[test]
    fn the_defaults_are_valid_and_a_file_changes_what_it_names() {
        let config = Config::load(&Overrides::default()).expect("valid");
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
        let config = load("[network]\ntime_zone = \"America/New_York\"").expect("valid");
        assert_eq!(
            (config.network.time_zone.as_str(), config.network.currency.as_str()),
            ("America/New_York", "USD")
        );
    }

    #[test]
    fn what_cannot_be_used_is_named_in_one_line() {
        for (text, named) in [
            ("[server]\nlisten_on = \"x\"", "listen_on"),
            ("[servers]\nlisten = \"x\"", "servers"),
            ("[server]\nlisten = \"nowhere\"", "server.listen"),
            ("[server]\nworkers = \"many\"", "server.workers"),
            ("[server]\nconnections = 1", "server.connections"),
            ("[server]\nclient_timeout_seconds = 0", "server.client_timeout_seconds"),
            ("[network]\ntime_zone = \"Mars/Olympus\"", "network.time_zone"),
            ("[network]\ncurrency = \"dollars\"", "network.currency"),
            ("[tracking]\nglobal_redirect = \"/here\"", "tracking.global_redirect"),
            ("[tracking]\ndomains = [\"https://x\"]", "tracking.domains"),
            ("[server]\ntrusted_proxies = [\"here\"]", "server.trusted_proxies"),
            ("[tracking]\npixel_calls_per_second = 2000000", "tracking.pixel_calls_per_second"),
            ("[tracking]\npixel_allow_list = [\"here\"]", "tracking.pixel_allow_list"),
            ("[tracking]\nconversions_only_from = [\"10.0.0.0/33\"]", "tracking.conversions_only_from"),
            ("[tls]\nlisten = \"443\"\ncertificate = \"c\"\nkey = \"k\"", "tls.listen"),
            ("[tls]\nlisten = \"127.0.0.1:443\"\nkey = \"k\"", "tls.certificate"),
            ("[tls]\nlisten = \"127.0.0.1:443\"\ncertificate = \"c\"", "tls.key"),
            ("[node]\nnumber = 4096", "node.number"),
            ("[database]\nurl = \"mysql://u:p@h/d\"", "database.url"),
            ("[database]\nurl = \"postgres://u:p@h/d?sslmode=allow\"", "sslmode"),
            ("[journal]\nfile_mib = 0", "journal.file_mib"),
            ("[archive]\nsegment_rows_max = 5000000", "archive.segment_rows_max"),
            ("[retention]\nclicks_days = 40000", "retention.clicks_days"),
            ("[reports]\ncubes_mib = 1048577", "reports.cubes_mib"),
            ("[retention]\nvisitor_days = -1", "retention.visitor_days"),
            ("[log]\nformat = \"xml\"", "log.format"),
            ("[outbound]\nallow_private = \"yes\"", "outbound.allow_private: invalid type"),
            ("[outbound]\nallow_private = [\"10.0.0.0/33\"]", "\"10.0.0.0/33\" is no address or range"),
            ("[outbound]\ntimeout_seconds = 301", "outbound.timeout_seconds"),
            ("[outbound]\ntimeout_seconds = 0", "outbound.timeout_seconds"),
            ("[outbound]\ntimeout_seconds = 4", "outbound.connect_timeout_seconds: 5 is not 1 to 4"),
            ("[outbound]\nproxy = \"socks5://127.0.0.1:1080\"", "outbound.proxy"),
            ("[postbacks]\nretry_schedule = \"\"", "postbacks.retry_schedule"),
            ("[postbacks]\nretry_schedule = \"5s,,5m\"", "postbacks.retry_schedule"),
            ("[postbacks]\nretry_schedule = \"-5s\"", "postbacks.retry_schedule"),
            ("[postbacks]\nretry_schedule = \"721h\"", "postbacks.retry_schedule"),
            ("[postbacks]\nretry_schedule = \"soon\"", "postbacks.retry_schedule"),
            ("[postbacks]\nworkers = 0", "postbacks.workers"),
            ("[postbacks]\nworkers_per_receiver = 0", "postbacks.workers_per_receiver"),
            ("[postbacks]\nreceiver_calls_per_second = 100001", "postbacks.receiver_calls_per_second"),
            ("not toml", "settings"),
        ] {
            let error = load(text).expect_err(text).to_string();
            assert!(error.contains(named) || named == "settings", "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn retries_are_read_in_words_and_bounded_in_number() {
        let schedule = |text: &str| {
            let config = load(&format!("[postbacks]\nretry_schedule = {text:?}"))?;
            Ok::<_, anyhow::Error>(config.settings()?.retry_schedule.0)
        };
        let seconds = |list: &[i64]| list.iter().map(|it| SignedDuration::from_secs(*it)).collect::<Vec<_>>();
        assert_eq!(
            schedule("0s, 5 seconds,1m 30s,2h,PT24H").expect("valid"),
            seconds(&[0, 5, 90, 7200, 86_400])
        );
        assert_eq!(schedule(&["1s"; 50].join(",")).expect("valid").len(), 50);
        let error = schedule(&["1s"; 51].join(",")).expect_err("too many").to_string();
        assert_eq!(error, "postbacks.retry_schedule: 51 is not 1 to 50 times");
        let all = Config::load(&Overrides::default()).and_then(|it| it.settings()).expect("the defaults");
        let total: i64 = all.retry_schedule.0.iter().map(SignedDuration::as_secs).sum();
        assert!(total > 24 * 3600 && all.retry_schedule.0.len() == 9, "{total}");
    }

    #[test]
    fn private_addresses_are_none_all_or_those_listed() {
        let allowed = |text: &str| load(&format!("[outbound]\nallow_private = {text}")).expect("valid");
        let nets = |list: &[&str]| AllowPrivate::Networks(list.iter().filter_map(|it| net(it)).collect());
        for (text, expected) in [
            ("false", AllowPrivate::No),
            ("true", AllowPrivate::All),
            (r#"["10.0.0.0/8", "::1"]"#, nets(&["10.0.0.0/8", "::1/128"])),
            ("[]", nets(&[])),
        ] {
            let settings = allowed(text).settings().expect("valid");
            assert_eq!(settings.outbound.allow_private, expected, "{text}");
        }
    }

    #[test]
    fn a_proxys_password_is_printed_neither_with_the_settings_nor_with_what_is_wrong() {
        let config = load("[outbound]\nproxy = \"http://u:s3cret@127.0.0.1:3128\"").expect("valid");
        assert!(config.outbound.proxy.0.is_some() && !format!("{config:?}").contains("s3cret"));
        for text in [
            "[outbound]\nproxy = \"https://u:s3cret@127.0.0.1:3128\"",
            "[outbound]\nproxy = \"http://u:s3cret@127.0.0.1:3128",
            "[outbound]\nproxy = http://u:s3cret@127.0.0.1:3128",
            "[outbound]\nproxy = [\"http://u:s3cret@127.0.0.1:3128\"]",
        ] {
            let error = format!("{:#}", load(text).expect_err(text));
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_databases_password_is_printed_neither_with_the_settings_nor_with_what_is_wrong() {
        let config = load("[database]\nurl = \"postgres://u:s3cret@h/d\"").expect("valid");
        assert!(config.database.url.0.is_some() && !format!("{config:?}").contains("s3cret"));
        for text in [
            "[database]\nurl = \"postgres://u:s3cret@h:port/d\"",
            "[database]\nurl = \"postgres://u:s3cret@h/d",
            "[database]\nurl = postgresql://u:s3cret@h/d",
            "[database]\nurls = \"postgres://u:s3cret@h/d\"",
            "[database]\nurl = [\"postgres://u:s3cret@h/d\"]",
        ] {
            let error = format!("{:#}", load(text).expect_err(text));
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
