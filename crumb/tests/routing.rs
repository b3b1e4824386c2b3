//! Where clicks go: rules, caps, schedules, pages, redirects, and what visitors' browsers remember.

use serde_json::Value;
use testkit::{Answer, TestServer};

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 \
                      (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1";
const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/120.0.0.0 Safari/537.36";

/// What a server records of a visitor, without a redirect: the click row and where it leads.
fn record(server: &TestServer, more: &str) -> Value {
    let body = format!(r#"{{"campaign_id": {}{more}}}"#, server.sample.campaign_id);
    server.client.post_json("record_click", &body).success()["click"].clone()
}

fn host(location: &str) -> &str {
    location.trim_start_matches("https://").split('/').next().unwrap_or_default()
}

/// The disposition of a click, and the host it was sent to.
fn sent(click: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&click["disposition"]), host(&text(&click["landing_url"])).to_owned())
}

fn is(click: &Value, disposition: &str, host: &str) {
    let found = sent(click);
    assert_eq!((&*found.0, &*found.1), (disposition, host));
}

fn make(server: &TestServer, endpoint: &str, params: &[(&str, &str)]) -> String {
    let noun = endpoint.trim_start_matches("update_");
    server.client.post(endpoint, params).success()[noun][format!("{noun}_id")].to_string()
}

fn offer(server: &TestServer) -> (&'static str, &str) {
    ("offer_id", &server.sample.offer_id)
}

fn last_click(server: &TestServer) -> Value {
    let listed = server.client.get("click", &[]).success();
    listed["response"]["clicks"].as_array().expect("a list").last().expect("a click").clone()
}

fn cookies(answer: &Answer) -> String {
    let pairs: Vec<_> = answer.headers("set-cookie").filter_map(|it| it.split(';').next()).collect();
    pairs.join("; ")
}

#[test]
fn rules_keep_out_whom_they_do_not_allow_and_the_click_keeps_what_was_tried() {
    let server =
        TestServer::with(|config| config.tracking.global_redirect = "https://global.example/".into());
    let rule = |params: &[(&str, &str)]| make(&server, "rule", &[&[offer(&server)], params].concat());
    let country = rule(&[("rule_type", "allow"), ("country", "US,CA")]);
    rule(&[("rule_type", "block"), ("device", "desktop"), ("redirect_url", "https://desktop.example/")]);
    rule(&[("rule_type", "block"), ("bot", "true")]);
    rule(&[("rule_type", "block"), ("sub_id_1", "bad*")]);
    rule(&[("rule_type", "block"), ("referrer", "*.spam.example"), ("os", "iOS")]);

    is(&record(&server, r#", "country": "US""#), "accepted", "shop.example");
    is(&record(&server, r#", "country": "DE""#), "geo_blocked", "global.example");
    is(&record(&server, ""), "geo_blocked", "global.example");
    let desktop = format!(r#", "country": "CA", "user_agent": "{WINDOWS}""#);
    is(&record(&server, &desktop), "device_blocked", "desktop.example");
    let bot = r#", "country": "US", "user_agent": "Googlebot/2.1 (+http://www.google.com/bot.html)""#;
    is(&record(&server, bot), "bot", "global.example");
    is(&record(&server, r#", "country": "US", "s1": "bad-1""#), "rule_blocked", "global.example");
    let from =
        format!(r#", "country": "US", "referrer": "https://x.spam.example/a", "user_agent": "{IPHONE}""#);
    let click = record(&server, &from);
    is(&click, "rule_blocked", "global.example");
    assert_eq!(
        (&click["device"], &click["os"], &click["browser"]),
        (&"mobile".into(), &"iOS".into(), &"Mobile Safari".into())
    );
    let tried = click["rules_tried"].as_array().expect("a list");
    assert_eq!(tried.len(), 5);
    assert_eq!(tried[0]["rule_id"].to_string(), country);
    assert_eq!((&tried[0]["outcome"], &tried[4]["outcome"]), (&"passed".into(), &"blocked".into()));
    let stored =
        server.client.get("click", &[("click_id", click["click_id"].as_str().expect("an id"))]).success();
    assert_eq!(stored["response"]["clicks"][0]["rules_tried"], click["rules_tried"]);

    // A change is in force for the very next click, as a new version.
    server.client.post("update_rule", &[("rule_id", &country), ("country", "DE")]).success();
    let click = record(&server, r#", "country": "DE""#);
    is(&click, "accepted", "shop.example");
    assert_eq!(click["rules_tried"][0]["rule_version"], 2);
}

#[test]
fn a_click_cap_is_never_one_over_under_concurrency_and_survives_a_restart() {
    let mut server = TestServer::with(|config| {
        config.server.workers = 4;
        config.tracking.global_redirect = "https://global.example/".into();
    });
    let limit = 40;
    let link = server.sample.link();
    // Clicks before the cap count too.
    for _ in 0..5 {
        server.client.click(&link);
    }
    let cap = make(
        &server,
        "cap",
        &[offer(&server), ("cap_type", "click"), ("interval", "daily"), ("limit", "40")],
    );
    let used = |server: &TestServer| {
        server.client.get("caps", &[("cap_id", &cap)]).success()["caps"][0]["used"].clone()
    };
    assert_eq!(used(&server), 5);
    let follow = |server: &TestServer, clicks: usize| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let client = server.client.clone();
                    let link = &link;
                    scope.spawn(move || {
                        let hosts = (0..clicks).map(|_| {
                            let sent = client.path(link);
                            host(sent.header("location").expect("sent")).to_owned()
                        });
                        hosts.filter(|host| host == "shop.example").count()
                    })
                })
                .collect();
            threads.into_iter().map(|it| it.join().expect("no panic")).sum::<usize>()
        })
    };
    assert_eq!(follow(&server, 3), 24);
    server.restart();
    assert_eq!(used(&server), 29);
    assert_eq!(follow(&server, 3), limit - 29);
    assert_eq!(used(&server), 40);
    let rows = server.client.get("click", &[("row_limit", "10000")]).success()["response"]["clicks"].clone();
    let dispositions = rows.as_array().expect("a list").iter().map(|it| it["disposition"].as_str());
    let accepted = dispositions.clone().filter(|it| *it == Some("accepted")).count();
    let capped = dispositions.filter(|it| *it == Some("capped")).count();
    assert_eq!((accepted, capped), (40, 13));

    // More room, at once; and a new day begins anew.
    server.client.post("update_cap", &[("cap_id", &cap), ("limit", "41")]).success();
    assert_eq!(follow(&server, 1), 1);
    server.clock.advance_seconds(24 * 3600);
    assert_eq!(used(&server), 0);
    server.client.post("update_cap", &[("cap_id", &cap), ("limit", "0"), ("at_cap", "stop")]).success();
    assert_eq!(server.client.path(&link).status, 404);
    assert_eq!(last_click(&server)["disposition"], "capped");
    server.client.post("update_cap", &[("cap_id", &cap), ("cap_status", "deleted")]).success();
    server.client.click(&link);
}

#[test]
fn a_campaigns_cap_is_its_own_and_a_look_takes_nothing() {
    let server = TestServer::start();
    let campaign = ("campaign_id", &*server.sample.campaign_id);
    let params = [campaign, ("cap_type", "click"), ("interval", "overall"), ("limit", "1")];
    let cap = make(&server, "cap", &params);
    for _ in 0..3 {
        assert_eq!(server.client.head(&server.sample.link()).status, 302);
    }
    server.client.click(&server.sample.link());
    assert_eq!(server.client.head(&server.sample.link()).status, 404);
    assert_eq!(server.client.get("caps", &[("cap_id", &cap)]).success()["caps"][0]["used"], 1);
}

#[test]
fn outside_its_hours_an_offer_takes_no_clicks() {
    let server = TestServer::start();
    // The test begins on a Friday at 14:30 UTC.
    let check = |schedule: &str, zone: &str, disposition: &str| {
        let params = [offer(&server), ("schedule", schedule), ("time_zone", zone)];
        server.client.post("update_offer", &params).success();
        assert_eq!(record(&server, "")["disposition"], disposition, "{schedule} {zone}");
    };
    check("mon-fri 09:00-18:00", "UTC", "accepted");
    check("mon-fri 09:00-14:00", "UTC", "not_scheduled");
    check("mon-fri 09:00-14:00", "America/New_York", "accepted");
    check("sat", "Pacific/Kiritimati", "accepted");
    let start = [offer(&server), ("schedule", ""), ("start_date", "2026-06-20")];
    server.client.post("update_offer", &start).success();
    assert_eq!(record(&server, "")["disposition"], "not_scheduled");
    server.clock.advance_seconds(24 * 3600);
    assert_eq!(record(&server, "")["disposition"], "accepted");
}

#[test]
fn refused_clicks_go_along_the_redirect_chain_and_conversions_follow_a_redirect_offer() {
    let server =
        TestServer::with(|config| config.tracking.global_redirect = "https://global.example/".into());
    let other = make(
        &server,
        "offer",
        &[
            ("offer_name", "Other"),
            ("advertiser_id", &server.sample.advertiser_id),
            ("offer_url", "https://other.example/?click={click_id}"),
            ("payout", "5"),
            ("revenue", "6"),
            ("redirect_offer_id", &server.sample.offer_id),
        ],
    );
    let change = |params: &[(&str, &str)]| {
        server.client.post("update_offer", &[&[offer(&server)], params].concat()).success();
    };
    change(&[("offer_status", "paused")]);
    is(&record(&server, ""), "offer_inactive", "global.example");
    change(&[("redirect_offer_id", &other)]);
    let click = record(&server, "");
    is(&click, "offer_inactive", "other.example");
    assert_eq!(click["redirect_offer_id"].to_string(), other);

    let click_id = click["click_id"].as_str().expect("an id");
    let refused = server.client.get("conversion", &[("click_id", click_id), offer(&server)]);
    assert_eq!((refused.status, &*refused.code()), (422, "offer_not_active"));
    let paid = server.client.get("conversion", &[("click_id", click_id), ("offer_id", &other)]).success();
    assert_eq!(paid["conversion"]["payout"].to_string(), "5.00");

    // Both are switched off now, and each redirects to the other.
    server.client.post("update_offer", &[("offer_id", &other), ("offer_status", "paused")]).success();
    is(&record(&server, ""), "offer_inactive", "global.example");
    let campaign =
        [("campaign_id", &*server.sample.campaign_id), ("redirect_url", "https://campaign.example/")];
    server.client.post("update_campaign", &campaign).success();
    is(&record(&server, ""), "offer_inactive", "campaign.example");
}

#[test]
fn visitors_are_spread_over_landing_pages_and_a_creative_may_have_its_own() {
    let server = TestServer::start();
    for (name, weight) in [("one", "1"), ("two", "1"), ("none", "0")] {
        let url = format!("https://{name}.example/?click={{click_id}}");
        let params = [("landing_page_name", name), ("landing_page_url", &*url), ("weight", weight)];
        make(&server, "landing_page", &[&[offer(&server)], &params[..]].concat());
    }
    let hosts: Vec<_> = (0..60).map(|_| sent(&record(&server, "")).1).collect();
    let on = |name: &str| hosts.iter().filter(|host| *host == name).count();
    assert!(on("one.example") > 5 && on("two.example") > 5, "{hosts:?}");
    assert_eq!(on("one.example") + on("two.example"), 60);
    let creative = [("creative_name", "own"), ("creative_url", "https://own.example/?click={click_id}")];
    let creative = make(&server, "creative", &[&[offer(&server)], &creative[..]].concat());
    let link = format!("/?a={}&c={creative}", server.sample.affiliate_id);
    let answer = server.client.path(&link);
    assert_eq!(host(answer.header("location").expect("sent")), "own.example");
    server
        .client
        .post("update_creative", &[("creative_id", &creative), ("creative_status", "paused")])
        .success();
    assert_eq!(server.client.path(&link).status, 404);
    assert_eq!(last_click(&server)["disposition"], "creative_inactive");
}

#[test]
fn a_browser_remembers_its_visitor_and_the_same_again_is_a_duplicate() {
    let server = TestServer::with(|config| config.tracking.throw_out_seconds = 60);
    let link = server.sample.link();
    let first = server.client.path(&link);
    let jar = cookies(&first);
    let set: Vec<_> = first.headers("set-cookie").collect();
    assert!(set[0].starts_with("crumb_visitor="), "{set:?}");
    assert!(set[0].ends_with("; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax"), "{set:?}");
    assert!(set[1].starts_with("crumb_offer_1=") && set[1].contains("; Max-Age=2592000;"), "{set:?}");
    let visitor = last_click(&server)["click_id"].clone();
    assert_eq!(last_click(&server)["visitor_id"], visitor);

    server.clock.advance_seconds(30);
    let again = server.client.path_with(&link, &[("Cookie", &jar)]);
    assert_eq!(again.status, 302);
    assert!(!cookies(&again).contains("crumb_visitor"), "the browser knows it already");
    let row = last_click(&server);
    assert_eq!((&row["disposition"], &row["visitor_id"]), (&"duplicate".into(), &visitor));
    // A duplicate reached the offer, so it converts.
    let call = [("click_id", row["click_id"].as_str().expect("an id")), offer(&server)];
    server.client.get("conversion", &call).success();

    server.clock.advance_seconds(60);
    server.client.path_with(&link, &[("Cookie", &jar)]);
    assert_eq!(last_click(&server)["disposition"], "accepted");
    for nonsense in ["crumb_visitor=x; crumb_offer_1=1.2.3", "crumb_offer_1", ";;=;"] {
        server.client.path_with(&link, &[("Cookie", nonsense)]);
        let row = last_click(&server);
        assert_eq!(
            (&row["disposition"], &row["visitor_id"]),
            (&"accepted".into(), &row["click_id"]),
            "{nonsense}"
        );
    }
}

#[test]
fn first_touch_keeps_the_credit_and_last_touch_passes_it_on() {
    let server = TestServer::start();
    let rival = make(&server, "affiliate", &[("affiliate_name", "Rival")]);
    make(&server, "campaign", &[offer(&server), ("affiliate_id", &rival)]);
    let theirs = format!("/?a={rival}&c={}", server.sample.creative_id);
    let credited = |jar: &str| {
        let footprint = jar.split("crumb_offer_1=").nth(1).expect("a footprint");
        footprint.split('.').next().expect("a click").to_owned()
    };
    for (attribution, is_first) in [("first_touch", true), ("last_touch", false)] {
        server.client.post("update_offer", &[offer(&server), ("attribution", attribution)]).success();
        let first = cookies(&server.client.path(&server.sample.link()));
        let second = cookies(&server.client.path_with(&theirs, &[("Cookie", &first)]));
        let row = last_click(&server);
        assert_eq!(row["disposition"], "accepted", "another affiliate's click is no duplicate");
        assert_eq!(credited(&second) == credited(&first), is_first, "{attribution}");
        assert_eq!(credited(&second) == row["click_id"], !is_first, "{attribution}");
    }
}

#[test]
fn without_cookies_a_visitor_is_known_by_address_and_agent_where_that_is_set() {
    let mut server = TestServer::with(|config| {
        config.tracking.cookie_days = 0;
        config.tracking.cookieless_seconds = 600;
        config.tracking.throw_out_seconds = 60;
    });
    let follow = |server: &TestServer, agent: &str| {
        let answer = server.client.path_with(&server.sample.link(), &[("User-Agent", agent)]);
        assert_eq!(answer.headers("set-cookie").count(), 0);
        let row = last_click(server);
        (row["disposition"].as_str().expect("a text").to_owned(), row["visitor_id"] == row["click_id"])
    };
    assert_eq!(follow(&server, IPHONE), ("accepted".into(), true));
    assert_eq!(follow(&server, IPHONE), ("duplicate".into(), false));
    assert_eq!(follow(&server, WINDOWS), ("accepted".into(), true));
    server.restart();
    assert_eq!(follow(&server, IPHONE), ("duplicate".into(), false), "known from the archive");
    server.clock.advance_seconds(61);
    assert_eq!(follow(&server, IPHONE), ("accepted".into(), false));
    server.clock.advance_seconds(601);
    assert_eq!(follow(&server, IPHONE), ("accepted".into(), true));
    server.restart_with(|config| config.tracking.cookieless_seconds = 0);
    assert_eq!(follow(&server, IPHONE), ("accepted".into(), true));
}

#[test]
fn a_visitor_who_has_converted_is_thanked_where_there_is_a_page_for_it() {
    let server = TestServer::start();
    let thanks = [offer(&server), ("thank_you_url", "https://thanks.example/?was={click_id}")];
    server.client.post("update_offer", &thanks).success();
    let first = server.client.path(&server.sample.link());
    let jar = cookies(&first);
    let follow = |jar: &str| {
        let answer = server.client.path_with(&server.sample.link(), &[("Cookie", jar)]);
        host(answer.header("location").expect("sent")).to_owned()
    };
    assert_eq!(follow(&jar), "shop.example");
    let click = last_click(&server)["visitor_id"].as_str().expect("an id").to_owned();
    server.client.get("conversion", &[("click_id", &*click), offer(&server)]).success();
    assert_eq!(follow(&jar), "thanks.example");
    assert_eq!(last_click(&server)["disposition"], "already_converted");
    assert_eq!(follow(""), "shop.example", "somebody else");
}

#[test]
fn cookies_are_set_as_configured() {
    let server = TestServer::with(|config| {
        config.tracking.cookie_same_site = "none".into();
        config.tracking.cookie_secure = true;
        config.tracking.cookie_domain = "example.com".into();
        config.tracking.cookie_days = 1;
    });
    let answer = server.client.path(&server.sample.link());
    let attributes = "; Max-Age=86400; Path=/; HttpOnly; SameSite=None; Secure; Domain=example.com";
    assert!(answer.headers("set-cookie").next().expect("a cookie").ends_with(attributes));
}

#[test]
fn the_visitors_id_and_language_are_on_the_click_and_in_the_landing_page() {
    let server = TestServer::start();
    let url = [offer(&server), ("offer_url", "https://shop.example/?v=#vstid#&click={click_id}")];
    server.client.post("update_offer", &url).success();
    let answer =
        server.client.path_with(&server.sample.link(), &[("Accept-Language", "pt-BR,pt;q=0.9,en;q=0.8")]);
    let row = last_click(&server);
    assert_eq!(row["language"], "pt");
    let id = row["click_id"].as_str().expect("an id");
    assert_eq!(answer.header("location"), Some(&*format!("https://shop.example/?v={id}&click={id}")));
}
