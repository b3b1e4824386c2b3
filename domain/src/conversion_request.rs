//! Reading a conversion call's texts into a [`ConversionCall`], the same for every door.

use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::conversion::ConversionCall;
use crate::details::{Details, Origin};
use crate::dialect::{self, CallField};
use crate::ids::{EventId, KeyId, OfferId};
use crate::money::Amount;
use crate::network::DEFAULT_EVENT;
use crate::order::{self, SentItem};
use crate::placeholder::is_placeholder;
use crate::time::DateInput;

/// The longest click id that is looked up, in characters.
pub const CLICK_ID_CHARS_MAX: usize = 100;
/// The longest `unique_id`, `order_id` or `adv` field, in characters: no shop's reference is longer,
/// and an index holds it whole.
pub const TEXT_CHARS_MAX: usize = 500;
/// How far ahead of the clock a conversion may be dated, in hours.
const AHEAD_HOURS: i64 = 24;

/// A parameter that cannot be used, by the name it was sent under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadParameter {
    /// The parameter.
    pub parameter: String,
    /// What is wrong with it; none means that it is missing.
    pub problem: Option<String>,
}

impl BadParameter {
    /// A parameter that is required and was not sent.
    pub fn missing(parameter: &str) -> Self {
        Self { parameter: parameter.to_owned(), problem: None }
    }

    /// A parameter whose value cannot be used.
    pub fn invalid(parameter: &str, problem: impl std::fmt::Display) -> Self {
        Self { parameter: parameter.to_owned(), problem: Some(problem.to_string()) }
    }

    /// The stable code, as the API answers it and the attempt keeps it.
    pub fn code(&self) -> &'static str {
        if self.problem.is_none() { "missing_parameter" } else { "invalid_parameter" }
    }

    /// In words, naming the parameter.
    pub fn message(&self) -> String {
        match &self.problem {
            None => format!("{} is required", self.parameter),
            Some(problem) => format!("{}: {problem}", self.parameter),
        }
    }
}

/// What a caller sent, as texts.
pub trait Parameters: Sync {
    /// The value of the parameter of that name (in lower case), if it was sent with one.
    fn get(&self, name: &str) -> Option<&str>;

    /// The line items of an order, where the call has the form for them.
    fn items(&self) -> &[SentItem] {
        &[]
    }
}

/// The circumstances of a call.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The key it came with; 0 where the door takes none.
    pub key_id: KeyId,
    /// When it arrived.
    pub now: Timestamp,
    /// The network's time zone.
    pub zone: &'a TimeZone,
    /// Where it came from.
    pub origin: Origin,
}

/// Which event a number or name means.
pub type EventOf<'e> = &'e dyn Fn(&str) -> Option<EventId>;

/// What a call says of its event. Which one that is depends on the offer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SentEvent {
    /// The number or name it gives.
    named: Option<String>,
    /// Words of other trackers that name an event only if one is called so.
    perhaps: Vec<String>,
}

impl SentEvent {
    /// The event it means, by number or name; none is an event nobody knows.
    pub fn resolve(&self, event_of: EventOf<'_>) -> Option<EventId> {
        match &self.named {
            Some(named) => event_of(named),
            None => Some(self.perhaps.iter().find_map(|word| event_of(word)).unwrap_or(DEFAULT_EVENT)),
        }
    }
}

/// Reads a call that names its click and its offer.
pub fn read(
    sent: &dyn Parameters,
    raw: String,
    circumstances: Circumstances<'_>,
) -> Result<ConversionCall, BadParameter> {
    let fields = Fields::of(sent);
    let click_id = fields.click_id()?.ok_or_else(|| BadParameter::missing("click_id"))?;
    let offer_id = fields.id(CallField::OfferId, "an offer id")?;
    let offer_id = offer_id.ok_or_else(|| BadParameter::missing("offer_id"))?;
    let Circumstances { now, zone, .. } = circumstances;
    let conversion_date = conversion_date(fields.find(CallField::ConversionDate)?, now, zone)?;
    let rest = fields.rest(raw, circumstances)?;
    Ok(ConversionCall { click_id, offer_id, conversion_date, ..rest })
}

/// The parameter that names the event of a call, as it was sent.
pub fn event_parameter(sent: &dyn Parameters) -> Option<&'static str> {
    dialect::find(CallField::Event, |name| sent.get(name)).map(|(name, _)| name)
}

/// What was sent, field by field. Placeholders that nobody replaced are no values.
pub(crate) struct Fields<'p>(&'p dyn Parameters);

pub(crate) type Found<'p> = Option<(&'static str, &'p str)>;

impl<'p> Fields<'p> {
    pub(crate) fn of(sent: &'p dyn Parameters) -> Self {
        Self(sent)
    }

    pub(crate) fn items(&self) -> &'p [SentItem] {
        self.0.items()
    }

    fn get(&self, name: &str) -> Option<&'p str> {
        self.0.get(name).filter(|value| !is_placeholder(value))
    }

    pub(crate) fn find(&self, field: CallField) -> Result<Found<'p>, BadParameter> {
        without_nul(dialect::find(field, |name| self.get(name)))
    }

    /// The value of a parameter that goes by one name only.
    pub(crate) fn named(&self, name: &'static str) -> Result<Found<'p>, BadParameter> {
        without_nul(self.get(name).map(|value| (name, value)))
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<String, BadParameter> {
        text(self.named(name)?)
    }

    pub(crate) fn text_of(&self, field: CallField) -> Result<String, BadParameter> {
        text(self.find(field)?)
    }

    pub(crate) fn click_id(&self) -> Result<Option<String>, BadParameter> {
        match self.find(CallField::ClickId)? {
            Some((name, value)) if value.chars().count() > CLICK_ID_CHARS_MAX => {
                let problem = format!("a click id has at most {CLICK_ID_CHARS_MAX} characters");
                Err(BadParameter::invalid(name, problem))
            }
            found => Ok(found.map(|(_, value)| value.to_owned())),
        }
    }

    pub(crate) fn id<Id: FromStr>(&self, field: CallField, what: &str) -> Result<Option<Id>, BadParameter> {
        let not_one = |name| BadParameter::invalid(name, format!("not {what}: use a whole number"));
        self.find(field)?.map(|(name, value)| value.parse().map_err(|_| not_one(name))).transpose()
    }

    /// A call of which only click and offer are not known yet, dated now.
    pub(crate) fn rest(
        &self,
        raw: String,
        circumstances: Circumstances<'_>,
    ) -> Result<ConversionCall, BadParameter> {
        let money = |field| self.find(field).and_then(amount);
        Ok(ConversionCall {
            key_id: circumstances.key_id,
            received_at: circumstances.now,
            click_id: String::new(),
            offer_id: OfferId(0),
            event: self.event()?,
            event_id: None,
            unique_id: self.text_of(CallField::UniqueId)?,
            order_id: self.text_of(CallField::OrderId)?,
            adv: self.adv()?,
            payout: money(CallField::Payout)?,
            revenue: money(CallField::Revenue)?,
            amount: money(CallField::Amount)?,
            received: money(CallField::Received)?,
            conversion_date: circumstances.now,
            batch_id: None,
            is_backfill: false,
            is_told: true,
            in_browser: false,
            fingerprints: Vec::new(),
            raw,
            details: Details {
                origin: circumstances.origin,
                user_id: self.text_of(CallField::UserId)?,
                device_key: self.text_of(CallField::DeviceKey)?,
                original_status: self.text_of(CallField::Status)?,
                order: order::read(self)?,
            },
        })
    }

    fn adv(&self) -> Result<[String; 5], BadParameter> {
        let mut adv: [String; 5] = Default::default();
        for (index, field) in (0..).zip(&mut adv) {
            *field = self.text_of(CallField::Adv(index))?;
        }
        Ok(adv)
    }

    /// What names the event. Status words and Binom's numbered parameters do so only perhaps.
    fn event(&self) -> Result<SentEvent, BadParameter> {
        if let Some((_, value)) = self.find(CallField::Event)? {
            return Ok(SentEvent { named: Some(value.to_owned()), perhaps: Vec::new() });
        }
        let is_name = |value: &&str| !value.bytes().all(|b| b.is_ascii_digit());
        let statuses = ["status", "cnv_status"].into_iter().filter_map(|name| self.get(name));
        let mut perhaps: Vec<_> = statuses.filter(is_name).map(str::to_owned).collect();
        perhaps.extend(dialect::numbered_events().filter(|name| self.get(name).is_some()));
        Ok(SentEvent { named: None, perhaps })
    }
}

/// Databases and other people's software disagree about NUL, so no value has one.
fn without_nul(found: Found<'_>) -> Result<Found<'_>, BadParameter> {
    match found {
        Some((name, value)) if value.contains('\0') => {
            Err(BadParameter::invalid(name, "a text has no NUL character"))
        }
        found => Ok(found),
    }
}

fn text(found: Found<'_>) -> Result<String, BadParameter> {
    match found {
        Some((name, value)) if value.chars().count() > TEXT_CHARS_MAX => {
            Err(BadParameter::invalid(name, format!("at most {TEXT_CHARS_MAX} characters")))
        }
        Some((_, value)) => Ok(value.to_owned()),
        None => Ok(String::new()),
    }
}

pub(crate) fn amount(found: Found<'_>) -> Result<Option<Amount>, BadParameter> {
    found.map(|(name, value)| value.parse().map_err(|error| BadParameter::invalid(name, error))).transpose()
}

fn conversion_date(found: Found<'_>, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, BadParameter> {
    let Some((name, value)) = found else { return Ok(now) };
    let date = DateInput::parse(value, zone).map_err(|error| BadParameter::invalid(name, error))?.start(zone);
    if date > now.saturating_add(AHEAD_HOURS.hours()).unwrap_or(now) {
        return Err(BadParameter::invalid(name, format!("at most {AHEAD_HOURS} hours ahead")));
    }
    Ok(date)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a test sends: parameters and line items.
    pub(crate) struct Sent<'s>(pub(crate) &'s [(&'s str, &'s str)], pub(crate) &'s [SentItem]);

    impl Parameters for Sent<'_> {
        fn get(&self, name: &str) -> Option<&str> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
        }

        fn items(&self) -> &[SentItem] {
            self.1
        }
    }

    const NOW: i64 = 1_780_000_000;
    static ZONE: TimeZone = TimeZone::UTC;

    pub(crate) fn circumstances() -> Circumstances<'static> {
        let now = Timestamp::from_second(NOW).expect("in range");
        Circumstances { key_id: KeyId(1), now, zone: &ZONE, origin: Origin::default() }
    }

    /// Two events, one of them called like a status and one like a parameter of Binom's.
    pub(crate) fn event_of(text: &str) -> Option<EventId> {
        match text {
            "1" | "Conversion" => Some(DEFAULT_EVENT),
            "7" | "sale" => Some(EventId(7)),
            "8" | "event3" => Some(EventId(8)),
            _ => None,
        }
    }

    fn call(sent: &[(&str, &str)]) -> Result<ConversionCall, BadParameter> {
        let call = read(&Sent(sent, &[]), String::new(), circumstances())?;
        Ok(ConversionCall { event_id: call.event.resolve(&event_of), ..call })
    }

    #[test]
    fn the_seeds_sample_is_read() {
        let call = call(&[
            ("click_id", "a1b2c3d4-e5f6-7890-abcd-ef1234567890"),
            ("offer_id", "12345"),
            ("payout", "18.00"),
            ("revenue", "22.00"),
            ("unique_id", "ORD-98765"),
        ])
        .expect("valid");
        assert_eq!(call.offer_id.0, 12345);
        assert_eq!(call.payout.map(|it| it.to_string()), Some("18.00".into()));
        assert_eq!(call.unique_id, "ORD-98765");
        assert_eq!(call.event_id, Some(DEFAULT_EVENT));
        assert_eq!(call.conversion_date.as_second(), NOW);
    }

    #[test]
    fn a_bad_parameter_is_named_as_it_was_sent() {
        let check = |sent: &[(&str, &str)], message: &str| {
            let mut all = vec![("click_id", "x"), ("offer_id", "1")];
            all.retain(|(name, _)| !sent.iter().any(|(other, _)| other == name));
            all.extend(sent.iter().filter(|(_, value)| !value.is_empty()));
            assert_eq!(call(&all).expect_err("invalid").message(), message);
        };
        check(&[("click_id", "")], "click_id is required");
        check(&[("offer_id", "")], "offer_id is required");
        check(&[("click_id", &"x".repeat(101))], "click_id: a click id has at most 100 characters");
        check(&[("offer_id", "one")], "offer_id: not an offer id: use a whole number");
        check(&[("payout", "-1")], "payout: an amount may not be negative");
        check(&[("ap", "x")], "ap: not an amount: use a plain decimal number such as 18.00");
        check(&[("t", &"x".repeat(501))], "t: at most 500 characters");
        check(&[("conversion_date", "2026-06-01")], "conversion_date: at most 24 hours ahead");
    }

    #[test]
    fn a_conversion_date_may_be_past_or_a_day_ahead() {
        for (date, ok) in
            [("1999-01-01", true), ("2026-05-29 20:26:39", true), ("2026-05-29 20:26:41", false)]
        {
            let sent = [("click_id", "x"), ("offer_id", "1"), ("conversion_date", date)];
            assert_eq!(call(&sent).is_ok(), ok, "{date}");
        }
    }

    #[test]
    fn an_event_goes_by_number_and_name_and_others_words_only_if_one_is_called_so() {
        let event = |sent: &[(&str, &str)]| {
            let named = [&[("click_id", "x"), ("offer_id", "1")], sent].concat();
            call(&named).expect("valid").event_id
        };
        assert_eq!(event(&[]), Some(DEFAULT_EVENT));
        assert_eq!(event(&[("e", "1")]), Some(DEFAULT_EVENT));
        assert_eq!(event(&[("event_id", "sale")]), Some(EventId(7)));
        assert_eq!(event(&[("e", "ld")]), None);
        assert_eq!(event(&[("e", "{event}")]), Some(DEFAULT_EVENT), "a placeholder");
        assert_eq!(event(&[("status", "sale")]), Some(EventId(7)));
        assert_eq!(event(&[("status", "approved"), ("cnv_status", "sale")]), Some(EventId(7)));
        assert_eq!(event(&[("status", "7")]), Some(DEFAULT_EVENT), "no name");
        assert_eq!(event(&[("status", "approved")]), Some(DEFAULT_EVENT));
        assert_eq!(event(&[("event2", "1")]), Some(DEFAULT_EVENT));
        assert_eq!(event(&[("event2", "1"), ("event3", "1")]), Some(EventId(8)));
        assert_eq!(event(&[("e", "1"), ("event3", "1"), ("status", "sale")]), Some(DEFAULT_EVENT));
        let named = |sent| event_parameter(&Sent(sent, &[]));
        assert_eq!(named(&[("et", "ld")]), Some("et"));
        assert_eq!(named(&[("status", "ld")]), None);
    }

    #[test]
    fn what_nobody_replaced_counts_as_empty() {
        let sent = [("click_id", "x"), ("o", "1"), ("t", "TRANSACTION_ID"), ("p", "#price#"), ("u", "{u}")];
        let found = call(&sent).expect("valid");
        assert_eq!((found.unique_id.as_str(), found.received, &*found.details.user_id), ("", None, ""));
        let both = call(&[&sent[..], &[("txid", "ORD-1")]].concat()).expect("valid");
        assert_eq!(both.unique_id, "ORD-1", "the next name counts");
        let missing = call(&[("click_id", "{click_id}"), ("offer_id", "1")]).expect_err("no click");
        assert_eq!(missing, BadParameter::missing("click_id"));
    }

    #[test]
    fn a_nul_character_is_refused_by_name() {
        for name in ["click_id", "unique_id", "order_id", "adv3", "u", "k", "cnv_status", "ecv", "e"] {
            let sent = [("click_id", "x"), ("offer_id", "1"), ("ect", "1")];
            let kept = sent.iter().filter(|(known, _)| *known != name).copied();
            let all: Vec<_> = kept.chain([(name, "a\0b")]).collect();
            assert_eq!(call(&all).expect_err(name).message(), format!("{name}: a text has no NUL character"));
        }
    }

    #[test]
    fn what_is_stored_beside_is_read() {
        let sent =
            [("click_id", "x"), ("o", "1"), ("u", "c-7"), ("k", "dev"), ("status", "hold"), ("ect", "5")];
        let details = call(&sent).expect("valid").details;
        let expected =
            r#"{"user_id":"c-7","device_key":"dev","original_status":"hold","order":{"total":5.00}}"#;
        assert_eq!(details.to_json(), expected);
    }
}
