//! How much of a visitor's address is kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// What becomes of a visitor's address once it has told the country.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AddressPolicy {
    /// It is kept whole.
    #[default]
    Keep,
    /// Its network is kept: 24 bits of an IPv4 address, 48 bits of an IPv6 address.
    Truncate,
    /// It is not kept.
    Drop,
}

/// A text that names no policy.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("use keep, truncate or drop")]
pub struct UnknownPolicy;

impl FromStr for AddressPolicy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        match text {
            "keep" => Ok(Self::Keep),
            "truncate" => Ok(Self::Truncate),
            "drop" => Ok(Self::Drop),
            _ => Err(UnknownPolicy),
        }
    }
}

impl AddressPolicy {
    /// What is kept of an address.
    pub fn apply(self, address: IpAddr) -> Option<IpAddr> {
        match (self, address) {
            (Self::Keep, address) => Some(address),
            (Self::Truncate, IpAddr::V4(v4)) => {
                Some(Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << 8)).into())
            }
            (Self::Truncate, IpAddr::V6(v6)) => {
                Some(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80)).into())
            }
            (Self::Drop, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_as_the_policy_says() {
        let check = |policy: &str, address: &str, kept: Option<&str>| {
            let policy: AddressPolicy = policy.parse().expect("a policy");
            let found = policy.apply(address.parse().expect("an address")).map(|it| it.to_string());
            assert_eq!(found.as_deref(), kept);
        };
        check("keep", "203.0.113.42", Some("203.0.113.42"));
        check("truncate", "203.0.113.42", Some("203.0.113.0"));
        check("truncate", "2001:db8:1:2:3:4:5:6", Some("2001:db8:1::"));
        check("drop", "203.0.113.42", None);
        assert_eq!("hash".parse::<AddressPolicy>(), Err(UnknownPolicy));
    }
}
