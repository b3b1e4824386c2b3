//! A client of the API with a key: a fresh connection for each call.

use std::net::SocketAddr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::answer::Answer;
use crate::connection::Connection;

/// A caller of the API.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    key: String,
}

impl Client {
    /// A caller with that key.
    pub fn new(address: SocketAddr, key: &str) -> Self {
        Self { address, key: key.to_owned() }
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// `GET /api/2/{call}`, where the call is an endpoint with its query.
    pub fn get(&self, call: &str) -> Answer {
        self.send("GET", call, "", b"")
    }

    /// `POST /api/2/{call}` with a form.
    pub fn post_form(&self, call: &str, form: &str) -> Answer {
        self.send("POST", call, "application/x-www-form-urlencoded", form.as_bytes())
    }

    /// `POST /api/2/{call}` with a JSON body.
    pub fn post_json(&self, call: &str, json: &Value) -> Answer {
        self.send("POST", call, "application/json", json.to_string().as_bytes())
    }

    /// Any call, with any body. It is never answered with a failure of the server's own.
    pub fn send(&self, method: &str, call: &str, kind: &str, body: &[u8]) -> Answer {
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let head = format!(
            "{method} /api/2/{call} HTTP/1.1\r\nHost: crumb\r\nX-Api-Key: {}\r\n{kind}Content-Length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        let mut connection = Connection::open(self.address).expect("the server listens");
        let sent = connection.send(&[head.as_bytes(), body].concat());
        sent.unwrap_or_else(|error| panic!("{method} {call}: {error}"));
        let answer = connection.answer(method != "HEAD");
        let answer = answer.unwrap_or_else(|error| panic!("{method} {call}: {error}"));
        assert!(answer.status < 500, "{method} {call}: {} {}", answer.status, answer.text());
        answer
    }

    /// The click of that id, which must be there.
    pub fn click(&self, id: &str) -> Value {
        let body = self.get(&format!("click.json?click_id={}", encode(id))).success();
        assert_eq!(body["response"]["total_rows"], 1, "click {id} is gone");
        body["response"]["clicks"][0].clone()
    }
}

/// A text as it stands in a query or form.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
