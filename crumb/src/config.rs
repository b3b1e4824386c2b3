//! Settings: the built-in file, over it the user's, over that the environment, over that flags. An
//! unknown key or a bad value stops the start with one line that names it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use app::{PlaceFiles, Settings, UpkeepSettings};
use domain::deep_link::HostPattern;
use domain::ids::NodeNumber;
use domain::tokens::UrlTemplate;
use figment::Figment;
use figment::providers::{Env, Format as _, Toml};
use ipnet::IpNet;
use jiff::tz::TimeZone;
use serde::Deserialize;
use web::{CookieOptions, SameSite};

/// The annotated defaults, as `crumb config default` prints them.
pub const DEFAULT: &str = include_str!("../config.default.toml");

const MIB: u64 = 1024 * 1024;

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
    Log { level: String, format: LogFormat }
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
            recent_bytes_max: self.archive.recent_mib * MIB,
            conversions_waiting_max: self.api.conversions_waiting,
            questions_max: self.api.questions,
        })
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
    let net = |text: &String| {
        let net = text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address)));
        net.map_err(|_| anyhow!("{key}: {text:?} is no address or range"))
    };
    list.iter().map(net).collect()
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
    anyhow!("{key}{colon}{} ({from})", first.kind.to_string().replace('\n', " "))
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
            ("[journal]\nfile_mib = 0", "journal.file_mib"),
            ("[archive]\nsegment_rows_max = 5000000", "archive.segment_rows_max"),
            ("[retention]\nclicks_days = 40000", "retention.clicks_days"),
            ("[retention]\nvisitor_days = -1", "retention.visitor_days"),
            ("[log]\nformat = \"xml\"", "log.format"),
            ("not toml", "settings"),
        ] {
            let error = load(text).expect_err(text).to_string();
            assert!(error.contains(named) || named == "settings", "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
