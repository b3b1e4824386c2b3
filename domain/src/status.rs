//! The five states of a conversion.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Where a conversion stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ConversionStatus {
    /// Recorded, awaiting approval.
    Pending,
    /// Accepted: it pays.
    Approved,
    /// Refused by the advertiser: it pays nobody.
    Rejected,
    /// Was approved, later taken back.
    Reversed,
    /// Recorded, never payable.
    Ignored,
}

/// A text that names no status.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a status: use pending, approved, rejected, reversed (returned) or ignored (scrubbed)")]
pub struct UnknownStatus;

impl ConversionStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Rejected, Self::Reversed, Self::Ignored];

    /// Its name in the API and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Reversed => "reversed",
            Self::Ignored => "ignored",
        }
    }

    /// What it may become when somebody changes it. `ignored` stays: it was never payable.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Pending => &[Self::Approved, Self::Rejected, Self::Ignored],
            Self::Approved => &[Self::Pending, Self::Rejected, Self::Reversed],
            Self::Rejected | Self::Reversed => &[Self::Pending, Self::Approved],
            Self::Ignored => &[],
        }
    }

    /// By which changes it becomes `to`: by one where it may, else past another status; none where there is no
    /// such way, and no changes where it is that already.
    pub fn way_to(self, to: Self) -> Option<Vec<Self>> {
        if self == to {
            Some(Vec::new())
        } else if self.may_become(to) {
            Some(vec![to])
        } else {
            self.next().iter().find(|between| between.may_become(to)).map(|between| vec![*between, to])
        }
    }

    /// The words of other trackers and of advertisers' files, beside the names.
    const WORDS: [(Self, &[&str]); 5] = [
        (
            Self::Pending,
            &[
                "hold",
                "on hold",
                "open",
                "new",
                "waiting",
                "unconfirmed",
                "processing",
                "in review",
                "tracked",
            ],
        ),
        (
            Self::Approved,
            &[
                "paid",
                "payable",
                "confirmed",
                "valid",
                "validated",
                "accepted",
                "completed",
                "closed",
                "invoiced",
            ],
        ),
        (
            Self::Rejected,
            &[
                "declined",
                "denied",
                "cancelled",
                "canceled",
                "invalid",
                "void",
                "voided",
                "disapproved",
                "failed",
            ],
        ),
        (
            Self::Reversed,
            &["reversal", "return", "refunded", "refund", "charged back", "chargeback", "clawed back"],
        ),
        (Self::Ignored, &["duplicate", "scrub", "test"]),
    ];

    /// Reads a name, or the word of another tracker or of an advertiser's file, in any case, with `_` or `-` for
    /// a space: `hold`, `paid`, `declined`, `refunded`, `scrubbed`, `duplicate`.
    pub fn of_word(word: &str) -> Result<Self, UnknownStatus> {
        let word = word.trim().to_ascii_lowercase().replace(['_', '-'], " ");
        let known = Self::WORDS.iter().find(|(_, words)| words.contains(&&*word));
        known.map_or_else(|| word.parse(), |(status, _)| Ok(*status))
    }

    /// Whether it may become `to` when somebody changes it.
    pub fn may_become(self, to: Self) -> bool {
        self.next().contains(&to)
    }

    /// Whether the conversion is worth its price in this state; otherwise it is worth nothing.
    pub fn pays(self) -> bool {
        matches!(self, Self::Pending | Self::Approved)
    }
}

impl fmt::Display for ConversionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ConversionStatus {
    type Err = UnknownStatus;

    /// Reads a name, or CAKE's other word for it: `returned`, `scrubbed`.
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        match text {
            "returned" => Ok(Self::Reversed),
            "scrubbed" => Ok(Self::Ignored),
            _ => Self::ALL.into_iter().find(|it| it.name() == text).ok_or(UnknownStatus),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_round_trips_and_cakes_words_are_known() {
        for status in ConversionStatus::ALL {
            assert_eq!(status.name().parse(), Ok(status));
        }
        assert_eq!("returned".parse(), Ok(ConversionStatus::Reversed));
        assert_eq!("scrubbed".parse(), Ok(ConversionStatus::Ignored));
        assert_eq!("paid".parse::<ConversionStatus>(), Err(UnknownStatus));
    }

    #[test]
    fn words_of_others_mean_a_status_in_any_case() {
        use ConversionStatus::{Approved, Ignored, Pending, Rejected, Reversed};
        for (word, expected) in [
            ("hold", Ok(Pending)),
            (" Paid ", Ok(Approved)),
            ("SCRUBBED", Ok(Ignored)),
            ("duplicate", Ok(Ignored)),
            ("returned", Ok(Reversed)),
            ("rejected", Ok(Rejected)),
            ("Declined", Ok(Rejected)),
            ("cancelled", Ok(Rejected)),
            ("confirmed", Ok(Approved)),
            ("VALID", Ok(Approved)),
            ("open", Ok(Pending)),
            ("on-hold", Ok(Pending)),
            ("refunded", Ok(Reversed)),
            ("charged_back", Ok(Reversed)),
            ("perhaps", Err(UnknownStatus)),
            ("", Err(UnknownStatus)),
        ] {
            assert_eq!(ConversionStatus::of_word(word), expected, "{word}");
        }
    }

    #[test]
    fn no_word_means_two_statuses() {
        let words: Vec<_> = ConversionStatus::WORDS.iter().flat_map(|it| it.1).collect();
        for (place, word) in words.iter().enumerate() {
            assert!(!words[..place].contains(word) && word.parse::<ConversionStatus>().is_err(), "{word}");
        }
    }

    #[test]
    fn a_way_to_a_status_goes_only_by_changes_that_are_allowed() {
        for from in ConversionStatus::ALL {
            for to in ConversionStatus::ALL {
                let Some(way) = from.way_to(to) else {
                    assert_eq!(from, ConversionStatus::Ignored, "{from} leads to {to}");
                    continue;
                };
                let mut at = from;
                for step in way {
                    assert!(at.may_become(step), "{at} to {step}");
                    at = step;
                }
                assert_eq!(at, to);
            }
        }
    }

    #[test]
    fn a_status_follows_another_only_as_the_table_says() {
        use ConversionStatus::{Approved, Ignored, Pending, Rejected, Reversed};
        let allowed = [
            (Pending, Approved),
            (Pending, Rejected),
            (Pending, Ignored),
            (Approved, Pending),
            (Approved, Rejected),
            (Approved, Reversed),
            (Rejected, Pending),
            (Rejected, Approved),
            (Reversed, Pending),
            (Reversed, Approved),
        ];
        for from in ConversionStatus::ALL {
            for to in ConversionStatus::ALL {
                assert_eq!(from.may_become(to), allowed.contains(&(from, to)), "{from} to {to}");
            }
        }
    }
}
