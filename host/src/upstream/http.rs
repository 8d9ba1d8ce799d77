//! A server that runs elsewhere: one session with it over streamable HTTP (MCP, revisions 2024-11-05 to 2026-07-28).
//!
//! Each request has a connection of its own, is written to it once, and whatever the answer is, that was it: no pool
//! that could find a connection stale, no redirect, no second attempt. What cannot be connected to was not sent
//! anything; from then on the outcome is the server's answer or not known. An event stream that ends before the answer is
//! not resumed. The agent's credential stays here: a request carries the owner's headers and the protocol's.
//!
//! A session that the server has forgotten or refuses (HTTP status 404, or 400, 401 and 403 without an answer) is over: the
//! next call makes a new one. That tools changed is not subscribed to; they are listed every [`limits::UPSTREAM_LOOK`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use self::connect::Endpoint;
use self::exchange::Answer;
use super::UpstreamError;
use super::reply::{Lost, OWN_IDS_FROM, Reply};
use super::session::Ask;
use crate::config::{Field, Remote};
use crate::{limits, task};

mod connect;
mod events;
mod exchange;
mod fields;
mod handshake;

/// A session with a server.
#[derive(Clone)]
pub(super) struct Http(Arc<Inner>);

struct Inner {
    server: String,
    endpoint: Endpoint,
    era: Era,
    next_id: AtomicU64,
    ended: AtomicBool,
    changed: Arc<Notify>,
}

/// What the handshake came to.
enum Era {
    /// Revision 2026-07-28: every request describes its sender.
    Modern { meta: Map<String, Value> },
    /// The revisions before: the sender was described once, in a session that may have an id.
    Legacy { version: HeaderValue, session: Option<HeaderValue> },
}

impl Http {
    /// Makes the handshake, within [`limits::UPSTREAM_START`].
    pub(super) async fn start(server: &str, remote: &Remote, changed: Arc<Notify>) -> Result<Self, UpstreamError> {
        let at = format!("{}:{}", remote.url.host().unwrap_or_default(), remote.port());
        let failed = |what: String| UpstreamError::Remote { server: server.to_owned(), at: at.clone(), what };
        let variable = |name: &str| std::env::var(name).ok();
        let fill = |field: &Field| Ok((field.name.clone(), field.fill(variable)?));
        let filled = remote.headers.iter().map(fill).collect::<Result<_, _>>();
        let filled = filled.map_err(|source| UpstreamError::Unset { server: server.to_owned(), source })?;
        let endpoint = Endpoint::new(remote, filled).await.map_err(|error| failed(error.to_string()))?;
        let era = tokio::time::timeout(limits::UPSTREAM_START, handshake::make(&endpoint))
            .await
            .map_err(|_| UpstreamError::Slow { server: server.to_owned(), said: None })?
            .map_err(failed)?;
        tracing::info!(server, at, version = era.version(), "the server is ready");
        Ok(Self(Arc::new(Inner {
            server: server.to_owned(),
            endpoint,
            era,
            next_id: AtomicU64::new(OWN_IDS_FROM),
            ended: AtomicBool::new(false),
            changed,
        })))
    }

    /// Whether the session is known to be good for another request.
    pub(super) fn alive(&self) -> bool {
        !self.0.ended.load(Ordering::SeqCst)
    }

    fn end(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }

    /// One request, sent once.
    pub(super) async fn request(&self, ask: &Ask<'_>, wait: Duration) -> Result<Reply, Lost> {
        let Inner { server, endpoint, era, next_id, changed, .. } = &*self.0;
        let id = next_id.fetch_add(1, Ordering::SeqCst);
        let connection = endpoint.connect().await.map_err(|error| {
            tracing::warn!(server, %error, "no connection to the server can be made");
            self.end();
            Lost::NotSent("no connection to it can be made".into())
        })?;
        let mut fields = era.fields();
        if let Era::Modern { .. } = era {
            fields::describe(&mut fields, ask);
        }
        let params = ask.params(era.meta());
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{}","params":{params}}}"#, ask.method());
        let request = endpoint.request(Method::POST, fields, body);
        let answered = tokio::time::timeout(wait, connection.send(request, Some(id), changed)).await;
        let Ok(answered) = answered else {
            self.cancel(id);
            return Err(Lost::Sent("it did not answer in time".into()));
        };
        self.judge(answered.inspect_err(|lost| tracing::warn!(server, ?lost, "the server's answer is lost"))?)
    }

    /// What an answer says about the request, and about the session.
    fn judge(&self, answer: Answer) -> Result<Reply, Lost> {
        let Answer { status, reply, .. } = answer;
        let refused = matches!(
            status,
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
        );
        let forgotten = status == StatusCode::NOT_FOUND && self.0.era.session().is_some();
        if forgotten || (refused && reply.is_none()) {
            tracing::warn!(server = self.0.server, %status, "the session with the server is over");
            self.end();
        }
        match reply {
            Some(reply) if status.is_success() => Ok(reply),
            // An error has the same meaning under another status; a result has none.
            Some(reply @ (Reply::Error { .. } | Reply::TooLong)) => Ok(reply),
            _ => Err(Lost::Sent(
                format!("it answered with HTTP status {status} and nothing that answers the call").into(),
            )),
        }
    }

    /// Tells the server that nobody waits for an answer any more; best effort, it changes nothing here. Since revision
    /// 2026-07-28 the closed connection says it.
    fn cancel(&self, id: u64) {
        if let Era::Modern { .. } = self.0.era {
            return;
        }
        let session = self.clone();
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"no answer in time"}}}}"#
        );
        task::spawn("upstream cancel", async move { session.tell(Method::POST, body).await });
    }

    /// Ends the session: revisions before 2026-07-28 delete it at the server.
    pub(super) async fn stop(&self) {
        let alive = self.alive();
        self.end();
        if alive && self.0.era.session().is_some() {
            self.tell(Method::DELETE, String::new()).await;
        }
    }

    /// Says what needs no answer.
    async fn tell(&self, method: Method, body: String) {
        let Inner { server, endpoint, era, changed, .. } = &*self.0;
        let told = tokio::time::timeout(limits::UPSTREAM_GOODBYE, async {
            let connection = endpoint.connect().await.ok()?;
            connection.send(endpoint.request(method, era.fields(), body), None, changed).await.ok()
        });
        if told.await.ok().flatten().is_none() {
            tracing::debug!(server, "the server was not told of an end");
        }
    }
}

impl Era {
    fn meta(&self) -> &Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        match self {
            Self::Modern { meta } => meta,
            Self::Legacy { .. } => &NONE,
        }
    }

    fn session(&self) -> Option<&HeaderValue> {
        match self {
            Self::Modern { .. } => None,
            Self::Legacy { session, .. } => session.as_ref(),
        }
    }

    fn version(&self) -> &str {
        match self {
            Self::Modern { .. } => handshake::MODERN,
            Self::Legacy { version, .. } => version.to_str().unwrap_or_default(),
        }
    }

    /// The headers of every request.
    fn fields(&self) -> HeaderMap {
        let mut fields = HeaderMap::new();
        match self {
            Self::Modern { .. } => {
                fields.insert(fields::VERSION, HeaderValue::from_static(handshake::MODERN));
            }
            Self::Legacy { version, session } => {
                fields.insert(fields::VERSION, version.clone());
                if let Some(session) = session {
                    fields.insert(fields::SESSION, session.clone());
                }
            }
        }
        fields
    }
}
