//! One type per kind of id. Entities are small integers, as the API shows them; a click is a
//! UUIDv7 that carries its time and the node that minted it.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use jiff::Timestamp;
use thiserror::Error;
use uuid::Uuid;

macro_rules! integer_id {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    )+};
}

integer_id! {
    /// An advertiser: who owes the revenue.
    AdvertiserId(u32);
    /// An offer: what is promoted, for one advertiser.
    OfferId(u32);
    /// An affiliate: who sends the visitors and is owed the payout.
    AffiliateId(u32);
    /// A campaign: one affiliate running one offer.
    CampaignId(u32);
    /// A creative: one way an offer is shown; it leads to a landing page.
    CreativeId(u32);
    /// A landing page of an offer that has several.
    LandingPageId(u32);
    /// A targeting rule.
    RuleId(u32);
    /// A cap.
    CapId(u32);
    /// An event: what kind of conversion.
    EventId(u32);
    /// A conversion. Numbers grow in the order of recording and are never used twice.
    ConversionId(u64);
    /// A change of a conversion, its recording among them. Numbers grow in the order of commit and have no gaps.
    ChangeId(u64);
    /// A price rule.
    PriceRuleId(u32);
    /// A batch: what was imported, adjusted or accepted in one go.
    BatchId(u64);
    /// A statement: what a party earned or owes up to a date.
    StatementId(u64);
    /// A reconciliation: an advertiser's file beside our conversions.
    ReconciliationId(u64);
    /// An attempt: one conversion call on record.
    AttemptId(u64);
    /// A postback or a webhook.
    PostbackId(u32);
    /// An API key (its number, not its secret).
    KeyId(u32);
}

/// The number of the node that minted a click id, 0 to 4095: the 12 `rand_a` bits of the UUIDv7.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeNumber(u16);

impl NodeNumber {
    /// The largest node number that fits the 12 bits.
    pub const MAX: u16 = 0xfff;

    /// `None` above [`NodeNumber::MAX`].
    pub fn new(number: u16) -> Option<Self> {
        (number <= Self::MAX).then_some(Self(number))
    }

    /// The bare number.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// A click's id: a UUIDv7, so that ids sort by time. Built as 48 bits of Unix milliseconds, the
/// node number in `rand_a`, then 22 bits that count within the millisecond and 40 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClickId(Uuid);

/// The 40 bits of `random` that an id takes.
pub fn random_bits(random: u64) -> u64 {
    random & RANDOM_MASK
}

/// Why a text is not a click id. It is then simply the id of no click.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a click id")]
pub struct NotAClickId;

const COUNTER_BITS: u32 = 22;
const RANDOM_BITS: u32 = 40;
const RANDOM_MASK: u64 = (1 << RANDOM_BITS) - 1;
const COUNTER_MAX: u32 = (1 << COUNTER_BITS) - 1;
/// 48 bits of milliseconds: the year 10889.
const MILLIS_MAX: i64 = (1 << 48) - 1;

impl ClickId {
    /// The smallest id, below every minted one.
    pub const MIN: Self = Self(Uuid::nil());
    /// The largest id, above every minted one.
    pub const MAX: Self = Self(Uuid::max());

    fn assemble(unix_ms: i64, node: NodeNumber, counter: u32, random: u64) -> Self {
        let millis = u128::from(unix_ms.clamp(0, MILLIS_MAX).unsigned_abs());
        let tail = (u128::from(counter & COUNTER_MAX) << RANDOM_BITS) | u128::from(random_bits(random));
        let bits = (millis << 80) | (0x7 << 76) | (u128::from(node.0) << 64) | (0b10 << 62) | tail;
        Self(Uuid::from_u128(bits))
    }

    /// The lowest id a click at or after `time` can have: the start of an id range.
    pub fn first_at(time: Timestamp) -> Self {
        // A fraction of a millisecond rounds up: a click of an earlier millisecond is earlier.
        let micros = time.as_microsecond().max(0);
        let millis = (micros / 1000) + i64::from(micros % 1000 != 0);
        Self(Uuid::from_u128(u128::from(millis.min(MILLIS_MAX).unsigned_abs()) << 80))
    }

    /// The lowest id above this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(Uuid::from_u128(self.0.as_u128().saturating_add(1)))
    }

    /// The 16 bytes, big endian: they sort as the ids do.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The id with these 16 bytes. Any bytes are an id; most are no click's.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// When the click was recorded, in Unix milliseconds.
    pub fn unix_ms(self) -> i64 {
        i64::try_from(self.0.as_u128() >> 80).expect("48 bits fit an i64")
    }

    /// When the click was recorded, to the millisecond.
    pub fn time(self) -> Timestamp {
        Timestamp::from_millisecond(self.unix_ms()).unwrap_or(Timestamp::MAX)
    }

    /// The node that minted the id.
    pub fn node(self) -> NodeNumber {
        let bits = (self.0.as_u128() >> 64) & u128::from(NodeNumber::MAX);
        NodeNumber(u16::try_from(bits).expect("12 bits fit a u16"))
    }

    /// The 40 random bits.
    pub fn random_bits(self) -> u64 {
        u64::try_from(self.0.as_u128() & u128::from(RANDOM_MASK)).expect("40 bits fit a u64")
    }

    fn counter(self) -> u32 {
        let bits = (self.0.as_u128() >> RANDOM_BITS) & u128::from(COUNTER_MAX);
        u32::try_from(bits).expect("22 bits fit a u32")
    }
}

impl fmt::Display for ClickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ClickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ClickId {
    type Err = NotAClickId;

    /// Reads the hyphenated form, in either case. Everything else is the id of no click.
    fn from_str(text: &str) -> Result<Self, NotAClickId> {
        if text.len() != 36 {
            return Err(NotAClickId);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| NotAClickId)
    }
}

/// Mints one node's click ids: each greater than the one before, whatever the clock does.
#[derive(Clone, Debug)]
pub struct ClickIdMint {
    node: NodeNumber,
    last_ms: i64,
    counter: u32,
}

impl ClickIdMint {
    /// A mint that continues after `last`, the highest id this node has recorded, if any.
    pub fn after(node: NodeNumber, last: Option<ClickId>) -> Self {
        match last {
            Some(id) => Self { node, last_ms: id.unix_ms(), counter: id.counter() },
            None => Self { node, last_ms: -1, counter: 0 },
        }
    }

    /// What the next id is at least; every id minted before is below it.
    pub fn next_floor(&self) -> ClickId {
        self.clone().mint(Timestamp::UNIX_EPOCH, 0)
    }

    /// The next id. Its time is `now`, or that of the id before where the clock went back.
    /// `random` gives the 40 bits that make an id hard to guess.
    pub fn mint(&mut self, now: Timestamp, random: u64) -> ClickId {
        let now_ms = now.as_millisecond();
        if now_ms > self.last_ms {
            self.last_ms = now_ms;
            self.counter = 0;
        } else if self.counter < COUNTER_MAX {
            self.counter += 1;
        } else {
            // Four million clicks in one millisecond: borrow the next one.
            self.last_ms += 1;
            self.counter = 0;
        }
        ClickId::assemble(self.last_ms, self.node, self.counter, random)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(number: u16) -> NodeNumber {
        NodeNumber::new(number).expect("in range")
    }

    #[test]
    fn a_minted_id_is_a_uuid_v7_with_time_and_node_inside() {
        let now = Timestamp::from_millisecond(1_768_470_131_123).expect("in range");
        let id = ClickIdMint::after(node(0xabc), None).mint(now, u64::MAX);
        let uuid = Uuid::from_bytes(id.to_bytes());
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        assert_eq!((id.time(), id.node()), (now, node(0xabc)));
    }

    #[test]
    fn ids_grow_when_the_clock_stands_goes_back_or_the_counter_is_used_up() {
        let mut mint = ClickIdMint::after(node(1), None);
        let mut last = ClickId::MIN;
        for ms in [1000, 1000, 999, 0, 1001, 1001] {
            let id = mint.mint(Timestamp::from_millisecond(ms).expect("in range"), 7);
            assert!(id > last);
            last = id;
        }
        mint.counter = COUNTER_MAX;
        assert!(mint.mint(Timestamp::from_millisecond(5).expect("in range"), 0) > last);
    }

    #[test]
    fn the_floor_lies_between_the_ids_before_and_those_after() {
        let now = Timestamp::from_millisecond(5000).expect("in range");
        for counter in [0, 7, COUNTER_MAX - 1, COUNTER_MAX] {
            let mut mint = ClickIdMint { node: node(1), last_ms: 5000, counter };
            let before = mint.mint(now, u64::MAX);
            let floor = mint.next_floor();
            assert!(before < floor && floor <= mint.mint(now, 0), "{counter}");
        }
    }

    #[test]
    fn a_new_mint_continues_after_the_last_id() {
        let now = Timestamp::from_millisecond(5000).expect("in range");
        let last = ClickIdMint::after(node(1), None).mint(now, u64::MAX);
        let next = ClickIdMint::after(node(1), Some(last)).mint(now, 0);
        assert!(next > last);
    }

    #[test]
    fn text_that_is_no_uuid_is_no_click_id() {
        for text in
            ["", "abc123xyz789", "a1b2c3d4e5f67890abcdef1234567890", "{a1b2c3d4-e5f6-7890-abcd-ef1234567890}"]
        {
            assert_eq!(text.parse::<ClickId>(), Err(NotAClickId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn click_ids_round_trip_as_text_and_bytes(bits: u128) {
            let id = ClickId::from_bytes(bits.to_be_bytes());
            prop_assert_eq!(id.to_string().parse::<ClickId>(), Ok(id));
            prop_assert_eq!(ClickId::from_bytes(id.to_bytes()), id);
        }

        #[test]
        fn an_id_lies_in_the_range_that_begins_at_its_time(ms in 0i64..4_102_444_800_000, random: u64) {
            let time = Timestamp::from_millisecond(ms).expect("in range");
            let id = ClickIdMint::after(node(4095), None).mint(time, random);
            prop_assert!(ClickId::first_at(time) <= id);
            let later = Timestamp::from_microsecond(ms * 1000 + 1).expect("in range");
            prop_assert!(id < ClickId::first_at(later));
        }
    }
}
