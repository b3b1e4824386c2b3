//! Reading a conversion call's texts into a [`ConversionCall`], the same for every door.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::conversion::{ConversionCall, Door};
use crate::dialect::{self, CallField};
use crate::ids::{EventId, KeyId};
use crate::money::Amount;
use crate::network::{DEFAULT_EVENT, DEFAULT_EVENT_NAME};
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

    /// In words, naming the parameter.
    pub fn message(&self) -> String {
        match &self.problem {
            None => format!("{} is required", self.parameter),
            Some(problem) => format!("{}: {problem}", self.parameter),
        }
    }
}

/// The circumstances of a call.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The way it came in.
    pub door: Door,
    /// The key it came with.
    pub key_id: KeyId,
    /// When it arrived.
    pub now: Timestamp,
    /// The network's time zone.
    pub zone: &'a TimeZone,
}

/// Reads a call. `get` looks a parameter up by its name in lower case and knows only parameters that
/// were sent with a value.
pub fn read<'p>(
    get: impl Fn(&str) -> Option<&'p str>,
    raw: String,
    circumstances: Circumstances<'_>,
) -> Result<ConversionCall, BadParameter> {
    let Circumstances { door, key_id, now, zone } = circumstances;
    let find = |field| dialect::find(field, &get);
    let required = |field, name| find(field).ok_or_else(|| BadParameter::missing(name));
    let (click_name, click_id) = required(CallField::ClickId, "click_id")?;
    if click_id.chars().count() > CLICK_ID_CHARS_MAX {
        let problem = format!("a click id has at most {CLICK_ID_CHARS_MAX} characters");
        return Err(BadParameter::invalid(click_name, problem));
    }
    let (offer_name, offer_id) = required(CallField::OfferId, "offer_id")?;
    let not_an_id = |_| BadParameter::invalid(offer_name, "not an offer id: use a whole number");
    Ok(ConversionCall {
        door,
        key_id,
        received_at: now,
        address: String::new(),
        batch_id: None,
        is_backfill: false,
        fingerprints: Vec::new(),
        click_id: click_id.to_owned(),
        offer_id: offer_id.parse().map_err(not_an_id)?,
        event_id: event(find(CallField::Event)),
        unique_id: text(find(CallField::UniqueId))?,
        order_id: text(find(CallField::OrderId))?,
        adv: adv(find)?,
        payout: amount(find(CallField::Payout))?,
        revenue: amount(find(CallField::Revenue))?,
        amount: amount(find(CallField::Amount))?,
        received: amount(find(CallField::Received))?,
        conversion_date: conversion_date(find(CallField::ConversionDate), now, zone)?,
        raw,
    })
}

type Found<'p> = Option<(&'static str, &'p str)>;

fn text(found: Found<'_>) -> Result<String, BadParameter> {
    match found {
        Some((name, value)) if value.chars().count() > TEXT_CHARS_MAX => {
            Err(BadParameter::invalid(name, format!("at most {TEXT_CHARS_MAX} characters")))
        }
        Some((_, value)) => Ok(value.to_owned()),
        None => Ok(String::new()),
    }
}

fn adv<'p>(find: impl Fn(CallField) -> Found<'p>) -> Result<[String; 5], BadParameter> {
    let mut adv: [String; 5] = Default::default();
    for (index, field) in (0..).zip(&mut adv) {
        *field = text(find(CallField::Adv(index)))?;
    }
    Ok(adv)
}

fn amount(found: Found<'_>) -> Result<Option<Amount>, BadParameter> {
    found.map(|(name, value)| value.parse().map_err(|error| BadParameter::invalid(name, error))).transpose()
}

/// By number, then by name; none is an event nobody knows.
fn event(found: Found<'_>) -> Option<EventId> {
    match found {
        None => Some(DEFAULT_EVENT),
        Some((_, value)) if value.parse() == Ok(DEFAULT_EVENT) => Some(DEFAULT_EVENT),
        Some((_, value)) if value.eq_ignore_ascii_case(DEFAULT_EVENT_NAME) => Some(DEFAULT_EVENT),
        Some(_) => None,
    }
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
mod tests {
    use super::*;

    const NOW: i64 = 1_780_000_000;

    fn call(sent: &[(&str, &str)]) -> Result<ConversionCall, BadParameter> {
        let now = Timestamp::from_second(NOW).expect("in range");
        let get = |name: &str| sent.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        read(
            get,
            String::new(),
            Circumstances { door: Door::Api, key_id: KeyId(1), now, zone: &TimeZone::UTC },
        )
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
    fn the_default_event_goes_by_number_and_name() {
        let event =
            |value| call(&[("click_id", "x"), ("offer_id", "1"), ("e", value)]).expect("valid").event_id;
        assert_eq!(event("1"), Some(DEFAULT_EVENT));
        assert_eq!(event("conversion"), Some(DEFAULT_EVENT));
        assert_eq!(event("2"), None);
    }
}
