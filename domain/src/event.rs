//! Events: the kinds of conversion an advertiser knows beside the default one, which offers take them,
//! and what they are worth there.

use jiff::Timestamp;

use crate::ids::{AdvertiserId, CampaignId, EventId, OfferId};
use crate::network::{DEFAULT_EVENT, PartyStatus};
use crate::pricing::Rate;

/// The longest name of an event, in characters, as in CAKE.
pub const NAME_CHARS_MAX: usize = 50;

crate::network::states! {
    /// What an event means to its advertiser.
    EventType {
        /// A conversion.
        Macro = "macro",
        /// A step on the way to one, or after it.
        Micro = "micro",
    }
}

/// A kind of conversion. The default event of every offer is no such row: its rules are the offer's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its number; never [`DEFAULT_EVENT`].
    pub id: EventId,
    /// Whose it is.
    pub advertiser_id: AdvertiserId,
    /// Its name, unique for its advertiser in any case.
    pub name: String,
    /// What it means.
    pub event_type: EventType,
    /// Only active ones are taken.
    pub status: PartyStatus,
    /// What the affiliate gets, where neither campaign nor offer says anything.
    pub payout: Rate,
    /// What the advertiser owes, where neither campaign nor offer says anything.
    pub revenue: Rate,
    /// Only one conversion for each click, whatever its `unique_id`.
    pub one_per_click: bool,
    /// A click may convert again without a `unique_id`.
    pub allow_duplicates: bool,
    /// When it was created.
    pub created: Timestamp,
}

/// An event switched on for an offer, or for one campaign on it, with prices of its own there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfferEvent {
    /// The offer.
    pub offer_id: OfferId,
    /// The event, of the offer's advertiser.
    pub event_id: EventId,
    /// Only for this campaign; it says nothing about the others.
    pub campaign_id: Option<CampaignId>,
    /// Whether the offer takes it. What a campaign says goes before what its offer says.
    pub is_enabled: bool,
    /// What the affiliate gets here.
    pub payout: Option<Rate>,
    /// What the advertiser owes here.
    pub revenue: Option<Rate>,
}

/// How often an event may happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repeats {
    /// Only one conversion for each click, whatever its `unique_id`.
    pub one_per_click: bool,
    /// A click may convert again without a `unique_id`.
    pub allow_duplicates: bool,
}

/// Whether a text means the default event: by its number or its name, in any case.
pub fn is_default(text: &str) -> bool {
    text.parse() == Ok(DEFAULT_EVENT) || text.eq_ignore_ascii_case(crate::network::DEFAULT_EVENT_NAME)
}
