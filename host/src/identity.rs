//! Who is calling: a credential becomes a principal.
//!
//! An API key is 256 random bits; only its SHA-256 is kept. Every request looks its key up again, so a revoked key
//! stops working at once, in open connections too.

use serde::{Deserialize, Serialize};

mod actor;
pub mod api_key;
mod register;
#[cfg(test)]
mod tests;

pub use actor::Actor;
pub use register::{
    AgentRecord, NewAgent, PersonRecord, RegisterError, Status, add_agent, add_person, agents, authenticate,
    find_agent, persons, revoke_person, set_status,
};

/// What a principal is. Never a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Calls tools.
    Agent,
    /// Runs the gate.
    Owner,
    /// Decides on approvals.
    Approver,
    /// Reads the audit log.
    Auditor,
}

impl Kind {
    /// The word in configuration, contract and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Agent => "agent",
            Kind::Owner => "owner",
            Kind::Approver => "approver",
            Kind::Auditor => "auditor",
        }
    }
}

/// Who calls. Only this module makes one, from a credential that it has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::manual_non_exhaustive, reason = "other modules of this crate must not make one either")]
pub struct Principal {
    /// The immutable id, such as `ag_…`.
    pub id: String,
    /// The name its owner gave it.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The name of its owner.
    pub owner: Option<String>,
    /// Its roles, sorted.
    pub roles: Vec<String>,
    /// 0 to 100.
    pub trust: u8,
    /// Its owner holds it back: it gets the stricter rates.
    pub quarantined: bool,
    /// What its credential claims: name and value.
    pub claims: Vec<(String, String)>,
    checked: (),
}

impl Principal {
    /// A principal for unit tests of other modules.
    #[cfg(test)]
    #[must_use]
    pub fn for_test(id: &str, roles: &[&str]) -> Self {
        Self {
            id: id.into(),
            name: id.into(),
            kind: Kind::Agent,
            owner: None,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            trust: 100,
            claims: Vec::new(),
            quarantined: false,
            checked: (),
        }
    }
}
