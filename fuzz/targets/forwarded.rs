//! Whatever proxies claim about a visitor, the visitor gets an answer.
#![no_main]

use fuzz::{ask, in_a_line, server};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|draw: &[u8]| {
    let claim = in_a_line(draw, b"");
    let link = server().sample.link();
    for header in ["X-Forwarded-For", "Forwarded", "User-Agent", "Referer"] {
        ask("HEAD", &link, &format!("{header}: {claim}\r\n"), b"");
    }
});
