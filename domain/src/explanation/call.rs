//! What became of a conversion call.

use super::Meaning;

/// What an attempt's outcome means; `reason` is what is kept beside it.
pub fn of_outcome(outcome: &str, reason: &str) -> Meaning {
    let (what, remedy) = match outcome {
        "recorded" => ("it was recorded", ""),
        "repeated" => ("it repeats a call that was recorded; the first stands", ""),
        "repeated_with_conflict" => (
            "it repeats a call that was recorded, with other amounts; the first stands",
            "If the new amounts are right, change the conversion (update_conversion.json).",
        ),
        "missing_parameter" => ("a parameter is missing", "Have the caller send what the reason names."),
        "invalid_parameter" if reason.is_empty() => (
            "the offer does not take its event, or its price is too large to be recorded",
            "Switch the event on for the offer (offer_event.json), or have the caller name another one.",
        ),
        "invalid_parameter" => {
            ("a parameter cannot be used", "Have the caller correct what the reason names.")
        }
        "not_permitted" => (
            "its key, or the address it came from, may not record it",
            "Give the caller a key for this offer; one that states payouts needs --may-override.",
        ),
        "click_not_found" => (
            "it names no click that is known here",
            "Have the caller send back the value of {click_id} in the offer's URL, unchanged.",
        ),
        "offer_not_found" => {
            ("it names an offer that does not exist", "Have the caller send the number of the click's offer.")
        }
        "offer_mismatch" => (
            "it names another offer than the click was on",
            "Have the caller send the number of the click's offer, or none where p.ashx is called.",
        ),
        "offer_not_active" => {
            ("the offer, or its advertiser, was not active", "Activate both, and have the call made again.")
        }
        "affiliate_not_active" => {
            ("the affiliate was not active", "Activate the affiliate, and have the call made again.")
        }
        "click_not_accepted" => (
            "the click never reached the offer",
            "Look at why the click was sent elsewhere: its disposition says so.",
        ),
        "click_expired" => (
            "the click was older than the offer's session",
            "Raise the offer's session_hours if conversions may come so late.",
        ),
        "duplicate_conversion" => (
            "the transaction, or the click, has converted already",
            "Nothing, if it is the same sale; else have the caller send a unique_id of its own for each sale.",
        ),
        "conversion_too_soon" => (
            "it came sooner after the click than the offer allows",
            "Look at the traffic; lower the offer's minimum if it is honest.",
        ),
        "conversion_too_late" => (
            "it came later after the click than the offer allows",
            "Raise the offer's maximum if conversions may come so late.",
        ),
        "suppressed" => (
            "a suppression list names it",
            "Nothing, if that is meant; else take the value off the list (suppression.json).",
        ),
        "amount_required" => (
            "it has no amount, and the price is a percentage of it",
            "Have the caller send the sale's total as amount.",
        ),
        "cap_reached" => {
            ("a cap was used up, and refuses", "Raise the cap, or wait until its interval begins anew.")
        }
        other => return Meaning::new(format!("it was refused ({other})"), ""),
    };
    Meaning::new(what, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversion::Refusal;
    use crate::conversion_request::BadParameter;
    use crate::ids::{CapId, ConversionId};

    #[test]
    fn every_refusal_is_told_with_what_to_do() {
        let refusals = [
            Refusal::ClickNotFound,
            Refusal::OfferNotFound,
            Refusal::OfferMismatch,
            Refusal::UnknownEvent,
            Refusal::OfferNotActive,
            Refusal::AffiliateNotActive,
            Refusal::ClickNotAccepted,
            Refusal::ClickExpired,
            Refusal::DuplicateConversion(ConversionId(1)),
            Refusal::TooSoon,
            Refusal::TooLate,
            Refusal::Suppressed,
            Refusal::AmountRequired,
            Refusal::PriceTooLarge,
            Refusal::CapReached(CapId(1)),
        ];
        let bad = [BadParameter::missing("o"), BadParameter::invalid("o", "not a number")];
        let codes = refusals.into_iter().map(Refusal::code).chain(bad.iter().map(BadParameter::code));
        for code in codes.chain(["not_permitted"]) {
            let Meaning { what, remedy } = of_outcome(code, "");
            assert!(!what.contains(code) && !remedy.is_empty(), "{code}: {what}");
        }
    }

    #[test]
    fn what_was_recorded_needs_nothing_done() {
        for code in ["recorded", "repeated"] {
            assert_eq!(of_outcome(code, "").remedy, "", "{code}");
        }
        assert_eq!(of_outcome("of_a_later_release", "").what, "it was refused (of_a_later_release)");
        assert_ne!(of_outcome("invalid_parameter", "p: x"), of_outcome("invalid_parameter", ""));
    }
}
