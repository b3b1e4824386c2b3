//! The addresses that visitors come from, as a proxy in front of the server names them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rand::RngExt as _;
use rand::rngs::SmallRng;

/// One visitor in so many has an IPv6 address.
const IPV6_EVERY: u32 = 4;
/// First bytes that lead, in part at least, to no public network.
const IPV4_WITHOUT: [u8; 9] = [10, 100, 127, 169, 172, 192, 198, 203, 0];
/// Networks of large providers, with the bits that are theirs.
const IPV6: [(Ipv6Addr, u32); 8] = [
    (Ipv6Addr::new(0x2601, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x2600, 0x1000, 0, 0, 0, 0, 0, 0), 28),
    (Ipv6Addr::new(0x2003, 0, 0, 0, 0, 0, 0, 0), 19),
    (Ipv6Addr::new(0x2409, 0x4000, 0, 0, 0, 0, 0, 0), 22),
    (Ipv6Addr::new(0x2a02, 0x8100, 0, 0, 0, 0, 0, 0), 27),
    (Ipv6Addr::new(0x2804, 0x14c, 0, 0, 0, 0, 0, 0), 31),
    (Ipv6Addr::new(0x2a01, 0xcb00, 0, 0, 0, 0, 0, 0), 24),
    (Ipv6Addr::new(0x2a00, 0x23c0, 0, 0, 0, 0, 0, 0), 26),
];

/// A visitor's address.
pub fn draw(random: &mut SmallRng) -> IpAddr {
    if random.random_range(0..IPV6_EVERY) == 0 {
        let (network, bits) = IPV6[random.random_range(0..IPV6.len())];
        return Ipv6Addr::from_bits(network.to_bits() | (random.random::<u128>() >> bits)).into();
    }
    loop {
        let bytes: [u8; 4] = random.random();
        if bytes[0] < 224 && !IPV4_WITHOUT.contains(&bytes[0]) {
            return Ipv4Addr::from(bytes).into();
        }
    }
}
