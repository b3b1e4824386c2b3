//! The three documented endpoints, asked as their article asks them: names, nesting, order and the
//! formatting of numbers are what partners' integrations rely on.

use e2e::{Client, Network, Server, encode};
use serde_json::{Value, json};

const CLICK_FIELDS: [&str; 9] = [
    "click_id",
    "click_date",
    "offer_id",
    "affiliate_id",
    "sub_id_1",
    "ip_address",
    "country",
    "converted",
    "conversion_id",
];
const RECORDED_FIELDS: [&str; 9] = [
    "conversion_id",
    "offer_id",
    "affiliate_id",
    "click_id",
    "payout",
    "revenue",
    "unique_id",
    "conversion_date",
    "conversion_status",
];
const LISTED_FIELDS: [&str; 7] =
    ["conversion_id", "offer", "affiliate", "payout", "revenue", "conversion_status", "conversion_date"];

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The documented fields come first and in order; others may follow.
fn begins_with(object: &Value, documented: &[&str]) {
    let keys = keys(object);
    assert_eq!(keys.get(..documented.len()), Some(documented), "{keys:?}");
}

fn is_a_date(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00 00:00:00"
}

/// The day of a printed date.
fn day(value: &Value) -> &str {
    &value.as_str().expect("a date")[..10]
}

#[test]
fn get_click_answers_as_documented() {
    let server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    let click_id = server.click(&format!("{}&s1=banner_300x250", network.link));

    let one = api.get(&format!("click.json?click_id={click_id}"));
    let body = one.success();
    assert_eq!(keys(&body), ["request_status", "response"]);
    assert_eq!(keys(&body["response"]), ["clicks", "total_rows"]);
    let click = &body["response"]["clicks"][0];
    begins_with(click, &CLICK_FIELDS);
    assert!(is_a_date(&click["click_date"]), "{click}");
    assert_eq!(click["click_id"], click_id.as_str());
    assert_eq!(click["offer_id"], network.offer_id);
    assert_eq!(click["affiliate_id"], network.affiliate_id);
    assert_eq!(click["sub_id_1"], "banner_300x250");
    assert_eq!(click["ip_address"], "127.0.0.1");
    assert_eq!(click["country"], "");
    assert_eq!(click["converted"], false);
    assert_eq!(click["conversion_id"], Value::Null);
    assert_eq!(body["response"]["total_rows"], 1);
    assert_eq!(one.header("x-time-zone"), Some("UTC"));

    // The sample request itself, its dates and ids adapted.
    let Network { offer_id, affiliate_id, .. } = network;
    let day = day(&click["click_date"]);
    let listed = api.get(&format!(
        "click.json?start_date={day}&end_date={day}&offer_id={offer_id}&affiliate_id={affiliate_id}&start_at_row=0&row_limit=50"
    ));
    assert_eq!(listed.success(), body);
    assert_eq!(listed.header("x-row-limit"), Some("50"));
    // Neither id nor dates: the last 24 hours.
    assert_eq!(api.get("click.json").success(), body);
    // The id wins over everything else.
    let elsewhere =
        format!("click.json?click_id={click_id}&start_date=2026-01-01&end_date=2026-01-31&offer_id=99");
    assert_eq!(api.get(&elsewhere).success(), body);
}

#[test]
fn record_conversion_answers_as_documented() {
    let server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    let click_id = server.click(&network.link);
    let offer_id = network.offer_id;

    let recorded = api.get(&format!(
        "conversion.json?click_id={click_id}&offer_id={offer_id}&payout=18.00&revenue=22.00&unique_id=ORD-98765"
    ));
    let body = recorded.success();
    assert_eq!(keys(&body), ["request_status", "conversion"]);
    let conversion = &body["conversion"];
    begins_with(conversion, &RECORDED_FIELDS);
    assert!(conversion["conversion_id"].is_u64());
    assert_eq!(conversion["offer_id"], offer_id);
    assert_eq!(conversion["affiliate_id"], network.affiliate_id);
    assert_eq!(conversion["click_id"], click_id.as_str());
    assert_eq!(conversion["unique_id"], "ORD-98765");
    assert!(is_a_date(&conversion["conversion_date"]));
    assert_eq!(conversion["conversion_status"], "approved");
    assert!(recorded.text().contains(r#""payout":18.00,"revenue":22.00,"#), "{}", recorded.text());

    let click = api.click(&click_id);
    assert_eq!(click["converted"], true);
    assert_eq!(click["conversion_id"], conversion["conversion_id"]);
}

#[test]
fn get_conversions_answers_as_documented() {
    let server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    let click_id = server.click(&network.link);
    let offer_id = network.offer_id;
    let recorded =
        api.get(&format!("conversion.json?click_id={click_id}&offer_id={offer_id}&unique_id=ORD-98765"));
    let recorded = recorded.success()["conversion"].clone();

    let day = day(&recorded["conversion_date"]);
    let listed = api.get(&format!(
        "conversions.json?start_date={day}&end_date={day}&offer_id={offer_id}&conversion_status=approved&row_limit=50"
    ));
    let body = listed.success();
    begins_with(&body, &["request_status", "total_rows", "conversions"]);
    assert_eq!(body["total_rows"], 1);
    let row = &body["conversions"][0];
    assert_eq!(keys(row), ["conversion"]);
    let conversion = &row["conversion"];
    begins_with(conversion, &LISTED_FIELDS);
    assert_eq!(conversion["conversion_id"], recorded["conversion_id"]);
    assert_eq!(conversion["offer"], json!({ "offer_id": offer_id, "offer_name": "Auto Insurance Quote" }));
    assert_eq!(keys(&conversion["offer"]), ["offer_id", "offer_name"]);
    let affiliate = json!({ "affiliate_id": network.affiliate_id, "affiliate_name": "MediaBridge Partners" });
    assert_eq!(conversion["affiliate"], affiliate);
    assert_eq!(keys(&conversion["affiliate"]), ["affiliate_id", "affiliate_name"]);
    assert_eq!(conversion["conversion_status"], "approved");
    assert_eq!(conversion["conversion_date"], recorded["conversion_date"]);
    assert!(listed.text().contains(r#""payout":18.00,"revenue":22.00,"#), "{}", listed.text());

    let total = |filter: &str| {
        let call = format!("conversions.json?start_date={day}&end_date={day}&{filter}");
        api.get(&call).success()["total_rows"].clone()
    };
    assert_eq!(total(&format!("advertiser_id={}", network.advertiser_id)), 1);
    assert_eq!(total(&format!("affiliate_id={}", network.affiliate_id)), 1);
    assert_eq!(total("conversion_status=pending,rejected,returned,scrubbed"), 0);
    assert_eq!(total("sort_field=payout&sort_descending=true"), 1);
    api.get("conversions.json").refusal(400, "missing_parameter");
    api.get(&format!("conversions.json?start_date={day}&end_date={day}&sort_field=luck"))
        .refusal(400, "invalid_parameter");
}

#[test]
fn money_is_printed_with_two_to_four_decimals_and_never_rounded() {
    let server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    for (sent, printed) in [
        ("18", "18.00"),
        ("18.5", "18.50"),
        ("0.0125", "0.0125"),
        ("0.10", "0.10"),
        ("0", "0.00"),
        ("0.1000", "0.10"),
        ("16777217.01", "16777217.01"),
        ("999999999.9999", "999999999.9999"),
    ] {
        let click_id = server.click(&network.link);
        let offer_id = network.offer_id;
        let answer =
            api.get(&format!("conversion.json?click_id={click_id}&offer_id={offer_id}&payout={sent}"));
        answer.success();
        let payout = format!(r#""payout":{printed},"#);
        assert!(answer.text().contains(&payout), "{sent}: {}", answer.text());
        let fields = json!({ "click_id": click_id, "offer_id": offer_id, "payout": 0, "unique_id": format!("json {sent}") });
        // As a JSON number, its digits as they are.
        let fields = fields.to_string().replace(r#""payout":0"#, &format!(r#""payout":{sent}"#));
        let answer = api.send("POST", "conversion.json", "application/json", fields.as_bytes());
        answer.success();
        assert!(answer.text().contains(&payout), "{sent}: {}", answer.text());
    }
}

#[test]
fn record_conversion_takes_query_form_and_json() {
    let server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    let click_id = server.click(&network.link);
    let offer_id = network.offer_id;
    let query =
        |unique_id: &str| format!("click_id={click_id}&offer_id={offer_id}&unique_id={unique_id}&adv1=a%20b");
    let call = |unique_id: &str| format!("conversion.json?{}", query(unique_id));
    let answers = [
        ("1", api.get(&call("1"))),
        ("2", api.send("POST", &call("2"), "", b"")),
        ("3", api.post_form("conversion.json", &query("3"))),
        (
            "4",
            api.post_json(
                "conversion.json",
                &json!({ "click_id": click_id, "offer_id": offer_id, "unique_id": "4", "adv1": "a b" }),
            ),
        ),
        // Some of it here, some of it there; a number may be a text.
        (
            "5",
            api.post_json(
                &format!("conversion.json?click_id={click_id}&unique_id=5"),
                &json!({ "offer_id": offer_id.to_string(), "adv1": "a b" }),
            ),
        ),
    ];
    for (unique_id, answer) in answers {
        let conversion = &answer.success()["conversion"];
        assert_eq!((&conversion["unique_id"], &conversion["adv1"]), (&json!(unique_id), &json!("a b")));
    }
}

#[test]
fn a_key_comes_in_every_transport() {
    let server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    let click_id = server.click(&network.link);
    let key = api.key();
    let status = |method: &str, target: &str, headers: &str| {
        server.connect().request(method, target, headers).expect("an answer").status
    };
    let target = format!("/api/2/click.json?click_id={click_id}");
    assert_eq!(status("GET", &target, ""), 401);
    assert_eq!(status("GET", &format!("{target}&api_key={key}"), ""), 200);
    assert_eq!(status("GET", &format!("/api/2/click.json?API_KEY={key}"), ""), 200);
    assert_eq!(status("GET", &target, &format!("X-Api-Key: {key}\r\n")), 200);
    assert_eq!(status("GET", &target, &format!("Authorization: Bearer {key}\r\n")), 200);
    assert_eq!(status("GET", &target, &format!("authorization: bearer {key}\r\n")), 200);

    let keyless = Client::new(server.address(), "");
    let fields = format!("click_id={click_id}&offer_id={}&unique_id=1", network.offer_id);
    let missing = keyless.post_form("conversion.json", &fields).refusal(401, "invalid_api_key");
    assert_eq!(missing["message"], "Invalid API Key");
    keyless.post_form("conversion.json", &format!("{fields}&api_key={}", encode(key))).success();
    let fields =
        json!({ "click_id": click_id, "offer_id": network.offer_id, "unique_id": "1", "api_key": key });
    keyless.post_json("conversion.json", &fields).success();
}

#[test]
fn the_checks_come_in_the_documented_order() {
    let server = Server::start();
    let api = server.api();
    let network = Network::make(&api);
    let other = Network::with_advertiser(&api, network.advertiser_id);
    let click_id = server.click(&network.link);
    let record = |api: &Client, query: &str| api.get(&format!("conversion.json?{query}"));
    let unknown = "01890000-0000-7000-8000-000000000000";

    let wrong_key = Client::new(server.address(), "crumb_wrong");
    record(&wrong_key, "payout=x").refusal(401, "invalid_api_key");
    let refusal =
        record(&api, &format!("click_id={unknown}&offer_id=1&payout=x")).refusal(400, "invalid_parameter");
    assert_eq!(refusal["parameter"], "payout");
    let refusal = record(&api, "offer_id=1").refusal(400, "missing_parameter");
    assert_eq!(refusal["parameter"], "click_id");
    let refusal = record(&api, &format!("click_id={click_id}")).refusal(400, "missing_parameter");
    assert_eq!(refusal["parameter"], "offer_id");
    let refusal = record(&api, &format!("click_id={unknown}&offer_id=1")).refusal(404, "click_not_found");
    assert_eq!(refusal["message"], "Click Not Found");
    record(&api, &format!("click_id={click_id}&offer_id=4000000000")).refusal(404, "offer_not_found");
    record(&api, &format!("click_id={click_id}&offer_id={}", other.offer_id)).refusal(422, "offer_mismatch");

    let call = format!("click_id={click_id}&offer_id={}", network.offer_id);
    let first = record(&api, &format!("{call}&unique_id=first")).success();
    let form = format!("offer_id={}&offer_status=inactive", network.offer_id);
    api.post_form("update_offer.json", &form).success();
    // A repeat is the original, whatever has happened to the offer since.
    assert_eq!(record(&api, &format!("{call}&unique_id=first")).success(), first);
    record(&api, &format!("{call}&unique_id=second")).refusal(422, "offer_not_active");
    let form = format!("offer_id={}&offer_status=active", network.offer_id);
    api.post_form("update_offer.json", &form).success();
    let form = format!("affiliate_id={}&affiliate_status=inactive", network.affiliate_id);
    api.post_form("update_affiliate.json", &form).success();
    record(&api, &format!("{call}&unique_id=second")).refusal(422, "affiliate_not_active");
    let form = format!("affiliate_id={}&affiliate_status=active", network.affiliate_id);
    api.post_form("update_affiliate.json", &form).success();

    // No unique id, and the click has converted.
    let refusal = record(&api, &call).refusal(409, "duplicate_conversion");
    assert_eq!(refusal["conversion_id"], first["conversion"]["conversion_id"]);
    // The same unique id on another click.
    let another = server.click(&network.link);
    let call = format!("click_id={another}&offer_id={}&unique_id=first", network.offer_id);
    let refusal = record(&api, &call).refusal(409, "duplicate_conversion");
    assert_eq!(refusal["conversion_id"], first["conversion"]["conversion_id"]);
    api.post_form("update_offer.json", &format!("offer_id={}&session_hours=0", network.offer_id)).success();
    let call = format!("click_id={another}&offer_id={}", network.offer_id);
    record(&api, &call).refusal(422, "click_expired");
}

#[test]
fn dates_print_in_the_reporting_time_zone() {
    let server = Server::start_with(&[("NETWORK__TIME_ZONE", "Asia/Kolkata")]);
    let api = server.api();
    let network = Network::make(&api);
    let click_id = server.click(&network.link);
    let call = format!(
        "conversion.json?click_id={click_id}&offer_id={}&conversion_date=2026-06-19T20:30:00Z",
        network.offer_id
    );
    let answer = api.get(&call);
    assert_eq!(answer.success()["conversion"]["conversion_date"], "2026-06-20 02:00:00");
    assert_eq!(answer.header("x-time-zone"), Some("Asia/Kolkata"));
    let total = |start: &str, end: &str| {
        let call = format!("conversions.json?start_date={start}&end_date={end}");
        api.get(&call).success()["total_rows"].as_u64().expect("a number")
    };
    assert_eq!(total("2026-06-20", "2026-06-20"), 1);
    assert_eq!(total("2026-06-19", "2026-06-19"), 0);
    // An end given to the second includes that second.
    assert_eq!(total("2026-06-20%2002:00:00", "2026-06-20%2002:00:00"), 1);
    assert_eq!(total("06/20/2026", "06/20/2026%2001:59:59"), 0);
}
