//! The network by the API: create, update, list.

use serde_json::json;
use testkit::TestServer;

#[test]
fn defaults_are_as_documented() {
    let server = TestServer::start();
    let offer = server.client.get("offers", &[]).success()["offers"][0]["offer"].clone();
    assert_eq!(
        offer.to_string(),
        json!({
            "offer_id": 1, "offer_name": "Auto Insurance Quote", "offer_status": "active", "advertiser_id": 1,
            "offer_url": "https://shop.example/?click={click_id}&s2={s2}", "creative_id": 1, "payout": "P",
            "payout_type": "cpa", "revenue": "R", "revenue_type": "cpa", "currency": "USD", "session_hours": 720,
            "conversion_approval": "auto", "one_per_click": false, "allow_duplicates": false,
            "allow_deep_link": false, "deep_link_hosts": "",
            "expiration_date": null, "date_created": "2026-06-19 14:30:00", "start_date": null,
            "schedule": null, "time_zone": null, "redirect_url": null, "redirect_offer_id": null,
            "thank_you_url": null, "attribution": "first_touch", "throw_out_seconds": null,
            "approval_delay_hours": null, "min_conversion_seconds": null, "max_conversion_seconds": null,
            "allow_pixel_payout": false
        })
        .to_string()
        .replace("\"P\"", "18.00")
        .replace("\"R\"", "22.00")
    );
    let campaign = server.client.get("campaigns", &[]).success()["campaigns"][0].clone();
    let link = campaign["tracking_link"].as_str().expect("a link");
    assert!(link.starts_with("http://127.0.0.1:") && link.ends_with("/?a=1&c=1"), "{link}");
    assert_eq!(campaign["campaign_status"], "active");
}

#[test]
fn an_update_leaves_alone_what_it_does_not_name() {
    let server = TestServer::start();
    let before = server.client.get("offers", &[]).success()["offers"][0]["offer"].clone();
    let update = |body: &str| server.client.post_json("update_offer", body).success()["offer"].clone();
    assert_eq!(update(r#"{"offer_id": 1}"#), before);
    let after =
        update(r#"{"offer_id": 1, "session_hours": 0.5, "expiration_date": "2026-06-30", "payout": 1.2345}"#);
    assert_eq!(after["session_hours"].to_string(), "0.5");
    assert_eq!(after["expiration_date"], "2026-07-01 00:00:00");
    assert_eq!(after["payout"].to_string(), "1.2345");
    assert_eq!(after["revenue"], before["revenue"]);
    assert_eq!(update(r#"{"offer_id": 1, "expiration_date": null}"#)["expiration_date"], json!(null));
    assert_eq!(
        server.client.get("offers", &[]).success()["offers"][0]["offer"]["session_hours"].to_string(),
        "0.5"
    );
}

#[test]
fn what_steers_an_offers_clicks_is_set_and_taken_away_again() {
    let server = TestServer::start();
    let before = server.client.get("offers", &[]).success()["offers"][0]["offer"].clone();
    let steered = [
        ("start_date", "2026-07-01"),
        ("schedule", "MON-FRI 09:00-18:00;sat"),
        ("time_zone", "America/New_York"),
        ("redirect_url", "https://elsewhere.example/?a={affiliate_id}"),
        ("thank_you_url", "https://shop.example/thanks"),
        ("attribution", "last_touch"),
        ("throw_out_seconds", "0"),
    ];
    let update = |fields: &[(&str, &str)]| {
        let fields = [&[("offer_id", "1")], fields].concat();
        server.client.post("update_offer", &fields).success()["offer"].clone()
    };
    let after = update(&steered);
    for (name, value) in [
        ("start_date", json!("2026-07-01 00:00:00")),
        ("schedule", json!("mon-fri 09:00-18:00; sat")),
        ("time_zone", json!("America/New_York")),
        ("redirect_url", json!("https://elsewhere.example/?a={affiliate_id}")),
        ("redirect_offer_id", json!(null)),
        ("thank_you_url", json!("https://shop.example/thanks")),
        ("attribution", json!("last_touch")),
        ("throw_out_seconds", json!(0)),
    ] {
        assert_eq!(after[name], value, "{name}");
    }
    assert_eq!(server.client.get("offers", &[]).success()["offers"][0]["offer"], after);
    let emptied = steered.map(|(name, _)| (name, if name == "attribution" { "first_touch" } else { "" }));
    assert_eq!(update(&emptied), before);
    // An offer made with them has them at once.
    let create = [("offer_name", "Late"), ("advertiser_id", "1"), ("offer_url", "https://x.example/")];
    let made = server.client.post("offer", &[&create[..], &steered].concat()).success()["offer"].clone();
    assert_eq!(made["throw_out_seconds"], 0);
    let redirect = |value: &str| update(&[("redirect_offer_id", value)])["redirect_offer_id"].clone();
    assert_eq!(redirect("2"), 2);
    assert_eq!(redirect(""), json!(null));
}

#[test]
fn a_campaign_ends_and_redirects_by_itself() {
    let server = TestServer::start();
    let update = |body: &str| server.client.post_json("update_campaign", body).success()["campaign"].clone();
    let before = update(r#"{"campaign_id": 1}"#);
    assert_eq!((&before["expiration_date"], &before["redirect_url"]), (&json!(null), &json!(null)));
    let after = update(
        r#"{"campaign_id": 1, "expiration_date": "2026-06-30", "redirect_url": "https://y.example/"}"#,
    );
    assert_eq!(after["expiration_date"], "2026-07-01 00:00:00");
    assert_eq!(
        (&after["redirect_url"], &after["redirect_offer_id"]),
        (&json!("https://y.example/"), &json!(null))
    );
    assert_eq!(server.client.get("campaigns", &[]).success()["campaigns"][0], after);
    assert_eq!(update(r#"{"campaign_id": 1, "expiration_date": null, "redirect_url": null}"#), before);
}

#[test]
fn a_misspelt_token_is_told_what_it_is_close_to() {
    let server = TestServer::start();
    let url = ("offer_url", "https://x.example/?a=#affilate_id#");
    let answer = server.client.post("update_offer", &[("offer_id", "1"), url]);
    let message = "offer_url: unknown token #affilate_id#; did you mean #affiliate_id#?";
    assert_eq!(answer.json()["message"], message);
}

#[test]
fn what_cannot_be_used_is_named() {
    let server = TestServer::start();
    let check = |endpoint: &str, body: &str, status: u16, code: &str, parameter: &str| {
        let answer = server.client.post_json(endpoint, body);
        assert_eq!((answer.status, answer.code()), (status, code.to_owned()), "{body}: {}", answer.text);
        assert_eq!(answer.json()["error"]["parameter"], parameter, "{body}");
        assert_eq!(answer.json()["request_status"], "Error");
    };
    let offer = |extra: &str| {
        format!(r#"{{"offer_name": "x", "advertiser_id": 1, "offer_url": "https://x.example/" {extra}}}"#)
    };
    check("advertiser", "{}", 400, "missing_parameter", "advertiser_name");
    check("advertiser", r#"{"advertiser_name": ""}"#, 400, "invalid_parameter", "advertiser_name");
    check("advertiser", r#"{"advertiser_name": "x", "colour": "red"}"#, 400, "invalid_parameter", "colour");
    check("advertiser", r#"{"advertiser_name": ["x"]}"#, 400, "invalid_parameter", "advertiser_name");
    check("advertiser", "[]", 400, "invalid_parameter", "body");
    check("offer", r#"{"offer_name": "x"}"#, 400, "missing_parameter", "advertiser_id");
    check("offer", &offer("").replace(": 1", ": 99"), 404, "advertiser_not_found", "advertiser_id");
    check("offer", &offer(r#", "offer_status": "on""#), 400, "invalid_parameter", "offer_status");
    check("offer", &offer(r#", "payout_type": "cpm""#), 400, "invalid_parameter", "payout_type");
    check("offer", &offer(r#", "payout": 0.00001"#), 400, "invalid_parameter", "payout");
    check("offer", &offer(r#", "currency": "dollars""#), 400, "invalid_parameter", "currency");
    check("offer", &offer(r#", "session_hours": 8761"#), 400, "invalid_parameter", "session_hours");
    check(
        "offer",
        &offer(r#", "session_hours": 24, "click_cookie_days": 2"#),
        400,
        "invalid_parameter",
        "click_cookie_days",
    );
    check("offer", &offer("").replace("https", "ftp"), 400, "invalid_parameter", "offer_url");
    check(
        "offer",
        &offer("").replace("example/", "example/{affilate_id}"),
        400,
        "invalid_parameter",
        "offer_url",
    );
    check("offer", &offer(r#", "start_date": "soon""#), 400, "invalid_parameter", "start_date");
    check("offer", &offer(r#", "schedule": "office hours""#), 400, "invalid_parameter", "schedule");
    check("offer", &offer(r#", "time_zone": "Mars/Olympus""#), 400, "invalid_parameter", "time_zone");
    check("offer", &offer(r#", "thank_you_url": "/thanks""#), 400, "invalid_parameter", "thank_you_url");
    check("offer", &offer(r#", "attribution": "linear""#), 400, "invalid_parameter", "attribution");
    for seconds in ["31536001", "-1", "1.5"] {
        let extra = format!(r#", "throw_out_seconds": {seconds}"#);
        check("offer", &offer(&extra), 400, "invalid_parameter", "throw_out_seconds");
    }
    check("offer", &offer(r#", "redirect_url": "elsewhere""#), 400, "invalid_parameter", "redirect_url");
    let both = r#", "redirect_url": "https://y.example/", "redirect_offer_id": 1"#;
    check("offer", &offer(both), 400, "invalid_parameter", "redirect_offer_id");
    check("offer", &offer(r#", "redirect_offer_id": 99"#), 404, "offer_not_found", "redirect_offer_id");
    let itself = r#"{"offer_id": 1, "redirect_offer_id": 1}"#;
    check("update_offer", itself, 400, "invalid_parameter", "redirect_offer_id");
    check("update_offer", "{}", 400, "missing_parameter", "offer_id");
    check("update_offer", r#"{"offer_id": 99}"#, 404, "offer_not_found", "offer_id");
    check("update_affiliate", r#"{"affiliate_id": 99}"#, 404, "affiliate_not_found", "affiliate_id");
    check("campaign", r#"{"offer_id": 99, "affiliate_id": 1}"#, 404, "offer_not_found", "offer_id");
    check("campaign", r#"{"offer_id": 1, "affiliate_id": 99}"#, 404, "affiliate_not_found", "affiliate_id");
    check(
        "update_campaign",
        r#"{"campaign_id": 1, "creative_id": 99}"#,
        404,
        "creative_not_found",
        "creative_id",
    );
    let own = r#"{"campaign_id": 1, "redirect_offer_id": 1}"#;
    check("update_campaign", own, 400, "invalid_parameter", "redirect_offer_id");
    let never = r#"{"campaign_id": 1, "expiration_date": "never"}"#;
    check("update_campaign", never, 400, "invalid_parameter", "expiration_date");
    let again = server.client.post_json("campaign", r#"{"offer_id": 1, "affiliate_id": 1}"#);
    assert_eq!((again.status, again.code()), (409, "conflict".to_owned()));
}

#[test]
fn lists_filter_and_page() {
    let server = TestServer::start();
    for name in ["Northwind", "Clover", "northern Lights"] {
        server.client.post("affiliate", &[("affiliate_name", name)]).success();
    }
    server
        .client
        .post("update_affiliate", &[("affiliate_id", "3"), ("affiliate_status", "pending")])
        .success();
    let found = |params: &[(&str, &str)]| {
        let page = server.client.get("affiliates", params).success();
        let rows = page["affiliates"].as_array().expect("a list").clone();
        let ids: Vec<_> = rows.iter().map(|row| row["affiliate_id"].as_u64().expect("a number")).collect();
        (page["total_rows"].as_u64().expect("a number"), ids)
    };
    assert_eq!(found(&[]), (4, vec![1, 2, 3, 4]));
    assert_eq!(found(&[("affiliate_name", "north")]), (2, vec![2, 4]));
    assert_eq!(found(&[("affiliate_status", "pending")]), (1, vec![3]));
    assert_eq!(found(&[("start_at_row", "1"), ("row_limit", "2")]), (4, vec![2, 3]));
    assert_eq!(found(&[("affiliate_id", "4")]), (1, vec![4]));
}

#[test]
fn a_path_or_method_nobody_serves_is_told_in_the_envelope() {
    let server = TestServer::start();
    let answer = server.client.get("nothing", &[]);
    assert_eq!((answer.status, answer.code()), (404, "not_found".to_owned()));
    let answer = server.client.get("advertiser", &[]);
    assert_eq!((answer.status, answer.code()), (405, "method_not_allowed".to_owned()));
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer = server.client.post("click", &[]);
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET,HEAD")));
    assert_eq!(server.client.head("/api/2/conversion.json?click_id=x").status, 405);
}
