//! What all policies together say of a call.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::json;

use super::arguments::Arguments;
use super::file::Mode;
use super::guest;
use super::imports::{Facts, Read};
use super::sandbox::{Input, PolicyFailure};
use super::set::{Entry, PolicySet};
use crate::approval::Held;
use crate::call::Call;
use crate::catalog::Tool;
use crate::clock::Clock;
use crate::identity::Principal;
use crate::ledger::{self, Charge, Exceeded, Limit, amount};
use crate::refusal::{Code, Refusal};
use crate::verdict::{Ask, Author, Combined, Denial, LimitPassed, Obligations, Question, Verdict, combine};

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
    /// Persons had agreed to what it asks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub approved: bool,
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

/// The evidence that every policy that applies was asked and that none objects. Only judging makes one. Where a policy
/// did not object because persons agreed, their approval is in it.
#[derive(Debug)]
pub struct Allowed {
    call: Arc<Call>,
    generation: u64,
    obligations: Obligations,
    approval: Option<Held>,
    questions: Questions,
}

/// A call about which a person has to be asked.
#[derive(Debug)]
pub struct Asked {
    /// The call that was judged.
    pub call: Arc<Call>,
    /// What has to be done when it goes through after all.
    pub obligations: Obligations,
    /// What is asked.
    pub questions: Questions,
}

/// What policies ask about a call, and what they would ask if a limit were passed.
#[derive(Debug, Default)]
pub struct Questions {
    asks: Vec<Ask>,
    /// Policies with limits that a person can agree to pass.
    limits: Vec<(Author, Vec<Charge>)>,
}

impl Questions {
    /// What is asked, in the order of the policies.
    #[must_use]
    pub fn asks(&self) -> &[Ask] {
        &self.asks
    }

    /// A limit would be passed: the policies that set it ask, too.
    pub fn limit_passed(&mut self, passed: &Exceeded, principal: &Principal, summary: &str) {
        let passed = LimitPassed {
            account: passed.account.clone(),
            currency: passed.currency.clone(),
            counts: passed.counts,
            window: passed.window,
            max: passed.limit,
            total: passed.total,
        };
        for (author, charges) in &self.limits {
            let asks = |charge: &Charge| {
                let account = ledger::account_name(&charge.account, principal).ok();
                let is_it =
                    |limit: &Limit| limit_of(account.as_ref()?, &charge.currency, limit).map(|it| it.is_of(&passed));
                charge.limits.iter().any(|limit| limit.ask && is_it(limit) == Some(true))
            };
            if charges.iter().any(asks) {
                let (author, summary, limit) = (author.clone(), summary.to_owned(), Some(passed.clone()));
                self.asks.push(Ask { author, summary, expires_s: None, quorum: 1, limit });
            }
        }
    }
}

/// What the policies together make of a call that none of them refuses.
#[derive(Debug)]
pub enum Answer {
    /// It may go on.
    Allowed(Allowed),
    /// A person is asked first.
    Asked(Asked),
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

    /// The approval without which it would not be allowed.
    #[must_use]
    pub fn approval(&self) -> Option<&Held> {
        self.approval.as_ref()
    }

    /// A limit would be passed that a person can agree to pass: it is not allowed after all.
    #[must_use]
    pub fn into_asked(self) -> Asked {
        let Self { call, obligations, questions, .. } = self;
        Asked { call, obligations, questions }
    }
}

/// A judged call.
#[derive(Debug)]
pub struct Judged {
    /// What each policy that was asked made of it, in order.
    pub decisions: Vec<Decision>,
    /// What follows.
    pub outcome: Result<Answer, Refusal>,
}

impl Judged {
    /// A refusal that no policy gave.
    pub(super) fn undecided(refusal: Refusal) -> Self {
        Self { decisions: Vec::new(), outcome: Err(refusal) }
    }
}

/// Asks the policies that apply, in order, up to the first that refuses. What a policy asks that the held approval
/// answers counts as an allow, and keeps its obligations.
pub(super) fn judge(
    set: &PolicySet,
    call: &Arc<Call>,
    held: Option<Held>,
    facts: Arc<dyn Facts>,
    clock: &Clock,
) -> Judged {
    let arguments = match Arguments::of(call) {
        Ok(arguments) => Arc::new(arguments),
        Err(error) => return Judged::undecided(bad_secret(&call.tool.name, &error)),
    };
    let mut input = Input { call: said(call), arguments, facts, zones: None, seed: call.id.bytes() };
    let mut decisions = Vec::new();
    let mut verdicts = Vec::new();
    let (mut questions, mut used) = (Questions::default(), false);
    for entry in set.policies.iter().filter(|entry| entry.applies(&call.tool.name)) {
        let author = author(entry);
        let approved = entry.enforces() && held.as_ref().is_some_and(|held| held.answers(&author));
        input.call.approved = approved;
        let started = clock.monotonic();
        let (verdict, reads) = entry.sandbox.evaluate(&input);
        let elapsed = clock.monotonic().saturating_sub(started);
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        decisions.push(decision(entry, &verdict, approved, reads, elapsed_us));
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
                let agreed_to = held.as_ref().filter(|held| counts(held, &author, &verdict));
                used |= agreed_to.is_some();
                questions.collect(&author, &verdict);
                verdicts.push((
                    entry.listed.name.clone(),
                    match agreed_to {
                        Some(held) => agreed(verdict, held, &author, &call.principal),
                        None => verdict,
                    },
                ));
                if denies {
                    break;
                }
            }
        }
    }
    let outcome = match combine(verdicts) {
        Combined::Denied(policy, denial) => Err(denied(policy, denial)),
        Combined::Ungranted => Err(ungranted(&call.tool.name)),
        Combined::Asked(_, obligations) => Ok(Answer::Asked(Asked { call: Arc::clone(call), obligations, questions })),
        Combined::Allowed(obligations) => {
            let approval = held.filter(|_| used);
            let call = keyed(call, approval.as_ref());
            Ok(Answer::Allowed(Allowed { call, generation: set.generation(), obligations, approval, questions }))
        }
    };
    Judged { decisions, outcome }
}

impl Questions {
    fn collect(&mut self, author: &Author, verdict: &Verdict) {
        let obligations = match verdict {
            Verdict::Ask(question) => {
                let Question { summary, expires_s, quorum, obligations } = question;
                let (summary, quorum) = (summary.clone(), (*quorum).max(1));
                let (author, expires_s) = (author.clone(), *expires_s);
                self.asks.push(Ask { author, summary, expires_s, quorum, limit: None });
                obligations
            }
            Verdict::Allow(obligations) | Verdict::Pass(obligations) => obligations,
            Verdict::Deny(_) => return,
        };
        let asks = |charge: &&Charge| charge.limits.iter().any(|limit| limit.ask);
        let charges: Vec<Charge> = obligations.charges.iter().filter(asks).cloned().collect();
        if !charges.is_empty() {
            self.limits.push((author.clone(), charges));
        }
    }
}

/// What a verdict counts as when persons have agreed to what its policy asks.
fn agreed(verdict: Verdict, held: &Held, author: &Author, principal: &Principal) -> Verdict {
    let lifted = |mut obligations: Obligations| {
        for Charge { account, currency, limits, .. } in &mut obligations.charges {
            // One that makes no sense is lifted by nobody, and refused by the ledger.
            let Ok(account) = ledger::account_name(account, principal) else { continue };
            for limit in limits.iter_mut().filter(|limit| limit.ask) {
                let total = limit_of(&account, currency, limit).and_then(|limit| held.agreed(author, &limit));
                limit.agreed = total.map(|total| total.to_string());
            }
        }
        obligations
    };
    match verdict {
        Verdict::Ask(question) => Verdict::Allow(lifted(question.obligations)),
        Verdict::Allow(obligations) => Verdict::Allow(lifted(obligations)),
        Verdict::Pass(obligations) => Verdict::Pass(lifted(obligations)),
        denial @ Verdict::Deny(_) => denial,
    }
}

/// Whether an approval has a say in a verdict of this policy. Where more persons are to agree than did, or nobody was asked
/// this, it is another question.
fn counts(held: &Held, author: &Author, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Ask(question) => held.answers(author) && question.quorum <= held.quorum(),
        Verdict::Deny(_) | Verdict::Allow(_) | Verdict::Pass(_) => held.names(author),
    }
}

/// Which limit of a charge it is, with nothing passed yet; none where it makes no sense, which the ledger says.
fn limit_of(account: &str, currency: &str, limit: &Limit) -> Option<LimitPassed> {
    Some(LimitPassed {
        account: account.to_owned(),
        currency: currency.to_owned(),
        counts: limit.counts(currency),
        window: limit.window,
        max: amount::parse(&limit.max).ok()?,
        total: Decimal::ZERO,
    })
}

/// The call, under the approval's key when it has none of its own.
fn keyed(call: &Arc<Call>, approval: Option<&Held>) -> Arc<Call> {
    match approval {
        Some(held) if call.key.is_none() => Arc::new(Call { key: Some(held.key()), ..Call::clone(call) }),
        _ => Arc::clone(call),
    }
}

fn author(entry: &Entry) -> Author {
    Author {
        policy: entry.listed.name.clone(),
        digest: entry.listed.digest.clone(),
        settings_digest: entry.listed.settings_digest.clone(),
    }
}

fn decision(
    entry: &Entry,
    verdict: &Result<Verdict, PolicyFailure>,
    approved: bool,
    reads: Vec<Read>,
    elapsed_us: u64,
) -> Decision {
    let failure =
        verdict.as_ref().err().map(|failure| Failure { code: code(failure).as_str(), message: failure.to_string() });
    Decision {
        policy: entry.listed.name.clone(),
        digest: entry.listed.digest.clone(),
        settings_digest: entry.listed.settings_digest.clone(),
        mode: entry.listed.mode,
        verdict: verdict.as_ref().ok().cloned(),
        failure,
        approved,
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

fn denied(policy: String, denial: Denial) -> Refusal {
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

fn ungranted(tool: &str) -> Refusal {
    Refusal::new(
        Code::Denied,
        format!("no policy allows `{tool}` for you: ask the gate's owner for a rule that does, or use another tool"),
    )
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
