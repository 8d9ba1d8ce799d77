//! One request to a door, with exactly the headers that are wanted.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName};
use axum::http::{HeaderValue, Request};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::door::socket::Method;
use crate::{limits, task};

/// How long an answer may take. A refusal takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is sent to a door.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent<'a> {
    pub(super) path: &'a str,
    /// A body makes it a POST.
    pub(super) body: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    /// Instead of the door's address.
    pub(super) host: Option<&'a str>,
    pub(super) origin: Option<&'a str>,
}

/// A door's answer: the status, and the body as JSON (null when it is none).
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// Sends a request, once.
pub(super) async fn send(door: SocketAddr, sent: Sent<'_>) -> Result<Answer, String> {
    match tokio::time::timeout(PATIENCE, converse(door, sent)).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("there was no answer within {} s", PATIENCE.as_secs())),
    }
}

async fn converse(door: SocketAddr, sent: Sent<'_>) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(door).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = task::spawn("canary", connection);
    let method = if sent.body.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder().method(method).uri(sent.path).header(CONTENT_TYPE, "application/json");
    request = request.header(HOST, sent.host.map_or_else(|| door.to_string(), str::to_owned));
    if let Some(key) = sent.key {
        let mut bearer = HeaderValue::try_from(format!("Bearer {key}"))?;
        bearer.set_sensitive(true);
        request = request.header(AUTHORIZATION, bearer);
    }
    if let Some(origin) = sent.origin {
        request = request.header(HeaderName::from_static("origin"), origin);
    }
    let body = sent.body.map_or_else(Body::empty, |body| Body::from(body.to_owned()));
    let response = sender.send_request(request.body(body)?).await?;
    let status = response.status().as_u16();
    let bytes = to_bytes(Body::new(response.into_body()), limits::ANSWER_BYTES_MAX).await?;
    connection.abort();
    Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}
