//! Who gives a command: a person with a credential, or the user whose gate it is.

use super::{Kind, Principal};

/// Somebody who gives commands. Made from a credential that was checked, or from what the operating system says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    id: String,
    name: String,
    kind: Kind,
}

impl Actor {
    /// The user of the operating system who runs the gate, or root: an owner.
    #[must_use]
    pub fn local(uid: u32) -> Self {
        Self { id: format!("uid:{uid}"), name: format!("uid:{uid}"), kind: Kind::Owner }
    }

    /// The user of this process.
    #[must_use]
    pub fn this_user() -> Self {
        Self::local(rustix::process::getuid().as_raw())
    }

    /// A person; none when the principal is an agent.
    #[must_use]
    pub fn person(principal: &Principal) -> Option<Self> {
        (principal.kind != Kind::Agent).then(|| Self {
            id: principal.id.clone(),
            name: principal.name.clone(),
            kind: principal.kind,
        })
    }

    /// The immutable id: `pe_…` or `uid:…`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it is known by the operating system's word alone.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.id.starts_with("uid:")
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}
