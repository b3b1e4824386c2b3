//! What may be wrong with a postback that can be saved: told before it is, never refused.

use std::fmt;

use crate::body_template::BodyTemplate;
use crate::delivery::is_secret;
use crate::tokens::{Token, UrlTemplate};

/// Something to look at again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Warning {
    /// Whoever is between can read and change it.
    NotEncrypted,
    /// The receiver cannot tell which of its clicks is meant.
    NoClickId,
    /// A parameter that is a secret by its name has its value in the URL.
    LiteralSecret(String),
    /// A parameter is there more than once: receivers differ on which counts.
    Repeated(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEncrypted => f.write_str("http: whoever is between can read and change it; use https"),
            Self::NoClickId => f.write_str(
                "no click id and no sub id: the receiver cannot tell which click converted; add {click_id}",
            ),
            Self::LiteralSecret(name) => write!(
                f,
                "{name}: a secret stands in the URL; whoever reads the URL has it. Signed calls need none"
            ),
            Self::Repeated(name) => {
                write!(f, "{name}: there more than once; receivers differ on which counts")
            }
        }
    }
}

/// What may be wrong with a postback of this URL and this body.
pub fn warnings(url: &UrlTemplate, body: Option<&BodyTemplate>) -> Vec<Warning> {
    let mut found = Vec::new();
    if url.authority().starts_with("http:") {
        found.push(Warning::NotEncrypted);
    }
    let of_body = body.into_iter().flat_map(BodyTemplate::tokens);
    // Affiliates hand their own click id in as a sub id.
    let tells = |token| matches!(token, Token::ClickId | Token::SubId(_));
    if !url.tokens().chain(of_body).any(tells) {
        found.push(Warning::NoClickId);
    }
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in parameters(url.as_str()) {
        let is_literal = UrlTemplate::lenient(value).is_ok_and(|it| it.tokens().next().is_none());
        if is_literal && !value.is_empty() && is_secret(name) {
            found.push(Warning::LiteralSecret(name.to_owned()));
        }
        let before = seen.iter().filter(|it| **it == name).count();
        seen.push(name);
        if before == 1 {
            found.push(Warning::Repeated(name.to_owned()));
        }
    }
    found
}

/// The parameters of a URL as it is written: a `#` may begin a token there.
fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter(|it| !it.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body_template::BodyType;

    fn told(url: &str) -> Vec<Warning> {
        warnings(&UrlTemplate::parse_called(url).expect("a url"), None)
    }

    #[test]
    fn what_may_be_wrong_is_told_and_what_is_well_is_not() {
        use Warning::{LiteralSecret, NoClickId, NotEncrypted, Repeated};
        for (url, expected) in [
            ("https://x.example/?c={click_id}&p={payout}", vec![]),
            ("https://x.example/?c=#s2#", vec![]),
            ("https://x.example/{click_id}?key={s1}&token=", vec![]),
            ("HTTP://x.example/?c={click_id}", vec![NotEncrypted]),
            ("https://x.example/?p={payout}", vec![NoClickId]),
            ("https://x.example/?c=#reqid#&api_key=s3cret", vec![LiteralSecret("api_key".into())]),
            (
                "https://x.example/?c={click_id}&c=1&a=1&a=2&a=3",
                vec![Repeated("c".into()), Repeated("a".into())],
            ),
            (
                "http://x.example/?pass=a&pass=b",
                vec![
                    NotEncrypted,
                    NoClickId,
                    LiteralSecret("pass".into()),
                    LiteralSecret("pass".into()),
                    Repeated("pass".into()),
                ],
            ),
        ] {
            assert_eq!(told(url), expected, "{url}");
        }
    }

    #[test]
    fn a_body_may_say_the_click() {
        let url = UrlTemplate::parse_called("https://x.example/").expect("a url");
        let body = |text| BodyTemplate::parse(text, BodyType::Json).expect("a body");
        assert_eq!(warnings(&url, Some(&body(r#"{"c": "{click_id}"}"#))), []);
        assert_eq!(warnings(&url, Some(&body(r#"{"c": 1}"#))), [Warning::NoClickId]);
    }

    #[test]
    fn a_warning_never_repeats_a_secret() {
        let warning = told("https://x.example/?c={click_id}&password=s3cret").remove(0).to_string();
        assert!(warning.starts_with("password: ") && !warning.contains("s3cret"), "{warning}");
    }
}
