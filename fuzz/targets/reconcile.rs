//! Whatever an advertiser's file holds, its sender gets an answer, and every row of it is in exactly one class.
#![no_main]

use fuzz::{ask, in_a_line, server};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|draw: &[u8]| {
    let Some(([more, whole], file)) = draw.split_first_chunk() else { return };
    let headers = format!("X-Api-Key: {}\r\nContent-Type: text/csv\r\n", server().client.key());
    let more = match more % 4 {
        0 => String::new(),
        1 => "&time_zone=Asia/Kolkata&date_tolerance=24&tolerance=0.01".to_owned(),
        2 => "&date_format=%25d%2F%25m%2F%25Y&currency=EUR".to_owned(),
        _ => format!("&map={}", in_a_line(&file[..file.len().min(20)], b" &#%+")),
    };
    let header: &[u8] = if whole % 2 == 0 { b"unique_id,click_id,amount,status,date\n" } else { b"" };
    let range = "advertiser_id=1&start_date=2026-06-01&end_date=2026-06-30&row_limit=1";
    let target = format!("/api/2/reconcile.json?{range}{more}");
    let Some(answer) = ask("POST", &target, &headers, &[header, file].concat()) else { return };
    if answer.status != 200 {
        answer.envelope();
        return;
    }
    let made = answer.success()["reconciliation"].clone();
    let counts = made["counts"].as_object().expect("an object").values().filter_map(|it| it.as_u64());
    assert_eq!(Some(counts.sum::<u64>()), made["total_rows"].as_u64(), "{made}");
});
