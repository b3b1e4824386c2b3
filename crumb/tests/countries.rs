//! Countries, from a real file in MaxMind's format.

use std::path::{Path, PathBuf};

use testkit::TestServer;

/// A free country file, as `scripts/country-file` fetches it.
fn country_file(name: &str) -> PathBuf {
    let folder = "../target/country/node_modules/@ip-location-db/geo-whois-asn-country-mmdb";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
    assert!(path.is_file(), "{} is missing: run scripts/country-file, as make test does", path.display());
    path
}

fn country(server: &TestServer, address: &str) -> String {
    let body = format!(r#"{{"campaign_id": {}, "ip_address": "{address}"}}"#, server.sample.campaign_id);
    let click = server.client.post_json("record_click", &body).success();
    click["click"]["country"].as_str().expect("a text").to_owned()
}

#[test]
fn an_address_tells_its_country_unless_the_caller_does() {
    let file = country_file("geo-whois-asn-country.mmdb");
    let server = TestServer::with(|config| config.tracking.country_file = file.display().to_string());
    assert_eq!(country(&server, "8.8.8.8"), "US");
    assert_eq!(country(&server, "::ffff:193.0.6.139"), "NL");
    assert_eq!(country(&server, "2001:67c:2e8::1"), "NL");
    assert_eq!(country(&server, "192.168.1.1"), "");
    let click = server.client.click(&server.sample.link());
    let row = server.client.get("click", &[("click_id", &click)]).success();
    assert_eq!(row["response"]["clicks"][0]["country"], "");
    let told = r#"{"campaign_id": 1, "ip_address": "8.8.8.8", "country": "fr"}"#;
    assert_eq!(server.client.post_json("record_click", told).success()["click"]["country"], "FR");
}

#[test]
fn an_address_tells_its_country_even_if_it_is_not_kept() {
    let file = country_file("geo-whois-asn-country.mmdb");
    for (policy, kept) in [("truncate", "8.8.8.0"), ("drop", "")] {
        let server = TestServer::with(|config| {
            config.tracking.country_file = file.display().to_string();
            policy.clone_into(&mut config.privacy.ip_address);
        });
        assert_eq!(country(&server, "8.8.8.8"), "US");
        let rows = server.client.get("click", &[]).success();
        assert_eq!(rows["response"]["clicks"][0]["ip_address"], kept);
    }
}

#[test]
fn a_changed_file_is_read_again_and_a_broken_one_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("country.mmdb");
    std::fs::copy(country_file("geo-whois-asn-country-ipv4.mmdb"), &file).expect("copied");
    let server = TestServer::with(|config| config.tracking.country_file = file.display().to_string());
    assert_eq!(country(&server, "2001:67c:2e8::1"), "");
    std::fs::write(folder.path().join("broken"), "not a country file").expect("written");
    std::fs::rename(folder.path().join("broken"), &file).expect("renamed");
    assert_eq!(country(&server, "8.8.8.8"), "US");
    std::fs::copy(country_file("geo-whois-asn-country.mmdb"), folder.path().join("new")).expect("copied");
    std::fs::rename(folder.path().join("new"), &file).expect("renamed");
    while country(&server, "2001:67c:2e8::1").is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(country(&server, "8.8.8.8"), "US");
}

#[test]
fn a_country_file_that_cannot_be_read_stops_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let overrides = crumb::config::Overrides { data: Some(folder.path().to_owned()), ..Default::default() };
    let mut config = crumb::config::Config::load(&overrides).expect("the defaults are valid");
    config.server.listen = "127.0.0.1:0".parse().expect("an address");
    config.tracking.country_file = folder.path().join("none.mmdb").display().to_string();
    let clock = std::sync::Arc::new(crumb::clock::SystemClock);
    let started =
        crumb::wiring::start(&config, clock, std::sync::Arc::new(crumb::chance::SystemChance), false);
    let error = format!("{:#}", started.err().expect("refused"));
    assert!(error.contains("none.mmdb") && !error.contains('\n'), "{error}");
}
