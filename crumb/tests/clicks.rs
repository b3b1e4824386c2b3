//! Tracking links and Get Click.

use domain::access::{Grant, Scope};
use domain::ids::OfferId;
use serde_json::json;
use testkit::TestServer;

#[test]
fn a_click_is_readable_the_moment_it_is_answered_with_the_documented_fields_first() {
    let server = TestServer::start();
    let click = server.client.click(&format!("{}&s1=banner_300x250&s5=e", server.sample.link()));
    let answer = server.client.get("click", &[("click_id", &click)]);
    let documented = format!(
        "{{\"request_status\":\"Success\",\"response\":{{\"clicks\":[{{\"click_id\":\"{click}\",\
         \"click_date\":\"2026-06-19 14:30:00\",\"offer_id\":1,\"affiliate_id\":1,\"sub_id_1\":\"banner_300x250\",\
         \"ip_address\":\"127.0.0.1\",\"country\":\"\",\"converted\":false,\"conversion_id\":null,\
         \"sub_id_2\":\"\",\"sub_id_3\":\"\",\"sub_id_4\":\"\",\"sub_id_5\":\"e\","
    );
    assert!(answer.text.starts_with(&documented), "{}", answer.text);
    assert!(answer.text.ends_with("}],\"total_rows\":1}}"), "{}", answer.text);
    let row = &answer.success()["response"]["clicks"][0];
    assert_eq!((&row["landing_page_id"], &row["redirect_offer_id"]), (&json!(null), &json!(null)));
    // A visitor's first click is its own visitor's.
    assert_eq!((&row["visitor_id"], &row["rules_tried"]), (&json!(click), &json!([])));
    for name in ["region", "asn", "device", "os", "browser", "language"] {
        assert!(row.get(name).is_some(), "{name}");
    }
    let call = [("click_id", &*click), ("offer_id", &*server.sample.offer_id)];
    let conversion = server.client.get("conversion", &call).success();
    let row = &server.client.get("click", &[("click_id", &click)]).success()["response"]["clicks"][0];
    assert_eq!(
        (&row["converted"], &row["conversion_id"]),
        (&true.into(), &conversion["conversion"]["conversion_id"])
    );
}

#[test]
fn every_form_of_link_leads_to_the_landing_page() {
    let server = TestServer::start();
    let s = &server.sample;
    for link in [
        s.link(),
        format!("/?A={}&o={}", s.affiliate_id, s.offer_id),
        format!("/click?c={}", s.campaign_id),
        format!("/rd/r.php?sid={}&aff_id={}", s.campaign_id, s.affiliate_id),
    ] {
        let sent = server.client.path(&format!("{link}&s2=a%26b%0d%0aX:%20y"));
        assert_eq!(sent.status, 302, "{link}");
        assert_eq!(sent.header("cache-control"), Some("no-store"));
        let location = sent.header("location").expect("a location");
        assert!(location.starts_with("https://shop.example/?click="), "{location}");
        assert!(location.ends_with("&s2=a%26b%0D%0AX%3A%20y"), "{location}");
    }
    assert_eq!(server.client.get("click", &[]).success()["response"]["total_rows"], 4);
}

#[test]
fn on_a_host_that_is_no_tracking_domain_a_link_leads_to_the_global_redirect() {
    let mut server = TestServer::with(|config| {
        config.tracking.domains = vec!["trk.example.com".into(), "*.example.org".into()];
        config.tracking.global_redirect = "https://global.example/?o={offer_id}".into();
    });
    let link = server.sample.link();
    for host in ["trk.example.com", "TRK.example.com:8080", "a.example.org"] {
        let location = server.client.path_on(host, &link).header("location").expect("sent").to_owned();
        assert!(location.starts_with("https://shop.example/"), "{host}: {location}");
    }
    for host in ["example.org", "other.example.com"] {
        let sent = server.client.path_on(host, &format!("{link}&s1=elsewhere&ckmrdr=https://shop.example/"));
        assert_eq!((sent.status, sent.header("location")), (302, Some("https://global.example/?o=1")));
        assert_eq!(server.client.path_on(host, "/?a=1&c=99").status, 404);
        assert_eq!(server.client.path_on(host, "/").status, 404);
        assert_eq!(server.client.path_on(host, "/healthz").status, 200);
        assert_eq!(server.client.path_on(host, "/metrics").status, 200);
        assert_eq!(server.client.path_on(host, "/api/2/click.json").status, 401);
    }
    let rows = server.client.get("click", &[]).success()["response"]["clicks"].clone();
    let rows: Vec<_> = rows.as_array().expect("a list").iter().map(|it| &it["disposition"]).collect();
    assert_eq!(rows, ["accepted", "accepted", "accepted", "unknown_domain", "unknown_domain"]);
    let told = server.client.post_json("record_click", r#"{"campaign_id": 1}"#).success();
    assert_eq!(told["click"]["disposition"], "accepted", "a server's word needs no host");

    server.restart_with(|config| config.tracking.global_redirect.clear());
    let page = server.client.path(&link);
    assert_eq!((page.status, page.header("location")), (404, None));
    assert!(page.text.contains("not available"), "{}", page.text);
}

#[test]
fn a_deep_link_leads_only_where_the_offer_permits() {
    let server = TestServer::start();
    let link = format!(
        "{}&s2=x&ckmrdr=https%3A%2F%2Fwww.shop.example%2Fshoes%3Fid%3D%23reqid%23",
        server.sample.link()
    );
    let location = || server.client.path(&link).header("location").expect("a location").to_owned();
    assert!(location().starts_with("https://shop.example/?click="));
    let set = |hosts: &str| {
        let offer = ("offer_id", &*server.sample.offer_id);
        server
            .client
            .post("update_offer", &[offer, ("allow_deep_link", "true"), ("deep_link_hosts", hosts)])
            .success()
    };
    assert_eq!(
        set("other.example, *.shop.example")["offer"]["deep_link_hosts"],
        "other.example,*.shop.example"
    );
    let deep = location();
    let id = deep.strip_prefix("https://www.shop.example/shoes?id=").expect("the deep link");
    let row = server.client.get("click", &[("click_id", id)]).success();
    assert_eq!(row["response"]["clicks"][0]["redirect_url"], "https://www.shop.example/shoes?id=#reqid#");
    set("shop.example");
    assert!(location().starts_with("https://shop.example/?click="));
}

#[test]
fn a_click_pixel_keeps_the_id_in_a_cookie_of_its_page() {
    let server = TestServer::start();
    let script = server.client.path(&format!("{}&cp=js&s1=page", server.sample.link()));
    assert_eq!((script.status, script.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    let rows = server.client.get("click", &[]).success();
    let click = &rows["response"]["clicks"][0];
    assert_eq!(click["sub_id_1"], "page");
    let cookie =
        format!("document.cookie=\"crumb_click_id={};path=/", click["click_id"].as_str().expect("an id"));
    assert!(script.text.starts_with(&cookie), "{}", script.text);
}

#[test]
fn a_server_records_a_click_without_a_redirect() {
    let server = TestServer::start();
    let record = |client: &testkit::Client, body: &str| client.post_json("record_click", body);
    let body = r#"{"affiliate_id": 1, "offer_id": 1, "s2": "a b", "ip_address": "203.0.113.42", "country": "us",
        "user_agent": "agent", "referrer": "https://ref.example/"}"#;
    let answer = record(&server.client, body);
    let click = answer.success()["click"].clone();
    let id = click["click_id"].as_str().expect("an id");
    assert_eq!(click["landing_url"], format!("https://shop.example/?click={id}&s2=a%20b"));
    let mut row = server.client.get("click", &[("click_id", id)]).success()["response"]["clicks"][0].clone();
    row["landing_url"] = click["landing_url"].clone();
    assert_eq!(click, row);
    assert_eq!((&row["country"], &row["ip_address"]), (&"US".into(), &"203.0.113.42".into()));
    let call = [("click_id", id), ("offer_id", &*server.sample.offer_id)];
    server.client.get("conversion", &call).success();

    let bound = |id| Grant { offer_id: Some(OfferId(id)), ..Grant::of(Scope::Conversion) };
    let shop = server.client_with("shop", bound(1));
    record(&shop, r#"{"campaign_id": 1}"#).success();
    let elsewhere = server.client_with("elsewhere", bound(2));
    let read = server.client_with("read", Grant::of(Scope::Read));
    for (client, body, code) in [
        (&server.client, "{}", "missing_parameter"),
        (&server.client, r#"{"affiliate_id": 1}"#, "missing_parameter"),
        (&server.client, r#"{"affiliate_id": 9, "creative_id": 1}"#, "affiliate_not_found"),
        (&server.client, r#"{"affiliate_id": 1, "creative_id": 9}"#, "creative_not_found"),
        (&server.client, r#"{"affiliate_id": 1, "offer_id": 9}"#, "offer_not_found"),
        (&server.client, r#"{"campaign_id": 9}"#, "campaign_not_found"),
        (&server.client, r#"{"campaign_id": 1, "ip_address": "here"}"#, "invalid_parameter"),
        (&server.client, r#"{"campaign_id": 1, "country": "USA"}"#, "invalid_parameter"),
        (&server.client, r#"{"campaign_id": 1, "colour": "red"}"#, "invalid_parameter"),
        (&elsewhere, r#"{"campaign_id": 1}"#, "not_permitted"),
        (&read, r#"{"campaign_id": 1}"#, "not_permitted"),
    ] {
        assert_eq!(record(client, body).code(), code, "{body}");
    }
    assert_eq!(server.client.get("click", &[]).success()["response"]["total_rows"], 2);
}

#[test]
fn what_cannot_be_attributed_is_a_page_and_no_click() {
    let server = TestServer::start();
    for link in
        ["/", "/?a=1", "/?a=99&c=1", "/?a=1&c=99", "/?a=x&c=y", "/click?c=99", "/rd/r.php?sid=1&aff_id=99"]
    {
        let page = server.client.path(link);
        assert_eq!(page.status, 404, "{link}");
        assert!(page.text.contains("Nothing here"), "{link}");
    }
    assert_eq!(server.client.get("click", &[]).success()["response"]["total_rows"], 0);
    assert!(server.client.path("/metrics").text.contains("crumb_clicks_unattributable_total 6"));
}

#[test]
fn a_refused_click_is_recorded_with_its_reason_and_goes_to_the_global_redirect() {
    let server = TestServer::with(|config| {
        "https://global.example/?a={affid}".clone_into(&mut config.tracking.global_redirect);
    });
    let offer = ("offer_id", &*server.sample.offer_id);
    server.client.post("update_offer", &[offer, ("offer_status", "paused")]).success();
    let sent = server.client.path(&server.sample.link());
    assert_eq!((sent.status, sent.header("location")), (302, Some("https://global.example/?a=1")));
    let rows = server.client.get("click", &[]).success();
    assert_eq!(rows["response"]["clicks"][0]["disposition"], "offer_inactive");
    assert_eq!(rows["response"]["clicks"][0]["redirect_url"], "https://global.example/?a={affid}");
}

#[test]
fn head_looks_and_records_nothing() {
    let server = TestServer::start();
    let looked = server.client.head(&server.sample.link());
    assert_eq!((looked.status, looked.header("location")), (302, Some("https://shop.example/?click=&s2=")));
    assert_eq!(server.client.get("click", &[]).success()["response"]["total_rows"], 0);
}

#[test]
fn an_unknown_id_is_a_success_without_clicks() {
    let server = TestServer::start();
    for id in ["abc123xyz789", "01a20543-ec3d-7001-8000-000e4120fa28"] {
        let answer = server.client.get("click", &[("click_id", id), ("start_date", "2026-01-01")]);
        assert_eq!(answer.text, r#"{"request_status":"Success","response":{"clicks":[],"total_rows":0}}"#);
    }
    assert_eq!(server.client.get("click", &[("click_id", &"x".repeat(101))]).code(), "invalid_parameter");
}

#[test]
fn without_id_or_dates_it_is_the_last_24_hours() {
    let server = TestServer::start();
    let total = |params: &[(&str, &str)]| {
        server.client.get("click", params).success()["response"]["total_rows"].clone()
    };
    server.client.click(&server.sample.link());
    server.clock.advance_seconds(86_400);
    assert_eq!(total(&[]), 1);
    server.clock.advance_seconds(1);
    assert_eq!(total(&[]), 0);
    assert_eq!(total(&[("start_date", "2026-06-19")]), 1);
    assert_eq!(total(&[("end_date", "2026-06-19")]), 1);
    assert_eq!(total(&[("end_date", "2026-06-18")]), 0);
    assert_eq!(total(&[("start_date", "2026-06-19 14:30:00"), ("end_date", "2026-06-19 14:30:00")]), 1);
    assert_eq!(total(&[("start_date", "2026-06-19 14:30:01")]), 0);
    let ages = server.client.get("click", &[("start_date", "1970-01-01"), ("end_date", "2999-12-31")]);
    assert_eq!((ages.status, ages.code()), (400, "invalid_parameter".to_owned()));
    let backwards = server.client.get("click", &[("start_date", "2026-06-20"), ("end_date", "2026-06-19")]);
    assert_eq!((backwards.status, backwards.code()), (400, "invalid_parameter".to_owned()));
}

#[test]
fn dates_are_read_and_printed_in_the_networks_time_zone() {
    let server = TestServer::with(|config| "America/New_York".clone_into(&mut config.network.time_zone));
    let click = server.client.click(&server.sample.link());
    let answer = server.client.get("click", &[("click_id", &click)]);
    assert_eq!(answer.header("x-time-zone"), Some("America/New_York"));
    assert_eq!(answer.success()["response"]["clicks"][0]["click_date"], "2026-06-19 10:30:00");
    let total = |start: &str| {
        server.client.get("click", &[("start_date", start)]).success()["response"]["total_rows"].clone()
    };
    assert_eq!(total("2026-06-19 10:30:00"), 1);
    assert_eq!(total("2026-06-19T14:30:00Z"), 1);
    assert_eq!(total("2026-06-19 14:30:00"), 0);
}

#[test]
fn pages_are_bounded_and_say_so() {
    let server = TestServer::start();
    let ids: Vec<_> = (0..7).map(|_| server.client.click(&server.sample.link())).collect();
    let page = |params: &[(&str, &str)]| {
        let answer = server.client.get("click", params);
        let rows = answer.success()["response"]["clicks"].as_array().expect("a list").clone();
        let ids: Vec<_> =
            rows.iter().map(|row| row["click_id"].as_str().expect("an id").to_owned()).collect();
        assert_eq!(answer.json()["response"]["total_rows"], 7);
        (answer.header("x-row-limit").map(str::to_owned), ids)
    };
    assert_eq!(page(&[("row_limit", "3")]), (Some("3".into()), ids[..3].to_vec()));
    assert_eq!(page(&[("row_limit", "3"), ("start_at_row", "6")]).1, ids[6..].to_vec());
    assert_eq!(page(&[("start_at_row", "99999999999999999999")]).1, Vec::<String>::new());
    assert_eq!(page(&[("row_limit", "10001")]).0, Some("10000".into()));
    assert_eq!(page(&[("row_limit", "0")]).0, Some("100".into()));
    assert_eq!(server.client.get("click", &[("row_limit", "-1")]).code(), "invalid_parameter");
}

#[test]
fn a_change_counts_for_the_very_next_click() {
    let server = TestServer::start();
    let offer = ("offer_id", &*server.sample.offer_id);
    for (url, expected) in [
        ("https://one.example/", "https://one.example/"),
        ("https://two.example/{oid}", "https://two.example/1"),
    ] {
        server.client.post("update_offer", &[offer, ("offer_url", url)]).success();
        assert_eq!(server.client.path(&server.sample.link()).header("location"), Some(expected));
    }
}

#[test]
fn clicks_stay_where_they_are_when_they_are_sealed() {
    let mut server = TestServer::with(|config| config.archive.seal_after_seconds = 1);
    let ids: Vec<_> = (0..50).map(|_| server.client.click(&server.sample.link())).collect();
    // A restart completes the journal's file and seals it.
    server.restart();
    while !server.client.path("/metrics").text.contains("crumb_recent_clicks 0") {
        std::thread::yield_now();
    }
    let rows = server.client.get("click", &[]).success();
    let found: Vec<_> = rows["response"]["clicks"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["click_id"].clone())
        .collect();
    assert_eq!(found, ids);
    let call = [("click_id", &*ids[7]), ("offer_id", &*server.sample.offer_id)];
    server.client.get("conversion", &call).success();
    let next = server.client.click(&server.sample.link());
    assert!(next > ids[49]);
}
