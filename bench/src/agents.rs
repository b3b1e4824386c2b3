//! The user agents that visitors come with, the most common first: those of `data/user_agents.txt`
//! and, up to a thousand, what browsers of other versions on other devices send.

use std::collections::HashSet;

/// How many there are.
pub const AGENTS: u32 = 1000;

/// As browsers, phones, tablets, programs and bots send them, one a line.
const COLLECTED: &str = include_str!("../data/user_agents.txt");
/// Versions of Chromium, newest first.
const CHROMIUM: std::ops::RangeInclusive<u32> = 107..=142;
/// Versions of iOS.
const IOS: [&str; 14] = [
    "18_6", "18_5", "17_6_1", "18_1_1", "18_3_2", "17_5_1", "16_7_10", "18_0", "17_4_1", "17_3_1", "17_1_2",
    "16_6", "15_8_3", "15_6_1",
];
/// Versions of Safari.
const SAFARI: [&str; 12] = [
    "18.6", "18.5", "17.6", "18.3", "18.1.1", "17.5", "17.4.1", "17.3.1", "17.1", "16.6", "15.6.1", "14.1.2",
];
/// Android devices with the version they run.
const ANDROID: [&str; 30] = [
    "14; SM-S928B",
    "13; SM-A536B",
    "14; Pixel 8",
    "14; SM-A546E",
    "13; 22101316G",
    "12; M2101K6G",
    "14; SM-S918B",
    "13; SM-A145F",
    "11; SM-A515F",
    "13; CPH2387",
    "12; V2120",
    "14; Pixel 7a",
    "13; 2201117TG",
    "12; SM-G991B",
    "13; moto g power (2022)",
    "11; RMX3085",
    "14; 23053RN02A",
    "10; VOG-L29",
    "13; SM-M336B",
    "15; Pixel 9 Pro",
    "12; SM-A226B",
    "11; Redmi Note 8 Pro",
    "13; CPH2481",
    "10; SM-A217F",
    "14; SM-F946B",
    "12; motorola edge 20",
    "9; SM-G960F",
    "13; SM-X205",
    "12; TECNO KG5j",
    "11; Infinix X689",
];

/// All of them. The kinds take turns, each beginning with what is most common.
pub fn all() -> Vec<String> {
    let collected: Vec<_> = COLLECTED.lines().map(str::to_owned).collect();
    let bots_first = collected.iter().rev().cloned().collect();
    let kinds = [
        chrome(),
        safari_on_phones(),
        android(),
        collected,
        desktop(),
        in_apps(),
        bots_first,
        chrome_on_phones(),
    ];
    let longest = kinds.iter().map(Vec::len).max().unwrap_or(0);
    let mut seen = HashSet::new();
    let turns = (0..longest).flat_map(|turn| kinds.iter().filter_map(move |kind| kind.get(turn)));
    turns.filter(|it| seen.insert(*it)).take(AGENTS as usize).cloned().collect()
}

/// The version and platform of Chromium's own browsers.
fn chromium(platform: &str, version: u32, rest: &str) -> String {
    format!(
        "Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0{rest} Safari/537.36"
    )
}

fn chrome() -> Vec<String> {
    let platforms = [
        ("Windows NT 10.0; Win64; x64", ""),
        ("Linux; Android 10; K", " Mobile"),
        ("Macintosh; Intel Mac OS X 10_15_7", ""),
        ("X11; Linux x86_64", ""),
        ("X11; CrOS x86_64 14541.0.0", ""),
    ];
    let of = |version| platforms.map(|(platform, rest)| chromium(platform, version, rest));
    CHROMIUM.rev().flat_map(of).collect()
}

fn desktop() -> Vec<String> {
    let windows = "Windows NT 10.0; Win64; x64";
    let of = |version: u32| {
        let firefox =
            |platform| format!("Mozilla/5.0 ({platform}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0");
        [
            format!("{} Edg/{version}.0.0.0", chromium(windows, version, "")),
            firefox(windows),
            format!("{} OPR/{}.0.0.0", chromium(windows, version, ""), version - 14),
            firefox("Macintosh; Intel Mac OS X 10.15"),
            firefox("X11; Ubuntu; Linux x86_64"),
            format!(
                "{} SamsungBrowser/{}.0",
                chromium("Linux; Android 10; K", version, " Mobile"),
                version / 5
            ),
        ]
    };
    CHROMIUM.rev().flat_map(of).collect()
}

fn safari_on_phones() -> Vec<String> {
    let safari = |platform: &str, safari: &str, rest: &str| {
        format!("Mozilla/5.0 ({platform}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{safari} {rest}")
    };
    let of = |version: &str| {
        let (ios, on_phones) = (version.replace('.', "_"), "Mobile/15E148 Safari/604.1");
        [
            safari(&format!("iPhone; CPU iPhone OS {ios} like Mac OS X"), version, on_phones),
            safari("Macintosh; Intel Mac OS X 10_15_7", version, "Safari/605.1.15"),
            safari(&format!("iPad; CPU OS {ios} like Mac OS X"), version, on_phones),
        ]
    };
    SAFARI.iter().flat_map(|version| of(version)).collect()
}

fn chrome_on_phones() -> Vec<String> {
    let of = |version: u32| {
        IOS.map(|ios| {
            format!(
                "Mozilla/5.0 (iPhone; CPU iPhone OS {ios} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 CriOS/{version}.0.6478.54 Mobile/15E148 Safari/604.1"
            )
        })
    };
    CHROMIUM.rev().step_by(4).flat_map(of).collect()
}

fn android() -> Vec<String> {
    let of = |version: u32| {
        ANDROID.map(|device| {
            format!(
                "Mozilla/5.0 (Linux; Android {device}) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/{version}.0.6367.82 Mobile Safari/537.36"
            )
        })
    };
    CHROMIUM.rev().step_by(3).flat_map(of).collect()
}

/// What the pages inside of large apps send.
fn in_apps() -> Vec<String> {
    let on_android = |device: &str, version: u32| {
        format!(
            "Mozilla/5.0 (Linux; Android {device} Build/TP1A.220624.014; wv) AppleWebKit/537.36 (KHTML, like Gecko) \
             Version/4.0 Chrome/{version}.0.6312.118 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/{version}4.0.0.56.85;]"
        )
    };
    let on_ios = |ios: &str, version: u32| {
        format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS {ios} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
             Mobile/15E148 Instagram 3{version}.0.2.29.98 (iPhone14,5; iOS {ios}; en_US; en; scale=3.00; 1170x2532)"
        )
    };
    let of = |version| {
        let android = ANDROID.iter().map(move |device| on_android(device, version));
        android.zip(IOS.iter().cycle().map(move |ios| on_ios(ios, version))).flat_map(|(a, i)| [a, i])
    };
    CHROMIUM.rev().step_by(5).flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_a_thousand_and_no_two_alike() {
        let all = all();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), AGENTS as usize);
        assert!(all.iter().all(|it| it.len() < 512 && !it.contains(['\t', '\r', '\n'])));
        assert!(all.iter().any(|it| it.contains("Googlebot")), "bots come too");
    }
}
