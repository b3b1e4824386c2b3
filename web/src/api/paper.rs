//! What plain pages to print share: how they look, and that no text on them is more than text. They need
//! nothing from elsewhere.

use hyper::header::{self, HeaderName, HeaderValue};

/// How a page looks, on a screen and on paper.
pub(super) const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;color:#111;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    h1{font-size:1.5rem}h2{font-size:1.1rem;break-after:avoid;overflow-wrap:anywhere}li{overflow-wrap:anywhere}\
    dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1rem}dt{color:#555}dd{margin:0}\
    table{width:100%;border-collapse:collapse;margin-top:1rem}th,td{padding:.25rem .5rem;text-align:left;\
    border-bottom:1px solid #ccc;vertical-align:top;overflow-wrap:anywhere}.n{text-align:right;white-space:nowrap}\
    tfoot td{font-weight:bold;border-bottom:0}thead{display:table-header-group}tr{break-inside:avoid}\
    .m{color:#555}@media print{body{max-width:none;margin:0;padding:0;font-size:10pt}@page{margin:15mm}}";

/// Nothing on a page comes from elsewhere, whatever a text on it says.
pub(super) fn policy() -> (HeaderName, HeaderValue) {
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))
}

/// The text as HTML shows it, and nothing more.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            escape("<a href=\"x\" id='y'>&</a>"),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;&lt;/a&gt;"
        );
    }
}
