//! The Unix socket in the data directory, by which the command line speaks to a gate that runs: only the user who runs
//! it, and root, get an answer.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::HeaderValue;
pub use axum::http::Method;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::listen::{Accept, Peer, serve_on};
use crate::{limits, task};

mod bridge;

pub use bridge::{Answer, Headers, Hold, hold, post};

/// The socket's name in the data directory.
pub const FILE_NAME: &str = "admin.sock";

/// Why the socket does not serve, or has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another gate answers there.
    #[error("a gate is already running: it answers at `{0}`")]
    InUse(PathBuf),
    /// The socket cannot be made.
    #[error("the socket `{path}` cannot be made")]
    Bind {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Nobody answers there.
    #[error("no gate answers at `{path}`")]
    NotRunning {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The conversation broke off.
    #[error("the gate at `{path}` did not answer the request")]
    Broken {
        /// Where.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

async fn bound(path: &Path) -> Result<Socket, SocketError> {
    let failed = |source| SocketError::Bind { path: path.to_owned(), source };
    match UnixStream::connect(path).await {
        Ok(_) => return Err(SocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // What a gate that was killed left behind, if it is a socket at all: a file of another kind stays, and the
        // bind fails.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && is_socket(path) => {
            fs::remove_file(path).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let owner = fs::metadata(path).map_err(failed)?.uid();
    Ok(Socket { listener, owner, path: path.to_owned() })
}

/// Whether a gate answers at `path`.
pub async fn answers(path: &Path) -> bool {
    UnixStream::connect(path).await.is_ok()
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// A listening socket; who made it is who may speak on it.
pub struct Socket {
    listener: UnixListener,
    owner: u32,
    path: PathBuf,
}

impl Socket {
    /// Makes the socket; from then on connections wait to be served. It is removed when this is dropped.
    ///
    /// # Errors
    /// When another gate answers there, or the socket cannot be made.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        bound(path).await
    }

    /// Serves a router until `stop` is cancelled.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        serve_on(self, router, stop).await;
    }
}

impl Accept for Socket {
    type Io = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match stream.peer_cred() {
                Ok(peer) if may_speak(peer.uid(), self.owner) => return Ok((stream, Peer::User(peer.uid()))),
                Ok(peer) => tracing::warn!(uid = peer.uid(), "another user's connection to the socket was closed"),
                Err(error) => tracing::warn!(%error, "a connection to the socket does not say whose it is"),
            }
        }
    }
}

fn may_speak(peer: u32, owner: u32) -> bool {
    peer == owner || peer == 0
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket could not be removed");
        }
    }
}

async fn connect(path: &Path) -> Result<UnixStream, SocketError> {
    UnixStream::connect(path).await.map_err(|source| SocketError::NotRunning { path: path.to_owned(), source })
}

/// Asks the gate that serves the socket at `path`, with a credential or as the user of this process: the status and the
/// JSON of its answer (null when it is empty).
///
/// # Errors
/// When no gate answers there, or not with JSON.
pub async fn request(
    path: &Path,
    method: Method,
    uri: &str,
    body: Option<serde_json::Value>,
    credential: Option<&str>,
) -> Result<(u16, serde_json::Value), SocketError> {
    let stream = connect(path).await?;
    converse(stream, method, uri, body, credential)
        .await
        .map_err(|source| SocketError::Broken { path: path.to_owned(), source })
}

/// One request on a stream to a gate, and its answer, as [`request`].
pub(crate) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    method: Method,
    uri: &str,
    body: Option<serde_json::Value>,
    credential: Option<&str>,
) -> Result<(u16, serde_json::Value), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender; what goes wrong in it reaches the sender, too.
    let connection = task::spawn("socket client", connection);
    let mut request = Request::builder().method(method).uri(uri).header(HOST, "localhost");
    if let Some(credential) = credential {
        let mut bearer = HeaderValue::try_from(format!("Bearer {credential}"))?;
        bearer.set_sensitive(true);
        request = request.header(AUTHORIZATION, bearer);
    }
    let body = match body {
        Some(body) => {
            request = request.header(CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    let response = sender.send_request(request.body(body)?).await?;
    let status = response.status().as_u16();
    let bytes = to_bytes(Body::new(response.into_body()), limits::ANSWER_BYTES_MAX).await?;
    connection.abort();
    let value = if bytes.is_empty() { serde_json::Value::Null } else { serde_json::from_slice(&bytes)? };
    Ok((status, value))
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::routing::{get, post};
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;

    fn router() -> Router {
        Router::new()
            .route(
                "/echo",
                post(|Json(body): Json<Value>| async move { (axum::http::StatusCode::CREATED, Json(body)) }),
            )
            .route("/empty", get(|| async {}))
    }

    #[tokio::test]
    async fn a_request_gets_its_answer_until_the_gate_stops() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join(FILE_NAME);
        assert!(matches!(request(&path, Method::GET, "/empty", None, None).await, Err(SocketError::NotRunning { .. })));
        let socket = Socket::bind(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let stop = CancellationToken::new();
        let serving = task::spawn("test socket", socket.serve(router(), stop.clone()));
        let body = json!({"a": [1, "é"]});
        let answer = request(&path, Method::POST, "/echo", Some(body.clone()), None).await.unwrap();
        assert_eq!(answer, (201, body));
        assert_eq!(request(&path, Method::GET, "/empty", None, None).await.unwrap(), (200, Value::Null));
        // One gate for one data directory.
        assert!(matches!(Socket::bind(&path).await, Err(SocketError::InUse(_))));
        stop.cancel();
        serving.await.unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn only_a_dead_socket_is_replaced() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join(FILE_NAME);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Socket::bind(&path).await.unwrap());
        fs::write(&path, "somebody's file").unwrap();
        assert!(matches!(Socket::bind(&path).await, Err(SocketError::Bind { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's file");
    }

    #[test]
    fn the_owner_and_root_may_speak() {
        assert!(may_speak(1000, 1000) && may_speak(0, 1000));
        assert!(!may_speak(1001, 1000) && !may_speak(1000, 0));
    }
}
