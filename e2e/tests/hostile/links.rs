//! Tracking links that lead nowhere, and methods that record nothing.

use crate::fixture::fixture;

#[test]
fn links_that_lead_nowhere_are_plain_pages() {
    let fixture = fixture();
    let before = fixture.click_count();
    let long = "x".repeat(8192);
    for (target, status) in [
        ("/", 404),
        ("/?", 404),
        ("/?a=1", 404),
        ("/?c=1", 404),
        ("/?a=abc&c=1", 404),
        ("/?a=-1&c=1", 404),
        ("/?a=1&c=99999", 404),
        ("/?a=99999&c=1", 404),
        ("/?a=99999999999999999999&c=1", 404),
        ("/?a=1%00&c=1", 404),
        ("/?a=%ff&c=%ff", 404),
        ("/?a[]=1&c[]=1", 404),
        ("/?a=%F0%9F%98%80&c=1", 404),
        ("/click?c=", 404),
        ("/click?c=99999", 404),
        ("/rd/r.php?sid=99999&aff_id=1", 404),
        ("/rd/r.php", 404),
        (&format!("/?a=1&c=1&s1={long}"), 414),
        ("/nothing", 404),
        ("/favicon.ico", 404),
        ("/..%2f..%2fetc/passwd", 404),
        ("//", 404),
        ("/API/2/click.json", 404),
    ] {
        let answer = fixture.server.connect().get(target).expect("an answer");
        assert_eq!(answer.status, status, "{target:.80}");
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/")), "{target:.80}");
    }
    let link = &fixture.network.link;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE"] {
        let answer = fixture.server.connect().request(method, link, "").expect("an answer");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    assert_eq!(fixture.click_count(), before, "none of these is a click");
    fixture.is_healthy();
}

#[test]
fn a_head_request_answers_as_get_would_and_records_nothing() {
    let fixture = fixture();
    let link = &fixture.network.link;
    let before = fixture.click_count();
    let answer = fixture.server.connect().request("HEAD", link, "").expect("an answer");
    assert_eq!(answer.status, 302);
    assert!(answer.header("location").is_some_and(|it| it.starts_with("http://shop.example/landing")));
    assert_eq!(fixture.click_count(), before);
    let answer = fixture.server.connect().request("HEAD", "/?a=99999&c=1", "").expect("an answer");
    assert_eq!(answer.status, 404);

    let call = fixture.call("&unique_id=head");
    let answer = fixture.api.send("HEAD", &call, "", b"");
    assert_eq!(answer.status, 405);
    assert_eq!(fixture.conversion_count(), 0);
    assert_eq!(fixture.api.send("HEAD", "click.json", "", b"").status, 200);
}
