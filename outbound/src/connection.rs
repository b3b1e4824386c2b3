//! A connection that speaks HTTP/1.1. Nothing of it runs by itself: it moves while somebody waits for something it
//! brings, so dropping whoever waits closes it, and nothing outlives a call but what waits to be used again.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::connect::Stream;
use crate::error::CallError;

/// The most that is read of an answer's head: as much as large servers send. It is also the most of an answer that is
/// held in memory at a time.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The most headers an answer may have.
pub const HEADERS_MAX: usize = 100;

/// The most interim answers (1xx) before the answer: RFC 9110 has no limit, and nobody needs more than two.
pub const INTERIM_ANSWERS_MAX: usize = 16;

/// How answers of strangers are read.
pub(crate) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    builder
}

/// Waits for something that a connection brings, and moves the connection meanwhile.
pub(crate) async fn driving<D, W>(driver: &mut Option<D>, wanted: W) -> W::Output
where
    D: Future + Unpin,
    W: Future,
{
    let mut wanted = pin!(wanted);
    poll_fn(|cx| {
        drive(driver, cx);
        wanted.as_mut().poll(cx)
    })
    .await
}

/// A connection that has ended is dropped, which ends everything that still waits for it.
fn drive<D: Future + Unpin>(driver: &mut Option<D>, cx: &mut Context<'_>) {
    if driver.as_mut().is_some_and(|it| Pin::new(it).poll(cx).is_ready()) {
        *driver = None;
    }
}

/// Why a request has no answer.
pub(crate) enum Unanswered {
    /// Nothing of it was sent: the connection had closed before, or brought bytes that nobody had asked for.
    Unsent(Box<Request<Full<Bytes>>>),
    /// It may have been received.
    Failed(CallError),
}

pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
}

impl Connection {
    pub async fn over(stream: Stream) -> Result<Self, CallError> {
        let (sender, driver) = builder().handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, driver: Some(Box::pin(driver)) })
    }

    /// Sends a request and waits for the head of the answer.
    pub async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let interim = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&interim);
        hyper::ext::on_informational(&mut request, move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let mut answered = pin!(self.sender.try_send_request(request));
        let outcome = poll_fn(|cx| {
            drive(&mut self.driver, cx);
            if interim.load(Ordering::Relaxed) > INTERIM_ANSWERS_MAX {
                return Poll::Ready(None);
            }
            answered.as_mut().poll(cx).map(Some)
        });
        match outcome.await {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => Err(match error.take_message() {
                Some(request) => Unanswered::Unsent(Box::new(request)),
                None => Unanswered::Failed(error.into_error().into()),
            }),
            None => Err(Unanswered::Failed(CallError::Broken("interim answers without end"))),
        }
    }

    /// The next bytes of an answer's body; none at its end.
    pub async fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, CallError> {
        loop {
            match driving(&mut self.driver, body.frame()).await.transpose()? {
                None => return Ok(None),
                Some(frame) => {
                    // What is not bytes is trailers, which nobody asked for.
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// Waits until another request can be sent. Says no when the connection has closed.
    pub async fn ready(&mut self) -> bool {
        poll_fn(|cx| {
            drive(&mut self.driver, cx);
            self.sender.poll_ready(cx).map(|it| it.is_ok())
        })
        .await
    }
}
