//! Whatever parameters a call has, in whatever form, its caller gets an answer, and a failure in its envelope.
#![no_main]

use fuzz::{ask, in_a_line, server};
use libfuzzer_sys::fuzz_target;

const CALLS: [&str; 9] = [
    "click.json",
    "conversion.json",
    "conversions.json",
    "record_click.json",
    "record_conversions.json",
    "offers.json",
    "offer.json",
    "campaign.json",
    "affiliates.json",
];

fuzz_target!(|draw: &[u8]| {
    let Some(([call, form], body)) = draw.split_first_chunk() else { return };
    let call = CALLS[usize::from(*call) % CALLS.len()];
    let key = format!("X-Api-Key: {}\r\n", server().client.key());
    let form_kind = format!("{key}Content-Type: application/x-www-form-urlencoded\r\n");
    let json_kind = format!("{key}Content-Type: application/json\r\n");
    let answer = match form % 3 {
        0 => ask("GET", &format!("/api/2/{call}?{}", in_a_line(body, b" ")), &key, b""),
        1 => ask("POST", &format!("/api/2/{call}"), &form_kind, body),
        _ => ask("POST", &format!("/api/2/{call}"), &json_kind, body),
    };
    if let Some(answer) = answer.filter(|answer| answer.status != 200 && !answer.body.is_empty()) {
        answer.envelope();
    }
});
