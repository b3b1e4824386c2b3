//! JSON and form bodies that are not what they say.

use crate::fixture::fixture;

#[test]
fn bad_json_is_refused_and_names_what_is_wrong() {
    let fixture = fixture();
    let click_id = fixture.server.click(&fixture.network.link);
    let deep = |open: &str, close: &str| format!("{{\"adv1\":{}{}}}", open.repeat(9000), close.repeat(9000));
    for (body, parameter) in [
        ("", "click_id"),
        ("{}", "click_id"),
        ("{\"click_id\":null}", "click_id"),
        ("{\"click_id\":{\"id\":1},\"offer_id\":1}", "click_id"),
        ("{\"click_id\":[\"a\"],\"offer_id\":1}", "click_id"),
        ("{\"click_id\":\"a\",\"click_id\":\"b\",\"offer_id\":1}", "click_id"),
        ("{\"click_id\":\"a\",\"CLICK_ID\":\"b\",\"offer_id\":1}", "click_id"),
        ("{\"offer_id\":true,\"click_id\":\"a\"}", "offer_id"),
        ("{\"offer_id\":1.0,\"click_id\":\"a\"}", "offer_id"),
        ("{\"offer_id\":1,\"click_id\":\"a\",\"payout\":1e999}", "payout"),
        ("{\"offer_id\":1,\"click_id\":\"a\",\"payout\":-1}", "payout"),
        ("[]", "body"),
        ("[{\"click_id\":\"a\"}]", "body"),
        ("null", "body"),
        ("\"text\"", "body"),
        ("7", "body"),
        ("{", "body"),
        ("{\"click_id\":\"a\"", "body"),
        ("{\"click_id\":\"a\",}", "body"),
        ("{'click_id':'a'}", "body"),
        ("{\"click_id\":\"\\ud800\"}", "body"),
        ("{\"click_id\":\"a\"} trailing", "body"),
        ("{\"click_id\":\"a\"}{\"click_id\":\"b\"}", "body"),
        ("{\"click_id\":NaN}", "body"),
        ("\u{feff}{\"click_id\":\"a\"}", "body"),
        (&deep("[", "]"), "body"),
        (&deep("{\"a\":", "}"), "body"),
        ("click_id=a&offer_id=1", "body"),
    ] {
        let answer = fixture.api.send("POST", "conversion.json", "application/json", body.as_bytes());
        let error = answer.envelope()["error"].clone();
        assert_eq!(
            (answer.status, error["parameter"].as_str()),
            (400, Some(parameter)),
            "{body:.80}: {error}"
        );
    }
    let bytes = b"{\"click_id\":\"\xff\xfe\"}";
    fixture.api.send("POST", "conversion.json", "application/json", bytes).refusal(400, "invalid_parameter");
    let form = "application/x-www-form-urlencoded";
    fixture.api.send("POST", "conversion.json", form, b"click_id=\xff").refusal(400, "invalid_parameter");
    // Bodies of a kind that nobody reads are refused, not guessed at.
    let query = format!("click_id={click_id}&offer_id={}", fixture.network.offer_id);
    for kind in ["text/plain", "text/xml", "multipart/form-data; boundary=x", "application/json+x"] {
        let answer = fixture.api.send("POST", "conversion.json", kind, query.as_bytes());
        assert!((400..500).contains(&answer.status), "{kind}");
        answer.envelope();
    }
    // The same said twice is harmless, and charset parameters are common.
    let fields = format!(
        "{{\"click_id\":\"{click_id}\",\"click_id\":\"{click_id}\",\"offer_id\":{}}}",
        fixture.network.offer_id
    );
    let kind = "Application/JSON; charset=utf-8";
    fixture.api.send("POST", "conversion.json", kind, fields.as_bytes()).success();
    assert_eq!(fixture.conversion_count(), 1);
    fixture.is_healthy();
}
