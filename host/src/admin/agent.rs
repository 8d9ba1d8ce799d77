//! Agents: who may call.

use serde_json::{Value, json};

use super::{Admin, AdminError};
use crate::audit;
use crate::identity::{self, Actor, AgentRecord, NewAgent, Status};

impl Admin {
    pub(super) async fn agent_add(&self, actor: &Actor, new: NewAgent) -> Result<Value, AdminError> {
        let (now, entry) = (self.clock.now(), self.entry(actor, "agent.add")?);
        let (agent, key) = self
            .store
            .commit(move |tx| {
                let (agent, key) = identity::add_agent(tx, now, new)?;
                audit::append(tx, &entry.metadata("agent", shown(&agent)))?;
                Ok::<_, AdminError>((agent, key))
            })
            .await?;
        Ok(json!({ "name": agent.name, "id": agent.id, "roles": agent.roles, "key": key.as_str() }))
    }

    pub(super) fn agent_list(&self) -> Result<Value, AdminError> {
        Ok(identity::agents(&self.store)?.iter().map(shown).collect::<Vec<_>>().into())
    }

    pub(super) fn agent_show(&self, name: &str) -> Result<Value, AdminError> {
        Ok(shown(&identity::find_agent(&self.store, name)?))
    }

    pub(super) async fn agent_status(&self, actor: &Actor, name: String, status: Status) -> Result<Value, AdminError> {
        let action = match status {
            Status::Active => "agent.release",
            Status::Quarantined => "agent.quarantine",
            Status::Revoked => "agent.revoke",
        };
        let entry = self.entry(actor, action)?;
        let agent = self
            .store
            .commit(move |tx| {
                let agent = identity::set_status(tx, &name, status)?;
                audit::append(tx, &entry.metadata("agent", shown(&agent)))?;
                Ok::<_, AdminError>(agent)
            })
            .await?;
        Ok(shown(&agent))
    }
}

fn shown(agent: &AgentRecord) -> Value {
    json!({
        "id": agent.id,
        "name": agent.name,
        "owner": agent.owner,
        "roles": agent.roles,
        "trust": agent.trust,
        "status": agent.status,
        "created_at": agent.created_at.to_string(),
    })
}
