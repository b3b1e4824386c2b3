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
    /// A token where only a name or a sign of the text's structure may stand, or a quote that never ends.
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
        let (mut parts, mut in_quotes) = (Vec::new(), false);
        for piece in pieces(text) {
            parts.push(match piece {
                Piece::Unknown(written) => return Err(BadBody::UnknownToken(written.to_owned())),
                Piece::Text(text) => {
                    in_quotes = ends_in_quotes(text, in_quotes);
                    Part::Literal(text.to_owned())
                }
                Piece::Token(token, _) if body_type == BodyType::Form => Part::Encoded(token),
                Piece::Token(token, _) if in_quotes => Part::Quoted(token),
                Piece::Token(token, _) if is_number(token) => Part::Bare(token),
                Piece::Token(_, written) => return Err(BadBody::BareText(written.to_owned())),
            });
        }
        if body_type == BodyType::Json && in_quotes {
            return Err(BadBody::NotJson);
        }
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

/// Whether a JSON text that began in a string, or not, ends in one.
fn ends_in_quotes(text: &str, began: bool) -> bool {
    let (mut in_quotes, mut is_escaped) = (began, false);
    for c in text.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if in_quotes => is_escaped = true,
            '"' => in_quotes = !in_quotes,
            _ => {}
        }
    }
    in_quotes
}
