//! Statements: what a party earned or owes, closed up to a date and never changed after. A change that
//! comes later is a line on the next one.

use jiff::Timestamp;

use crate::entry::Account;
use crate::ids::{AdvertiserId, AffiliateId, StatementId};
use crate::money::{Amount, Currency};

/// Whom a statement is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Party {
    /// Who is owed payouts.
    Affiliate(AffiliateId),
    /// Who owes revenue.
    Advertiser(AdvertiserId),
}

impl Party {
    /// Its account.
    pub fn account(self) -> Account {
        match self {
            Self::Affiliate(_) => Account::AffiliatePayable,
            Self::Advertiser(_) => Account::AdvertiserReceivable,
        }
    }

    /// Its number.
    pub fn id(self) -> u32 {
        match self {
            Self::Affiliate(id) => id.0,
            Self::Advertiser(id) => id.0,
        }
    }

    /// The party of that account and number; none for the network's own.
    pub fn of(account: Account, id: u32) -> Option<Self> {
        match account {
            Account::AffiliatePayable => Some(Self::Affiliate(AffiliateId(id))),
            Account::AdvertiserReceivable => Some(Self::Advertiser(AdvertiserId(id))),
            Account::NetworkMargin => None,
        }
    }

    /// A line's amount as the party reads it: what an affiliate earns and what an advertiser owes is positive.
    pub fn reads(self, amount: Amount) -> Amount {
        match self {
            Self::Affiliate(_) => Amount::ZERO.minus(amount),
            Self::Advertiser(_) => amount,
        }
    }
}

/// A closed statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// Its number.
    pub id: StatementId,
    /// Whom it is for.
    pub party: Party,
    /// The currency of all its lines.
    pub currency: Currency,
    /// Where it begins: where the one before ended; none for the first.
    pub from: Option<Timestamp>,
    /// Where it ends: the first moment no longer in it.
    pub until: Timestamp,
    /// When it was closed.
    pub closed_at: Timestamp,
    /// Who closed it.
    pub actor: String,
    /// How many lines it has.
    pub lines: u64,
    /// Their sum, as the party reads it.
    pub total: Amount,
}

/// What a party is owed, or owes, at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Balance {
    /// Whose.
    pub party: Party,
    /// The currency.
    pub currency: Currency,
    /// The sum of all lines that count by then, as the party reads it.
    pub balance: Amount,
    /// How much of it belongs to conversions that are pending now.
    pub pending: Amount,
    /// How much of it is on closed statements.
    pub stated: Amount,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_reads_what_concerns_it_as_positive() {
        let affiliate = Party::Affiliate(AffiliateId(7));
        let advertiser = Party::Advertiser(AdvertiserId(8));
        let (owed, due): (Amount, Amount) =
            (Amount::ZERO.minus("18".parse().expect("an amount")), "22".parse().expect("an amount"));
        assert_eq!(affiliate.reads(owed).to_string(), "18.00");
        assert_eq!(advertiser.reads(due).to_string(), "22.00");
        for party in [affiliate, advertiser] {
            assert_eq!(Party::of(party.account(), party.id()), Some(party));
        }
        assert_eq!(Party::of(Account::NetworkMargin, 0), None);
    }
}
