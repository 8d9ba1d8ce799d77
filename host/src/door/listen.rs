//! Connections: accepted, bounded in number and patience, and let finish when the gate stops.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use crate::{limits, task};

#[cfg(test)]
mod tests;

/// How long to wait when no connection can be accepted, such as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
pub(super) trait Accept: Send {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection, and whose it is. May be dropped and called again.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, Peer)>> + Send;
}

/// The other end of a connection, as a request's extensions have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// On a network.
    Address(SocketAddr),
    /// A process of this user, by the operating system's word.
    User(u32),
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok((stream, Peer::Address(peer)))
    }
}

/// Serves HTTP/1.1 until `stop` is cancelled, and then until what was begun has ended, at most
/// [`limits::SHUTDOWN_GRACE`]. At most [`limits::CONNECTIONS_MAX`] connections are open at a time; more wait. Of one
/// address of another machine there are at most [`limits::CONNECTIONS_OF_ADDRESS_MAX`]; more are closed.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    serve_on(listener, router, stop).await;
}

pub(super) async fn serve_on<A: Accept>(listener: A, router: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    let peers = Arc::new(Peers::default());
    while let Some(slot) = stop.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
        let Ok(slot) = slot else { break };
        match stop.run_until_cancelled(listener.accept()).await {
            None => break,
            Some(Ok((io, peer))) => {
                let place = stranger(peer).map(|address| Peers::place(&peers, address));
                if matches!(place, Some(None)) {
                    tracing::debug!(?peer, "a connection was closed: its address has too many");
                    continue;
                }
                let connection = connection(io, peer, router.clone(), stop.clone(), PATIENCE);
                task::spawn("connection", async move {
                    connection.await;
                    drop((place, slot));
                });
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

/// How many connections each address has.
#[derive(Default)]
struct Peers(Mutex<HashMap<IpAddr, usize>>);

impl Peers {
    /// A place for one more connection; none when the address has as many as it may.
    fn place(peers: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = holder(address);
        let mut counts = peers.counts();
        let count = counts.entry(address).or_default();
        if *count >= limits::CONNECTIONS_OF_ADDRESS_MAX {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place { peers: Arc::clone(peers), address })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of a peer on another machine. Those on this one, a proxy among them, share the connections that there are.
fn stranger(peer: Peer) -> Option<IpAddr> {
    match peer {
        Peer::Address(peer) => Some(peer.ip()).filter(|address| !address.to_canonical().is_loopback()),
        Peer::User(_) => None,
    }
}

/// One machine has a whole /64 of IPv6 addresses to take turns with.
fn holder(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// One connection of an address.
struct Place {
    peers: Arc<Peers>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.peers.counts();
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// How long a client may keep a connection waiting. While a request is handled, the client is not waited for.
#[derive(Clone, Copy)]
struct Patience {
    /// For a request's headers, from when the connection is made or the last answer is given.
    request: Duration,
    /// For it to take some of an answer.
    stall: Duration,
}

const PATIENCE: Patience = Patience { request: limits::REQUEST_READ, stall: limits::RESPONSE_STALL };

/// A stream that fails when its other end takes nothing for too long.
struct Draining<I> {
    io: I,
    stall: Duration,
    /// When a write that waits has waited too long.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<I> Draining<I> {
    fn bounded<T>(&mut self, wrote: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.deadline = None;
            return wrote;
        }
        let stall = self.stall;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Draining<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Draining<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.bounded(wrote, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.bounded(wrote, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

async fn connection<I>(io: I, peer: Peer, router: Router, stop: CancellationToken, patience: Patience)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.request)
        .serve_connection(TokioIo::new(Draining { io, stall: patience.stall, deadline: None }), service);
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
