//! Tokens in saved URLs: `#affid#`, `{affiliate_id}` and `[[affid]]` all name the same value. A URL
//! is read once, when it is saved or the network is loaded; expanding it is then only copying.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;

/// Everything but the unreserved characters of RFC 3986 is encoded in a token's value.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A value as it can stand in a URL's path or query, or in a form.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, ENCODED).to_string()
}

/// The longest URL that may be saved: what every browser and server still takes.
pub const URL_BYTES_MAX: usize = 2048;

/// A value that a URL can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Token {
    /// The affiliate's id.
    AffiliateId,
    /// The offer's id.
    OfferId,
    /// The campaign's id.
    CampaignId,
    /// The creative's id.
    CreativeId,
    /// A sub id, 0 to 4 for `s1` to `s5`.
    SubId(u8),
    /// The click's id.
    ClickId,
    /// The visitor's id, where there is a cookie.
    VisitorId,
    /// The device id of the link.
    Udid,
    /// The conversion's id.
    ConversionId,
    /// The advertiser's transaction id.
    UniqueId,
    /// The advertiser's order reference.
    OrderId,
    /// What the affiliate gets.
    Payout,
    /// The sale's total.
    Amount,
    /// The conversion's status.
    ConversionStatus,
    /// The event's id.
    EventId,
    /// An advertiser field, 0 to 4 for `adv1` to `adv5`.
    Adv(u8),
    /// The address the conversion call came from.
    ConversionIp,
    /// The address the click came from.
    ClickIp,
    /// When the conversion happened, in Unix seconds.
    UnixTime,
    /// When the conversion happened, as `2013-11-12T13:04:27.5670000`.
    ConversionTime,
}

/// Every name, with its token: CAKE's, the v2 names, and those of other trackers.
const NAMES: &[(&str, Token)] = &[
    ("affid", Token::AffiliateId),
    ("affiliate_id", Token::AffiliateId),
    ("oid", Token::OfferId),
    ("offer_id", Token::OfferId),
    ("campid", Token::CampaignId),
    ("campaign_id", Token::CampaignId),
    ("cid", Token::CreativeId),
    ("creative_id", Token::CreativeId),
    ("reqid", Token::ClickId),
    ("oreqid", Token::ClickId),
    ("reqsessid", Token::ClickId),
    ("click_id", Token::ClickId),
    ("transaction_id", Token::ClickId),
    ("clickid", Token::ClickId),
    ("subid", Token::ClickId),
    ("vstid", Token::VisitorId),
    ("udid", Token::Udid),
    ("leadid", Token::ConversionId),
    ("conversion_id", Token::ConversionId),
    ("tid", Token::UniqueId),
    ("txid", Token::UniqueId),
    ("invoiceid", Token::UniqueId),
    ("unique_id", Token::UniqueId),
    ("order_id", Token::OrderId),
    ("price", Token::Payout),
    ("payout", Token::Payout),
    ("amount", Token::Amount),
    ("status", Token::ConversionStatus),
    ("conversion_status", Token::ConversionStatus),
    ("event_id", Token::EventId),
    ("ip", Token::ConversionIp),
    ("sourceip", Token::ClickIp),
    ("utcunixtime", Token::UnixTime),
    ("sourcetime", Token::ConversionTime),
    ("sourcedate", Token::ConversionTime),
    ("adv_sub", Token::Adv(0)),
];

impl Token {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let listed = NAMES.iter().map(|(_, token)| *token);
        let numbered = (0..5).flat_map(|index| [Self::SubId(index), Self::Adv(index)]);
        let mut known = Vec::new();
        listed.chain(numbered).filter(move |token| {
            let is_new = !known.contains(token);
            known.push(*token);
            is_new
        })
    }

    /// What it stands for, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::AffiliateId => "the affiliate's id",
            Self::OfferId => "the offer's id",
            Self::CampaignId => "the campaign's id",
            Self::CreativeId => "the creative's id",
            Self::SubId(_) => "a sub id of the click",
            Self::ClickId => "the click's id",
            Self::VisitorId => "the id of the visitor's first click",
            Self::Udid => "the device id of the click",
            Self::ConversionId => "the conversion's id",
            Self::UniqueId => "the advertiser's transaction id",
            Self::OrderId => "the advertiser's order reference",
            Self::Payout => "what the affiliate gets",
            Self::Amount => "the sale's total",
            Self::ConversionStatus => "the conversion's status",
            Self::EventId => "the event's id",
            Self::Adv(_) => "a field of the advertiser",
            Self::ConversionIp => "the address the conversion call came from",
            Self::ClickIp => "the address the click came from",
            Self::UnixTime => "when it converted, in Unix seconds",
            Self::ConversionTime => "when it converted, in the network's time zone",
        }
    }

    /// Its first name: the API's, or CAKE's where the API has none.
    pub fn name(self) -> Cow<'static, str> {
        let name = match self {
            Self::AffiliateId => "affiliate_id",
            Self::OfferId => "offer_id",
            Self::CampaignId => "campaign_id",
            Self::CreativeId => "creative_id",
            Self::SubId(index) => return format!("sub_id_{}", index + 1).into(),
            Self::ClickId => "click_id",
            Self::VisitorId => "vstid",
            Self::Udid => "udid",
            Self::ConversionId => "conversion_id",
            Self::UniqueId => "unique_id",
            Self::OrderId => "order_id",
            Self::Payout => "payout",
            Self::Amount => "amount",
            Self::ConversionStatus => "conversion_status",
            Self::EventId => "event_id",
            Self::Adv(index) => return format!("adv{}", index + 1).into(),
            Self::ConversionIp => "ip",
            Self::ClickIp => "sourceip",
            Self::UnixTime => "utcunixtime",
            Self::ConversionTime => "sourcetime",
        };
        name.into()
    }

    /// The token of that name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let listed = NAMES.iter().find(|(known, _)| *known == name).map(|(_, token)| *token);
        listed
            .or_else(|| crate::dialect::sub_id_index(&name).map(Self::SubId))
            .or_else(|| numbered(&name, "adv").map(Self::Adv))
    }
}

/// 0 to 4 for `prefix1` to `prefix5`.
pub(crate) fn numbered(name: &str, prefix: &str) -> Option<u8> {
    match name.strip_prefix(prefix)?.as_bytes() {
        [digit @ b'1'..=b'5'] => Some(digit - b'1'),
        _ => None,
    }
}

/// Why a URL cannot be saved.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadUrl {
    /// Not an absolute http or https URL.
    #[error("not a URL: it must begin with http:// or https:// and name a host")]
    NotAUrl,
    /// A token stands in its scheme, host or port.
    #[error("tokens may not stand in the host: whom a URL calls is fixed when it is saved")]
    TokenInHost,
    /// Longer than [`URL_BYTES_MAX`].
    #[error("a URL may be at most {URL_BYTES_MAX} bytes long")]
    TooLong,
    /// A token nobody knows.
    #[error("unknown token {written}{hint}", written = .0, hint = suggestion(.0))]
    UnknownToken(String),
}

/// `; did you mean {affiliate_id}?` where a known name is close to what was written, in its brackets.
pub(crate) fn suggestion(written: &str) -> String {
    let Some((name, _)) = token_at(written) else { return String::new() };
    let lower = name.to_ascii_lowercase();
    let distance = |known: &String| strsim::osa_distance(&lower, known);
    let listed = NAMES.iter().map(|(known, _)| (*known).to_owned());
    let numbered = (1..=5).flat_map(|number| [format!("sub_id_{number}"), format!("adv{number}")]);
    match listed.chain(numbered).min_by_key(distance) {
        Some(known) if distance(&known) * 3 <= name.len() => {
            format!("; did you mean {}?", written.replace(name, &known))
        }
        _ => String::new(),
    }
}

/// A URL read into literal text and tokens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UrlTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Literal(String),
    Token(Token),
    /// Written like a token, and none.
    Unknown(String),
}

impl UrlTemplate {
    /// Reads an absolute http or https URL with its tokens.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        if text.len() > URL_BYTES_MAX {
            return Err(BadUrl::TooLong);
        }
        let parts = split(text);
        if let Some(unknown) = parts.iter().find_map(Part::unknown) {
            return Err(BadUrl::UnknownToken(unknown.to_owned()));
        }
        let sample: String = parts.iter().map(|part| part.sample("0")).collect();
        let url = url::Url::parse(&sample).map_err(|_| BadUrl::NotAUrl)?;
        let plain = text.bytes().all(|b| b > b' ' && b != 0x7f);
        let anonymous = url.username().is_empty() && url.password().is_none();
        if plain && matches!(url.scheme(), "http" | "https") && url.has_host() && anonymous {
            Ok(Self { text: text.to_owned(), parts })
        } else {
            Err(BadUrl::NotAUrl)
        }
    }

    /// Reads a URL that we call ourselves: whom it calls is fixed, only path, query and fragment have
    /// tokens.
    pub fn parse_called(text: &str) -> Result<Self, BadUrl> {
        let read = Self::parse(text)?;
        if read.authority_with("0") == read.authority_with("1") { Ok(read) } else { Err(BadUrl::TokenInHost) }
    }

    /// Scheme, host and port, in lower case, the port also where it is the usual one.
    pub fn authority(&self) -> String {
        self.authority_with("0").unwrap_or_default()
    }

    fn authority_with(&self, token: &str) -> Option<String> {
        let sample: String = self.parts.iter().map(|part| part.sample(token)).collect();
        let url = url::Url::parse(&sample).ok()?;
        Some(format!("{}://{}:{}", url.scheme(), url.host_str()?, url.port_or_known_default()?))
    }

    /// Whether a value is asked for.
    pub fn has(&self, token: Token) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Token(it) if *it == token))
    }

    /// The values it asks for, in the order they stand.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.parts.iter().filter_map(|part| if let Part::Token(token) = part { Some(*token) } else { None })
    }

    /// Reads a text that somebody else wrote: what is no known token stays as it is, and whether it is
    /// a URL is for the caller to judge, once it is expanded.
    pub fn lenient(text: &str) -> Result<Self, BadUrl> {
        if text.len() > URL_BYTES_MAX {
            return Err(BadUrl::TooLong);
        }
        Ok(Self { text: text.to_owned(), parts: split(text) })
    }

    /// The URL as it was saved.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL with every token replaced by its value, percent-encoded. A value that is not known
    /// at this point is the empty string.
    pub fn expand<'v>(&self, value: impl Fn(Token) -> Cow<'v, str>) -> String {
        let mut url = String::with_capacity(self.text.len() + 64);
        for part in &self.parts {
            match part {
                Part::Literal(text) | Part::Unknown(text) => url.push_str(text),
                Part::Token(token) => {
                    write!(url, "{}", utf8_percent_encode(&value(*token), ENCODED))
                        .expect("writing to a string");
                }
            }
        }
        url
    }
}

impl FromStr for UrlTemplate {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        Self::parse(text)
    }
}

impl Part {
    /// Literal text, its non-ASCII characters percent-encoded so that it can stand in a header.
    fn literal(text: &str) -> Self {
        const CONTROLS: &AsciiSet = &percent_encoding::CONTROLS.add(b'"').add(b'<').add(b'>');
        Self::Literal(utf8_percent_encode(text, CONTROLS).to_string())
    }

    /// What stands for the part while the whole is checked to be a URL.
    fn sample<'p>(&'p self, token: &'p str) -> &'p str {
        match self {
            Self::Literal(text) | Self::Unknown(text) => text,
            Self::Token(_) => token,
        }
    }

    fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(written) => Some(written),
            Self::Literal(_) | Self::Token(_) => None,
        }
    }
}

fn split(text: &str) -> Vec<Part> {
    pieces(text)
        .map(|piece| match piece {
            Piece::Text(text) => Part::literal(text),
            Piece::Token(token, _) => Part::Token(token),
            Piece::Unknown(written) => Part::Unknown(written.to_owned()),
        })
        .collect()
}

/// A piece of a text with tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Piece<'t> {
    /// Between tokens.
    Text(&'t str),
    /// A token, as written.
    Token(Token, &'t str),
    /// Written like a token, and none.
    Unknown(&'t str),
}

impl<'t> Piece<'t> {
    /// As it stands in the text.
    pub(crate) fn written(self) -> &'t str {
        match self {
            Self::Text(written) | Self::Token(_, written) | Self::Unknown(written) => written,
        }
    }
}

/// A text's pieces, in their order.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if let Some((name, written)) = token_at(rest) {
            rest = &rest[written.len()..];
            return Some(
                Token::from_name(name).map_or(Piece::Unknown(written), |it| Piece::Token(it, written)),
            );
        }
        let is_end = |at: &usize| token_at(&rest[*at..]).is_some();
        let end = rest.char_indices().map(|(at, _)| at).find(is_end).unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        rest = after;
        (!text.is_empty()).then_some(Piece::Text(text))
    })
}

/// A token at the very start of `text`: its name and how it is written.
fn token_at(text: &str) -> Option<(&str, &str)> {
    for (open, close) in [("#", "#"), ("{", "}"), ("[[", "]]")] {
        let Some(inner) = text.strip_prefix(open) else { continue };
        let length = inner.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        if length > 0 && inner[length..].starts_with(close) {
            return Some((&inner[..length], &text[..open.len() + length + close.len()]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expand(text: &str) -> String {
        UrlTemplate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).expand(|token| match token
        {
            Token::AffiliateId => "7".into(),
            Token::ClickId => "id-1".into(),
            Token::SubId(index) => format!("s{}&=", index + 1).into(),
            _ => "".into(),
        })
    }

    #[test]
    fn every_style_and_dialect_names_the_same_value() {
        for name in ["#affid#", "{affiliate_id}", "[[affid]]", "{AFFID}", "#Affiliate_Id#"] {
            assert_eq!(expand(&format!("https://x.example/?a={name}")), "https://x.example/?a=7");
        }
        for name in
            ["#reqid#", "#oreqid#", "#reqsessid#", "{click_id}", "{transaction_id}", "{clickid}", "[[subid]]"]
        {
            assert_eq!(expand(&format!("https://x.example/{name}")), "https://x.example/id-1", "{name}");
        }
        for name in ["#s2#", "{sub_id_2}", "{sub2}", "{aff_sub2}", "{t2}", "{c2}"] {
            assert_eq!(expand(&format!("https://x.example/{name}")), "https://x.example/s2%26%3D", "{name}");
        }
    }

    #[test]
    fn text_that_is_no_token_stays() {
        for (url, expected) in [
            ("https://x.example/#s1##s2#", "https://x.example/s1%26%3Ds2%26%3D"),
            ("https://x.example/#top", "https://x.example/#top"),
            ("https://x.example/?q={}&r=[x]&price=#price#", "https://x.example/?q={}&r=[x]&price="),
            ("https://x.example/ü", "https://x.example/%C3%BC"),
        ] {
            assert_eq!(expand(url), expected);
        }
    }

    #[test]
    fn unknown_tokens_and_other_schemes_are_refused() {
        let check = |url: &str, error: BadUrl| assert_eq!(UrlTemplate::parse(url), Err(error), "{url}");
        check("https://x.example/?a={affilate_id}", BadUrl::UnknownToken("{affilate_id}".into()));
        check("https://x.example/?a=#s6#", BadUrl::UnknownToken("#s6#".into()));
        check("https://x.example/?a=[[adv6]]", BadUrl::UnknownToken("[[adv6]]".into()));
        for url in [
            "",
            "/landing",
            "ftp://x.example/",
            "javascript:alert(1)",
            "https://",
            "https://x example/",
            "https://x.example/\r\nSet-Cookie: a=b",
            "https://user@x.example/",
            "https://:password@x.example/",
        ] {
            check(url, BadUrl::NotAUrl);
        }
        check(&format!("https://x.example/{}", "a".repeat(2048)), BadUrl::TooLong);
    }

    #[test]
    fn whom_a_called_url_calls_is_fixed() {
        let check = |text: &str, expected: Result<(), BadUrl>| {
            assert_eq!(UrlTemplate::parse_called(text).map(drop), expected, "{text}");
        };
        for text in [
            "https://{s1}.example/",
            "https://x.example{s1}/",
            "https://{s1}",
            "https:{s1}",
            "https://127.0.0.{oid}/",
            "https://0x{oid}/",
            "https://x.%3{oid}.example/",
            "https://x.example:{s1}/",
            "https://x.example:8{oid}/",
            "https://x.example:{oid}443/",
            "https://x.example:443{oid}",
        ] {
            check(text, Err(BadUrl::TokenInHost));
        }
        for text in [
            // No host ends in a number, unless all of it is one.
            "https://x.example.{s1}",
            "{s1}://x.example/",
            "http{s1}://x.example/",
            "https://{s1}@x.example/",
            "https://:{s1}@x.example/",
        ] {
            check(text, Err(BadUrl::NotAUrl));
        }
        check("https://x.example/?a={affilate_id}", Err(BadUrl::UnknownToken("{affilate_id}".into())));
        for text in [
            "https://x.example/{s1}",
            "https://x.example?{s1}",
            "https://x.example/#{s1}",
            "https://x.example\\{s1}",
            "https://x.example:8443/{s1}:{s2}@{s3}",
            "http://[2001:db8::1]/{s1}",
        ] {
            check(text, Ok(()));
        }
    }

    #[test]
    fn an_authority_is_the_same_however_it_is_written() {
        let of = |text: &str| UrlTemplate::parse_called(text).expect("a url").authority();
        assert_eq!(of("https://X.Example/{s1}"), "https://x.example:443");
        assert_eq!(of("http://x.example:80?{s1}"), "http://x.example:80");
        assert_eq!(of("http://x.example:8080"), "http://x.example:8080");
        assert_eq!(of("http://[2001:DB8:0::1]/"), "http://[2001:db8::1]:80");
    }

    #[test]
    fn every_token_is_listed_once_and_has_a_name() {
        let all: Vec<_> = Token::all().collect();
        assert_eq!(all.len(), 28);
        for (place, token) in all.iter().enumerate() {
            assert!(!all[..place].contains(token), "{token:?}");
            assert_eq!(Token::from_name(&token.name()), Some(*token));
            assert!(!token.meaning().is_empty());
        }
    }

    #[test]
    fn an_unknown_token_that_is_close_to_a_known_one_is_told_so() {
        let check = |written: &str, meant: Option<&str>| {
            let error = UrlTemplate::parse(&format!("https://x.example/?a={written}")).expect_err("refused");
            let meant = meant.map(|it| format!("; did you mean {it}?")).unwrap_or_default();
            assert_eq!(error.to_string(), format!("unknown token {written}{meant}"));
        };
        check("{affilate_id}", Some("{affiliate_id}"));
        check("#clikc_id#", Some("#click_id#"));
        check("[[PAYUOT]]", Some("[[payout]]"));
        check("{offerid}", Some("{offer_id}"));
        check("{subid_3}", Some("{sub_id_3}"));
        check("{visitor}", None);
        check("#s6#", None);
        check("{x}", None);
        check("{____}", None);
    }

    proptest! {
        #[test]
        fn no_unknown_token_makes_the_suggestion_panic(name in "[A-Za-z0-9_]{1,60}", style in 0..3usize) {
            let [open, close] = [["#", "#"], ["{", "}"], ["[[", "]]"]][style];
            let written = format!("{open}{name}{close}");
            if let Err(error) = UrlTemplate::parse(&format!("https://x.example/{written}")) {
                let told = error.to_string();
                prop_assert!(told.starts_with(&format!("unknown token {written}")), "{}", told);
            }
        }

        #[test]
        fn a_value_never_leaves_unescaped(value in "\\PC{0,30}") {
            let template = UrlTemplate::parse("https://x.example/?s={s1}&end").expect("a url");
            let url = template.expand(|_| value.as_str().into());
            let inner = &url["https://x.example/?s=".len()..url.len() - "&end".len()];
            prop_assert!(inner.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            let decoded = percent_encoding::percent_decode_str(inner).decode_utf8().expect("utf-8");
            prop_assert_eq!(decoded.as_ref(), value.as_str());
        }

        #[test]
        fn pieces_are_the_text_and_no_two_texts_stand_side_by_side(text in "[a-z#{}\\[\\]_0-9é]{0,60}") {
            let pieces: Vec<_> = pieces(&text).collect();
            let joined: String = pieces.iter().map(|it| it.written()).collect();
            prop_assert_eq!(joined, text.clone());
            let is_text = |it: &Piece<'_>| matches!(it, Piece::Text(_));
            prop_assert!(pieces.windows(2).all(|two| !(is_text(&two[0]) && is_text(&two[1]))));
            for piece in pieces {
                if let Piece::Text(text) = piece {
                    prop_assert!(text.char_indices().all(|(at, _)| token_at(&text[at..]).is_none()));
                }
            }
        }

        #[test]
        fn no_value_changes_whom_a_called_url_calls(
            text in "https://[a-z0-9.:\\[\\]#{}@/\\\\]{1,30}",
            value in "\\PC{0,20}",
        ) {
            if let Ok(template) = UrlTemplate::parse_called(&text) {
                let expanded = template.expand(|_| value.as_str().into());
                let url = url::Url::parse(&expanded).expect("still a URL");
                let found =
                    format!("{}://{}:{}", url.scheme(), url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
                prop_assert_eq!(found, template.authority());
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
            let _ = UrlTemplate::parse(&text);
        }
    }
}
