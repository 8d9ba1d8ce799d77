//! What the stdio door needs of the socket: a message as it is, and a server that stays as long as its client.

use std::path::Path;
use std::pin::Pin;

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderValue, Method, Request};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::session::SESSION_ID;
use super::{SocketError, connect};
use crate::{limits, task};

type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// The most bytes of an answer: the largest of an upstream, and what the gate says of it.
const ANSWER_BYTES_MAX: usize = limits::ANSWER_BYTES_MAX.saturating_mul(2);

/// The most bytes of what the gate says of a server.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Headers of a message: names in lower case, and values in visible ASCII and spaces.
pub type Headers = Vec<(&'static str, String)>;

/// The answer to a message.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The session that begins with it.
    pub session: Option<String>,
    /// Its body, to the byte.
    pub body: Vec<u8>,
}

/// A connection of one's own. It ends when this is dropped.
struct Connection {
    sender: SendRequest<Body>,
    driver: JoinHandle<hyper::Result<()>>,
}

impl Connection {
    /// # Errors
    /// [`SocketError::NotRunning`]: nothing was sent.
    async fn open(path: &Path) -> Result<Self, SocketError> {
        let stream = connect(path).await?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, driver) = handshake.map_err(|error| broken(path, error.into()))?;
        Ok(Self { sender, driver: task::spawn("socket client", driver) })
    }

    async fn ask(&mut self, uri: &str, headers: &Headers, body: Body) -> Result<hyper::Response<Incoming>, Boxed> {
        let mut request = Request::builder().method(Method::POST).uri(uri).body(body)?;
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value)?;
            value.set_sensitive(*name == AUTHORIZATION);
            request.headers_mut().insert(*name, value);
        }
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accepted = HeaderValue::from_static("application/json, text/event-stream");
        request.headers_mut().insert(ACCEPT, accepted);
        Ok(self.sender.send_request(request).await?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn broken(path: &Path, source: Boxed) -> SocketError {
    SocketError::Broken { path: path.to_owned(), source }
}

/// Posts a body as it is, once.
///
/// # Errors
/// [`SocketError::NotRunning`] when certainly nothing was sent; [`SocketError::Broken`] when it may have been.
pub async fn post(path: &Path, uri: &str, headers: &Headers, body: String) -> Result<Answer, SocketError> {
    let mut connection = Connection::open(path).await?;
    let answered = async {
        let (parts, body) = connection.ask(uri, headers, Body::from(body)).await?.into_parts();
        let body = to_bytes(Body::new(body), ANSWER_BYTES_MAX).await?;
        let session = parts.headers.get(SESSION_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        Ok(Answer { status: parts.status.as_u16(), session, body: body.into() })
    };
    answered.await.map_err(|error| broken(path, error))
}

/// A wish that the gate knows of as long as this is kept.
pub struct Hold {
    ended: CancellationToken,
    reader: JoinHandle<()>,
}

impl Hold {
    /// Whether the gate still knows of it.
    #[must_use]
    pub fn lasts(&self) -> bool {
        !self.ended.is_cancelled()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Posts a wish whose answer lasts: the first line of it, and the hold; or the status and the body of a refusal.
///
/// # Errors
/// When no gate answers there, or not as it should.
pub async fn hold(path: &Path, uri: &str, wish: &Value) -> Result<Result<(Value, Hold), (u16, Value)>, SocketError> {
    let connection = Connection::open(path).await?;
    held(connection, uri, wish).await.map_err(|error| broken(path, error))
}

async fn held(
    mut connection: Connection,
    uri: &str,
    wish: &Value,
) -> Result<Result<(Value, Hold), (u16, Value)>, Boxed> {
    let response = connection.ask(uri, &Headers::new(), Body::from(wish.to_string())).await?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    if status != 200 {
        let bytes = to_bytes(Body::new(body), LINE_BYTES_MAX).await?;
        return Ok(Err((status, serde_json::from_slice(&bytes)?)));
    }
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') && line.len() < LINE_BYTES_MAX {
        line.extend_from_slice(&next(&mut body).await.ok_or("the answer ended early")??);
    }
    let said = serde_json::from_slice(&line)?;
    let ended = CancellationToken::new();
    let told = ended.clone().drop_guard();
    let reader = task::spawn("socket hold", async move {
        while let Some(Ok(_)) = next(&mut body).await {}
        drop((told, connection));
    });
    Ok(Ok((said, Hold { ended, reader })))
}

async fn next(body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
    let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}
