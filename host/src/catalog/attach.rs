//! Servers that come with a client and leave with the last one that wants them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::{Catalog, Server};
use crate::config::{Reach, ServerConfig};
use crate::limits::{CALLS_MAX, SERVERS_MAX};
use crate::task;

/// Why a server cannot come to the catalog.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Its name is taken.
    #[error(
        "the gate has another server `{0}`: its command, folder or environment is not the same; give this one another name \
         with `--name`"
    )]
    Taken(String),
    /// A server without a prefix has to be alone.
    #[error(
        "the gate's server `{0}` has prefix = false, which only a single server can have: names could clash; take that line \
         out of the configuration"
    )]
    Alone(String),
    /// There are too many.
    #[error("the gate has {SERVERS_MAX} servers already, and takes no more: end a client that is not needed")]
    TooMany,
}

/// A client's wish for a server. The server leaves when the last wish is dropped, after the calls that it is busy with.
pub struct Attached {
    catalog: Catalog,
    server: Arc<Server>,
}

impl Catalog {
    /// Takes a server in, and starts it; one that is there with the same settings is shared.
    ///
    /// # Errors
    /// When its name is another's, or no further server can come.
    pub fn attach(&self, config: ServerConfig) -> Result<Attached, AttachError> {
        let mut servers = self.0.servers.write().unwrap_or_else(PoisonError::into_inner);
        let mut staying = servers.iter().filter(|server| server.stays());
        if let Some(server) = staying.clone().find(|server| server.config.name == config.name) {
            if !same(&server.config, &config) {
                return Err(AttachError::Taken(config.name));
            }
            server.holders.fetch_add(1, Ordering::SeqCst);
            return Ok(Attached { catalog: self.clone(), server: Arc::clone(server) });
        }
        if let Some(alone) = staying.find(|server| !server.config.prefix) {
            return Err(AttachError::Alone(alone.config.name.clone()));
        }
        if servers.len() >= SERVERS_MAX {
            return Err(AttachError::TooMany);
        }
        let server = Server::new(config);
        servers.push(Arc::clone(&server));
        self.keep_server(&server);
        Ok(Attached { catalog: self.clone(), server })
    }

    async fn leave(self, server: Arc<Server>) {
        let all = u32::try_from(CALLS_MAX).unwrap_or(u32::MAX);
        // It is never closed; and no call comes any more.
        let _idle = server.calls.acquire_many(all).await;
        server.end().await;
        let mut servers = self.0.servers.write().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|other| !Arc::ptr_eq(other, &server));
        tracing::info!(server = server.config.name, "the server has left with its last client");
    }
}

/// What one means is what the other means. Prefix and patience are not compared: those of the configuration win.
fn same(one: &ServerConfig, other: &ServerConfig) -> bool {
    match (&one.reach, &other.reach) {
        (Reach::Child(one), Reach::Child(other)) => {
            one.command == other.command && one.directory == other.directory && one.variables == other.variables
        }
        _ => false,
    }
}

impl Attached {
    /// Waits until the server was tried once: what is wrong with it.
    pub async fn tried(&self) -> Vec<String> {
        loop {
            let tried = self.catalog.0.tried.notified();
            if let Some(problems) = self.server.problem() {
                return problems;
            }
            tried.await;
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let servers = self.catalog.0.servers.write().unwrap_or_else(PoisonError::into_inner);
        let last = self.server.holders.fetch_sub(1, Ordering::SeqCst) == 1;
        drop(servers);
        // Where nothing can be started any more, the process is ending, and its children with it.
        if last && tokio::runtime::Handle::try_current().is_ok() {
            task::spawn("server leaves", self.catalog.clone().leave(Arc::clone(&self.server)));
        }
    }
}
