//! What persons do to a gate: one list of commands, the same over the Unix socket of a running gate, at the owners' door,
//! and on a store that no gate has open.
//!
//! Whoever gives a command is an [`Actor`], known by a credential or by the operating system, never by what the command
//! says. What changes something is in the audit log with it, in the same durable group.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::approval as approvals;
use crate::audit::tree::ProofError;
use crate::audit::{Query, verify};
use crate::call::CorrelationId;
use crate::catalog::AttachError;
use crate::catalog::pin::{Accept, PinError};
use crate::clock::Clock;
use crate::gate::Gate;
use crate::identity::{Actor, Kind, NewAgent, RegisterError, Status};
use crate::seal::StoreKey;
use crate::store::{Store, StoreError};
use crate::task;

mod agent;
mod approval;
mod audit;
mod gate;
mod outcome;
mod person;
mod policy;
mod server;
mod spend;
mod tool;

pub use policy::{agents_roles, policy_list, policy_matrix};

pub use server::NewServer;

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
    /// The newest approvals, newest first.
    ApprovalList {
        /// Only those that stand so.
        status: Option<approvals::Status>,
    },
    /// One approval.
    ApprovalShow {
        /// Its id.
        id: String,
    },
    /// A person decides on an approval.
    ApprovalDecide {
        /// Its id.
        id: String,
        /// What they say.
        say: approvals::Say,
    },
    /// Calls whose outcome nobody knows.
    OutcomeList,
    /// An owner says what became of one.
    OutcomeResolve {
        /// The call's correlation id.
        id: String,
        /// Whether the tool ran.
        executed: bool,
    },
    /// What stands on the accounts.
    SpendShow {
        /// Only this account.
        account: Option<String>,
        /// How far back, such as `24h`; none for the windows that are limited.
        window: Option<String>,
    },
    /// The newest entries of the audit log, oldest first.
    AuditTail {
        /// How many.
        count: usize,
    },
    /// The entries that fit, newest first: one page.
    AuditQuery {
        /// What is asked for.
        query: Query,
    },
    /// All entries of a call.
    AuditShow {
        /// An entry's index, or a correlation id.
        id: String,
    },
    /// Proofs that entries are in the log.
    AuditProve {
        /// An entry's index, or a correlation id.
        id: String,
    },
    /// Whether the audit log is what was written.
    AuditVerify,
    /// The policies in force.
    PolicyList,
    /// All tools that servers were seen with, and how they stand.
    ToolList,
    /// A tool, with its definitions and where they differ.
    ToolShow {
        /// The name agents use.
        name: String,
    },
    /// What servers changed is accepted.
    ToolAccept {
        /// Exactly what was shown.
        tools: Vec<Accept>,
    },
    /// What the policy directory holds takes force, now.
    PolicyReload,
    /// The set before the one in force takes force again.
    PolicyRollback,
    /// What each role may do with each tool.
    PolicyMatrix {
        /// Roles besides those of the registered agents and those in the policies' settings.
        roles: Vec<String>,
    },
    /// How the gate that runs stands: its version, its addresses, its readiness and its tools.
    GateShow,
}

/// Who may give a command, besides an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Besides {
    /// Nobody.
    Nobody,
    /// Auditors: it changes nothing.
    Auditors,
    /// Approvers.
    Approvers,
    /// Approvers and auditors: it changes nothing.
    ApproversAndAuditors,
}

impl Command {
    fn besides(&self) -> Besides {
        match self {
            Self::AgentAdd(_)
            | Self::AgentStatus { .. }
            | Self::PersonAdd { .. }
            | Self::PersonRevoke { .. }
            | Self::OutcomeResolve { .. }
            | Self::ToolAccept { .. }
            | Self::PolicyReload
            | Self::PolicyRollback => Besides::Nobody,
            Self::ApprovalDecide { .. } => Besides::Approvers,
            Self::ApprovalList { .. } | Self::ApprovalShow { .. } => Besides::ApproversAndAuditors,
            Self::AgentList
            | Self::AgentShow { .. }
            | Self::PersonList
            | Self::OutcomeList
            | Self::SpendShow { .. }
            | Self::AuditTail { .. }
            | Self::AuditQuery { .. }
            | Self::AuditShow { .. }
            | Self::AuditProve { .. }
            | Self::AuditVerify
            | Self::PolicyList
            | Self::ToolList
            | Self::ToolShow { .. }
            | Self::PolicyMatrix { .. }
            | Self::GateShow => Besides::Auditors,
        }
    }

    fn allows(&self, kind: Kind) -> bool {
        match kind {
            Kind::Owner => true,
            Kind::Auditor => matches!(self.besides(), Besides::Auditors | Besides::ApproversAndAuditors),
            Kind::Approver => matches!(self.besides(), Besides::Approvers | Besides::ApproversAndAuditors),
            Kind::Agent => false,
        }
    }
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// About approvals.
    #[error(transparent)]
    Decide(#[from] approvals::DecideError),
    /// About agents and persons.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// About the definitions of tools.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// Nothing decides.
    #[error("{0}")]
    NoPolicy(String),
    /// A server that comes with its client.
    #[error(transparent)]
    Attach(#[from] AttachError),
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

/// Whose fault an error is, for doors that say so with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such thing.
    Unknown,
    /// It is not theirs to do.
    Forbidden,
    /// Things do not stand so that it can be done.
    Conflict,
    /// It makes no sense.
    Invalid,
    /// The gate cannot do it now.
    Unavailable,
}

impl AdminError {
    fn forbidden(actor: &Actor) -> Self {
        let kind = match actor.kind() {
            Kind::Agent => "an agent",
            Kind::Owner => "an owner",
            Kind::Approver => "an approver",
            Kind::Auditor => "an auditor",
        };
        Self::Forbidden { name: actor.name().to_owned(), kind }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Forbidden { .. } => Fault::Forbidden,
            Self::Decide(error) => match error {
                approvals::DecideError::Unknown(_) => Fault::Unknown,
                approvals::DecideError::NotADecider(_) | approvals::DecideError::Own(_) => Fault::Forbidden,
                approvals::DecideError::Again(..) | approvals::DecideError::Over(..) => Fault::Conflict,
                approvals::DecideError::Store(_) => Fault::Unavailable,
            },
            Self::Register(error) => match error {
                RegisterError::Unknown(_) | RegisterError::UnknownPerson(_) => Fault::Unknown,
                RegisterError::Taken(..) | RegisterError::Revoked(_) => Fault::Conflict,
                RegisterError::Store(_) | RegisterError::Random(_) => Fault::Unavailable,
                _ => Fault::Invalid,
            },
            Self::Pin(error) => match error {
                PinError::Unknown(_) => Fault::Unknown,
                PinError::Store(_) => Fault::Unavailable,
                _ => Fault::Conflict,
            },
            Self::Attach(_) => Fault::Conflict,
            Self::Proof(ProofError::NoSuchEntry { .. }) => Fault::Unknown,
            Self::Proof(ProofError::Shrunk { .. }) | Self::Usage(_) => Fault::Invalid,
            Self::Proof(ProofError::Store(_))
            | Self::NoPolicy(_)
            | Self::NotRunning
            | Self::Random(_)
            | Self::Store(_) => Fault::Unavailable,
        }
    }
}

/// Carries commands out. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    store: Store,
    key: Arc<StoreKey>,
    clock: Clock,
    gate: Option<Arc<Gate>>,
    /// Decisions on approvals take a person's own credential (`[approvals] socket = false`).
    own_credential: bool,
}

impl Admin {
    /// On a store that no gate has open.
    #[must_use]
    pub fn on_store(store: Store, key: Arc<StoreKey>, clock: Clock) -> Self {
        Self { store, key, clock, gate: None, own_credential: false }
    }

    /// On a gate that runs.
    #[must_use]
    pub fn on_gate(gate: Arc<Gate>, key: Arc<StoreKey>) -> Self {
        Self { store: gate.store.clone(), key, clock: gate.clock.clone(), gate: Some(gate), own_credential: false }
    }

    /// Whether decisions on approvals take a person's own credential, also where the operating system says who asks.
    #[must_use]
    pub fn own_credential(self, own_credential: bool) -> Self {
        Self { own_credential, ..self }
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
            return Err(AdminError::forbidden(actor));
        }
        match command {
            Command::AgentAdd(new) => self.agent_add(actor, new).await,
            Command::AgentList => self.agent_list(),
            Command::AgentShow { name } => self.agent_show(&name),
            Command::AgentStatus { name, status } => self.agent_status(actor, name, status).await,
            Command::PersonAdd { name, kind } => self.person_add(actor, name, kind).await,
            Command::PersonList => self.person_list(),
            Command::PersonRevoke { name } => self.person_revoke(actor, name).await,
            Command::ApprovalList { status } => self.reading(move |admin| admin.approval_list(status)).await,
            Command::ApprovalShow { id } => self.approval_show(&id),
            Command::ApprovalDecide { id, say } => self.approval_decide(actor, id, say).await,
            Command::OutcomeList => self.outcome_list(),
            Command::OutcomeResolve { id, executed } => self.outcome_resolve(actor, id, executed).await,
            // What reads much of the store goes where no call waits for it.
            Command::SpendShow { account, window } => {
                self.reading(move |admin| admin.spend(account.as_deref(), window.as_deref())).await
            }
            Command::AuditTail { count } => self.reading(move |admin| admin.audit_tail(count)).await,
            Command::AuditQuery { query } => self.reading(move |admin| admin.audit_query(&query)).await,
            Command::AuditShow { id } => self.reading(move |admin| admin.audit_show(&id)).await,
            Command::AuditProve { id } => self.reading(move |admin| admin.audit_prove(&id)).await,
            Command::AuditVerify => self.reading(|admin| Ok(json!(verify(&admin.store)?))).await,
            Command::PolicyList => policy_list(&self.gate()?.policies),
            Command::ToolList => self.tool_list(),
            Command::ToolShow { name } => self.tool_show(&name),
            Command::ToolAccept { tools } => self.tool_accept(actor, tools).await,
            Command::PolicyReload => self.policy_reload(actor).await,
            Command::PolicyRollback => self.policy_rollback(actor).await,
            Command::PolicyMatrix { roles } => self.policy_matrix(roles).await,
            Command::GateShow => Ok(gate::shown(self.gate()?)),
        }
    }

    async fn reading(
        &self,
        read: impl FnOnce(&Self) -> Result<Value, AdminError> + Send + 'static,
    ) -> Result<Value, AdminError> {
        let admin = self.clone();
        task::blocking(move || read(&admin)).await
    }

    /// An entry of the audit log about something that a person does, now.
    fn entry(&self, actor: &Actor, action: &str) -> Result<crate::audit::Entry, AdminError> {
        let id = CorrelationId::random()?;
        let done = crate::audit::Status::Completed;
        Ok(crate::audit::Entry::new(self.clock.now(), id, action, done).actor(actor))
    }
}
