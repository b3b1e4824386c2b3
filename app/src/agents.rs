//! From a user agent to its device, system and browser, by the patterns of the uap-core project.
//! Reading one costs some ten microseconds, so the last thousands are remembered.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use domain::click::Device;
use quick_cache::sync::Cache;
use ua_parser::{Extractor, Regexes};

/// Agents remembered: a busy tracker sees a few thousand a day. With texts of 1 KiB that is 8 MiB.
const REMEMBERED_MAX: usize = 8192;

/// Compiled once a process: a tenth of a second, and 25 MiB.
static PATTERNS: LazyLock<Extractor<'static>> = LazyLock::new(|| {
    let patterns: Regexes<'static> = serde_json::from_str(include_str!("../data/agent-patterns.json"))
        .expect("the built-in patterns are tested");
    Extractor::try_from(patterns).expect("the built-in patterns are tested")
});

/// What a visitor came with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Agent {
    pub(crate) device: Device,
    /// The family of the operating system, or empty.
    pub(crate) os: String,
    /// The family of the browser, or empty.
    pub(crate) browser: String,
}

/// Knows user agents.
pub(crate) struct Agents {
    remembered: Cache<Box<str>, Arc<Agent>>,
}

impl Agents {
    /// Begins to compile the patterns, so that no visitor waits for that.
    pub(crate) fn new() -> std::io::Result<Self> {
        std::thread::Builder::new().name("agent-patterns".to_owned()).spawn(|| LazyLock::force(&PATTERNS))?;
        Ok(Self { remembered: Cache::new(REMEMBERED_MAX) })
    }

    /// Reads a user agent.
    pub(crate) fn of(&self, user_agent: &str) -> Arc<Agent> {
        if let Some(agent) = self.remembered.get(user_agent) {
            return agent;
        }
        let agent = Arc::new(read(user_agent));
        self.remembered.insert(user_agent.into(), Arc::clone(&agent));
        agent
    }
}

fn read(user_agent: &str) -> Agent {
    if user_agent.is_empty() {
        return Agent::default();
    }
    let (browser, os, device) = PATTERNS.extract(user_agent);
    let os = os.map(|it| it.os.into_owned()).unwrap_or_default();
    let browser = browser.map(|it| it.family.into_owned()).unwrap_or_default();
    let (family, brand) =
        device.map(|it| (it.device.into_owned(), it.brand.map(Cow::into_owned))).unwrap_or_default();
    Agent { device: device_of(user_agent, &family, brand.as_deref(), &os), os, browser }
}

/// The kind of device. The patterns name families and models; which of them are tablets or
/// televisions follows from the words that makers put into the agent.
fn device_of(user_agent: &str, family: &str, brand: Option<&str>, os: &str) -> Device {
    let says = |words: &[&str]| words.iter().any(|word| user_agent.contains(word));
    if family == "Spider" {
        Device::Bot
    } else if says(&[
        "SMART-TV",
        "SmartTV",
        "Smart TV",
        "AppleTV",
        "Apple TV",
        "GoogleTV",
        "Android TV",
        "BRAVIA",
        "AFT",
        "Roku",
        "CrKey",
        "HbbTV",
        "Web0S",
        "NetCast",
    ]) || os == "tvOS"
    {
        Device::Tv
    } else if says(&["PlayStation", "Nintendo", "Xbox"]) {
        Device::Console
    } else if family == "iPad"
        || brand == Some("Generic_Android_Tablet")
        || says(&["Tablet", "Kindle", "Silk/"])
    {
        Device::Tablet
    } else if says(&["Watch"]) || matches!(os, "watchOS" | "Wear OS") {
        Device::Other
    } else {
        match os {
            // Makers leave the word Mobile out on tablets.
            "Android" if !says(&["Mobile"]) => Device::Tablet,
            "iOS" | "Android" | "Windows Phone" | "BlackBerry OS" | "KaiOS" | "Symbian OS" | "Firefox OS" => {
                Device::Mobile
            }
            "Windows" | "Mac OS X" | "Linux" | "Chrome OS" | "Ubuntu" | "Fedora" | "Debian" | "FreeBSD"
            | "OpenBSD" | "NetBSD" | "Solaris" => Device::Desktop,
            _ if says(&["Mobile"]) => Device::Mobile,
            _ => Device::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_known_by_device_system_and_browser() {
        let check = |user_agent: &str, device, os: &str, browser: &str| {
            let expected = Agent { device, os: os.to_owned(), browser: browser.to_owned() };
            assert_eq!(read(user_agent), expected, "{user_agent}");
        };
        let webkit = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
        let chrome = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0";
        check(
            &format!(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) {webkit} Version/17.1 Mobile/15E148 Safari/604.1"
            ),
            Device::Mobile,
            "iOS",
            "Mobile Safari",
        );
        check(
            &format!(
                "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) {webkit} Version/16.6 Mobile/15E148 Safari/604.1"
            ),
            Device::Tablet,
            "iOS",
            "Mobile Safari",
        );
        check(
            &format!("Mozilla/5.0 (Linux; Android 13; SM-S901B) {chrome} Mobile Safari/537.36"),
            Device::Mobile,
            "Android",
            "Chrome Mobile",
        );
        check(
            &format!("Mozilla/5.0 (Linux; Android 13; SM-X700) {chrome} Safari/537.36"),
            Device::Tablet,
            "Android",
            "Chrome",
        );
        check(
            &format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {chrome} Safari/537.36"),
            Device::Desktop,
            "Windows",
            "Chrome",
        );
        check(
            "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
            Device::Desktop,
            "Linux",
            "Firefox",
        );
        check(
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            Device::Bot,
            "",
            "Googlebot",
        );
        check("facebookexternalhit/1.1", Device::Bot, "", "FacebookBot");
        // A program is not taken for a robot unless it says it is one.
        check("curl/8.0", Device::Unknown, "", "curl");
        check("", Device::Unknown, "", "");
        assert_eq!(read("Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) SamsungBrowser/2.1").device, Device::Tv);
        assert_eq!(read("Mozilla/5.0 (PlayStation; PlayStation 5/2.26)").device, Device::Console);
    }

    #[test]
    fn an_agent_is_read_once() {
        let agents = Agents::new().expect("a thread");
        assert!(Arc::ptr_eq(&agents.of("curl/8.0"), &agents.of("curl/8.0")));
    }
}
