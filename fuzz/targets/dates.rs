//! Dates: any text is one or an error, a range is never the wrong way round, and what is printed is read again.
#![no_main]

use domain::time::{DateInput, print};
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for zone in ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia"] {
        let zone = TimeZone::get(zone).expect("a zone");
        let Ok(date) = DateInput::parse(text, &zone) else { continue };
        let (start, end) = (date.start(&zone), date.end(&zone));
        // The same where a zone has skipped the day: Samoa knows no 30 December 2011.
        assert!(start <= end, "{text}");
        let printed = print(start, &TimeZone::UTC);
        let again = DateInput::parse(&printed, &TimeZone::UTC);
        if (0..250_000_000_000).contains(&start.as_second()) {
            assert_eq!(again.map(|it| it.start(&TimeZone::UTC).as_second()), Ok(start.as_second()), "{text}");
        }
    }
});
