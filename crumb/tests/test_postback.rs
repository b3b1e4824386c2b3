//! Trying postbacks out: shown, called, and never kept.

use domain::access::{Grant, Scope};
use outbound::AllowPrivate;
use serde_json::{Value, json};
use testkit::{Answer, Reaction, Receiver, TestServer};

fn start() -> TestServer {
    TestServer::with(|config| config.outbound.allow_private.0 = AllowPrivate::All)
}

fn tested(answer: &Answer) -> Value {
    answer.success()["test"].clone()
}

#[test]
fn without_send_it_is_only_shown() {
    let server = TestServer::start();
    let url = "https://aff.example/in?c={click_id}&p=#price#&s={s1}&key=s3cret";
    let shown = tested(&server.client.post("test_postback", &[("postback_url", url)]));
    assert_eq!(
        shown.to_string(),
        json!({
            "method": "GET",
            "url": "https://aff.example/in?c=019ee03c-2aa0-7001-8000-00c0ffeec0de&p=18.00&s=sub-1&key=s3cret",
            "headers": {"x-crumb-delivery": "test"}, "body": null, "sent": false, "http_status": null,
            "success": null, "duration_ms": null, "response": null, "error": null
        })
        .to_string()
    );
    let body = [
        ("postback_url", "https://aff.example/"),
        ("postback_method", "post_json"),
        ("postback_body", r#"{"id": "{tid}", "p": {payout}}"#),
    ];
    let shown = tested(&server.client.post("test_postback", &body));
    assert_eq!(
        (&shown["method"], &shown["body"]),
        (&"POST".into(), &r#"{"id": "ORD-98765", "p": 18.00}"#.into())
    );
    assert_eq!(shown["headers"]["content-type"], "application/json");
}

#[test]
fn with_send_it_is_called_once_and_what_came_is_told() {
    let receiver = Receiver::reacting(|it| match it.query("c") {
        Some("302") => {
            Reaction::Answer(302, "Location: http://127.0.0.1:1/\r\n".to_owned(), "moved".to_owned())
        }
        Some("close") => Reaction::Close,
        _ => Reaction::Answer(200, String::new(), "thank you".to_owned()),
    });
    let server = start();
    let send = |c: &str, extra: &[(&str, &str)]| {
        let url = receiver.url(&format!("/in?c={c}&id={{conversion_id}}"));
        let params = [&[("postback_url", &*url), ("send", "true")], extra].concat();
        tested(&server.client.post("test_postback", &params))
    };
    let well = send("1", &[]);
    assert_eq!(
        (&well["sent"], &well["http_status"], &well["success"]),
        (&json!(true), &json!(200), &json!(true))
    );
    assert_eq!((&well["response"], &well["error"]), (&json!("thank you"), &json!(null)));
    assert!(well["duration_ms"].is_u64());
    assert_eq!(send("1", &[("success_text", "OK")])["success"], false);
    assert_eq!(send("1", &[("success_codes", "500-599")])["success"], false);
    let moved = send("302", &[]);
    assert_eq!((&moved["http_status"], &moved["success"]), (&json!(302), &json!(false)), "not followed");
    let closed = send("close", &[]);
    assert_eq!((&closed["http_status"], &closed["success"]), (&json!(null), &json!(false)));
    assert!(closed["error"].as_str().is_some_and(|it| it.starts_with("broken_answer: ")), "{closed}");
    let received = receiver.received();
    assert_eq!(received.len(), 5);
    assert!(received.iter().all(|it| it.delivery_id() == "test" && it.query("id") == Some("1042")));
    server.verify();
}

#[test]
fn a_saved_one_is_tried_with_a_conversion_and_its_signature_but_not_its_secret() {
    let receiver = Receiver::start();
    let server = start();
    let url = receiver.url("/?u={tid}&click={click_id}&s={s1}&ip={sourceip}&from={ip}");
    let create = [
        ("affiliate_id", "1"),
        ("offer_id", "0"),
        ("postback_url", &*url),
        ("postback_method", "post_form"),
        ("postback_status", "inactive"),
        ("sign", "true"),
    ];
    let made = server.client.post("affiliate_postback", &create).success()["postback"].clone();
    let conversion = server.convert("ORD-1").to_string();
    let params = [("postback_id", "1"), ("conversion_id", &*conversion), ("send", "true")];
    let tested = tested(&server.client.post("test_postback", &params));
    assert_eq!(tested["success"], true, "{tested}");
    let received = receiver.wait_for(1).remove(0);
    assert_eq!((received.query("u"), received.query("s")), (Some("ORD-1"), Some("")));
    assert_eq!((received.query("ip"), received.query("from")), (Some("127.0.0.1"), Some("127.0.0.1")));
    assert!(received.body.contains("&payout=18%2E00&"), "{}", received.body);
    assert_eq!(received.header("webhook-id"), Some("test"));
    assert!(received.header("webhook-signature").is_some_and(|it| it.starts_with("v1,")));
    let secret = made["signing_secret"].as_str().expect("a secret");
    assert!(!tested.to_string().contains(secret));
}

#[test]
fn what_could_not_be_saved_is_not_tried_and_nobody_else_may() {
    let server = TestServer::start();
    let refused = |params: &[(&str, &str)]| {
        let answer = server.client.post("test_postback", params);
        let parameter = answer.json()["error"]["parameter"].as_str().unwrap_or_default().to_owned();
        (answer.status, answer.code(), parameter)
    };
    let bad = |name: &str| (400, "invalid_parameter".to_owned(), name.to_owned());
    let url = ("postback_url", "https://aff.example/");
    assert_eq!(refused(&[]), (400, "missing_parameter".to_owned(), "postback_url".to_owned()));
    assert_eq!(refused(&[("postback_url", "http://127.0.0.1/"), ("send", "true")]), bad("postback_url"));
    assert_eq!(refused(&[("postback_url", "https://x.example/{nobody_knows}")]), bad("postback_url"));
    assert_eq!(refused(&[url, ("postback_body", "a=1")]), bad("postback_body"));
    assert_eq!(
        refused(&[url, ("postback_method", "post_json"), ("postback_body", "[1,]")]),
        bad("postback_body")
    );
    assert_eq!(refused(&[url, ("postback_id", "1")]), bad("postback_url"));
    assert_eq!(refused(&[("postback_id", "1")]).1, "postback_not_found");
    assert_eq!(refused(&[url, ("conversion_id", "1")]).1, "conversion_not_found");
    let reader = server.client_with("reader", Grant::of(Scope::Read));
    assert_eq!(reader.post("test_postback", &[url]).code(), "not_permitted");
}

#[test]
fn few_are_tried_out_at_a_time() {
    let receiver = Receiver::reacting(|_| Reaction::Hang);
    let server = TestServer::with(|config| {
        config.outbound.allow_private.0 = AllowPrivate::All;
        config.outbound.timeout_seconds = 20;
        config.outbound.connect_timeout_seconds = 5;
    });
    let url = receiver.url("/");
    let params = [("postback_url", &*url), ("send", "true")];
    std::thread::scope(|scope| {
        let calls: Vec<_> =
            (0..4).map(|_| scope.spawn(|| server.client.post("test_postback", &params))).collect();
        receiver.wait_for(4);
        let answer = server.client.post("test_postback", &params);
        assert_eq!((answer.status, answer.code()), (503, "overloaded".to_owned()));
        drop(receiver);
        for call in calls {
            assert_eq!(tested(&call.join().expect("no panic"))["success"], false);
        }
    });
}
