//! What is on record about the conversions of an advertiser, for whoever compares a list of theirs with ours.

use domain::ids::{AdvertiserId, CapId, ClickId, ConversionId};
use domain::money::{Amount, Currency};
use domain::status::ConversionStatus;
use jiff::Timestamp;

use crate::{Attempt, LedgerError};

/// A conversion, as far as it is compared with what an advertiser says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownConversion {
    /// Its number.
    pub id: ConversionId,
    /// Who owes for it.
    pub advertiser_id: AdvertiserId,
    /// The advertiser's transaction id, or empty.
    pub unique_id: String,
    /// The advertiser's order reference, or empty.
    pub order_id: String,
    /// Its click.
    pub click_id: ClickId,
    /// What it is worth to the advertiser now.
    pub revenue: Amount,
    /// The currency.
    pub currency: Currency,
    /// How it stands.
    pub status: ConversionStatus,
    /// The cap that has left something out.
    pub cap_id: Option<CapId>,
    /// When it happened.
    pub conversion_date: Timestamp,
    /// How many adjustments it has had.
    pub adjustments: u32,
}

/// What a row that is missing here is looked for by; a text is empty where it has none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lookup {
    /// Our number of the conversion.
    pub conversion_id: Option<ConversionId>,
    /// The advertiser's transaction id.
    pub unique_id: String,
    /// The advertiser's order reference.
    pub order_id: String,
    /// The click.
    pub click_id: Option<ClickId>,
    /// The click, as it was sent.
    pub click_text: String,
}

/// What is like a row that is missing here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Likeness {
    /// Conversions with one of its keys, the strongest key first.
    pub conversions: Vec<KnownConversion>,
    /// The last refused attempt with its transaction, else with its click.
    pub refused: Option<Attempt>,
}

/// Evidence.
pub trait EvidenceBook {
    /// The conversions of an advertiser that happened at or after `from` and before `until`, by date and
    /// number, from after that one on, `limit` at most.
    fn list_conversions_of(
        &self,
        advertiser_id: AdvertiserId,
        from: Timestamp,
        until: Timestamp,
        after: Option<(Timestamp, ConversionId)>,
        limit: u32,
    ) -> Result<Vec<KnownConversion>, LedgerError>;

    /// For each of these rows what is like it, whosever it is and whenever it happened.
    fn find_like(&self, lookups: &[Lookup]) -> Result<Vec<Likeness>, LedgerError>;
}
