//! What a principal sees of its own entries.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::{Entry, Masked, Status, rfc3339};
use crate::call::Origin;
use crate::clock::Timestamp;

/// Facts that whoever made the call may know: what the answer said, and what the call was charged. The others are for the
/// owners, and so is what the policies were asked, read and said.
const FACTS: [&str; 11] = [
    "answer_bytes",
    "approval",
    "charges",
    "count",
    "definition",
    "details",
    "first_correlation_id",
    "generation",
    "is_error",
    "message",
    "repeats",
];

/// An entry without what only the log may know.
#[derive(Debug, Serialize)]
pub struct Seen<'a> {
    index: u64,
    #[serde(with = "rfc3339")]
    timestamp: Timestamp,
    correlation_id: &'a str,
    request_id: Option<&'a str>,
    principal: Option<&'a str>,
    principal_id: Option<&'a str>,
    role: Option<&'a str>,
    origin: Option<Origin>,
    action: &'a str,
    status: Status,
    code: Option<&'a str>,
    idempotency_key: Option<&'a str>,
    arguments: Option<&'a Masked>,
    metadata: Map<String, Json>,
}

impl Entry {
    /// The entry for the principal whose call it is about.
    #[must_use]
    pub fn seen(&self) -> Seen<'_> {
        let known = FACTS.iter().filter_map(|name| Some(((*name).to_owned(), self.metadata.get(*name)?.clone())));
        Seen {
            index: self.index,
            timestamp: self.timestamp,
            correlation_id: &self.correlation_id,
            request_id: self.request_id.as_deref(),
            principal: self.principal.as_deref(),
            principal_id: self.principal_id.as_deref(),
            role: self.role.as_deref(),
            origin: self.origin,
            action: &self.action,
            status: self.status,
            code: self.code.as_deref(),
            idempotency_key: self.idempotency_key.as_deref(),
            arguments: self.arguments.as_ref(),
            metadata: known.collect(),
        }
    }
}
