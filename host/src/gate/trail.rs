//! What is known of a call so far: the audit log's side of the pipeline.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::json;

use super::Ended;
use crate::admission::FoldKey;
use crate::approval::Held;
use crate::audit::{Entry, Status};
use crate::call::{Call, CorrelationId, Origin, Request};
use crate::clock::Timestamp;
use crate::identity::Principal;
use crate::ledger::Due;
use crate::policy::Decision;
use crate::refusal::{Code, Refusal};
use crate::verdict::Obligations;

/// Everything that the entries of one call have in common, as far as it is known.
pub(super) struct Trail {
    pub(super) id: CorrelationId,
    pub(super) time: Timestamp,
    pub(super) generation: u64,
    pub(super) decisions: Vec<Decision>,
    principal: Option<Arc<Principal>>,
    action: String,
    origin: Option<Origin>,
    address: Option<IpAddr>,
    request_id: Option<String>,
    session: Option<String>,
    call: Option<Arc<Call>>,
    approval: Option<String>,
}

impl Trail {
    fn bare(id: CorrelationId, time: Timestamp, action: &str) -> Self {
        Self {
            id,
            time,
            generation: 0,
            decisions: Vec::new(),
            principal: None,
            action: action.to_owned(),
            origin: None,
            address: None,
            request_id: None,
            session: None,
            call: None,
            approval: None,
        }
    }

    /// A call that has just come in.
    pub(super) fn new(id: CorrelationId, time: Timestamp, principal: &Arc<Principal>, request: &Request) -> Self {
        let action: String = request.tool.chars().take(crate::limits::TOOL_NAME_CHARS_MAX).collect();
        Self {
            principal: Some(Arc::clone(principal)),
            origin: Some(request.origin),
            address: request.address,
            request_id: request.request_id.clone(),
            session: request.session.clone(),
            ..Self::bare(id, time, &action)
        }
    }

    /// A request of somebody who could not be identified.
    pub(super) fn stranger(id: CorrelationId, time: Timestamp, address: Option<IpAddr>) -> Self {
        Self { address, ..Self::bare(id, time, "authenticate") }
    }

    /// A question that is no call, such as a listing of tools.
    pub(super) fn question(
        id: CorrelationId,
        time: Timestamp,
        what: &str,
        principal: &Arc<Principal>,
        origin: Origin,
    ) -> Self {
        Self { principal: Some(Arc::clone(principal)), origin: Some(origin), ..Self::bare(id, time, what) }
    }

    /// Refusals that were counted and not written one by one.
    pub(super) fn folded(id: CorrelationId, time: Timestamp, whose: &FoldKey, code: Code, count: u64) -> Entry {
        Entry::new(time, id, "repeated refusals", Status::AccessDenied)
            .code(code)
            .metadata("whose", whose.to_string())
            .metadata("count", count)
    }

    /// Whose call it is.
    pub(super) fn principal_id(&self) -> Option<&str> {
        self.principal.as_ref().map(|principal| principal.id.as_str())
    }

    /// The tool is known and the arguments are its own.
    pub(super) fn know(&mut self, call: &Arc<Call>) {
        self.call = Some(Arc::clone(call));
    }

    /// It rests on an approval.
    pub(super) fn agreed(&mut self, approval: Option<&Held>) {
        self.approval = approval.map(|held| held.id().to_owned());
    }

    fn entry(&self, status: Status) -> Entry {
        let mut entry = Entry::new(self.time, self.id, &self.action, status).metadata("generation", self.generation);
        if let Some(principal) = &self.principal {
            entry = entry.principal(principal);
        }
        if let Some(origin) = self.origin {
            entry = entry.origin(origin);
        }
        if let Some(request_id) = &self.request_id {
            entry = entry.request_id(request_id);
        }
        if let Some(session) = &self.session {
            entry = entry.metadata("session", session.as_str());
        }
        if let Some(address) = self.address {
            entry = entry.metadata("address", address.to_string());
        }
        if let Some(approval) = &self.approval {
            entry = entry.metadata("approval", approval.as_str());
        }
        if let Some(call) = &self.call {
            entry = entry
                .arguments(call.arguments.value(), &call.tool.secret_arguments)
                .metadata("definition", call.tool.digest.as_str());
            if let Some(key) = &call.key {
                entry = entry.idempotency_key(key);
            }
        }
        entry
    }

    /// A text that may come from the server, without what stands at the tool's secret pointers: a server can quote it.
    fn without_secrets(&self, text: &str) -> String {
        let Some(call) = &self.call else { return text.to_owned() };
        let mut clean = text.to_owned();
        for pointer in &call.tool.secret_arguments {
            let Ok(Some(secret)) = call.arguments.value().pointer(pointer) else { continue };
            let said = secret.as_str().map_or_else(|| secret.to_text(), str::to_owned);
            // Every server quotes in its own way; what is one character long is no secret.
            for form in [said.clone(), secret.to_text(), said.trim().to_owned()] {
                if form.len() > 1 {
                    clean = clean.replace(&form, "***");
                }
            }
        }
        clean
    }

    fn decided(&self, status: Status) -> Entry {
        self.entry(status).policies(self.decisions.iter().map(|decision| json!(decision)).collect())
    }

    /// A person is asked, if this can be written down.
    pub(super) fn asked(&self) -> Entry {
        self.decided(Status::PendingConfirmation).code(Code::ApprovalRequired)
    }

    /// It gets its permit, if this can be written down. `due` is what it is charged.
    pub(super) fn started(&self, due: &[Due], obligations: &Obligations) -> Entry {
        let charges: Vec<serde_json::Value> = due
            .iter()
            .map(|due| {
                let amounts: Vec<String> = due.amounts.iter().map(ToString::to_string).collect();
                json!({ "account": due.account, "currency": due.currency, "amounts": amounts })
            })
            .collect();
        self.decided(Status::Started).metadata("charges", charges).metadata("tags", obligations.tags.clone())
    }

    /// It ended.
    pub(super) fn ended(&self, now: Timestamp, status: Status, ended: &Ended) -> Entry {
        let entry = self.entry(status).moved_to(now);
        match ended {
            Ended::Answered(answer) | Ended::Replayed(_, answer) => {
                entry.metadata("is_error", answer.is_error).metadata("answer_bytes", answer.result.len())
            }
            Ended::Refused(refusal) | Ended::RefusedBefore(_, refusal) | Ended::Asked(refusal) => {
                entry.code(refusal.code).metadata("message", self.without_secrets(&refusal.message))
            }
        }
    }

    /// An earlier call's answer was given again.
    pub(super) fn replayed(&self, first: &str) -> Entry {
        self.entry(Status::Replayed).metadata("first_correlation_id", first)
    }

    /// It was refused; so often before without being written down.
    pub(super) fn refused(&self, refusal: &Refusal, repeats: u64) -> Entry {
        let mut entry = self.decided(Status::AccessDenied);
        entry = entry.code(refusal.code).metadata("message", self.without_secrets(&refusal.message));
        if repeats > 0 {
            entry = entry.metadata("repeats", repeats);
        }
        if let Some(details) = &refusal.details {
            entry = entry.metadata("details", details.clone());
        }
        if let Some(private) = &refusal.private {
            entry = entry.metadata("detail", self.without_secrets(private));
        }
        entry
    }
}
