//! `p.ashx`: conversions without a key, from pages and servers.

use ledger::Location;
use serde_json::Value;
use testkit::{Answer, TestServer};

/// What the attempts that named this click became: outcome and reason.
fn attempts(server: &TestServer, click_id: &str) -> Vec<(String, String)> {
    let ledger = Location::file(server.folder().join("ledger.sqlite")).open().expect("a ledger");
    let attempts = ledger.list_attempts(click_id).expect("listed");
    attempts.into_iter().map(|it| (it.outcome, it.reason)).collect()
}

fn outcomes(server: &TestServer, click_id: &str) -> Vec<String> {
    attempts(server, click_id).into_iter().map(|(outcome, _)| outcome).collect()
}

/// A postback with these parameters.
fn postback(server: &TestServer, params: &str) -> Answer {
    let answer = server.client.path(&format!("/p.ashx?f=pb&{params}"));
    assert_eq!(answer.status, 200, "{params}: {}", answer.text);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer
}

/// The conversion that a postback recorded.
fn recorded(server: &TestServer, params: &str) -> Value {
    let answer = postback(server, params);
    let number = answer.text.strip_prefix("SUCCESS ").unwrap_or_else(|| panic!("{params}: {}", answer.text));
    let number: u64 = number.trim().parse().expect("a number");
    let range = [("start_date", "2020-01-01"), ("end_date", "2030-01-01"), ("row_limit", "500")];
    let rows = server.client.get("conversions", &range).success();
    let rows = rows["conversions"].as_array().expect("a list").clone();
    let row = rows.into_iter().find(|row| row["conversion"]["conversion_id"] == number);
    row.expect("listed")["conversion"].clone()
}

/// Asserts that a postback is refused for this reason.
fn refused(server: &TestServer, params: &str, reason: &str) {
    let text = postback(server, params).text;
    assert!(text.starts_with(reason), "{params}: {text}");
    assert!(!text.to_ascii_uppercase().contains("SUCCESS"), "{params}: {text}");
}

fn metric(server: &TestServer, name: &str) -> String {
    let text = server.client.path("/metrics").text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.expect("a metric").to_owned()
}

/// Follows the sample's link as a browser does, and returns the click and the cookies.
fn browse(server: &TestServer, link: &str, cookies: &str) -> (String, String) {
    let sent = server.client.path_with(link, &[("Cookie", cookies)]);
    let location = sent.header("location").expect("sent on");
    let click = location.split("click=").nth(1).and_then(|it| it.split('&').next()).expect("a click");
    let set = sent.headers("set-cookie").filter_map(|it| it.split(';').next());
    (click.to_owned(), set.collect::<Vec<_>>().join("; "))
}

fn add_offer(server: &TestServer, advertiser_id: &str) -> String {
    let offer = [
        ("offer_name", "Other"),
        ("advertiser_id", advertiser_id),
        ("offer_url", "https://shop.example/?click={click_id}"),
        ("payout", "5"),
    ];
    let offer_id = server.client.post("offer", &offer).success()["offer"]["offer_id"].to_string();
    let campaign = [("offer_id", &*offer_id), ("affiliate_id", &server.sample.affiliate_id)];
    server.client.post("campaign", &campaign).success();
    offer_id
}

#[test]
fn a_postback_is_a_success_once_and_a_repeat_is_the_same_success() {
    let server = TestServer::start();
    let click = server.client.click(&server.sample.link());
    let params = format!("o=1&r={click}&t=ORD-1&p=61.00");
    let first = recorded(&server, &params);
    assert_eq!((first["payout"].to_string(), first["revenue"].to_string()), ("18.00".into(), "61.00".into()));
    assert_eq!(first["unique_id"], "ORD-1");
    assert_eq!(recorded(&server, &params), first);
    // Paths and names ignore case, and with a click the offer may be left out.
    let again = server.client.path(&format!("/P.ASHX?F=PB&R={click}&T=ORD-1"));
    assert_eq!(again.text, format!("SUCCESS {}\n", first["conversion_id"]));
    assert_eq!(outcomes(&server, &click), ["recorded", "repeated", "repeated"]);
    let other = server.client.click(&server.sample.link());
    refused(&server, &format!("r={other}&t=ORD-1"), "duplicate_conversion");
    assert_eq!(outcomes(&server, &other), ["duplicate_conversion"]);
}

#[test]
fn every_form_answers_200_and_only_text_says_why_not() {
    let server = TestServer::start();
    let click = server.client.click(&server.sample.link());
    let ask = |form: &str, rest: &str| {
        let answer = server.client.path(&format!("/p.ashx?{form}&{rest}"));
        assert_eq!(answer.status, 200, "{form} {rest}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer
    };
    for (form, kind, unique_id) in [
        ("f=img", "image/gif", "1"),
        ("f=js", "text/javascript; charset=utf-8", "2"),
        ("f=", "text/html; charset=utf-8", "3"),
        ("f=pb", "text/plain; charset=utf-8", "4"),
    ] {
        let taken = ask(form, &format!("r={click}&t={unique_id}"));
        let not = ask(form, "r=nobody&o=1");
        assert_eq!((taken.header("content-type"), not.header("content-type")), (Some(kind), Some(kind)));
        assert!(!not.text.contains("SUCCESS"), "{}", not.text);
        match form {
            "f=img" => assert!(taken.text.starts_with("GIF89a") && taken.text == not.text),
            "f=js" => assert_eq!((&*taken.text, &*not.text), ("", "// click_not_found: Click Not Found\n")),
            "f=" => assert!(taken.text.contains("<body></body>") && not.text.contains("Click Not Found")),
            _ => assert_eq!(taken.text, "SUCCESS 4\n"),
        }
    }
    assert_eq!(metric(&server, "crumb_conversions_recorded_total"), "4");
    assert_eq!(metric(&server, "crumb_conversions_refused_total"), "4");
    assert_eq!(outcomes(&server, "nobody"), ["click_not_found"; 4]);
    let hostile = ask("f=js", "%0Aalert(1)//=%ff&o=1").text;
    assert_eq!(hostile, "// invalid_parameter: ?alert(1)??: not UTF-8\n");
}

#[test]
fn what_is_refused_names_its_reason_and_leaves_an_attempt() {
    let server = TestServer::start();
    let click = server.client.click(&server.sample.link());
    refused(&server, "", "missing_parameter: o is required");
    refused(&server, "o=1", "click_not_found");
    refused(&server, "r=nobody", "click_not_found");
    refused(&server, &format!("r={click}&o=99"), "offer_not_found");
    refused(&server, &format!("r={click}&a=99"), "offer_mismatch");
    refused(&server, &format!("r={click}&et=ld"), "invalid_parameter: et: the offer has no such event");
    refused(&server, &format!("r={click}&ap=x"), "invalid_parameter: ap: not an amount");
    refused(&server, &format!("r={click}&t=a%00b"), "invalid_parameter: t: a text has no NUL character");
    refused(&server, &format!("r={click}&o=1&O=2"), "invalid_parameter: o: given twice");
    refused(&server, &format!("r={click}&ecsk=A"), "missing_parameter: ecqu is required");
    assert_eq!(outcomes(&server, &click).len(), 7);
    assert_eq!(outcomes(&server, "nobody"), ["click_not_found"]);
    assert_eq!(outcomes(&server, ""), ["missing_parameter", "click_not_found"]);
    assert_eq!(server.client.path(&format!("/p.ashx?r={click}&t={}", "x".repeat(9000))).status, 414);
    let head = server.client.head(&format!("/p.ashx?f=pb&r={click}"));
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(outcomes(&server, &click).len(), 7, "HEAD records nothing");
    recorded(&server, &format!("r={click}"));
}

#[test]
fn a_payout_without_a_key_is_ignored_and_placeholders_are_empty() {
    let server = TestServer::start();
    for placeholder in ["TRANSACTION_ID", "%23tid%23", "%7Btransaction_id%7D"] {
        let click = server.client.click(&server.sample.link());
        let conversion =
            recorded(&server, &format!("r={click}&t={placeholder}&ap=99&payout=98&p=%23price%23"));
        assert_eq!(conversion["unique_id"], "");
        assert_eq!(conversion["payout"].to_string(), "18.00");
        assert_eq!(conversion["revenue"].to_string(), "22.00");
    }
}

#[test]
fn an_advertiser_needs_no_offer_and_gets_only_its_own() {
    let server = TestServer::start();
    let other = server.client.post("advertiser", &[("advertiser_name", "Other")]).success();
    let other = other["advertiser"]["advertiser_id"].to_string();
    let click = server.client.click(&server.sample.link());
    refused(&server, &format!("a={other}&r={click}"), "offer_mismatch");
    assert_eq!(outcomes(&server, &click), ["offer_mismatch"]);
    assert_eq!(recorded(&server, &format!("a=1&r={click}"))["offer"]["offer_id"], 1);
}

#[test]
fn a_browser_is_known_by_its_cookie() {
    let server = TestServer::start();
    let other_offer = add_offer(&server, "1");
    let (first, cookies) = browse(&server, &server.sample.link(), "");
    let pixel = |query: &str, cookies: &str| {
        server.client.path_with(&format!("/p.ashx?f=pb&{query}"), &[("Cookie", cookies)]).text
    };
    assert!(pixel("o=1&t=1", &cookies).starts_with("SUCCESS"));
    assert_eq!(outcomes(&server, &first), ["recorded"]);
    // On another offer the browser has not been.
    assert!(pixel(&format!("o={other_offer}"), &cookies).starts_with("click_not_found"));
    // An advertiser's pixel means the offer that was clicked last.
    server.clock.advance_seconds(10);
    let link = format!("/?a=1&o={other_offer}");
    let (second, more) = browse(&server, &link, &cookies);
    let both = format!("{more}; {cookies}");
    assert!(pixel("a=1&t=2", &both).starts_with("SUCCESS"));
    assert_eq!(outcomes(&server, &second), ["recorded"]);
    assert!(pixel("a=2&t=3", &both).starts_with("click_not_found"));
    // First touch keeps its credit as long as its session lasts; then the last click has it.
    server.clock.advance_seconds(719 * 3600);
    let (third, later) = browse(&server, &server.sample.link(), &cookies);
    assert!(pixel("o=1&t=4", &later).starts_with("SUCCESS"));
    assert_eq!(outcomes(&server, &first), ["recorded", "recorded"]);
    server.clock.advance_seconds(3600);
    assert!(pixel("o=1&t=5", &later).starts_with("SUCCESS"));
    assert_eq!(outcomes(&server, &third), ["recorded"]);
}

#[test]
fn without_cookies_no_browser_is_known() {
    let server = TestServer::with(|config| config.tracking.cookie_days = 0);
    let click = server.client.click(&server.sample.link());
    let cookie = format!("crumb_offer_1={click}.{click}.1.1");
    let answer = server.client.path_with("/p.ashx?f=pb&o=1", &[("Cookie", &cookie)]);
    assert!(answer.text.starts_with("click_not_found"), "{}", answer.text);
}

#[test]
fn an_install_finds_the_newest_click_of_its_device_within_the_session() {
    let mut server = TestServer::start();
    let other_offer = add_offer(&server, "1");
    let link = server.sample.link();
    let first = server.client.click(&format!("{link}&udid=device-1"));
    server.clock.advance_seconds(60);
    let second = server.client.click(&format!("{link}&k=device-1"));
    server.client.click(&format!("{link}&udid=device-2"));
    recorded(&server, "o=1&k=device-1&t=1");
    assert_eq!(outcomes(&server, &second), ["recorded"]);
    refused(&server, &format!("o={other_offer}&k=device-1"), "click_not_found");
    refused(&server, "o=1&k=device-3", "click_not_found");
    server.clock.advance_seconds(60);
    let on_other = server.client.click(&format!("/?a=1&o={other_offer}&udid=device-1"));
    recorded(&server, "a=1&k=device-1&t=2");
    assert_eq!(outcomes(&server, &on_other), ["recorded"]);
    refused(&server, "a=2&k=device-1&t=3", "click_not_found");
    // A click id goes first, and what is found survives a restart.
    server.restart();
    recorded(&server, "o=1&k=device-1&t=4");
    recorded(&server, &format!("o=1&k=device-2&r={first}&t=5"));
    assert_eq!(outcomes(&server, &first), ["recorded"]);
    server.clock.advance_seconds(720 * 3600);
    refused(&server, "o=1&k=device-1&t=6", "click_not_found");
}

#[test]
fn one_address_may_call_only_so_often_in_every_form() {
    let server = TestServer::with(|config| {
        config.tracking.pixel_calls_per_second = 3;
        config.tracking.pixel_allow_list = vec!["203.0.113.0/24".into()];
        config.server.trusted_proxies = vec!["127.0.0.0/8".into()];
    });
    let ask = |form: &str, address: &str| {
        let url = format!("/p.ashx?f={form}&r=nobody&o=1");
        server.client.path_with(&url, &[("X-Forwarded-For", address)])
    };
    for _ in 0..3 {
        assert_eq!(ask("pb", "198.51.100.7").status, 200);
    }
    for form in ["pb", "img", "js", ""] {
        let limited = ask(form, "198.51.100.7");
        assert_eq!((limited.status, limited.header("retry-after")), (429, Some("1")), "{form}");
        assert!(!limited.text.contains("SUCCESS"));
    }
    assert_eq!(ask("pb", "198.51.100.8").status, 200, "another address");
    for _ in 0..9 {
        assert_eq!(ask("pb", "203.0.113.9").status, 200);
    }
    assert_eq!(outcomes(&server, "nobody").len(), 13, "what was not taken leaves no attempt");
    assert_eq!(metric(&server, "crumb_pixel_calls_limited_total"), "4");
    server.clock.advance_seconds(1);
    assert_eq!(ask("pb", "198.51.100.7").status, 200);
}

#[test]
fn conversions_may_be_taken_from_certain_addresses_only() {
    let server = TestServer::with(|config| {
        config.tracking.conversions_only_from = vec!["203.0.113.7".into(), "2001:db8::/32".into()];
        config.server.trusted_proxies = vec!["127.0.0.0/8".into()];
    });
    let click = server.client.click(&server.sample.link());
    let ask = |address: &str| {
        let url = format!("/p.ashx?f=pb&r={click}");
        server.client.path_with(&url, &[("X-Forwarded-For", address)]).text
    };
    assert!(ask("203.0.113.8").starts_with("not_permitted: conversions are not taken from this address"));
    assert_eq!(attempts(&server, &click), [("not_permitted".to_owned(), "from this address".to_owned())]);
    assert!(ask("2001:db8::1").starts_with("SUCCESS"));
    let by_key = [("click_id", &*click), ("offer_id", "1"), ("unique_id", "2")];
    server.client.get("conversion", &by_key).success();
}

#[test]
fn on_a_host_that_is_no_tracking_domain_nothing_is_recorded() {
    let server = TestServer::with(|config| config.tracking.domains = vec!["127.0.0.1".into()]);
    let click = server.client.click(&server.sample.link());
    let url = format!("/p.ashx?f=pb&r={click}");
    assert_eq!(server.client.path_on("other.example.com", &url).status, 404);
    assert_eq!(outcomes(&server, &click), [""; 0]);
    assert!(server.client.path(&url).text.starts_with("SUCCESS"));
}

#[test]
fn what_cannot_be_taken_is_503_in_every_form_and_recorded_by_the_next_call() {
    let server = TestServer::start();
    let click = server.client.click(&server.sample.link());
    let ledger = rusqlite::Connection::open(server.folder().join("ledger.sqlite")).expect("the ledger");
    ledger.execute_batch("ALTER TABLE conversions RENAME TO elsewhere").expect("broken");
    for form in ["pb", "img", "js", ""] {
        let answer = server.client.path(&format!("/p.ashx?f={form}&r={click}&t=1"));
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some("1")),
            "{form}: {}",
            answer.text
        );
        assert!(!answer.text.contains("SUCCESS"), "{}", answer.text);
    }
    ledger.execute_batch("ALTER TABLE elsewhere RENAME TO conversions").expect("mended");
    recorded(&server, &format!("r={click}&t=1"));
}
