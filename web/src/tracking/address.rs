//! Whose address a click or a call came from. What a header says counts only if whoever sent it is a trusted
//! proxy; walking back from there, the first address that is no trusted proxy is the visitor's.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{self, HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The visitor's address.
pub(crate) fn of(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut address = peer.ip().to_canonical();
    if !is_trusted(&address) {
        return address;
    }
    for hop in hops(headers).into_iter().rev() {
        // A proxy that hides its client, or nonsense: whoever sent it is as far as we can see.
        let Some(hop) = hop else { return address };
        address = hop;
        if !is_trusted(&address) {
            break;
        }
    }
    address
}

/// The hops in the order they were added: `Forwarded` (RFC 7239) where there is one, else
/// `X-Forwarded-For`. None is a hop that cannot be read.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = |name: &HeaderName| {
        let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        lines.flat_map(|line| line.split(',')).map(str::trim).map(str::to_owned).collect::<Vec<_>>()
    };
    let forwarded = values(&header::FORWARDED);
    if forwarded.is_empty() {
        return values(&X_FORWARDED_FOR).iter().map(|hop| address(hop)).collect();
    }
    forwarded.iter().map(|element| address(forwarded_for(element)?)).collect()
}

/// The `for` of a `Forwarded` element: `for="[2001:db8::1]:4711";proto=https`.
fn forwarded_for(element: &str) -> Option<&str> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    Some(value.trim().trim_matches('"'))
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let found = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()));
    found.map(|it: IpAddr| it.to_canonical())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn found(peer: &str, sent: &[(HeaderName, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(name, HeaderValue::from_str(value).expect("a header"));
        }
        let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|net| net.parse().expect("a net"));
        of(SocketAddr::new(peer.parse().expect("an address"), 4711), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_is_who_it_is_whatever_it_says() {
        let lie = [(X_FORWARDED_FOR, "203.0.113.1"), (header::FORWARDED, "for=203.0.113.1")];
        assert_eq!(found("198.51.100.7", &lie), "198.51.100.7");
        assert_eq!(found("::ffff:198.51.100.7", &lie), "198.51.100.7");
    }

    #[test]
    fn behind_trusted_proxies_the_visitor_is_the_last_who_is_none() {
        let check = |name: &HeaderName, value: &str, expected: &str| {
            assert_eq!(found("10.0.0.1", &[(name.clone(), value)]), expected, "{value}");
        };
        let xff = &X_FORWARDED_FOR;
        check(xff, "203.0.113.1", "203.0.113.1");
        check(xff, "1.2.3.4, 203.0.113.1, 10.9.9.9", "203.0.113.1");
        check(xff, "203.0.113.1:8080", "203.0.113.1");
        check(xff, "2001:db8::5, 2a00::1", "2a00::1");
        check(xff, "[2a00::1]:80", "2a00::1");
        check(xff, "203.0.113.1, unknown", "10.0.0.1");
        check(xff, "203.0.113.1, unknown, 10.2.2.2", "10.2.2.2");
        check(xff, "", "10.0.0.1");
        check(xff, "10.3.3.3", "10.3.3.3");
        let forwarded = &header::FORWARDED;
        check(forwarded, "for=203.0.113.1;proto=https;by=10.0.0.1", "203.0.113.1");
        check(forwarded, "for=1.2.3.4, For=\"[2a00::1]:4711\"", "2a00::1");
        check(forwarded, "proto=https", "10.0.0.1");
        check(forwarded, "for=_hidden", "10.0.0.1");
    }

    #[test]
    fn several_header_lines_are_one_list() {
        let lines = [(X_FORWARDED_FOR, "1.2.3.4"), (X_FORWARDED_FOR, "203.0.113.1, 10.1.1.1")];
        assert_eq!(found("10.0.0.1", &lines), "203.0.113.1");
        let both = [(X_FORWARDED_FOR, "1.2.3.4"), (header::FORWARDED, "for=203.0.113.1")];
        assert_eq!(found("10.0.0.1", &both), "203.0.113.1");
    }
}
