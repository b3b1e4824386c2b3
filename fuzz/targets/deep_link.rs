//! The affiliate's own destination leads to a permitted host or nowhere.
#![no_main]

use domain::deep_link::{HostPattern, resolve};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|draw: (&str, &str)| {
    let (destination, value) = draw;
    let hosts: [HostPattern; 2] = ["shop.example", "*.example.org"].map(|text| text.parse().expect("a host"));
    for destination in [destination.to_owned(), format!("https://shop.example{destination}")] {
        let Some(found) = resolve(&destination, &hosts, |_| value.into()) else { continue };
        assert!(found.bytes().all(|byte| (0x21..0x7f).contains(&byte)), "{found:?}");
        let url = url::Url::parse(&found).expect("an address");
        let host = url.host_str().expect("a host");
        assert!(host == "shop.example" || host.ends_with(".example.org"), "{found}");
        assert!(url.username().is_empty() && url.password().is_none(), "{found}");
    }
});
