//! One task for each server: starts it, lists its tools, looks again when they changed.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::pin::{self, Noted};
use super::{Catalog, Server, Tool, definition};
use crate::call::CorrelationId;
use crate::config::{Reach, ServerConfig};
use crate::store::{Store, StoreError};
use crate::upstream::{Upstream, UpstreamError};
use crate::{limits, task};

/// The first wait before a server is looked at again.
const RETRY_FIRST: Duration = limits::UPSTREAM_RESTART_FIRST;
/// The time between two looks at a server's tools, so that one that says with each listing that they changed does not
/// keep the gate busy.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Withheld tools that are named in one sentence.
const NAMED_MAX: usize = 5;

/// The tools of a server, by the names agents use, as the pins divide them.
#[derive(Default)]
pub struct Listing {
    /// Those that can be called.
    pub tools: BTreeMap<String, Arc<Tool>>,
    /// Those that are withheld.
    pub withheld: BTreeMap<String, Arc<Tool>>,
}

impl Listing {
    pub(super) fn divided<'a>(
        store: &Store,
        server: &str,
        tools: impl Iterator<Item = &'a Arc<Tool>>,
    ) -> Result<Self, StoreError> {
        let pins = pin::of_server(store, server)?;
        let usable = |tool: &Tool| pins.get(&tool.upstream_name).is_some_and(|pin| pin.admits(&tool.digest));
        let by_name = tools.map(|tool| (tool.name.clone(), Arc::clone(tool)));
        let (tools, withheld) = by_name.partition(|(_, tool)| usable(tool));
        Ok(Self { tools, withheld })
    }

    /// What an owner should know: a sentence.
    pub(super) fn problem(&self, server: &str) -> Option<String> {
        let named: Vec<&str> = self.withheld.keys().take(NAMED_MAX).map(String::as_str).collect();
        let first = named.first()?;
        let more = match self.withheld.len().saturating_sub(named.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(format!(
            "server `{server}` has changed its tools, and these are withheld until an owner accepts them: `{}`{more}; see \
             `portcullis tool show {first}`",
            named.join("`, `")
        ))
    }
}

/// What is known of a server. Its tools stay known while it is down, so that a call says what is the matter.
pub enum ServerState {
    /// The first attempt goes on.
    Starting,
    /// It answers.
    Up {
        /// How it is called.
        upstream: Upstream,
        /// Its tools.
        listing: Listing,
    },
    /// It does not.
    Down {
        /// Why.
        why: String,
        /// It may be started again.
        upstream: Option<Upstream>,
        /// The tools it had.
        listing: Listing,
    },
}

/// Waits until a server's tools are worth a look. One elsewhere does not tell when they change.
async fn changed(config: &ServerConfig, upstream: &Upstream) {
    loop {
        let told = tokio::time::timeout(limits::UPSTREAM_LOOK, upstream.changed()).await.is_ok();
        upstream.end_idle();
        if told || matches!(config.reach, Reach::Http(_)) {
            return;
        }
    }
}

impl Server {
    /// Stops it, and its keeper before.
    pub(super) async fn end(&self) {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            keeper.abort();
            // It was told to end: how it ended says nothing.
            let _ = keeper.await;
        }
        let upstream = match &*Catalog::state(self) {
            ServerState::Up { upstream, .. } => Some(upstream.clone()),
            ServerState::Down { upstream, .. } => upstream.clone(),
            ServerState::Starting => None,
        };
        if let Some(upstream) = upstream {
            upstream.stop().await;
        }
    }

    fn up(&self, upstream: Upstream, listing: Listing) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let same = match &*state {
            ServerState::Up { listing: had, .. } => {
                had.tools.keys().eq(listing.tools.keys()) && had.withheld.keys().eq(listing.withheld.keys())
            }
            ServerState::Starting | ServerState::Down { .. } => false,
        };
        // One elsewhere is looked at every minute.
        if !same {
            let (tools, withheld) = (listing.tools.len(), listing.withheld.len());
            tracing::info!(server = %self.config.name, tools, withheld, "server is up");
        }
        *state = ServerState::Up { upstream, listing };
    }

    fn down(&self, why: String, upstream: Option<Upstream>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let listing = match &mut *state {
            ServerState::Starting => Listing::default(),
            ServerState::Up { listing, .. } | ServerState::Down { listing, .. } => std::mem::take(listing),
        };
        *state = ServerState::Down { why, upstream, listing };
    }

    /// It listed tools that could not be held against their pins: none of them is known any more.
    fn shut(&self, why: String, upstream: Option<Upstream>) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) =
            ServerState::Down { why, upstream, listing: Listing::default() };
    }

    /// Reads the pins again for the tools that are known.
    pub(super) fn divide_again(&self, store: &Store) -> Result<(), StoreError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let ServerState::Up { listing, .. } | ServerState::Down { listing, .. } = &mut *state {
            let tools = listing.tools.values().chain(listing.withheld.values());
            *listing = Listing::divided(store, &self.config.name, tools)?;
        }
        Ok(())
    }
}

impl Catalog {
    /// Starts every server and keeps looking after it. Returns at once.
    pub fn keep(&self) {
        for server in self.servers() {
            self.keep_server(&server);
        }
    }

    pub(super) fn keep_server(&self, server: &Arc<Server>) {
        let (catalog, kept) = (self.clone(), Arc::clone(server));
        let keeper = task::spawn("server keeper", async move { catalog.keep_one(&kept).await });
        *server.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
    }

    async fn keep_one(&self, server: &Server) {
        let mut wait = RETRY_FIRST;
        let upstream = Upstream::new(server.config.clone(), self.0.clock.clone());
        loop {
            let mut pause = Duration::ZERO;
            let looked = match self.look(&server.config, &upstream).await {
                Ok(listed) => self.take(server, &upstream, listed).await,
                Err(error) => {
                    server.down(error.to_string(), Some(upstream.clone()));
                    // A call may have tried it meanwhile: then it rests longer than this task has waited.
                    pause = error.pause();
                    Err(error.to_string())
                }
            };
            self.0.tried.notify_waiters();
            match looked {
                Ok(()) => {
                    wait = RETRY_FIRST;
                    // A change during the pause is not lost.
                    tokio::time::sleep(LOOK_PAUSE).await;
                    changed(&server.config, &upstream).await;
                }
                Err(why) => {
                    tracing::warn!(server = %server.config.name, error = ?why, "server is down");
                    upstream.end_idle();
                    // A call may start it meanwhile, and waits until its tools were compared.
                    tokio::time::sleep(LOOK_PAUSE).await;
                    let rest = wait.max(pause).saturating_sub(LOOK_PAUSE);
                    let _ = tokio::time::timeout(rest, upstream.changed()).await;
                    wait = wait.saturating_mul(2).min(limits::UPSTREAM_RESTART_MAX);
                }
            }
        }
    }

    /// Takes a listing over, once it was held against the pins and what is new is pinned.
    ///
    /// The lock is held until the server's state is what the store says: an owner's command cannot come in between.
    async fn take(&self, server: &Server, upstream: &Upstream, listed: Vec<Noted>) -> Result<(), String> {
        let _pinning = self.pinning().await;
        match self.pinned(&server.config.name, listed).await {
            Ok(listing) => {
                let digest = |tool: &Arc<Tool>| (tool.upstream_name.clone(), tool.digest.clone());
                // Which of them can be called, the pins say.
                upstream.accept(listing.tools.values().chain(listing.withheld.values()).map(digest).collect());
                server.up(upstream.clone(), listing);
                Ok(())
            }
            Err(error) => {
                let why = format!("its tools cannot be compared with their pins: {error}");
                server.shut(why.clone(), Some(upstream.clone()));
                Err(why)
            }
        }
    }

    async fn pinned(&self, server: &str, listed: Vec<Noted>) -> Result<Listing, StoreError> {
        let tools: Vec<Arc<Tool>> = listed.iter().map(|noted| Arc::clone(&noted.tool)).collect();
        if pin::is_news(&self.0.store, server, &listed)? {
            let id = CorrelationId::random().map_err(|error| StoreError::Unwritable(error.to_string()))?;
            let (at, server) = (self.0.clock.now(), server.to_owned());
            self.0.store.commit(move |tx| pin::note(tx, at, id, &server, &listed)).await?;
        }
        // Only what the store says is accepted can be called.
        Listing::divided(&self.0.store, server, tools.iter())
    }

    async fn look(&self, config: &ServerConfig, upstream: &Upstream) -> Result<Vec<Noted>, UpstreamError> {
        // Of two under one name the last is meant.
        let mut listed = BTreeMap::new();
        for offered in upstream.tools().await? {
            let shown: String = offered.name.chars().take(80).collect();
            match definition::tool(config, offered, &self.0.tools) {
                Ok(noted) => {
                    listed.insert(noted.tool.name.clone(), noted);
                }
                Err(error) => {
                    let why = error.to_string();
                    tracing::warn!(server = %config.name, tool = ?shown, error = ?why, "the tool is left out");
                }
            }
        }
        Ok(listed.into_values().collect())
    }

    /// Stops every server that was started; one that is only starting goes with its keeper.
    pub async fn stop(&self) {
        let servers = self.0.servers.read().unwrap_or_else(PoisonError::into_inner).clone();
        for server in servers {
            server.end().await;
        }
    }
}
