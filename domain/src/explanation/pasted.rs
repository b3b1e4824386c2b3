//! What a URL that somebody pasted asks about: a conversion call as a shop makes it, or a postback as an
//! affiliate has got it.

use url::form_urlencoded;

use crate::conversion_request::{CLICK_ID_CHARS_MAX, TEXT_CHARS_MAX};
use crate::dialect::{CallField, find};
use crate::ids::{ClickId, ConversionId, OfferId};
use crate::placeholder::is_placeholder;

/// The names that a conversion's number goes by.
const CONVERSION_NAMES: [&str; 2] = ["conversion_id", "leadid"];
/// The paths of our own that take conversion calls, in lower case.
const OUR_PATHS: [&str; 2] = ["/conversion.json", "/p.ashx"];

/// What is asked about by a pasted URL. Whether the texts are ids of anything is another question.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pasted {
    /// The click.
    pub click_id: Option<String>,
    /// The transaction.
    pub unique_id: Option<String>,
    /// The order.
    pub order_id: Option<String>,
    /// The offer.
    pub offer_id: Option<OfferId>,
    /// The conversion.
    pub conversion_id: Option<ConversionId>,
}

impl Pasted {
    /// Reads a URL, or a query string alone. Of a conversion call all that it names counts; of a URL that is
    /// somebody else's, whose other parameters may mean anything, the best that there is: a value that has
    /// the form of a click id, else a conversion, else a transaction. None where there is nothing to ask about.
    pub fn read(text: &str) -> Option<Self> {
        let (path, query) = text.split_once('?').unwrap_or(("", text));
        let query = query.split('#').next().unwrap_or_default();
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .filter(|(_, value)| !value.is_empty() && !is_placeholder(value) && !value.contains('\0'))
            .collect();
        let get = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let text = |field, chars_max| {
            let (_, value) = find(field, get)?;
            (value.chars().count() <= chars_max).then(|| value.to_owned())
        };
        let number = CONVERSION_NAMES.iter().find_map(|name| get(name)?.parse().ok());
        let named = Self {
            click_id: text(CallField::ClickId, CLICK_ID_CHARS_MAX),
            unique_id: text(CallField::UniqueId, TEXT_CHARS_MAX),
            order_id: text(CallField::OrderId, TEXT_CHARS_MAX),
            offer_id: find(CallField::OfferId, get).and_then(|(_, value)| value.parse().ok()),
            conversion_id: None,
        };
        let path = path.to_ascii_lowercase();
        let is_ours = path.is_empty() || OUR_PATHS.iter().any(|it| path.ends_with(it));
        let read = if is_ours && (named.click_id.is_some() || named.unique_id.is_some()) {
            named
        } else {
            let is_click = |it: &&(String, String)| it.1.parse::<ClickId>().is_ok();
            match (pairs.iter().find(is_click), number) {
                (Some((_, id)), _) => Self { click_id: Some(id.clone()), ..Self::default() },
                (None, Some(id)) => Self { conversion_id: Some(id), ..Self::default() },
                (None, None) if named.unique_id.is_some() => {
                    Self { unique_id: named.unique_id, ..Self::default() }
                }
                (None, None) if named.order_id.is_some() => {
                    Self { order_id: named.order_id, ..Self::default() }
                }
                (None, None) => Self { click_id: named.click_id, ..Self::default() },
            }
        };
        (read != Self { offer_id: read.offer_id, ..Self::default() }).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLICK: &str = "019ee03c-2aa0-7001-8000-00c0ffeec0de";

    fn pasted(click: Option<&str>, unique_id: Option<&str>) -> Pasted {
        Pasted {
            click_id: click.map(str::to_owned),
            unique_id: unique_id.map(str::to_owned),
            ..Pasted::default()
        }
    }

    #[test]
    fn a_conversion_call_is_read_as_its_door_reads_it() {
        let offer = |id| Some(OfferId(id));
        let call = format!(
            "https://trk.example/api/2/conversion.json?api_key=s&click_id={CLICK}&offer_id=12&unique_id=A%2FB"
        );
        assert_eq!(
            Pasted::read(&call),
            Some(Pasted { offer_id: offer(12), ..pasted(Some(CLICK), Some("A/B")) })
        );
        let pixel = format!("http://trk.example:8080/P.ashx?O=12&R={CLICK}&T=ORD+1#x");
        assert_eq!(
            Pasted::read(&pixel),
            Some(Pasted { offer_id: offer(12), ..pasted(Some(CLICK), Some("ORD 1")) })
        );
        assert_eq!(Pasted::read("click_id=nonsense&o=x"), Some(pasted(Some("nonsense"), None)));
        assert_eq!(
            Pasted::read("/p.ashx?o=1&t=ORD-1"),
            Some(Pasted { offer_id: offer(1), ..pasted(None, Some("ORD-1")) })
        );
        assert_eq!(Pasted::read("/p.ashx?r={click_id}&t=#tid#&o=1"), None, "only an offer");
    }

    #[test]
    fn a_postback_is_read_by_the_best_that_it_has() {
        let check = |url: &str, expected: Option<Pasted>| assert_eq!(Pasted::read(url), expected, "{url}");
        check(&format!("https://aff.example/in?sub=9&x={CLICK}&o=77&t=5"), Some(pasted(Some(CLICK), None)));
        check(
            "https://aff.example/in?leadid=1042&txid=ORD-1",
            Some(Pasted { conversion_id: Some(ConversionId(1042)), ..Pasted::default() }),
        );
        check("https://aff.example/in?txid=ORD-1&o=77", Some(pasted(None, Some("ORD-1"))));
        check(
            "https://aff.example/in?order_id=9",
            Some(Pasted { order_id: Some("9".into()), ..Pasted::default() }),
        );
        check("https://aff.example/in?cid=abc", Some(pasted(Some("abc"), None)));
        for nothing in
            ["", "https://aff.example/", "https://aff.example/in?payout=18.00", "hello", "?", "&&="]
        {
            check(nothing, None);
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_no_id() {
        let long = "x".repeat(CLICK_ID_CHARS_MAX + 1);
        assert_eq!(Pasted::read(&format!("/p.ashx?r={long}&t=A")), Some(pasted(None, Some("A"))));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
            let _ = Pasted::read(&text);
        }
    }
}
