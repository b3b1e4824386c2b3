//! A real browser follows the demo's tracking link. The visit itself is `browser/follow_link.test.mjs`;
//! this starts the demo for it.

use std::path::Path;
use std::process::Command;

use e2e::{Process, crumb};

/// Where Chromium is installed, under the names distributions give it.
const BROWSERS: [&str; 4] =
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];

#[test]
fn a_real_browser_follows_the_link_and_its_click_is_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let chromium = BROWSERS.into_iter().find(|path| Path::new(path).exists());
    let chromium = chromium.expect("no Chromium is installed; scripts/setup installs it");
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
