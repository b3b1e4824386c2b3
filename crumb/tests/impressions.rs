//! The impression pixel, and what the ledger knows of it.

use domain::impression::Impressions;
use jiff::Timestamp;
use ledger::Location;
use testkit::TestServer;

/// What has been written down: by quarter of an hour, as text, and how often.
fn written(server: &TestServer) -> Vec<(String, u64)> {
    let ledger = Location::file(server.folder().join("ledger.sqlite")).open().expect("a ledger");
    let mut found = Vec::new();
    let mut row = |it: Impressions| {
        let key = it.key;
        assert_eq!((key.offer_id.0, key.affiliate_id.0, key.creative_id.0), (1, 1, 1));
        assert_eq!(key.campaign_id.map(|id| id.0), Some(1));
        found.push((key.quarter.to_string(), it.count));
    };
    ledger.list_impressions(Timestamp::MIN, Timestamp::MAX, &mut row).expect("listed");
    found
}

fn metric(server: &TestServer, name: &str) -> String {
    let text = server.client.path("/metrics").text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.expect("a metric").to_owned()
}

#[test]
fn impressions_are_counted_by_quarter_of_an_hour_and_written_down() {
    let mut server = TestServer::start();
    for path in ["/i?a=1&c=1", "/i?A=1&O=1&s1=ignored", "/i?a=1&c=1&udid=x&whatever"] {
        let pixel = server.client.path(path);
        assert_eq!((pixel.status, pixel.header("content-type")), (200, Some("image/gif")));
        assert_eq!(pixel.header("cache-control"), Some("no-store"));
        assert!(pixel.text.starts_with("GIF89a"), "{}", pixel.text);
        assert_eq!(pixel.header("content-length"), Some("43"));
    }
    while written(&server) != [("2026-06-19T14:30:00Z".to_owned(), 3)] {
        std::thread::yield_now();
    }
    server.clock.advance_seconds(900);
    server.client.path("/i?a=1&c=1");
    server.restart();
    let both = [("2026-06-19T14:30:00Z".to_owned(), 3), ("2026-06-19T14:45:00Z".to_owned(), 1)];
    assert_eq!(written(&server), both, "a stop writes down what is left");
    assert_eq!(server.client.get("click", &[]).success()["response"]["total_rows"], 0);
}

#[test]
fn what_cannot_be_attributed_is_an_image_all_the_same_and_not_counted() {
    let mut server = TestServer::with(|config| config.tracking.domains = vec!["127.0.0.1".into()]);
    for path in ["/i", "/i?", "/i?a=1", "/i?a=1&c=99", "/i?a=99&c=1", "/i?a=x&c=1"] {
        assert_eq!(server.client.path(path).status, 200, "{path}");
    }
    assert_eq!(server.client.path_on("other.example.com", "/i?a=1&c=1").status, 200);
    assert_eq!(server.client.head("/i?a=1&c=1").status, 200);
    assert_eq!(server.client.path(&format!("/i?a=1&c=1&s1={}", "x".repeat(9000))).status, 414);
    assert_eq!(metric(&server, "crumb_impressions_total"), "0");
    server.client.path("/i?a=1&c=1");
    assert_eq!(metric(&server, "crumb_impressions_total"), "1");
    server.restart();
    assert_eq!(written(&server).len(), 1);
}
