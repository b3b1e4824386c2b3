//! Postbacks that the buyer's browser carries, in the answers of `p.ashx`.

use serde_json::Value;
use testkit::{Answer, TestServer};

const IMAGE: &str = "https://aff.example/i.gif?c={click_id}&s={s1}&p=#price#";
const FRAME: &str = "https://aff.example/f?c={conversion_id}&ip={sourceip}";
const SCRIPT: &str = "https://aff.example/j.js?t={tid}";

fn postback(server: &TestServer, kind: &str, url: &str, extra: &[(&str, &str)]) {
    let create =
        [("affiliate_id", "1"), ("offer_id", "0"), ("postback_type_id", kind), ("postback_url", url)];
    server.client.post("affiliate_postback", &[&create[..], extra].concat()).success();
}

/// A server whose affiliate has one of each kind, and a click.
fn start() -> (TestServer, String) {
    let server = TestServer::start();
    for (kind, url) in [("3", IMAGE), ("2", FRAME), ("4", SCRIPT)] {
        postback(&server, kind, url, &[]);
    }
    let click = server.client.click(&format!("{}&s1=a%22%3E%3Cb%3E%27%26", server.sample.link()));
    (server, click)
}

fn ask(server: &TestServer, params: &str) -> Answer {
    let answer = server.client.path(&format!("/p.ashx?{params}"));
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

fn deliveries(server: &TestServer) -> Vec<Value> {
    let found = server.client.get("postback_deliveries", &[]).success();
    found["deliveries"].as_array().expect("a list").clone()
}

#[test]
fn a_page_carries_what_its_recording_has_fired() {
    let (server, click) = start();
    let page = ask(&server, &format!("r={click}&t=ORD-1"));
    let image = format!(
        "<img alt=\"\" src=\"https://aff.example/i.gif?c={click}&amp;s=a%22%3E%3Cb%3E%27%26&amp;p=18.00\" "
    );
    for element in [
        &*image,
        "<iframe src=\"https://aff.example/f?c=1&amp;ip=127.0.0.1\" ",
        "<iframe sandbox=\"allow-scripts\" srcdoc=\"&lt;script referrerpolicy=&quot;no-referrer&quot; \
         src=&quot;https://aff.example/j.js?t=ORD-1&quot;&gt;&lt;/script&gt;\" ",
    ] {
        assert!(page.text.contains(element), "{element}\n{}", page.text);
    }
    assert_eq!(page.text.matches("referrerpolicy=\"no-referrer\"").count(), 3, "{}", page.text);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("frame-ancestors"), "{policy}");
    assert!(policy.contains("script-src http: https:;"), "no script of its own: {policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("x-frame-options"), None, "shops frame it");
    for delivery in deliveries(&server) {
        assert_eq!(delivery["delivery_status"], "delivered", "{delivery}");
    }
    assert_eq!(deliveries(&server).len(), 3);
    server.verify();
}

#[test]
fn a_script_makes_the_same_elements() {
    let (server, click) = start();
    let script = ask(&server, &format!("f=js&r={click}&t=ORD-1"));
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    let list = script.text.split_once("(document,").and_then(|(_, it)| it.strip_suffix(");\n"));
    let list: Value = serde_json::from_str(list.expect("a call")).expect("JSON");
    let names: Vec<_> = list.as_array().expect("a list").iter().map(|it| it[0].clone()).collect();
    assert_eq!(names, ["img", "iframe", "iframe"]);
    let image = format!("https://aff.example/i.gif?c={click}&s=a%22%3E%3Cb%3E%27%26&p=18.00");
    assert_eq!(list[0][1]["src"], *image);
    assert_eq!(list[2][1]["sandbox"], "allow-scripts");
    assert!(!script.text.contains(['<', '>']), "{}", script.text);
}

#[test]
fn only_the_answer_that_records_carries_them() {
    let (server, click) = start();
    let params = format!("r={click}&t=ORD-1");
    assert!(ask(&server, &params).text.contains("aff.example"));
    for again in [&*params, &format!("{params}&f=js"), &format!("{params}&p=99")] {
        assert!(!ask(&server, again).text.contains("aff.example"), "{again}");
    }
    let other = server.client.click(&server.sample.link());
    assert!(!ask(&server, &format!("r={other}&t=ORD-1")).text.contains("aff.example"), "a duplicate");
    assert_eq!(server.client.head(&format!("/p.ashx?r={other}&t=ORD-2")).text, "");
    assert_eq!(deliveries(&server).len(), 3);
}

#[test]
fn an_image_and_a_servers_call_carry_none_and_fire_none() {
    let (server, click) = start();
    let image = ask(&server, &format!("f=img&r={click}&t=ORD-1"));
    assert!(image.text.starts_with("GIF89a"));
    assert_eq!(ask(&server, &format!("f=pb&r={click}&t=ORD-2")).text, "SUCCESS 2\n");
    let call = [("click_id", &*click), ("offer_id", "1"), ("unique_id", "ORD-3")];
    server.client.get("conversion", &call).success();
    assert_eq!(deliveries(&server), Vec::<Value>::new());
}

#[test]
fn conditions_and_other_affiliates_keep_theirs_apart() {
    let server = TestServer::start();
    server.client.post("affiliate", &[("affiliate_name", "Other")]).success();
    postback(&server, "3", "https://approved.example/", &[("fire_on", "approval")]);
    postback(&server, "3", "https://pending.example/", &[("conversion_status", "pending")]);
    postback(&server, "3", "https://off.example/", &[("postback_status", "inactive")]);
    let create = [("affiliate_id", "2"), ("offer_id", "0"), ("postback_type_id", "3")];
    let others = [&create[..], &[("postback_url", "https://other.example/")]].concat();
    server.client.post("affiliate_postback", &others).success();
    server.client.post("webhook", &[("webhook_url", "https://hook.example/")]).success();
    let click = server.client.click(&server.sample.link());
    let page = ask(&server, &format!("r={click}"));
    assert_eq!(page.text.matches(".example").count(), 1, "{}", page.text);
    assert!(page.text.contains("https://approved.example/"), "{}", page.text);
}
