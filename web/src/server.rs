//! Accepting connections. One of these runs on each core's runtime; all listen on the same address.

use std::convert::Infallible;
use std::future::Future;
use std::io;
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
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::tls::Tls;
use crate::{Web, tracking};

/// Connections one runtime holds at the same time; further ones wait in the system's backlog.
const CONNECTIONS_MAX: usize = 20_000;
/// A connection that has not sent a whole request head by then is closed, idle ones included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest request head hyper reads at all; beyond it answers 431 itself.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long requests in flight may take to finish once stopping has begun.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting pauses after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where one runtime accepts connections.
pub struct Listeners {
    /// For HTTP.
    pub plain: TcpListener,
    /// For HTTPS, and what it greets with.
    pub tls: Option<(TcpListener, Arc<Tls>)>,
}

/// A connection that somebody has opened.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<Tls>>,
}

impl Listeners {
    async fn accept(&self) -> io::Result<Accepted> {
        let Some((secure, tls)) = &self.tls else { return accept(&self.plain, None).await };
        tokio::select! {
            accepted = accept(&self.plain, None) => accepted,
            accepted = accept(secure, Some(tls)) => accepted,
        }
    }
}

async fn accept(listener: &TcpListener, tls: Option<&Arc<Tls>>) -> io::Result<Accepted> {
    let (stream, peer) = listener.accept().await?;
    // Answers are small and complete: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    Ok(Accepted { stream, peer, tls: tls.cloned() })
}

/// Serves connections until `stop` resolves, then finishes what is in flight.
pub async fn serve(web: Web, listeners: Listeners, stop: impl Future<Output = ()>) {
    let surface = Surface { lane: Arc::new(web.app.lane()), router: web.router(), web, is_secure: false };
    let lane = Arc::clone(&surface.lane);
    let (mut relay, mut stop) = (pin!(lane.relay()), pin!(stop));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = &mut relay => unreachable!("a relay never ends"),
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listeners.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok(accepted) => {
                    connections.spawn(surface.clone().attend(accepted, graceful.watcher()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listeners);
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
    /// Whether what is answered here came over TLS.
    is_secure: bool,
}

/// What a request that came over TLS is marked with.
#[derive(Clone, Copy)]
pub(crate) struct Secure;

impl Surface {
    /// Serves a connection to its end. One that breaks is the client's affair.
    async fn attend(self, accepted: Accepted, watcher: Watcher) {
        let Accepted { stream, peer, tls } = accepted;
        let Some(tls) = tls else {
            let _ = watcher.watch(self.connection(stream, peer)).await;
            return;
        };
        let handshake = tls.acceptor().accept(stream);
        if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
            let _ = watcher.watch(Self { is_secure: true, ..self }.connection(stream, peer)).await;
        }
    }

    fn connection(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
    ) -> impl GracefulConnection<Error = hyper::Error> {
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
            let answer = tracking::answer(&self.web, &self.lane, peer, request.into_parts().0);
            tracking::guarded(answer).await
        } else {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(self.lane);
            if self.is_secure {
                request.extensions_mut().insert(Secure);
            }
            self.router.oneshot(request).await.unwrap_or_else(|never: Infallible| match never {})
        }
    }
}
