//! Deep links: a destination the affiliate names itself (`ckmrdr`). An open redirect unless the
//! offer permits it and the host is one of the offer's own, so both are checked on the final URL.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::tokens::{Token, UrlTemplate};

/// Hosts one offer may list: far more shops than an advertiser has.
pub const HOSTS_MAX: usize = 100;

/// A host deep links may lead to: exactly one, or all below a domain (`*.example.org`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostPattern {
    /// This host and no other.
    Exact(String),
    /// Every host below this domain, not the domain itself.
    Below(String),
}

/// A text that is no host pattern.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a host: use a name such as shop.example.org, or *.example.org for all below it")]
pub struct BadHost;

impl HostPattern {
    /// Whether a host is meant, in the form that the URL parser gives it: lower case, Punycode.
    pub fn allows(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host == name,
            Self::Below(domain) => host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.')),
        }
    }
}

impl FromStr for HostPattern {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let (name, below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        if name.contains('*') {
            return Err(BadHost);
        }
        // The URL parser brings the name into the form it gives a URL's host.
        let url = url::Url::parse(&format!("https://{name}/")).map_err(|_| BadHost)?;
        let host = url.host_str().filter(|host| url.as_str() == format!("https://{host}/")).ok_or(BadHost)?;
        let host = host.to_owned();
        Ok(if below { Self::Below(host) } else { Self::Exact(host) })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

/// Where a deep link leads, if it may: known tokens expanded, other text as it is. None sends the
/// visitor to the offer's landing page.
pub fn resolve<'v>(
    destination: &str,
    hosts: &[HostPattern],
    value: impl Fn(Token) -> Cow<'v, str>,
) -> Option<String> {
    let expanded = UrlTemplate::lenient(destination).ok()?.expand(value);
    let url = url::Url::parse(&expanded).ok()?;
    let plain =
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    let host = url.host_str()?;
    // The parser's own spelling goes out, so that no browser can read another host into it.
    (plain && hosts.iter().any(|pattern| pattern.allows(host))).then(|| url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(destination: &str) -> Option<String> {
        let hosts = ["shop.example", "*.example.org"].map(|text| text.parse().expect("a host"));
        resolve(destination, &hosts, |token| match token {
            Token::SubId(0) => "a&b".into(),
            Token::SubId(1) => "evil.test/".into(),
            _ => "".into(),
        })
    }

    #[test]
    fn a_listed_host_is_reached_with_tokens_expanded_and_other_text_left_alone() {
        for (destination, expected) in [
            ("https://shop.example/p?x=1&y=2#top", "https://shop.example/p?x=1&y=2#top"),
            ("https://SHOP.example/{s1}/{unknown}", "https://shop.example/a%26b/{unknown}"),
            ("http://a.b.example.org/?s=#s1#&t=#nothing#", "http://a.b.example.org/?s=a%26b&t=#nothing#"),
            ("https://shop.example:8443/", "https://shop.example:8443/"),
        ] {
            let found = resolved(destination).map(|url| url.replace("%7B", "{").replace("%7D", "}"));
            assert_eq!(found.as_deref(), Some(expected), "{destination}");
        }
    }

    #[test]
    fn every_other_place_is_refused() {
        for destination in [
            "",
            "/p",
            "//shop.example/",
            "javascript:alert(1)",
            "ftp://shop.example/",
            "data:text/html,x",
            "https://evil.test/",
            "https://example.org/",
            "https://notexample.org/",
            "https://shop.example.evil.test/",
            "https://shop.example@evil.test/",
            "https://user:pass@shop.example/",
            "https://evil.test#shop.example",
            "https://evil.test\\@shop.example/",
            "https://evil.test%2f.example.org/",
            "https://{s2}.example.org/",
            "https:\\\\evil.test/",
            "https://shop.example\u{2044}.evil.test/",
            "https://xn--shop.example/",
        ] {
            assert_eq!(resolved(destination), None, "{destination}");
        }
    }

    #[test]
    fn host_patterns_round_trip_and_nonsense_is_refused() {
        for text in ["shop.example", "*.example.org", "xn--bcher-kva.example", "192.0.2.7"] {
            assert_eq!(text.parse::<HostPattern>().expect(text).to_string(), text);
        }
        assert_eq!(
            "Bücher.example".parse::<HostPattern>().map(|it| it.to_string()),
            Ok("xn--bcher-kva.example".into())
        );
        for text in [
            "",
            "*",
            "*.",
            "a b",
            "shop.example/path",
            "shop.example:80",
            "https://shop.example",
            "a*.example",
            "u@h",
        ] {
            assert_eq!(text.parse::<HostPattern>(), Err(BadHost), "{text}");
        }
    }
}
