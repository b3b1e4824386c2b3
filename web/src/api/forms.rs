//! Forms in which long lists are handed out, written while they are read: sheets for spreadsheets, and plain
//! pages to print, which need nothing from elsewhere.

use app::Failure;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use hyper::header::{self, HeaderName, HeaderValue};

/// How a page looks.
pub(super) const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;color:#111;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    h1{font-size:1.5rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1rem}dt{color:#555}dd{margin:0}\
    table{width:100%;border-collapse:collapse;margin-top:1rem}th,td{padding:.25rem .5rem;text-align:left;\
    border-bottom:1px solid #ccc;vertical-align:top;overflow-wrap:anywhere}.n{text-align:right;white-space:nowrap}\
    tfoot td{font-weight:bold;border-bottom:0}thead{display:table-header-group}tr{break-inside:avoid}\
    @media print{body{max-width:none;margin:0;padding:0;font-size:10pt}@page{margin:15mm}}";

/// What a cell begins with that a spreadsheet takes for a formula.
const FORMULA_STARTS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// A form that a list is written in, piece by piece.
pub(super) trait Form: Send + Sync + 'static {
    /// What the list is of.
    type Line: Send;
    /// What comes before the first line.
    fn head(&self) -> Vec<u8>;
    /// Some lines.
    fn lines(&self, lines: Vec<Self::Line>) -> Vec<u8>;
    /// What comes after the last line.
    fn tail(&self) -> Vec<u8>;
}

/// How far a list has been written.
enum Written {
    Nothing,
    Lines,
    All,
}

/// An answer that is written while the lines are read. Where they break off so does the connection: what
/// arrives whole is whole.
pub(super) fn streamed<F: Form>(
    lines: impl Stream<Item = Result<Vec<F::Line>, Failure>> + Send + 'static,
    form: F,
    content_type: &'static str,
    more: (HeaderName, HeaderValue),
) -> Response {
    let begin = (Box::pin(lines), form, Written::Nothing);
    let pieces = stream::unfold(begin, |(mut lines, form, written)| async move {
        let (piece, written): (Result<Vec<u8>, Failure>, _) = match written {
            Written::Nothing => (Ok(form.head()), Written::Lines),
            Written::Lines => match lines.next().await {
                Some(Ok(portion)) => (Ok(form.lines(portion)), Written::Lines),
                Some(Err(failure)) => (Err(failure), Written::All),
                None => (Ok(form.tail()), Written::All),
            },
            Written::All => return None,
        };
        let piece = piece.inspect_err(|failure| {
            let error = failure as &dyn std::error::Error;
            tracing::error!(error, "a list broke off while it was sent");
        });
        Some((piece.map(Bytes::from), (lines, form, written)))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(more.0, more.1);
    response
}

/// A sheet is a file, of this name.
pub(super) fn attachment(name: &str) -> (HeaderName, HeaderValue) {
    let file = format!("attachment; filename=\"{name}\"");
    (header::CONTENT_DISPOSITION, HeaderValue::try_from(file).expect("plain ASCII"))
}

/// Nothing on a page comes from elsewhere, whatever a text on it says.
pub(super) fn page_policy() -> (HeaderName, HeaderValue) {
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

/// A text of somebody else's: never a formula. Numbers and dates are ours and stay as they are.
pub(super) fn text(text: String) -> String {
    if text.starts_with(FORMULA_STARTS) { format!("'{text}") } else { text }
}

/// Rows as a sheet has them.
pub(super) fn write<'c>(
    rows: impl Iterator<Item = impl IntoIterator<Item = impl AsRef<[u8]> + 'c>>,
) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("writing to memory");
    }
    writer.into_inner().expect("writing to memory")
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

    #[test]
    fn no_text_is_taken_for_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(text(formula.to_owned()), format!("'{formula}"));
        }
        for harmless in ["ORD-1", "", "a=b", "'=1"] {
            assert_eq!(text(harmless.to_owned()), harmless);
        }
    }
}
