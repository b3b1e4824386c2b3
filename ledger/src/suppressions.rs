//! Suppression lists. The ledger holds fingerprints and never what they are made of.

use domain::ids::OfferId;
use domain::suppression::{Fingerprint, OnSuppressed, SuppressionCount, SuppressionKind};
use jiff::Timestamp;

use crate::LedgerError;

/// Suppression lists, by fingerprint. What a list says of all offers goes for those it does not name.
pub trait SuppressionBook {
    /// Puts these on a list: one offer's, or that of all. Those on it already take the new action.
    fn suppress(
        &self,
        offer_id: Option<OfferId>,
        kind: SuppressionKind,
        fingerprints: &[Fingerprint],
        action: OnSuppressed,
        now: Timestamp,
    ) -> Result<(), LedgerError>;

    /// Takes these off that list. Returns how many were on it.
    fn unsuppress(&self, offer_id: Option<OfferId>, fingerprints: &[Fingerprint])
    -> Result<u64, LedgerError>;

    /// How many each list holds: the list of all offers first, then by offer.
    fn count_suppressions(&self) -> Result<Vec<SuppressionCount>, LedgerError>;
}
