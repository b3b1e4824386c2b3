//! A client: one call, one answer, nothing interpreted.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body as it came, if it is text.
    pub text: String,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The values of a header that may come more than once.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The code of a failure, or `""`.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Fails the test unless this is a success; then its JSON.
    pub fn success(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }
}

/// A client of one server, with one key.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    key: String,
}

impl Client {
    pub(crate) fn new(base: String, key: String) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
        Self { agent: config.into(), base, key }
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The same client with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// `GET` of an API endpoint, with the key.
    pub fn get(&self, endpoint: &str, params: &[(&str, &str)]) -> Answer {
        self.path(&format!(
            "/api/2/{endpoint}.json?{}",
            query(&[&[("api_key", self.key.as_str())], params].concat())
        ))
    }

    /// `POST` of a form to an API endpoint, with the key.
    pub fn post(&self, endpoint: &str, params: &[(&str, &str)]) -> Answer {
        let url = format!("{}/api/2/{endpoint}.json", self.base);
        let request = self.agent.post(url).header("X-Api-Key", &self.key);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        answer(request.send(query(params)))
    }

    /// `POST` of a JSON body to an API endpoint, with the key.
    pub fn post_json(&self, endpoint: &str, body: &str) -> Answer {
        let url = format!("{}/api/2/{endpoint}.json", self.base);
        let request = self.agent.post(url).header("Authorization", format!("Bearer {}", self.key));
        answer(request.header("Content-Type", "application/json").send(body))
    }

    /// `POST` of a file to an API endpoint, with the key.
    pub fn post_file(&self, endpoint: &str, params: &[(&str, &str)], file: &[u8]) -> Answer {
        let url = format!("{}/api/2/{endpoint}.json?{}", self.base, query(params));
        let request = self.agent.post(url).header("X-Api-Key", &self.key);
        answer(request.header("Content-Type", "text/csv").send(file))
    }

    /// `POST` of a body of any kind to any path, with the key.
    pub fn post_body(&self, path_and_query: &str, kind: &str, body: &[u8]) -> Answer {
        let request = self.agent.post(format!("{}{path_and_query}", self.base));
        answer(request.header("X-Api-Key", &self.key).header("Content-Type", kind).send(body))
    }

    /// `GET` of any path, as it stands.
    pub fn path(&self, path_and_query: &str) -> Answer {
        answer(self.agent.get(format!("{}{path_and_query}", self.base)).call())
    }

    /// `GET` of any path, with headers of its own.
    pub fn path_with(&self, path_and_query: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.agent.get(format!("{}{path_and_query}", self.base));
        answer(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).call())
    }

    /// `GET` of any path, on a host of that name.
    pub fn path_on(&self, host: &str, path_and_query: &str) -> Answer {
        answer(self.agent.get(format!("{}{path_and_query}", self.base)).header("Host", host).call())
    }

    /// `HEAD` of any path.
    pub fn head(&self, path_and_query: &str) -> Answer {
        answer(self.agent.head(format!("{}{path_and_query}", self.base)).call())
    }

    /// Follows a tracking link as far as its redirect and returns the click id in it.
    pub fn click(&self, path_and_query: &str) -> String {
        let sent = self.path(path_and_query);
        assert_eq!(sent.status, 302, "{}", sent.text);
        let location = sent.header("location").expect("a 302 has a location");
        location
            .split("click=")
            .nth(1)
            .expect("the sample's landing page")
            .split('&')
            .next()
            .unwrap_or_default()
            .to_owned()
    }
}

fn query(params: &[(&str, &str)]) -> String {
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    params
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = result.expect("the server answers");
    let headers = response.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let (status, headers) = (response.status().as_u16(), headers.collect());
    let body = response.body_mut().read_to_vec().expect("a whole body");
    Answer { status, headers, text: String::from_utf8_lossy(&body).into_owned() }
}
