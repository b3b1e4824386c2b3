//! Suppression lists: putting people on them, taking them off, and how many they hold.

use std::sync::Arc;

use domain::access::Caller;
use domain::ids::OfferId;
use domain::network_change::{EntityKind, Rejected};
use domain::suppression::{Fingerprint, OnSuppressed, SuppressionCount, SuppressionKind};
use thiserror::Error;

use crate::failure::blocking;
use crate::fingerprints::fingerprint;
use crate::{App, ChangeError, Failure};

/// Values of one call at most: a body of 64 KiB holds about as many.
const VALUES_MAX: usize = 1000;

/// People whose conversions are not to count, as far as one call names them. There is no way to print it.
pub struct Suppressed {
    kind: SuppressionKind,
    fingerprints: Vec<Fingerprint>,
}

/// Why values cannot be suppressed. A message never repeats one: they are people's.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadValues {
    /// Nothing is listed.
    #[error("at least one value is expected")]
    Empty,
    /// More than one call may name.
    #[error("at most {VALUES_MAX} values in one call")]
    TooMany,
    /// The value at that place, from 1, cannot be of the kind.
    #[error("number {0} of them is not of this kind")]
    Value(usize),
}

impl Suppressed {
    /// Reads values of a kind. Only their fingerprints stay.
    pub fn read<'v>(kind: SuppressionKind, values: impl Iterator<Item = &'v str>) -> Result<Self, BadValues> {
        let mut fingerprints = Vec::new();
        for (place, value) in (1..).zip(values) {
            if place > VALUES_MAX {
                return Err(BadValues::TooMany);
            }
            fingerprints.push(fingerprint(kind, value).ok_or(BadValues::Value(place))?);
        }
        if fingerprints.is_empty() {
            return Err(BadValues::Empty);
        }
        fingerprints.sort_unstable();
        fingerprints.dedup();
        Ok(Self { kind, fingerprints })
    }
}

impl App {
    /// Puts people on the list of an offer, or of all offers. Returns how many different ones were named.
    pub async fn suppress(
        &self,
        caller: &Caller,
        offer_id: Option<OfferId>,
        people: Suppressed,
        action: OnSuppressed,
    ) -> Result<u64, ChangeError> {
        self.may_suppress(caller, offer_id)?;
        let (ledger, now) = (Arc::clone(&self.ledger), self.clock.now());
        let Suppressed { kind, fingerprints } = people;
        let count = fingerprints.len() as u64;
        blocking(move || Ok(ledger.suppress(offer_id, kind, &fingerprints, action, now)?)).await?;
        Ok(count)
    }

    /// Takes people off the list of an offer, or of all offers. Returns how many were on it.
    pub async fn unsuppress(
        &self,
        caller: &Caller,
        offer_id: Option<OfferId>,
        people: Suppressed,
    ) -> Result<u64, ChangeError> {
        self.may_suppress(caller, offer_id)?;
        let ledger = Arc::clone(&self.ledger);
        Ok(blocking(move || Ok(ledger.unsuppress(offer_id, &people.fingerprints)?)).await?)
    }

    /// How many each list holds: the list of all offers first, then by offer.
    pub async fn count_suppressions(&self, caller: &Caller) -> Result<Vec<SuppressionCount>, Failure> {
        caller.may_read_all()?;
        let ledger = Arc::clone(&self.ledger);
        blocking(move || Ok(ledger.count_suppressions()?)).await
    }

    fn may_suppress(&self, caller: &Caller, offer_id: Option<OfferId>) -> Result<(), ChangeError> {
        caller.may_administer()?;
        let missing = offer_id.is_some_and(|id| self.network.load().offer(id).is_none());
        if missing { Err(ChangeError::Rejected(Rejected::NotFound(EntityKind::Offer))) } else { Ok(()) }
    }
}
