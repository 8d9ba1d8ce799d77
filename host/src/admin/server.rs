//! Servers that come with a client.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Admin, AdminError};
use crate::audit;
use crate::catalog::Attached;
use crate::config::{ServerConfig, Variables};
use crate::identity::{Actor, Kind};

/// A server that a client brings along.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewServer {
    /// Its name: the first part of its tools' names.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// What it finds in its environment besides what every server does.
    pub variables: Variables,
}

impl Admin {
    /// Takes a server in for as long as what this returns is kept. No [`Command`](super::Command): it ends with the
    /// connection that it came by.
    ///
    /// # Errors
    /// When the actor is no owner, the server makes no sense or its name is another's, or it cannot be written down.
    pub async fn attach(&self, actor: &Actor, new: NewServer) -> Result<Attached, AdminError> {
        if actor.kind() != Kind::Owner {
            return Err(AdminError::forbidden(actor));
        }
        let NewServer { name, command, directory, variables } = new;
        // Arguments can hold secrets in any form, so the log has none of them.
        let shown = json!({
            "name": name,
            "program": command.first(),
            "variables": variables.iter().map(|(variable, _)| variable).collect::<Vec<_>>(),
        });
        let config = ServerConfig::wrapped(name, command, directory, variables).map_err(AdminError::Usage)?;
        let entry = self.entry(actor, "server.attach")?.metadata("server", shown);
        let attached = self.gate()?.catalog.attach(config)?;
        self.store.commit(move |tx| audit::append(tx, &entry)).await.map_err(AdminError::Store)?;
        Ok(attached)
    }
}
