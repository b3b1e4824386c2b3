//! How often one address may call `p.ashx`, which asks for no key.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ipnet::IpNet;
use jiff::Timestamp;
use quick_cache::sync::Cache;

const SECOND_NS: i64 = 1_000_000_000;
/// Addresses remembered: some 10 MiB. Beyond that those that call least are forgotten, and begin with
/// their whole allowance again: somebody with so many addresses has the allowance of each anyway.
const ADDRESSES_MAX: usize = 65_536;

/// The allowance of every address: as many calls at once as in a second, refilled evenly.
pub(crate) struct PixelLimit {
    /// What a call costs; none means that there is no limit.
    call_ns: Option<i64>,
    allow_list: Vec<IpNet>,
    /// Until when each address has used its allowance up.
    used_until: Cache<IpAddr, Arc<AtomicI64>>,
}

impl PixelLimit {
    /// So many calls a second, 0 for no limit; addresses of the list are free.
    pub(crate) fn new(calls_per_second: u32, allow_list: Vec<IpNet>) -> Self {
        let call_ns = (calls_per_second > 0).then(|| SECOND_NS / i64::from(calls_per_second));
        Self { call_ns, allow_list, used_until: Cache::new(ADDRESSES_MAX) }
    }

    /// Takes a call from the address's allowance; false when there is none left.
    pub(crate) fn take(&self, address: IpAddr, now: Timestamp) -> bool {
        let Some(call_ns) = self.call_ns else { return true };
        if self.allow_list.iter().any(|net| net.contains(&address)) {
            return true;
        }
        let now = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX - SECOND_NS);
        let key = of_one_network(address);
        let used_until = self.used_until.get(&key).unwrap_or_else(|| {
            let fresh = Arc::new(AtomicI64::new(now));
            // Two first calls at once may count as one: nothing depends on that.
            self.used_until.insert(key, Arc::clone(&fresh));
            fresh
        });
        // A clock that was set back shuts nobody out for longer than a second.
        let used = |until: i64| until.clamp(now, now + SECOND_NS);
        let fits = |until: i64| used(until) + call_ns <= now + SECOND_NS;
        let next = |until: i64| Some(used(until) + if fits(until) { call_ns } else { 0 });
        let before = used_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        before.is_ok_and(fits)
    }
}

/// Whoever has one address of an IPv6 /64 has them all.
fn of_one_network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(1_780_000_000_000 + millisecond).expect("in range")
    }

    fn taken(limit: &PixelLimit, address: &str, now: Timestamp, calls: usize) -> usize {
        let address = address.parse().expect("an address");
        (0..calls).filter(|_| limit.take(address, now)).count()
    }

    #[test]
    fn an_address_has_a_seconds_calls_at_once_and_then_as_many_as_time_allows() {
        let limit = PixelLimit::new(200, Vec::new());
        assert_eq!(taken(&limit, "203.0.113.7", at(0), 500), 200);
        assert_eq!(taken(&limit, "203.0.113.8", at(0), 500), 200, "another address is another's");
        assert_eq!(taken(&limit, "203.0.113.7", at(5), 500), 1);
        assert_eq!(taken(&limit, "203.0.113.7", at(105), 500), 20);
        assert_eq!(taken(&limit, "203.0.113.7", at(9_000), 500), 200);
        assert_eq!(taken(&limit, "203.0.113.7", at(0), 500), 0);
        assert_eq!(taken(&limit, "203.0.113.7", at(1000), 500), 200, "a clock that was set back");
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_their_allowance() {
        let limit = PixelLimit::new(2, Vec::new());
        assert_eq!(taken(&limit, "2001:db8:1:2::1", at(0), 1), 1);
        assert_eq!(taken(&limit, "2001:db8:1:2:ffff::9", at(0), 9), 1);
        assert_eq!(taken(&limit, "2001:db8:1:3::1", at(0), 9), 2);
    }

    #[test]
    fn without_a_limit_and_for_those_on_the_list_every_call_is_taken() {
        assert_eq!(taken(&PixelLimit::new(0, Vec::new()), "203.0.113.7", at(0), 9), 9);
        let limit = PixelLimit::new(1, vec!["203.0.113.0/24".parse().expect("a net")]);
        assert_eq!(taken(&limit, "203.0.113.7", at(0), 9), 9);
        assert_eq!(taken(&limit, "203.0.114.7", at(0), 9), 1);
    }

    #[test]
    fn no_more_addresses_are_remembered_than_may_be() {
        let limit = PixelLimit::new(1, Vec::new());
        for bits in 0..=u32::try_from(2 * ADDRESSES_MAX).expect("small") {
            assert!(limit.take(IpAddr::from(bits.to_be_bytes()), at(0)));
        }
        assert!(limit.used_until.len() <= ADDRESSES_MAX);
    }
}
