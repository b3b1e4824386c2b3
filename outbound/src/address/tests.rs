use proptest::prelude::*;

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn every_range_is_refused_from_its_first_address_to_its_last() {
    for (net, why) in NOT_PUBLIC_V4 {
        assert!(!is_public(net.network().into()), "{net}: {why}");
        assert!(!is_public(net.broadcast().into()), "{net}: {why}");
    }
    for (net, why) in NOT_PUBLIC_V6 {
        assert!(!is_public(net.network().into()), "{net}: {why}");
        assert!(!is_public(net.broadcast().into()), "{net}: {why}");
    }
}

#[test]
fn what_lies_beside_a_range_is_public() {
    let texts = "
        1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255
        128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
        191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0
        198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
        2000:: 2001:200:: 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9::
        2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2003:: 2606:4700:4700::1111
        3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000::
    ";
    for text in texts.split_whitespace() {
        assert!(is_public(address(text)), "{text}");
    }
}

#[test]
fn what_is_known_to_be_dangerous_is_not_public() {
    let texts = "
        0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
        169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1
        192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
        240.0.0.1 255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 ::ffff:0:127.0.0.1
        64:ff9b::7f00:1 64:ff9b:1::a00:1 100::1 2001::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
        2002:7f00:1:: 2002:808:808:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fec0::1
        ff02::1
    ";
    for text in texts.split_whitespace() {
        assert!(!is_public(address(text)), "{text}");
    }
}

#[test]
fn settings_open_what_they_name_and_never_what_is_nobody() {
    let loopback = AllowPrivate::Networks(vec!["127.0.0.0/8".parse().expect("a network")]);
    let everywhere = ["0.0.0.0/0", "::/0"].map(|it| it.parse().expect("a network")).to_vec();
    let everywhere = AllowPrivate::Networks(everywhere);
    #[rustfmt::skip]
    let cases = [
        // address            No     All    loopback everywhere
        ("8.8.8.8",          [true,  true,  true,    true]),
        ("2606:4700::1111",  [true,  true,  true,    true]),
        ("127.0.0.1",        [false, true,  true,    true]),
        ("::ffff:127.0.0.1", [false, true,  true,    true]),
        ("::1",              [false, true,  false,   true]),
        ("10.1.2.3",         [false, true,  false,   true]),
        ("169.254.169.254",  [false, true,  false,   true]),
        ("fd00::1",          [false, true,  false,   true]),
        ("0.0.0.0",          [false, false, false,   false]),
        ("::",               [false, false, false,   false]),
        ("::ffff:0.0.0.0",   [false, false, false,   false]),
        ("224.0.0.1",        [false, false, false,   false]),
        ("::ffff:224.0.0.1", [false, false, false,   false]),
        ("ff02::1",          [false, false, false,   false]),
        ("255.255.255.255",  [false, false, false,   false]),
    ];
    for (text, expected) in cases {
        let found = [&AllowPrivate::No, &AllowPrivate::All, &loopback, &everywhere]
            .map(|it| it.allows(address(text)));
        assert_eq!(found, expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_address_that_embeds_another_is_public(inside: [u8; 4], rest: [u16; 5]) {
        let [a, b] = [u16::from_be_bytes([inside[0], inside[1]]), u16::from_be_bytes([inside[2], inside[3]])];
        for embedding in [
            Ipv4Addr::from(inside).to_ipv6_mapped(),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, a, b),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b),
            Ipv6Addr::new(0x64, 0xff9b, 1, rest[0], rest[1], rest[2], a, b),
            Ipv6Addr::new(0x2002, a, b, rest[0], rest[1], rest[2], rest[3], rest[4]),
            Ipv6Addr::new(0x2001, 0, rest[0], rest[1], rest[2], rest[3], !a, !b),
        ] {
            prop_assert!(!is_public(embedding.into()), "{embedding}");
        }
    }
}
