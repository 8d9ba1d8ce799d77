//! Persons: who runs the gate, decides and audits.

use serde_json::{Value, json};

use super::{Admin, AdminError};
use crate::audit;
use crate::identity::{self, Actor, Kind, PersonRecord, Status};

impl Admin {
    pub(super) async fn person_add(&self, actor: &Actor, name: String, kind: Kind) -> Result<Value, AdminError> {
        if kind == Kind::Agent {
            return Err(AdminError::Usage("a person is `owner`, `approver` or `auditor`".into()));
        }
        // Else whoever may open the socket decides after all, through a person that they made up.
        let decides = matches!(kind, Kind::Owner | Kind::Approver);
        if self.own_credential && actor.is_local() && decides && self.has_owner()? {
            return Err(AdminError::Usage(
                "this gate wants a person's own credential for decisions (`[approvals] socket = false`), and so for making \
                 somebody who decides: set PORTCULLIS_PERSON_KEY to an owner's key"
                    .into(),
            ));
        }
        let (now, entry) = (self.clock.now(), self.entry(actor, "person.add")?);
        let (person, key) = self
            .store
            .commit(move |tx| {
                let (person, key) = identity::add_person(tx, now, &name, kind)?;
                audit::append(tx, &entry.metadata("person", shown(&person)))?;
                Ok::<_, AdminError>((person, key))
            })
            .await?;
        Ok(json!({ "name": person.name, "id": person.id, "kind": person.kind, "key": key.as_str() }))
    }

    fn has_owner(&self) -> Result<bool, AdminError> {
        let owner = |person: &PersonRecord| person.kind == Kind::Owner && person.status == Status::Active;
        Ok(identity::persons(&self.store)?.iter().any(owner))
    }

    pub(super) fn person_list(&self) -> Result<Value, AdminError> {
        Ok(identity::persons(&self.store)?.iter().map(shown).collect::<Vec<_>>().into())
    }

    pub(super) async fn person_revoke(&self, actor: &Actor, name: String) -> Result<Value, AdminError> {
        let entry = self.entry(actor, "person.revoke")?;
        let person = self
            .store
            .commit(move |tx| {
                let person = identity::revoke_person(tx, &name)?;
                audit::append(tx, &entry.metadata("person", shown(&person)))?;
                Ok::<_, AdminError>(person)
            })
            .await?;
        Ok(shown(&person))
    }
}

fn shown(person: &PersonRecord) -> Value {
    json!({
        "id": person.id,
        "name": person.name,
        "kind": person.kind,
        "status": person.status,
        "created_at": person.created_at.to_string(),
    })
}
