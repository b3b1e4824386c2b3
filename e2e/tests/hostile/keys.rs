//! Keys that are none, and keys that may not.

use e2e::{Client, Network};
use serde_json::json;

use crate::fixture::fixture;

#[test]
fn wrong_keys_learn_nothing_and_scopes_hold() {
    let fixture = fixture();
    let server = &fixture.server;
    let valid = fixture.api.key();
    let long = "k".repeat(10_000);
    for key in [
        "",
        "wrong",
        "crumb_",
        &valid[..valid.len() - 1],
        &format!("{valid}0"),
        &valid.to_uppercase(),
        "é",
        &long,
    ] {
        let stranger = Client::new(server.address(), key);
        // Neither the parameters nor whether things exist are told to strangers.
        stranger.get("click.json?row_limit=x").refusal(401, "invalid_api_key");
        stranger.get("conversion.json?click_id=x").refusal(401, "invalid_api_key");
        stranger.post_form("offer.json", "unknown=field").refusal(401, "invalid_api_key");
        stranger.post_json("offer.json", &json!([])).refusal(401, "invalid_api_key");
    }
    for header in
        ["Basic", "Basic dXNlcjpwdw==", "Bearer", "Bearer ", "Bearer  ", "Digest x", "\u{fffd}", valid]
    {
        let header = format!("Authorization: {header}\r\n");
        let answer = server.connect().request("GET", "/api/2/click.json", &header).expect("an answer");
        answer.refusal(401, "invalid_api_key");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    fixture
        .raw(b"GET /api/2/click.json HTTP/1.1\r\nHost: x\r\nX-Api-Key: \xff\xfe\r\n\r\n")
        .expect("an answer")
        .refusal(401, "invalid_api_key");

    let Network { offer_id, affiliate_id, advertiser_id, .. } = fixture.network;
    let call = fixture.call("&unique_id=scopes");
    let read = server.api_with(&["--name", "read", "--scope", "read"]);
    read.get("click.json").success();
    read.get(&call).refusal(403, "not_permitted");
    read.post_form("advertiser.json", "advertiser_name=x").refusal(403, "not_permitted");
    let shop = server.api_with(&["--name", "shop", "--scope", "conversion"]);
    shop.get("click.json").refusal(403, "not_permitted");
    shop.get("conversions.json?start_date=2026-01-01&end_date=2026-01-01").refusal(403, "not_permitted");
    shop.get("offers.json").refusal(403, "not_permitted");
    shop.post_form("offer.json", "offer_name=x").refusal(403, "not_permitted");
    shop.get(&format!("{call}&payout=99")).refusal(403, "not_permitted");
    shop.get(&call).success();
    let granted = ["--name", "granted", "--scope", "conversion", "--may-override"];
    server.api_with(&granted).get(&fixture.call("&payout=99")).success();
    let (id, other) = (offer_id.to_string(), (offer_id + 1).to_string());
    let bound = |name: &str, flag: &str, id: &str| {
        server.api_with(&["--name", name, "--scope", "conversion", flag, id])
    };
    bound("own-offer", "--offer", &id).get(&fixture.call("")).success();
    bound("other-offer", "--offer", &other).get(&fixture.call("")).refusal(403, "not_permitted");
    bound("own-advertiser", "--advertiser", &advertiser_id.to_string()).get(&fixture.call("")).success();
    bound("other-advertiser", "--advertiser", "99").get(&fixture.call("")).refusal(403, "not_permitted");

    let affiliate = |name: &str, id: u64| {
        server.api_with(&["--name", name, "--scope", "affiliate", "--affiliate", &id.to_string()])
    };
    let (own, stranger) = (affiliate("own", affiliate_id), affiliate("stranger", affiliate_id + 1));
    let dates = "start_date=2020-01-01&end_date=2099-01-01";
    let answer = own.get(&format!("conversions.json?{dates}"));
    assert_eq!(answer.success()["total_rows"], 4);
    assert!(!answer.text().contains("revenue"), "{}", answer.text());
    assert!(!own.get("offers.json").text().contains("revenue"));
    own.get(&call).refusal(403, "not_permitted");
    own.get(&format!("click.json?affiliate_id={}", affiliate_id + 1)).refusal(403, "not_permitted");
    let click_id = server.click(&fixture.network.link);
    assert_eq!(own.get(&format!("click.json?click_id={click_id}")).success()["response"]["total_rows"], 1);
    for call in ["click.json", &format!("click.json?click_id={click_id}")] {
        assert_eq!(stranger.get(call).success()["response"]["total_rows"], 0, "{call}");
    }
    assert_eq!(stranger.get(&format!("conversions.json?{dates}")).success()["total_rows"], 0);
    fixture.is_healthy();
}
