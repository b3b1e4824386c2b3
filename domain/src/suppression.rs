//! Suppression lists: people and addresses whose conversions are not to count. A list holds fingerprints,
//! never the values themselves.

use crate::ids::OfferId;

/// A fingerprint: the SHA-256 of [`text`].
pub type Fingerprint = [u8; 32];

crate::network::states! {
    /// What a list knows somebody by.
    SuppressionKind {
        /// An e-mail address.
        Email = "email",
        /// A telephone number.
        Phone = "phone",
        /// An IP address.
        IpAddress = "ip_address",
    }
    /// What becomes of a conversion that a list names.
    OnSuppressed {
        /// It is refused, and only its attempt is kept.
        Reject = "reject",
        /// It is recorded as ignored and pays nobody.
        Ignore = "ignore",
    }
}

/// How many of a kind a list holds, and what becomes of their conversions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SuppressionCount {
    /// The offer whose list it is; none is the list of all offers.
    pub offer_id: Option<OfferId>,
    /// What they are known by.
    pub kind: SuppressionKind,
    /// What becomes of their conversions.
    pub action: OnSuppressed,
    /// How many.
    pub count: u64,
}

/// The text a fingerprint is made of: the kind, and the value as it is always written, however it was sent.
/// None for a value that cannot be one.
pub fn text(kind: SuppressionKind, value: &str) -> Option<String> {
    let value = value.trim();
    let plain = match kind {
        SuppressionKind::Email => {
            let lower = value.to_lowercase();
            lower
                .split_once('@')
                .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
                .then_some(lower)
        }
        SuppressionKind::Phone => {
            let digits: String = value.chars().filter(char::is_ascii_digit).collect();
            let digits = digits.trim_start_matches('0').to_owned();
            let is_phone = value.chars().all(|c| c.is_ascii_digit() || "+-(). /".contains(c));
            (is_phone && digits.len() >= 5).then_some(digits)
        }
        SuppressionKind::IpAddress => {
            value.parse::<std::net::IpAddr>().ok().map(|it| it.to_canonical().to_string())
        }
    }?;
    Some(format!("{}:{plain}", kind.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_text_however_it_is_written() {
        use SuppressionKind::{Email, IpAddress, Phone};
        let check = |kind, value: &str, expected: Option<&str>| {
            assert_eq!(text(kind, value).as_deref(), expected, "{value}");
        };
        check(Email, " Ann@Example.ORG ", Some("email:ann@example.org"));
        check(Email, "nobody", None);
        check(Phone, "+49 (30) 123-456", Some("phone:4930123456"));
        check(Phone, "0049 30 123456", Some("phone:4930123456"));
        check(Phone, "call me", None);
        check(IpAddress, "::ffff:192.0.2.1", Some("ip_address:192.0.2.1"));
        check(IpAddress, "2001:DB8::1", Some("ip_address:2001:db8::1"));
        check(IpAddress, "192.0.2", None);
    }
}
