//! Accepting connections. One of these runs on each core's runtime; all listen on the same address.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use app::Lane;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::{Web, tracking};

/// Connections one runtime holds at the same time; further ones wait in the system's backlog.
const CONNECTIONS_MAX: usize = 20_000;
/// A connection that has not sent a whole request head by then is closed, idle ones included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest request head hyper reads at all; beyond it answers 431 itself.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long requests in flight may take to finish once stopping has begun.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting pauses after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` resolves, then finishes what is in flight.
pub async fn serve(web: Web, listener: TcpListener, stop: impl Future<Output = ()>) {
    let surface = Surface { lane: Arc::new(web.app.lane()), router: web.router(), web };
    let lane = Arc::clone(&surface.lane);
    let (mut relay, mut stop) = (pin!(lane.relay()), pin!(stop));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = &mut relay => unreachable!("a relay never ends"),
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, peer)) => {
                    let surface = surface.clone();
                    let served = surface.connection(stream, peer);
                    let watched = graceful.watch(served);
                    connections.spawn(async move {
                        // A connection that breaks is the client's affair.
                        let _ = watched.await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let finished = async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    };
    tokio::select! {
        () = &mut relay => unreachable!("a relay never ends"),
        _ = tokio::time::timeout(STOP_TIMEOUT, finished) => {}
    }
}

/// What one runtime answers with.
#[derive(Clone)]
struct Surface {
    web: Web,
    lane: Arc<Lane>,
    router: Router,
}

impl Surface {
    fn connection(
        self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send + 'static {
        // Answers are small and complete: nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let surface = self.clone();
            async move { Ok::<_, Infallible>(surface.answer(peer, request).await) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
    }

    async fn answer(self, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        if tracking::is_link(request.uri()) {
            tracking::answer(&self.web, &self.lane, peer, request.into_parts().0).await
        } else {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(self.lane);
            self.router.oneshot(request).await.unwrap_or_else(|never: Infallible| match never {})
        }
    }
}
