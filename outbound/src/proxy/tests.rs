use super::*;

fn proxy(text: &str) -> Result<ProxyUrl, BadProxy> {
    text.parse()
}

#[test]
fn a_proxy_is_a_host_a_port_and_perhaps_a_user() {
    let plain = proxy("http://proxy.example:3128").expect("a proxy");
    assert_eq!((plain.host.to_string().as_str(), plain.port), ("proxy.example", 3128));
    assert_eq!(plain.authorization, None);
    let known = proxy("http://us%40er:pass%3Aword@[::1]:8080/").expect("a proxy");
    assert_eq!((known.host.to_string().as_str(), known.port), ("[::1]", 8080));
    let expected = format!("Basic {}", STANDARD.encode("us@er:pass:word"));
    assert_eq!(known.authorization.expect("a user"), expected);
}

#[test]
fn what_is_not_a_proxy_is_refused() {
    for text in [
        "",
        "proxy.example:3128",
        "https://proxy.example:3128",
        "socks5://proxy.example:1080",
        "http://proxy.example:0",
        "http://proxy.example:3128/path",
        "http://proxy.example:3128/?q",
        "http://",
    ] {
        assert_eq!(proxy(text), Err(BadProxy), "{text}");
    }
}

#[test]
fn a_proxy_is_printed_without_its_password() {
    let known = proxy("http://hans:geheim@proxy.example:3128").expect("a proxy");
    assert_eq!(format!("{known:?}"), "http://***@proxy.example:3128");
}
