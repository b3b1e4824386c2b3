//! What is read of an answer, and what is kept.

use bytes::Bytes;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use crate::connection::Connection;
use crate::error::CallError;

/// What is kept of an answer's body: enough to see what a receiver means.
pub const ANSWER_BYTES_KEPT: usize = 1024;

/// What is read of an answer's body at most. Reading to the end saves a new connection next time, which is worth about
/// as much as this.
pub const ANSWER_BYTES_READ_MAX: usize = 64 * 1024;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status, of whatever class: a redirect is an answer and not followed.
    pub status: u16,
    /// When to come back, if the answer says.
    pub retry_after: Option<RetryAfter>,
    /// The first [`ANSWER_BYTES_KEPT`] bytes of the body, compressed if the receiver compressed it.
    pub body: Vec<u8>,
}

/// When to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// After so many seconds; more than fit are as many as fit.
    Seconds(u32),
    /// At this time.
    Date(Timestamp),
}

impl RetryAfter {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit()) {
            return Some(Self::Seconds(text.parse().unwrap_or(u32::MAX)));
        }
        // The date of RFC 9110 is one of RFC 2822's.
        let date = DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text);
        date.ok().map(Self::Date)
    }
}

/// What is left of an answer after the part that is kept.
pub(crate) struct Rest {
    pub connection: Connection,
    body: Incoming,
    bytes_read: usize,
}

/// Reads what is kept of an answer: it must come whole.
pub(crate) async fn read(
    mut connection: Connection,
    response: Response<Incoming>,
) -> Result<(Answer, Rest), CallError> {
    let (head, mut body) = response.into_parts();
    let mut kept = Vec::new();
    let mut bytes_read = 0;
    while kept.len() < ANSWER_BYTES_KEPT
        && let Some(bytes) = connection.next(&mut body).await?
    {
        bytes_read += bytes.len();
        keep(&mut kept, &bytes);
    }
    let answer =
        Answer { status: head.status.as_u16(), retry_after: RetryAfter::of(&head.headers), body: kept };
    Ok((answer, Rest { connection, body, bytes_read }))
}

fn keep(kept: &mut Vec<u8>, bytes: &Bytes) {
    let room = ANSWER_BYTES_KEPT - kept.len();
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

impl Rest {
    /// Reads to the end. The connection can then be used again, unless the end is too far or the receiver closed it.
    pub async fn skip(mut self) -> Option<Connection> {
        while let Some(bytes) = self.connection.next(&mut self.body).await.ok()? {
            self.bytes_read += bytes.len();
            if self.bytes_read > ANSWER_BYTES_READ_MAX {
                return None;
            }
        }
        self.connection.ready().await.then_some(self.connection)
    }
}

#[cfg(test)]
mod tests;
