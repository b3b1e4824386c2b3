//! A real browser follows the demo's tracking link, and loads what affiliates have it load. The visit itself is
//! `browser/follow_link.test.mjs`; this starts the demo for it.

use std::path::Path;
use std::process::Command;

use e2e::{Network, Process, Reaction, Received, Receiver, Server, crumb, encode};

/// Where Chromium is installed, under the names distributions give it.
const BROWSERS: [&str; 4] =
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];

fn chromium() -> &'static str {
    let chromium = BROWSERS.into_iter().find(|path| Path::new(path).exists());
    chromium.expect("no Chromium is installed; scripts/setup installs it")
}

/// Opens a page, and waits until all of it is loaded.
fn open(url: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut profile = std::ffi::OsString::from("--user-data-dir=");
    profile.push(folder.path());
    let opened = Command::new(chromium())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(profile)
        .arg(url)
        .output()
        .expect("it starts");
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
}

#[test]
fn a_real_browser_loads_what_affiliates_have_it_load() {
    // Serves the affiliate's image, frame and script, and the shop's page. The script shows that it runs.
    let receiver = Receiver::reacting(|it: &Received| {
        let host = it.header("host").expect("a host");
        let (kind, body) = match it.target.split_once('?').unwrap_or((&it.target, "")) {
            ("/script", query) => {
                ("text/javascript", format!("new Image().src = 'http://{host}/ran?{query}';"))
            }
            ("/shop", pixel) => {
                ("text/html", format!("<!doctype html><p>Thank you<script src='http://{pixel}'></script>"))
            }
            _ => ("text/html", String::new()),
        };
        Reaction::Answer(200, format!("Content-Type: {kind}\r\n"), body)
    });
    let server = Server::start_with(&[("OUTBOUND__ALLOW_PRIVATE", "true")]);
    let network = Network::make(&server.api());
    for (kind, path) in [("2", "frame"), ("3", "image"), ("4", "script")] {
        let url = encode(&receiver.url(&format!("/{path}?u={{unique_id}}")));
        let form = format!(
            "affiliate_id={}&offer_id=0&postback_type_id={kind}&postback_url={url}",
            network.affiliate_id
        );
        server.api().post_form("affiliate_postback.json", &form).success();
    }
    let pixel = |kind: &str, unique_id: &str| {
        let click = server.click(&network.link);
        format!("{}/p.ashx?r={click}&o={}&t={unique_id}&f={kind}", server.address(), network.offer_id)
    };
    let is_loaded = |received: &[Received], unique_id: &str| {
        ["/frame", "/image", "/script", "/ran"].into_iter().all(|path| {
            let target = format!("{path}?u={unique_id}");
            received.iter().any(|it| it.target == target && it.header("referer").is_none())
        })
    };
    open(&format!("http://{}", pixel("iframe", "PAGE-1")));
    receiver.wait_until(|received| is_loaded(received, "PAGE-1"));
    let pixel = pixel("js", "SHOP-1").replace('&', "&amp;");
    open(&receiver.url(&format!("/shop?{pixel}")));
    receiver.wait_until(|received| is_loaded(received, "SHOP-1"));
}

#[test]
fn a_real_browser_follows_the_link_and_its_click_is_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let chromium = chromium();
    assert!(
        folder.join("node_modules/playwright-core").is_dir(),
        "{} has no node_modules; scripts/setup installs them",
        folder.display()
    );

    let demo = Process::start(crumb(&["demo", "--listen", "127.0.0.1:0"]));
    let link = demo.line_after("   http://");
    let click_url = demo.line_after("   curl '").replace("'$CLICK", "");
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&screenshots).expect("a folder");
    let visited = Command::new("node")
        .args(["--test", "--test-reporter", "spec", "follow_link.test.mjs"])
        .current_dir(folder)
        .env("CRUMB_LINK", format!("http://{link}"))
        .env("CRUMB_CLICK_URL", click_url)
        .env("CRUMB_CHROMIUM", chromium)
        .env("CRUMB_SCREENSHOTS", &screenshots)
        // Set where this test itself is run by a node test, and then node says nothing.
        .env_remove("NODE_TEST_CONTEXT")
        .output()
        .expect("node is not installed; scripts/setup says how");
    let said = String::from_utf8_lossy(&visited.stdout);
    assert!(visited.status.success(), "{said}\n{}", String::from_utf8_lossy(&visited.stderr));
}
