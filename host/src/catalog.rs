//! Which tool is meant: names, definitions and their digests, argument schemas.
//!
//! Each server has a keeper: a task that starts it, lists its tools, and lists them again when the server says that they
//! changed or after it had to be started anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::call::{Call, CorrelationId, Request};
use crate::clock::{Clock, Timestamp};
use crate::config::{IdempotencyRule, ServerConfig, ToolConfig};
use crate::identity::Principal;
use crate::json::Value;
use crate::refusal::{Code, Refusal};
use crate::upstream::Upstream;

mod definition;
mod keeper;
mod schema;
#[cfg(test)]
mod tests;

pub use keeper::ServerState;
pub use schema::Schema;

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
    servers: Vec<Server>,
    tools: Vec<ToolConfig>,
    clock: Clock,
    tried: Notify,
    keepers: Mutex<Vec<JoinHandle<()>>>,
}

struct Server {
    config: ServerConfig,
    state: RwLock<ServerState>,
}

/// A tool and where it is called.
#[derive(Clone)]
pub struct Resolved {
    /// The tool.
    pub tool: Arc<Tool>,
    /// Its server.
    pub upstream: Upstream,
}

impl Catalog {
    /// A catalog of these servers; [`Catalog::keep`] starts them.
    #[must_use]
    pub fn new(servers: Vec<ServerConfig>, tools: Vec<ToolConfig>, clock: Clock) -> Self {
        let servers =
            servers.into_iter().map(|config| Server { config, state: RwLock::new(ServerState::Starting) }).collect();
        Self(Arc::new(Inner { servers, tools, clock, tried: Notify::new(), keepers: Mutex::default() }))
    }

    fn state(server: &Server) -> std::sync::RwLockReadGuard<'_, ServerState> {
        server.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All tools, by name.
    #[must_use]
    pub fn tools(&self) -> Vec<Arc<Tool>> {
        let mut all = BTreeMap::new();
        for server in &self.0.servers {
            if let ServerState::Up { tools, .. } | ServerState::Down { tools, .. } = &*Self::state(server) {
                all.extend(tools.iter().map(|(name, tool)| (name.clone(), Arc::clone(tool))));
            }
        }
        all.into_values().collect()
    }

    /// The tool with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Resolved> {
        self.0.servers.iter().find_map(|server| match &*Self::state(server) {
            ServerState::Up { upstream, tools } | ServerState::Down { upstream: Some(upstream), tools, .. } => {
                let tool = Arc::clone(tools.get(name)?);
                Some(Resolved { tool, upstream: upstream.clone() })
            }
            ServerState::Starting | ServerState::Down { upstream: None, .. } => None,
        })
    }

    /// The names of the tools that the configuration says something about.
    pub fn configured(&self) -> impl Iterator<Item = &str> {
        self.0.tools.iter().map(|tool| tool.name.as_str())
    }

    /// Returns when every server was tried once.
    pub async fn settled(&self) {
        loop {
            let tried = self.0.tried.notified();
            if self.problems().is_some() {
                return;
            }
            tried.await;
        }
    }

    /// What is wrong with servers: one sentence each. `None` while a first attempt is still going on.
    #[must_use]
    pub fn problems(&self) -> Option<Vec<String>> {
        self.0
            .servers
            .iter()
            .map(|server| {
                let down = |why: &str| Some(vec![format!("server `{}` is down: {why}", server.config.name)]);
                match &*Self::state(server) {
                    ServerState::Starting => None,
                    ServerState::Up { upstream, .. } if upstream.alive() => Some(Vec::new()),
                    ServerState::Up { .. } => down("its process has ended; the next call starts it again"),
                    ServerState::Down { why, .. } => down(why),
                }
            })
            .collect::<Option<Vec<_>>>()
            .map(|problems| problems.concat())
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

impl Resolved {
    /// A request for this tool becomes a call, when its arguments are the tool's.
    ///
    /// # Errors
    /// `invalid_arguments`.
    pub fn call(
        &self,
        id: CorrelationId,
        time: Timestamp,
        principal: Arc<Principal>,
        request: Request,
    ) -> Result<Call, Refusal> {
        let invalid = |message: String| Refusal::new(Code::InvalidArguments, message);
        let name = &self.tool.name;
        let arguments = request.arguments.map_err(|bad| {
            invalid(format!(
                "the call of `{name}` was not made: {bad}; send one JSON object that fits the tool's schema"
            ))
        })?;
        let key = request.key.map_err(|bad| invalid(format!("the call of `{name}` was not made: {bad}")))?;
        self.tool.schema.check(arguments.value()).map_err(|problem| {
            invalid(format!("the arguments do not fit the schema of `{name}`: {}", problem.message))
                .details(json!({ "pointer": problem.pointer }))
        })?;
        Ok(Call {
            id,
            time,
            principal,
            tool: Arc::clone(&self.tool),
            arguments,
            key,
            approval: request.approval,
            origin: request.origin,
            address: request.address,
            request_id: request.request_id,
        })
    }
}
