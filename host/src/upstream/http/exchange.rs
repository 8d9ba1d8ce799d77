//! One request and its answer, on a connection that carries nothing else.

use std::pin::pin;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::events::{Events, TooLong};
use crate::limits;
use crate::upstream::reply::{Lost, Message, Reply, read_message};

/// Either kind of stream.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Io = TokioIo<Box<dyn Stream>>;

/// A connection on which nothing was sent yet.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<Io, Full<Bytes>>,
}

/// What a server answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The answer to the request, if one came.
    pub(super) reply: Option<Reply>,
}

impl Connection {
    /// Takes a stream. Nothing is written to it.
    pub(super) async fn new(stream: Box<dyn Stream>) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, driver })
    }

    /// Sends a request, once, and reads the answer to the request of this `id`; without one, nothing is read of the body.
    pub(super) async fn send(
        self,
        request: Request<Full<Bytes>>,
        id: Option<u64>,
        changed: &Notify,
    ) -> Result<Answer, Lost> {
        let Self { mut sender, driver } = self;
        let mut driver = pin!(driver);
        let mut exchange = pin!(async {
            // From here on it counts as sent: how far it came cannot be told.
            let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
            read(response, id, changed).await
        });
        tokio::select! {
            biased;
            answer = &mut exchange => return answer,
            // The connection has ended; what had arrived by then is still there to be read.
            _ = &mut driver => {}
        }
        exchange.await
    }
}

fn lost(error: &hyper::Error) -> Lost {
    tracing::debug!(%error, "a server's connection broke");
    Lost::Sent("the connection ended before its answer".into())
}

async fn read(response: Response<Incoming>, id: Option<u64>, changed: &Notify) -> Result<Answer, Lost> {
    let (head, body) = response.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let reply = match (id, kind.as_str()) {
        (Some(id), "application/json") => whole(body, id).await?,
        (Some(id), "text/event-stream") => streamed(body, id, changed).await?,
        _ => None,
    };
    Ok(Answer { status: head.status, headers: head.headers, reply })
}

async fn whole(mut body: Incoming, id: u64) -> Result<Option<Reply>, Lost> {
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| lost(&error))?.into_data() else { continue };
        if kept.len().saturating_add(data.len()) > limits::ANSWER_BYTES_MAX {
            return Ok(Some(Reply::TooLong));
        }
        kept.extend_from_slice(&data);
    }
    Ok(match read_message(&kept) {
        Message::Reply(found, reply) if found == id => Some(reply),
        _ => None,
    })
}

async fn streamed(mut body: Incoming, id: u64, changed: &Notify) -> Result<Option<Reply>, Lost> {
    let mut events = Events::default();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| lost(&error))?.into_data() else { continue };
        let complete = match events.take(&data) {
            Ok(complete) => complete,
            Err(TooLong) => return Ok(Some(Reply::TooLong)),
        };
        for event in complete {
            match read_message(&event) {
                Message::Reply(found, reply) if found == id => return Ok(Some(reply)),
                Message::Other { tools_changed: true, .. } => changed.notify_one(),
                // What the server asks of its client, and what belongs to no request of ours.
                _ => {}
            }
        }
    }
    Ok(None)
}
