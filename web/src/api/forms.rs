//! Forms in which long lists are handed out, written while they are read: sheets for spreadsheets, and plain
//! pages to print. How a page looks: `paper`; what a cell holds: `csv_text`.

use app::Failure;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use hyper::header::{self, HeaderName, HeaderValue};

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
