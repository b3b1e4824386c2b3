//! No spelling of a private address passes for something else.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use outbound::{AllowPrivate, check_url, is_public};
use url::{Host, Url};

fuzz_target!(|draw: &str| {
    for text in [draw.to_owned(), format!("http://{draw}"), format!("https://{draw}/path?query")] {
        if check_url(&text, &AllowPrivate::No).is_err() {
            continue;
        }
        let url = Url::parse(&text).expect("a URL");
        assert!(["http", "https"].contains(&url.scheme()), "{text}");
        assert!(url.username().is_empty() && url.password().is_none(), "{text}");
        let address = match url.host().expect("a host") {
            Host::Domain(name) => {
                assert!(name != "localhost" && !name.ends_with(".localhost"), "{text}");
                name.parse::<IpAddr>().ok()
            }
            Host::Ipv4(it) => Some(it.into()),
            Host::Ipv6(it) => Some(it.into()),
        };
        assert!(address.is_none_or(is_public), "{text}");
    }
});
