//! A panic while a link is answered costs that visitor a page, and nobody else anything.

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use futures_util::FutureExt as _;
use hyper::Response;

use super::page::{self, Page};
use crate::error;

/// Answers, with a plain page where that panics.
pub(crate) async fn guarded(answer: impl Future<Output = Response<Body>>) -> Response<Body> {
    // Whatever is shared stays whole: locks are taken as they are found, atomics are always whole.
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|panic| {
        tracing::error!(panic = error::panic_text(&*panic), "answering a tracking link failed");
        page::answer(Page::Broken)
    })
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use tokio::runtime::Builder;

    use super::*;

    fn status(answer: impl Future<Output = Response<Body>>) -> StatusCode {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(guarded(answer)).status()
    }

    #[test]
    fn a_panic_becomes_a_page() {
        assert_eq!(status(async { panic!("a bug") }), StatusCode::INTERNAL_SERVER_ERROR);
        let later = async {
            tokio::task::yield_now().await;
            panic!("a bug with {}", "a number")
        };
        assert_eq!(status(later), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(status(async { page::answer(Page::TooLong) }), StatusCode::URI_TOO_LONG);
    }
}
