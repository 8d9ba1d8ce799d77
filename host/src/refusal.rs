//! The one thing that a caller may see of a failure, and the one place where it becomes an answer.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, json};

use crate::call::CorrelationId;

/// Why a call was refused: a stable word that programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Missing, wrong, expired or revoked credential.
    Unauthenticated,
    /// A bucket is empty.
    RateLimited,
    /// No such tool, or hidden from this principal.
    UnknownTool,
    /// Not the tool's schema, duplicate keys, too large.
    InvalidArguments,
    /// Same key, other call.
    IdempotencyKeyConflict,
    /// The first call has not ended.
    IdempotencyKeyInProgress,
    /// The outcome is not known; it is not executed again.
    OutcomeUnknown,
    /// A policy said no, or none said yes.
    Denied,
    /// A limit would be passed.
    CapExceeded,
    /// A person has to agree first.
    ApprovalRequired,
    /// A person said no.
    ApprovalRejected,
    /// Nobody decided in time.
    ApprovalExpired,
    /// The tool's definition changed and awaits the owner.
    ToolWithheld,
    /// The policy trapped or returned nonsense.
    PolicyFault,
    /// The policy passed one of its limits.
    PolicyLimit,
    /// There is nothing to decide with.
    NoPolicy,
    /// Nothing could be made durable, so nothing was done.
    StoreUnavailable,
    /// No slot to decide in.
    Overloaded,
    /// Nothing was sent to the upstream.
    UpstreamUnavailable,
    /// The upstream refused the call itself.
    UpstreamError,
}

impl Code {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Unauthenticated => "unauthenticated",
            Code::RateLimited => "rate_limited",
            Code::UnknownTool => "unknown_tool",
            Code::InvalidArguments => "invalid_arguments",
            Code::IdempotencyKeyConflict => "idempotency_key_conflict",
            Code::IdempotencyKeyInProgress => "idempotency_key_in_progress",
            Code::OutcomeUnknown => "outcome_unknown",
            Code::Denied => "denied",
            Code::CapExceeded => "cap_exceeded",
            Code::ApprovalRequired => "approval_required",
            Code::ApprovalRejected => "approval_rejected",
            Code::ApprovalExpired => "approval_expired",
            Code::ToolWithheld => "tool_withheld",
            Code::PolicyFault => "policy_fault",
            Code::PolicyLimit => "policy_limit",
            Code::NoPolicy => "no_policy",
            Code::StoreUnavailable => "store_unavailable",
            Code::Overloaded => "overloaded",
            Code::UpstreamUnavailable => "upstream_unavailable",
            Code::UpstreamError => "upstream_error",
        }
    }

    /// The HTTP status (RFC 9110) at the REST door.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Code::ApprovalRequired => 202,
            Code::InvalidArguments => 400,
            Code::Unauthenticated => 401,
            Code::Denied | Code::CapExceeded | Code::ApprovalRejected | Code::ToolWithheld => 403,
            Code::UnknownTool => 404,
            Code::IdempotencyKeyConflict | Code::IdempotencyKeyInProgress | Code::OutcomeUnknown => 409,
            Code::ApprovalExpired => 410,
            Code::RateLimited => 429,
            Code::UpstreamUnavailable | Code::UpstreamError => 502,
            Code::PolicyFault | Code::PolicyLimit | Code::NoPolicy | Code::StoreUnavailable | Code::Overloaded => 503,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal. What the caller may know and what only the log may know are different fields.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The stable word.
    pub code: Code,
    /// What happened, to which thing, and what to do next: sentences for the agent.
    pub message: String,
    /// The policy that refused.
    pub policy: Option<String>,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// The approval that is waited for, or was refused.
    pub approval: Option<String>,
    /// Facts for programs.
    pub details: Option<serde_json::Value>,
    /// For the log only.
    pub private: Option<String>,
}

impl Refusal {
    /// A refusal with a message for the caller.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            policy: None,
            retry_after: None,
            approval: None,
            details: None,
            private: None,
        }
    }

    /// Adds the policy that refused.
    #[must_use]
    pub fn policy(mut self, name: impl Into<String>) -> Self {
        self.policy = Some(name.into());
        self
    }

    /// Adds when it is worth trying again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds the approval that it is about.
    #[must_use]
    pub fn approval(mut self, id: impl Into<String>) -> Self {
        self.approval = Some(id.into());
        self
    }

    /// Adds facts for programs.
    #[must_use]
    pub fn details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Adds what only the log may know.
    #[must_use]
    pub fn private(mut self, detail: impl fmt::Display) -> Self {
        self.private = Some(detail.to_string());
        self
    }

    /// The answer that both doors give: the REST body, and the `structuredContent` over MCP.
    #[must_use]
    pub fn body(&self, correlation: CorrelationId) -> serde_json::Value {
        let mut body = Map::new();
        body.insert("code".into(), json!(self.code.as_str()));
        body.insert("message".into(), json!(self.message));
        body.insert("correlation_id".into(), json!(correlation.to_string()));
        if let Some(policy) = &self.policy {
            body.insert("policy".into(), json!(policy));
        }
        if let Some(wait) = self.retry_after {
            body.insert("retry_after_ms".into(), json!(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
        }
        if let Some(approval) = &self.approval {
            body.insert("approval".into(), json!(approval));
        }
        if let Some(details) = &self.details {
            body.insert("details".into(), details.clone());
        }
        body.into()
    }

    /// The value of `Retry-After` (RFC 9110, section 10.2.3): whole seconds, rounded up.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after.map(|wait| u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1))
    }
}

/// An error with its causes, on one line; a cause that its error says already is not said again.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
