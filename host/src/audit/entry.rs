//! One entry of the audit log.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::mask::{self, Masked};
use crate::call::{CorrelationId, IdempotencyKey, Origin};
use crate::clock::Timestamp;
use crate::identity::{Actor, Principal};
use crate::json;
use crate::refusal::Code;

mod seen;

pub use seen::Seen;

/// Digits of a correlation id.
pub(super) const CORRELATION_ID_CHARS: usize = 32;

/// Where in its life a call, a question or a change is. An administrative change is COMPLETED or FAILED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It got its permit; the upstream is about to be called.
    Started,
    /// It was done.
    Completed,
    /// It was not done, or the tool says that it failed.
    Failed,
    /// It was sent, and nobody knows whether it was done.
    Unknown,
    /// The stored answer was given again.
    Replayed,
    /// It was refused.
    AccessDenied,
    /// A person is asked.
    PendingConfirmation,
    /// A person agreed.
    Confirmed,
    /// A person did not agree.
    Rejected,
    /// Nobody decided in time.
    Expired,
}

impl Status {
    /// The word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Started => "STARTED",
            Status::Completed => "COMPLETED",
            Status::Failed => "FAILED",
            Status::Unknown => "UNKNOWN",
            Status::Replayed => "REPLAYED",
            Status::AccessDenied => "ACCESS_DENIED",
            Status::PendingConfirmation => "PENDING_CONFIRMATION",
            Status::Confirmed => "CONFIRMED",
            Status::Rejected => "REJECTED",
            Status::Expired => "EXPIRED",
        }
    }
}

/// A word that is no status.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not an audit status; there are STARTED, COMPLETED, FAILED, UNKNOWN, REPLAYED, ACCESS_DENIED, \
     PENDING_CONFIRMATION, CONFIRMED, REJECTED and EXPIRED"
)]
pub struct BadStatus(pub String);

impl std::str::FromStr for Status {
    type Err = BadStatus;

    fn from_str(word: &str) -> Result<Self, BadStatus> {
        Self::deserialize(Json::String(word.to_ascii_uppercase())).map_err(|_| BadStatus(word.to_owned()))
    }
}

/// What is written down of one moment of a call, or of one administrative change.
///
/// Its parts can be set only through methods that mask them, so nothing reaches the log unmasked. Its JSON has the
/// same bytes whenever it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    index: u64,
    #[serde(with = "rfc3339")]
    timestamp: Timestamp,
    correlation_id: String,
    request_id: Option<String>,
    principal: Option<String>,
    principal_id: Option<String>,
    role: Option<String>,
    origin: Option<Origin>,
    action: String,
    status: Status,
    code: Option<String>,
    idempotency_key: Option<String>,
    arguments: Option<Masked>,
    policies: Vec<Json>,
    metadata: Map<String, Json>,
}

impl Entry {
    /// An entry about an action: a tool's name as the agent wrote it, or a change such as `agent.add`.
    #[must_use]
    pub fn new(at: Timestamp, id: CorrelationId, action: &str, status: Status) -> Self {
        Self {
            index: 0,
            timestamp: at,
            correlation_id: id.to_string(),
            request_id: None,
            principal: None,
            principal_id: None,
            role: None,
            origin: None,
            action: mask::text(action),
            status,
            code: None,
            idempotency_key: None,
            arguments: None,
            policies: Vec::new(),
            metadata: Map::new(),
        }
    }

    /// An entry about a call of which only the id is known.
    #[must_use]
    pub fn of_call(at: Timestamp, id: &str, action: &str, status: Status) -> Self {
        Self { correlation_id: mask::text(id), ..Self::new(at, CorrelationId::NONE, action, status) }
    }

    /// The same entry at another moment.
    #[must_use]
    pub fn moved_to(mut self, at: Timestamp) -> Self {
        self.timestamp = at;
        self
    }

    /// Adds who did it.
    #[must_use]
    pub fn principal(mut self, principal: &Principal) -> Self {
        self.principal = Some(principal.name.clone());
        self.principal_id = Some(principal.id.clone());
        self.role = Some(principal.roles.join(","));
        self
    }

    /// Adds which person did it.
    #[must_use]
    pub fn actor(mut self, actor: &Actor) -> Self {
        self.principal = Some(actor.name().to_owned());
        self.principal_id = Some(actor.id().to_owned());
        self.metadata("kind", actor.kind().as_str())
    }

    /// Adds which door it came in by.
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Adds the client's own id of the request.
    #[must_use]
    pub fn request_id(mut self, id: &str) -> Self {
        self.request_id = Some(mask::text(id));
        self
    }

    /// Adds why it was refused.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = Some(code.as_str().to_owned());
        self
    }

    /// Adds the idempotency key.
    #[must_use]
    pub fn idempotency_key(mut self, key: &IdempotencyKey) -> Self {
        self.idempotency_key = Some(mask::text(key.as_str()));
        self
    }

    /// Adds the arguments, without what stands at the secret pointers (RFC 6901) of the tool.
    #[must_use]
    pub fn arguments(mut self, arguments: &json::Value, secret: &[String]) -> Self {
        self.arguments = Some(mask::arguments(arguments, secret));
        self
    }

    /// Adds what the policies were asked, read and said: one value each.
    #[must_use]
    pub fn policies(mut self, policies: Vec<Json>) -> Self {
        // Masked as one value: what is kept of them is bounded together.
        let mut all = Json::Array(policies);
        mask::json(&mut all);
        if let Json::Array(masked) = all {
            self.policies = masked;
        }
        self
    }

    /// Adds a fact. Its name is the gate's own and says nothing about secrets; its value is masked.
    #[must_use]
    pub fn metadata(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        let mut value = value.into();
        mask::json(&mut value);
        self.metadata.insert(name.to_owned(), value);
        self
    }

    /// The same entry at its place in the log.
    pub(super) fn at(&self, index: u64) -> Self {
        Self { index, ..self.clone() }
    }

    /// Its place in the log; the first is 0. Meaningless before it was appended.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// When it happened.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The id of the call: 32 hexadecimal digits.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        &self.correlation_id
    }

    /// The id of who did it.
    #[must_use]
    pub fn principal_id(&self) -> Option<&str> {
        self.principal_id.as_deref()
    }

    /// The name of who did it.
    #[must_use]
    pub fn principal_name(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// The tool's name, or the change.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// Where in its life it is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Why it was refused: the word of a [`Code`].
    #[must_use]
    pub fn refusal_code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The masked arguments: JSON text.
    #[must_use]
    pub fn masked_arguments(&self) -> Option<&str> {
        self.arguments.as_ref().map(Masked::as_str)
    }

    /// A fact.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Json> {
        self.metadata.get(name)
    }
}

/// Times in the log are RFC 3339 in UTC with milliseconds.
mod rfc3339 {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::clock::Timestamp;

    fn read(text: &str) -> Option<Timestamp> {
        let at: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(at.as_millisecond()).ok().map(Timestamp)
    }

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        let text = at.to_string();
        if read(&text) != Some(*at) {
            return Err(S::Error::custom(format!("the time `{text}` cannot be written as RFC 3339")));
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        read(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not a time")))
    }
}
