//! Which tool is meant: names, definitions and their digests, argument schemas.
//!
//! Each server has a keeper: a task that starts it, lists its tools, and lists them again when the server says that they
//! changed or after it had to be started anew. A tool whose definition is not the pinned one ([`pin`]) is known and cannot
//! be used.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::json;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::call::{Call, CorrelationId, Request};
use crate::clock::{Clock, Timestamp};
use crate::config::{IdempotencyRule, ServerConfig, ToolConfig};
use crate::identity::Principal;
use crate::json::Value;
use crate::limits::CALLS_MAX;
use crate::refusal::{Code, Refusal};
use crate::store::{Store, StoreError};
use crate::upstream::Upstream;

mod attach;
mod definition;
mod difference;
mod keeper;
pub mod pin;
mod promise;
mod schema;
#[cfg(test)]
mod tests;

pub use attach::{AttachError, Attached};
pub use difference::{Difference, difference};
pub use keeper::{Listing, ServerState};
pub use schema::{BadSchema, Schema};

/// What a server says of a tool, with the protocol's cautious defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotations {
    /// Default false.
    pub read_only: bool,
    /// Default true.
    pub destructive: bool,
    /// Default false.
    pub idempotent: bool,
    /// Default true.
    pub open_world: bool,
}

impl Default for Annotations {
    fn default() -> Self {
        Self { read_only: false, destructive: true, idempotent: false, open_world: true }
    }
}

/// A tool that the gate knows. Only this module makes one.
#[derive(Debug)]
pub struct Tool {
    /// The upstream server's name.
    pub server: String,
    /// The name agents use, with the server's prefix.
    pub name: String,
    /// The name its server uses.
    pub upstream_name: String,
    /// What its server says of it.
    pub annotations: Annotations,
    /// `sha256:` and the hexadecimal digest of the canonical definition.
    pub digest: String,
    /// The definition as the server gave it (`Tool` of the MCP schema), under the name agents use.
    pub definition: Value,
    /// JSON pointers of arguments that no guest and no log may see.
    pub secret_arguments: Vec<String>,
    /// How calls without a key are treated.
    pub idempotency: IdempotencyRule,
    /// The owner says that calling it twice does no harm.
    pub idempotent: bool,
    /// The money of a call that the tool itself failed is free again.
    pub release_on_error: bool,
    schema: Schema,
}

impl Tool {
    /// One of the gate's own tools: what it takes is checked as a server's is, and no server is asked.
    ///
    /// # Errors
    /// When its input schema cannot be used.
    pub fn of_gate(name: &str, definition: Value) -> Result<Self, BadSchema> {
        let schema = Schema::compile(definition.get("inputSchema").unwrap_or(&Value::Null))?;
        Ok(Self {
            server: "gate".into(),
            name: name.into(),
            upstream_name: name.into(),
            annotations: Annotations { read_only: true, destructive: false, idempotent: true, open_world: false },
            digest: pin::digest(definition.canonical().as_bytes()),
            definition: promise::in_definition(definition),
            secret_arguments: Vec::new(),
            idempotency: IdempotencyRule::Optional,
            idempotent: true,
            release_on_error: false,
            schema,
        })
    }

    /// Whether a client that asks for one server's tools means this one.
    #[must_use]
    pub fn is_of(&self, server: Option<&str>) -> bool {
        server.is_none_or(|server| self.server == server)
    }

    /// Whether its schema refuses a call without arguments.
    #[must_use]
    pub fn needs_arguments(&self) -> bool {
        self.schema.check(&Value::Object(Vec::new())).is_err()
    }

    /// A tool for unit tests of other modules: `server__name`, which takes any object.
    #[cfg(test)]
    #[must_use]
    pub fn for_test(server: &str, name: &str) -> Self {
        Self {
            server: server.into(),
            name: format!("{server}__{name}"),
            upstream_name: name.into(),
            annotations: Annotations::default(),
            digest: format!("sha256:{}", "0".repeat(64)),
            definition: Value::Null,
            secret_arguments: Vec::new(),
            idempotency: IdempotencyRule::Optional,
            idempotent: false,
            release_on_error: false,
            schema: Schema::compile(&Value::Object(Vec::new())).unwrap(),
        }
    }
}

/// The tools of all servers.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    /// Those of the configuration, and those that came with a client; one that leaves is here until it has ended.
    servers: RwLock<Vec<Arc<Server>>>,
    tools: Vec<ToolConfig>,
    store: Store,
    clock: Clock,
    tried: Notify,
    /// Held from the moment that pins are changed until the servers' states say so.
    pinning: AsyncMutex<()>,
}

struct Server {
    config: ServerConfig,
    state: RwLock<ServerState>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    /// Who wants it: the configuration, or so many clients. At none it takes no more calls and leaves.
    holders: AtomicUsize,
    /// A place for each call at a time; who has all knows that none is going on.
    calls: Arc<Semaphore>,
}

impl Server {
    fn new(config: ServerConfig) -> Arc<Self> {
        Arc::new(Self {
            config,
            state: RwLock::new(ServerState::Starting),
            keeper: Mutex::default(),
            holders: AtomicUsize::new(1),
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
        })
    }

    fn stays(&self) -> bool {
        self.holders.load(Ordering::SeqCst) > 0
    }
}

/// What a name means.
pub enum Found {
    /// A tool that can be called.
    Usable(Resolved),
    /// A tool that is withheld.
    Withheld(Arc<Tool>),
}

/// A tool and where it is called.
#[derive(Clone)]
pub struct Resolved {
    /// The tool.
    pub tool: Arc<Tool>,
    /// Its server.
    pub upstream: Upstream,
    /// The server stays as long as this is kept.
    _place: Arc<OwnedSemaphorePermit>,
}

impl Catalog {
    /// A catalog of these servers; [`Catalog::keep`] starts them.
    #[must_use]
    pub fn new(servers: Vec<ServerConfig>, tools: Vec<ToolConfig>, store: Store, clock: Clock) -> Self {
        let servers = RwLock::new(servers.into_iter().map(Server::new).collect());
        let (tried, pinning) = (Notify::new(), AsyncMutex::default());
        Self(Arc::new(Inner { servers, tools, store, clock, tried, pinning }))
    }

    /// The servers that stay.
    fn servers(&self) -> Vec<Arc<Server>> {
        let servers = self.0.servers.read().unwrap_or_else(PoisonError::into_inner);
        servers.iter().filter(|server| server.stays()).cloned().collect()
    }

    fn state(server: &Server) -> std::sync::RwLockReadGuard<'_, ServerState> {
        server.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All tools that can be called, by name.
    #[must_use]
    pub fn tools(&self) -> Vec<Arc<Tool>> {
        let mut all = BTreeMap::new();
        for server in &self.servers() {
            if let ServerState::Up { listing, .. } | ServerState::Down { listing, .. } = &*Self::state(server) {
                all.extend(listing.tools.iter().map(|(name, tool)| (name.clone(), Arc::clone(tool))));
            }
        }
        all.into_values().collect()
    }

    /// The tool with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Found> {
        // While the list is held, none of them begins to leave.
        let servers = self.0.servers.read().unwrap_or_else(PoisonError::into_inner);
        servers.iter().filter(|server| server.stays()).find_map(|server| match &*Self::state(server) {
            ServerState::Up { upstream, listing } | ServerState::Down { upstream: Some(upstream), listing, .. } => {
                let usable = |tool: &Arc<Tool>| {
                    let place = Arc::clone(&server.calls).try_acquire_owned().ok()?;
                    let (tool, upstream) = (Arc::clone(tool), upstream.clone());
                    Some(Found::Usable(Resolved { tool, upstream, _place: Arc::new(place) }))
                };
                let withheld = || listing.withheld.get(name).map(|tool| Found::Withheld(Arc::clone(tool)));
                listing.tools.get(name).and_then(usable).or_else(withheld)
            }
            ServerState::Starting | ServerState::Down { upstream: None, .. } => None,
        })
    }

    /// Waits until nobody else changes pins, and keeps them from it: for a change of pins that [`Catalog::divide_again`]
    /// makes known.
    pub async fn pinning(&self) -> MutexGuard<'_, ()> {
        self.0.pinning.lock().await
    }

    /// Reads the pins again for all servers, after they were changed.
    ///
    /// # Errors
    /// When the store cannot be read; tools that were withheld still are.
    pub fn divide_again(&self, _pinning: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        self.servers().iter().try_for_each(|server| server.divide_again(&self.0.store))
    }

    /// The names of the tools that the configuration says something about.
    pub fn configured(&self) -> impl Iterator<Item = &str> {
        self.0.tools.iter().map(|tool| tool.name.as_str())
    }

    /// Returns when every server was tried once.
    pub async fn settled(&self) {
        self.until(|catalog| catalog.problems().is_some()).await;
    }

    /// Returns when something is so: asked now, and after each look at a server.
    pub async fn until(&self, so: impl Fn(&Self) -> bool) {
        loop {
            let tried = self.0.tried.notified();
            if so(self) {
                return;
            }
            tried.await;
        }
    }

    /// What is wrong with servers: one sentence each. `None` while a first attempt is still going on.
    #[must_use]
    pub fn problems(&self) -> Option<Vec<String>> {
        let problems = self.servers().iter().map(|server| server.problem()).collect::<Option<Vec<_>>>()?;
        Some(problems.concat())
    }
}

impl Server {
    /// What is wrong with it: sentences. `None` while the first attempt is still going on.
    fn problem(&self) -> Option<Vec<String>> {
        let name = &self.config.name;
        let down = |why: &str, listing: &Listing| {
            let mut problems = vec![format!("server `{name}` is down: {why}")];
            problems.extend(listing.problem(name));
            Some(problems)
        };
        match &*Catalog::state(self) {
            ServerState::Starting => None,
            ServerState::Up { upstream, listing } if upstream.alive() => {
                Some(listing.problem(name).into_iter().collect())
            }
            ServerState::Up { listing, .. } => down("it is not running; the next call starts it again", listing),
            ServerState::Down { why, listing, .. } => down(why, listing),
        }
    }
}

/// The refusal that a missing and a hidden tool have in common: nobody can tell them apart.
#[must_use]
pub fn unknown_tool(name: &str) -> Refusal {
    let shown: String = name.chars().take(crate::limits::TOOL_NAME_CHARS_MAX).collect();
    Refusal::new(
        Code::UnknownTool,
        format!("there is no tool `{shown}` for you here; list the tools to see those that there are"),
    )
}

/// The refusal of a tool whose definition is not the accepted one, for those who could see it.
fn tool_withheld(name: &str) -> Refusal {
    Refusal::new(
        Code::ToolWithheld,
        format!(
            "`{name}` was not called: its server has changed or renamed it since the gate's owner accepted its tools, so it is \
             withheld until the owner accepts it (`portcullis tool show {name}`, `portcullis tool accept {name}`); ask the \
             owner"
        ),
    )
    .details(json!({ "tool": name }))
}

impl Found {
    /// The tool's definition: for finding out who sees it.
    #[must_use]
    pub fn tool(&self) -> &Arc<Tool> {
        match self {
            Self::Usable(resolved) => &resolved.tool,
            Self::Withheld(tool) => tool,
        }
    }

    /// The tool, if it can be called.
    ///
    /// # Errors
    /// `tool_withheld`.
    pub fn usable(self) -> Result<Resolved, Refusal> {
        match self {
            Self::Usable(resolved) => Ok(resolved),
            Self::Withheld(tool) => Err(tool_withheld(&tool.name)),
        }
    }
}

impl Tool {
    /// A request for this tool becomes a call, when its arguments are the tool's.
    ///
    /// # Errors
    /// `invalid_arguments`.
    pub fn call(
        self: &Arc<Self>,
        id: CorrelationId,
        time: Timestamp,
        principal: Arc<Principal>,
        request: Request,
    ) -> Result<Call, Refusal> {
        let invalid = |message: String| Refusal::new(Code::InvalidArguments, message);
        let name = &self.name;
        let arguments = request.arguments.map_err(|bad| {
            invalid(format!(
                "the call of `{name}` was not made: {bad}; send one JSON object that fits the tool's schema"
            ))
        })?;
        let key = request.key.map_err(|bad| invalid(format!("the call of `{name}` was not made: {bad}")))?;
        self.schema.check(arguments.value()).map_err(|problem| {
            invalid(format!("the arguments do not fit the schema of `{name}`: {}", problem.message))
                .details(json!({ "pointer": problem.pointer }))
        })?;
        Ok(Call {
            id,
            time,
            principal,
            tool: Arc::clone(self),
            arguments,
            key,
            approval: request.approval,
            origin: request.origin,
            address: request.address,
            request_id: request.request_id,
        })
    }
}
