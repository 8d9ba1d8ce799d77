//! The handshake over HTTP: revision 2026-07-28 where the server knows it, or else a session of the older ones.

use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, StatusCode};
use rmcp::model::ProtocolVersion;
use serde_json::json;
use tokio::sync::Notify;

use super::connect::Endpoint;
use super::exchange::Answer;
use super::{Era, fields};
use crate::json::{self, Value};
use crate::limits;
use crate::upstream::reply::{Lost, OWN_IDS_FROM, Reply};
use crate::upstream::session::{described, implementation};

pub(super) const MODERN: &str = "2026-07-28";

/// The revisions with a handshake, newest first.
const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// Asks the server what it speaks: a sentence when it is nothing that the gate does.
pub(super) async fn make(endpoint: &Endpoint) -> Result<Era, String> {
    let meta = described(ProtocolVersion::V_2026_07_28);
    let mut headers = HeaderMap::new();
    headers.insert(fields::VERSION, HeaderValue::from_static(MODERN));
    headers.insert(fields::METHOD, HeaderValue::from_static("server/discover"));
    let answer = post(endpoint, headers, request("server/discover", &json!({ "_meta": meta })), true).await?;
    if speaks_modern(&answer)? {
        return Ok(Era::Modern { meta });
    }
    initialize(endpoint).await
}

/// Whether the server knows the newest revision. What an older one says to a method that it does not know is anything.
fn speaks_modern(answer: &Answer) -> Result<bool, String> {
    check_access("server/discover", answer)?;
    let Some(Reply::Result(text)) = answer.reply.as_ref().filter(|_| answer.status.is_success()) else {
        return Ok(false);
    };
    let result = json::parse(text.as_bytes(), limits::ANSWER)
        .map_err(|error| format!("its answer to `server/discover` cannot be read: {error}"))?;
    let Some(Value::Array(versions)) = result.get("supportedVersions") else { return Ok(false) };
    Ok(versions.iter().any(|version| version.as_str() == Some(MODERN)))
}

async fn initialize(endpoint: &Endpoint) -> Result<Era, String> {
    let params = json!({
        "protocolVersion": LEGACY[0],
        "capabilities": {},
        "clientInfo": implementation(),
    });
    let answer = post(endpoint, HeaderMap::new(), request("initialize", &params), true).await?;
    check_access("initialize", &answer)?;
    let text = match (answer.reply, answer.status.is_success()) {
        (Some(Reply::Result(text)), true) => text,
        (Some(Reply::Error { code, message }), _) => {
            return Err(format!("it answered `initialize` with error {code}: {message}"));
        }
        (_, _) => {
            return Err(format!(
                "it answered `initialize` with HTTP status {} and nothing of MCP: is its `url` right?",
                answer.status
            ));
        }
    };
    let result = json::parse(text.as_bytes(), limits::ANSWER)
        .map_err(|error| format!("its answer to `initialize` cannot be read: {error}"))?;
    let said = result.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    let version = LEGACY.into_iter().find(|version| *version == said);
    let version = version.ok_or("it speaks no revision of MCP that this gate knows")?;
    let session = answer.headers.get(fields::SESSION).cloned().map(session_id).transpose()?;
    let era = Era::Legacy { version: HeaderValue::from_static(version), session };
    let told = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned();
    let answer = post(endpoint, era.fields(), told, false).await?;
    if !answer.status.is_success() {
        return Err(format!("it answered the end of the handshake with HTTP status {}", answer.status));
    }
    Ok(era)
}

/// Whoever knows it can speak in the session: it does not show.
fn session_id(mut id: HeaderValue) -> Result<HeaderValue, String> {
    let fine = !id.is_empty() && id.as_bytes().iter().all(u8::is_ascii_graphic);
    if !fine || id.len() > limits::SESSION_ID_BYTES_MAX {
        return Err("its session has an id that is none".into());
    }
    id.set_sensitive(true);
    Ok(id)
}

/// Some answers are no sign of an older revision.
fn check_access(method: &str, answer: &Answer) -> Result<(), String> {
    match answer.status {
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(format!(
            "it answered `{method}` with HTTP status {status}: are its `headers` and what they are filled with right?"
        )),
        status @ StatusCode::TOO_MANY_REQUESTS => Err(format!("it answered `{method}` with HTTP status {status}")),
        status if status.is_redirection() => Err(format!(
            "it answered `{method}` with HTTP status {status}, which is not followed: give it the `url` it has now"
        )),
        _ => Ok(()),
    }
}

fn request(method: &str, params: &serde_json::Value) -> String {
    json!({ "jsonrpc": "2.0", "id": OWN_IDS_FROM, "method": method, "params": params }).to_string()
}

async fn post(endpoint: &Endpoint, fields: HeaderMap, body: String, answered: bool) -> Result<Answer, String> {
    let connection = endpoint.connect().await.map_err(|error| error.to_string())?;
    // Nobody has a list of its tools yet.
    let changed = Notify::new();
    let request = endpoint.request(Method::POST, fields, body);
    connection.send(request, answered.then_some(OWN_IDS_FROM), &changed).await.map_err(|lost| {
        let (Lost::NotSent(why) | Lost::Sent(why)) = lost;
        why.into_owned()
    })
}
