//! How calls come in: the Model Context Protocol over HTTP (`mcp`) and plain HTTP (`rest`); and how persons do: the door
//! for owners (`owners`) and the Unix socket of the command line ([`socket`]).
//!
//! A door checks what belongs to the transport (size, shape, `Host` and `Origin`), takes the credential and the raw
//! arguments out of the request, and hands both to the gate. It decides nothing, and what it hands back is the gate's
//! answer with its numbers as the upstream wrote them. A client that leaves does not stop a call.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{Extensions, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};

use crate::call::{Origin, Request};
use crate::catalog::Tool;
use crate::gate::{Answered, Credential, Gate, Readiness, Refused};
use crate::identity::Principal;

mod answer;
mod attach;
mod body;
mod command;
mod credential;
mod guard;
mod listen;
mod mcp;
mod owners;
mod rest;
mod session;
pub mod socket;
#[cfg(test)]
mod tests;

pub use attach::attach;
pub use command::commands;
use listen::Peer;
pub use listen::serve;
pub use owners::owners;
pub use session::Sessions;

/// What lies behind the doors.
pub trait Pipeline: Send + Sync + 'static {
    /// [`Gate::authenticate`].
    fn authenticate(
        self: &Arc<Self>,
        credential: Credential,
        address: Option<IpAddr>,
        origin: Origin,
    ) -> impl Future<Output = Result<Arc<Principal>, Box<Refused>>> + Send;

    /// [`Gate::call`].
    fn call(
        self: &Arc<Self>,
        principal: Arc<Principal>,
        request: Request,
    ) -> impl Future<Output = Result<Answered, Box<Refused>>> + Send;

    /// [`Gate::tools`].
    fn tools(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        origin: Origin,
        server: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Arc<Tool>>, Box<Refused>>> + Send;

    /// [`Gate::approval`].
    fn approval(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        id: &str,
        origin: Origin,
    ) -> impl Future<Output = Result<Option<serde_json::Value>, Box<Refused>>> + Send;

    /// [`Gate::events`].
    fn events(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        parameters: Vec<(String, String)>,
        origin: Origin,
    ) -> impl Future<Output = Result<String, Box<Refused>>> + Send;

    /// [`Gate::spending`].
    fn spending(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        parameters: Vec<(String, String)>,
        origin: Origin,
    ) -> impl Future<Output = Result<String, Box<Refused>>> + Send;

    /// [`Gate::readiness`].
    fn readiness(&self) -> Readiness;
}

impl Pipeline for Gate {
    async fn authenticate(
        self: &Arc<Self>,
        credential: Credential,
        address: Option<IpAddr>,
        origin: Origin,
    ) -> Result<Arc<Principal>, Box<Refused>> {
        Gate::authenticate(self, credential, address, origin).await
    }

    async fn call(self: &Arc<Self>, principal: Arc<Principal>, request: Request) -> Result<Answered, Box<Refused>> {
        Gate::call(self, principal, request).await
    }

    async fn tools(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        origin: Origin,
        server: Option<&str>,
    ) -> Result<Vec<Arc<Tool>>, Box<Refused>> {
        Gate::tools(self, principal, origin, server).await
    }

    async fn approval(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        id: &str,
        origin: Origin,
    ) -> Result<Option<serde_json::Value>, Box<Refused>> {
        Gate::approval(self, principal, id, origin).await
    }

    async fn events(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        parameters: Vec<(String, String)>,
        origin: Origin,
    ) -> Result<String, Box<Refused>> {
        Gate::events(self, principal, parameters, origin).await
    }

    async fn spending(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        parameters: Vec<(String, String)>,
        origin: Origin,
    ) -> Result<String, Box<Refused>> {
        Gate::spending(self, principal, parameters, origin).await
    }

    fn readiness(&self) -> Readiness {
        Gate::readiness(self)
    }
}

/// Who may speak to the doors, as a browser on this machine could be made to (DNS rebinding).
#[derive(Clone, Debug)]
pub struct DoorOptions {
    /// Where the door listens. Its address is an allowed host; so is any address, never a name, when it listens on all.
    pub listen: SocketAddr,
    /// Further values of `Host`: `name` or `name:port`. Loopback is always allowed.
    pub allowed_hosts: Vec<String>,
    /// Values of `Origin` besides those of loopback, such as `https://console.example`.
    pub allowed_origins: Vec<String>,
}

/// What every route knows.
struct Door<G> {
    gate: Arc<G>,
    mcp: mcp::Service<G>,
    sessions: Sessions,
    /// What a call over MCP comes in by.
    origin: Origin,
}

impl<G: Pipeline> Door<G> {
    fn new(gate: Arc<G>, sessions: Sessions, origin: Origin) -> Self {
        Self { mcp: mcp::service(Arc::clone(&gate)), gate, sessions, origin }
    }
}

impl<G> Clone for Door<G> {
    fn clone(&self) -> Self {
        Self {
            gate: Arc::clone(&self.gate),
            mcp: self.mcp.clone(),
            sessions: self.sessions.clone(),
            origin: self.origin,
        }
    }
}

/// The door for agents.
pub fn agents<G: Pipeline>(gate: Arc<G>, sessions: Sessions, options: DoorOptions) -> Router {
    Router::new()
        .route("/mcp", any(mcp::handle::<G>))
        .route("/v1/tools", get(rest::tools::<G>))
        .route("/v1/tools/{name}", post(rest::call::<G>))
        .route("/v1/audit/events", get(rest::events::<G>))
        .route("/v1/spend", get(rest::spending::<G>))
        .route("/healthz", get(|| async { "ok" }))
        .route("/v1/approvals/{id}", get(rest::approval::<G>))
        .route("/readyz", get(readyz::<G>))
        .fallback(|| async { answer::problem(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            answer::problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path takes another method")
        })
        .layer(axum::middleware::from_fn_with_state(Arc::new(options), guard::check))
        .with_state(Door::new(gate, sessions, Origin::Mcp))
}

/// The stdio door's half in the gate: MCP as it comes over the Unix socket from `portcullis wrap`, which may narrow it
/// down to one server (`/mcp?server=NAME`). Who may open the socket is the socket's affair; who calls is known by the
/// credential, as everywhere.
pub fn stdio<G: Pipeline>(gate: Arc<G>, sessions: Sessions) -> Router {
    Router::new().route("/mcp", any(mcp::handle::<G>)).with_state(Door::new(gate, sessions, Origin::Stdio))
}

async fn readyz<G: Pipeline>(State(door): State<Door<G>>) -> Response {
    ready(&door.gate.readiness())
}

fn ready(readiness: &Readiness) -> Response {
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(readiness)).into_response()
}

/// The other end's address.
fn address(extensions: &Extensions) -> Option<IpAddr> {
    match extensions.get::<ConnectInfo<Peer>>()?.0 {
        Peer::Address(peer) => Some(peer.ip().to_canonical()),
        Peer::User(_) => None,
    }
}
