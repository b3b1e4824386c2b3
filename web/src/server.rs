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
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use crate::connections::{Connections, Leave, Pulse, attend};
use crate::tls::Tls;
use crate::{Web, tracking};

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest request head hyper reads at all; beyond it answers 431 itself.
const HEAD_BYTES_MAX: usize = 64 * 1024;
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

/// What one runtime allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the same time, at least one; further ones wait in the system's backlog until
    /// those that have been quiet longest have left.
    pub connections_max: usize,
    /// How long a client may take to send a whole request head; idle connections are closed by it too.
    pub head_timeout: Duration,
}

/// Serves connections until `stop` resolves, then finishes what is in flight.
pub async fn serve(web: Web, listeners: Listeners, limits: Limits, stop: impl Future<Output = ()>) {
    let lane = Arc::new(web.app.lane());
    let head_timeout = limits.head_timeout;
    let surface =
        Surface { lane: Arc::clone(&lane), router: web.router(), web, head_timeout, is_secure: false };
    tokio::select! {
        () = lane.relay() => unreachable!("a relay never ends"),
        () = surface.serve(listeners, limits.connections_max, stop) => {}
    }
}

/// What one runtime answers with.
#[derive(Clone)]
struct Surface {
    web: Web,
    lane: Arc<Lane>,
    router: Router,
    head_timeout: Duration,
    /// Whether what is answered here came over TLS.
    is_secure: bool,
}

/// Who a request came from, as far as the connection tells.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What a request that came over TLS is marked with.
#[derive(Clone, Copy)]
pub(crate) struct Secure;

impl Surface {
    async fn serve(self, listeners: Listeners, connections_max: usize, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut connections = Connections::new(connections_max);
        let metrics = self.web.app.metrics();
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = connections.ended() => drop(metrics.connections.dec()),
                accepted = listeners.accept(), if connections.has_room() => match accepted {
                    Ok(accepted) => {
                        metrics.connections.inc();
                        let dismissed = self.clone().take_up(accepted, &mut connections);
                        metrics.connections_dismissed.inc_by(dismissed as u64);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listeners);
        connections.end().await;
    }

    fn take_up(self, accepted: Accepted, connections: &mut Connections) -> usize {
        let Accepted { stream, peer, tls } = accepted;
        match tls {
            None => connections.add(|pulse, leave| attend(self.connection(stream, peer, pulse), leave)),
            Some(tls) => connections.add(|pulse, leave| self.secure(&tls, stream, peer, pulse, leave)),
        }
    }

    /// Shakes hands, then serves.
    fn secure(
        self,
        tls: &Tls,
        stream: TcpStream,
        peer: SocketAddr,
        pulse: Pulse,
        mut leave: Leave,
    ) -> impl Future<Output = ()> + use<> {
        let timeout = HANDSHAKE_TIMEOUT.min(self.head_timeout);
        let handshake = tokio::time::timeout(timeout, tls.acceptor().accept(stream));
        async move {
            let shaken = tokio::select! {
                _ = &mut leave => return,
                shaken = handshake => shaken,
            };
            if let Ok(Ok(stream)) = shaken {
                let surface = Self { is_secure: true, ..self };
                attend(surface.connection(stream, peer, pulse), leave).await;
            }
        }
    }

    fn connection(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        pulse: Pulse,
    ) -> impl GracefulConnection + Send {
        let head_timeout = self.head_timeout;
        let service = service_fn(move |request| {
            pulse.beat();
            let surface = self.clone();
            async move { Ok::<_, Infallible>(surface.answer(peer, request).await) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_timeout)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
    }

    async fn answer(self, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        if tracking::is_tracking(request.uri()) {
            let answer = tracking::answer(&self.web, &self.lane, peer, request.into_parts().0);
            // In a box, so that an idle connection keeps no place for it.
            tracking::guarded(Box::pin(answer)).await
        } else {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(self.lane);
            request.extensions_mut().insert(Peer(peer));
            if self.is_secure {
                request.extensions_mut().insert(Secure);
            }
            self.router.oneshot(request).await.unwrap_or_else(|never: Infallible| match never {})
        }
    }
}
