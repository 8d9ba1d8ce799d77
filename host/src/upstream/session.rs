//! One life of a server's process: from its start and handshake to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, Implementation, ProtocolVersion, RequestMetaObject, SubscriptionFilter,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, Peer, RunningService};
use rmcp::{ErrorData, RoleClient};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::reply::Reply;
use super::wire::{Lost, Wire};
use super::{UpstreamError, child};
use crate::config::ServerConfig;
use crate::{limits, task};

/// The gate as a server sees it: a client that can do nothing for it.
struct Client;

impl rmcp::ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), implementation())
    }

    #[expect(deprecated, reason = "servers of the older revisions still ask, and the default says yes to them")]
    async fn list_roots(
        &self,
        _context: rmcp::service::RequestContext<RoleClient>,
    ) -> Result<rmcp::model::ListRootsResult, ErrorData> {
        Err(ErrorData::method_not_found::<rmcp::model::ListRootsRequestMethod>())
    }
}

fn implementation() -> Implementation {
    Implementation::new("portcullis", env!("CARGO_PKG_VERSION"))
}

/// A running process with which a handshake was made.
pub(super) struct Session {
    wire: Wire,
    /// What the protocol wants in the `_meta` of every request.
    meta: serde_json::Map<String, Value>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
    _lifecycle: RunningService<RoleClient, Client>,
}

impl Session {
    /// Starts the process and makes the handshake, within [`limits::UPSTREAM_START`].
    pub(super) async fn start(config: &ServerConfig, changed: Arc<Notify>) -> Result<Self, UpstreamError> {
        let server = || config.name.clone();
        let started = child::start(config)?;
        let (wire, transport) = Wire::new(server(), changed);
        let initialized = transport.initialized();
        let stop = CancellationToken::new();
        let stop_when_dropped = stop.clone().drop_guard();
        child::mind(started, &config.name, &wire, stop.clone());
        let mode = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        };
        let handshake = Client.serve_with_lifecycle(transport, mode);
        let lifecycle = tokio::time::timeout(limits::UPSTREAM_START, handshake)
            .await
            .map_err(|_| UpstreamError::Slow { server: server() })?
            .map_err(|source| UpstreamError::Handshake { server: server(), source: Box::new(source) })?;
        let peer = lifecycle.peer().clone();
        let info = peer.peer_info().ok_or_else(|| UpstreamError::Slow { server: server() })?;
        // Only the handshake of the older revisions makes later requests need no description of their sender.
        let described = !initialized.load(Ordering::SeqCst) || !info.protocol_version.has_initialize();
        let meta = if described {
            let meta = RequestMetaObject::with_client_context(
                info.protocol_version.clone(),
                implementation(),
                ClientCapabilities::default(),
            );
            serde_json::Map::clone(&meta)
        } else {
            serde_json::Map::new()
        };
        let tells = info.capabilities.tools.as_ref().is_some_and(|tools| tools.list_changed == Some(true));
        if described && tells {
            task::spawn("upstream listen", listen(peer, server()));
        }
        tracing::info!(server = config.name, version = %info.protocol_version, "the server is ready");
        Ok(Self { wire, meta, stop, _stop_when_dropped: stop_when_dropped, _lifecycle: lifecycle })
    }

    /// Whether its process can be asked anything.
    pub(super) fn alive(&self) -> bool {
        self.wire.alive()
    }

    /// One request, sent once. `members` are the members of `params` besides `_meta`: JSON text, without braces.
    pub(super) async fn request(
        &self,
        method: &str,
        members: &str,
        trace: Option<String>,
        wait: Duration,
    ) -> Result<Reply, Lost> {
        let mut meta = self.meta.clone();
        if let Some(trace) = trace {
            meta.insert("traceparent".to_owned(), trace.into());
        }
        let meta = Value::Object(meta);
        let comma = if members.is_empty() { "" } else { "," };
        self.wire.request(method, &format!(r#"{{{members}{comma}"_meta":{meta}}}"#), wait).await
    }

    /// Tells the process to leave and waits until it has.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.wire.ended().await;
    }
}

/// Asks to be told when the tools change (revision 2026-07-28); the wire sees what is told.
async fn listen(peer: Peer<RoleClient>, server: String) {
    let filter = SubscriptionFilter::builder().tools_list_changed().build();
    match peer.listen(filter).await {
        Ok(mut subscription) => while let Ok(Some(_)) = subscription.next().await {},
        Err(error) => tracing::warn!(server, %error, "the server will not tell when its tools change"),
    }
}
