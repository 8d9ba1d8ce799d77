//! One call, parsed once and valid from then on.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::admission::Route;
use crate::catalog::Tool;
use crate::clock::Timestamp;
use crate::identity::Principal;
use crate::json::{self, JsonError, Value};
use crate::limits;

/// Which door a call came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// MCP over streamable HTTP.
    Mcp,
    /// Plain HTTP.
    Rest,
    /// MCP over the gate's own standard input and output.
    Stdio,
}

impl Origin {
    /// The group of routes that limits can name.
    #[must_use]
    pub fn route(self) -> Route {
        match self {
            Origin::Rest => Route::Rest,
            Origin::Mcp | Origin::Stdio => Route::Mcp,
        }
    }
}

/// The id of one call, from the agent's answer through policies and the upstream's trace to the audit log: 16 random
/// bytes as 32 lower-case hexadecimal digits, which is also a W3C trace id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CorrelationId([u8; 16]);

impl CorrelationId {
    /// No id: all zeros, which is no valid trace id either. For refusals that cannot have one.
    pub const NONE: Self = Self([0; 16]);

    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Its 16 bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an agent names its call, so that the same call again is known as the same: 1 to 255 printable ASCII
/// characters without spaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// A key that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "an idempotency key has 1 to {max} printable ASCII characters without spaces and quotes, and is no API key, such as \
     `order-4711`",
    max = limits::IDEMPOTENCY_KEY_CHARS_MAX
)]
pub struct BadKey;

impl IdempotencyKey {
    /// Takes a key as a client writes it: bare, or as a quoted string
    /// (draft-ietf-httpapi-idempotency-key-header-07). `"x"` and `x` are the same key.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters.
    pub fn parse(written: &str) -> Result<Self, BadKey> {
        let bare = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(written);
        let fine = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        // A credential in the wrong place would stand in the store and the log.
        let secret = bare.starts_with("pk_") || bare.starts_with("pt_");
        if bare.is_empty() || secret || bare.len() > limits::IDEMPOTENCY_KEY_CHARS_MAX || !bare.bytes().all(fine) {
            return Err(BadKey);
        }
        Ok(Self(bare.to_owned()))
    }

    /// The key of a call without one whose tool derives it: nobody can guess a fingerprint, so it meets no agent's own.
    #[must_use]
    pub fn derived(fingerprint: &[u8; 32]) -> Self {
        Self(fingerprint.iter().fold("derived-".to_owned(), |key, byte| format!("{key}{byte:02x}")))
    }

    /// The key of a call without one that uses an approval.
    #[must_use]
    pub fn of_approval(id: &str) -> Self {
        Self(format!("approval-{id}"))
    }

    /// A key as the store has kept it.
    #[must_use]
    pub fn stored(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// The key's characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The arguments of a call: an object, with its canonical form. What policies read, what is fingerprinted and what is
/// forwarded all come from this one value.
#[derive(Clone, Debug)]
pub struct Arguments {
    value: Value,
    canonical: String,
}

/// Arguments that are none.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BadArguments {
    /// Not JSON that the gate takes.
    #[error("the arguments are not acceptable: {0}")]
    Json(Arc<JsonError>),
    /// JSON, but not an object.
    #[error("the arguments are not a JSON object")]
    NotAnObject,
    /// A body that did not arrive.
    #[error("the body did not arrive whole and in time")]
    Incomplete,
    /// An entry of the request's `_meta` that is read by the gate and is not a string.
    #[error("the request's `_meta` entry `{0}` is not a string")]
    Meta(&'static str),
}

impl Arguments {
    /// Reads the text of a JSON object; an empty text is the empty object.
    ///
    /// # Errors
    /// When it is not JSON, not an object, has a key twice, or passes a bound of [`limits::ARGUMENTS`].
    pub fn parse(text: &[u8]) -> Result<Self, BadArguments> {
        let text = if text.trim_ascii().is_empty() { b"{}" } else { text };
        let value = json::parse(text, limits::ARGUMENTS).map_err(|error| BadArguments::Json(Arc::new(error)))?;
        if !matches!(value, Value::Object(_)) {
            return Err(BadArguments::NotAnObject);
        }
        let canonical = value.canonical();
        Ok(Self { value, canonical })
    }

    /// The arguments themselves.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Their canonical form: [`Value::canonical`].
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// What a door hands to the gate.
#[derive(Debug)]
pub struct Request {
    /// The tool's name as the agent wrote it.
    pub tool: String,
    /// The arguments, or what is wrong with them: the refusal is the gate's to give, after it knows who asks.
    pub arguments: Result<Arguments, BadArguments>,
    /// The idempotency key, or what is wrong with it.
    pub key: Result<Option<IdempotencyKey>, BadKey>,
    /// The approval that the agent refers to.
    pub approval: Option<String>,
    /// Which door it came in by.
    pub origin: Origin,
    /// The other end's address, where there is one.
    pub address: Option<IpAddr>,
    /// The client's own id of the request, at most [`limits::REQUEST_ID_CHARS_MAX`] characters of it.
    pub request_id: Option<String>,
    /// The session that it came in by, in its short form.
    pub session: Option<String>,
    /// The one server whose tools it is about; none for all.
    pub server: Option<String>,
}

/// A call that is known: who, what, which tool, when. Everything after the catalog works on this.
#[derive(Clone, Debug)]
pub struct Call {
    /// The call's id.
    pub id: CorrelationId,
    /// When the gate took it.
    pub time: Timestamp,
    /// Who calls.
    pub principal: Arc<Principal>,
    /// The tool that is meant.
    pub tool: Arc<Tool>,
    /// The arguments.
    pub arguments: Arguments,
    /// The idempotency key.
    pub key: Option<IdempotencyKey>,
    /// The approval that the agent refers to.
    pub approval: Option<String>,
    /// Which door it came in by.
    pub origin: Origin,
    /// The other end's address.
    pub address: Option<IpAddr>,
    /// The client's own id of the request.
    pub request_id: Option<String>,
}

/// An answer of a tool: the text of a `CallToolResult` (MCP schema), as the upstream wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolAnswer {
    /// The JSON text of the result, without the upstream's own `_meta`.
    pub result: String,
    /// The tool says that it failed.
    pub is_error: bool,
}
