//! Targeting rules: who may follow an offer's links. They are tried in order, each says yes or no,
//! and the first no decides. What to do then: `routing`.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use thiserror::Error;

use crate::click::{Country, Device, Disposition};
use crate::deep_link::HostPattern;
use crate::ids::{CampaignId, OfferId, RuleId};
use crate::network::Redirect;

/// Values one condition may list: more than there are countries.
pub const VALUES_MAX: usize = 500;
/// The longest value, in characters.
pub const VALUE_CHARS_MAX: usize = 200;
/// Rules one offer may have that are not deleted: each is tried on every click.
pub const RULES_MAX: usize = 50;

crate::network::states! {
    /// What a rule does with the visitors its conditions describe.
    RuleType {
        /// Only they may pass.
        Allow = "allow",
        /// They may not pass.
        Block = "block",
    }
    /// The state of a rule.
    RuleStatus {
        /// It is tried.
        Active = "active",
        /// It is not tried for a while.
        Paused = "paused",
        /// It is not tried any more.
        Deleted = "deleted",
    }
}

/// One targeting rule of an offer, or of one campaign on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its number.
    pub id: RuleId,
    /// Grows by one with every change, from 1; earlier versions are kept, so that a click can be explained.
    pub version: u32,
    /// The offer whose clicks it judges.
    pub offer_id: OfferId,
    /// Only the clicks of this campaign.
    pub campaign_id: Option<CampaignId>,
    /// Rules are tried by position, then by number.
    pub position: u32,
    /// What it does.
    pub rule_type: RuleType,
    /// Its state.
    pub status: RuleStatus,
    /// Whom it describes: visitors who meet all of these. There is at least one.
    pub conditions: Vec<Condition>,
    /// Where those go whom it keeps out; without it along the chain of campaign, offer and network.
    pub redirect: Option<Redirect>,
}

/// What a rule asks of a visitor: one of the values listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Of these countries.
    Country(Vec<Country>),
    /// Of these parts of countries.
    Region(Vec<Region>),
    /// With an address of these autonomous systems.
    Asn(Vec<u32>),
    /// With these devices.
    Device(Vec<Device>),
    /// With these operating systems, in any case.
    Os(Vec<String>),
    /// With these browsers, in any case.
    Browser(Vec<String>),
    /// A robot, or none.
    Bot(bool),
    /// Preferring these languages (`en`, `pt`).
    Language(Vec<String>),
    /// Coming from these hosts.
    Referrer(Vec<HostPattern>),
    /// With these values of a sub id, 0 to 4 for `sub_id_1` to `sub_id_5`.
    SubId(u8, Vec<TextPattern>),
    /// This share of all visitors, in hundredths of a percent, 0 to 10,000; the same visitor is
    /// always in it, or never.
    Percentage(u16),
}

/// A part of a country (ISO 3166-2), as in `US-CA`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// The country.
    pub country: Country,
    /// What follows the hyphen, in upper case.
    pub code: String,
}

/// A text, or what it begins with (`abc*`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TextPattern {
    /// This text and no other.
    Exact(String),
    /// Every text that begins so.
    Prefix(String),
}

impl TextPattern {
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == exact,
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Prefix(text) => write!(f, "{text}*"),
        }
    }
}

/// Why a condition cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadCondition {
    /// There is no such thing to ask for.
    #[error("nothing that can be asked for: use {}", .0.join(", "))]
    UnknownTarget(&'static [&'static str]),
    /// Nothing is listed.
    #[error("at least one value is expected")]
    Empty,
    /// A value that cannot be one.
    #[error("{value:?} is not {expected}")]
    Value {
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// More than [`VALUES_MAX`].
    #[error("at most {VALUES_MAX} values")]
    TooMany,
}

/// What can be targeted, by its name in the API and in the ledger.
pub const TARGETS: &[&str] = &[
    "country",
    "region",
    "asn",
    "device",
    "os",
    "browser",
    "bot",
    "language",
    "referrer",
    "sub_id_1",
    "sub_id_2",
    "sub_id_3",
    "sub_id_4",
    "sub_id_5",
    "percentage",
];

impl Condition {
    /// Reads the values of a target, separated by commas.
    pub fn parse(target: &str, values: &str) -> Result<Self, BadCondition> {
        Ok(match target {
            "country" => Self::Country(each(values, "a country of two letters", Country::new)?),
            "region" => Self::Region(each(values, "a region such as US-CA", region)?),
            "asn" => Self::Asn(each(values, "the number of an autonomous system", asn)?),
            "device" => Self::Device(each(values, "a device", |it| it.to_ascii_lowercase().parse().ok())?),
            "os" => Self::Os(each(values, "an operating system", name)?),
            "browser" => Self::Browser(each(values, "a browser", name)?),
            "bot" => Self::Bot(one(values, "true or false", |it| it.parse().ok())?),
            "language" => Self::Language(each(values, "a language such as en", language)?),
            "referrer" => Self::Referrer(each(values, "a host such as *.example.org", |it| it.parse().ok())?),
            "percentage" => Self::Percentage(one(values, "a percentage, 0 to 100", percentage)?),
            _ => {
                let index =
                    crate::tokens::numbered(target, "sub_id_").ok_or(BadCondition::UnknownTarget(TARGETS))?;
                Self::SubId(index, each(values, "a sub id of at most 200 characters", pattern)?)
            }
        })
    }

    /// What it asks for, by name.
    pub fn target(&self) -> &'static str {
        match self {
            Self::Country(_) => "country",
            Self::Region(_) => "region",
            Self::Asn(_) => "asn",
            Self::Device(_) => "device",
            Self::Os(_) => "os",
            Self::Browser(_) => "browser",
            Self::Bot(_) => "bot",
            Self::Language(_) => "language",
            Self::Referrer(_) => "referrer",
            Self::SubId(index, _) => {
                ["sub_id_1", "sub_id_2", "sub_id_3", "sub_id_4", "sub_id_5"][usize::from(*index)]
            }
            Self::Percentage(_) => "percentage",
        }
    }

    /// Its values, as [`Condition::parse`] reads them.
    pub fn values(&self) -> String {
        fn joined<T>(all: &[T], text: impl Fn(&T) -> String) -> String {
            all.iter().map(text).collect::<Vec<_>>().join(",")
        }
        match self {
            Self::Country(all) => joined(all, ToString::to_string),
            Self::Region(all) => joined(all, |it| format!("{}-{}", it.country, it.code)),
            Self::Asn(all) => joined(all, ToString::to_string),
            Self::Device(all) => joined(all, |it| it.name().to_owned()),
            Self::Os(all) | Self::Browser(all) | Self::Language(all) => all.join(","),
            Self::Bot(is_bot) => is_bot.to_string(),
            Self::Referrer(all) => joined(all, ToString::to_string),
            Self::SubId(_, all) => joined(all, ToString::to_string),
            Self::Percentage(hundredths) if hundredths % 100 == 0 => (hundredths / 100).to_string(),
            Self::Percentage(hundredths) => format!("{}.{:02}", hundredths / 100, hundredths % 100),
        }
    }

    fn describes(&self, rule: &Rule, visitor: &Visitor<'_>) -> bool {
        match self {
            Self::Country(all) => all.contains(&visitor.country),
            Self::Region(all) => {
                all.iter().any(|it| it.country == visitor.country && it.code == visitor.region)
            }
            Self::Asn(all) => visitor.asn.is_some_and(|asn| all.contains(&asn)),
            Self::Device(all) => all.contains(&visitor.device),
            Self::Os(all) => all.iter().any(|it| it.eq_ignore_ascii_case(visitor.os)),
            Self::Browser(all) => all.iter().any(|it| it.eq_ignore_ascii_case(visitor.browser)),
            Self::Bot(is_bot) => *is_bot == (visitor.device == Device::Bot),
            Self::Language(all) => all.iter().any(|it| it == visitor.language),
            Self::Referrer(all) => {
                let url = url::Url::parse(visitor.referrer).ok();
                let host = url.as_ref().and_then(url::Url::host_str);
                host.is_some_and(|host| all.iter().any(|pattern| pattern.allows(host)))
            }
            Self::SubId(index, all) => all.iter().any(|it| it.matches(&visitor.sub_ids[usize::from(*index)])),
            Self::Percentage(hundredths) => {
                scatter(visitor.seed ^ u64::from(rule.id.0)) % 10_000 < u64::from(*hundredths)
            }
        }
    }

    fn disposition(&self) -> Disposition {
        match self {
            Self::Country(_) | Self::Region(_) => Disposition::GeoBlocked,
            Self::Device(_) | Self::Os(_) | Self::Browser(_) => Disposition::DeviceBlocked,
            Self::Bot(_) => Disposition::Bot,
            Self::Asn(_) | Self::Language(_) | Self::Referrer(_) | Self::SubId(..) | Self::Percentage(_) => {
                Disposition::RuleBlocked
            }
        }
    }
}

/// Who asks, as far as rules care.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'v> {
    /// The country.
    pub country: Country,
    /// The part of it, or empty.
    pub region: &'v str,
    /// The autonomous system of the address.
    pub asn: Option<u32>,
    /// The device.
    pub device: Device,
    /// The operating system, or empty.
    pub os: &'v str,
    /// The browser, or empty.
    pub browser: &'v str,
    /// The preferred language, or empty.
    pub language: &'v str,
    /// The `Referer`, or empty.
    pub referrer: &'v str,
    /// The sub ids.
    pub sub_ids: &'v [String; 5],
    /// The same for the same visitor: what shares and weights are drawn from.
    pub seed: u64,
}

impl Rule {
    /// Whether the visitor may pass.
    pub fn passes(&self, visitor: &Visitor<'_>) -> bool {
        let described = self.conditions.iter().all(|condition| condition.describes(self, visitor));
        described == (self.rule_type == RuleType::Allow)
    }

    /// What a click is called that this rule keeps out: by what it asks for, where that is one kind of thing.
    pub fn disposition(&self) -> Disposition {
        let mut kinds = self.conditions.iter().map(Condition::disposition);
        let first = kinds.next().unwrap_or(Disposition::RuleBlocked);
        if kinds.all(|kind| kind == first) { first } else { Disposition::RuleBlocked }
    }
}

/// One rule's say on one click.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tried {
    /// The rule.
    pub rule_id: RuleId,
    /// Which version of it.
    pub rule_version: u32,
    /// Whether the visitor could pass.
    pub passed: bool,
}

/// Adds a rule's say to the trail that a click keeps: `12.1:passed 13.4:blocked`.
pub(crate) fn add_to_trail(trail: &mut String, rule: &Rule, passed: bool) {
    let gap = if trail.is_empty() { "" } else { " " };
    let said = if passed { "passed" } else { "blocked" };
    write!(trail, "{gap}{}.{}:{said}", rule.id, rule.version).expect("writing to a string");
}

/// Reads a trail; what is not one is skipped.
pub fn read_trail(trail: &str) -> impl Iterator<Item = Tried> {
    trail.split_whitespace().filter_map(|word| {
        let (rule, said) = word.split_once(':')?;
        let (id, version) = rule.split_once('.')?;
        let passed = match said {
            "passed" => true,
            "blocked" => false,
            _ => return None,
        };
        Some(Tried { rule_id: id.parse().ok()?, rule_version: version.parse().ok()?, passed })
    })
}

/// Spreads the bits of a seed, so that neighbouring seeds differ everywhere (the finisher of `SplitMix64`).
pub(crate) fn scatter(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

pub(crate) fn each<T>(
    values: &str,
    expected: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, BadCondition> {
    let all = values.split(',').map(str::trim).filter(|value| !value.is_empty());
    let read =
        all.map(|value| read(value).ok_or_else(|| BadCondition::Value { value: value.into(), expected }));
    let read: Vec<T> = read.collect::<Result<_, _>>()?;
    match read.len() {
        0 => Err(BadCondition::Empty),
        1..=VALUES_MAX => Ok(read),
        _ => Err(BadCondition::TooMany),
    }
}

fn one<T>(values: &str, expected: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T, BadCondition> {
    let value = values.trim();
    read(value).ok_or_else(|| BadCondition::Value { value: value.into(), expected })
}

fn region(text: &str) -> Option<Region> {
    let (country, code) = text.split_once('-')?;
    let is_code = (1..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    Some(Region { country: Country::new(country)?, code: code.to_ascii_uppercase() }).filter(|_| is_code)
}

fn asn(text: &str) -> Option<u32> {
    text.strip_prefix("AS").unwrap_or(text).parse().ok()
}

fn name(text: &str) -> Option<String> {
    // A line break would end the line that a ledger keeps a condition on.
    let is_plain = text.chars().count() <= VALUE_CHARS_MAX && !text.chars().any(char::is_control);
    is_plain.then(|| text.to_owned())
}

fn language(text: &str) -> Option<String> {
    let is_subtag = (2..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic());
    is_subtag.then(|| text.to_ascii_lowercase())
}

pub(crate) fn pattern(text: &str) -> Option<TextPattern> {
    let text = name(text)?;
    let prefix = text.strip_suffix('*').map(|prefix| TextPattern::Prefix(prefix.to_owned()));
    Some(prefix.unwrap_or(TextPattern::Exact(text)))
}

fn percentage(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_part = part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
    let part = u16::from_str(&format!("{part:0<2}")).ok().filter(|_| is_part)?;
    let hundredths = u16::from_str(whole).ok()?.checked_mul(100)?.checked_add(part)?;
    (hundredths <= 10_000).then_some(hundredths)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(rule_type: RuleType, conditions: &[(&str, &str)]) -> Rule {
        let read = |(target, values): &(&str, &str)| Condition::parse(target, values).expect("a condition");
        Rule {
            id: RuleId(12),
            version: 3,
            offer_id: OfferId(2),
            campaign_id: None,
            position: 0,
            rule_type,
            status: RuleStatus::Active,
            conditions: conditions.iter().map(read).collect(),
            redirect: None,
        }
    }

    fn visitor(sub_ids: &[String; 5]) -> Visitor<'_> {
        Visitor {
            country: Country::new("US").expect("a country"),
            region: "CA",
            asn: Some(7922),
            device: Device::Mobile,
            os: "iOS",
            browser: "Mobile Safari",
            language: "en",
            referrer: "https://news.example.org/today",
            sub_ids,
            seed: 1,
        }
    }

    #[test]
    fn each_target_describes_whom_it_lists() {
        let sub_ids = ["one", "two", "", "", ""].map(String::from);
        let check = |target: &str, values: &str, expected: bool| {
            let visitor = visitor(&sub_ids);
            let allow = rule(RuleType::Allow, &[(target, values)]);
            assert_eq!(allow.passes(&visitor), expected, "allow {target}={values}");
            let block = rule(RuleType::Block, &[(target, values)]);
            assert_eq!(block.passes(&visitor), !expected, "block {target}={values}");
        };
        check("country", "de, us", true);
        check("country", "DE", false);
        check("region", "US-CA,US-NY", true);
        check("region", "US-NY", false);
        check("region", "DE-CA", false);
        check("asn", "AS7922", true);
        check("asn", "7923", false);
        check("device", "mobile,tablet", true);
        check("device", "Desktop", false);
        check("os", "ios", true);
        check("os", "Windows", false);
        check("browser", "Chrome,mobile safari", true);
        check("bot", "true", false);
        check("bot", "false", true);
        check("language", "EN,de", true);
        check("language", "de", false);
        check("referrer", "*.example.org", true);
        check("referrer", "example.org", false);
        check("sub_id_1", "one,three", true);
        check("sub_id_2", "one", false);
        check("sub_id_2", "tw*", true);
        check("percentage", "0", false);
        check("percentage", "100", true);
    }

    #[test]
    fn a_rule_describes_those_who_meet_all_its_conditions() {
        let sub_ids = <[String; 5]>::default();
        let visitor = visitor(&sub_ids);
        assert!(rule(RuleType::Allow, &[("country", "US"), ("device", "mobile")]).passes(&visitor));
        assert!(!rule(RuleType::Allow, &[("country", "US"), ("device", "tv")]).passes(&visitor));
        assert!(rule(RuleType::Block, &[("country", "US"), ("device", "tv")]).passes(&visitor));
    }

    #[test]
    fn a_click_that_is_kept_out_is_called_by_what_the_rule_asks_for() {
        let check = |conditions: &[(&str, &str)], expected| {
            assert_eq!(rule(RuleType::Allow, conditions).disposition(), expected, "{conditions:?}");
        };
        check(&[("country", "US"), ("region", "US-CA")], Disposition::GeoBlocked);
        check(&[("os", "iOS"), ("browser", "Chrome")], Disposition::DeviceBlocked);
        check(&[("bot", "false")], Disposition::Bot);
        check(&[("language", "en")], Disposition::RuleBlocked);
        check(&[("country", "US"), ("os", "iOS")], Disposition::RuleBlocked);
    }

    #[test]
    fn values_that_cannot_be_are_refused_by_name() {
        let check = |target: &str, values: &str, expected: &str| {
            let error = Condition::parse(target, values).expect_err("refused");
            assert!(error.to_string().contains(expected), "{target}={values}: {error}");
        };
        check("country", "USA", "\"USA\" is not a country");
        check("country", " , ", "at least one value");
        check("region", "CA", "\"CA\" is not a region");
        check("device", "phone", "\"phone\" is not a device");
        check("bot", "maybe", "true or false");
        check("percentage", "100.01", "0 to 100");
        check("percentage", "1.234", "0 to 100");
        check("percentage", "-1", "0 to 100");
        check("sub_id_1", "a\nos=iOS", "is not a sub id");
        check("sub_id_6", "x", "nothing that can be asked for");
        check("country", &"US,".repeat(501), "at most 500");
    }

    #[test]
    fn a_trail_says_which_rules_were_tried() {
        let mut trail = String::new();
        let tried = rule(RuleType::Allow, &[("bot", "false")]);
        add_to_trail(&mut trail, &tried, true);
        add_to_trail(&mut trail, &tried, false);
        assert_eq!(trail, "12.3:passed 12.3:blocked");
        let said = |passed| Tried { rule_id: RuleId(12), rule_version: 3, passed };
        assert_eq!(read_trail(&trail).collect::<Vec<_>>(), [said(true), said(false)]);
        assert_eq!(read_trail("nonsense 1:2 1.2:maybe").count(), 0);
    }

    proptest! {
        #[test]
        fn a_condition_prints_what_it_reads(hundredths in 0u16..=10_000, asns: Vec<u32>) {
            for condition in [Condition::Percentage(hundredths), Condition::Asn(asns)] {
                let read = Condition::parse(condition.target(), &condition.values());
                prop_assert!(read == Ok(condition.clone()) || condition.values().is_empty());
            }
        }

        #[test]
        fn a_share_of_visitors_is_about_that_share(hundredths in 0u16..=10_000) {
            let rule = rule(RuleType::Allow, &[("percentage", &Condition::Percentage(hundredths).values())]);
            let sub_ids = <[String; 5]>::default();
            let passed = (0..4000).filter(|seed| rule.passes(&Visitor { seed: *seed, ..visitor(&sub_ids) }));
            let expected = i64::from(hundredths) * 4000 / 10_000;
            let passed = i64::try_from(passed.count()).expect("at most 4000");
            // Five standard deviations.
            prop_assert!((passed - expected).abs() < 160, "{passed} of 4000 for {hundredths}");
        }
    }
}
