//! Who may do and see what. Use cases ask here first, so that no way in can forget.

use std::str::FromStr;

use thiserror::Error;

use crate::ids::{AdvertiserId, AffiliateId, KeyId, OfferId};

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Everything.
    Admin,
    /// Reads everything, changes nothing.
    Read,
    /// Records conversions, and nothing else.
    Conversion,
    /// Reads one affiliate's own rows, and never revenue.
    Affiliate,
}

/// A text that names no scope.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a scope: use admin, read, conversion or affiliate")]
pub struct UnknownScope;

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Read, Self::Conversion, Self::Affiliate];

    /// Its name on the command line and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Read => "read",
            Self::Conversion => "conversion",
            Self::Affiliate => "affiliate",
        }
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or(UnknownScope)
    }
}

/// What a key permits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// What it is for.
    pub scope: Scope,
    /// A `conversion` key may be bound to one offer.
    pub offer_id: Option<OfferId>,
    /// A `conversion` key may be bound to one advertiser's offers.
    pub advertiser_id: Option<AdvertiserId>,
    /// Whose rows an `affiliate` key reads.
    pub affiliate_id: Option<AffiliateId>,
    /// Whether a `conversion` key may state the payout.
    pub may_override: bool,
    /// Whether the age of a click that a `conversion` key names is measured at the conversion's date.
    pub may_backfill: bool,
}

/// Why a grant makes no sense.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadGrant {
    /// An `affiliate` key names its affiliate, and no other key does.
    #[error("a key of scope affiliate needs an affiliate, and only such a key takes one")]
    Affiliate,
    /// Only a `conversion` key is bound to an offer or advertiser, or granted overrides or backfills.
    #[error(
        "only a key of scope conversion can be bound to an offer or an advertiser, or may override or backfill"
    )]
    Binding,
}

impl Grant {
    /// A grant of the scope and nothing more.
    pub fn of(scope: Scope) -> Self {
        Self {
            scope,
            offer_id: None,
            advertiser_id: None,
            affiliate_id: None,
            may_override: false,
            may_backfill: false,
        }
    }

    /// Refuses combinations that would mean nothing.
    pub fn check(self) -> Result<Self, BadGrant> {
        let binds = self.offer_id.is_some() || self.advertiser_id.is_some();
        let bound = binds || self.may_override || self.may_backfill;
        if (self.scope == Scope::Affiliate) != self.affiliate_id.is_some() {
            Err(BadGrant::Affiliate)
        } else if bound && self.scope != Scope::Conversion {
            Err(BadGrant::Binding)
        } else {
            Ok(self)
        }
    }
}

/// Who is calling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The key's number.
    pub key_id: KeyId,
    /// The key's name.
    pub name: String,
    /// What it permits.
    pub grant: Grant,
}

/// The caller's key does not allow this.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("this key does not permit that")]
pub struct NotPermitted;

/// Which rows, and which columns, a reader sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View {
    /// Only this affiliate's rows.
    pub affiliate_id: Option<AffiliateId>,
    /// Whether revenue is shown.
    pub revenue: bool,
}

impl View {
    /// The affiliate to filter by: the asked one, or the caller's own.
    pub fn affiliate(self, asked: Option<AffiliateId>) -> Result<Option<AffiliateId>, NotPermitted> {
        match (self.affiliate_id, asked) {
            (Some(own), Some(asked)) if own != asked => Err(NotPermitted),
            (Some(own), _) => Ok(Some(own)),
            (None, asked) => Ok(asked),
        }
    }
}

impl Caller {
    /// What the caller may read of clicks, conversions, offers, affiliates and campaigns.
    pub fn may_read(&self) -> Result<View, NotPermitted> {
        match self.grant.scope {
            Scope::Admin | Scope::Read => Ok(View { affiliate_id: None, revenue: true }),
            Scope::Affiliate => Ok(View { affiliate_id: self.grant.affiliate_id, revenue: false }),
            Scope::Conversion => Err(NotPermitted),
        }
    }

    /// Whether the caller may read what concerns the network and no single affiliate.
    pub fn may_read_all(&self) -> Result<(), NotPermitted> {
        self.may_read().and_then(|view| if view.affiliate_id.is_none() { Ok(()) } else { Err(NotPermitted) })
    }

    /// Whether the caller may change the network.
    pub fn may_administer(&self) -> Result<(), NotPermitted> {
        if self.grant.scope == Scope::Admin { Ok(()) } else { Err(NotPermitted) }
    }

    /// Whether the caller may record conversions at all.
    pub fn may_record(&self) -> Result<(), NotPermitted> {
        match self.grant.scope {
            Scope::Admin | Scope::Conversion => Ok(()),
            Scope::Read | Scope::Affiliate => Err(NotPermitted),
        }
    }

    /// Whether the caller may record conversions for this offer of this advertiser. An offer that
    /// does not exist has no advertiser.
    pub fn may_record_for(
        &self,
        offer_id: OfferId,
        advertiser_id: Option<AdvertiserId>,
    ) -> Result<(), NotPermitted> {
        self.may_record()?;
        let offer = self.grant.offer_id.is_none_or(|bound| bound == offer_id);
        let advertiser =
            self.grant.advertiser_id.is_none_or(|bound| advertiser_id.is_none_or(|it| it == bound));
        if offer && advertiser { Ok(()) } else { Err(NotPermitted) }
    }

    /// Whether the caller may state the payout itself.
    pub fn may_override_payout(&self) -> bool {
        self.grant.scope == Scope::Admin || self.grant.may_override
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(grant: Grant) -> Caller {
        Caller { key_id: KeyId(1), name: "test".into(), grant }
    }

    #[test]
    fn every_scope_does_what_it_is_for_and_nothing_else() {
        for (scope, read, read_all, administer, record, override_payout) in [
            (Scope::Admin, true, true, true, true, true),
            (Scope::Read, true, true, false, false, false),
            (Scope::Conversion, false, false, false, true, false),
            (Scope::Affiliate, true, false, false, false, false),
        ] {
            let affiliate_id = (scope == Scope::Affiliate).then_some(AffiliateId(1));
            let caller = caller(Grant { affiliate_id, ..Grant::of(scope) });
            let found = (
                caller.may_read().is_ok(),
                caller.may_read_all().is_ok(),
                caller.may_administer().is_ok(),
                caller.may_record().is_ok(),
                caller.may_override_payout(),
            );
            assert_eq!(found, (read, read_all, administer, record, override_payout), "{}", scope.name());
            assert_eq!(scope.name().parse(), Ok(scope));
        }
    }

    #[test]
    fn an_affiliate_sees_its_own_rows_without_revenue() {
        let own = caller(Grant { affiliate_id: Some(AffiliateId(7)), ..Grant::of(Scope::Affiliate) });
        let view = own.may_read().expect("may read");
        assert!(!view.revenue);
        assert_eq!(view.affiliate(None), Ok(Some(AffiliateId(7))));
        assert_eq!(view.affiliate(Some(AffiliateId(7))), Ok(Some(AffiliateId(7))));
        assert_eq!(view.affiliate(Some(AffiliateId(8))), Err(NotPermitted));
    }

    #[test]
    fn a_bound_key_records_only_where_it_is_bound() {
        let offer = caller(Grant { offer_id: Some(OfferId(1)), ..Grant::of(Scope::Conversion) });
        assert!(offer.may_record_for(OfferId(1), Some(AdvertiserId(5))).is_ok());
        assert!(offer.may_record_for(OfferId(2), Some(AdvertiserId(5))).is_err());
        let advertiser =
            caller(Grant { advertiser_id: Some(AdvertiserId(5)), ..Grant::of(Scope::Conversion) });
        assert!(advertiser.may_record_for(OfferId(2), Some(AdvertiserId(5))).is_ok());
        assert!(advertiser.may_record_for(OfferId(2), Some(AdvertiserId(6))).is_err());
    }

    #[test]
    fn grants_that_mean_nothing_are_refused() {
        let affiliate_id = Some(AffiliateId(1));
        assert_eq!(Grant::of(Scope::Affiliate).check(), Err(BadGrant::Affiliate));
        assert_eq!(Grant { affiliate_id, ..Grant::of(Scope::Read) }.check(), Err(BadGrant::Affiliate));
        assert_eq!(Grant { may_override: true, ..Grant::of(Scope::Read) }.check(), Err(BadGrant::Binding));
        assert_eq!(Grant { may_backfill: true, ..Grant::of(Scope::Admin) }.check(), Err(BadGrant::Binding));
        let grant = Grant { may_override: true, may_backfill: true, ..Grant::of(Scope::Conversion) };
        assert!(grant.check().is_ok());
    }
}
