//! Which addresses may be called. A postback's URL is typed by a stranger, and this server stands where
//! strangers do not: beside databases, consoles and the cloud's own services.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(address: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(address[0], address[1], address[2], address[3]), length)
}

/// What begins with these two groups of 16 bits, the rest being zero.
const fn v6(first: u16, second: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), length)
}

/// What of IPv4 is not public, and by which document: IANA's register of special-purpose addresses, and one
/// address of a cloud.
const NOT_PUBLIC_V4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 8), "RFC 791: this network; 0.0.0.0 reaches this machine"),
    (v4([10, 0, 0, 0], 8), "RFC 1918: private"),
    (v4([100, 64, 0, 0], 10), "RFC 6598: shared by carriers; metadata at 100.100.100.200 in one cloud"),
    (v4([127, 0, 0, 0], 8), "RFC 1122: loopback"),
    (v4([168, 63, 129, 16], 32), "no RFC: a cloud's platform, at the same address in each of its networks"),
    (v4([169, 254, 0, 0], 16), "RFC 3927: link-local; metadata of most clouds"),
    (v4([172, 16, 0, 0], 12), "RFC 1918: private"),
    (v4([192, 0, 0, 0], 24), "RFC 6890: protocol assignments; metadata at 192.0.0.192 in one cloud"),
    (v4([192, 0, 2, 0], 24), "RFC 5737: documentation"),
    (v4([192, 88, 99, 0], 24), "RFC 7526: relays of 6to4, withdrawn"),
    (v4([192, 168, 0, 0], 16), "RFC 1918: private"),
    (v4([198, 18, 0, 0], 15), "RFC 2544: benchmarking"),
    (v4([198, 51, 100, 0], 24), "RFC 5737: documentation"),
    (v4([203, 0, 113, 0], 24), "RFC 5737: documentation"),
    (v4([224, 0, 0, 0], 4), "RFC 5771: multicast"),
    (v4([240, 0, 0, 0], 4), "RFC 1112: reserved, and broadcast (RFC 919)"),
];

/// The same of IPv6, of which only `2000::/3` is given out (RFC 4291): the first three are what lies outside. What
/// embeds an IPv4 address is refused as a whole: no public host needs it.
const NOT_PUBLIC_V6: &[(Ipv6Net, &str)] = &[
    (
        v6(0, 0, 3),
        "RFC 4291: unspecified, loopback, IPv4-compatible, IPv4-mapped; RFC 6052, RFC 8215: NAT64 64:ff9b::/96 and \
         64:ff9b:1::/48; RFC 6666: discard-only 100::/64",
    ),
    (v6(0x4000, 0, 2), "RFC 9602: segment routing 5f00::/16"),
    (
        v6(0x8000, 0, 1),
        "RFC 4193: unique local fc00::/7, metadata at fd00:ec2::254 in one cloud; RFC 4291: link-local fe80::/10, \
         multicast ff00::/8; RFC 3879: site-local fec0::/10",
    ),
    (
        v6(0x2001, 0, 23),
        "RFC 2928: protocol assignments; RFC 4380: Teredo 2001::/32; RFC 5180: benchmarking; RFC 7343: ORCHID",
    ),
    (v6(0x2001, 0xdb8, 32), "RFC 3849: documentation"),
    (v6(0x2002, 0, 16), "RFC 3056: 6to4"),
    (v6(0x3fff, 0, 20), "RFC 9637: documentation"),
];

/// Whether anybody on the internet may be meant by this address.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => !NOT_PUBLIC_V4.iter().any(|(net, _)| net.contains(&it)),
        IpAddr::V6(it) => !NOT_PUBLIC_V6.iter().any(|(net, _)| net.contains(&it)),
    }
}

/// Whether nobody in particular is meant: no setting opens these.
fn is_nobody(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Which addresses may be called beside the public ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowPrivate {
    /// None.
    #[default]
    No,
    /// All, but for unspecified, multicast and broadcast ones.
    All,
    /// Those of these networks, with the same exceptions.
    Networks(Vec<IpNet>),
}

impl AllowPrivate {
    /// Whether this address may be called.
    pub fn allows(&self, address: IpAddr) -> bool {
        if is_nobody(address) {
            return false;
        }
        // A mapped address is connected to as the IPv4 address in it, so that is what a network must hold.
        let canonical = address.to_canonical();
        is_public(address)
            || match self {
                Self::No => false,
                Self::All => true,
                Self::Networks(networks) => networks.iter().any(|it| it.contains(&canonical)),
            }
    }
}

#[cfg(test)]
mod tests;
