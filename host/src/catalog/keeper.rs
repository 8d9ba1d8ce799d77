//! One task for each server: starts it, lists its tools, looks again when they changed.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Catalog, Server, Tool, definition};
use crate::config::ServerConfig;
use crate::task;
use crate::upstream::{Upstream, UpstreamError};

/// The first wait before a server is tried again.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// The time between two looks at a server's tools, so that one that says with each listing that they changed does not
/// keep the gate busy.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// What is known of a server. Its tools stay known while it is down, so that a call says what is the matter.
pub enum ServerState {
    /// The first attempt goes on.
    Starting,
    /// It answers.
    Up {
        /// How it is called.
        upstream: Upstream,
        /// Its tools, by the names agents use.
        tools: BTreeMap<String, Arc<Tool>>,
    },
    /// It does not.
    Down {
        /// Why.
        why: String,
        /// It was started once, and may be again.
        upstream: Option<Upstream>,
        /// The tools it had.
        tools: BTreeMap<String, Arc<Tool>>,
    },
}

impl Server {
    fn down(&self, why: String, upstream: Option<Upstream>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let tools = match &mut *state {
            ServerState::Starting => BTreeMap::new(),
            ServerState::Up { tools, .. } | ServerState::Down { tools, .. } => std::mem::take(tools),
        };
        *state = ServerState::Down { why, upstream, tools };
    }
}

impl Catalog {
    /// Starts every server and keeps looking after it. Returns at once.
    pub fn keep(&self) {
        for index in 0..self.0.servers.len() {
            let catalog = self.clone();
            let keeper = task::spawn("server keeper", async move { catalog.keep_one(index).await });
            self.0.keepers.lock().unwrap_or_else(PoisonError::into_inner).push(keeper);
        }
    }

    async fn keep_one(&self, index: usize) {
        let Some(server) = self.0.servers.get(index) else { return };
        let mut wait = RETRY_FIRST;
        let mut upstream: Option<Upstream> = None;
        loop {
            match self.look(&server.config, &mut upstream).await {
                Ok(tools) => {
                    wait = RETRY_FIRST;
                    let Some(upstream) = upstream.clone() else { continue };
                    tracing::info!(server = %server.config.name, tools = tools.len(), "server is up");
                    *server.state.write().unwrap_or_else(PoisonError::into_inner) =
                        ServerState::Up { upstream: upstream.clone(), tools };
                    self.0.tried.notify_waiters();
                    // A change during the pause is not lost.
                    tokio::time::sleep(LOOK_PAUSE).await;
                    upstream.changed().await;
                }
                Err(error) => {
                    let why = error.to_string();
                    tracing::warn!(server = %server.config.name, error = ?why, "server is down");
                    server.down(why, upstream.clone());
                    self.0.tried.notify_waiters();
                    tokio::time::sleep(wait).await;
                    wait = wait.saturating_mul(2).min(RETRY_MAX);
                }
            }
        }
    }

    async fn look(
        &self,
        config: &ServerConfig,
        upstream: &mut Option<Upstream>,
    ) -> Result<BTreeMap<String, Arc<Tool>>, UpstreamError> {
        let running = match upstream {
            Some(running) => running.clone(),
            None => {
                let started = Upstream::start(config.clone(), self.0.clock.clone()).await?;
                upstream.insert(started).clone()
            }
        };
        let mut tools = BTreeMap::new();
        for offered in running.tools().await? {
            let shown: String = offered.name.chars().take(80).collect();
            match definition::tool(config, offered, &self.0.tools) {
                Ok(tool) => {
                    tools.insert(tool.name.clone(), tool);
                }
                Err(error) => {
                    let why = error.to_string();
                    tracing::warn!(server = %config.name, tool = ?shown, error = ?why, "the tool is left out");
                }
            }
        }
        Ok(tools)
    }

    /// Stops every server that was started; one that is only starting goes with its keeper.
    pub async fn stop(&self) {
        let keepers = std::mem::take(&mut *self.0.keepers.lock().unwrap_or_else(PoisonError::into_inner));
        for keeper in keepers {
            keeper.abort();
            // It was told to end: how it ended says nothing.
            let _ = keeper.await;
        }
        for server in &self.0.servers {
            let upstream = match &*Self::state(server) {
                ServerState::Up { upstream, .. } => Some(upstream.clone()),
                ServerState::Down { upstream, .. } => upstream.clone(),
                ServerState::Starting => None,
            };
            if let Some(upstream) = upstream {
                upstream.stop().await;
            }
        }
    }
}
