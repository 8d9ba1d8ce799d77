//! Connections: accepted, bounded in number and patience, and let finish when the gate stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{limits, task};

/// How long to wait when no connection can be accepted, such as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
pub(super) trait Accept: Send {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection, and the address of its other end where it has one. May be dropped and called again.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, Option<SocketAddr>)>> + Send;
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok((stream, Some(peer)))
    }
}

/// Serves HTTP/1.1 until `stop` is cancelled, and then until what was begun has ended, at most
/// [`limits::SHUTDOWN_GRACE`]. At most [`limits::CONNECTIONS_MAX`] connections are open at a time; more wait.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    serve_on(listener, router, stop).await;
}

pub(super) async fn serve_on<A: Accept>(listener: A, router: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    while let Some(slot) = stop.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
        let Ok(slot) = slot else { break };
        match stop.run_until_cancelled(listener.accept()).await {
            None => break,
            Some(Ok((io, peer))) => {
                task::spawn("connection", connection(io, peer, router.clone(), stop.clone(), slot));
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(limits::CONNECTIONS_MAX).unwrap_or(u32::MAX);
    if tokio::time::timeout(limits::SHUTDOWN_GRACE, slots.acquire_many(all)).await.is_err() {
        tracing::warn!("some connections had not ended when the gate stopped");
    }
}

async fn connection<I>(
    io: I,
    peer: Option<SocketAddr>,
    router: Router,
    stop: CancellationToken,
    _slot: OwnedSemaphorePermit,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::REQUEST_READ)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
