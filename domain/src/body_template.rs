//! What a postback sends beside its URL: a form or a JSON text with tokens, each value encoded for where it
//! stands.

use std::borrow::Cow;

use thiserror::Error;

use crate::json_text;
use crate::token_values::is_number;
use crate::tokens::{Piece, Token, encode, pieces, suggestion};

/// The longest body that may be saved, in bytes.
pub const BODY_BYTES_MAX: usize = 8 * 1024;

/// What a body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyType {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
}

impl BodyType {
    /// Its name in a `Content-Type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Form => "application/x-www-form-urlencoded",
            Self::Json => "application/json",
        }
    }
}

/// Why a body cannot be saved.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadBody {
    /// Longer than [`BODY_BYTES_MAX`].
    #[error("a body may be at most {BODY_BYTES_MAX} bytes long")]
    TooLong,
    /// A token nobody knows.
    #[error("unknown token {written}{hint}", written = .0, hint = suggestion(.0))]
    UnknownToken(String),
    /// A token outside quotes whose values are not always numbers.
    #[error("put {0} in quotes: its values are texts")]
    BareText(String),
    /// A token where only a name, a sign of the text's structure or the rest of an escape may stand, or a quote
    /// that never ends.
    #[error("not JSON")]
    NotJson,
}

/// A body read into literal text and tokens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BodyTemplate {
    text: String,
    body_type: BodyType,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Literal(String),
    /// In a form.
    Encoded(Token),
    /// In a JSON string.
    Quoted(Token),
    /// A JSON value by itself.
    Bare(Token),
}

impl BodyTemplate {
    /// Reads a body. Whether JSON with sample values is JSON is for the caller to ask, of
    /// [`BodyTemplate::expand`]: reading JSON is not done here.
    pub fn parse(text: &str, body_type: BodyType) -> Result<Self, BadBody> {
        if text.len() > BODY_BYTES_MAX {
            return Err(BadBody::TooLong);
        }
        let parts = match body_type {
            BodyType::Form => form_parts(text)?,
            BodyType::Json => json_parts(text)?,
        };
        Ok(Self { text: text.to_owned(), body_type, parts })
    }

    /// The body as it was saved.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it is.
    pub fn body_type(&self) -> BodyType {
        self.body_type
    }

    /// The values it asks for, in the order they stand.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Encoded(token) | Part::Quoted(token) | Part::Bare(token) => Some(*token),
        })
    }

    /// The body with every token replaced by its value. A number that is not known is JSON's `null`.
    pub fn expand<'v>(&self, value: impl Fn(Token) -> Cow<'v, str>) -> String {
        let mut body = String::with_capacity(self.text.len() + 64);
        for part in &self.parts {
            match part {
                Part::Literal(text) => body.push_str(text),
                Part::Encoded(token) => body.push_str(&encode(&value(*token))),
                Part::Quoted(token) => {
                    let text = json_text::text(&value(*token));
                    body.push_str(&text[1..text.len() - 1]);
                }
                Part::Bare(token) => {
                    let number = value(*token);
                    body.push_str(if number.is_empty() { "null" } else { &number });
                }
            }
        }
        body
    }
}

fn form_parts(text: &str) -> Result<Vec<Part>, BadBody> {
    let part = |piece| match piece {
        Piece::Text(text) => Ok(Part::Literal(text.to_owned())),
        Piece::Token(token, _) => Ok(Part::Encoded(token)),
        Piece::Unknown(written) => Err(BadBody::UnknownToken(written.to_owned())),
    };
    pieces(text).map(part).collect()
}

fn json_parts(text: &str) -> Result<Vec<Part>, BadBody> {
    let (mut parts, mut place, mut rest) = (Vec::new(), Place::Outside, text);
    for piece in pieces(text) {
        let part = match piece {
            Piece::Unknown(written) => return Err(BadBody::UnknownToken(written.to_owned())),
            Piece::Text(text) => {
                place = place.after(text);
                Part::Literal(text.to_owned())
            }
            Piece::Token(token, written) => match place {
                Place::Inside => Part::Quoted(token),
                // What an escape begins, a value may not end.
                Place::Escape(_) => return Err(BadBody::NotJson),
                Place::Outside if !is_number(token) => return Err(BadBody::BareText(written.to_owned())),
                Place::Outside => {
                    let before = &text[..text.len() - rest.len()];
                    is_value(before, &rest[written.len()..])
                        .then_some(Part::Bare(token))
                        .ok_or(BadBody::NotJson)?
                }
            },
        };
        rest = &rest[piece.written().len()..];
        parts.push(part);
    }
    if place == Place::Outside { Ok(parts) } else { Err(BadBody::NotJson) }
}

/// Whether what stands between these is a value by itself: without one, `null` can stand there.
fn is_value(before: &str, after: &str) -> bool {
    let before = before.trim_end().chars().next_back();
    let after = after.trim_start().chars().next();
    before.is_none_or(|c| matches!(c, ':' | ',' | '[')) && after.is_none_or(|c| matches!(c, ',' | ']' | '}'))
}

/// Where in a JSON text something stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// In no string.
    Outside,
    /// In a string.
    Inside,
    /// In a string, within an escape that takes so many more characters.
    Escape(u8),
}

impl Place {
    fn after(self, text: &str) -> Self {
        text.chars().fold(self, |place, c| match (place, c) {
            (Self::Outside, '"') => Self::Inside,
            (Self::Outside, _) | (Self::Inside, '"') => Self::Outside,
            (Self::Inside, '\\') => Self::Escape(1),
            // The first character of an escape says how long it is; `u` takes four more.
            (Self::Escape(1), 'u') => Self::Escape(5),
            (Self::Escape(left), _) if left > 2 => Self::Escape(left - 1),
            (Self::Inside | Self::Escape(_), _) => Self::Inside,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::example::Example;

    fn json(text: &str) -> BodyTemplate {
        BodyTemplate::parse(text, BodyType::Json).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn expanded(template: &BodyTemplate, value: &str) -> String {
        template.expand(|token| if is_number(token) { "18.00".into() } else { value.to_owned().into() })
    }

    #[test]
    fn a_body_is_text_and_tokens_in_every_style() {
        let template =
            json(r##"{"c": "#reqid#", "p": {payout}, "all": ["[[s1]]-{s2}", {payout}, {amount}]}"##);
        assert_eq!(expanded(&template, "x"), r#"{"c": "x", "p": 18.00, "all": ["x-x", 18.00, 18.00]}"#);
        let tokens: Vec<_> = template.tokens().collect();
        let (first, second) = (Token::SubId(0), Token::SubId(1));
        assert_eq!(tokens, [Token::ClickId, Token::Payout, first, second, Token::Payout, Token::Amount]);
        let form = BodyTemplate::parse("c={click_id}&p=#price#&x=a+b", BodyType::Form).expect("a form");
        assert_eq!(expanded(&form, "a b&c=é"), "c=a%20b%26c%3D%C3%A9&p=18.00&x=a+b");
        assert_eq!((form.as_str(), form.body_type()), ("c={click_id}&p=#price#&x=a+b", BodyType::Form));
    }

    #[test]
    fn a_number_that_is_not_known_is_null() {
        let template = json(r#"[{campaign_id},"{campaign_id}"]"#);
        assert_eq!(template.expand(|_| "".into()), r#"[null,""]"#);
    }

    #[test]
    fn what_could_not_be_json_is_refused() {
        let check = |text: &str, expected: BadBody| {
            assert_eq!(BodyTemplate::parse(text, BodyType::Json), Err(expected), "{text}");
        };
        check(r#"{"a": {s1}}"#, BadBody::BareText("{s1}".into()));
        check(r#"{"a": #status#}"#, BadBody::BareText("#status#".into()));
        check(r#"{"a": "{s1}"#, BadBody::NotJson);
        check(r#"{"a": "b\"#, BadBody::NotJson);
        // A value may not end what an escape begins.
        for text in
            [r#"{"a": "\{s1}"}"#, r#"{"a": "\u{s1}"}"#, r#"{"a": "\u00{leadid}"}"#, r#"{"a": "\u004{s1}"}"#]
        {
            check(text, BadBody::NotJson);
        }
        // A number is a value by itself.
        for text in [
            r#"{"a": 1{payout}}"#,
            r"[-{payout}]",
            r"[{payout}0]",
            r"[{payout}{amount}]",
            r"{{payout}: 1}",
            r#"{"a":1,{payout}:1}"#,
        ] {
            check(text, BadBody::NotJson);
        }
        assert!(
            BodyTemplate::parse(r#"{"a": "\\{s1}", "b": "\u0041{s1}", "c": "\"{s1}"}"#, BodyType::Json)
                .is_ok()
        );
        assert!(BodyTemplate::parse(" {payout} ", BodyType::Json).is_ok());
    }

    #[test]
    fn unknown_tokens_are_refused_with_what_they_are_close_to() {
        for body_type in [BodyType::Form, BodyType::Json] {
            let error = BodyTemplate::parse(r#"["{affilate_id}"]"#, body_type).expect_err("refused");
            assert_eq!(error.to_string(), "unknown token {affilate_id}; did you mean {affiliate_id}?");
        }
    }

    #[test]
    fn a_body_has_a_longest_length() {
        let of = |bytes: usize| BodyTemplate::parse(&"a".repeat(bytes), BodyType::Form);
        assert!(of(BODY_BYTES_MAX).is_ok());
        assert_eq!(of(BODY_BYTES_MAX + 1), Err(BadBody::TooLong));
    }

    /// Texts that mean something to JSON or to forms.
    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[\"\\\\{}\\[\\]:,&=+%u0-9\\x00-\\x1f\u{2028}n ]{0,20}"]
    }

    proptest! {
        #[test]
        fn a_value_stays_inside_its_json_string(value in hostile(), before in "[a-z\\\\\"u0-9]{0,6}") {
            let Ok(template) =
                BodyTemplate::parse(&format!(r#"{{"a":"{before}{{s1}}-","b":[{{payout}}]}}"#), BodyType::Json)
            else {
                return Ok(());
            };
            // Whether the literal is JSON is asked with an example's values before a body is saved.
            let example = Example::default();
            let zone = jiff::tz::TimeZone::UTC;
            let sample = template.expand(|token| example.values(&zone).get(token));
            if serde_json::from_str::<Value>(&sample).is_err() {
                return Ok(());
            }
            let literal: String = serde_json::from_str(&format!("\"{before}\"")).expect("a string");
            let found: Value = serde_json::from_str(&expanded(&template, &value)).expect("still JSON");
            prop_assert_eq!(&found["a"], &Value::from(format!("{literal}{value}-")));
            prop_assert_eq!(found["b"][0].to_string(), "18.00");
        }

        #[test]
        fn a_value_stays_inside_its_field_of_a_form(value in hostile()) {
            let template = BodyTemplate::parse("a={s1}&b={s2}", BodyType::Form).expect("a form");
            let body = expanded(&template, &value);
            let found: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            prop_assert_eq!(found, [("a".to_owned(), value.clone()), ("b".to_owned(), value)]);
        }

        #[test]
        fn what_is_json_with_one_value_is_json_with_every_value(
            text in "[{}\\[\\]\":,a1 \\\\u#]{0,8}(\\{s1\\}|\\{payout\\})[{}\\[\\]\":,a1 \\\\u#]{0,8}",
            value in hostile(),
        ) {
            if let Ok(template) = BodyTemplate::parse(&text, BodyType::Json)
                && serde_json::from_str::<Value>(&expanded(&template, "sub-1")).is_ok()
            {
                prop_assert!(serde_json::from_str::<Value>(&expanded(&template, &value)).is_ok());
                prop_assert!(serde_json::from_str::<Value>(&template.expand(|_| "".into())).is_ok());
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
            let _ = BodyTemplate::parse(&text, BodyType::Json);
            let _ = BodyTemplate::parse(&text, BodyType::Form);
        }
    }
}
