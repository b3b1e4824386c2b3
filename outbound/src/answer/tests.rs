use super::*;

fn retry_after(text: &str) -> Option<RetryAfter> {
    RetryAfter::of(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a header"))]))
}

#[test]
fn when_to_come_back_is_a_number_or_a_date() {
    let date = "1994-11-06T08:49:37Z".parse().map(RetryAfter::Date).expect("a time");
    let cases = [
        ("0", Some(RetryAfter::Seconds(0))),
        ("120", Some(RetryAfter::Seconds(120))),
        (" 120 ", Some(RetryAfter::Seconds(120))),
        ("99999999999999999999", Some(RetryAfter::Seconds(u32::MAX))),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(date)),
        ("Fri, 06 Nov 1994 08:49:37 GMT", Some(date)),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("Sun, 06 Nov 99994 08:49:37 GMT", None),
        ("Sun, 31 Feb 1994 08:49:37 GMT", None),
    ];
    for (text, expected) in cases {
        assert_eq!(retry_after(text), expected, "{text}");
    }
    assert_eq!(RetryAfter::of(&HeaderMap::new()), None);
}
