//! What the owner does: one list of commands, the same over the Unix socket of a running gate and on a store that no gate
//! has open.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::audit::{self, Entry, Status as AuditStatus};
use crate::call::CorrelationId;
use crate::clock::Clock;
use crate::config::span;
use crate::identity::{self, AgentRecord, NewAgent, RegisterError, Status};
use crate::ledger::{self, amount};
use crate::policy::Policies;
use crate::store::{Store, StoreError};
use crate::task;

/// The most entries of the audit log that one command returns.
pub const TAIL_MAX: usize = 10_000;

/// Something the owner wants.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// A new agent; its key is in the answer and nowhere else.
    AgentAdd(NewAgent),
    /// All agents.
    AgentList,
    /// One agent.
    AgentShow {
        /// Its name or id.
        name: String,
    },
    /// Whether an agent may call.
    AgentStatus {
        /// Its name or id.
        name: String,
        /// What it is to be.
        status: Status,
    },
    /// What stands on the accounts.
    SpendShow {
        /// Only this account.
        account: Option<String>,
        /// How far back, such as `24h`.
        window: String,
    },
    /// The newest entries of the audit log, oldest first.
    AuditTail {
        /// How many.
        count: usize,
    },
    /// Whether the audit log is what was written.
    AuditVerify,
    /// The policies in force.
    PolicyList,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// About agents.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing decides.
    #[error("{0}")]
    NoPolicy(String),
    /// A word of the command makes no sense.
    #[error("{0}")]
    Usage(String),
    /// No randomness.
    #[error("the system has no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// Carries commands out.
#[derive(Clone)]
pub struct Admin {
    store: Store,
    clock: Clock,
    policies: Option<Policies>,
}

impl Admin {
    /// On a store, with the policies of the gate that runs on it.
    #[must_use]
    pub fn new(store: Store, clock: Clock, policies: Option<Policies>) -> Self {
        Self { store, clock, policies }
    }

    /// Carries a command out; what changes something is in the audit log with it.
    ///
    /// # Errors
    /// When it makes no sense, or the store cannot do it: then nothing has changed.
    pub async fn run(&self, command: Command) -> Result<Value, AdminError> {
        match command {
            Command::AgentAdd(new) => self.agent_add(new).await,
            Command::AgentList => Ok(identity::agents(&self.store)?.iter().map(shown).collect::<Vec<_>>().into()),
            Command::AgentShow { name } => Ok(shown(&identity::find_agent(&self.store, &name)?)),
            Command::AgentStatus { name, status } => self.agent_status(name, status).await,
            // What reads much of the store goes where no call waits for it.
            Command::SpendShow { account, window } => {
                let admin = self.clone();
                task::blocking(move || admin.spend(account, &window)).await
            }
            Command::AuditTail { count } => {
                let store = self.store.clone();
                let entries = task::blocking(move || audit::tail(&store, count.min(TAIL_MAX))).await?;
                Ok(entries.iter().map(|entry| json!(entry)).collect::<Vec<_>>().into())
            }
            Command::AuditVerify => {
                let store = self.store.clone();
                Ok(json!(task::blocking(move || audit::verify(&store)).await?))
            }
            Command::PolicyList => self.policy_list(),
        }
    }

    async fn agent_add(&self, new: NewAgent) -> Result<Value, AdminError> {
        let (now, id) = (self.clock.now(), CorrelationId::random()?);
        let (agent, key) = self
            .store
            .commit(move |tx| {
                let (agent, key) = identity::add_agent(tx, now, new)?;
                let entry = Entry::new(now, id, "agent.add", AuditStatus::Completed).metadata("agent", shown(&agent));
                audit::append(tx, &entry)?;
                Ok::<_, AdminError>((agent, key))
            })
            .await?;
        Ok(json!({ "name": agent.name, "id": agent.id, "roles": agent.roles, "key": key.as_str() }))
    }

    async fn agent_status(&self, name: String, status: Status) -> Result<Value, AdminError> {
        let (now, id) = (self.clock.now(), CorrelationId::random()?);
        let agent = self
            .store
            .commit(move |tx| {
                let agent = identity::set_status(tx, &name, status)?;
                let action = match status {
                    Status::Active => "agent.release",
                    Status::Quarantined => "agent.quarantine",
                    Status::Revoked => "agent.revoke",
                };
                let entry = Entry::new(now, id, action, AuditStatus::Completed).metadata("agent", shown(&agent));
                audit::append(tx, &entry)?;
                Ok::<_, AdminError>(agent)
            })
            .await?;
        Ok(shown(&agent))
    }

    fn spend(&self, account: Option<String>, window: &str) -> Result<Value, AdminError> {
        let span = span::parse(window).map_err(|error| AdminError::Usage(error.to_string()))?;
        let rows = ledger::statement(&self.store, self.clock.now(), span)?;
        Ok(rows
            .into_iter()
            .filter(|(name, ..)| account.as_ref().is_none_or(|wanted| wanted == name))
            .map(|(account, currency, spent, held)| {
                let (spent, held) = (amount::show(spent, &currency), amount::show(held, &currency));
                json!({ "account": account, "currency": currency, "window": window, "spent": spent, "held": held })
            })
            .collect::<Vec<_>>()
            .into())
    }

    fn policy_list(&self) -> Result<Value, AdminError> {
        let policies = self.policies.as_ref().ok_or_else(|| AdminError::Usage("no gate is running here".into()))?;
        policy_list(policies)
    }
}

/// The policies of a set, in order.
///
/// # Errors
/// When there is no set.
pub fn policy_list(policies: &Policies) -> Result<Value, AdminError> {
    let none = || policies.why().unwrap_or_else(|| "there are no policies".into());
    let set = policies.set().map_err(|_| AdminError::NoPolicy(none()))?;
    Ok(json!(set.list()))
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
