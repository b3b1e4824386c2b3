//! Deliveries: each is one postback fired by one cause, with its tries. A cause is a booking of a
//! conversion (0 is its recording, then its adjustments), so a delivery's id says what it is, and the same
//! cause can never fire the same postback twice.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::adjustment::Standing;
use crate::ids::{AffiliateId, ConversionId, OfferId, PostbackId};
use crate::postback::Receiver;
use crate::status::ConversionStatus;

/// How much of an answer a try keeps, in bytes.
pub const ANSWER_BYTES_KEPT: usize = 1024;

/// The id of a delivery, for ever the same: receivers can tell a repeat by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeliveryId {
    /// The conversion.
    pub conversion_id: ConversionId,
    /// Which booking of it: 0 for its recording, then its adjustments.
    pub booking: u32,
    /// The postback.
    pub postback_id: PostbackId,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { conversion_id, booking, postback_id } = self;
        write!(f, "{conversion_id}-{booking}-{postback_id}")
    }
}

/// A text that is no delivery's id.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a delivery id: it is three numbers, such as 1042-0-7")]
pub struct NotADeliveryId;

impl FromStr for DeliveryId {
    type Err = NotADeliveryId;

    fn from_str(text: &str) -> Result<Self, NotADeliveryId> {
        let mut numbers = text.split('-');
        let mut next = || numbers.next().filter(|it| it.bytes().all(|b| b.is_ascii_digit()));
        let (conversion_id, booking, postback_id) = (next(), next(), next());
        let read = || {
            Some(Self {
                conversion_id: conversion_id?.parse().ok()?,
                booking: booking?.parse().ok()?,
                postback_id: postback_id?.parse().ok()?,
            })
        };
        read().filter(|_| numbers.next().is_none()).ok_or(NotADeliveryId)
    }
}

crate::network::states! {
    /// Where a delivery stands.
    DeliveryStatus {
        /// It is to be tried, now or later.
        Due = "due",
        /// Its receiver has taken it.
        Delivered = "delivered",
        /// Its tries are used up: it waits for somebody to replay it.
        Held = "held",
        /// Its postback was switched off, or its receiver wants no more.
        Cancelled = "cancelled",
    }
}

crate::network::states! {
    /// What happened to a conversion that somebody is told of.
    DeliveryCause {
        /// It was recorded.
        Recorded = "recorded",
        /// An amount changed, and its status did not.
        Adjusted = "adjusted",
        /// It became pending again.
        Pending = "pending",
        /// It became approved.
        Approved = "approved",
        /// It became rejected.
        Rejected = "rejected",
        /// It became reversed.
        Reversed = "reversed",
        /// It became ignored.
        Ignored = "ignored",
    }
}

impl DeliveryCause {
    /// What it means to come to stand so; `before` is none for what is recorded.
    pub fn of(before: Option<Standing>, after: Standing) -> Self {
        match (before, after.status) {
            (None, _) => Self::Recorded,
            (Some(before), status) if before.status == status => Self::Adjusted,
            (_, ConversionStatus::Pending) => Self::Pending,
            (_, ConversionStatus::Approved) => Self::Approved,
            (_, ConversionStatus::Rejected) => Self::Rejected,
            (_, ConversionStatus::Reversed) => Self::Reversed,
            (_, ConversionStatus::Ignored) => Self::Ignored,
        }
    }
}

/// One postback fired by one cause.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The conversion's offer.
    pub offer_id: OfferId,
    /// The conversion's affiliate.
    pub affiliate_id: AffiliateId,
    /// Whom it goes to, as its URL was when it was caused.
    pub receiver: Receiver,
    /// What caused it.
    pub cause: DeliveryCause,
    /// Where the conversion stood by its cause: what the delivery tells.
    pub standing: Standing,
    /// When it was caused.
    pub caused_at: Timestamp,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// When it is tried next, while it is due.
    pub next_try_at: Timestamp,
    /// How often it has been tried.
    pub tries: u32,
    /// How often it has been tried since it was caused or last replayed.
    pub round: u32,
}

/// What came of calling a receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TryOutcome {
    /// It answered with this status and these first bytes.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The first [`ANSWER_BYTES_KEPT`] bytes, as text.
        answer: String,
    },
    /// There was no answer, and why, by its code and in words.
    Failed {
        /// The code.
        code: String,
        /// In words.
        reason: String,
    },
    /// It was handed to the buyer's browser in the answer of our own pixel.
    HandedOut,
}

/// One request of a delivery. (`try` alone is a word of the language.)
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Try {
    /// When it began.
    pub tried_at: Timestamp,
    /// What was called, its secrets masked.
    pub url: String,
    /// What came of it.
    pub outcome: TryOutcome,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
}

/// Names whose values are secrets, wherever they stand in a parameter's name.
const SECRET_NAMES: &[&str] =
    &["key", "token", "secret", "pass", "pwd", "auth", "sig", "hash", "hmac", "credential", "security"];

/// A URL with the values of parameters that are secrets by their name put out of sight.
pub fn mask(url: &str) -> String {
    let Some((before, rest)) = url.split_once('?') else { return url.to_owned() };
    let (query, fragment) = rest.split_once('#').map_or((rest, None), |(query, it)| (query, Some(it)));
    // Old receivers separate by semicolons too.
    let masked = query.split_inclusive(['&', ';']).map(|piece| {
        let pair = piece.trim_end_matches(['&', ';']);
        match pair.split_once('=') {
            Some((name, value)) if !value.is_empty() && is_secret(name) => {
                format!("{name}=***{}", &piece[pair.len()..])
            }
            _ => piece.to_owned(),
        }
    });
    let query: String = masked.collect();
    fragment.map_or_else(|| format!("{before}?{query}"), |it| format!("{before}?{query}#{it}"))
}

/// Whether a parameter of this name is a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase();
    SECRET_NAMES.iter().any(|it| name.contains(it))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::adjustment::Worth;

    #[test]
    fn what_is_no_delivery_id_is_refused() {
        for text in [
            "",
            "1042",
            "1042-0",
            "1042-0-7-1",
            "1042--7",
            "-1042-0-7",
            "1042-0-7-",
            "1042-0-+7",
            "+1042-0-7",
            " 1042-0-7",
            "1042-0-7\n",
            "1042-0-x",
            "1042-0-٧",
            "18446744073709551616-0-7",
            "1042-4294967296-7",
            "1042-0-4294967296",
        ] {
            assert_eq!(text.parse::<DeliveryId>(), Err(NotADeliveryId), "{text:?}");
        }
    }

    #[test]
    fn what_happened_is_told_from_before_and_after() {
        use ConversionStatus::{Approved, Ignored, Pending, Rejected, Reversed};
        let at = |status| Standing { status, price: Worth::NOTHING };
        for status in ConversionStatus::ALL {
            assert_eq!(DeliveryCause::of(None, at(status)), DeliveryCause::Recorded);
            assert_eq!(DeliveryCause::of(Some(at(status)), at(status)), DeliveryCause::Adjusted);
        }
        for (after, cause) in [
            (Pending, DeliveryCause::Pending),
            (Rejected, DeliveryCause::Rejected),
            (Reversed, DeliveryCause::Reversed),
            (Ignored, DeliveryCause::Ignored),
        ] {
            assert_eq!(DeliveryCause::of(Some(at(Approved)), at(after)), cause);
        }
        assert_eq!(DeliveryCause::of(Some(at(Pending)), at(Approved)), DeliveryCause::Approved);
    }

    #[test]
    fn secrets_are_masked_by_their_names_and_the_rest_stays() {
        for (url, masked) in [
            ("https://x.example/in", "https://x.example/in"),
            ("https://x.example/in?", "https://x.example/in?"),
            ("https://x.example/?c=1&Api_Key=s3cret&d", "https://x.example/?c=1&Api_Key=***&d"),
            ("https://x.example/?token={click_id}#top", "https://x.example/?token=***#top"),
            ("https://x.example/?access-token=a=b", "https://x.example/?access-token=***"),
            ("https://x.example/?key=&key", "https://x.example/?key=&key"),
            ("https://x.example/?c=1;pass=s3cret;d=2", "https://x.example/?c=1;pass=***;d=2"),
            ("https://x.example/?%6Bey=s3cret", "https://x.example/?%6Bey=***"),
            ("https://x.example/?signature=s3cret&hmac=1", "https://x.example/?signature=***&hmac=***"),
            ("https://x.example/?click_id=1&payout=2", "https://x.example/?click_id=1&payout=2"),
        ] {
            assert_eq!(mask(url), masked);
        }
    }

    proptest! {
        #[test]
        fn an_id_is_read_back_as_it_was(conversion_id: u64, booking: u32, postback_id: u32) {
            let id = DeliveryId {
                conversion_id: ConversionId(conversion_id),
                booking,
                postback_id: PostbackId(postback_id),
            };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn no_text_makes_the_reader_or_the_mask_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<DeliveryId>();
            let _ = mask(&text);
        }

        #[test]
        fn no_secret_is_left(secret in "[a-z0-9]{8,20}", before in "[?&a-z0-9=;]{0,20}") {
            let masked = mask(&format!("https://x.example/?{before}&api_key={secret}&x=1#end"));
            prop_assert!(!masked.contains(&format!("={secret}")), "{}", masked);
        }
    }
}
