//! `crumb lint-url`: what may be wrong with a postback, without a server and without a data folder.

use e2e::{Finished, Process, crumb};
use serde_json::{Value, json};

fn lint(arguments: &[&str]) -> Finished {
    Process::start(crumb(&[&["lint-url"], arguments].concat())).finish()
}

fn lint_json(arguments: &[&str]) -> (Option<i32>, Value) {
    let finished = lint(&[arguments, &["--json"]].concat());
    let json = serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    (finished.code, json)
}

#[test]
fn a_good_url_is_shown_with_its_tokens_and_what_it_would_call() {
    let (code, found) = lint_json(&["https://aff.example/in?c={click_id}&p=#price#&c2=[[reqid]]"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        found,
        json!({
            "tokens": [
                {"token": "click_id", "meaning": "the click's id", "sample": "019ee03c-2aa0-7001-8000-00c0ffeec0de"},
                {"token": "payout", "meaning": "what the affiliate gets", "sample": "18.00"},
            ],
            "url": "https://aff.example/in?c=019ee03c-2aa0-7001-8000-00c0ffeec0de&p=18.00&c2=019ee03c-2aa0-7001-8000-00c0ffeec0de",
            "body": null, "warnings": [], "errors": []
        })
    );
    let printed = lint(&["https://aff.example/in?p={payout}"]).stdout;
    assert!(printed.contains("token    payout") && printed.contains("(sample: 18.00)"), "{printed}");
    assert!(printed.contains("url      https://aff.example/in?p=18.00\n"), "{printed}");
    assert!(printed.contains("warning  no click id"), "{printed}");
}

#[test]
fn an_error_is_told_with_a_suggestion_and_fails() {
    let (code, found) = lint_json(&["https://aff.example/in?a={affilate_id}"]);
    assert_eq!(code, Some(1));
    assert_eq!(found["errors"], json!(["URL: unknown token {affilate_id}; did you mean {affiliate_id}?"]));
    for (url, told) in [
        ("https://{s1}.example/", "tokens may not stand in the host"),
        ("ftp://aff.example/", "not a URL"),
        ("http://0.0.0.0/", "not a public address"),
    ] {
        let finished = lint(&[url]);
        assert_eq!(finished.code, Some(1), "{url}");
        assert!(finished.stdout.contains("ERROR    URL: ") && finished.stdout.contains(told), "{finished:?}");
    }
}

#[test]
fn a_body_is_looked_at_too() {
    let url = "https://aff.example/in";
    let (code, found) = lint_json(&[url, "--body", r#"{"c": "{click_id}", "p": {payout}}"#]);
    assert_eq!((code, &found["warnings"]), (Some(0), &json!([])));
    assert_eq!(found["body"], r#"{"c": "019ee03c-2aa0-7001-8000-00c0ffeec0de", "p": 18.00}"#);
    let (code, found) = lint_json(&[url, "--body-type", "form", "--body", "c={click_id}&a={s1}"]);
    assert_eq!((code, &found["body"]), (Some(0), &json!("c=019ee03c-2aa0-7001-8000-00c0ffeec0de&a=sub-1")));
    for (body, told) in
        [("{\"c\": {s1}}", "body: put {s1} in quotes"), ("{\"c\": \"{s1}\",}", "body: not JSON: ")]
    {
        let finished = lint(&[url, "--body", body]);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stdout.contains(told), "{finished:?}");
    }
    assert_eq!(lint(&[url, "--body-type", "json"]).code, Some(2), "a type needs its body");
}

#[test]
fn what_a_server_may_refuse_is_a_warning() {
    let (code, found) = lint_json(&["http://10.0.0.1/?c={click_id}&api_key=s3cret"]);
    assert_eq!(code, Some(0));
    let warnings = found["warnings"].to_string();
    for told in ["10.0.0.1 is not a public address: refused unless", "http: ", "api_key: a secret"] {
        assert!(warnings.contains(told), "{warnings}");
    }
}
