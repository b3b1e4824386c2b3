//! A URL with tokens: any text is one or an error, and whatever the tokens say, what comes out can stand in a header
//! and has the host that was saved.
#![no_main]

use domain::tokens::{Token, UrlTemplate};
use libfuzzer_sys::fuzz_target;

fn authority(url: &str) -> Option<(String, Option<u16>)> {
    let url = url::Url::parse(url).ok()?;
    Some((url.host_str()?.to_owned(), url.port()))
}

fuzz_target!(|draw: (&str, &str)| {
    let (text, value) = draw;
    let Ok(template) = UrlTemplate::parse(text) else { return };
    assert_eq!(UrlTemplate::parse(template.as_str()).as_ref(), Ok(&template));
    let expanded = template.expand(|_: Token| value.into());
    assert!(expanded.bytes().all(|byte| (0x21..0x7f).contains(&byte)), "{expanded:?}");
    let [one, two] = ["1", "2"].map(|value| authority(&template.expand(|_: Token| value.into())));
    // Where a token stands in the host or the port, its value decides about it.
    if one.is_some() && one == two {
        assert_eq!(authority(&expanded), one, "{expanded}");
    }
});
