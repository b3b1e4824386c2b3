//! Whatever a pixel says, it is answered in its form, and never with a success that is none.
#![no_main]

use fuzz::{ask, in_a_line};
use libfuzzer_sys::fuzz_target;

const FORMS: [&str; 5] = ["f=pb", "f=img", "f=js", "f=", "x="];

fuzz_target!(|draw: &[u8]| {
    let Some((form, query)) = draw.split_first() else { return };
    let form = FORMS[usize::from(*form) % FORMS.len()];
    let query = in_a_line(query, b" ");
    // No click has such an id, so nothing can be recorded.
    for target in [format!("/p.ashx?{form}&{query}&r=nobody"), format!("/p.ashx?r=nobody&{form}&o=1&{query}")]
    {
        let cookie = format!("Cookie: crumb_offer_1={}\r\n", in_a_line(query.as_bytes(), b";"));
        let Some(answer) = ask("GET", &target, &cookie, b"") else { continue };
        let body = String::from_utf8_lossy(&answer.body).to_ascii_uppercase();
        assert!(!body.contains("SUCCESS"), "{target}: {body}");
        let is_form = answer.status == 200;
        let is_script = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/javascript"));
        if is_form && is_script {
            assert!(body.starts_with("// ") && body.lines().count() == 1, "{target}: {body}");
        }
    }
});
