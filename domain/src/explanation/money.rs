//! What a conversion is worth, what said so, and why it stands as it does.

use super::{Meaning, joined};
use crate::caps::{Cap, CapType};
use crate::money::Currency;
use crate::pricing::{PriceRule, PriceScope, PriceSource, PriceType, Rate, Side};
use crate::status::ConversionStatus;

/// What a price rule says, in that version of it; what it earns only with `revenue`.
pub fn of_price_rule(rule: &PriceRule, currency: Currency, revenue: bool) -> String {
    let side = |verb: &str, rate: Option<Rate>| Some(format!("{verb} {}", of_rate(rate?, currency)));
    let earns = if revenue { side("earns", rule.revenue) } else { None };
    let says: Vec<_> = side("pays", rule.payout).into_iter().chain(earns).collect();
    let conditions = joined(rule.conditions.iter().map(|it| (it.target(), it.values())));
    format!("{} where {conditions}", says.join(" and "))
}

fn of_rate(rate: Rate, currency: Currency) -> String {
    match rate.price_type {
        PriceType::Cpa => format!("{} {currency}", rate.number),
        PriceType::Revshare => format!("{} % of the amount", rate.number),
    }
}

/// What decided one side of a price.
pub fn of_source(side: Side, source: PriceSource) -> String {
    let side = match side {
        Side::Payout => "payout",
        Side::Revenue => "revenue",
    };
    let scope = match source.scope {
        PriceScope::Call => return format!("the call stated the {side}"),
        PriceScope::Cap => return format!("a cap was used up and leaves the {side} out"),
        PriceScope::Campaign => "campaign",
        PriceScope::Tier => "affiliate's tier",
        PriceScope::Offer => "offer",
        PriceScope::Event => "event",
    };
    match source.rule {
        Some((id, version)) => {
            format!("price rule {id} of the {scope}, in version {version}, decided the {side}")
        }
        None => format!("the {scope}'s own price decided the {side}"),
    }
}

/// What a cap takes.
pub fn of_cap(cap: &Cap) -> String {
    let limit = match cap.cap_type {
        CapType::Click | CapType::Conversion => (cap.limit.micros() / 1_000_000).to_string(),
        CapType::Payout | CapType::Revenue => cap.limit.to_string(),
    };
    format!("{} {limit}, {}", cap.cap_type.name(), cap.interval.name())
}

/// What a status means.
pub fn of_status(status: ConversionStatus) -> Meaning {
    let (what, remedy) = match status {
        ConversionStatus::Pending => {
            ("it waits for somebody to approve it", "Approve or reject it (update_conversion.json).")
        }
        ConversionStatus::Approved => ("it pays", ""),
        ConversionStatus::Rejected => ("it was refused by the advertiser, and pays nobody", ""),
        ConversionStatus::Reversed => ("it was taken back, and pays nobody", ""),
        ConversionStatus::Ignored => ("it was never payable, and pays nobody", ""),
    };
    Meaning::new(what, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::click::Country;
    use crate::ids::{OfferId, PriceRuleId};
    use crate::pricing::PriceCondition;
    use crate::targeting::RuleStatus;

    fn amount(text: &str) -> crate::money::Amount {
        text.parse().expect("an amount")
    }

    #[test]
    fn a_price_rule_says_what_it_pays_and_only_to_some_what_it_earns() {
        let rule = PriceRule {
            id: PriceRuleId(3),
            version: 2,
            offer_id: OfferId(1),
            campaign_id: None,
            position: 1,
            status: RuleStatus::Active,
            conditions: vec![
                PriceCondition::Country(vec![Country::new("US").expect("a country")]),
                PriceCondition::AmountMin(amount("10")),
            ],
            payout: Some(Rate::cpa(amount("20"))),
            revenue: Some(Rate { price_type: PriceType::Revshare, number: amount("70") }),
        };
        let all = of_price_rule(&rule, Currency::USD, true);
        assert_eq!(
            all,
            "pays 20.00 USD and earns 70.00 % of the amount where country is US and amount_min is 10.00"
        );
        let part = of_price_rule(&rule, Currency::USD, false);
        assert_eq!(part, "pays 20.00 USD where country is US and amount_min is 10.00");
    }

    #[test]
    fn what_decided_a_price_is_named() {
        for scope in PriceScope::ALL {
            let text = of_source(Side::Payout, PriceSource::flat(*scope));
            assert!(text.contains("payout"), "{text}");
        }
        let by_rule = PriceSource { scope: PriceScope::Campaign, rule: Some((PriceRuleId(3), 2)) };
        let text = of_source(Side::Revenue, by_rule);
        assert_eq!(text, "price rule 3 of the campaign, in version 2, decided the revenue");
        assert_eq!(
            of_source(Side::Payout, PriceSource::flat(PriceScope::Tier)),
            "the affiliate's tier's own price decided the payout"
        );
    }

    #[test]
    fn only_what_waits_needs_something_done() {
        for status in ConversionStatus::ALL {
            let Meaning { what, remedy } = of_status(status);
            assert_eq!(what.contains("pays nobody"), !status.pays(), "{status}");
            assert_eq!(remedy.is_empty(), status != ConversionStatus::Pending, "{status}");
        }
    }
}
