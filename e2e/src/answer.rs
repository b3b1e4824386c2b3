//! An answer to an HTTP request, as it came.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// An answer to an HTTP request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("answers are UTF-8")
    }

    /// The body as JSON, its numbers as they were printed.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} is not JSON ({error}): {:?}", self.status, self.text()))
    }

    /// The body of a success; anything else fails the test.
    pub fn success(&self) -> Value {
        let body = self.json();
        assert_eq!((self.status, body["request_status"].as_str()), (200, Some("Success")), "{body}");
        body
    }

    /// The error of a refusal with that status and code, in exactly the promised envelope; anything
    /// else fails the test.
    pub fn refusal(&self, status: u16, code: &str) -> Value {
        let body = self.envelope();
        assert_eq!((self.status, body["error"]["code"].as_str()), (status, Some(code)), "{body}");
        body["error"].clone()
    }

    /// The body of any failure, in exactly the promised envelope.
    pub fn envelope(&self) -> Value {
        let body = self.json();
        let keys: Vec<_> = body.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["request_status", "error", "message"], "{body}");
        assert_eq!(body["request_status"], "Error");
        assert_eq!(body["error"]["message"], body["message"]);
        assert!(body["message"].as_str().is_some_and(|it| !it.is_empty()), "{body}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        body
    }

    /// The click id in the landing page's address, when this is a redirect to one.
    pub fn click_id(&self) -> Option<String> {
        let (_, query) = self.header("location")?.split_once('?')?;
        let id = query.split('&').find_map(|pair| pair.strip_prefix("click_id="))?;
        Some(percent_decode_str(id).decode_utf8().expect("UTF-8").into_owned())
    }
}
