//! What can be asked of the recorded conversions: which, in which order, from where on.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use thiserror::Error;

use crate::conversion::Conversion;
use crate::ids::{AdvertiserId, AffiliateId, ConversionId, OfferId};
use crate::money::Currency;
use crate::report::{Clock, Filter};
use crate::status::ConversionStatus;

/// Which conversions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConversionFilter {
    /// Which of their times `from` and `until` mean.
    pub clock: Clock,
    /// At or after this.
    pub from: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
    /// On this offer.
    pub offer_id: Option<OfferId>,
    /// Of this affiliate.
    pub affiliate_id: Option<AffiliateId>,
    /// Owed by this advertiser.
    pub advertiser_id: Option<AdvertiserId>,
    /// In one of these states; empty means any.
    pub statuses: Vec<ConversionStatus>,
    /// Recorded or changed at or after this.
    pub updated_since: Option<Timestamp>,
    /// All of these must admit it.
    pub attributes: Vec<Filter>,
    /// Of this currency.
    pub currency: Option<Currency>,
}

/// What conversions are sorted by; ties by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ConversionSort {
    /// When it happened.
    #[default]
    ConversionDate,
    /// Its number.
    ConversionId,
    /// What the affiliate gets now.
    Payout,
    /// What the advertiser owes now.
    Revenue,
    /// Where it stands, by name.
    ConversionStatus,
    /// The offer's number.
    OfferId,
    /// The affiliate's number.
    AffiliateId,
    /// When the click was.
    ClickDate,
    /// When it last changed.
    LastUpdated,
}

/// A text that names no sort field.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "not a sort field: use conversion_date, conversion_id, payout, revenue, conversion_status, \
     offer_id, affiliate_id, click_date or last_updated"
)]
pub struct UnknownSort;

impl ConversionSort {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::ConversionDate,
        Self::ConversionId,
        Self::Payout,
        Self::Revenue,
        Self::ConversionStatus,
        Self::OfferId,
        Self::AffiliateId,
        Self::ClickDate,
        Self::LastUpdated,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConversionDate => "conversion_date",
            Self::ConversionId => "conversion_id",
            Self::Payout => "payout",
            Self::Revenue => "revenue",
            Self::ConversionStatus => "conversion_status",
            Self::OfferId => "offer_id",
            Self::AffiliateId => "affiliate_id",
            Self::ClickDate => "click_date",
            Self::LastUpdated => "last_updated",
        }
    }
}

impl FromStr for ConversionSort {
    type Err = UnknownSort;

    fn from_str(text: &str) -> Result<Self, UnknownSort> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or(UnknownSort)
    }
}

/// Where a sorted value stands, in a form that both databases order alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SortKey {
    /// A number, a time in microseconds, or an amount in millionths.
    Integer(i64),
    /// A status name.
    Text(String),
}

/// Where a page begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// After this many matches.
    Row(u64),
    /// After this conversion, which sorted under this key: stable while rows are added.
    After(SortKey, ConversionId),
}

/// A question about conversions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConversionQuery {
    /// Which.
    pub filter: ConversionFilter,
    /// In which order.
    pub sort: ConversionSort,
    /// The other way round.
    pub descending: bool,
    /// From where on.
    pub start: Start,
    /// How many at most.
    pub limit: u32,
}

/// A page of conversions, and how many match in all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConversionPage {
    /// All matches, before paging.
    pub total: u64,
    /// The page's conversions.
    pub conversions: Vec<Conversion>,
    /// Whether more follow.
    pub more: bool,
}

impl ConversionSort {
    /// The key `conversion` sorts under.
    pub fn key(self, conversion: &Conversion) -> SortKey {
        match self {
            Self::ConversionDate => SortKey::Integer(conversion.conversion_date.as_microsecond()),
            Self::ConversionId => SortKey::Integer(i64::try_from(conversion.id.0).unwrap_or(i64::MAX)),
            Self::Payout => SortKey::Integer(conversion.payout().micros()),
            Self::Revenue => SortKey::Integer(conversion.revenue().micros()),
            Self::ConversionStatus => SortKey::Text(conversion.standing.status.name().to_owned()),
            Self::OfferId => SortKey::Integer(i64::from(conversion.offer_id.0)),
            Self::AffiliateId => SortKey::Integer(i64::from(conversion.affiliate_id.0)),
            Self::ClickDate => SortKey::Integer(conversion.click_id.time().as_microsecond()),
            Self::LastUpdated => SortKey::Integer(conversion.last_updated.as_microsecond()),
        }
    }
}

impl fmt::Display for ConversionSort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_field_round_trips() {
        for sort in ConversionSort::ALL {
            assert_eq!(sort.to_string().parse(), Ok(sort));
        }
        assert_eq!("price".parse::<ConversionSort>(), Err(UnknownSort));
    }
}
