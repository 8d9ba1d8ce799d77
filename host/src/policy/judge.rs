//! What all policies together say of a call.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::arguments::Arguments;
use super::file::Mode;
use super::guest;
use super::imports::{Facts, Read};
use super::sandbox::{Input, PolicyFailure};
use super::set::{Entry, PolicySet};
use crate::call::Call;
use crate::catalog::Tool;
use crate::clock::Clock;
use crate::identity::Principal;
use crate::refusal::{Code, Refusal};
use crate::verdict::{Combined, Obligations, Question, Verdict, combine};

/// What one policy made of a call. It goes to the audit log.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// The policy's name.
    pub policy: String,
    /// `sha256:…` of its component.
    pub digest: String,
    /// `sha256:…` of its settings.
    pub settings_digest: String,
    /// Whether it counted.
    pub mode: Mode,
    /// What it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why it said nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What it read before.
    pub reads: Vec<Read>,
    /// How long it took, in microseconds.
    pub elapsed_us: u64,
}

/// Why a policy said nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// `policy_fault` or `policy_limit`.
    pub code: &'static str,
    /// What happened, for the log.
    pub message: String,
}

/// The evidence that every policy that applies was asked and that none objects. Only judging makes one.
#[derive(Debug)]
pub struct Allowed {
    call: Arc<Call>,
    generation: u64,
    obligations: Obligations,
}

impl Allowed {
    /// The call that was judged, and no other.
    #[must_use]
    pub fn call(&self) -> &Arc<Call> {
        &self.call
    }

    /// The generation of the policy set that decided.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What has to be done when the call goes through.
    #[must_use]
    pub fn obligations(&self) -> &Obligations {
        &self.obligations
    }
}

/// A judged call.
#[derive(Debug)]
pub struct Judged {
    /// What each policy that was asked made of it, in order.
    pub decisions: Vec<Decision>,
    /// What follows.
    pub outcome: Result<Allowed, Refusal>,
}

impl Judged {
    /// A refusal that no policy gave.
    pub(super) fn undecided(refusal: Refusal) -> Self {
        Self { decisions: Vec::new(), outcome: Err(refusal) }
    }
}

/// Asks the policies that apply, in order, up to the first that refuses.
pub(super) fn judge(set: &PolicySet, call: &Arc<Call>, facts: Arc<dyn Facts>, clock: &Clock) -> Judged {
    let arguments = match Arguments::of(call) {
        Ok(arguments) => Arc::new(arguments),
        Err(error) => return Judged::undecided(bad_secret(&call.tool.name, &error)),
    };
    let input = Input { call: said(call), arguments, facts, zones: None, seed: call.id.bytes() };
    let mut decisions = Vec::new();
    let mut verdicts = Vec::new();
    for entry in set.policies.iter().filter(|entry| entry.applies(&call.tool.name)) {
        let started = clock.monotonic();
        let (verdict, reads) = entry.sandbox.evaluate(&input);
        let elapsed = clock.monotonic().saturating_sub(started);
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        decisions.push(decision(entry, &verdict, reads, elapsed_us));
        if !entry.enforces() {
            continue;
        }
        match verdict {
            Err(failure) => {
                tracing::warn!(policy = entry.listed.name, call = %call.id, %failure, "a policy failed");
                return Judged { decisions, outcome: Err(failed(&entry.listed.name, &failure)) };
            }
            Ok(verdict) => {
                let denies = matches!(verdict, Verdict::Deny(_));
                verdicts.push((entry.listed.name.clone(), verdict));
                if denies {
                    break;
                }
            }
        }
    }
    let outcome = match combine(verdicts) {
        Combined::Allowed(obligations) => {
            Ok(Allowed { call: Arc::clone(call), generation: set.generation(), obligations })
        }
        refused => Err(refusal(refused, &call.tool.name)),
    };
    Judged { decisions, outcome }
}

fn decision(entry: &Entry, verdict: &Result<Verdict, PolicyFailure>, reads: Vec<Read>, elapsed_us: u64) -> Decision {
    let failure =
        verdict.as_ref().err().map(|failure| Failure { code: code(failure).as_str(), message: failure.to_string() });
    Decision {
        policy: entry.listed.name.clone(),
        digest: entry.listed.digest.clone(),
        settings_digest: entry.listed.settings_digest.clone(),
        mode: entry.listed.mode,
        verdict: verdict.as_ref().ok().cloned(),
        failure,
        reads,
        elapsed_us,
    }
}

fn code(failure: &PolicyFailure) -> Code {
    match failure {
        PolicyFailure::Fault(_) => Code::PolicyFault,
        PolicyFailure::Limit(_) => Code::PolicyLimit,
    }
}

fn failed(policy: &str, failure: &PolicyFailure) -> Refusal {
    let what = match failure {
        PolicyFailure::Fault(_) => "failed while it decided",
        PolicyFailure::Limit(_) => "passed one of its limits while it decided",
    };
    let message = format!(
        "the policy `{policy}` {what}, so the call is refused and nothing was done: the same call will fail again until \
         the gate's owner has looked at that policy"
    );
    Refusal::new(code(failure), message).policy(policy).private(failure)
}

fn bad_secret(tool: &str, error: &crate::json::PointerError) -> Refusal {
    let message = format!(
        "the gate's configuration of `{tool}` is broken, so the call is refused and nothing was done: tell the gate's owner"
    );
    Refusal::new(Code::PolicyFault, message).private(format!("a secret argument of `{tool}`: {error}"))
}

fn refusal(combined: Combined, tool: &str) -> Refusal {
    match combined {
        Combined::Denied(policy, denial) => {
            let reason = match denial.reason.trim() {
                "" => format!("the policy `{policy}` refuses the call, without a reason"),
                _ => denial.reason,
            };
            let refusal = Refusal::new(Code::Denied, reason).policy(policy);
            match denial.pointer {
                Some(pointer) => refusal.details(json!({ "pointer": pointer })),
                None => refusal,
            }
        }
        Combined::Asked(questions, _) => unasked(&questions),
        // `Allowed` does not come here; if it did, refusing would be right.
        Combined::Ungranted | Combined::Allowed(_) => Refusal::new(
            Code::Denied,
            format!(
                "no policy allows `{tool}` for you: ask the gate's owner for a rule that does, or use another tool"
            ),
        ),
    }
}

/// What becomes of a call that needs a person, as long as nobody can be asked.
fn unasked(questions: &[(String, Question)]) -> Refusal {
    let summaries: Vec<&str> = questions.iter().map(|(_, question)| question.summary.trim()).collect();
    let asked_by: Vec<&str> = questions.iter().map(|(policy, _)| policy.as_str()).collect();
    let message =
        format!("{}: this needs a person's agreement, which this gate cannot ask for yet", summaries.join("; "));
    Refusal::new(Code::Denied, message).details(json!({ "asked_by": asked_by }))
}

/// A call as the contract says it.
pub(super) fn said(call: &Call) -> guest::Call {
    guest::Call {
        id: call.id.to_string(),
        tool: tool(&call.tool),
        principal: principal(&call.principal),
        time_ms: call.time.0,
        approved: false,
    }
}

pub(super) fn tool(tool: &Tool) -> guest::Tool {
    let annotations = guest::portcullis::policy::types::Annotations {
        read_only: tool.annotations.read_only,
        destructive: tool.annotations.destructive,
        idempotent: tool.annotations.idempotent,
        open_world: tool.annotations.open_world,
    };
    guest::Tool { server: tool.server.clone(), name: tool.name.clone(), annotations, definition: tool.digest.clone() }
}

pub(super) fn principal(principal: &Principal) -> guest::Principal {
    let claim = |(name, value): &(String, String)| guest::portcullis::policy::types::Claim {
        name: name.clone(),
        value: value.clone(),
    };
    guest::Principal {
        id: principal.id.clone(),
        name: principal.name.clone(),
        kind: principal.kind.as_str().to_owned(),
        owner: principal.owner.clone(),
        roles: principal.roles.clone(),
        trust: principal.trust,
        claims: principal.claims.iter().map(claim).collect(),
    }
}
