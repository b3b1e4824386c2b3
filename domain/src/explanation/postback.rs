//! Where a postback's delivery stands, and why a postback did not fire.

use super::Meaning;
use crate::conversion::Conversion;
use crate::delivery::{DeliveryStatus, Try, TryOutcome};
use crate::postback::{Obstacle, Postback};

/// How often a delivery has been tried.
pub type TryCount = usize;

/// Where a delivery stands. `last` is its last try; `is_late` whether its time has come and nobody has tried it.
pub fn of_delivery(status: DeliveryStatus, tries: TryCount, last: Option<&Try>, is_late: bool) -> Meaning {
    let which = if tries == 1 { "it" } else { "the last" };
    let came_to = last.map(|it| format!("; {which} {}", of_try(it))).unwrap_or_default();
    let after = match tries {
        0 => "before any try".to_owned(),
        1 => format!("after 1 try{came_to}"),
        many => format!("after {many} tries{came_to}"),
    };
    match status {
        DeliveryStatus::Delivered => Meaning::new(format!("it was delivered {after}"), ""),
        DeliveryStatus::Held => Meaning::new(
            format!("it is held {after}"),
            "Mend the receiver or the postback's URL, then have it made again (crumb replay).",
        ),
        DeliveryStatus::Cancelled => Meaning::new(
            format!(
                "it was cancelled {after}; its postback was switched off, or its receiver wants no more (410)"
            ),
            "Activate the postback, then have it made again (crumb replay) if it is still wanted.",
        ),
        DeliveryStatus::Due if is_late => Meaning::new(
            format!(
                "it is due {after}, and its receiver is being left alone or called as often as it may be"
            ),
            "Wait; where that lasts, look at the receiver, and at its calls_per_second.",
        ),
        DeliveryStatus::Due if tries > 0 => {
            Meaning::new(format!("it is tried again {after}"), "Look at what the receiver answered.")
        }
        DeliveryStatus::Due => Meaning::new("it waits for its time", ""),
    }
}

/// What came of a try.
pub fn of_try(it: &Try) -> String {
    match &it.outcome {
        TryOutcome::Answered { status, .. } => format!("was answered with {status}"),
        TryOutcome::Failed { code, reason } if reason.is_empty() => format!("had no answer ({code})"),
        TryOutcome::Failed { code, reason } => format!("had no answer ({code}: {reason})"),
        TryOutcome::HandedOut => "was handed to the buyer's browser".to_owned(),
    }
}

/// Why a postback, as it is now, did not fire for a conversion; none: it would fire now.
pub fn of_obstacle(obstacle: Option<Obstacle>, postback: &Postback, conversion: &Conversion) -> String {
    let number = |id: Option<u32>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
    match obstacle {
        Some(Obstacle::Inactive) => "it is inactive".to_owned(),
        Some(Obstacle::OtherOffer) => format!(
            "it is for offer {}, and the conversion is on offer {}",
            number(postback.offer_id.map(|it| it.0)),
            conversion.offer_id
        ),
        Some(Obstacle::OtherCampaign) => format!(
            "it is for campaign {}, and the conversion's is {}",
            number(postback.campaign_id.map(|it| it.0)),
            number(conversion.campaign_id.map(|it| it.0))
        ),
        Some(Obstacle::OtherEvent) => format!(
            "it is for event {}, and the conversion is of event {}",
            number(postback.event_id.map(|it| it.0)),
            conversion.event_id
        ),
        Some(Obstacle::OtherCause) => {
            format!("it fires on {}, and that has not happened", postback.fire_on.name())
        }
        Some(Obstacle::NoBrowser) => {
            format!(
                "a browser carries it ({}), and none waited for the answer",
                postback.postback_type.name()
            )
        }
        Some(Obstacle::OtherStatus) => {
            let wanted: Vec<_> = postback.conditions.statuses.iter().map(|it| it.name()).collect();
            format!("it is only for conversions that are {}", wanted.join(" or "))
        }
        Some(Obstacle::PayoutTooLow) => {
            let min = postback.conditions.min_payout.map(|it| it.to_string()).unwrap_or_default();
            format!("the payout is below its min_payout of {min}")
        }
        Some(Obstacle::OutsideShare) => {
            let share = postback.conditions.share_percent.unwrap_or_default();
            format!("it fires for {share} of a hundred conversions, and this is none of them")
        }
        None => "it would fire now: it has been changed since, or nobody was to be told".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::adjustment::Standing;
    use crate::example::Example;
    use crate::ids::{AffiliateId, EventId, OfferId, PostbackId};
    use crate::network_change::CreatePostback;
    use crate::postback::{FireOn, Owner, PostbackStatus, PostbackType};
    use crate::status::ConversionStatus;
    use crate::tokens::UrlTemplate;

    type Change = fn(&mut Postback);

    fn tried(outcome: TryOutcome) -> Try {
        Try { tried_at: Timestamp::UNIX_EPOCH, url: String::new(), outcome, duration_ms: 1 }
    }

    #[test]
    fn a_delivery_says_where_it_stands_and_what_the_last_try_came_to() {
        let refused = tried(TryOutcome::Answered { status: 500, answer: "no".into() });
        let silent = tried(TryOutcome::Failed { code: "timeout".into(), reason: "no answer in 10 s".into() });
        let erased = tried(TryOutcome::Failed { code: "timeout".into(), reason: String::new() });
        let handed = tried(TryOutcome::HandedOut);
        for (status, tries, last, is_late, expected, acts) in [
            (DeliveryStatus::Due, 0, None, false, "it waits for its time", false),
            (DeliveryStatus::Due, 0, None, true, "it is due before any try, and its receiver is", true),
            (
                DeliveryStatus::Due,
                2,
                Some(&refused),
                false,
                "it is tried again after 2 tries; the last was answered with 500",
                true,
            ),
            (
                DeliveryStatus::Held,
                3,
                Some(&silent),
                false,
                "it is held after 3 tries; the last had no answer (timeout: no answer in 10 s)",
                true,
            ),
            (
                DeliveryStatus::Held,
                1,
                Some(&erased),
                true,
                "it is held after 1 try; it had no answer (timeout)",
                true,
            ),
            (
                DeliveryStatus::Delivered,
                1,
                Some(&handed),
                true,
                "it was delivered after 1 try; it was handed to the buyer's browser",
                false,
            ),
            (DeliveryStatus::Cancelled, 0, None, true, "it was cancelled before any try", true),
        ] {
            let Meaning { what, remedy } = of_delivery(status, tries, last, is_late);
            assert!(what.starts_with(expected), "{what}");
            assert_eq!(!remedy.is_empty(), acts, "{what}");
        }
    }

    #[test]
    fn what_kept_a_postback_from_firing_is_told_with_its_numbers() {
        let conversion = Example::default().conversion;
        let url = UrlTemplate::parse_called("https://aff.example/").expect("a url");
        let create = CreatePostback::new(Owner::Affiliate(AffiliateId(7)), url);
        let plain = create.into_postback(PostbackId(1), Timestamp::UNIX_EPOCH);
        let told = |change: Change, before: Option<Standing>| {
            let mut postback = plain.clone();
            change(&mut postback);
            let obstacle = postback.obstacle(&conversion, before, conversion.standing, false);
            of_obstacle(obstacle, &postback, &conversion)
        };
        let never = |_: &mut Postback| {};
        assert!(told(never, None).starts_with("it would fire now"));
        let cases: [(Change, &str); 9] = [
            (|it| it.status = PostbackStatus::Inactive, "it is inactive"),
            (|it| it.offer_id = Some(OfferId(99)), "it is for offer 99, and the conversion is on offer 12"),
            (
                |it| it.campaign_id = Some(crate::ids::CampaignId(9)),
                "it is for campaign 9, and the conversion's is 21",
            ),
            (|it| it.event_id = Some(EventId(5)), "it is for event 5, and the conversion is of event 1"),
            (|it| it.fire_on = FireOn::Reversal, "it fires on reversal, and that has not happened"),
            (
                |it| it.postback_type = PostbackType::Image,
                "a browser carries it (Image), and none waited for the answer",
            ),
            (
                |it| it.conditions.statuses = vec![ConversionStatus::Pending],
                "it is only for conversions that are pending",
            ),
            (
                |it| it.conditions.min_payout = "50".parse().ok(),
                "the payout is below its min_payout of 50.00",
            ),
            (
                |it| it.conditions.share_percent = Some(0),
                "it fires for 0 of a hundred conversions, and this is none of them",
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(told(change, None), expected);
        }
        assert_eq!(
            told(never, Some(conversion.standing)),
            "it fires on conversion, and that has not happened"
        );
    }
}
