//! Approvals: what waits for a person, and what persons decided.

use serde_json::{Value, json as object};

use super::{Admin, AdminError};
use crate::approval::{self, Approvals, Record, Say, Status};
use crate::audit::{self, Entry, Status as AuditStatus};
use crate::call::CorrelationId;
use crate::clock::Timestamp;
use crate::identity::Actor;
use crate::{json, limits};

/// The most approvals that one listing shows.
const LISTED_MAX: usize = 1_000;

/// The exact arguments of a call in a listing, in bytes; of larger ones it shows the masked beginning.
const LISTED_ARGUMENTS_BYTES_MAX: usize = 4 * 1024;

impl Admin {
    fn approvals(&self) -> Approvals {
        Approvals::new(self.key.clone())
    }

    pub(super) fn approval_list(&self, status: Option<Status>) -> Result<Value, AdminError> {
        let (now, approvals) = (self.clock.now(), self.approvals());
        let wanted = |record: &Record| status.is_none_or(|status| record.status_at(now) == status);
        let records = approval::newest(&self.store, LISTED_MAX, wanted)?;
        records
            .iter()
            .map(|record| shown(&approvals, record, now, LISTED_ARGUMENTS_BYTES_MAX))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::from)
    }

    pub(super) fn approval_show(&self, id: &str) -> Result<Value, AdminError> {
        let record = approval::find(&self.store, id)?
            .ok_or_else(|| approval::DecideError::Unknown(id.chars().take(80).collect()))?;
        shown(&self.approvals(), &record, self.clock.now(), usize::MAX)
    }

    pub(super) async fn approval_decide(&self, actor: &Actor, id: String, say: Say) -> Result<Value, AdminError> {
        if self.own_credential && actor.is_local() {
            return Err(AdminError::Usage(
                "this gate takes decisions only with a person's own credential (`[approvals] socket = false`): set \
                 PORTCULLIS_PERSON_KEY to the key that `portcullis person add` showed"
                    .into(),
            ));
        }
        if matches!(&say, Say::Reject { reason } if reason.trim().is_empty()) {
            return Err(AdminError::Usage("a rejection needs a reason, which the agent is told".into()));
        }
        let (now, by, approvals) = (self.clock.now(), actor.clone(), self.approvals());
        let id_of_entry = CorrelationId::random()?;
        let record = self
            .store
            .commit(move |tx| {
                let status = if say == Say::Approve { AuditStatus::Confirmed } else { AuditStatus::Rejected };
                let record = approvals.decide(tx, now, &id, &by, say)?;
                let entry = Entry::new(now, id_of_entry, &record.tool, status).actor(&by);
                audit::append(tx, &entry.metadata("approval", record.noted()))?;
                Ok::<_, AdminError>(record)
            })
            .await?;
        shown(&self.approvals(), &record, now, usize::MAX)
    }
}

/// What a person sees of an approval: the exact arguments while it waits, the masked ones afterwards.
///
/// Exact arguments of more than `bytes_max` are left to whoever looks at that approval alone.
fn shown(approvals: &Approvals, record: &Record, now: Timestamp, bytes_max: usize) -> Result<Value, AdminError> {
    let exact = approvals.exactly(record)?;
    let summary = exact.as_ref().map_or_else(|| record.summary(), |exact| exact.summaries.join("; "));
    let fits = exact.as_ref().map(|exact| exact.arguments.as_str()).filter(|text| text.len() <= bytes_max);
    let context = fits.unwrap_or(&record.masked);
    let decisions: Vec<Value> = record
        .decisions
        .iter()
        .map(|decision| {
            object!({
                "person": decision.person,
                "person_id": decision.person_id,
                "decision": if decision.approve { "approved" } else { "rejected" },
                "reason": decision.reason,
                "at": decision.at.to_string(),
            })
        })
        .collect();
    Ok(object!({
        "id": record.id,
        "action": record.tool,
        "agent": record.agent,
        "agent_id": record.agent_id,
        "status": record.status_at(now),
        "summary": summary,
        // A number that a double cannot hold is a text here: whoever decides sees all of its digits.
        "context": exact_numbers(context),
        "policies": record.asks.iter().map(|ask| &ask.author.policy).collect::<Vec<_>>(),
        "quorum": record.quorum,
        "decisions": decisions,
        "definition": record.definition,
        "created_at": record.created_at.to_string(),
        "expires_at": record.expires_at.to_string(),
        "correlation_id": record.correlation_id,
        "used_by": record.used.as_ref().map(|used| &used.call),
    }))
}

/// Arguments for programs: a number that a double would change is a text with all of its digits.
fn exact_numbers(text: &str) -> Value {
    fn exact(value: &json::Value) -> Value {
        match value {
            json::Value::Number(_) => {
                let read: Option<Value> = serde_json::from_str(&value.to_text()).ok();
                let same = |read: &Value| json::Value::from(read).canonical() == value.canonical();
                read.filter(same).unwrap_or_else(|| Value::String(value.to_text()))
            }
            json::Value::Array(items) => items.iter().map(exact).collect(),
            json::Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), exact(value))).collect(),
            other => other.to_lossy(),
        }
    }
    json::parse(text.as_bytes(), limits::ARGUMENTS)
        .map_or_else(|_| Value::String(text.to_owned()), |value| exact(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_decides_sees_every_digit() {
        let shown =
            exact_numbers(r#"{"a":1099.10,"b":[9007199254740993,0.1],"c":"x","d":12345678901234567.89,"e":1e400}"#);
        let expected = serde_json::json!({"a": 1099.1, "b": [9_007_199_254_740_993_i64, 0.1], "c": "x",
            "d": "12345678901234567.89", "e": "1e400"});
        assert_eq!(shown, expected);
    }
}
