//! What reports count, and by what: attributes of clicks and conversions, periods of time, and the sums of
//! a group. How rows are grouped: `grouping`. What can be asked: `report_query`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};
use thiserror::Error;

use crate::click::{Click, Disposition};
use crate::grouping::{Measure, Value};
use crate::ids::{AdvertiserId, AffiliateId, CampaignId, CreativeId, EventId, OfferId};
use crate::money::{Amount, Currency};
use crate::pricing::PriceSource;
use crate::status::ConversionStatus;

/// What clicks and conversions can be grouped and filtered by, beside time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Attribute {
    /// The offer; of a click the one its link asked for.
    Offer,
    /// The affiliate.
    Affiliate,
    /// The offer's advertiser.
    Advertiser,
    /// The affiliate's campaign on the offer.
    Campaign,
    /// The creative of the link.
    Creative,
    /// The affiliate's `s1` to `s5`: 0 to 4.
    SubId(u8),
    /// The visitor's country.
    Country,
    /// The visitor's kind of device.
    Device,
    /// The family of its operating system.
    Os,
    /// The family of its browser.
    Browser,
    /// The host of the page the visitor came from.
    ReferrerHost,
    /// Why the click went where it went.
    Disposition,
    /// What kind of conversion; clicks have none.
    Event,
    /// Where the conversion stands; clicks have none.
    Status,
    /// What decided the payout; clicks have none.
    PriceRule,
}

/// A text that names no attribute.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no such dimension")]
pub struct UnknownAttribute;

impl Attribute {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Offer,
        Self::Affiliate,
        Self::Advertiser,
        Self::Campaign,
        Self::Creative,
        Self::SubId(0),
        Self::SubId(1),
        Self::SubId(2),
        Self::SubId(3),
        Self::SubId(4),
        Self::Country,
        Self::Device,
        Self::Os,
        Self::Browser,
        Self::ReferrerHost,
        Self::Disposition,
        Self::Event,
        Self::Status,
        Self::PriceRule,
    ];

    /// Its name in `group_by`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Affiliate => "affiliate",
            Self::Advertiser => "advertiser",
            Self::Campaign => "campaign",
            Self::Creative => "creative",
            Self::SubId(0) => "sub_id_1",
            Self::SubId(1) => "sub_id_2",
            Self::SubId(2) => "sub_id_3",
            Self::SubId(3) => "sub_id_4",
            Self::SubId(_) => "sub_id_5",
            Self::Country => "country",
            Self::Device => "device",
            Self::Os => "os",
            Self::Browser => "browser",
            Self::ReferrerHost => "referrer_host",
            Self::Disposition => "disposition",
            Self::Event => "event",
            Self::Status => "status",
            Self::PriceRule => "price_rule",
        }
    }

    /// The name of its field in rows and filters: `offer_id` for `offer`.
    pub fn field(self) -> &'static str {
        match self {
            Self::Offer => "offer_id",
            Self::Affiliate => "affiliate_id",
            Self::Advertiser => "advertiser_id",
            Self::Campaign => "campaign_id",
            Self::Creative => "creative_id",
            Self::Event => "event_id",
            other => other.name(),
        }
    }

    /// Whether its values are numbers of things, which have names too.
    pub fn is_entity(self) -> bool {
        self.field() != self.name()
    }

    /// Whether clicks have it.
    pub fn is_of_clicks(self) -> bool {
        !matches!(self, Self::Event | Self::Status | Self::PriceRule)
    }

    /// Whether impressions are counted by it.
    pub fn is_of_impressions(self) -> bool {
        matches!(self, Self::Offer | Self::Affiliate | Self::Advertiser | Self::Campaign | Self::Creative)
    }

    /// What a click has; none where clicks have none.
    pub fn of_click(self, click: &Click) -> Option<Value> {
        Some(match self {
            Self::Offer => Value::Id(click.offer_id.0),
            Self::Affiliate => Value::Id(click.affiliate_id.0),
            Self::Advertiser => Value::Id(click.advertiser_id.0),
            Self::Campaign => Value::Id(click.campaign_id.map_or(0, |it| it.0)),
            Self::Creative => Value::Id(click.creative_id.0),
            Self::SubId(at) => Value::text(&click.sub_ids[usize::from(at.min(4))]),
            Self::Country => Value::text(click.country.as_str()),
            Self::Device => Value::text(click.device.name()),
            Self::Os => Value::text(&click.os),
            Self::Browser => Value::text(&click.browser),
            Self::ReferrerHost => Value::text(&host_of(&click.referrer)),
            Self::Disposition => Value::text(click.disposition.name()),
            Self::Event | Self::Status | Self::PriceRule => return None,
        })
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Attribute {
    type Err = UnknownAttribute;

    fn from_str(text: &str) -> Result<Self, UnknownAttribute> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or(UnknownAttribute)
    }
}

/// The host of a URL in lower case, without user and port; empty where there is none.
pub fn host_of(url: &str) -> String {
    let Some((_, rest)) = url.split_once("://") else { return String::new() };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host.to_ascii_lowercase()
}

/// What time is grouped by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TimeUnit {
    /// An hour of the clock; two where clocks are put back.
    Hour,
    /// A day of the calendar.
    Day,
    /// A week from Monday on (ISO 8601).
    Week,
    /// A month of the calendar.
    Month,
}

/// A text that names no unit of time.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no such unit of time: use hour, day, week or month")]
pub struct UnknownTimeUnit;

impl TimeUnit {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// Its name in `group_by`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Where the unit that `at` lies in ends.
    fn end(self, at: &Zoned) -> Option<Zoned> {
        let midnight = |day: Date| at.time_zone().to_zoned(day.at(0, 0, 0, 0)).ok();
        let date = at.date();
        match self {
            Self::Hour => {
                // By the clock's own minutes: zones are off by half hours and quarters.
                let past = i64::from(at.minute()) * 60 + i64::from(at.second());
                let past = SignedDuration::new(past, at.subsec_nanosecond());
                at.checked_add(SignedDuration::from_hours(1) - past).ok()
            }
            Self::Day => midnight(date.tomorrow().ok()?),
            Self::Week => {
                let week = date.iso_week_date();
                let monday = ISOWeekDate::new(week.year(), week.week(), Weekday::Monday).ok()?;
                midnight(monday.date().checked_add(7.days()).ok()?)
            }
            Self::Month => midnight(date.last_of_month().tomorrow().ok()?),
        }
    }

    /// How rows name the unit that `at` lies in: `2026-11-01T01:00:00-04:00`, `2026-11-01`, `2026-W44`,
    /// `2026-11`.
    fn label(self, at: &Zoned) -> String {
        match self {
            Self::Hour => at.strftime("%Y-%m-%dT%H:00:00%:z").to_string(),
            Self::Day => at.strftime("%Y-%m-%d").to_string(),
            Self::Week => {
                let week = at.date().iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            Self::Month => at.strftime("%Y-%m").to_string(),
        }
    }
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TimeUnit {
    type Err = UnknownTimeUnit;

    fn from_str(text: &str) -> Result<Self, UnknownTimeUnit> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or(UnknownTimeUnit)
    }
}

/// A stretch of a report's time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Period {
    /// How rows name it; empty where time is not grouped by.
    pub label: String,
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

/// The periods of `from..until`, in order and without gaps, as the clocks of `zone` show them; without a unit
/// all of it is one. The first and the last may be cut short. None for an empty range: no periods.
pub fn periods(from: Timestamp, until: Timestamp, unit: Option<TimeUnit>, zone: &TimeZone) -> Vec<Period> {
    let Some(unit) = unit else {
        let all = (from < until).then(|| Period { label: String::new(), from, until });
        return all.into_iter().collect();
    };
    let mut periods = Vec::new();
    let mut at = from;
    while at < until {
        let local = at.to_zoned(zone.clone());
        let Some(end) = unit.end(&local) else { break };
        // A period never ends before it begins, whatever the clocks do.
        let next = Some(end.timestamp()).filter(|end| *end > at).map_or(until, |end| end.min(until));
        periods.push(Period { label: unit.label(&local), from: at, until: next });
        at = next;
    }
    periods
}

/// The place of the period that `at` lies in.
pub fn period_of(periods: &[Period], at: Timestamp) -> Option<usize> {
    let after = periods.partition_point(|it| it.from <= at);
    let place = after.checked_sub(1)?;
    (at < periods[place].until).then_some(place)
}

/// Which time of a conversion counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Clock {
    /// When it happened.
    #[default]
    Conversion,
    /// When its click was.
    Click,
    /// When it was first approved; those that never were do not count.
    Approval,
}

/// A text that names no clock.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no such clock: use conversion, click or approval")]
pub struct UnknownClock;

impl Clock {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Conversion, Self::Click, Self::Approval];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conversion => "conversion",
            Self::Click => "click",
            Self::Approval => "approval",
        }
    }
}

impl FromStr for Clock {
    type Err = UnknownClock;

    fn from_str(text: &str) -> Result<Self, UnknownClock> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or(UnknownClock)
    }
}

/// Values of an attribute of which a row must have one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    /// The attribute.
    pub attribute: Attribute,
    /// The values.
    pub values: Vec<Value>,
}

impl Filter {
    /// Whether a row with this value is wanted.
    pub fn admits(&self, value: &Value) -> bool {
        self.values.contains(value)
    }
}

/// How clicks are to be counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClickGrouping {
    /// The periods, in order and without gaps.
    pub periods: Vec<Period>,
    /// What is grouped by; all are attributes of clicks.
    pub attributes: Vec<Attribute>,
    /// All must admit a click; all are of attributes of clicks.
    pub filters: Vec<Filter>,
    /// More groups are an error.
    pub groups_max: usize,
}

/// The clicks of a group. `accepted + duplicate + bot + refused` are all there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClickCounts {
    /// Sent to the offer.
    pub accepted: u64,
    /// Sent to the offer too; the same visitor again.
    pub duplicate: u64,
    /// Robots.
    pub bot: u64,
    /// Sent elsewhere.
    pub refused: u64,
}

impl ClickCounts {
    /// Adds so many clicks of a disposition.
    pub fn add(&mut self, disposition: Disposition, clicks: u64) {
        match disposition {
            Disposition::Accepted => self.accepted += clicks,
            Disposition::Duplicate => self.duplicate += clicks,
            Disposition::Bot => self.bot += clicks,
            _ => self.refused += clicks,
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.accepted + self.duplicate + self.bot + self.refused
    }
}

impl Measure for ClickCounts {
    fn is_empty(&self) -> bool {
        self.total() == 0
    }

    fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.bot += other.bot;
        self.refused += other.refused;
    }
}

/// A group of clicks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClickGroup {
    /// The place of its period.
    pub period: usize,
    /// A value for each attribute grouped by.
    pub values: Vec<Value>,
    /// Its clicks.
    pub counts: ClickCounts,
}

/// What a report needs to know of a conversion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// The offer.
    pub offer_id: OfferId,
    /// Its advertiser.
    pub advertiser_id: AdvertiserId,
    /// Who is paid.
    pub affiliate_id: AffiliateId,
    /// The campaign.
    pub campaign_id: Option<CampaignId>,
    /// The creative of the click.
    pub creative_id: CreativeId,
    /// What kind of conversion.
    pub event_id: EventId,
    /// Where it stands.
    pub status: ConversionStatus,
    /// What decided the payout.
    pub payout_source: PriceSource,
    /// The currency of its amounts.
    pub currency: Currency,
    /// The affiliate's sub ids.
    pub sub_ids: [String; 5],
    /// The visitor's country, or empty.
    pub country: String,
    /// The visitor's kind of device.
    pub device: String,
    /// The family of its operating system, or empty.
    pub os: String,
    /// The family of its browser, or empty.
    pub browser: String,
    /// The host of the page the visitor came from, or empty.
    pub referrer_host: String,
    /// Why the click went where it went, by name.
    pub disposition: String,
    /// When its click was.
    pub click_date: Timestamp,
    /// When it happened.
    pub conversion_date: Timestamp,
    /// When it was first approved.
    pub approved_at: Option<Timestamp>,
    /// What the affiliate gets now.
    pub payout: Amount,
    /// What the advertiser owes now.
    pub revenue: Amount,
}

impl Fact {
    /// The time that counts.
    pub fn at(&self, clock: Clock) -> Option<Timestamp> {
        match clock {
            Clock::Conversion => Some(self.conversion_date),
            Clock::Click => Some(self.click_date),
            Clock::Approval => self.approved_at,
        }
    }

    /// What it has of an attribute.
    pub fn value(&self, attribute: Attribute) -> Value {
        match attribute {
            Attribute::Offer => Value::Id(self.offer_id.0),
            Attribute::Affiliate => Value::Id(self.affiliate_id.0),
            Attribute::Advertiser => Value::Id(self.advertiser_id.0),
            Attribute::Campaign => Value::Id(self.campaign_id.map_or(0, |it| it.0)),
            Attribute::Creative => Value::Id(self.creative_id.0),
            Attribute::SubId(at) => Value::text(&self.sub_ids[usize::from(at.min(4))]),
            Attribute::Country => Value::text(&self.country),
            Attribute::Device => Value::text(&self.device),
            Attribute::Os => Value::text(&self.os),
            Attribute::Browser => Value::text(&self.browser),
            Attribute::ReferrerHost => Value::text(&self.referrer_host),
            Attribute::Disposition => Value::text(&self.disposition),
            Attribute::Event => Value::Id(self.event_id.0),
            Attribute::Status => Value::text(self.status.name()),
            Attribute::PriceRule => Value::text(&price_rule_name(self.payout_source)),
        }
    }
}

/// How reports name what decided a payout: its scope, and of a rule its number and version
/// (`campaign rule 12 version 3`).
pub fn price_rule_name(source: PriceSource) -> String {
    match source.rule {
        None => source.scope.name().to_owned(),
        Some((id, version)) => format!("{} rule {} version {version}", source.scope.name(), id.0),
    }
}

/// The conversions of a group, in one currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConversionCounts {
    /// Waiting for a decision.
    pub pending: u64,
    /// Good.
    pub approved: u64,
    /// Never good.
    pub rejected: u64,
    /// Taken back.
    pub reversed: u64,
    /// Paid by nobody.
    pub ignored: u64,
    /// What affiliates get, in millionths.
    pub payout: i128,
    /// What advertisers owe, in millionths.
    pub revenue: i128,
    /// How long after their clicks those pending and approved came, together, in seconds.
    pub seconds: i128,
}

impl ConversionCounts {
    /// Adds a conversion that stands so.
    pub fn add(&mut self, status: ConversionStatus, payout: Amount, revenue: Amount, seconds: i64) {
        match status {
            ConversionStatus::Pending => self.pending += 1,
            ConversionStatus::Approved => self.approved += 1,
            ConversionStatus::Rejected => self.rejected += 1,
            ConversionStatus::Reversed => self.reversed += 1,
            ConversionStatus::Ignored => self.ignored += 1,
        }
        self.payout += i128::from(payout.micros());
        self.revenue += i128::from(revenue.micros());
        if matches!(status, ConversionStatus::Pending | ConversionStatus::Approved) {
            self.seconds += i128::from(seconds);
        }
    }

    /// Those pending and approved.
    pub fn conversions(&self) -> u64 {
        self.pending + self.approved
    }
}

impl Measure for ConversionCounts {
    fn is_empty(&self) -> bool {
        self.conversions() + self.rejected + self.reversed + self.ignored == 0
    }

    fn merge(&mut self, other: &Self) {
        self.pending += other.pending;
        self.approved += other.approved;
        self.rejected += other.rejected;
        self.reversed += other.reversed;
        self.ignored += other.ignored;
        self.payout += other.payout;
        self.revenue += other.revenue;
        self.seconds += other.seconds;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a known zone")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn labels(from: &str, until: &str, unit: TimeUnit, name: &str) -> Vec<String> {
        periods(at(from), at(until), Some(unit), &zone(name)).into_iter().map(|it| it.label).collect()
    }

    #[test]
    fn names_round_trip() {
        for attribute in Attribute::ALL {
            assert_eq!(attribute.name().parse(), Ok(attribute));
        }
        for unit in TimeUnit::ALL {
            assert_eq!(unit.name().parse(), Ok(unit));
        }
        for clock in Clock::ALL {
            assert_eq!(clock.name().parse(), Ok(clock));
        }
        assert_eq!("hour".parse::<Attribute>(), Err(UnknownAttribute));
    }

    #[test]
    fn a_day_has_as_many_hours_as_its_clocks_show() {
        // Clocks are put back: the hour from one comes twice, and both are told apart.
        let hours =
            labels("2026-11-01T04:00:00Z", "2026-11-01T08:00:00Z", TimeUnit::Hour, "America/New_York");
        assert_eq!(
            hours,
            [
                "2026-11-01T00:00:00-04:00",
                "2026-11-01T01:00:00-04:00",
                "2026-11-01T01:00:00-05:00",
                "2026-11-01T02:00:00-05:00"
            ]
        );
        // Clocks are put forward: an hour is missing.
        let hours =
            labels("2026-03-08T06:00:00Z", "2026-03-08T08:00:00Z", TimeUnit::Hour, "America/New_York");
        assert_eq!(hours, ["2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00"]);
        // Clocks that are put forward by half an hour: the hour from two is half as long, and is told apart.
        let hours =
            labels("2051-09-30T14:30:00Z", "2051-09-30T17:00:00Z", TimeUnit::Hour, "Australia/Lord_Howe");
        assert_eq!(
            hours,
            ["2051-10-01T01:00:00+10:30", "2051-10-01T02:00:00+11:00", "2051-10-01T03:00:00+11:00"]
        );
        let hours =
            labels("2051-04-01T14:00:00Z", "2051-04-01T16:30:00Z", TimeUnit::Hour, "Australia/Lord_Howe");
        assert_eq!(
            hours,
            ["2051-04-02T01:00:00+11:00", "2051-04-02T01:00:00+10:30", "2051-04-02T02:00:00+10:30"]
        );
        // Half hours off.
        let hours = labels("2026-01-01T18:30:00Z", "2026-01-01T20:30:00Z", TimeUnit::Hour, "Asia/Kolkata");
        assert_eq!(hours, ["2026-01-02T00:00:00+05:30", "2026-01-02T01:00:00+05:30"]);
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let weeks = labels("2026-10-25T00:00:00Z", "2026-11-09T00:00:00Z", TimeUnit::Week, "UTC");
        assert_eq!(weeks, ["2026-W43", "2026-W44", "2026-W45"]);
        let weeks = labels("2026-12-31T00:00:00Z", "2027-01-05T00:00:00Z", TimeUnit::Week, "UTC");
        assert_eq!(weeks, ["2026-W53", "2027-W01"]);
        let months = labels("2026-01-31T12:00:00Z", "2026-03-01T00:00:01Z", TimeUnit::Month, "UTC");
        assert_eq!(months, ["2026-01", "2026-02", "2026-03"]);
    }

    proptest! {
        #[test]
        fn periods_cover_the_range_without_gaps(
            start in 0_i64..3_000_000_000, length in 0_i64..40_000_000, nanos in 0_i32..1_000_000_000, unit in 0_usize..4,
            name in prop::sample::select(vec!["UTC", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"]),
        ) {
            let [from, until] = [start, start + length].map(|it| Timestamp::new(it, nanos).expect("in range"));
            let unit = TimeUnit::ALL[unit];
            let until = if unit == TimeUnit::Hour { until.min(from + 200.hours()) } else { until };
            let found = periods(from, until, Some(unit), &zone(name));
            prop_assert_eq!(found.first().map(|it| it.from), (from < until).then_some(from));
            prop_assert_eq!(found.last().map(|it| it.until), (from < until).then_some(until));
            for pair in found.windows(2) {
                prop_assert_eq!(pair[0].until, pair[1].from);
                // Only the first begins, and only the last ends, where the clocks are not at the full.
                let begin = pair[1].from.to_zoned(zone(name)).time();
                prop_assert_eq!((begin.second(), begin.subsec_nanosecond()), (0, 0));
                prop_assert_ne!(&pair[0].label, &pair[1].label);
            }
            for (place, period) in found.iter().enumerate() {
                prop_assert_eq!(period_of(&found, period.from), Some(place));
                prop_assert_eq!(period_of(&found, period.until - 1.nanosecond()), Some(place));
            }
            prop_assert_eq!(period_of(&found, until), None);
        }
    }

    #[test]
    fn the_host_of_a_referrer() {
        for (url, host) in [
            ("https://News.Example.org/a?b=c://d", "news.example.org"),
            ("http://user:secret@example.org:8080", "example.org"),
            ("https://[2001:db8::1]:443/x", "2001:db8::1"),
            ("android-app://com.example.reader/", "com.example.reader"),
            ("example.org/a", ""),
            ("", ""),
            ("https://", ""),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
