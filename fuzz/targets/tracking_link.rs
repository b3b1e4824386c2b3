//! Whatever a link says, its visitor gets an answer, and a redirect leads to an address.
#![no_main]

use fuzz::{ask, in_a_line, server};
use libfuzzer_sys::fuzz_target;

const PATHS: [&str; 3] = ["/", "/click", "/rd/r.php"];

fuzz_target!(|draw: &[u8]| {
    let Some((path, query)) = draw.split_first() else { return };
    let path = PATHS[usize::from(*path) % PATHS.len()];
    // Nothing is recorded for a `HEAD`.
    let query = in_a_line(query, b" ");
    let link = server().sample.link();
    let known = link.split_once('?').map_or("", |(_, known)| known);
    for target in [format!("{path}?{query}"), format!("{path}?{query}&{known}"), format!("/?{known}&{query}")]
    {
        let Some(answer) = ask("HEAD", &target, "", b"") else { continue };
        if let Some(location) = answer.header("location") {
            url::Url::parse(location).expect("an address");
        }
    }
});
