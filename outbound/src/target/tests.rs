use proptest::prelude::*;

use super::*;
use crate::is_public;

fn refused(url: &str) -> BadTarget {
    match check_url(url, &AllowPrivate::No) {
        Ok(()) => panic!("{url:?} is allowed"),
        Err(why) => why,
    }
}

#[test]
fn an_ordinary_url_is_allowed_and_sent_as_written() {
    #[rustfmt::skip]
    let cases = [
        ("http://example.org", "example.org", "/", 80),
        ("https://example.org/?", "example.org", "/?", 443),
        ("HTTPS://Example.ORG:443/p?click=1&payout=2.50#part", "example.org", "/p?click=1&payout=2.50", 443),
        ("http://example.org:8080/a b?c d=\"{é}|^`", "example.org:8080", "/a%20b?c%20d=%22{%C3%A9}|^`", 8080),
        ("http://example.org//double", "example.org", "//double", 80),
        ("http://example.org./", "example.org.", "/", 80),
        ("http://bücher.example/", "xn--bcher-kva.example", "/", 80),
        ("http://8.8.8.8/", "8.8.8.8", "/", 80),
        ("https://[2606:4700:4700::1111]:8443/", "[2606:4700:4700::1111]:8443", "/", 8443),
        // The backslash is a slash, so the host is the first, and the second is part of the path.
        ("http://example.org\\@127.0.0.1/", "example.org", "/@127.0.0.1/", 80),
        ("http://example.org#@127.0.0.1/", "example.org", "/", 80),
        ("http://example.org?@127.0.0.1/", "example.org", "/?@127.0.0.1/", 80),
    ];
    for (url, host, path_and_query, port) in cases {
        let target = Target::parse(url, &AllowPrivate::No).unwrap_or_else(|it| panic!("{url}: {it}"));
        assert_eq!(target.host_header, host, "{url}");
        assert_eq!(target.path_and_query.to_string(), path_and_query, "{url}");
        assert_eq!(target.receiver.port, port, "{url}");
        assert_eq!(target.receiver.secure, url.to_lowercase().starts_with("https"), "{url}");
    }
}

#[test]
fn every_spelling_of_a_private_address_is_refused() {
    let hosts = "
        127.0.0.1 127.0.0.1. 127.1 127.0.1 127.000.000.001 2130706433 2130706433. 0x7f000001 0x7F000001
        0x7f.1 0x7f.0x0.0x0.0x1 0x7f.0.0.0x1 017700000001 0177.0.0.1 0177.1 0177.0000.0000.0001
        00000177.1 127.127.127.127 127.0.0.0x1 0 0.0.0.0 0x0 00 0. ①②⑦.⓪.⓪.① １２７.０.０.１ 127。0。0。1
        127．0．0．1 127｡0｡0｡1 𝟏𝟐𝟕.𝟎.𝟎.𝟏 %31%32%37.0.0.1 127%2e0%2e0%2e1 127.0.0.1:80 127.0.0.1:443
        127.0.0.1:22 localhost localhost. LOCALHOST LocalHost. localhost:8080 a.localhost a.b.localhost.
        ⓛⓞⓒⓐⓛⓗⓞⓢⓣ l%6fcalhost ｌｏｃａｌｈｏｓｔ loc%C2%ADalhost [::] [::1] [0:0:0:0:0:0:0:1] [0000::0001]
        [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::127.0.0.1] [::7f00:1]
        [64:ff9b::127.0.0.1] [2002:7f00:1::] [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [fd00:ec2::254]
        [fe80::1] [fc00::1] [ff02::1] 169.254.169.254 2852039166 0xa9fea9fe 0xA9.0xFE.0xA9.0xFE
        0251.0376.0251.0376 169.254.43518 169.16689662 025177524776 0251.254.169.254 ①⑥⑨.②⑤④.①⑥⑨.②⑤④
        169。254。169。254 100.100.100.200 192.0.0.192 168.63.129.16 10.0.0.1 0xa000001 012.1 172.16.0.1
        192.168.1.1 3232235777 255.255.255.255 224.0.0.1
    ";
    for host in hosts.split_whitespace() {
        for url in
            [format!("http://{host}/"), format!("https://{host}/latest?x=1#y"), format!("HTTP:\\\\{host}\\")]
        {
            assert!(matches!(refused(&url), BadTarget::Address(_)), "{url}");
            assert_eq!(refused(&url).code(), "address_not_allowed");
        }
    }
    // Written so, parsers disagree: some see the first host, some the second.
    for url in [
        "http://127.0.0.1#@example.org/",
        "http://127.0.0.1\\@example.org/",
        "http:127.0.0.1",
        "http:/127.0.0.1/",
        "http:///127.0.0.1/",
        "http://////127.0.0.1/",
        "http://127.0.0.1?@example.org/",
        " http://127.0.0.1/ ",
    ] {
        assert!(matches!(refused(url), BadTarget::Address(_)), "{url}");
    }
}

#[test]
fn what_is_not_a_plain_web_address_is_refused_by_name() {
    let long_host = format!("http://{}/", vec!["a".repeat(60); 5].join("."));
    let long_when_encoded = format!("http://example.org/{}", " ".repeat(URL_BYTES_MAX / 2) + "x");
    let too_long = format!("http://example.org/{}", "x".repeat(URL_BYTES_MAX));
    #[rustfmt::skip]
    let cases = [
        ("gopher://example.org/_x", BadTarget::Scheme),
        ("file:///etc/passwd", BadTarget::Scheme),
        ("ftp://example.org/", BadTarget::Scheme),
        ("javascript:alert(1)", BadTarget::Scheme),
        ("data:text/plain,x", BadTarget::Scheme),
        ("dict://example.org:11211/", BadTarget::Scheme),
        ("ws://example.org/", BadTarget::Scheme),
        ("unix:/run/x.sock", BadTarget::Scheme),
        ("http://example.org@127.0.0.1/", BadTarget::Credentials),
        ("http://user@example.org/", BadTarget::Credentials),
        ("http://user:password@example.org/", BadTarget::Credentials),
        ("http://:password@example.org/", BadTarget::Credentials),
        ("http://1.1.1.1 &@2.2.2.2# @3.3.3.3/", BadTarget::Credentials),
        ("http://example.org:0/", BadTarget::Port),
        ("http://example.org/\r\nX-Other: 1", BadTarget::ControlCharacter),
        ("http://exa\tmple.org/", BadTarget::ControlCharacter),
        ("http://127.0.\n0.1/", BadTarget::ControlCharacter),
        ("ht\ntp://example.org/", BadTarget::ControlCharacter),
        ("http://example.org/\0", BadTarget::ControlCharacter),
        ("http://example.org/\x7f", BadTarget::ControlCharacter),
        ("", BadTarget::Malformed(url::ParseError::RelativeUrlWithoutBase)),
        ("//example.org/", BadTarget::Malformed(url::ParseError::RelativeUrlWithoutBase)),
        ("http://", BadTarget::Malformed(url::ParseError::EmptyHost)),
        ("http://[fe80::1%25lo]/", BadTarget::Malformed(url::ParseError::InvalidIpv6Address)),
        ("http://[fe80::1%lo]/", BadTarget::Malformed(url::ParseError::InvalidIpv6Address)),
        ("http://[::1/", BadTarget::Malformed(url::ParseError::InvalidIpv6Address)),
        ("http://example.org:65536/", BadTarget::Malformed(url::ParseError::InvalidPort)),
        ("http://256.0.0.1/", BadTarget::Malformed(url::ParseError::InvalidIpv4Address)),
        ("http://1.2.3.4.5/", BadTarget::Malformed(url::ParseError::InvalidIpv4Address)),
        ("http://127.0.0.1%00/", BadTarget::Malformed(url::ParseError::IdnaError)),
        ("http://127.0.0.1%0d%0a/", BadTarget::Malformed(url::ParseError::IdnaError)),
        ("http://exa mple.org/", BadTarget::Malformed(url::ParseError::IdnaError)),
        (&long_host, BadTarget::HostTooLong),
        (&too_long, BadTarget::TooLong),
        (&long_when_encoded, BadTarget::TooLong),
    ];
    for (url, expected) in cases {
        let found = refused(url);
        assert_eq!(found, expected, "{url}");
        assert_eq!(found.code(), "invalid_url", "{url}");
    }
}

#[test]
fn the_longest_url_is_allowed() {
    let longest = format!("http://example.org/{}", "x".repeat(URL_BYTES_MAX - "http://example.org/".len()));
    assert_eq!(check_url(&longest, &AllowPrivate::No), Ok(()));
}

#[test]
fn where_private_addresses_are_allowed_a_name_for_this_machine_is_left_to_the_resolver() {
    let networks = AllowPrivate::Networks(vec!["10.0.0.0/8".parse().expect("a network")]);
    assert_eq!(check_url("http://localhost/", &AllowPrivate::All), Ok(()));
    assert_eq!(check_url("http://localhost/", &networks), Ok(()));
    assert_eq!(check_url("http://10.1/", &networks), Ok(()));
    assert!(matches!(check_url("http://127.1/", &networks), Err(BadTarget::Address(_))));
    assert!(matches!(check_url("http://0/", &AllowPrivate::All), Err(BadTarget::Address(_))));
}

#[test]
fn no_message_repeats_a_path_or_a_query() {
    for url in [
        "http://127.0.0.1/secret?secret",
        "ftp://example.org/secret",
        "http://secret:secret@example.org/secret",
        "http://example.org:0/secret",
        "http://example.org/secret\n",
        "http://[::/secret",
    ] {
        assert!(!refused(url).to_string().contains("secret"), "{url}");
    }
}

/// URLs made of pieces that confuse parsers.
fn tricky() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "http:",
            "https:",
            "/",
            "//",
            "\\",
            "@",
            "#",
            "?",
            ":",
            "[",
            "]",
            ".",
            "%",
            "%2e",
            "%00",
            "0x7f",
            "127",
            "0",
            "1",
            "::",
            "ffff",
            "169.254",
            "2852039166",
            "localhost",
            "example.org",
            "①",
            "。",
            "٧",
            " ",
            "\t",
            "80",
        ])
        .prop_map(str::to_owned),
        any::<u32>().prop_map(|it| it.to_string()),
        any::<u32>().prop_map(|it| format!("{it:#o}").replace("0o", "0")),
        any::<[u8; 4]>().prop_map(|it| IpAddr::from(it).to_string()),
        any::<[u16; 8]>().prop_map(|it| format!("[{}]", IpAddr::from(it))),
        any::<char>().prop_map(String::from),
    ];
    let scheme = prop::sample::select(vec!["http://", "https://", ""]);
    (scheme, prop::collection::vec(piece, 0..6))
        .prop_map(|(scheme, pieces)| scheme.to_owned() + &pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn whatever_is_allowed_is_a_web_address_whose_literal_address_is_public(text in tricky()) {
        if let Ok(target) = Target::parse(&text, &AllowPrivate::No) {
            let url = Url::parse(&text).expect("a URL");
            prop_assert!(["http", "https"].contains(&url.scheme()));
            match url.host().expect("a host") {
                Host::Ipv4(it) => prop_assert!(is_public(it.into())),
                Host::Ipv6(it) => prop_assert!(is_public(it.into())),
                // Whatever a resolver makes of it is checked then.
                Host::Domain(it) => prop_assert!(!is_this_machine(it)),
            }
            prop_assert!(target.path_and_query.to_string().starts_with('/'));
            prop_assert!(target.path_and_query.to_string().bytes().all(|it| (0x21..0x7f).contains(&it)));
        }
    }
}
