//! Whether a link was followed on one of the tracking domains.

use domain::deep_link::HostPattern;
use hyper::Uri;
use hyper::header::{self, HeaderMap};
use hyper::http::uri::Authority;

/// Whether the host that was asked is one of `domains`; where there are none, every host is.
pub(super) fn is_known(domains: &[HostPattern], uri: &Uri, headers: &HeaderMap) -> bool {
    if domains.is_empty() {
        return true;
    }
    // What an absolute target says counts more than the header.
    let asked = uri.authority().cloned().or_else(|| {
        let host = headers.get(header::HOST)?;
        Authority::try_from(host.as_bytes()).ok()
    });
    asked.is_some_and(|asked| {
        let host = asked.host().to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        domains.iter().any(|pattern| pattern.allows(host))
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn known(target: &str, host: Option<&str>) -> bool {
        let domains = ["trk.example.com", "*.example.org", "[::1]", "192.0.2.7"];
        let domains = domains.map(|text| text.parse().expect("a host"));
        let mut headers = HeaderMap::new();
        headers.extend(host.map(|host| (header::HOST, HeaderValue::from_str(host).expect("visible"))));
        is_known(&domains, &target.parse().expect("a target"), &headers)
    }

    #[test]
    fn a_host_is_known_whatever_its_case_and_port() {
        for host in ["trk.example.com", "TRK.Example.com:8443", "trk.example.com.", "a.b.example.org:80"] {
            assert!(known("/?a=1&c=1", Some(host)), "{host}");
        }
        assert!(known("/", Some("[::1]:8080")) && known("/", Some("192.0.2.7:8080")));
        for host in ["example.com", "example.org", "xtrk.example.com", "", ":80", "a b", "u@"] {
            assert!(!known("/?a=1&c=1", Some(host)), "{host}");
        }
        assert!(!known("/", None));
    }

    #[test]
    fn an_absolute_target_counts_more_than_the_header() {
        assert!(known("http://trk.example.com:81/?a=1", Some("other.example.com")));
        assert!(!known("http://other.example.com/?a=1", Some("trk.example.com")));
    }

    #[test]
    fn without_domains_every_host_is_known() {
        assert!(is_known(&[], &Uri::from_static("/"), &HeaderMap::new()));
    }
}
