//! Calls that a person has to agree to: what was agreed already, and what is asked.

use super::trail::Trail;
use super::{Ended, Gate, refusal, refuse};
use crate::approval::{self, Standing, Status};
use crate::audit::{self, Entry};
use crate::call::{Call, CorrelationId};
use crate::idempotency::Seen;
use crate::ledger::{self, ReserveError};
use crate::policy::Asked;
use crate::refusal::{Code, Refusal};
use crate::store::StoreError;

/// What is known of a call's approval before the policies are asked.
pub(super) enum Held {
    /// An approval that it can use, if there is one.
    By(Option<approval::Held>),
    /// It has used one: what became of it.
    Done(Seen),
}

/// The approval was there when the policies were asked, and is used up now.
pub(super) fn gone(id: &str) -> Refusal {
    let message = format!(
        "approval `{id}` has just been used by another call or has run out, and one approval serves one call: repeat the \
         call, and a person is asked again"
    );
    refusal(Code::ApprovalRequired, message).approval(id)
}

/// Why nobody was asked.
enum NotAsked {
    Refused(Refusal),
    Store(StoreError),
}

impl From<StoreError> for NotAsked {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Gate {
    pub(super) fn held(&self, call: &Call) -> Result<Held, Refusal> {
        let standing = self.approvals.standing(&self.store, call).map_err(|error| refuse::store(&error))??;
        let (id, key) = match standing {
            Standing::None => return Ok(Held::By(None)),
            Standing::Held(held) => return Ok(Held::By(Some(held))),
            Standing::Used { id, key } => (id, key),
        };
        let first = Call { key: Some(key), ..call.clone() };
        match self.idempotency.look(&self.store, &first).map_err(|error| refuse::store(&error))? {
            // Its answer is not kept any more. Who did not refer to it asks for something new.
            Seen::Fresh(_) if call.approval.is_none() => Ok(Held::By(None)),
            Seen::Fresh(_) => {
                let message = format!(
                    "approval `{id}` was used, and the answer is not kept any more: repeat the call without the approval \
                     to have it done again"
                );
                Err(refusal(Code::ApprovalExpired, message).approval(id))
            }
            seen => Ok(Held::Done(seen)),
        }
    }

    /// Expires approvals whose time is over, with an entry each, and forgets those that ended long ago. Called every so often;
    /// none counts after its time in any case.
    pub async fn expire_approvals(&self) {
        /// With one group.
        const MOST: usize = 64;
        let now = self.clock.now();
        let expired: Result<(), StoreError> = match approval::any_due(&self.store, now) {
            Ok(false) => Ok(()),
            Err(error) => Err(error),
            Ok(true) => {
                let written = self.store.commit(move |tx| {
                    for record in approval::expire(tx, now, MOST)? {
                        let id = CorrelationId::random().map_err(|error| StoreError::Unwritable(error.to_string()))?;
                        let entry = Entry::new(now, id, &record.tool, audit::Status::Expired);
                        audit::append(tx, &entry.metadata("approval", record.noted()))?;
                    }
                    Ok(())
                });
                written.await
            }
        };
        if let Err(error) = expired {
            tracing::error!(%error, "approvals whose time is over could not be written down");
        }
    }

    /// Opens the approval that a call needs, or finds the one there is. A call that would pass a limit anyway is refused:
    /// nobody is asked in vain.
    pub(super) async fn ask(&self, trail: &mut Trail, asked: Asked) -> Result<Ended, Refusal> {
        let Asked { call, mut obligations, mut questions } = asked;
        // One approval lists all that is asked: also what another one has agreed to already.
        for limit in obligations.charges.iter_mut().flat_map(|charge| &mut charge.limits) {
            limit.agreed = None;
        }
        let due = ledger::due(&obligations.charges, &call.principal, &self.ceilings).map_err(|e| refuse::due(&e))?;
        let (approvals, written) = (self.approvals.clone(), trail.asked());
        let opened = self.store.commit(move |tx| {
            let refused = |refusal| Err(NotAsked::Refused(refusal));
            let passed = match ledger::check(tx, call.time, &due) {
                Ok(passed) => passed,
                Err(ReserveError::Store(error)) => return Err(error.into()),
                Err(error) => return refused(refuse::reserve(&error)),
            };
            for passed in &passed {
                questions.limit_passed(passed, &call.principal, &refuse::limit_passed(passed));
            }
            if questions.asks().is_empty() {
                return refused(refuse::room_again());
            }
            let opened = match approvals.open(tx, &call, questions.asks())? {
                Ok(opened) => opened,
                Err(too_much) => return refused(refusal(Code::Denied, too_much.to_string())),
            };
            let record = opened.record;
            if record.status_at(call.time) == Status::Rejected {
                return refused(approval::rejected(&record));
            }
            let metadata = serde_json::json!({ "id": record.id, "new": opened.new, "details": record.details() });
            audit::append(tx, &written.metadata("approval", metadata))?;
            Ok(record)
        });
        match opened.await {
            Ok(record) => Ok(Ended::Asked(approval::required(&record))),
            Err(NotAsked::Refused(refusal)) => Err(refusal),
            Err(NotAsked::Store(error)) => Err(refuse::store(&error)),
        }
    }
}
