//! Methods and paths that the API does not have.

use serde_json::json;

use crate::fixture::fixture;

#[test]
fn wrong_methods_and_unknown_paths_of_the_api_are_told_in_json() {
    let fixture = fixture();
    for (method, call) in [
        ("PUT", "conversion.json"),
        ("DELETE", "conversion.json"),
        ("PATCH", "conversion.json"),
        ("OPTIONS", "conversion.json"),
        ("TRACE", "conversion.json"),
        ("PURGE", "conversion.json"),
        ("POST", "click.json"),
        ("POST", "conversions.json"),
        ("DELETE", "offers.json"),
        ("GET", "offer.json"),
        ("GET", "update_offer.json"),
    ] {
        let answer = fixture.api.send(method, call, "", b"");
        answer.refusal(405, "method_not_allowed");
        assert!(answer.header("allow").is_some(), "{method} {call}: a 405 names what is allowed");
    }
    for target in [
        "/api",
        "/api/",
        "/api/2",
        "/api/2/",
        "/api/2/nothing.json",
        "/api/2/click.json/",
        "/api/2/click",
        "/api/2/CLICK.JSON",
        "/api/2//click.json",
        "/api/2/../2/click.json",
        "/api/2/%ff",
        "/api/2/%00click.json",
        "/api/3/click.json",
        "/api/2/click.json%00",
    ] {
        let answer = fixture.server.connect().get(target).expect("an answer");
        assert_eq!(
            (answer.status, &answer.envelope()["error"]["code"]),
            (404, &json!("not_found")),
            "{target}"
        );
    }
    fixture.is_healthy();
}
