//! The sockets that are listened on: for each worker its own, all of a kind on the same address, so
//! that the system spreads the connections.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use socket2::{Domain, Socket, Type};
use web::server::Listeners;
use web::tls::Tls;

/// Connections the system holds until a worker accepts them.
const BACKLOG: i32 = 4096;

/// One worker's sockets.
pub(crate) struct Sockets {
    plain: TcpListener,
    secure: Option<TcpListener>,
}

impl Sockets {
    /// Listens for HTTP, and for HTTPS where an address is given. One for each worker, at least one.
    pub(crate) fn open(
        plain: SocketAddr,
        secure: Option<SocketAddr>,
        workers: usize,
        client_timeout: Duration,
    ) -> anyhow::Result<Vec<Self>> {
        let listen = |address| listen(address, workers, client_timeout);
        let plain = listen(plain)?;
        let mut secure = secure.map(listen).transpose()?.into_iter().flatten();
        Ok(plain.into_iter().map(|plain| Self { plain, secure: secure.next() }).collect())
    }

    /// Where they listen: for HTTP, and for HTTPS.
    pub(crate) fn addresses(&self) -> std::io::Result<(SocketAddr, Option<SocketAddr>)> {
        Ok((self.plain.local_addr()?, self.secure.as_ref().map(TcpListener::local_addr).transpose()?))
    }

    /// As the runtime they are called in takes them.
    pub(crate) fn into_listeners(self, tls: Option<Arc<Tls>>) -> std::io::Result<Listeners> {
        let secure = self.secure.map(tokio::net::TcpListener::from_std).transpose()?;
        Ok(Listeners { plain: tokio::net::TcpListener::from_std(self.plain)?, tls: secure.zip(tls) })
    }
}

fn listen(address: SocketAddr, workers: usize, client_timeout: Duration) -> anyhow::Result<Vec<TcpListener>> {
    let bind = |address: SocketAddr, share: bool| -> std::io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(share)?;
        socket.set_nonblocking(true)?;
        // Connections inherit it: one whose client takes nothing of its answer is broken off.
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(client_timeout))?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    // Shared ports are shared with strangers too: without this, a second server would take half the requests.
    drop(bind(address, false).with_context(|| format!("cannot listen on {address}"))?);
    let first = bind(address, true).with_context(|| format!("cannot listen on {address}"))?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(bind(address, true).with_context(|| format!("cannot listen on {address}"))?);
    }
    Ok(listeners)
}
