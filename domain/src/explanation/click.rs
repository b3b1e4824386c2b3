//! Why a click went where it went, and why one is not here.

use jiff::{SignedDuration, Timestamp};

use super::{Meaning, joined};
use crate::click::Disposition;
use crate::ids::{ClickId, NodeNumber};
use crate::targeting::{Rule, RuleType};

/// The version of UUID that click ids are.
const VERSION: u8 = 7;
/// How far the clocks of servers may be apart.
const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// What a disposition means.
pub fn of_disposition(disposition: Disposition) -> Meaning {
    let (what, remedy) = match disposition {
        Disposition::Accepted => ("the visitor was sent to the offer's landing page", ""),
        Disposition::Duplicate => {
            ("the visitor was sent to the offer's landing page, as a repeat of a click shortly before", "")
        }
        Disposition::OfferInactive => (
            "the offer, or its advertiser, was not active",
            "Activate both: links that are followed from then on lead to the offer.",
        ),
        Disposition::OfferExpired => {
            ("the offer had expired", "Move the offer's expiration_date if it is still to take clicks.")
        }
        Disposition::AffiliateInactive => (
            "the affiliate was not active",
            "Activate the affiliate: its links that are followed from then on lead to their offers.",
        ),
        Disposition::CampaignInactive => (
            "the affiliate had no active campaign on the offer",
            "Create a campaign, or activate the one there is.",
        ),
        Disposition::GeoBlocked => (
            "the visitor's place is not one that the offer takes",
            "Change the rule that said no if it should have said yes.",
        ),
        Disposition::DeviceBlocked => (
            "the visitor's device is not one that the offer takes",
            "Change the rule that said no if it should have said yes.",
        ),
        Disposition::RuleBlocked => {
            ("a targeting rule said no", "Change the rule that said no if it should have said yes.")
        }
        Disposition::Capped => {
            ("a click cap was used up", "Raise the cap, or wait until its interval begins anew.")
        }
        Disposition::Bot => ("the visitor is a robot", "Change the rule that said no if robots are to pass."),
        Disposition::NotScheduled => (
            "the offer had not started, or it was not one of its hours",
            "Look at the offer's start_date, schedule and time_zone.",
        ),
        Disposition::AlreadyConverted => {
            ("the visitor had converted on the offer, and was sent to its thank-you page", "")
        }
        Disposition::UnknownDomain => (
            "the link was followed on a host that is none of the tracking domains",
            "Hand out links on a host of tracking.domains, or add this one there.",
        ),
        Disposition::CreativeInactive => (
            "the creative of the link is not shown any more",
            "Activate the creative, or hand out links with another one.",
        ),
    };
    Meaning::new(what, remedy)
}

/// What a targeting rule asks, in that version of it.
pub fn of_rule(rule: &Rule) -> String {
    let conditions = joined(rule.conditions.iter().map(|it| (it.target(), it.values())));
    match rule.rule_type {
        RuleType::Allow => format!("only visitors may pass whose {conditions}"),
        RuleType::Block => format!("visitors may not pass whose {conditions}"),
    }
}

/// What a server knows of the clicks it can have.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'k> {
    /// Its own number.
    pub own: NodeNumber,
    /// The numbers of the servers beside it.
    pub others: &'k [NodeNumber],
    /// The oldest click that it keeps in a segment.
    pub oldest: Option<ClickId>,
    /// The time.
    pub now: Timestamp,
}

/// Why there is no click of an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoClick {
    /// It does not have the form of one.
    Malformed,
    /// It has the form of one, and none of ours can be it.
    NotOurs,
    /// Another server recorded it, and keeps it.
    OnNode(NodeNumber),
    /// It is older than all clicks kept here.
    TooOld,
    /// It would be here.
    NeverRecorded,
}

/// Why there is no click of that id, judged by the id alone.
pub fn why_no_click(id: &str, kept: &Kept<'_>) -> NoClick {
    let Ok(id) = id.parse::<ClickId>() else { return NoClick::Malformed };
    let latest = kept.now.saturating_add(SKEW).unwrap_or(Timestamp::MAX);
    if id.to_bytes()[6] >> 4 != VERSION || id.time() > latest {
        NoClick::NotOurs
    } else if id.node() != kept.own && kept.others.contains(&id.node()) {
        NoClick::OnNode(id.node())
    } else if kept.oldest.is_some_and(|oldest| id < oldest) {
        NoClick::TooOld
    } else {
        NoClick::NeverRecorded
    }
}

impl NoClick {
    /// In words.
    pub fn meaning(self) -> Meaning {
        let unchanged = "Have whoever calls send back the value of {click_id} in the offer's URL, unchanged.";
        match self {
            Self::Malformed => Meaning::new(
                "it is no click id: one has 36 characters, such as 019ee03c-2aa0-7001-8000-00c0ffeec0de",
                unchanged,
            ),
            Self::NotOurs => Meaning::new("it looks like a click id, and cannot be one of ours", unchanged),
            Self::OnNode(node) => Meaning::new(
                format!("server {} recorded it, and keeps it", node.get()),
                format!("Ask server {}.", node.get()),
            ),
            Self::TooOld => Meaning::new(
                "it is older than all clicks that are kept here: it is kept no longer, or never was recorded",
                "",
            ),
            Self::NeverRecorded => Meaning::new("no such click was ever recorded here", unchanged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::click::{Country, Device};
    use crate::ids::{ClickIdMint, OfferId, RuleId};
    use crate::targeting::{Condition, RuleStatus};

    #[test]
    fn every_disposition_has_words_and_every_refusal_says_what_to_do_unless_it_is_meant() {
        for disposition in Disposition::ALL {
            let Meaning { what, remedy } = of_disposition(disposition);
            assert!(!what.is_empty() && !what.ends_with('.'), "{disposition}");
            let is_fine = disposition.reached_the_offer() || disposition == Disposition::AlreadyConverted;
            assert_eq!(remedy.is_empty(), is_fine, "{disposition}");
            assert!(remedy.is_empty() || remedy.ends_with('.'), "{disposition}");
        }
    }

    #[test]
    fn a_rule_says_whom_it_lets_pass() {
        let country = |code| Country::new(code).expect("a country");
        let rule = |rule_type, conditions| Rule {
            id: RuleId(1),
            version: 1,
            offer_id: OfferId(1),
            campaign_id: None,
            position: 1,
            rule_type,
            status: RuleStatus::Active,
            conditions,
            redirect: None,
        };
        let places = Condition::Country(vec![country("US"), country("CA")]);
        let devices = Condition::Device(vec![Device::Mobile]);
        let both = rule(RuleType::Allow, vec![places, devices]);
        assert_eq!(of_rule(&both), "only visitors may pass whose country is US,CA and device is mobile");
        let bots = rule(RuleType::Block, vec![Condition::Bot(true)]);
        assert_eq!(of_rule(&bots), "visitors may not pass whose bot is true");
        let many = rule(RuleType::Block, vec![Condition::Asn((0..500).collect())]);
        assert!(of_rule(&many).chars().count() < 450 && of_rule(&many).ends_with('…'));
    }

    #[test]
    fn why_a_click_is_not_here_is_told_by_its_id() {
        let node = |number| NodeNumber::new(number).expect("in range");
        let at = |second| Timestamp::from_second(second).expect("in range");
        let id = |number, second| ClickIdMint::after(node(number), None).mint(at(second), 7);
        let others = [node(2)];
        let kept = Kept { own: node(1), others: &others, oldest: Some(id(1, 5_000)), now: at(10_000) };
        let text = |id: ClickId| id.to_string();
        for (asked, expected) in [
            (String::new(), NoClick::Malformed),
            ("ORD-1".into(), NoClick::Malformed),
            ("{click_id}".into(), NoClick::Malformed),
            ("a1b2c3d4-e5f6-4890-abcd-ef1234567890".into(), NoClick::NotOurs),
            (text(id(1, 10_000 + 3_601)), NoClick::NotOurs),
            (text(id(1, 10_000 + 3_600)), NoClick::NeverRecorded),
            (text(id(2, 9_000)), NoClick::OnNode(node(2))),
            (text(id(3, 9_000)), NoClick::NeverRecorded),
            (text(id(1, 4_999)), NoClick::TooOld),
            (text(id(1, 9_000)), NoClick::NeverRecorded),
        ] {
            assert_eq!(why_no_click(&asked, &kept), expected, "{asked}");
        }
        let none = Kept { oldest: None, ..kept };
        assert_eq!(why_no_click(&text(id(1, 4_999)), &none), NoClick::NeverRecorded);
        assert_eq!(NoClick::OnNode(node(2)).meaning().remedy, "Ask server 2.");
    }
}
