//! A server that is a child process: one life of it, from its start and handshake to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rmcp::model::{ClientCapabilities, ClientConfig, ProtocolVersion, SubscriptionFilter};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, Peer, RunningService};
use rmcp::{ErrorData, RoleClient};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::reply::{Lost, Reply};
use super::session::{Ask, described, implementation};
use super::wire::Wire;
use super::{UpstreamError, child};
use crate::config::Program;
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

/// A running process with which a handshake was made.
pub(super) struct Stdio {
    wire: Wire,
    /// What the protocol wants in the `_meta` of every request.
    meta: serde_json::Map<String, Value>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
    _lifecycle: RunningService<RoleClient, Client>,
}

impl Stdio {
    /// Starts the process and makes the handshake, within [`limits::UPSTREAM_START`].
    pub(super) async fn start(name: &str, program: &Program, changed: Arc<Notify>) -> Result<Self, UpstreamError> {
        let server = || name.to_owned();
        let started = child::start(name, program)?;
        let (wire, transport) = Wire::new(server(), changed);
        let initialized = transport.initialized();
        let stop = CancellationToken::new();
        let stop_when_dropped = stop.clone().drop_guard();
        let words = child::mind(started, name, &wire, stop.clone());
        let mode = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        };
        let handshake = Client.serve_with_lifecycle(transport, mode);
        let lifecycle = match tokio::time::timeout(limits::UPSTREAM_START, handshake).await {
            Ok(Ok(lifecycle)) => lifecycle,
            Ok(Err(source)) => {
                stop.cancel();
                let said = words.last().await;
                return Err(UpstreamError::Handshake { server: server(), said, source: Box::new(source) });
            }
            Err(_) => {
                stop.cancel();
                return Err(UpstreamError::Slow { server: server(), said: words.last().await });
            }
        };
        let peer = lifecycle.peer().clone();
        let info = peer.peer_info().ok_or_else(|| UpstreamError::Slow { server: server(), said: None })?;
        // Only the handshake of the older revisions makes later requests need no description of their sender.
        let modern = !initialized.load(Ordering::SeqCst) || !info.protocol_version.has_initialize();
        let meta = if modern { described(info.protocol_version.clone()) } else { serde_json::Map::new() };
        let tells = info.capabilities.tools.as_ref().is_some_and(|tools| tools.list_changed == Some(true));
        if modern && tells {
            task::spawn("upstream listen", listen(peer, server()));
        }
        tracing::info!(server = name, version = %info.protocol_version, "the server is ready");
        Ok(Self { wire, meta, stop, _stop_when_dropped: stop_when_dropped, _lifecycle: lifecycle })
    }

    /// Whether its process can be asked anything.
    pub(super) fn alive(&self) -> bool {
        self.wire.alive()
    }

    /// One request, sent once.
    pub(super) async fn request(&self, ask: &Ask<'_>, wait: Duration) -> Result<Reply, Lost> {
        self.wire.request(ask.method(), &ask.params(&self.meta), wait).await
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
