//! Where a PostgreSQL server is, as an operator writes it. Its password is shown nowhere.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How long connecting may take, where the URL does not say.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A connection that says nothing for so long is asked whether it lives.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
/// How long what was sent may go without a sign of having arrived.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// The address of a PostgreSQL database, with what is needed to get in.
#[derive(Clone)]
pub struct PostgresUrl {
    pub(super) config: Arc<Config>,
    pub(super) trust: Trust,
}

/// Which certificates of the server are good enough.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Trust {
    /// Any: nobody listens, but it may be another server.
    Any,
    /// For the server's name, by an authority the system trusts.
    System,
    /// For the server's name, by an authority in this file.
    File(PathBuf),
}

/// A text that is no such address. It is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadPostgresUrl {
    /// It cannot be read.
    #[error(
        "no PostgreSQL address: postgres://user:password@host:port/database?sslmode=… is expected, with \
         special characters percent-encoded"
    )]
    Unreadable,
    /// It names a way of securing the connection that there is not.
    #[error("sslmode is disable, prefer, require (encrypted) or verify-full (and surely that server)")]
    UnknownSslMode,
}

impl FromStr for PostgresUrl {
    type Err = BadPostgresUrl;

    fn from_str(text: &str) -> Result<Self, BadPostgresUrl> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(BadPostgresUrl::Unreadable);
        }
        let (address, parameters) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut root, mut others) = (SslMode::Prefer, None, Vec::new());
        let mut verified = false;
        for parameter in parameters.split('&').filter(|it| !it.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", "disable")) => mode = SslMode::Disable,
                Some(("sslmode", "prefer")) => mode = SslMode::Prefer,
                Some(("sslmode", "require")) => mode = SslMode::Require,
                Some(("sslmode", "verify-full")) => (mode, verified) = (SslMode::Require, true),
                Some(("sslmode", _)) => return Err(BadPostgresUrl::UnknownSslMode),
                Some(("sslrootcert", path)) => {
                    let path =
                        percent_decode_str(path).decode_utf8().map_err(|_| BadPostgresUrl::Unreadable)?;
                    root = Some(PathBuf::from(path.as_ref()));
                }
                _ => others.push(parameter),
            }
        }
        let rest = format!("{address}?{}", others.join("&"));
        let mut config: Config = rest.parse().map_err(|_| BadPostgresUrl::Unreadable)?;
        config.ssl_mode(mode).keepalives_idle(KEEPALIVE_AFTER).tcp_user_timeout(UNACKNOWLEDGED_MAX);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_MAX);
        }
        if config.get_application_name().is_none() {
            config.application_name("crumb");
        }
        let trust = match root {
            _ if !verified => Trust::Any,
            Some(file) => Trust::File(file),
            None => Trust::System,
        };
        Ok(Self { config: Arc::new(config), trust })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        };
        let hosts: Vec<String> = self.config.get_hosts().iter().map(host).collect();
        write!(f, "postgres://{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PostgresUrl, BadPostgresUrl> {
        text.parse()
    }

    #[test]
    fn what_secures_the_connection_is_as_told() {
        for (parameters, mode, trust) in [
            ("", SslMode::Prefer, Trust::Any),
            ("?sslmode=disable", SslMode::Disable, Trust::Any),
            ("?sslmode=prefer&application_name=x", SslMode::Prefer, Trust::Any),
            ("?application_name=x&sslmode=require", SslMode::Require, Trust::Any),
            ("?sslmode=require&sslrootcert=/a", SslMode::Require, Trust::Any),
            ("?sslmode=verify-full", SslMode::Require, Trust::System),
            ("?sslrootcert=/a%20b&sslmode=verify-full", SslMode::Require, Trust::File("/a b".into())),
        ] {
            let url = parse(&format!("postgresql://u:p@h:1/d{parameters}")).expect(parameters);
            assert_eq!((url.config.get_ssl_mode(), url.trust), (mode, trust), "{parameters}");
        }
        for mode in ["allow", "verify-ca", "", "Require"] {
            let error = parse(&format!("postgres://u@h/d?sslmode={mode}")).expect_err(mode);
            assert_eq!(error, BadPostgresUrl::UnknownSslMode);
        }
    }

    #[test]
    fn a_password_is_shown_neither_by_an_address_nor_by_what_is_none() {
        let url = parse("postgres://shop:s3cret@db.example:5433/crumb").expect("an address");
        assert_eq!(format!("{url} {url:?}"), "postgres://db.example/crumb postgres://db.example/crumb");
        for text in ["postgres://u:s3cret@h:port/d", "mysql://u:s3cret@h/d", "s3cret"] {
            let error = parse(text).expect_err(text);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }
}
