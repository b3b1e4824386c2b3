//! The postbacks that a buyer's browser carries, as the answer of our own pixel holds them: elements of a page,
//! or a script that makes such elements. None of them learns where it was loaded from, and a script runs in a
//! frame without an origin: it sees neither our cookies nor the shop's page.

use std::fmt::Write as _;

use app::HandedOut;
use domain::postback::PostbackType;
use serde_json::{Value, json};

/// What the page may load: what it was given, from anywhere, and no script of its own.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; img-src http: https: data:; frame-src http: https:; \
    script-src http: https:; connect-src http: https:; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'";

/// What every element says of itself.
const UNSEEN: &str = "width=\"1\" height=\"1\" style=\"display:none\" referrerpolicy=\"no-referrer\"";

/// As elements of a page.
pub(super) fn html(handed_out: &[HandedOut]) -> String {
    handed_out.iter().map(element).collect()
}

fn element(it: &HandedOut) -> String {
    let url = escaped(&it.url);
    match it.postback_type {
        PostbackType::Server => String::new(),
        PostbackType::Image => format!("<img alt=\"\" src=\"{url}\" {UNSEEN}>"),
        PostbackType::Iframe => format!("<iframe src=\"{url}\" {UNSEEN}></iframe>"),
        PostbackType::Script => {
            let page = escaped(&script_page(&it.url));
            format!("<iframe sandbox=\"allow-scripts\" srcdoc=\"{page}\" {UNSEEN}></iframe>")
        }
    }
}

/// The page that a script runs in.
fn script_page(url: &str) -> String {
    format!("<script referrerpolicy=\"no-referrer\" src=\"{}\"></script>", escaped(url))
}

/// As a script for somebody else's page; empty where nothing is handed out.
pub(super) fn script(handed_out: &[HandedOut]) -> String {
    /// Sets what an element is made of, hides it and adds it to the page.
    const MAKE: &str = "(function(d,list){list.forEach(function(it){var e=d.createElement(it[0]);\
        e.referrerPolicy=\"no-referrer\";e.width=e.height=1;e.style.display=\"none\";\
        for(var name in it[1])e.setAttribute(name,it[1][name]);\
        (d.body||d.documentElement).appendChild(e)})})";
    let made: Vec<Value> = handed_out.iter().filter_map(made).collect();
    if made.is_empty() {
        return String::new();
    }
    format!("{MAKE}(document,{});\n", literal(&Value::Array(made)))
}

/// An element as its name and its attributes.
fn made(it: &HandedOut) -> Option<Value> {
    let (name, attributes) = match it.postback_type {
        PostbackType::Server => return None,
        PostbackType::Image => ("img", json!({ "alt": "", "src": it.url })),
        PostbackType::Iframe => ("iframe", json!({ "src": it.url })),
        PostbackType::Script => {
            ("iframe", json!({ "sandbox": "allow-scripts", "srcdoc": script_page(&it.url) }))
        }
    };
    Some(json!([name, attributes]))
}

/// A value as JavaScript that can stand in a page too: JSON, without what ends a script or a line of one.
fn literal(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' | '>' | '&' | '\'' | '\u{2028}' | '\u{2029}' => {
                write!(text, "\\u{:04x}", u32::from(c)).expect("writing to a string");
            }
            c => text.push(c),
        }
    }
    text
}

/// A text as it can stand in an attribute's quotes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use domain::tokens::UrlTemplate;
    use proptest::prelude::*;

    use super::*;

    fn handed_out(postback_type: PostbackType, url: &str) -> HandedOut {
        HandedOut { postback_type, url: url.to_owned() }
    }

    /// What an attribute's text stands for.
    fn unescaped(text: &str) -> String {
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    #[test]
    fn each_kind_is_an_element_that_says_nothing_of_where_it_stands() {
        let check = |postback_type, expected: &str| {
            let html = html(&[handed_out(postback_type, "https://aff.example/?a=1&b='2'")]);
            assert_eq!(html.replace(UNSEEN, "…"), expected);
            assert!(html.is_empty() || html.contains(UNSEEN));
        };
        check(PostbackType::Image, "<img alt=\"\" src=\"https://aff.example/?a=1&amp;b=&#39;2&#39;\" …>");
        check(PostbackType::Iframe, "<iframe src=\"https://aff.example/?a=1&amp;b=&#39;2&#39;\" …></iframe>");
        check(
            PostbackType::Script,
            "<iframe sandbox=\"allow-scripts\" srcdoc=\"&lt;script referrerpolicy=&quot;no-referrer&quot; \
             src=&quot;https://aff.example/?a=1&amp;amp;b=&amp;#39;2&amp;#39;&quot;&gt;&lt;/script&gt;\" …></iframe>",
        );
        check(PostbackType::Server, "");
    }

    #[test]
    fn a_script_makes_the_same_elements_and_none_makes_no_script() {
        assert_eq!(script(&[]), "");
        assert_eq!(script(&[handed_out(PostbackType::Server, "https://aff.example/")]), "");
        let both = [
            handed_out(PostbackType::Image, "https://aff.example/?a=1&b=2"),
            handed_out(PostbackType::Script, "https://aff.example/x"),
        ];
        let text = script(&both);
        let list = text.split_once("(document,").and_then(|(_, it)| it.strip_suffix(");\n")).expect("a call");
        let list: Value = serde_json::from_str(list).expect("JSON is JavaScript");
        assert_eq!(
            list,
            json!([
                ["img", {"alt": "", "src": "https://aff.example/?a=1&b=2"}],
                ["iframe", {"sandbox": "allow-scripts", "srcdoc":
                    "<script referrerpolicy=\"no-referrer\" src=\"https://aff.example/x\"></script>"}],
            ])
        );
    }

    proptest! {
        /// Whatever a visitor's sub id is, expanded as URLs are; and, to be sure, as it is.
        #[test]
        fn nothing_leaves_its_attribute_or_its_literal(
            value in prop_oneof![any::<String>(), "[<>&'\"/\\\\ =a-z\u{2028}\u{2029}\n-]{0,30}"],
            expands: bool,
            kind in 1..4_usize,
        ) {
            let template = UrlTemplate::parse_called("https://aff.example/?s={s1}").expect("a url");
            let url =
                if expands { template.expand(|_| value.as_str().into()) } else { format!("https://{value}") };
            let postback_type = PostbackType::ALL[kind];
            let html = html(&[handed_out(postback_type, &url)]);
            prop_assert_eq!(html.matches('<').count(), if kind == 2 { 1 } else { 2 }, "{}", &html);
            let name = if postback_type == PostbackType::Script { " srcdoc=\"" } else { " src=\"" };
            let inside = html.split_once(name).and_then(|(_, it)| it.split_once('"')).expect("it").0;
            let inside = unescaped(inside);
            if postback_type == PostbackType::Script {
                let src = inside.strip_suffix("\"></script>").expect("an end");
                let src = src.strip_prefix("<script referrerpolicy=\"no-referrer\" src=\"").expect("a begin");
                prop_assert!(!src.contains(['<', '>', '"', '\'']), "{}", src);
                prop_assert_eq!(unescaped(src), url.clone());
            } else {
                prop_assert_eq!(inside, url.clone());
            }
            let script = script(&[handed_out(postback_type, &url)]);
            let text = script.split_once("(document,").expect("a call").1;
            prop_assert!(!text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{}", text);
            prop_assert_eq!(text.matches('\n').count(), 1, "{}", text);
            let list: Value = serde_json::from_str(&text[..text.len() - 3]).expect("JSON");
            if postback_type != PostbackType::Script {
                prop_assert_eq!(list[0][1]["src"].as_str(), Some(&*url));
            }
        }
    }
}
