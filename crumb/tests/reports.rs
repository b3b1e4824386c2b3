//! Reports: every figure equals the rows under it, in every zone and by every clock.

use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::TestServer;

const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Googlebot/2.1 (+http://www.google.com/bot.html)",
];

fn made(server: &TestServer, noun: &str, body: &Value) -> u64 {
    let made = server.client.post_json(noun, &body.to_string()).success();
    made[noun][format!("{noun}_id")].as_u64().expect("a number")
}

/// A network of two advertisers, three offers in two currencies and two affiliates, with two days of clicks
/// and conversions of all kinds.
fn busy() -> TestServer {
    let server = TestServer::with(|config| {
        config.tracking.cookieless_seconds = 600;
        // Less than a year's hours take: reports read again what does not fit.
        config.reports.conversions_mib = 1;
        config.reports.cubes_mib = 1;
    });
    let second = made(&server, "advertiser", &json!({"advertiser_name": "Globex"}));
    let url = "https://globex.example/?click={click_id}";
    let offer = |name: &str, currency: &str| {
        json!({"offer_name": name, "advertiser_id": second, "offer_url": url, "payout": "1.25", "revenue": "2.5",
            "currency": currency, "conversion_approval": "manual"})
    };
    made(&server, "offer", &offer("Newsletter", "USD"));
    made(&server, "offer", &offer("Rundbrief", "EUR"));
    let affiliate = made(&server, "affiliate", &json!({"affiliate_name": "Search Co"}));
    for offer in 2..=3 {
        made(&server, "campaign", &json!({"offer_id": offer, "affiliate_id": affiliate}));
        made(&server, "campaign", &json!({"offer_id": offer, "affiliate_id": 1}));
    }
    for number in 0..48_u32 {
        let body = json!({
            "campaign_id": 1 + number % 5, "s1": (["", "a", "a,b"][number as usize % 3]), "s2": number.to_string(),
            "country": (["US", "DE"][number as usize / 2 % 2]), "user_agent": (AGENTS[number as usize % 3]),
            "referrer": (["", "https://news.example/x"][number as usize / 3 % 2]), "ip_address": format!("192.0.2.{number}"),
        });
        let click = server.client.post_json("record_click", &body.to_string()).success();
        let click = &click["click"];
        if number % 2 == 0 && click["disposition"] == "accepted" {
            let call = json!({
                "click_id": click["click_id"], "offer_id": click["offer_id"], "unique_id": format!("order-{number}"),
            });
            let recorded = server.client.post_json("conversion", &call.to_string());
            if recorded.status == 200 {
                let id = recorded.json()["conversion"]["conversion_id"].clone();
                let status = ["approved", "rejected", "pending"][number as usize / 2 % 3];
                let change = json!({"conversion_id": id, "conversion_status": status}).to_string();
                server.client.post_json("update_conversion", &change);
            }
        }
        if number % 12 == 0 {
            // The second time within the hour.
            server.client.click(&server.sample.link());
            server.client.click(&server.sample.link());
        }
        server.clock.advance_seconds(3600);
    }
    server
}

fn report(server: &TestServer, question: &Value) -> Value {
    server.client.post_json("report", &question.to_string()).success()
}

fn decimal(value: &Value) -> Decimal {
    value.to_string().parse().expect("a number")
}

/// Everything a report can show, of both days.
fn everything(group_by: &[&str]) -> Value {
    json!({
        "start_date": "2026-06-19", "end_date": "2026-06-22", "group_by": group_by, "links": true,
        "metrics": ["clicks", "unique_clicks", "duplicate_clicks", "bot_clicks", "refused_clicks", "total_clicks",
            "conversions", "approved", "pending", "rejected", "reversed", "ignored", "payout", "revenue"],
    })
}

/// What is under a cell: how many rows, or what their amounts come to.
fn under(server: &TestServer, link: &str, metric: &str) -> Decimal {
    let listed =
        server.client.path(&format!("{link}&row_limit=10000&api_key={}", server.client.key())).success();
    match metric {
        "payout" | "revenue" => {
            let rows = listed["response"]["data"]["conversions"].as_array().expect("a list");
            rows.iter().map(|row| decimal(&row[metric])).sum()
        }
        _ => decimal(&listed["response"]["total_rows"]),
    }
}

/// Follows the links of all cells, and adds up all columns. Returns how many cells had something under them.
fn check_all(server: &TestServer, question: &Value) -> usize {
    let answer = report(server, question);
    let report = &answer["report"];
    let rows = report["rows"].as_array().expect("rows");
    assert_eq!(answer["total_rows"], rows.len());
    let metrics: Vec<&str> =
        question["metrics"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let mut followed = 0;
    for row in rows {
        for metric in &metrics {
            let link = &row["links"][*metric];
            if let (Some(link), false) = (link.as_str(), row[*metric].is_null()) {
                assert_eq!(under(server, link, metric), decimal(&row[*metric]), "{metric} of {row}");
                followed += 1;
            } else {
                assert!(
                    row[*metric].is_null() || row[*metric] == 0 || decimal(&row[*metric]).is_zero(),
                    "{row}"
                );
            }
        }
    }
    let totals = match &report["totals"] {
        Value::Array(several) => several.clone(),
        one => vec![one.clone()],
    };
    for total in &totals {
        for metric in &metrics {
            let own = rows.iter().filter(|row| totals.len() == 1 || row["currency"] == total["currency"]);
            let figures: Vec<_> = own.map(|row| &row[*metric]).filter(|it| !it.is_null()).collect();
            if total[*metric].is_null() {
                assert!(figures.is_empty(), "{metric}: {total}");
            } else {
                let sum: Decimal = figures.into_iter().map(decimal).sum();
                assert_eq!(sum, decimal(&total[*metric]), "{metric} of {total}");
            }
        }
    }
    followed
}

#[test]
fn every_figure_equals_the_rows_under_it() {
    let server = busy();
    let by: [&[&str]; 12] = [
        &[],
        &["offer"],
        &["affiliate", "day"],
        &["offer", "country", "device"],
        &["sub_id_1"],
        &["advertiser", "campaign", "creative"],
        &["os", "browser"],
        &["referrer_host", "month"],
        &["disposition"],
        &["status", "event"],
        &["price_rule", "week"],
        &["currency_is_told_apart_by_itself"],
    ];
    for group_by in &by[..by.len() - 1] {
        assert!(check_all(&server, &everything(group_by)) > 10, "{group_by:?}");
    }
    let dollars = &report(&server, &everything(&[]))["report"]["totals"][1];
    assert_eq!((&dollars["currency"], &dollars["duplicate_clicks"]), (&json!("USD"), &json!(4)), "{dollars}");
    let unknown = server.client.post_json("report", &everything(by[by.len() - 1]).to_string());
    assert_eq!((unknown.status, unknown.code()), (400, "invalid_parameter".to_owned()));
    assert_eq!(unknown.json()["error"]["parameter"], "group_by");
    server.verify();
}

#[test]
fn every_figure_equals_the_rows_under_it_by_every_clock_and_in_every_zone() {
    let server = busy();
    for clock in ["conversion", "click", "approval"] {
        for zone in ["UTC", "America/New_York", "Asia/Kolkata"] {
            for unit in ["hour", "day"] {
                let mut question = everything(&[unit]);
                question["clock"] = clock.into();
                question["time_zone"] = zone.into();
                question["metrics"] = json!(["total_clicks", "conversions", "payout"]);
                assert!(check_all(&server, &question) > 4, "{clock} {zone} {unit}");
            }
        }
    }
}

#[test]
fn a_report_is_the_same_whether_it_fits_in_memory_or_not() {
    let server = busy();
    let totals = |start: &str, end: &str| {
        let mut question = everything(&["month"]);
        (question["start_date"], question["end_date"]) = (start.into(), end.into());
        report(&server, &question)["report"]["totals"].clone()
    };
    let two_days = totals("2026-06-19", "2026-06-22");
    let a_year = totals("2025-09-01", "2026-09-30");
    assert_eq!(a_year, two_days);
    assert_eq!(totals("2025-09-01", "2026-09-30"), two_days);
    server.convert("another");
    assert_ne!(totals("2025-09-01", "2026-09-30"), two_days);
    assert_eq!(totals("2025-09-01", "2026-09-30"), totals("2026-06-19", "2026-06-22"));
}

#[test]
fn a_report_follows_every_change_at_once() {
    let server = TestServer::start();
    let question = json!({"start_date": "2026-06-19", "end_date": "2026-06-19", "metrics": ["approved", "reversed", "payout"]});
    let totals = || report(&server, &question)["report"]["totals"].to_string();
    assert_eq!(totals(), r#"{"approved":0,"reversed":0,"payout":0.00}"#);
    let id = server.convert("one");
    assert_eq!(totals(), r#"{"approved":1,"reversed":0,"payout":18.00}"#);
    server.convert("two");
    assert_eq!(totals(), r#"{"approved":2,"reversed":0,"payout":36.00}"#);
    let change = json!({"conversion_id": id, "payout": "17.0125"}).to_string();
    server.client.post_json("update_conversion", &change).success();
    assert_eq!(totals(), r#"{"approved":2,"reversed":0,"payout":35.0125}"#);
    let change = json!({"conversion_id": id, "conversion_status": "reversed"}).to_string();
    server.client.post_json("update_conversion", &change).success();
    assert_eq!(totals(), r#"{"approved":1,"reversed":1,"payout":18.00}"#);
}

#[test]
fn what_was_erased_is_in_no_report() {
    let server = TestServer::start();
    let click = server.client.click(&format!("{}&s1=somebody", server.sample.link()));
    let call = [("click_id", &*click), ("offer_id", &*server.sample.offer_id)];
    server.client.get("conversion", &call).success();
    let question = json!({
        "start_date": "2026-06-19", "end_date": "2026-06-19", "group_by": ["sub_id_1"], "metrics": ["conversions"],
    });
    assert_eq!(report(&server, &question)["report"]["rows"][0]["sub_id_1"], "somebody");
    let ledger = ledger::Location::file(server.folder().join("ledger.sqlite")).open().expect("a ledger");
    ledger.erase_visitors(&[click.parse().expect("a click id")]).expect("erased");
    assert_eq!(report(&server, &question)["report"]["rows"], json!([{"sub_id_1": "", "conversions": 1}]));
}

#[test]
fn the_answer_is_shaped_as_documented() {
    let server = TestServer::start();
    server.convert("one");
    server.client.click(&server.sample.link());
    let question = json!({
        "start_date": "2026-06-19", "end_date": "2026-06-19", "group_by": ["offer", "day", "hour_is_no_second_time"],
    });
    let refused = server.client.post_json("report", &question.to_string());
    assert!(refused.json()["message"].as_str().expect("a message").contains("use offer, affiliate"));

    let question = json!({
        "start_date": "2026-06-19", "end_date": "2026-06-19", "group_by": ["offer", "day"],
        "metrics": ["clicks", "conversions", "payout", "cr", "epc", "average_time_to_conversion"],
        "filters": {"offer_id": [1, 2], "status": "approved"}, "compare": "previous_period",
    });
    let answer = report(&server, &question);
    let expected = json!({
        "request_status": "Success",
        "total_rows": 1,
        "report": {
            "columns": ["offer_id", "offer_name", "day", "clicks", "conversions", "payout", "cr", "epc",
                "average_time_to_conversion"],
            "rows": [{
                "offer_id": 1, "offer_name": "Auto Insurance Quote", "day": "2026-06-19", "clicks": 2, "conversions": 1,
                "payout": 18.0, "cr": 0.5, "epc": 9.0, "average_time_to_conversion": 0,
                "previous": {"clicks": 0, "conversions": 0, "payout": 0.0, "cr": null, "epc": null,
                    "average_time_to_conversion": null},
            }],
            "totals": {
                "clicks": 2, "conversions": 1, "payout": 18.0, "cr": 0.5, "epc": 9.0, "average_time_to_conversion": 0,
                "previous": {"clicks": 0, "conversions": 0, "payout": 0.0, "cr": null, "epc": null,
                    "average_time_to_conversion": null},
            },
            "currency": "USD", "time_zone": "UTC", "clock": "conversion",
        },
    });
    let normal = |it: &Value| {
        it.to_string()
            .replace("18.00", "18.0")
            .replace("0.5000", "0.5")
            .replace("9.0000", "9.0")
            .replace("0.00", "0.0")
    };
    assert_eq!(normal(&answer), normal(&expected));
    assert!(answer.to_string().contains(r#""payout":18.00,"cr":0.5000,"epc":9.0000"#));

    let csv = server.client.path(&format!(
        "/api/2/report.csv?start_date=2026-06-19&end_date=2026-06-19&group_by=affiliate,hour&metrics=clicks,payout&api_key={}",
        server.client.key()
    ));
    let expected = "affiliate_id,affiliate_name,hour,clicks,payout\n1,MediaBridge Partners,2026-06-19T14:00:00+00:00,2,18.00\n";
    assert_eq!((csv.status, &*csv.text), (200, expected));
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
}

#[test]
fn money_of_two_currencies_is_told_apart() {
    let server = busy();
    let answer = report(&server, &everything(&["affiliate"]));
    let report = &answer["report"];
    assert_eq!(report["currency"], Value::Null);
    let rows = report["rows"].as_array().expect("rows");
    let told: Vec<_> =
        rows.iter().map(|row| (row["affiliate_id"].as_u64(), row["currency"].as_str())).collect();
    assert_eq!(
        told,
        [(Some(1), Some("EUR")), (Some(1), Some("USD")), (Some(2), Some("EUR")), (Some(2), Some("USD"))]
    );
    let totals = report["totals"].as_array().expect("one for each");
    assert_eq!(
        totals.iter().map(|it| it["currency"].as_str()).collect::<Vec<_>>(),
        [Some("EUR"), Some("USD")]
    );
    // Where only one is left, there is nothing to tell apart.
    let mut question = everything(&["affiliate"]);
    question["filters"] = json!({"offer_id": 3});
    let one = self::report(&server, &question);
    assert_eq!((&one["report"]["currency"], one["report"]["totals"].is_object()), (&json!("EUR"), true));
}

#[test]
fn cake_reports_are_views_of_it() {
    let server = TestServer::with(|config| config.tracking.cookieless_seconds = 600);
    server.convert("one");
    server.client.click(&format!("{}&s1=red", server.sample.link()));
    let dates = [("start_date", "2026-06-19"), ("end_date", "06/19/2026")];
    let row = |name: &str, list: &str| {
        let answer = server.client.get(&format!("report/{name}"), &dates).success();
        let response = &answer["response"];
        let rows = response["data"][list].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        assert_eq!(response["total_rows"], rows.len());
        rows[0].clone()
    };
    let figures = r#""impressions":0,"clicks":2,"unique_clicks":1,"conversions":1,"revenue":22.00,"cost":18.00,"profit":4.00,"cr":0.5000,"epc":9.0000}"#;
    let expected = format!(r#"{{"offer_id":1,"offer_name":"Auto Insurance Quote",{figures}"#);
    assert_eq!(row("offer", "offers").to_string(), expected);
    assert_eq!(row("affiliate", "affiliates")["affiliate_name"], "MediaBridge Partners");
    assert_eq!(row("advertiser", "advertisers")["advertiser_name"], "Acme");
    assert_eq!(row("campaign", "campaigns")["campaign_id"], 1);
    assert_eq!(row("creative", "creatives")["creative_id"], 1);
    assert_eq!(row("country", "countries")["country"], "");
    assert_eq!(row("device", "devices")["device"], "unknown");
    assert_eq!(row("day", "days")["day"], "2026-06-19");
    assert_eq!(row("hour", "hours")["hour"], "2026-06-19T14:00:00+00:00");
    let sub_ids = server
        .client
        .get("report/subid", &[dates.as_slice(), &[("sort_field", "clicks")]].concat())
        .success();
    let sub_ids = sub_ids["response"]["data"]["sub_ids"].as_array().expect("rows").clone();
    assert_eq!(sub_ids.iter().map(|it| it["sub_id_1"].as_str()).collect::<Vec<_>>(), [Some(""), Some("red")]);
    let conversions = server.client.get("report/conversion", &dates).success();
    let first = conversions["response"]["data"]["conversions"][0].to_string();
    let begins = r#"{"conversion_id":1,"conversion_date":"2026-06-19 14:30:00","offer_id":1,"affiliate_id":1,"payout":18.00,"revenue":22.00,"conversion_status":"approved","unique_id":"one","#;
    assert!(first.starts_with(begins), "{first}");
    assert_eq!(server.client.get("report/weather", &dates).status, 404);
}

#[test]
fn affiliates_see_their_own_and_no_revenue() {
    let server = busy();
    let own = server
        .client_with("own", Grant { affiliate_id: Some(AffiliateId(2)), ..Grant::of(Scope::Affiliate) });
    let range = json!({"start_date": "2026-06-19", "end_date": "2026-06-22", "group_by": ["affiliate", "advertiser"]});
    let answer = own.post_json("report", &range.to_string()).success();
    let report = &answer["report"];
    assert!(!answer.to_string().contains("revenue") && !answer.to_string().contains("Globex"), "{answer}");
    for row in report["rows"].as_array().expect("rows") {
        assert_eq!(row["affiliate_id"], 2);
    }
    for (field, value) in
        [("metrics", json!(["rpc"])), ("metrics", json!(["margin"])), ("filters", json!({"affiliate_id": 1}))]
    {
        let mut question = range.clone();
        question[field] = value;
        let refused = own.post_json("report", &question.to_string());
        assert_eq!((refused.status, refused.code()), (403, "not_permitted".to_owned()), "{field}");
    }
    let dates = [("start_date", "2026-06-19"), ("end_date", "2026-06-22")];
    let offers = own.get("report/offer", &dates).success();
    assert!(!offers.to_string().contains("profit"), "{offers}");
    let all = [dates.as_slice(), &[("row_limit", "10000")]].concat();
    let clicks = own.get("report/click", &all).success();
    let clicks = clicks["response"]["data"]["clicks"].as_array().expect("rows").clone();
    assert!(!clicks.is_empty() && clicks.iter().all(|it| it["affiliate_id"] == 2));
    let conversions = own.get("report/conversion", &all).success();
    let conversions = conversions["response"]["data"]["conversions"].as_array().expect("rows").clone();
    assert!(
        !conversions.is_empty()
            && conversions.iter().all(|it| it["affiliate_id"] == 2 && it.get("revenue").is_none())
    );
    let recorder = server.client_with("recorder", Grant::of(Scope::Conversion));
    assert_eq!(recorder.post_json("report", &range.to_string()).status, 403);
}

#[test]
fn what_cannot_be_asked_is_named() {
    let server = TestServer::start();
    let whole = json!({"start_date": "2026-06-19", "end_date": "2026-06-19"});
    let check = |field: &str, value: Value, named: &str| {
        let mut question = whole.clone();
        question[field] = value;
        let refused = server.client.post_json("report", &question.to_string());
        assert_eq!(refused.status, 400, "{field}: {}", refused.text);
        assert_eq!(refused.json()["error"]["parameter"], named, "{}", refused.text);
    };
    check("start_date", Value::Null, "start_date");
    check("end_date", json!("2026-06-18"), "end_date");
    check("end_date", json!("2027-09-01"), "end_date");
    check("group_by", json!(["hour", "day"]), "group_by");
    check("group_by", json!(["offer", "offer"]), "group_by");
    check("group_by", json!([["offer"]]), "group_by");
    check("metrics", json!(["profit"]), "metrics");
    check("sort_field", json!("colour"), "sort_field");
    check("sort_field", json!("country"), "sort_field");
    check("time_zone", json!("Mars/Olympus"), "time_zone");
    check("clock", json!("wall"), "clock");
    check("compare", json!("yesterday"), "compare");
    check("compare_start_date", json!("2026-06-01"), "compare_end_date");
    check("filters", json!({"colour": "red"}), "colour");
    check("filters", json!({"offer_id": "x"}), "offer_id");
    check("row_limit", json!(-1), "row_limit");
    let clamped = server
        .client
        .post_json("report", r#"{"start_date": "2026-06-19", "end_date": "2026-06-19", "row_limit": 99999}"#);
    assert_eq!(clamped.header("x-row-limit"), Some("10000"));
}
