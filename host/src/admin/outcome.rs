//! Outcomes that nobody knows: found, and resolved by an owner who has looked.

use serde_json::{Value, json};

use super::{Admin, AdminError};
use crate::approval::Approvals;
use crate::audit::{self, Entry, Status as AuditStatus};
use crate::idempotency::{self, Open};
use crate::identity::Actor;
use crate::ledger;

impl Admin {
    /// Whether a call is still in flight in the gate that runs.
    fn runs(&self, open: &Open) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.idempotency.is_running(&open.call))
    }

    pub(super) fn outcome_list(&self) -> Result<Value, AdminError> {
        let open = idempotency::open_calls(&self.store)?;
        Ok(open.iter().filter(|open| !self.runs(open)).map(shown).collect::<Vec<_>>().into())
    }

    pub(super) async fn outcome_resolve(&self, actor: &Actor, id: String, executed: bool) -> Result<Value, AdminError> {
        let name: String = id.chars().take(80).collect();
        let open = idempotency::open_calls(&self.store)?.into_iter().find(|open| open.call == id).ok_or_else(|| {
            AdminError::Usage(format!("no call `{name}` has an unknown outcome; `portcullis outcome list` shows them"))
        })?;
        if self.runs(&open) {
            return Err(AdminError::Usage(format!("call `{name}` is in flight: wait for how it ends")));
        }
        let now = self.clock.now();
        let (layer, approvals) = (idempotency::Idempotency::new(self.key.clone()), Approvals::new(self.key.clone()));
        let status = if executed { AuditStatus::Completed } else { AuditStatus::Failed };
        // It is a part of what is told of the call.
        let entry = Entry::of_call(now, &open.call, &open.tool, status)
            .actor(actor)
            .metadata("resolved", shown(&open))
            .metadata("executed", executed);
        let resolved = self
            .store
            .commit(move |tx| {
                // It may have been resolved meanwhile.
                if !idempotency::is_open(tx, &open)? {
                    return Err(AdminError::Usage(format!("the outcome of call `{}` is known by now", open.call)));
                }
                if executed {
                    layer.resolved(tx, &open, now)?;
                    ledger::settle(tx, &open.reservation)?;
                } else {
                    layer.released(tx, &open);
                    ledger::release(tx, &open.reservation);
                    if let Some(approval) = &open.approval {
                        approvals.give_back(tx, approval)?;
                    }
                }
                audit::append(tx, &entry)?;
                Ok(open)
            })
            .await?;
        let mut answer = shown(&resolved);
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("executed".into(), executed.into());
        }
        Ok(answer)
    }
}

fn shown(open: &Open) -> Value {
    json!({
        "id": open.call,
        "agent_id": open.agent,
        "tool": open.tool,
        "idempotency_key": open.key,
        "started_at": open.started_at.to_string(),
        "executed": open.executed,
        "held": open.reservation.accounts().collect::<Vec<_>>(),
        "approval": open.approval,
    })
}
