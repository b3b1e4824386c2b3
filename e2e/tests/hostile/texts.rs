//! Legal texts that tempt a careless program come back exactly as they were sent.

use e2e::{Answer, encode};
use serde_json::{Value, json};

use crate::fixture::fixture;

/// Legal texts that tempt a careless program.
pub(crate) const TEXTS: [&str; 19] = [
    "plain",
    " leading and trailing ",
    "a+b c%20d%2Bd&e=f;g#h?i/j\\k",
    "'; DROP TABLE conversions; --",
    "\" OR \"\"=\"",
    "<script>alert(1)</script>&amp;&lt;",
    "\r\nSet-Cookie: stolen=1\r\n\r\n<html>",
    "line\nfeed\ttab\u{b}\u{c}\u{7f}",
    "nul\0inside",
    "\0",
    "😀👩‍👩‍👧‍👦🏴󠁧󠁢󠁷󠁬󠁳󠁿",
    "Ünïcödé ßẞ İı ﬁ",
    "e\u{301} \u{e9}",
    "\u{202e}right to left\u{202c}\u{200b}\u{feff}",
    "{click_id}#reqid#[[affid]]%7Baffid%7D",
    "${jndi:ldap://x}{{7*7}}%s%n",
    "../../../etc/passwd",
    "null",
    "\u{fffd}\u{10ffff}",
];

#[test]
fn legal_texts_of_a_conversion_come_back_verbatim() {
    let fixture = fixture();
    let offer_id = fixture.network.offer_id;
    // A conversion call with a NUL character is refused.
    let texts: Vec<_> = TEXTS.into_iter().filter(|text| !text.contains('\0')).collect();
    for text in &texts {
        let fields = ["unique_id", "order_id", "adv1", "adv2", "adv3", "adv4", "adv5"];
        let check = |answer: &Answer| {
            let conversion = answer.success()["conversion"].clone();
            for field in fields {
                assert_eq!(conversion[field], **text, "{field} of {conversion}");
            }
            conversion["conversion_id"].clone()
        };
        let click_id = fixture.server.click(&fixture.network.link);
        let pairs = fields.map(|field| format!("{field}={}", encode(text))).join("&");
        let pairs = format!("click_id={click_id}&offer_id={offer_id}&{pairs}");
        let mut object: serde_json::Map<_, _> =
            fields.iter().map(|field| ((*field).to_owned(), json!(text))).collect();
        object.insert("click_id".to_owned(), json!(click_id));
        object.insert("offer_id".to_owned(), json!(offer_id));
        // All three say the same, so they are the same conversion.
        let id = check(&fixture.api.get(&format!("conversion.json?{pairs}")));
        assert_eq!(check(&fixture.api.post_form("conversion.json", &pairs)), id);
        assert_eq!(check(&fixture.api.post_json("conversion.json", &Value::Object(object))), id);
    }
    let listed = fixture.api.get("conversions.json?start_date=2020-01-01&end_date=2099-01-01").success();
    assert_eq!(listed["total_rows"], texts.len());
    for (row, text) in listed["conversions"].as_array().expect("a list").iter().zip(texts) {
        for field in ["unique_id", "order_id", "adv1", "adv5"] {
            assert_eq!(row["conversion"][field], text);
        }
    }
    // As long as allowed, in the longest characters there are.
    let long = "😀".repeat(500);
    let answer = fixture.api.post_json(&fixture.call(""), &json!({ "unique_id": long, "adv1": long }));
    assert_eq!(answer.success()["conversion"]["unique_id"], long.as_str());
    fixture.is_healthy();
}

#[test]
fn legal_texts_of_a_click_come_back_verbatim_and_never_leave_unescaped() {
    let fixture = fixture();
    let link = &fixture.network.link;
    for text in TEXTS {
        let subs = ["s1", "s2", "s3", "s4", "s5"].map(|name| format!("&{name}={}", encode(text))).concat();
        let answer = fixture.server.connect().get(&format!("{link}{subs}")).expect("an answer");
        assert_eq!(answer.status, 302, "{text:?}");
        assert!(answer.header("set-cookie").is_some_and(|it| it.starts_with("crumb_visitor=")), "{text:?}");
        let location = answer.header("location").expect("a landing page");
        assert!(location.bytes().all(|b| b.is_ascii_graphic()), "{location}");
        let (_, s1) = location.rsplit_once("&s1=").expect("the landing page is told s1");
        let escaped = |b: u8| b.is_ascii_alphanumeric() || b"-._~%".contains(&b);
        assert!(s1.bytes().all(escaped), "{s1}");
        let click = fixture.api.click(&answer.click_id().expect("an id"));
        for name in ["sub_id_1", "sub_id_2", "sub_id_3", "sub_id_4", "sub_id_5"] {
            assert_eq!(click[name], text);
        }
    }
    let long = "x".repeat(8000);
    let click = fixture.api.click(&fixture.server.click(&format!("{link}&s1={long}")));
    assert_eq!(click["sub_id_1"], long.as_str());
    // What is no text at all becomes the replacement character; the visitor is sent on regardless.
    let click = fixture.api.click(&fixture.server.click(&format!("{link}&s1=a%ffb&s2=%c3%28")));
    assert_eq!((&click["sub_id_1"], &click["sub_id_2"]), (&json!("a\u{fffd}b"), &json!("\u{fffd}(")));
    let click = fixture.api.click(&fixture.server.click(&format!("{link}&s1=%&s2=%z&s3=%e2%82")));
    assert_eq!((&click["sub_id_1"], &click["sub_id_2"]), (&json!("%"), &json!("%z")));

    let request = |line: &str, agent: &[u8]| {
        let head = format!("GET {line} HTTP/1.1\r\nHost: crumb\r\nUser-Agent: ");
        [head.as_bytes(), agent, b"\r\nReferer: http://r.example/<b>?\xf0\x9f\x98\x80\r\n\r\n"].concat()
    };
    for (agent, shown) in [
        (&b"Mozilla/5.0 \xf0\x9f\x98\x80 \"quoted\""[..], "Mozilla/5.0 😀 \"quoted\""),
        (b"\xff\xfe", "\u{fffd}\u{fffd}"),
    ] {
        let answer = fixture.raw(&request(link, agent)).expect("an answer");
        let click = fixture.api.click(&answer.click_id().expect("an id"));
        assert_eq!(click["user_agent"], shown);
        assert_eq!(click["referrer"], "http://r.example/<b>?😀");
    }
    // Header values are cut where they are long, never in the middle of a character.
    let agent = "😀".repeat(1000);
    let answer = fixture.raw(&request(link, agent.as_bytes())).expect("an answer");
    let click = fixture.api.click(&answer.click_id().expect("an id"));
    assert!(agent.starts_with(click["user_agent"].as_str().expect("a text")));
    fixture.is_healthy();
}
