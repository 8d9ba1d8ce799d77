//! The raw body of a request, read before any parser that would lose something: size, shape, duplicate keys, exact
//! numbers.
//!
//! A call's arguments are cut out of the JSON-RPC message as text and replaced by `{}`, so that what the protocol
//! library makes of the rest never touches them: they are the gate's to read, and its refusals to give.

use std::fmt;
use std::pin::Pin;

use axum::body::{Body, HttpBody as _};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::call::{Arguments, BadArguments, BadKey, IdempotencyKey};
use crate::json::{self, JsonError};
use crate::limits;

#[cfg(test)]
mod tests;

const IDEMPOTENCY_KEY: &str = "dev.portcullis/idempotency-key";
const APPROVAL: &str = "dev.portcullis/approval";

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It has more bytes than allowed; at least this many.
    TooLarge(usize),
    /// It ended early, or did not end in time.
    Incomplete,
}

/// Reads a body of at most [`limits::BODY_BYTES_MAX`], within [`limits::REQUEST_READ`].
pub(super) async fn read(body: Body) -> Result<Vec<u8>, BodyError> {
    tokio::time::timeout(limits::REQUEST_READ, collect(body)).await.unwrap_or(Err(BodyError::Incomplete))
}

async fn collect(mut body: Body) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    let mut size = 0_usize;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| BodyError::Incomplete)?;
        if let Ok(data) = frame.into_data() {
            size = size.saturating_add(data.len());
            if size > limits::BODY_DRAINED_BYTES_MAX {
                break;
            }
            // What is too large is still taken off the line, so that its sender hears why it was refused.
            if size <= limits::BODY_BYTES_MAX {
                bytes.extend_from_slice(&data);
            }
        }
    }
    if size > limits::BODY_BYTES_MAX { Err(BodyError::TooLarge(size)) } else { Ok(bytes) }
}

/// Whether a body is declared as JSON, once: a page of another origin can send other types without being asked.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let essence = value.to_str().ok().and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// What a call is, besides the name of its tool.
#[derive(Debug)]
pub(super) struct CallParts {
    pub(super) arguments: Result<Arguments, BadArguments>,
    pub(super) key: Result<Option<IdempotencyKey>, BadKey>,
    pub(super) approval: Option<String>,
    pub(super) request_id: Option<String>,
}

/// A JSON-RPC message on its way to the protocol library.
#[derive(Debug)]
pub(super) struct Message {
    /// The message, without the arguments of a call.
    pub(super) text: String,
    /// What was cut out, when it is a `tools/call`.
    pub(super) call: Option<CallParts>,
    /// The text of its id, or `null`.
    pub(super) id: String,
    /// What it asks for.
    pub(super) method: Option<String>,
}

/// A body that is no message: a JSON-RPC error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    /// The HTTP status.
    pub(super) status: u16,
    /// The JSON-RPC code.
    pub(super) code: i32,
    /// What is wrong.
    pub(super) message: String,
    /// The text of the message's id, or `null`.
    pub(super) id: String,
}

impl Rejected {
    const PARSE_ERROR: i32 = -32700;
    const INVALID_REQUEST: i32 = -32600;
    const INVALID_PARAMS: i32 = -32602;

    fn new(status: u16, code: i32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), id: "null".into() }
    }

    /// A body of another type.
    pub(super) fn media_type() -> Self {
        Self::new(
            415,
            Self::INVALID_REQUEST,
            "the message is not declared as JSON: send `Content-Type: application/json`",
        )
    }

    /// JSON that the protocol library takes for no message.
    pub(super) fn not_jsonrpc() -> Self {
        let why = "the message is not a JSON-RPC 2.0 request, notification or response: check `jsonrpc`, `id`, `method` \
                   and `params`";
        Self::new(400, Self::INVALID_REQUEST, why)
    }

    /// A session that is not its principal's.
    pub(super) fn unknown_session(id: String) -> Self {
        let why = "there is no such session for you here, so nothing was done: connect again with `initialize`";
        // Outside of the range that JSON-RPC keeps for itself.
        Self { id, ..Self::new(404, 404, why) }
    }

    /// The JSON-RPC error itself.
    pub(super) fn to_text(&self) -> String {
        let message = serde_json::Value::from(self.message.as_str());
        format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":{},"message":{message}}}}}"#, self.id, self.code)
    }
}

impl From<BodyError> for Rejected {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge(_) => Self::new(
                413,
                Self::INVALID_REQUEST,
                format!("the message has more than the {} bytes allowed", limits::BODY_BYTES_MAX),
            ),
            BodyError::Incomplete => Self::new(400, Self::PARSE_ERROR, "the message did not arrive whole and in time"),
        }
    }
}

impl From<JsonError> for Rejected {
    fn from(error: JsonError) -> Self {
        let code = match error {
            JsonError::Syntax { .. } => Self::PARSE_ERROR,
            _ => Self::INVALID_REQUEST,
        };
        Self::new(400, code, format!("the message is not acceptable: {error}"))
    }
}

/// Reads the body of a POST to the MCP door.
pub(super) fn message(bytes: &[u8]) -> Result<Message, Rejected> {
    let bounded = |text: &str| json::parse(text.as_bytes(), limits::ARGUMENTS).map(drop).map_err(Rejected::from);
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Rejected::new(400, Rejected::PARSE_ERROR, "the message is not UTF-8"))?;
    if text.trim_start().starts_with('[') {
        let why = "the gate takes one message at a time, no batches: send each of them by itself";
        return Err(Rejected::new(400, Rejected::INVALID_REQUEST, why));
    }
    let Ok(Members(members)) = serde_json::from_str(text) else {
        bounded(text)?;
        return Err(Rejected::new(400, Rejected::INVALID_REQUEST, "the message is not a JSON object"));
    };
    let id = member(&members, "id");
    // The answer repeats the id: it must not be what makes the answer to an executed call too large.
    if id.is_some_and(|id| id_text(id).chars().count() > limits::REQUEST_ID_CHARS_MAX) {
        let why = format!("the message's `id` has more than the {} characters allowed", limits::REQUEST_ID_CHARS_MAX);
        return Err(Rejected::new(400, Rejected::INVALID_REQUEST, why));
    }
    let id_json = id.map_or("null", RawValue::get).to_owned();
    let method = member(&members, "method").and_then(string);
    let is_call = method.as_deref() == Some("tools/call");
    let params = member(&members, "params").and_then(|raw| serde_json::from_str(raw.get()).ok());
    let (true, Some(Members(params))) = (is_call, params) else {
        bounded(text)?;
        return Ok(Message { text: text.to_owned(), call: None, id: id_json, method });
    };
    let params_text = rewritten(&params, "arguments", "{}");
    let text = rewritten(&members, "params", &params_text);
    // Everything but the arguments is checked here; a key that stood twice stands twice in the new text, too.
    bounded(&text)?;
    unsupported(&params)
        .map_err(|why| Rejected { id: id_json.clone(), ..Rejected::new(200, Rejected::INVALID_PARAMS, why) })?;
    Ok(Message { text, call: Some(call_parts(&params, id)), id: id_json, method })
}

/// What this gate does not relay must not look as if it had been heard.
fn unsupported(params: &[(String, &RawValue)]) -> Result<(), &'static str> {
    for (key, _) in params {
        match key.as_str() {
            "task" => return Err("the gate does not run calls as tasks: call the tool without `task`"),
            "inputResponses" | "requestState" => {
                return Err("the gate asked for no input: call the tool without `inputResponses` and `requestState`");
            }
            _ => {}
        }
    }
    Ok(())
}

fn call_parts(params: &[(String, &RawValue)], id: Option<&RawValue>) -> CallParts {
    let text = member(params, "arguments").map_or("{}", RawValue::get);
    let mut arguments = Arguments::parse(text.as_bytes());
    let meta: Option<Members<'_>> = member(params, "_meta").and_then(|raw| serde_json::from_str(raw.get()).ok());
    let entry = |name| meta.as_ref().and_then(|Members(meta)| member(meta, name));
    let key = match entry(IDEMPOTENCY_KEY) {
        None => Ok(None),
        Some(raw) => string(raw).ok_or(BadKey).and_then(|key| IdempotencyKey::parse(&key)).map(Some),
    };
    let approval = match entry(APPROVAL) {
        None => None,
        Some(raw) => {
            let id = string(raw);
            if id.is_none() {
                arguments = Err(BadArguments::Meta(APPROVAL));
            }
            id
        }
    };
    CallParts { arguments, key, approval, request_id: id.map(id_text) }
}

fn id_text(raw: &RawValue) -> String {
    string(raw).unwrap_or_else(|| raw.get().to_owned())
}

fn member<'a>(members: &[(String, &'a RawValue)], name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
}

fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// The text of an object with another value for one of its members, wherever it stands.
fn rewritten(members: &[(String, &RawValue)], name: &str, value: &str) -> String {
    let member = |(key, raw): &(String, &RawValue)| {
        let value = if key == name { value } else { raw.get() };
        format!("{}:{value}", serde_json::Value::from(key.as_str()))
    };
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

/// The members of a JSON object, in order, doubles included, each value as its text.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
