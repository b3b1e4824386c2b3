//! Why a row of a reconciliation is what it is, as far as the evidence goes: a stable code and a sentence.

use std::fmt;

use crate::ids::{AdvertiserId, CapId, ConversionId};
use crate::money::{Amount, Currency};
use crate::status::ConversionStatus;

/// Why a row is what it is. Dates are as they are shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The amounts differ by so much, which is tolerated.
    WithinTolerance(Amount),
    /// The conversion is dated outside the range, by no more than is tolerated.
    Nearby {
        /// Its date here.
        date: String,
    },
    /// Both pay nobody, in different words.
    NeitherPays(ConversionStatus),
    /// They do not have it, and it pays nobody here.
    PaysNobody(ConversionStatus),
    /// They do not have it.
    NotInFile,
    /// They have it in another line too.
    SameAs {
        /// The other line.
        line: u64,
    },
    /// No click has that id.
    NoSuchClick,
    /// It cannot be the id of a click.
    MalformedClickId,
    /// It names neither a conversion by number, nor anything else.
    MalformedConversionId,
    /// There is no conversion of that number.
    NoSuchConversion,
    /// The click never reached an offer of the advertiser.
    ClickNotAccepted {
        /// Why it was sent elsewhere.
        disposition: &'static str,
    },
    /// The click is there, older than its offer's session at that date.
    ClickExpired,
    /// The click is there, and nobody has reported a conversion of it.
    NeverReported,
    /// Nothing here has that transaction or order.
    NotKnown,
    /// It was reported and refused.
    AttemptRefused {
        /// The code of the refusal.
        code: String,
        /// Why, in words, where the record says more.
        reason: String,
        /// When it came.
        date: String,
    },
    /// It is another advertiser's.
    OtherAdvertiser(AdvertiserId),
    /// There are so many missing rows that this one was not looked into.
    NotLookedInto,
    /// The conversion has another day here than in their time zone.
    OtherZoneDay {
        /// Its date here.
        here: String,
        /// The same moment in their time zone.
        there: String,
    },
    /// The conversion is dated outside the range here.
    DatedElsewhere {
        /// Its date here.
        here: String,
    },
    /// Their own date is outside the range.
    TheirDate {
        /// Their date.
        date: String,
    },
    /// The amounts.
    Amounts {
        /// Theirs.
        theirs: Amount,
        /// Ours.
        ours: Amount,
    },
    /// The conversion pays nobody here.
    Unpaid {
        /// How it stands.
        status: ConversionStatus,
        /// The cap that was used up.
        cap_id: Option<CapId>,
    },
    /// The statuses.
    Statuses {
        /// Theirs.
        theirs: ConversionStatus,
        /// Ours.
        ours: ConversionStatus,
    },
    /// The currencies.
    Currencies {
        /// Theirs.
        theirs: Currency,
        /// Ours.
        ours: Currency,
    },
    /// Another line of theirs names a conversion that this one names too.
    SameConversion(ConversionId),
    /// It cannot be read, in words.
    Unreadable(String),
}

impl Reason {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WithinTolerance(_) => "within_tolerance",
            Self::Nearby { .. } => "nearby",
            Self::NeitherPays(_) => "neither_pays",
            Self::PaysNobody(_) => "pays_nobody",
            Self::NotInFile => "not_in_file",
            Self::SameAs { .. } => "same_as_line",
            Self::NoSuchClick => "click_not_found",
            Self::MalformedClickId => "malformed_click_id",
            Self::MalformedConversionId => "malformed_conversion_id",
            Self::NoSuchConversion => "conversion_not_found",
            Self::ClickNotAccepted { .. } => "click_not_accepted",
            Self::ClickExpired => "click_expired",
            Self::NeverReported => "never_reported",
            Self::NotKnown => "not_known",
            Self::AttemptRefused { .. } => "attempt_refused",
            Self::OtherAdvertiser(_) => "other_advertiser",
            Self::NotLookedInto => "not_looked_into",
            Self::OtherZoneDay { .. } => "other_zone_day",
            Self::DatedElsewhere { .. } => "dated_elsewhere",
            Self::TheirDate { .. } => "their_date",
            Self::Amounts { .. } => "amounts",
            Self::Unpaid { cap_id: Some(_), .. } => "capped",
            Self::Unpaid { status, .. } => status.name(),
            Self::Statuses { .. } => "statuses",
            Self::Currencies { .. } => "currencies",
            Self::SameConversion(_) => "same_conversion",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithinTolerance(amount) => write!(f, "the amounts differ by {amount}, which is tolerated"),
            Self::Nearby { date } => {
                write!(f, "it is dated {date} here, outside the range by no more than is tolerated")
            }
            Self::NeitherPays(ours) => write!(f, "it pays nobody on either side; here it is {ours}"),
            Self::PaysNobody(status) => write!(f, "it is {status} here, and they do not have it"),
            Self::NotInFile => f.write_str("their file does not have it"),
            Self::SameAs { line } => write!(f, "line {line} says the same"),
            Self::NoSuchClick => f.write_str("no click has that id"),
            Self::MalformedClickId => f.write_str("it names its click by what cannot be a click id"),
            Self::MalformedConversionId => f.write_str("it names its conversion by what is no number"),
            Self::NoSuchConversion => f.write_str("no conversion of this advertiser has that number"),
            Self::ClickNotAccepted { disposition } => {
                write!(f, "its click was sent elsewhere ({disposition}) and never reached the advertiser")
            }
            Self::ClickExpired => f.write_str("its click was older than the offer's session by then"),
            Self::NeverReported => {
                f.write_str("its click is there, and nobody has reported a conversion of it")
            }
            Self::NotKnown => {
                f.write_str("no conversion and no attempt at one has that transaction or order")
            }
            Self::AttemptRefused { code, reason, date } if reason.is_empty() => {
                write!(f, "it was reported on {date} and refused: {code}")
            }
            Self::AttemptRefused { code, reason, date } => {
                write!(f, "it was reported on {date} and refused: {code}: {reason}")
            }
            Self::OtherAdvertiser(id) => write!(f, "here it is advertiser {id}'s"),
            Self::NotLookedInto => {
                f.write_str("too many rows are missing to look into each; this one was not")
            }
            Self::OtherZoneDay { here, there } => {
                write!(f, "it is dated {here} here, outside the range, which is {there} in their time zone")
            }
            Self::DatedElsewhere { here } => write!(f, "it is dated {here} here, outside the range"),
            Self::TheirDate { date } => write!(f, "they date it {date}, outside the range"),
            Self::Amounts { theirs, ours } => write!(f, "they have {theirs}, and here it is {ours}"),
            Self::Unpaid { status, cap_id: Some(id) } => {
                write!(f, "here it is {status}: cap {id} was used up")
            }
            Self::Unpaid { status, cap_id: None } => write!(f, "here it is {status}"),
            Self::Statuses { theirs, ours } => write!(f, "they have it {theirs}, and here it is {ours}"),
            Self::Currencies { theirs, ours } => {
                write!(f, "they have it in {theirs}, and here it is in {ours}")
            }
            Self::SameConversion(id) => write!(f, "another line means conversion {id} too"),
            Self::Unreadable(problem) => f.write_str(problem),
        }
    }
}

/// Why two sides with different amounts or statuses differ: that it pays nobody here says more than the
/// numbers do.
pub fn of_difference(
    amounts: Option<(Amount, Amount)>,
    theirs: Option<ConversionStatus>,
    ours: ConversionStatus,
    cap_id: Option<CapId>,
) -> Reason {
    match (amounts, theirs) {
        _ if !ours.pays() => Reason::Unpaid { status: ours, cap_id },
        (None, Some(theirs)) => Reason::Statuses { theirs, ours },
        (Some((theirs, ours)), _) => Reason::Amounts { theirs, ours },
        (None, None) => Reason::Unpaid { status: ours, cap_id },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConversionStatus::{Approved, Ignored, Pending, Rejected};

    #[test]
    fn a_difference_is_told_by_what_says_most() {
        let amount = |text: &str| -> Amount { text.parse().expect("an amount") };
        let amounts = Some((amount("22"), amount("18.5")));
        let check = |amounts, theirs, ours, cap_id, code: &str, text: &str| {
            let reason = of_difference(amounts, theirs, ours, cap_id);
            assert_eq!((reason.code(), &*reason.to_string()), (code, text));
        };
        check(amounts, None, Approved, None, "amounts", "they have 22.00, and here it is 18.50");
        check(amounts, None, Rejected, None, "rejected", "here it is rejected");
        let text = "here it is ignored: cap 7 was used up";
        check(None, Some(Approved), Ignored, Some(CapId(7)), "capped", text);
        check(
            None,
            Some(Approved),
            Pending,
            None,
            "statuses",
            "they have it approved, and here it is pending",
        );
    }

    #[test]
    fn an_attempt_says_as_much_as_its_record() {
        let attempt = |reason: &str| Reason::AttemptRefused {
            code: "click_expired".into(),
            reason: reason.into(),
            date: "2026-06-19 14:30:00".into(),
        };
        let text = "it was reported on 2026-06-19 14:30:00 and refused: click_expired";
        assert_eq!(attempt("").to_string(), text);
        assert_eq!(attempt("too old").to_string(), format!("{text}: too old"));
    }
}
