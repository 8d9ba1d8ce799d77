//! What persons do to a gate: one list of commands, the same over the Unix socket of a running gate, at the owners' door,
//! and on a store that no gate has open.
//!
//! Whoever gives a command is an [`Actor`], known by a credential or by the operating system, never by what the command
//! says. What changes something is in the audit log with it, in the same durable group.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::audit;
use crate::call::CorrelationId;
use crate::clock::Clock;
use crate::gate::Gate;
use crate::identity::{Actor, Kind, NewAgent, RegisterError, Status};
use crate::seal::StoreKey;
use crate::store::{Store, StoreError};
use crate::task;

mod agent;
mod person;
mod policy;
mod spend;

pub use policy::{agents_roles, policy_list, policy_matrix};

/// The most entries of the audit log that one command returns.
pub const TAIL_MAX: usize = 10_000;

/// Something that a person wants.
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
    /// A new person; the key is in the answer and nowhere else.
    PersonAdd {
        /// The person's name.
        name: String,
        /// `owner`, `approver` or `auditor`.
        kind: Kind,
    },
    /// All persons.
    PersonList,
    /// A person may do nothing any more.
    PersonRevoke {
        /// The person's name or id.
        name: String,
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
    /// What the policy directory holds takes force, now.
    PolicyReload,
    /// The set before the one in force takes force again.
    PolicyRollback,
    /// What each role may do with each tool.
    PolicyMatrix {
        /// Roles besides those of the registered agents and those in the policies' settings.
        roles: Vec<String>,
    },
}

/// Who may give a command, besides an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Besides {
    /// Nobody.
    Nobody,
    /// Auditors: it changes nothing.
    Auditors,
}

impl Command {
    fn besides(&self) -> Besides {
        match self {
            Self::AgentAdd(_)
            | Self::AgentStatus { .. }
            | Self::PersonAdd { .. }
            | Self::PersonRevoke { .. }
            | Self::PolicyReload
            | Self::PolicyRollback => Besides::Nobody,
            Self::AgentList
            | Self::AgentShow { .. }
            | Self::PersonList
            | Self::SpendShow { .. }
            | Self::AuditTail { .. }
            | Self::AuditVerify
            | Self::PolicyList
            | Self::PolicyMatrix { .. } => Besides::Auditors,
        }
    }

    fn allows(&self, kind: Kind) -> bool {
        match kind {
            Kind::Owner => true,
            Kind::Auditor => self.besides() == Besides::Auditors,
            Kind::Approver | Kind::Agent => false,
        }
    }
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// About agents and persons.
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
    /// Not for this kind of person.
    #[error("`{name}` is {kind} here, and may not do that: ask an owner")]
    Forbidden {
        /// Who asked.
        name: String,
        /// What they are, with its article.
        kind: &'static str,
    },
    /// It needs a gate that runs.
    #[error("no gate is running here; start it with `portcullis serve`")]
    NotRunning,
    /// No randomness.
    #[error("the system has no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// Carries commands out. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    store: Store,
    key: Arc<StoreKey>,
    clock: Clock,
    gate: Option<Arc<Gate>>,
}

impl Admin {
    /// On a store that no gate has open.
    #[must_use]
    pub fn on_store(store: Store, key: Arc<StoreKey>, clock: Clock) -> Self {
        Self { store, key, clock, gate: None }
    }

    /// On a gate that runs.
    #[must_use]
    pub fn on_gate(gate: Arc<Gate>, key: Arc<StoreKey>) -> Self {
        Self { store: gate.store.clone(), key, clock: gate.clock.clone(), gate: Some(gate) }
    }

    fn gate(&self) -> Result<&Arc<Gate>, AdminError> {
        self.gate.as_ref().ok_or(AdminError::NotRunning)
    }

    /// Carries a command out for somebody.
    ///
    /// # Errors
    /// When they may not, it makes no sense, or the store cannot do it: then nothing has changed.
    pub async fn run(&self, actor: &Actor, command: Command) -> Result<Value, AdminError> {
        if !command.allows(actor.kind()) {
            let kind = match actor.kind() {
                Kind::Agent => "an agent",
                Kind::Owner => "an owner",
                Kind::Approver => "an approver",
                Kind::Auditor => "an auditor",
            };
            return Err(AdminError::Forbidden { name: actor.name().to_owned(), kind });
        }
        match command {
            Command::AgentAdd(new) => self.agent_add(actor, new).await,
            Command::AgentList => self.agent_list(),
            Command::AgentShow { name } => self.agent_show(&name),
            Command::AgentStatus { name, status } => self.agent_status(actor, name, status).await,
            Command::PersonAdd { name, kind } => self.person_add(actor, name, kind).await,
            Command::PersonList => self.person_list(),
            Command::PersonRevoke { name } => self.person_revoke(actor, name).await,
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
            Command::PolicyList => policy_list(&self.gate()?.policies),
            Command::PolicyReload => self.policy_reload(actor).await,
            Command::PolicyRollback => self.policy_rollback(actor).await,
            Command::PolicyMatrix { roles } => self.policy_matrix(roles).await,
        }
    }

    /// An entry of the audit log about something that a person does, now.
    fn entry(&self, actor: &Actor, action: &str) -> Result<audit::Entry, AdminError> {
        let id = CorrelationId::random()?;
        Ok(audit::Entry::new(self.clock.now(), id, action, audit::Status::Completed).actor(actor))
    }
}
