//! A message on its way through the bridge: what HTTP wants to know of it in headers, and the line that its answer becomes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::door::socket::Headers;

pub(super) const PROTOCOL_VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";

/// What a message says of itself. A message that says something twice says nothing that can be read.
#[derive(Debug, Default, Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<Cow<'a, str>>,
}

/// A message of the client.
#[derive(Debug)]
pub(super) struct Message {
    /// The JSON of its id, when it wants an answer.
    pub(super) id: Option<String>,
    /// What it asks for.
    pub(super) method: Option<String>,
    /// Its revision has no handshake: it says all of itself.
    pub(super) modern: bool,
    /// What it says of itself in headers.
    pub(super) headers: Headers,
    /// It is a notification or a response: nobody waits for an answer.
    closed: bool,
}

impl Message {
    /// Reads what the bridge needs of a message. What cannot be read is the gate's to refuse.
    pub(super) fn read(text: &str) -> Self {
        // An array would be read as the members of an object in order.
        let object = Some(text).filter(|text| text.trim_start().starts_with('{'));
        let said: Said<'_> = object.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let Said { id, method, params, result, error } = said;
        let closed = match method {
            Some(_) => id.is_none(),
            None => result.is_some() || error.is_some(),
        };
        let params: Params<'_> = params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
        let mut headers = Headers::new();
        let version = params.meta.and_then(|meta| meta.version);
        if let (Some(version), Some(method)) = (&version, &method) {
            let of = match method.as_ref() {
                "tools/call" | "prompts/get" => params.name,
                "resources/read" => params.uri,
                _ => None,
            };
            headers.push((PROTOCOL_VERSION, encoded(version)));
            headers.push((METHOD, encoded(method)));
            headers.extend(of.map(|name| (NAME, encoded(&name))));
        }
        Self {
            // A response of the client's has an id, too.
            id: id.filter(|_| !closed).map(|id| id.get().to_owned()),
            method: method.map(Cow::into_owned),
            modern: version.is_some(),
            headers,
            closed,
        }
    }

    /// Whether it may do something that must not be done twice.
    pub(super) fn executes(&self) -> bool {
        // What cannot be read here is not for the bridge to judge.
        self.method.as_deref().is_none_or(|method| method == "tools/call")
    }

    /// Whether its sender waits for an answer: what cannot be read may have been a request.
    pub(super) fn wants_answer(&self) -> bool {
        !self.closed
    }

    /// The line of a JSON-RPC error.
    pub(super) fn error(&self, code: i32, message: &str, data: Option<&serde_json::Value>) -> String {
        error(self.id.as_deref(), code, message, data)
    }

    /// The line that an answer of the gate becomes. None when it is no JSON-RPC.
    pub(super) fn line(&self, body: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
            #[serde(borrow)]
            error: Option<&'a RawValue>,
            #[serde(borrow)]
            result: Option<&'a RawValue>,
        }
        let answer: Answer<'_> = serde_json::from_str(body).ok()?;
        let line = match (answer.error, answer.result, &self.id) {
            // The gate refused the request before it had read whose answer this is.
            (Some(error), None, Some(id)) if answer.id.is_none() => {
                format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, error.get())
            }
            (Some(_), None, _) | (None, Some(_), _) => body.to_owned(),
            _ => return None,
        };
        // Outside of a string a line's end is white space, and inside of one there is none.
        Some(line.replace(['\n', '\r'], " "))
    }
}

/// The line of a JSON-RPC error; without an id the message is not known.
pub(super) fn error(id: Option<&str>, code: i32, message: &str, data: Option<&serde_json::Value>) -> String {
    let mut error = json!({ "code": code, "message": message });
    if let (Some(data), Some(members)) = (data, error.as_object_mut()) {
        members.insert("data".into(), data.clone());
    }
    format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, id.unwrap_or("null"))
}

/// A value as a header can hold it: in base64 between marks, where it could not stand as it is.
fn encoded(text: &str) -> String {
    let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && text.trim() == text;
    if plain && !text.starts_with("=?base64?") {
        text.to_owned()
    } else {
        format!("=?base64?{}?=", STANDARD.encode(text))
    }
}

#[cfg(test)]
mod tests;
