//! One message and its answer, and what a conversation of the older revisions has agreed on.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::lines::{Line, is_too_long};
use super::link::{Link, LinkError};
use super::message::{self, Message, PROTOCOL_VERSION};
use crate::config::CREDENTIAL;
use crate::door::socket::{Answer, Headers};
use crate::limits::BODY_BYTES_MAX;
use crate::refusal::Code;

const AUTHORIZATION: &str = "authorization";
const SESSION_ID: &str = "mcp-session-id";

/// JSON-RPC 2.0.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;

/// Passes one client's messages on.
pub(super) struct Bridge {
    link: Arc<Link>,
    /// The value of `Authorization`.
    authorization: Zeroizing<String>,
    /// The revision and the session of the handshake.
    agreed: Mutex<Headers>,
}

impl Bridge {
    pub(super) fn new(link: Arc<Link>, authorization: Zeroizing<String>) -> Self {
        Self { link, authorization, agreed: Mutex::default() }
    }

    /// The line that answers a line; none when nobody waits for one.
    pub(super) async fn answer(&self, line: Line) -> Option<String> {
        let too_long = |id: Option<&str>| {
            let why = format!("the message has more than the {BODY_BYTES_MAX} bytes allowed; nothing was done");
            Some(message::error(id, INVALID_REQUEST, &why, None))
        };
        let Line::Whole(line) = line else { return too_long(None) };
        let Ok(text) = String::from_utf8(line) else {
            return Some(message::error(None, PARSE_ERROR, "the message is not UTF-8", None));
        };
        if text.trim().is_empty() {
            return None;
        }
        let message = Message::read(&text);
        if is_too_long(text.as_bytes()) {
            return too_long(message.id.as_deref());
        }
        let answered = self.link.post(&self.headers(&message), &text, message.executes()).await;
        let line = match answered {
            Ok(answer) => self.line(&message, &answer),
            Err(error) => Some(failed(&message, &error)),
        };
        if !message.wants_answer() {
            tracing::debug!(answer = line, "nobody waits for this answer");
            return None;
        }
        line
    }

    fn headers(&self, message: &Message) -> Headers {
        let mut headers = message.headers.clone();
        if !message.modern && message.method.as_deref() != Some("initialize") {
            let agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
            headers.extend(agreed.iter().cloned());
        }
        headers.push((AUTHORIZATION, self.authorization.as_str().to_owned()));
        headers
    }

    fn line(&self, message: &Message, answer: &Answer) -> Option<String> {
        let body = std::str::from_utf8(&answer.body).unwrap_or_default();
        if message.method.as_deref() == Some("initialize") {
            self.agree(answer, body);
        }
        if answer.status == 401 {
            let why = format!(
                "the gate does not accept the credential in `{CREDENTIAL}`: put a key there that `portcullis agent add \
                 NAME --role ROLE` has made"
            );
            let body: Value = serde_json::from_str(body).unwrap_or_default();
            return Some(message.error(401, &why, body.pointer("/error/data")));
        }
        let unreadable = || {
            let why = format!("the gate answered with HTTP {} and no message", answer.status);
            message.wants_answer().then(|| message.error(i32::from(answer.status), &why, None))
        };
        message.line(body).or_else(unreadable)
    }

    /// Keeps what a handshake has agreed on.
    fn agree(&self, answer: &Answer, body: &str) {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let version = body.pointer("/result/protocolVersion").and_then(Value::as_str);
        let Some(version) = version else { return };
        let mut agreed = vec![(PROTOCOL_VERSION, version.to_owned())];
        agreed.extend(answer.session.clone().map(|session| (SESSION_ID, session)));
        *self.agreed.lock().unwrap_or_else(PoisonError::into_inner) = agreed;
    }
}

fn failed(message: &Message, error: &LinkError) -> String {
    let why = error.to_string();
    match error {
        LinkError::Unknown => {
            let code = Code::OutcomeUnknown;
            let data = json!({ "code": code.as_str(), "message": why, "details": { "executed": null } });
            message.error(i32::from(code.status()), &why, Some(&data))
        }
        LinkError::Refused(_) | LinkError::NotStarted(_) | LinkError::NoGate(_) => message.error(503, &why, None),
    }
}
