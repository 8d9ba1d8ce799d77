//! How calls end: from what the upstream said to what is kept and what the agent gets.

use std::sync::Arc;

use serde_json::json;

use super::trail::Trail;
use super::{Answered, Ended, Gate, Refused, refusal, refuse};
use crate::audit::{self, Status};
use crate::call::{Call, ToolAnswer};
use crate::idempotency::{Kept, Seen};
use crate::ledger;
use crate::limits;
use crate::permit::Begun;
use crate::refusal::{Code, Refusal};
use crate::seal::sha256_hex;
use crate::store::StoreError;
use crate::upstream::Outcome;

/// What an earlier call's state means for one like it.
pub(super) fn seen(seen: Seen) -> Result<Ended, Refusal> {
    match seen {
        Seen::Fresh(_) => Err(refusal(Code::Overloaded, "the gate could not claim the call; try again")),
        Seen::Answered(first, kept) => Ok(replay(first, kept)),
        Seen::Conflict => Err(refusal(
            Code::IdempotencyKeyConflict,
            "this idempotency key was used for another call (another tool or other arguments); use a new key for a new call",
        )),
        Seen::InFlight(first) => Err(refusal(
            Code::IdempotencyKeyInProgress,
            "the first call like this one has not ended yet; ask again for its answer",
        )
        .retry_after(limits::RETRY_IN_PROGRESS)
        .details(json!({ "first_correlation_id": first }))),
        Seen::Unknown(first, executed) => {
            let why = "the first call like this one ended without an answer";
            Err(refuse::unknown_outcome(executed, why)
                .details(json!({ "executed": executed, "first_correlation_id": first })))
        }
    }
}

fn replay(first: String, kept: Kept) -> Ended {
    match kept {
        Kept::Result { result, is_error } => Ended::Replayed(first, ToolAnswer { result, is_error }),
        Kept::Error { code, message } => Ended::RefusedBefore(first, upstream_error(code, &message)),
        Kept::Resolved => Ended::RefusedBefore(
            first,
            refusal(
                Code::OutcomeUnknown,
                "the gate's owner has found out that the tool ran; its answer never arrived, and it is not executed again: \
                 look at its effect, and go on from there",
            )
            .details(json!({ "executed": true, "resolved": true })),
        ),
        Kept::TooLarge { bytes, digest } => Ended::RefusedBefore(
            first,
            refusal(
                Code::OutcomeUnknown,
                format!("the tool ran and answered, but its answer of {bytes} bytes was too large to keep for a replay; it is not executed again"),
            )
            .details(json!({ "executed": true, "answer_bytes": bytes, "answer_digest": digest })),
        ),
    }
}

fn upstream_error(code: i64, message: &str) -> Refusal {
    refusal(Code::UpstreamError, format!("the tool's server answered with an error: {message}"))
        .details(json!({ "upstream_code": code }))
}

fn keep(answer: &ToolAnswer) -> Kept {
    if answer.result.len() > limits::STORED_ANSWER_BYTES_MAX {
        let digest = format!("sha256:{}", sha256_hex(answer.result.as_bytes()));
        Kept::TooLarge { bytes: answer.result.len(), digest }
    } else {
        Kept::Result { result: answer.result.clone(), is_error: answer.is_error }
    }
}

/// What becomes of key and money.
enum Close {
    /// The answer is kept; the money is spent, or free again where the tool failed and its owner wants that.
    Answer { kept: Kept, release: bool },
    /// It was not executed: key and money are free again.
    Release,
    /// Nobody knows: key and money stay as they are.
    Keep,
}

impl Gate {
    /// The second commit, and the answer.
    pub(super) async fn end(
        &self,
        trail: &mut Trail,
        call: &Arc<Call>,
        begun: Begun,
        outcome: Outcome,
    ) -> Result<Ended, Refusal> {
        let (status, close, ended) = match outcome {
            Outcome::Answered(answer) => {
                let status = if answer.is_error { Status::Failed } else { Status::Completed };
                let release = answer.is_error && call.tool.release_on_error;
                (status, Close::Answer { kept: keep(&answer), release }, Ended::Answered(answer))
            }
            Outcome::Failed { code, message } => {
                let kept = Kept::Error { code, message: message.clone() };
                let release = call.tool.release_on_error;
                (Status::Failed, Close::Answer { kept, release }, Ended::Refused(upstream_error(code, &message)))
            }
            Outcome::NotExecuted { code, message } => {
                (Status::Failed, Close::Release, Ended::Refused(upstream_error(code, &message)))
            }
            Outcome::NotSent(why) => {
                let refusal = refusal(
                    Code::UpstreamUnavailable,
                    format!("`{}` was not called, and may be called again later: {why}", call.tool.name),
                );
                (Status::Failed, Close::Release, Ended::Refused(refusal))
            }
            Outcome::Unknown(why) => {
                (Status::Unknown, Close::Keep, Ended::Refused(refuse::unknown_outcome(None, &why)))
            }
        };
        let executed = matches!(close, Close::Answer { .. });
        let now = self.clock.now();
        let entry = trail.ended(now, status, &ended);
        let (layer, approvals) = (self.idempotency.clone(), self.approvals.clone());
        let Begun { open, running } = begun;
        let committed: Result<(), StoreError> = self
            .store
            .commit(move |tx| {
                match close {
                    Close::Answer { kept, release } => {
                        layer.answered(tx, &open, &kept, now)?;
                        if release {
                            ledger::release(tx, &open.reservation);
                        } else {
                            ledger::settle(tx, &open.reservation)?;
                        }
                    }
                    Close::Release => {
                        layer.released(tx, &open);
                        if let Some(approval) = &open.approval {
                            approvals.give_back(tx, approval)?;
                        }
                        ledger::release(tx, &open.reservation);
                    }
                    Close::Keep => layer.unknown(tx, &open, None)?,
                }
                audit::append(tx, &entry)?;
                Ok(())
            })
            .await;
        drop(running);
        match committed {
            Ok(()) => Ok(ended),
            Err(error) => {
                tracing::error!(correlation_id = %trail.id, %error, "the end of a call could not be written down");
                let why = "the gate could not write down how it ended";
                Ok(Ended::Refused(refuse::unknown_outcome(executed.then_some(true), why).private(error)))
            }
        }
    }

    /// From how a call ended to what its caller gets. What was not written down with the call is written here.
    pub(super) async fn conclude(
        &self,
        trail: Trail,
        walked: Result<Ended, Refusal>,
    ) -> Result<Answered, Box<Refused>> {
        let (correlation_id, generation) = (trail.id, trail.generation);
        match walked {
            Ok(Ended::Answered(answer)) => Ok(Answered { correlation_id, generation, answer, replayed: false }),
            Ok(Ended::Replayed(first, answer)) => match self.write_replay(trail.replayed(&first)).await {
                Ok(()) => Ok(Answered { correlation_id, generation, answer, replayed: true }),
                Err(refusal) => Err(Box::new(Refused { correlation_id, refusal, replayed: false })),
            },
            Ok(Ended::RefusedBefore(first, refusal)) => match self.write_replay(trail.replayed(&first)).await {
                Ok(()) => Err(Box::new(Refused { correlation_id, refusal, replayed: true })),
                Err(refusal) => Err(Box::new(Refused { correlation_id, refusal, replayed: false })),
            },
            Ok(Ended::Refused(refusal) | Ended::Asked(refusal)) => {
                Err(Box::new(Refused { correlation_id, refusal, replayed: false }))
            }
            Err(refusal) => Err(self.refuse(trail, refusal, false).await),
        }
    }

    /// No audit, no answer.
    async fn write_replay(&self, entry: audit::Entry) -> Result<(), Refusal> {
        let written: Result<u64, StoreError> = self.store.commit(move |tx| audit::append(tx, &entry)).await;
        written.map(|_| ()).map_err(|error| refuse::store(&error))
    }
}
