//! One life of a server, from its start and handshake to its end: a child process, or a session over HTTP.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{ClientCapabilities, Implementation, ProtocolVersion, RequestMetaObject};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::UpstreamError;
use super::http::Http;
use super::reply::{Lost, Reply};
use super::stdio::Stdio;
use crate::call::Call;
use crate::config::{Reach, ServerConfig};

/// A server with which a handshake was made.
pub(super) enum Session {
    /// A child process.
    Stdio(Stdio),
    /// A server elsewhere.
    Http(Http),
}

/// One request of the gate's own.
pub(super) enum Ask<'a> {
    /// A page of the list of tools.
    List {
        /// Which page; the first when there is none.
        cursor: Option<&'a str>,
    },
    /// A call of a tool.
    Call {
        /// The call.
        call: &'a Call,
        /// Its trace parent (W3C Trace Context).
        trace: &'a str,
    },
}

impl Session {
    /// Starts the server or its session and makes the handshake, within [`crate::limits::UPSTREAM_START`].
    pub(super) async fn start(config: &ServerConfig, changed: Arc<Notify>) -> Result<Self, UpstreamError> {
        match &config.reach {
            Reach::Child(program) => Stdio::start(&config.name, program, changed).await.map(Self::Stdio),
            Reach::Http(remote) => Http::start(&config.name, remote, changed).await.map(Self::Http),
        }
    }

    /// Whether it can be asked anything.
    pub(super) fn alive(&self) -> bool {
        match self {
            Self::Stdio(session) => session.alive(),
            Self::Http(session) => session.alive(),
        }
    }

    /// One request, sent once.
    pub(super) async fn request(&self, ask: &Ask<'_>, wait: Duration) -> Result<Reply, Lost> {
        match self {
            Self::Stdio(session) => session.request(ask, wait).await,
            Self::Http(session) => session.request(ask, wait).await,
        }
    }

    /// Tells the server that it is over, and waits until that is done.
    pub(super) async fn stop(&self) {
        match self {
            Self::Stdio(session) => session.stop().await,
            Self::Http(session) => session.stop().await,
        }
    }
}

impl Ask<'_> {
    /// The method of MCP.
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::List { .. } => "tools/list",
            Self::Call { .. } => "tools/call",
        }
    }

    /// `params`: JSON text without line breaks, with what the protocol wants in `_meta`.
    pub(super) fn params(&self, meta: &Map<String, Value>) -> String {
        let mut meta = meta.clone();
        if let Self::Call { trace, .. } = self {
            meta.insert("traceparent".to_owned(), (*trace).into());
        }
        let meta = Value::Object(meta);
        match self {
            Self::List { cursor: None } => format!(r#"{{"_meta":{meta}}}"#),
            Self::List { cursor: Some(cursor) } => format!(r#"{{"cursor":{},"_meta":{meta}}}"#, Value::from(*cursor)),
            Self::Call { call, .. } => {
                let name = Value::from(call.tool.upstream_name.as_str());
                let arguments = call.arguments.value().to_text();
                format!(r#"{{"name":{name},"arguments":{arguments},"_meta":{meta}}}"#)
            }
        }
    }
}

/// The gate's name, as servers see it.
pub(super) fn implementation() -> Implementation {
    Implementation::new("portcullis", env!("CARGO_PKG_VERSION"))
}

/// What revision 2026-07-28 and later want in the `_meta` of every request.
pub(super) fn described(version: ProtocolVersion) -> Map<String, Value> {
    let meta = RequestMetaObject::with_client_context(version, implementation(), ClientCapabilities::default());
    Map::clone(&meta)
}
