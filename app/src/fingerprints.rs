//! Fingerprints: what suppression lists know people by.

use domain::suppression::{Fingerprint, SuppressionKind, text};
use sha2::{Digest, Sha256};

/// The fingerprint of a value; none for a value that cannot be of that kind.
pub(crate) fn fingerprint(kind: SuppressionKind, value: &str) -> Option<Fingerprint> {
    Some(Sha256::digest(text(kind, value)?).into())
}

/// The fingerprints that a conversion call carries. A value that cannot be of its kind is on no list.
pub(crate) fn of_call<'p>(get: impl Fn(&str) -> Option<&'p str>) -> Vec<Fingerprint> {
    let sent = SuppressionKind::ALL.iter().filter_map(|kind| fingerprint(*kind, get(kind.name())?));
    sent.collect()
}
