//! The parameters of a call: query, form and JSON read into one list of names and texts, so that
//! every endpoint takes all three alike and every error can name its parameter.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use domain::conversion_request::{BadParameter, Parameters};
use domain::order::SentItem;
use domain::pricing::PRICE_TARGETS;
use domain::suppression::SuppressionKind;
use domain::targeting::TARGETS;
use domain::time::DateInput;
use jiff::tz::TimeZone;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Rows of a page where nothing is said.
const ROWS_DEFAULT: u32 = 100;
/// The field a key comes in.
pub(crate) const API_KEY: &str = "api_key";
/// The field that what a suppression list is to hold comes in.
pub(crate) const VALUES: &str = "values";

/// The field that says what their columns are here.
const MAP: &str = "map";
/// The field that names classes of rows.
pub(crate) const CLASSES: &str = "classes";

/// The line items of an order.
const ITEMS: &str = "items";
/// The most parameters of one call: several times as many as there are names, and few enough to be gone
/// through for each.
const PARAMS_MAX: usize = 256;

/// The parameters of one call, in the order they came, names in lower case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Params {
    params: Vec<Param>,
    items: Vec<SentItem>,
    /// JSON lists of a document: see [`Params::add_document`].
    lists: Vec<(String, Vec<Option<String>>)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Param {
    name: String,
    /// None is JSON's `null`.
    value: Option<String>,
}

/// Which rows of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Page {
    pub(crate) offset: u64,
    pub(crate) limit: u32,
}

impl Params {
    /// Adds the pairs of a query string or form.
    pub(crate) fn add_pairs(&mut self, text: &str) -> Result<(), BadParameter> {
        text.split('&').filter(|pair| !pair.is_empty()).try_for_each(|pair| self.add_pair(pair))
    }

    fn add_pair(&mut self, pair: &str) -> Result<(), BadParameter> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode_lossy(name);
        let value = decode(value).ok_or_else(|| BadParameter::invalid(&name, "not UTF-8"))?;
        self.add(&name, Some(value))
    }

    /// Reads a query string as far as it can be read: its parameters, and the first problem with them.
    pub(crate) fn read_query(text: &str) -> (Self, Option<BadParameter>) {
        let mut params = Self::default();
        let mut problem = None;
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let bad = params.add_pair(pair).err();
            problem = problem.or(bad);
        }
        (params, problem)
    }

    /// Adds the fields of a JSON object.
    pub(crate) fn add_json(&mut self, body: &[u8]) -> Result<(), BadParameter> {
        let fields: Fields<Value> = serde_json::from_slice(body)
            .map_err(|error| BadParameter::invalid("body", format!("not a JSON object: {error}")))?;
        for (name, value) in fields.0 {
            let value = match value {
                Value::Array(values) if name.eq_ignore_ascii_case(ITEMS) => {
                    // As text too, so that the call is kept as it came.
                    let text = serde_json::to_string(&values).expect("it was JSON");
                    self.items = items(values)?;
                    Some(text)
                }
                Value::Null => None,
                Value::Bool(flag) => Some(flag.to_string()),
                Value::Number(number) => Some(number.to_string()),
                Value::String(text) => Some(text),
                Value::Array(values) if takes_list(&name) => Some(list(&name, values)?),
                Value::Array(_) | Value::Object(_) => {
                    return Err(BadParameter::invalid(&name, "a text, number or true/false is expected"));
                }
            };
            self.add(&name, value)?;
        }
        Ok(())
    }

    /// Adds the fields of a JSON object that may hold lists, and what stands in its object `within`.
    pub(crate) fn add_document(&mut self, body: &[u8], within: &str) -> Result<(), BadParameter> {
        let fields: Fields<&RawValue> = serde_json::from_slice(body)
            .map_err(|error| BadParameter::invalid("body", format!("not a JSON object: {error}")))?;
        for (name, raw) in fields.0 {
            if name.eq_ignore_ascii_case(within) && raw.get().starts_with('{') {
                let inner: Fields<&RawValue> = serde_json::from_str(raw.get())
                    .map_err(|error| BadParameter::invalid(within, format!("not a JSON object: {error}")))?;
                for (name, raw) in inner.0 {
                    self.add_listed(&name, raw)?;
                }
            } else {
                self.add_listed(&name, raw)?;
            }
        }
        Ok(())
    }

    /// Adds a field of a document.
    fn add_listed(&mut self, name: &str, raw: &RawValue) -> Result<(), BadParameter> {
        let expected = || BadParameter::invalid(name, "a text, a number, or a list of these is expected");
        let scalar = |value: Value| match value {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(flag.to_string())),
            Value::Number(number) => Ok(Some(number.to_string())),
            Value::String(text) => Ok(Some(text)),
            Value::Array(_) | Value::Object(_) => Err(expected()),
        };
        match serde_json::from_str(raw.get()).map_err(|_| expected())? {
            Value::Array(values) => {
                let name = name.to_ascii_lowercase();
                if self.find(&name).is_some() || self.lists.iter().any(|(known, _)| *known == name) {
                    return Err(BadParameter::invalid(&name, "given twice, with different values"));
                }
                let values = values.into_iter().map(scalar).collect::<Result<_, _>>()?;
                self.lists.push((name, values));
                Ok(())
            }
            value => self.add(name, scalar(value)?),
        }
    }

    /// The values of a list: those of a JSON list, or what stands between the commas of a text. None where
    /// it is not there or empty.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<Option<&str>>> {
        self.listed(name).or_else(|| Some(self.get(name)?.split(',').map(|it| Some(it.trim())).collect()))
    }

    /// The same for values that may hold commas themselves: a text is one of them.
    pub(crate) fn list_of_texts(&self, name: &str) -> Option<Vec<Option<&str>>> {
        self.listed(name).or_else(|| Some(vec![Some(self.get(name)?)]))
    }

    fn listed(&self, name: &str) -> Option<Vec<Option<&str>>> {
        let (_, values) = self.lists.iter().find(|(known, _)| known == name)?;
        Some(values.iter().map(Option::as_deref).collect()).filter(|it: &Vec<_>| !it.is_empty())
    }

    /// The same again is harmless, something else under the same name is not.
    fn add(&mut self, name: &str, value: Option<String>) -> Result<(), BadParameter> {
        let name = name.to_ascii_lowercase();
        if self.lists.iter().any(|(known, _)| *known == name) {
            return Err(BadParameter::invalid(&name, "given twice, with different values"));
        }
        let is_full = self.params.len() == PARAMS_MAX;
        match self.params.iter_mut().find(|it| it.name == name) {
            Some(first) if first.value == value => {}
            // A column each, and a line each from then on.
            Some(first) if name == MAP => {
                let lines = [first.value.take().unwrap_or_default(), value.unwrap_or_default()];
                first.value = Some(lines.join("\n"));
            }
            Some(_) => return Err(BadParameter::invalid(&name, "given twice, with different values")),
            None if is_full => {
                return Err(BadParameter::invalid(&name, format!("more than {PARAMS_MAX} parameters")));
            }
            None => self.params.push(Param { name, value }),
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|it| it.name == name)
    }

    /// The value, unless it is empty or `null`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.find(name)?.value.as_deref().filter(|value| !value.is_empty())
    }

    /// The value, read.
    pub(crate) fn parse<T: FromStr>(&self, name: &str) -> Result<Option<T>, BadParameter>
    where
        T::Err: fmt::Display,
    {
        self.get(name)
            .map(|value| value.parse().map_err(|error| BadParameter::invalid(name, error)))
            .transpose()
    }

    /// The value, read, or an error that says it is missing.
    pub(crate) fn required<T: FromStr>(&self, name: &str) -> Result<T, BadParameter>
    where
        T::Err: fmt::Display,
    {
        self.parse(name)?.ok_or_else(|| BadParameter::missing(name))
    }

    /// The value as a change. Outer none: not mentioned; inner none: sent empty or `null`, to be emptied.
    pub(crate) fn change<T: FromStr>(&self, name: &str) -> Result<Option<Option<T>>, BadParameter>
    where
        T::Err: fmt::Display,
    {
        if self.clears(name) { Ok(Some(None)) } else { Ok(self.parse(name)?.map(Some)) }
    }

    /// A whole number, 0 to `max`.
    pub(crate) fn whole(&self, name: &str, max: u32) -> Result<Option<u32>, BadParameter> {
        let read = |value: &str| {
            let number = value.parse().ok().filter(|number| *number <= max);
            let problem = || format!("a whole number, 0 to {max}, is expected");
            number.ok_or_else(|| BadParameter::invalid(name, problem()))
        };
        self.get(name).map(read).transpose()
    }

    /// The number of an entity: a whole number.
    pub(crate) fn id<Id: FromStr>(&self, name: &str) -> Result<Option<Id>, BadParameter> {
        let read = |value: &str| {
            value.parse().map_err(|_| BadParameter::invalid(name, "a whole number is expected"))
        };
        self.get(name).map(read).transpose()
    }

    /// The number of an entity, or an error that says it is missing.
    pub(crate) fn required_id<Id: FromStr>(&self, name: &str) -> Result<Id, BadParameter> {
        self.id(name)?.ok_or_else(|| BadParameter::missing(name))
    }

    /// Present but empty or `null`: whoever sends that wants the field emptied.
    pub(crate) fn clears(&self, name: &str) -> bool {
        self.find(name).is_some_and(|it| it.value.as_deref().is_none_or(str::is_empty))
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, BadParameter> {
        let read = |value: &str| match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(BadParameter::invalid(name, "true or false is expected")),
        };
        self.get(name).map(read).transpose()
    }

    pub(crate) fn date(&self, name: &str, zone: &TimeZone) -> Result<Option<DateInput>, BadParameter> {
        let read = |value| DateInput::parse(value, zone).map_err(|error| BadParameter::invalid(name, error));
        self.get(name).map(read).transpose()
    }

    /// `start_at_row` and `row_limit`, the latter clamped to `rows_max`.
    pub(crate) fn page(&self, rows_max: u32) -> Result<Page, BadParameter> {
        let limit = match self.rows("row_limit")? {
            None | Some(0) => u64::from(ROWS_DEFAULT.min(rows_max)),
            Some(rows) => rows.min(u64::from(rows_max)),
        };
        let offset = self.rows("start_at_row")?.unwrap_or(0);
        Ok(Page { offset, limit: u32::try_from(limit).unwrap_or(rows_max) })
    }

    fn rows(&self, name: &str) -> Result<Option<u64>, BadParameter> {
        let read = |value: &str| {
            if value.bytes().all(|b| b.is_ascii_digit()) {
                // A number too long to hold is past every list's end.
                Ok(value.parse().unwrap_or(u64::MAX))
            } else {
                Err(BadParameter::invalid(name, "a whole number, 0 or more, is expected"))
            }
        };
        self.get(name).map(read).transpose()
    }

    /// An error that names the first parameter not in `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), BadParameter> {
        let known = |name: &str| name == API_KEY || known.contains(&name);
        let names = self.params.iter().map(|it| &it.name).chain(self.lists.iter().map(|(name, _)| name));
        match names.into_iter().find(|name| !known(name)) {
            Some(unknown) => Err(BadParameter::invalid(unknown, "unknown field")),
            None => Ok(()),
        }
    }

    /// The call as it came, as one query string, without its key and without what suppression lists know
    /// people by: of that only fingerprints are kept.
    pub(crate) fn raw(&self) -> String {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs = self.params.iter().filter(|it| is_kept(&it.name));
        let pairs = pairs
            .map(|it| format!("{}={}", encode(&it.name), encode(it.value.as_deref().unwrap_or_default())));
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// Whether a parameter of a call is kept with it.
pub(crate) fn is_kept(name: &str) -> bool {
    name != API_KEY && SuppressionKind::ALL.iter().all(|kind| kind.name() != name)
}

/// Whether a JSON list may stand for the values of a field.
fn takes_list(name: &str) -> bool {
    TARGETS.contains(&name) || PRICE_TARGETS.contains(&name) || name == VALUES || name == CLASSES
}

impl Parameters for Params {
    fn get(&self, name: &str) -> Option<&str> {
        self.get(name)
    }

    fn items(&self) -> &[SentItem] {
        &self.items
    }
}

/// The line items of an order, their values as texts.
fn items(values: Vec<Value>) -> Result<Vec<SentItem>, BadParameter> {
    let item = |value| {
        let Value::Object(mut fields) = value else {
            return Err(BadParameter::invalid(ITEMS, "a list of objects is expected"));
        };
        let mut text = |name: &str| match fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(BadParameter::invalid(ITEMS, format!("{name} is a text or a number"))),
        };
        Ok(SentItem {
            sku: text("sku")?,
            quantity: text("quantity")?,
            price: text("price")?,
            discount: text("discount")?,
        })
    };
    values.into_iter().map(item).collect()
}

/// A JSON list of texts and numbers, as forms send it: separated by commas.
fn list(name: &str, values: Vec<Value>) -> Result<String, BadParameter> {
    let text = |value| match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(BadParameter::invalid(name, "a list of texts or numbers is expected")),
    };
    Ok(values.into_iter().map(text).collect::<Result<Vec<_>, _>>()?.join(","))
}

/// A JSON object as a list, so that a name given twice is seen.
pub(crate) struct Fields<V>(pub(crate) Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Fields<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Object<V> {
            type Value = Fields<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<V>, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object(PhantomData))
    }
}

/// Decodes a query's `+` and `%41`. None when the result is not UTF-8.
fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Decodes a query's `+` and `%41`; what is not UTF-8 becomes U+FFFD.
pub(crate) fn decode_lossy(text: &str) -> String {
    if text.bytes().any(|b| matches!(b, b'+' | b'%')) {
        percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Params {
        let mut params = Params::default();
        params.add_pairs(text).expect("readable");
        params
    }

    fn json(text: &str) -> Result<Params, BadParameter> {
        let mut params = Params::default();
        params.add_json(text.as_bytes()).map(|()| params)
    }

    #[test]
    fn query_and_json_say_the_same() {
        let expected = query("Offer_ID=12&payout=18.00&flag=true&note=a+b%20c");
        let found = json(r#"{"offer_id": 12, "payout": 18.00, "flag": true, "note": "a b c"}"#);
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn numbers_keep_their_text() {
        let params = json(r#"{"payout": 0.10000000000000000001}"#).expect("readable");
        assert_eq!(params.get("payout"), Some("0.10000000000000000001"));
    }

    #[test]
    fn a_name_given_twice_must_mean_the_same() {
        assert!(query("a=1&a=1").get("a") == Some("1"));
        assert!(Params::default().add_pairs("a=1&A=2").is_err());
        assert!(json(r#"{"a": 1, "a": 2}"#).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let message = |found: Result<Params, BadParameter>| found.expect_err("refused").message();
        assert!(message(json("[1]")).starts_with("body: not a JSON object"));
        assert!(message(json("{")).starts_with("body: not a JSON object"));
        assert!(message(json(r#"{"payout": [1]}"#)).starts_with("payout:"));
        let mut params = Params::default();
        assert_eq!(params.add_pairs("s=%ff").expect_err("refused").message(), "s: not UTF-8");
        assert_eq!(query("nam=x").only(&["name"]).expect_err("refused").message(), "nam: unknown field");
    }

    #[test]
    fn what_rules_target_may_be_a_list() {
        let params = json(r#"{"country": ["US", "CA"], "asn": [7922], "os": []}"#).expect("readable");
        assert_eq!((params.get("country"), params.get("asn")), (Some("US,CA"), Some("7922")));
        assert!(params.clears("os"));
        assert!(json(r#"{"country": [["US"]]}"#).is_err());
    }

    #[test]
    fn the_fields_of_a_document_may_be_lists() {
        let mut params = Params::default();
        let body = br#"{"group_by": ["offer", "day"], "row_limit": 5, "filters": {"offer_id": [4, null], "sub_id_1": "a,b"}}"#;
        params.add_document(body, "filters").expect("readable");
        assert_eq!(params.list("group_by"), Some(vec![Some("offer"), Some("day")]));
        assert_eq!(params.list("offer_id"), Some(vec![Some("4"), None]));
        assert_eq!(params.list_of_texts("sub_id_1"), Some(vec![Some("a,b")]));
        assert_eq!(query("x=a, b").list("x"), Some(vec![Some("a"), Some("b")]));
        assert_eq!((params.list("metrics"), params.get("row_limit")), (None, Some("5")));
        let known = ["group_by", "row_limit", "offer_id"];
        assert_eq!(params.only(&known).expect_err("refused").message(), "sub_id_1: unknown field");
        for body in
            [r#"{"a": {}}"#, r#"{"a": [[1]]}"#, r#"{"a": [1], "A": 2}"#, r#"{"a": 2, "A": [1]}"#, "[]"]
        {
            assert!(Params::default().add_document(body.as_bytes(), "filters").is_err(), "{body}");
        }
    }

    #[test]
    fn line_items_are_read_and_kept_as_they_came() {
        let params = json(r#"{"Items": [{"sku": "A", "quantity": 2, "price": 9.90, "colour": "red"}, {}]}"#);
        let params = params.expect("readable");
        let first = SentItem {
            sku: Some("A".into()),
            quantity: Some("2".into()),
            price: Some("9.90".into()),
            discount: None,
        };
        assert_eq!(params.items(), [first, SentItem::default()]);
        assert!(params.raw().starts_with("items=%5B%7B%22sku%22"), "{}", params.raw());
        for text in [r#"{"items": [1]}"#, r#"{"items": [{"sku": ["A"]}]}"#, r#"{"items": {}}"#] {
            assert!(json(text).expect_err(text).message().starts_with("items: "), "{text}");
        }
    }

    #[test]
    fn a_query_is_read_as_far_as_it_can_be() {
        let (params, problem) = Params::read_query("t=%ff&o=1&o=2&f=pb");
        assert_eq!((params.get("o"), params.get("f")), (Some("1"), Some("pb")));
        assert_eq!(problem.expect("a problem").message(), "t: not UTF-8");
    }

    #[test]
    fn a_call_has_only_so_many_parameters() {
        let pairs = |count: usize| (0..count).map(|n| format!("p{n}=x&p0=x")).collect::<Vec<_>>().join("&");
        assert_eq!(query(&pairs(PARAMS_MAX)).params.len(), PARAMS_MAX);
        let refused = Params::default().add_pairs(&pairs(PARAMS_MAX + 1)).expect_err("too many");
        assert_eq!(refused.message(), "p256: more than 256 parameters");
    }

    #[test]
    fn pages_are_clamped() {
        let page = |text: &str| query(text).page(500);
        assert_eq!(page(""), Ok(Page { offset: 0, limit: 100 }));
        assert_eq!(page("row_limit=0"), Ok(Page { offset: 0, limit: 100 }));
        assert_eq!(page("row_limit=501&start_at_row=7"), Ok(Page { offset: 7, limit: 500 }));
        assert_eq!(page("row_limit=99999999999999999999"), Ok(Page { offset: 0, limit: 500 }));
        assert!(
            page("row_limit=-1").is_err() && page("start_at_row=-1").is_err() && page("row_limit=x").is_err()
        );
    }

    #[test]
    fn the_raw_call_holds_everything_but_the_key_and_the_visitor() {
        let people = "email=a@example.org&phone=123456&ip_address=192.0.2.1";
        let params = query(&format!("api_key=secret&unique_id=a%26b&{people}&x="));
        assert_eq!(params.raw(), "unique%5Fid=a%26b&x=");
    }
}
