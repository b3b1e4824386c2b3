//! What a conversion pays and earns. Nearest scope first: the call's own amounts where the caller
//! may override, then the campaign, then the affiliate's tier, then the offer; in each scope its rules, in
//! order, before its flat price. Rounding happens here, once.

use std::sync::Arc;

use thiserror::Error;

use crate::click::{Country, Device};
use crate::ids::{CampaignId, EventId, OfferId, PriceRuleId};
use crate::money::{Amount, MICROS_PER_STEP};
use crate::targeting::{BadCondition, RuleStatus, TextPattern, each, pattern};

/// Price rules one offer may have that are not deleted, its campaigns' included.
pub const PRICE_RULES_MAX: usize = 200;

/// How a payout or a revenue is worked out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PriceType {
    /// A fixed amount for each conversion (`cpa`).
    Cpa,
    /// A percentage of the sale amount (`revshare`): 70 means 70 %.
    Revshare,
}

impl PriceType {
    /// Its name in the API and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpa => "cpa",
            Self::Revshare => "revshare",
        }
    }

    /// Reads a name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Cpa, Self::Revshare].into_iter().find(|it| it.name().eq_ignore_ascii_case(name))
    }
}

/// One side of a price: a type and its number (an amount, or a percentage).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How the number is to be read.
    pub price_type: PriceType,
    /// An amount, or a percentage.
    pub number: Amount,
}

impl Rate {
    /// A fixed amount.
    pub fn cpa(number: Amount) -> Self {
        Self { price_type: PriceType::Cpa, number }
    }
}

crate::network::states! {
    /// Where an amount comes from.
    PriceScope {
        /// The call carried the amount itself.
        Call = "call",
        /// The campaign's rules or price.
        Campaign = "campaign",
        /// The price of the affiliate's tier on the offer.
        Tier = "tier",
        /// The offer's rules or price.
        Offer = "offer",
        /// The event's own price.
        Event = "event",
        /// A cap was used up and leaves this side out.
        Cap = "cap",
    }
}

/// What decided an amount: the scope, and the rule in its version where a rule did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PriceSource {
    /// Where the amount comes from.
    pub scope: PriceScope,
    /// The rule that decided, and its version.
    pub rule: Option<(PriceRuleId, u32)>,
}

impl PriceSource {
    /// No rule decided.
    pub fn flat(scope: PriceScope) -> Self {
        Self { scope, rule: None }
    }
}

/// A price that applies only to some conversions of an offer, or of one campaign on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PriceRule {
    /// Its number.
    pub id: PriceRuleId,
    /// Grows by one with every change, from 1; earlier versions are kept: conversions name them.
    pub version: u32,
    /// The offer.
    pub offer_id: OfferId,
    /// Only conversions of this campaign.
    pub campaign_id: Option<CampaignId>,
    /// Rules are tried by position, then by number.
    pub position: u32,
    /// Its state.
    pub status: RuleStatus,
    /// Which conversions it prices: those that meet all of these. There is at least one.
    pub conditions: Vec<PriceCondition>,
    /// What the affiliate gets; none leaves that to the next rule or price.
    pub payout: Option<Rate>,
    /// What the advertiser owes; none leaves that to the next rule or price.
    pub revenue: Option<Rate>,
}

impl PriceRule {
    /// Whether it prices this conversion.
    pub fn applies(&self, subject: &Subject<'_>) -> bool {
        self.status == RuleStatus::Active && self.conditions.iter().all(|it| it.describes(subject))
    }
}

/// What a price rule asks of a conversion: one of the values listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PriceCondition {
    /// The click came from these countries.
    Country(Vec<Country>),
    /// The click came with these devices.
    Device(Vec<Device>),
    /// It is of these events.
    Event(Vec<EventId>),
    /// Its click has these values of a sub id, 0 to 4.
    SubId(u8, Vec<TextPattern>),
    /// The call has these values of an advertiser's field, 0 to 4.
    Adv(u8, Vec<TextPattern>),
    /// The sale is of at least so much.
    AmountMin(Amount),
    /// The sale is of at most so much.
    AmountMax(Amount),
}

/// What price rules can ask for, by its name in the API and in the ledger.
pub const PRICE_TARGETS: &[&str] = &[
    "country",
    "device",
    "event_id",
    "sub_id_1",
    "sub_id_2",
    "sub_id_3",
    "sub_id_4",
    "sub_id_5",
    "adv1",
    "adv2",
    "adv3",
    "adv4",
    "adv5",
    "amount_min",
    "amount_max",
];

impl PriceCondition {
    /// Reads the values of a target, separated by commas.
    pub fn parse(target: &str, values: &str) -> Result<Self, BadCondition> {
        let amount = |text: &str| {
            text.trim()
                .parse()
                .map_err(|_| BadCondition::Value { value: text.into(), expected: "an amount such as 18.00" })
        };
        let texts = || each(values, "a text of at most 200 characters", pattern);
        let numbered = |prefix| crate::tokens::numbered(target, prefix);
        Ok(match target {
            "country" => Self::Country(each(values, "a country of two letters", Country::new)?),
            "device" => Self::Device(each(values, "a device", |it| it.to_ascii_lowercase().parse().ok())?),
            "event_id" => Self::Event(each(values, "an event id", |it| it.parse().ok())?),
            "amount_min" => Self::AmountMin(amount(values)?),
            "amount_max" => Self::AmountMax(amount(values)?),
            _ => match (numbered("sub_id_"), numbered("adv")) {
                (Some(index), _) => Self::SubId(index, texts()?),
                (None, Some(index)) => Self::Adv(index, texts()?),
                (None, None) => return Err(BadCondition::UnknownTarget(PRICE_TARGETS)),
            },
        })
    }

    /// What it asks for, by name.
    pub fn target(&self) -> &'static str {
        let at = |first: usize, index: u8| PRICE_TARGETS[first + usize::from(index)];
        match self {
            Self::Country(_) => "country",
            Self::Device(_) => "device",
            Self::Event(_) => "event_id",
            Self::SubId(index, _) => at(3, *index),
            Self::Adv(index, _) => at(8, *index),
            Self::AmountMin(_) => "amount_min",
            Self::AmountMax(_) => "amount_max",
        }
    }

    /// Its values, as [`PriceCondition::parse`] reads them.
    pub fn values(&self) -> String {
        fn joined<T: ToString>(all: &[T]) -> String {
            all.iter().map(T::to_string).collect::<Vec<_>>().join(",")
        }
        match self {
            Self::Country(all) => joined(all),
            Self::Device(all) => all.iter().map(|it| it.name()).collect::<Vec<_>>().join(","),
            Self::Event(all) => joined(all),
            Self::SubId(_, all) | Self::Adv(_, all) => joined(all),
            Self::AmountMin(amount) | Self::AmountMax(amount) => amount.to_string(),
        }
    }

    fn describes(&self, subject: &Subject<'_>) -> bool {
        let one_of = |all: &[TextPattern], texts: &[String; 5], index: &u8| {
            all.iter().any(|it| it.matches(&texts[usize::from(*index)]))
        };
        match self {
            Self::Country(all) => all.contains(&subject.country),
            Self::Device(all) => all.contains(&subject.device),
            Self::Event(all) => all.contains(&subject.event_id),
            Self::SubId(index, all) => one_of(all, subject.sub_ids, index),
            Self::Adv(index, all) => one_of(all, subject.adv, index),
            Self::AmountMin(min) => subject.amount.is_some_and(|amount| amount >= *min),
            Self::AmountMax(max) => subject.amount.is_some_and(|amount| amount <= *max),
        }
    }
}

/// A conversion, as far as price rules care.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// The country of the click.
    pub country: Country,
    /// The device of the click.
    pub device: Device,
    /// What kind of conversion.
    pub event_id: EventId,
    /// The sub ids of the click.
    pub sub_ids: &'s [String; 5],
    /// `adv1` to `adv5` of the call.
    pub adv: &'s [String; 5],
    /// The sale's total.
    pub amount: Option<Amount>,
}

/// Which side of a price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// What the affiliate gets.
    Payout,
    /// What the advertiser owes.
    Revenue,
}

/// What one scope has to say: its rules, then its flat price.
#[derive(Clone, Debug)]
pub struct Offered<'n> {
    /// The scope.
    pub scope: PriceScope,
    /// Its active rules, in order.
    pub rules: Vec<&'n Arc<PriceRule>>,
    /// Its flat payout.
    pub payout: Option<Rate>,
    /// Its flat revenue.
    pub revenue: Option<Rate>,
}

impl Offered<'_> {
    /// The flat price of one side.
    pub fn flat(&self, side: Side) -> Option<Rate> {
        match side {
            Side::Payout => self.payout,
            Side::Revenue => self.revenue,
        }
    }

    fn decide(&self, side: Side, subject: &Subject<'_>) -> Option<(Rate, PriceSource)> {
        let scope = self.scope;
        let by_rule = self.rules.iter().find_map(|rule| {
            let rate = match side {
                Side::Payout => rule.payout,
                Side::Revenue => rule.revenue,
            }?;
            let source = PriceSource { scope, rule: Some((rule.id, rule.version)) };
            rule.applies(subject).then_some((rate, source))
        });
        by_rule.or_else(|| Some((self.flat(side)?, PriceSource::flat(scope))))
    }
}

/// Why no price could be worked out.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PriceError {
    /// A percentage applies and the call carries no sale amount.
    #[error("an amount is required, because the price is a percentage of it")]
    AmountRequired,
    /// The result is beyond [`Amount::MAX`].
    #[error("the price is too large")]
    TooLarge,
}

/// Works out one side of the price. `given` is the call's own amount (already permitted); `scopes` are
/// asked in order, and the first that has a rule or a price for this side decides. Where none has, it
/// is nothing, said by the last.
pub fn price(
    side: Side,
    given: Option<Amount>,
    scopes: &[Offered<'_>],
    subject: &Subject<'_>,
) -> Result<(Amount, PriceSource), PriceError> {
    if let Some(amount) = given {
        return Ok((amount, PriceSource::flat(PriceScope::Call)));
    }
    match scopes.iter().find_map(|scope| scope.decide(side, subject)) {
        Some((rate, source)) => Ok((apply(rate, subject.amount)?, source)),
        None => Ok((
            Amount::ZERO,
            PriceSource::flat(scopes.last().map_or(PriceScope::Offer, |scope| scope.scope)),
        )),
    }
}
fn apply(rate: Rate, sale: Option<Amount>) -> Result<Amount, PriceError> {
    match rate.price_type {
        PriceType::Cpa => Ok(rate.number),
        PriceType::Revshare => percentage(sale.ok_or(PriceError::AmountRequired)?, rate.number),
    }
}

/// `percent` % of `base`, half-even to four decimals.
fn percentage(base: Amount, percent: Amount) -> Result<Amount, PriceError> {
    // base and percent are both in millionths; a step is 100 of them, and 100 % is the whole.
    const DIVISOR: i128 = 1_000_000 * 100 * MICROS_PER_STEP as i128;
    let product = i128::from(base.micros()) * i128::from(percent.micros());
    let (steps, rest) = (product.div_euclid(DIVISOR), product.rem_euclid(DIVISOR));
    let up = match (rest * 2).cmp(&DIVISOR) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => steps % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    let micros = (steps + i128::from(up)) * i128::from(MICROS_PER_STEP);
    let amount = i64::try_from(micros).ok().and_then(Amount::from_micros).ok_or(PriceError::TooLarge)?;
    if amount > Amount::MAX { Err(PriceError::TooLarge) } else { Ok(amount) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::{Decimal, RoundingStrategy};

    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    fn cpa(text: &str) -> Rate {
        Rate::cpa(amount(text))
    }

    fn rule(id: u32, conditions: &[(&str, &str)], payout: Option<Rate>) -> Arc<PriceRule> {
        let read =
            |(target, values): &(&str, &str)| PriceCondition::parse(target, values).expect("a condition");
        Arc::new(PriceRule {
            id: PriceRuleId(id),
            version: 2,
            offer_id: OfferId(2),
            campaign_id: None,
            position: id,
            status: RuleStatus::Active,
            conditions: conditions.iter().map(read).collect(),
            payout,
            revenue: None,
        })
    }

    fn offered(scope: PriceScope, rules: &[Arc<PriceRule>], payout: Option<Rate>) -> Offered<'_> {
        Offered { scope, rules: rules.iter().collect(), payout, revenue: None }
    }

    static NONE: [String; 5] = [const { String::new() }; 5];

    fn subject<'s>(sub_ids: &'s [String; 5], sale: Option<&str>) -> Subject<'s> {
        Subject {
            country: Country::new("US").expect("a country"),
            device: Device::Mobile,
            event_id: EventId(1),
            sub_ids,
            adv: &NONE,
            amount: sale.map(amount),
        }
    }

    #[test]
    fn the_nearest_scope_prices_and_its_rules_before_its_flat_price() {
        use PriceScope::{Call, Campaign, Offer, Tier};
        let rules = [
            rule(7, &[("country", "CA,US")], Some(cpa("15"))),
            rule(8, &[("device", "mobile")], Some(cpa("16"))),
        ];
        let other = [rule(9, &[("country", "FR")], Some(cpa("99")))];
        let check =
            |given: Option<&str>, scopes: &[Offered<'_>], expected: &str, scope, rule: Option<u32>| {
                let source = PriceSource { scope, rule: rule.map(|id| (PriceRuleId(id), 2)) };
                let priced = price(Side::Payout, given.map(amount), scopes, &subject(&NONE, None));
                assert_eq!(priced, Ok((amount(expected), source)), "{expected}");
            };
        let offer = offered(Offer, &rules, Some(cpa("10")));
        check(Some("0"), std::slice::from_ref(&offer), "0", Call, None);
        check(None, std::slice::from_ref(&offer), "15", Offer, Some(7));
        check(None, &[offered(Campaign, &other, Some(cpa("12"))), offer.clone()], "12", Campaign, None);
        check(None, &[offered(Campaign, &other, None), offer.clone()], "15", Offer, Some(7));
        let scopes = [offered(Campaign, &[], None), offered(Tier, &[], Some(cpa("13"))), offer];
        check(None, &scopes, "13", Tier, None);
        check(None, &[offered(Offer, &[], None)], "0", Offer, None);
    }

    #[test]
    fn every_condition_asks_for_what_it_names() {
        let sub_ids = ["banner-7", "", "", "", "last"].map(String::from);
        let check = |target: &str, values: &str, applies: bool| {
            let rule = rule(1, &[(target, values)], Some(cpa("1")));
            assert_eq!(rule.applies(&subject(&sub_ids, Some("50"))), applies, "{target}={values}");
            let condition = &rule.conditions[0];
            assert_eq!(condition.target(), target);
            assert_eq!(PriceCondition::parse(target, &condition.values()).as_ref(), Ok(condition));
        };
        check("country", "us,ca", true);
        check("country", "FR", false);
        check("device", "desktop,mobile", true);
        check("device", "desktop", false);
        check("event_id", "1,2", true);
        check("event_id", "2", false);
        check("sub_id_1", "banner-*", true);
        check("sub_id_1", "banner", false);
        check("sub_id_5", "last", true);
        check("adv3", "x", false);
        check("amount_min", "50.00", true);
        check("amount_min", "50.01", false);
        check("amount_max", "50.00", true);
        check("amount_max", "49.99", false);
        let without = subject(&NONE, None);
        assert!(!rule(1, &[("amount_max", "50")], Some(cpa("1"))).applies(&without));
        for (target, values) in
            [("sub_id_6", "x"), ("adv0", "x"), ("payout", "1"), ("country", "USA"), ("amount_min", "x")]
        {
            assert!(PriceCondition::parse(target, values).is_err(), "{target}={values}");
        }
    }

    #[test]
    fn a_percentage_is_rounded_half_even_to_four_decimals() {
        for (base, percent, expected) in [
            ("100", "70", "70"),
            ("0.0001", "50", "0"),
            ("0.0003", "50", "0.0002"),
            ("0.0005", "50", "0.0002"),
            ("33.33", "33.33", "11.1089"),
            ("19.99", "12.5", "2.4988"),
        ] {
            assert_eq!(
                percentage(amount(base), amount(percent)),
                Ok(amount(expected)),
                "{percent} % of {base}"
            );
        }
    }

    #[test]
    fn a_percentage_needs_its_base_and_has_a_bound() {
        let share = Rate { price_type: PriceType::Revshare, number: amount("70") };
        let scopes = [offered(PriceScope::Offer, &[], Some(share))];
        let priced = |sale| price(Side::Payout, None, &scopes, &subject(&NONE, sale)).map(|it| it.0);
        assert_eq!(priced(None), Err(PriceError::AmountRequired));
        assert_eq!(priced(Some("200")), Ok(amount("140")));
        assert_eq!(percentage(Amount::MAX, amount("200")), Err(PriceError::TooLarge));
    }

    /// A rule as plainly as it can be told: which sub id it asks for, and what it pays.
    type PlainRule = (u8, Option<u32>);

    /// The price as contract and reference put it, step by step: slow and obvious.
    fn plainly(
        given: Option<u32>,
        campaign: (&[PlainRule], Option<u32>),
        tier: Option<u32>,
        offer: (&[PlainRule], Option<u32>),
        sub_id: u8,
    ) -> u32 {
        let first = |rules: &[PlainRule]| {
            for (asked, pays) in rules {
                if *asked == sub_id && pays.is_some() {
                    return *pays;
                }
            }
            None
        };
        if let Some(given) = given {
            return given;
        }
        let all = [first(campaign.0), campaign.1, tier, first(offer.0), offer.1];
        all.into_iter().flatten().next().unwrap_or(0)
    }

    fn plain_rules() -> impl Strategy<Value = Vec<PlainRule>> {
        proptest::collection::vec((0u8..3, proptest::option::of(0u32..100)), 0..5)
    }

    proptest! {
        #[test]
        fn a_percentage_equals_the_decimal_sum(base in 0i64..1_000_000_000_000, percent in 0i64..2_000_000) {
            let base = Amount::from_micros(base * 100).expect("steps");
            let percent = Amount::from_micros(percent * 100).expect("steps");
            let exact = (base.to_decimal() * percent.to_decimal() / Decimal::from(100))
                .round_dp_with_strategy(4, RoundingStrategy::MidpointNearestEven);
            match percentage(base, percent) {
                Ok(amount) => prop_assert_eq!(amount.to_decimal().normalize(), exact.normalize()),
                Err(_) => prop_assert!(exact > Amount::MAX.to_decimal()),
            }
        }

        #[test]
        fn the_price_is_what_a_slow_and_obvious_model_says(
            given in proptest::option::of(0u32..100),
            campaign_rules in plain_rules(),
            campaign in proptest::option::of(0u32..100),
            tier in proptest::option::of(0u32..100),
            offer_rules in plain_rules(),
            offer in proptest::option::of(0u32..100),
            sub_id in 0u8..3,
        ) {
            let flat = |number: u32| Rate::cpa(amount(&number.to_string()));
            let built = |rules: &[PlainRule]| -> Vec<_> {
                let one = |(id, (asked, pays)): (u32, &PlainRule)| {
                    rule(id, &[("sub_id_1", &asked.to_string())], pays.map(flat))
                };
                (1..).zip(rules).map(one).collect()
            };
            let (of_campaign, of_offer) = (built(&campaign_rules), built(&offer_rules));
            let scopes = [
                offered(PriceScope::Campaign, &of_campaign, campaign.map(flat)),
                offered(PriceScope::Tier, &[], tier.map(flat)),
                offered(PriceScope::Offer, &of_offer, offer.map(flat)),
            ];
            let sub_ids = [sub_id.to_string(), String::new(), String::new(), String::new(), String::new()];
            let given_amount = given.map(|it| amount(&it.to_string()));
            let priced = price(Side::Payout, given_amount, &scopes, &subject(&sub_ids, None)).expect("priced");
            let expected = plainly(given, (&campaign_rules, campaign), tier, (&offer_rules, offer), sub_id);
            prop_assert_eq!(priced.0, amount(&expected.to_string()));
        }
    }
}
