//! Writing JSON by hand: the canonical text of what a call carries. Reading JSON is for others.

use std::fmt::{Display, Write as _};

/// An object being written, field by field in the order of the calls.
pub(crate) struct JsonObject(String);

impl JsonObject {
    /// An object without fields yet.
    pub(crate) fn new() -> Self {
        Self(String::from("{"))
    }

    /// Adds a text, unless it is empty.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.name(name);
            write_text(&mut self.0, value);
        }
    }

    /// Adds a number or finished JSON, where there is one.
    pub(crate) fn plain(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.name(name);
            write!(self.0, "{value}").expect("writing to a string");
        }
    }

    /// Adds a list of finished JSON, unless it is empty.
    pub(crate) fn list(&mut self, name: &str, values: impl Iterator<Item = String>) {
        let values: Vec<String> = values.collect();
        self.plain(name, (!values.is_empty()).then(|| format!("[{}]", values.join(","))));
    }

    /// The finished object.
    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        write_text(&mut self.0, name);
        self.0.push(':');
    }
}

/// A text as JSON.
pub(crate) fn text(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    write_text(&mut out, value);
    out
}

fn write_text(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a string"),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_object_holds_what_there_is_in_order() {
        let mut object = JsonObject::new();
        object.text("b", "x\"\\\n");
        object.text("none", "");
        object.plain("a", Some(18));
        object.plain("none", None::<u8>);
        object.list("list", ["1".to_owned(), text("2")].into_iter());
        object.list("none", std::iter::empty());
        assert_eq!(object.finish(), "{\"b\":\"x\\\"\\\\\\u000a\",\"a\":18,\"list\":[1,\"2\"]}");
        assert_eq!(JsonObject::new().finish(), "{}");
    }

    proptest! {
        #[test]
        fn every_text_is_read_back_as_it_was(value in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&text(&value)).ok(), Some(value));
        }
    }
}
